"""Every setting, in one table: its name, the concern it belongs to, whether it is a secret.

`.env.example`, the README's table and Terraform are held against this table by tests. Values come from
the environment; a secret may be a name of Secret Manager (`projects/*/secrets/*/versions/*`), which
`shared.wiring` resolves. A missing or malformed setting stops what needs it at its first request, with
every such name in one message and never a value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal
from urllib.parse import urlsplit

from msgspec import Struct

from shared.domain.errors import Misconfigured

Concern = Literal[
    "authentik", "webhook", "admin", "matrix", "onboarding", "assistant", "store", "tasks", "mail", "watch", "stack"
]
SECRET_NAME = re.compile(r"projects/[^/]+/secrets/[^/]+/versions/[^/]+")


def text(value: str) -> str:
    return value


def words(value: str) -> tuple[str, ...]:
    """Comma-separated; blanks fall away."""
    return tuple(part.strip() for part in value.split(",") if part.strip())


def api_keys(value: str) -> Mapping[str, str]:
    """The SHA-256 of each key, in hex, to its name."""
    entries = [re.fullmatch(r"([A-Za-z0-9_.-]{1,64}):([0-9a-f]{64})", entry) for entry in words(value)]
    if not all(entries):
        raise ValueError("name:sha256 entries, made by scripts/setup key NAME")
    return {entry[2]: entry[1] for entry in entries if entry}


def switch(value: str) -> bool:
    folded = value.strip().lower()
    if folded not in ("1", "true", "yes", "on", "0", "false", "no", "off"):
        raise ValueError("true or false")
    return folded in ("1", "true", "yes", "on")


def seconds(value: str) -> float:
    if not re.fullmatch(r"[0-9]{1,5}(\.[0-9]{1,6})?", value) or float(value) > 86_400:
        raise ValueError("seconds, from 0 to 86400")
    return float(value)


def hours(value: str) -> float:
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,6})?", value) or not 0 < float(value) <= 8784:
        raise ValueError("hours, above 0 and at most 8784")
    return float(value)


def members(value: str) -> tuple[str, ...]:
    return tuple(user_id(member) for member in words(value))


def score(value: str) -> float:
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,3})?", value) or float(value) > 100:
        raise ValueError("a score, from 0 to 100")
    return float(value)


def base_url(value: str) -> str:
    return exact_url(value).rstrip("/")


def exact_url(value: str) -> str:
    """An issuer is compared letter by letter, and a key set is fetched as it is named: a closing slash stays."""
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or re.search(r"\s", value):
        raise ValueError("a URL such as https://auth.example.org")
    return value


def base_url_or_nothing(value: str) -> str:
    return value and base_url(value)


def header_or_nothing(value: str) -> str:
    """What goes into a header: found here, because the HTTP library would put the whole of it into its error."""
    if not re.fullmatch(r"[!-~]*", value):
        raise ValueError("letters, digits and signs of ASCII, without blanks")
    return value


def port(value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", value) or not 0 < int(value) < 65_536:
        raise ValueError("a port, from 1 to 65535")
    return int(value)


def sender(value: str) -> str:
    """One address, with a name before it or without."""
    from email.utils import getaddresses

    from shared.domain.mails import objection

    found = [address for _, address in getaddresses([value])]
    if value and (not value.isprintable() or len(found) != 1 or not found[0].isascii() or objection(found[0])):
        raise ValueError("an address such as Muster <muster@example.org>")
    return value


def url_or_nothing(value: str) -> str:
    return value and exact_url(value)


def user_id(value: str) -> str:
    if not re.fullmatch(r"@[^:\s]+:\S+", value):
        raise ValueError("a Matrix id such as @muster:example.org")
    return value


def user_id_or_nothing(value: str) -> str:
    return value and user_id(value)


def region(value: str) -> str:
    """Asked of the library only where one is set: a number that comes loads it anyway."""
    from shared.domain.phones import is_region

    if value and not is_region(value):
        raise ValueError("a country's two letters, such as DE")
    return value


def room_or_alias(value: str) -> str:
    if not re.fullmatch(r"![^\s]+|#[^:\s]+:\S+", value):
        raise ValueError("a room id such as !abc:example.org or an alias such as #indoc:example.org")
    return value


def room_or_nothing(value: str) -> str:
    return value and room_or_alias(value)


def rooms(value: str) -> tuple[str, ...]:
    return tuple(room_or_alias(room) for room in words(value))


def prices(value: str) -> Mapping[str, float]:
    """Of the table of prices, those that differ here."""
    from shared.domain.costs import PRICES

    pairs = [re.fullmatch(r"([a-z_]+)=([0-9]{1,9}(?:\.[0-9]{1,12})?)", word) for word in words(value)]
    if any(pair is None or pair[1] not in PRICES for pair in pairs):
        raise ValueError(f"name=number entries, with the names {', '.join(PRICES)}")
    return {pair[1]: float(pair[2]) for pair in pairs if pair}


def whole(least: int, most: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", value) or not least <= int(value) <= most:
            raise ValueError(f"a whole number, from {least} to {most}")
        return int(value)

    return parse


def one_of(*choices: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value not in choices:
            raise ValueError(" or ".join(choices))
        return value

    return parse


class Setting(Struct, frozen=True):
    """`default` None: required by whatever needs it. `about`: one line for a person."""

    name: str
    concern: Concern
    about: str
    default: str | None = ""
    parse: Callable[[str], Any] = text
    secret: bool = False


OTLP = "https://telemetry.googleapis.com/v1/traces"
PUPPETS = "@signal_,@whatsapp_,@telegram_,@discord_,@slack_,@_"

PER_MINUTE = whole(1, 1_000_000)

SETTINGS: tuple[Setting, ...] = (
    Setting("AUTHENTIK_URL", "authentik", "Base address of Authentik, without /api/v3", None, base_url),
    Setting("AUTHENTIK_API_TOKEN", "authentik", "Token of intent api of Muster's service account", None, secret=True),
    Setting("AUTHENTIK_FLOW_SLUG", "authentik", "Slug of the enrollment flow", "muster-enrollment"),
    Setting("AUTHENTIK_DEFAULT_GROUP", "authentik", "Group (name or uuid) that every new member gets"),
    Setting("AUTHENTIK_CA_BUNDLE", "authentik", "File with the CA of a self-signed Authentik"),
    Setting("GRANTABLE_GROUPS", "authentik", "Privileged groups that a form may grant all the same", "", words),
    Setting("ADMIN_GROUP", "authentik", "Group whose members may use the admin API", "muster-admins"),
    Setting("AUTHENTIK_WEBHOOK_SECRETS", "webhook", "Comma-separated, the newest first", None, words, secret=True),
    Setting(
        "WEBHOOK_REQUESTS_PER_MINUTE",
        "webhook",
        "What one address may send of them; more are told 429",
        "3000",
        PER_MINUTE,
    ),
    Setting(
        "AUTHENTIK_ISSUER", "admin", "OIDC issuer with its closing slash; empty: API keys only", "", url_or_nothing
    ),
    Setting("AUTHENTIK_CLIENT_ID", "admin", "Client id of the admin page", "muster-admin"),
    Setting("ADMIN_API_KEYS", "admin", "Comma-separated name:sha256-of-the-key", "", api_keys, secret=True),
    Setting("API_REQUESTS_PER_MINUTE", "admin", "What one admin or key may ask; more are told 429", "1200", PER_MINUTE),
    Setting("PUBLIC_URL", "admin", "Where people open the admin page", "", url_or_nothing),
    Setting("MATRIX_HOMESERVER", "matrix", "Client API address of the homeserver", None, base_url),
    Setting("MATRIX_ACCESS_TOKEN", "matrix", "Access token of the bot", None, secret=True),
    Setting(
        "MATRIX_SYNC_ACCESS_TOKEN",
        "matrix",
        "Token of the bot's device that only watches: set-up makes it",
        secret=True,
    ),
    Setting("MATRIX_USER_ID", "matrix", "The bot, such as @muster:example.org", None, user_id),
    Setting("MATRIX_CA_BUNDLE", "matrix", "File with the CA of a self-signed homeserver"),
    Setting("MATRIX_DISABLE_SSL_VERIFICATION", "matrix", "Refused in production", "false", switch),
    Setting(
        "MATRIX_ENABLE_ENCRYPTION",
        "matrix",
        "Whether messages may be encrypted: after scripts/setup matrix",
        "false",
        switch,
    ),
    Setting(
        "MATRIX_PUPPETS", "matrix", "How the ids of bridges' puppets begin: they never have a device", PUPPETS, words
    ),
    Setting("MATRIX_PASSWORD", "matrix", "The bot's password, for set-up only", secret=True),
    Setting("MATRIX_RECOVERY_KEY", "matrix", "Opens the bot's secret storage; for set-up only", secret=True),
    Setting("MATRIX_DEVICE_ACCOUNT", "matrix", "The bot's device, as scripts/setup matrix has made it", secret=True),
    Setting("MATRIX_PICKLE_KEY", "matrix", "32 bytes in base64: opens MATRIX_DEVICE_ACCOUNT", secret=True),
    Setting("MATRIX_REPLIES_KEY", "matrix", "Opens conversations; set-up makes it of MATRIX_PICKLE_KEY", secret=True),
    Setting("MATRIX_DOMAIN", "onboarding", "Server name of the members' Matrix ids", None),
    Setting("MATRIX_INDOC_ROOM_ID", "onboarding", "The entry room; empty: there is none", "", room_or_nothing),
    Setting("MATRIX_DEFAULT_ROOMS", "onboarding", "Comma-separated rooms that every new member gets", "", rooms),
    Setting(
        "MATRIX_MEMBERSHIP",
        "onboarding",
        "invite, or join: at once, where the bot is an admin of the homeserver",
        "invite",
        one_of("invite", "join"),
    ),
    Setting("AUTO_REMOVE_FROM_INDOC", "onboarding", "Whether newcomers are taken out of INDOC", "true", switch),
    Setting(
        "INDOC_LEAVE_AFTER_JOIN",
        "onboarding",
        "Whether newcomers stay in INDOC until they have joined a room of theirs",
        "false",
        switch,
    ),
    Setting("INDOC_CLOCK", "onboarding", "on: who stays in INDOC is nudged, then removed", "off", one_of("off", "on")),
    Setting("INDOC_NUDGE_HOURS", "onboarding", "Hours in INDOC until the nudge", "20", hours),
    Setting("INDOC_REMOVE_HOURS", "onboarding", "Hours in INDOC until the removal", "24", hours),
    Setting(
        "PROTECTED_MEMBERS",
        "onboarding",
        "Comma-separated Matrix ids that nothing takes out of rooms but an off-boarding",
        "",
        members,
    ),
    Setting("WELCOME_DELAY_SECONDS", "onboarding", "From the hello to the welcome", "5", seconds),
    Setting(
        "NOTICE_WITHOUT_DEVICE",
        "onboarding",
        "Whether who has no device after 14 days gets one unencrypted notice",
        "false",
        switch,
    ),
    Setting(
        "MAX_PROACTIVE_MESSAGES_PER_DAY",
        "onboarding",
        "Messages a day to one member that nobody asked for, such as broadcasts; 0: none at all",
        "3",
        whole(0, 1000),
    ),
    Setting(
        "MATRIX_SIGNAL_BRIDGE_ROOM_ID",
        "onboarding",
        "The bot's management room with mautrix-signal's bot; empty: nobody is written to on Signal",
        "",
        room_or_nothing,
    ),
    Setting(
        "MATRIX_SIGNAL_BRIDGE_BOT",
        "onboarding",
        "mautrix-signal's bot; empty: @signalbot of MATRIX_DOMAIN",
        "",
        user_id_or_nothing,
    ),
    Setting(
        "PHONE_DEFAULT_REGION",
        "onboarding",
        "Country of phone numbers without a country code, such as DE; empty: they are refused",
        "",
        region,
    ),
    Setting("RECOMMEND_MIN_SCORE", "onboarding", "Rooms below this score are not recommended, 0 to 100", "20", score),
    Setting("RECOMMEND_MAX_SCORE", "onboarding", "No recommended room gets a higher score, 0 to 100", "100", score),
    Setting(
        "SYNC_AUTHENTIK_SECONDS", "onboarding", "From one sync of Authentik's accounts to the next", "300", seconds
    ),
    Setting(
        "SYNC_MATRIX_SECONDS", "onboarding", "From one sync of the rooms and their members to the next", "300", seconds
    ),
    Setting("SYNC_FULL_SECONDS", "onboarding", "After so long a sync reads everything anew", "21600", seconds),
    Setting("SYNC_COOLDOWN_SECONDS", "onboarding", "How often an admin may ask for a sync", "30", seconds),
    Setting(
        "MATRIX_MESSAGE_NOTICE",
        "onboarding",
        "Below each message to members that they did not ask for: why it came, how to stop it; empty: nothing",
    ),
    Setting(
        "ASSISTANT_URL",
        "assistant",
        "Base address of an OpenAI-compatible API, such as https://api.example.org/v1; empty: there is no assistant",
        "",
        base_url_or_nothing,
    ),
    Setting(
        "ASSISTANT_API_KEY", "assistant", "Its key; any word where it asks for none", "", header_or_nothing, secret=True
    ),
    Setting("ASSISTANT_MODEL", "assistant", "The model that is asked"),
    Setting(
        "ASSISTANT_MONTHLY_TOKENS", "assistant", "Tokens that may be used in a month", "200000", whole(0, 10**12 - 1)
    ),
    Setting("ASSISTANT_REQUESTS_PER_MINUTE", "assistant", "The limit of who provides it", "20", whole(1, 100_000)),
    Setting("MUSTER_STORE", "store", "firestore or sqlite", "firestore", one_of("firestore", "sqlite")),
    Setting("GOOGLE_CLOUD_PROJECT", "store", "Project of Firestore and Cloud Tasks", "muster-local"),
    Setting("FIRESTORE_DATABASE", "store", "Firestore database", "(default)"),
    Setting("FIRESTORE_EMULATOR_HOST", "store", "host:port of the emulator; local only"),
    Setting("MUSTER_DATA_DIR", "store", "What the embedded stack keeps", ".muster"),
    Setting("TASKS_LOCATION", "tasks", "Region of the queues", "europe-west1"),
    Setting("TASKS_QUEUE_INVITES", "tasks", "Queue of the room invites", "muster-invites"),
    Setting("TASKS_QUEUE_MESSAGES", "tasks", "Queue of farewells, removals and welcomes", "muster-messages"),
    Setting("TASKS_QUEUE_BROADCASTS", "tasks", "Queue of messages to many", "muster-broadcasts"),
    Setting("TASKS_QUEUE_ACCOUNTS", "tasks", "Queue of what is done in Authentik", "muster-accounts"),
    Setting("TASKS_SERVICE_ACCOUNT", "tasks", "Whose OIDC token a task carries", None),
    Setting("SCHEDULER_SERVICE_ACCOUNT", "tasks", "Whose OIDC token a scheduled run carries; empty: the tasks' own"),
    Setting("TASKS_URL_TEMPLATE", "tasks", "https://.../{entry_point}: a task's URL and audience", None),
    Setting("TASKS_OIDC_ISSUER", "tasks", "Who signs the tasks' tokens", "https://accounts.google.com"),
    Setting("TASKS_OIDC_JWKS", "tasks", "Their keys", "https://www.googleapis.com/oauth2/v3/certs", exact_url),
    Setting("CLOUD_TASKS_EMULATOR_HOST", "tasks", "host:port of the embedded dispatcher; local only"),
    Setting("SMTP_HOST", "mail", "Mail server that sends for us; empty: e-mail is off"),
    Setting("SMTP_PORT", "mail", "Its port", "587", port),
    Setting(
        "SMTP_SECURITY",
        "mail",
        "starttls, or tls: from the first byte (port 465)",
        "starttls",
        one_of("starttls", "tls"),
    ),
    Setting("SMTP_USERNAME", "mail", "Whom we log in as at the mail server"),
    Setting("SMTP_PASSWORD", "mail", "The password for that", secret=True),
    Setting("SMTP_FROM", "mail", "Whom e-mails are from, such as Muster <muster@example.org>", "", sender),
    Setting("SMTP_CA_BUNDLE", "mail", "File with the CA of a self-signed mail server"),
    Setting("TRACING", "watch", "off, or cloud: spans to Cloud Trace", "off", one_of("off", "cloud")),
    Setting("TRACING_ENDPOINT", "watch", "Where spans go, by OTLP over HTTP", OTLP, exact_url),
    Setting(
        "COST_PRICES", "watch", "name=number, comma-separated, instead of those in shared/domain/costs.py", "", prices
    ),
    Setting("MUSTER_ENV", "stack", "production or local", "production", one_of("production", "local")),
    Setting("MUSTER_ALLOW_REMOTE", "stack", "1: scripts may speak to other machines", "false", switch),
)
BY_NAME = {setting.name: setting for setting in SETTINGS}
TOGETHER: Mapping[Concern, tuple[str, ...]] = {
    "assistant": ("ASSISTANT_URL", "ASSISTANT_API_KEY", "ASSISTANT_MODEL"),
    "mail": ("SMTP_HOST", "SMTP_USERNAME", "SMTP_PASSWORD", "SMTP_FROM"),
}
"""Optional settings of which one alone does nothing: all are set, or what they are for is off. Of mail the login
too: a relay that asks for none would trust whoever has the address of a function."""
OPTIONAL: Mapping[Concern, str] = {"assistant": "the assistant", "mail": "e-mail"}


class Settings:
    """Read-only, by concern. Parsing waits until a value is asked for."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def __repr__(self) -> str:
        return "Settings(...)"

    def __getitem__(self, name: str) -> Any:
        """The parsed value; raises `Misconfigured` naming the setting."""
        value, problem = self._parsed(BY_NAME[name])
        if problem:
            raise Misconfigured(problem, "Set it in the function's environment or in .env and deploy again.")
        return value

    def parse(self, name: str, secret: str) -> Any:
        """What Secret Manager holds for a setting; raises `Misconfigured`, which never quotes it."""
        try:
            return BY_NAME[name].parse(secret)
        except ValueError as error:
            problem = f"the secret that {name} names is not valid: expected {error}"
            raise Misconfigured(problem, "Add a version that is to Secret Manager.") from error

    @property
    def production(self) -> bool:
        return bool(self["MUSTER_ENV"] == "production")

    def raw(self, name: str) -> str:
        """As it stands in the environment: to see whether a secret is a name of Secret Manager."""
        return self._environment.get(name, "").strip()

    def require(self, *concerns: Concern) -> None:
        """All missing and malformed settings of these concerns in one `Misconfigured`."""
        problems = self.problems(*concerns)
        if problems:
            raise Misconfigured("; ".join(problems), "Set them in the function's environment or in .env.")

    def problems(self, *concerns: Concern) -> Sequence[str]:
        """One sentence for each missing or malformed setting, never its value."""
        wanted = [setting.name for setting in SETTINGS if not concerns or setting.concern in concerns]
        return [problem for name in wanted if (problem := self.problem(name))]

    def problem(self, name: str) -> str:
        """What is wrong with one of them, "" where nothing is."""
        if name == "MATRIX_DISABLE_SSL_VERIFICATION" and self._unverified_in_production():
            return f"{name} is refused in production: use MATRIX_CA_BUNDLE"
        return self._parsed(BY_NAME[name])[1] or self._half(name)

    def has(self, concern: Concern) -> bool:
        """Whether what is optional is switched on: completely, and with nothing malformed."""
        return all(map(self.raw, TOGETHER[concern])) and not self.problems(concern)

    def _half(self, name: str) -> str:
        """What is configured by half is off, and says so."""
        concern = BY_NAME[name].concern
        there = [other for other in TOGETHER.get(concern, ()) if self.raw(other)]
        if name not in TOGETHER.get(concern, ()) or name in there or not there:
            return ""
        return f"{name} is not set, but {' and '.join(there)}: {OPTIONAL[concern]} is off until all are"

    def _unverified_in_production(self) -> bool:
        value, problem = self._parsed(BY_NAME["MATRIX_DISABLE_SSL_VERIFICATION"])
        return bool(value) and not problem and self.raw("MUSTER_ENV") != "local"

    def _parsed(self, setting: Setting) -> tuple[Any, str]:
        value = self.raw(setting.name)
        if not value:
            if setting.default is None:
                return None, f"{setting.name} is not set ({setting.about})"
            value = setting.default
        if setting.secret and SECRET_NAME.fullmatch(value):
            return value, ""
        try:
            return setting.parse(value), ""
        except ValueError as error:
            return None, f"{setting.name} is not valid: expected {error}"
