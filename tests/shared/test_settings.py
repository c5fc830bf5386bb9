"""Settings: read late, named when they are missing, never shown."""

from __future__ import annotations

import pytest

from shared.domain.errors import Misconfigured
from shared.settings import BY_NAME, SETTINGS, TOGETHER, Settings

COMPLETE = {
    "AUTHENTIK_URL": "https://auth.example.test/",
    "AUTHENTIK_API_TOKEN": "a-token",
    "AUTHENTIK_WEBHOOK_SECRETS": "newer, older,,",
    "MATRIX_HOMESERVER": "https://matrix.example.test",
    "MATRIX_ACCESS_TOKEN": "another-token",
    "MATRIX_USER_ID": "@muster:example.test",
    "MATRIX_DOMAIN": "example.test",
    "TASKS_SERVICE_ACCOUNT": "tasks@example.test",
    "TASKS_URL_TEMPLATE": "https://example.test/{entry_point}",
}

ASSISTANT = {"ASSISTANT_URL": "http://127.0.0.1:1/v1", "ASSISTANT_API_KEY": "a-key", "ASSISTANT_MODEL": "a-model"}


def test_complete() -> None:
    """What is required is enough: everything else has a default that can be read."""
    settings = Settings(COMPLETE)
    assert settings.problems() == []
    settings.require(
        "authentik", "webhook", "admin", "matrix", "onboarding", "assistant", "store", "tasks", "watch", "stack"
    )
    assert {setting.name for setting in SETTINGS if setting.default is None} == set(COMPLETE)
    assert all(settings[setting.name] is not None for setting in SETTINGS)


def test_every_missing_name_in_one_message() -> None:
    """All that is missing of the concerns asked for is said at once, each once, and nothing of other concerns."""
    with pytest.raises(Misconfigured) as caught:
        Settings({}).require("matrix", "onboarding")
    named = [setting.name for setting in SETTINGS if f"{setting.name} is not set" in caught.value.cause]
    assert named == ["MATRIX_HOMESERVER", "MATRIX_ACCESS_TOKEN", "MATRIX_USER_ID", "MATRIX_DOMAIN"]
    assert caught.value.fix
    assert len(Settings({}).problems()) == len(COMPLETE)


@pytest.mark.parametrize("name", COMPLETE)
def test_blanks_are_nothing(name: str) -> None:
    """A setting that holds only blanks is missing."""
    [problem] = Settings(COMPLETE | {name: " \n "}).problems()
    assert problem.startswith(f"{name} is not set")


@pytest.mark.parametrize(
    ("name", "given", "read"),
    [
        ("AUTHENTIK_URL", " https://auth.example.test/ ", "https://auth.example.test"),
        ("AUTHENTIK_URL", "http://127.0.0.1:9000/auth/", "http://127.0.0.1:9000/auth"),
        ("AUTHENTIK_ISSUER", "https://auth.example.test/o/muster/", "https://auth.example.test/o/muster/"),
        ("TASKS_OIDC_JWKS", "http://127.0.0.1:1/jwks/", "http://127.0.0.1:1/jwks/"),
        ("AUTHENTIK_WEBHOOK_SECRETS", " newer, older,, ", ("newer", "older")),
        ("MATRIX_DEFAULT_ROOMS", "!a:x.test, #ops:x.test", ("!a:x.test", "#ops:x.test")),
        ("MATRIX_DEFAULT_ROOMS", "!withoutserver", ("!withoutserver",)),
        ("MATRIX_INDOC_ROOM_ID", "", ""),
        ("AUTO_REMOVE_FROM_INDOC", "No", False),
        ("TRACING", "cloud", "cloud"),
        ("COST_PRICES", "reads=0.0000006, sweep_minutes=2", {"reads": 0.0000006, "sweep_minutes": 2.0}),
        ("AUTO_REMOVE_FROM_INDOC", "", True),
        ("MATRIX_DISABLE_SSL_VERIFICATION", "0", False),
        ("WELCOME_DELAY_SECONDS", "2.5", 2.5),
        ("WELCOME_DELAY_SECONDS", "0", 0.0),
        ("INDOC_CLOCK", "on", "on"),
        ("INDOC_NUDGE_HOURS", "0.5", 0.5),
        ("INDOC_REMOVE_HOURS", "", 24.0),
        ("PROTECTED_MEMBERS", "@ada:x.test, @bob:x.test,", ("@ada:x.test", "@bob:x.test")),
        ("MUSTER_ENV", "", "production"),
        ("ASSISTANT_URL", "", ""),
        ("ASSISTANT_URL", "https://models.example.test/v1/", "https://models.example.test/v1"),
        ("ASSISTANT_MONTHLY_TOKENS", "0", 0),
        ("ASSISTANT_REQUESTS_PER_MINUTE", "", 20),
    ],
)
def test_as_it_is_read(name: str, given: str, read: object) -> None:
    """Values are read as what they are; blanks around them and blank entries fall away."""
    assert Settings({name: given})[name] == read


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("AUTHENTIK_URL", ("auth.hidden.test", "ftp://hidden", "https://", "http://[hidden", "https://a:hidden", "https://hid den")),
        ("AUTHENTIK_ISSUER", ("hidden", "hidden://x")),
        ("PUBLIC_URL", ("hidden",)),
        ("TASKS_OIDC_JWKS", ("hidden",)),
        ("MATRIX_USER_ID", ("hidden", "@hidden", "@:hidden")),
        ("MATRIX_INDOC_ROOM_ID", ("hidden", "#hidden", "!")),
        ("MATRIX_DEFAULT_ROOMS", ("!a:x.test,hidden",)),
        ("ADMIN_API_KEYS", ("hidden", "ops:hidden", f"ops:{'0' * 64},hidden", f"hid den:{'0' * 64}")),
        ("AUTO_REMOVE_FROM_INDOC", ("hidden", "2")),
        ("WELCOME_DELAY_SECONDS", ("hidden", "-1", "86401", "nan", "inf", "1e3", "5 s")),
        ("INDOC_CLOCK", ("hidden", "true")),
        ("INDOC_NUDGE_HOURS", ("hidden", "0", "-1", "nan", "8785", "1e2")),
        ("PROTECTED_MEMBERS", ("hidden", "@ada:x.test,@hidden")),
        ("ASSISTANT_URL", ("hidden", "ftp://hidden")),
        ("ASSISTANT_API_KEY", ("hid den", "hidden\x00", "hiddén")),
        ("ASSISTANT_MONTHLY_TOKENS", ("hidden", "-1", "1e6", "1.5", "9999999999999")),
        ("ASSISTANT_REQUESTS_PER_MINUTE", ("hidden", "0")),
        ("MUSTER_STORE", ("hidden", "SQLite")),
        ("MUSTER_ENV", ("hidden", "Production")),
    ],
)  # fmt: skip
def test_what_cannot_be_read(name: str, values: tuple[str, ...]) -> None:
    """A malformed value is named with what is expected; the value itself is never in the message."""
    for value in values:
        settings = Settings(COMPLETE | (ASSISTANT if name in ASSISTANT else {}) | {name: value})
        [problem] = settings.problems(BY_NAME[name].concern)
        assert problem.startswith(f"{name} is not valid: expected ")
        assert "hid" not in problem
        with pytest.raises(Misconfigured, match=name):
            settings[name]


def test_an_assistant_is_on_or_off() -> None:
    """Nothing set is off and no problem; by half, or with a limit that cannot be read, it is off and says what is missing;
    all set it is on."""
    assert not Settings(COMPLETE).has("assistant")
    assert Settings(COMPLETE | ASSISTANT).has("assistant")
    for name in ASSISTANT:
        settings = Settings({each: value for each, value in (COMPLETE | ASSISTANT).items() if each != name})
        [problem] = settings.problems()
        assert problem.startswith(f"{name} is not set, but ASSISTANT_")
        assert not settings.has("assistant")
    assert not Settings(COMPLETE | ASSISTANT | {"ASSISTANT_MONTHLY_TOKENS": "many"}).has("assistant")
    assert len(Settings(COMPLETE | {"ASSISTANT_MODEL": "a-model"}).problems("assistant")) == 2


@pytest.mark.parametrize("name", [setting.name for setting in SETTINGS if setting.secret])
def test_a_secret_may_be_a_name(name: str) -> None:
    """The name of a secret of Secret Manager stands for its value: it is no malformed value itself."""
    address = "projects/p/secrets/s/versions/latest"
    mail = {"SMTP_HOST": "smtp.test", "SMTP_USERNAME": "u", "SMTP_PASSWORD": "s3cret", "SMTP_FROM": "Muster <m@x.org>"}
    settings = Settings(COMPLETE | ASSISTANT | mail | {name: address})
    assert settings.problems() == []
    assert (settings.raw(name), settings[name]) == (address, address)


def test_only_secrets_may_be_names() -> None:
    """Anything else is read as it stands."""
    assert Settings(COMPLETE | {"MATRIX_USER_ID": "projects/p/secrets/s/versions/1"}).problems("matrix")


@pytest.mark.parametrize(("env", "refused"), [("production", True), ("", True), ("nonsense", True), ("local", False)])
def test_certificates_are_checked_in_production(env: str, refused: bool) -> None:
    """MATRIX_DISABLE_SSL_VERIFICATION stops what needs Matrix, unless MUSTER_ENV says that this is no production."""
    settings = Settings(COMPLETE | {"MATRIX_DISABLE_SSL_VERIFICATION": "true", "MUSTER_ENV": env})
    assert any("MATRIX_CA_BUNDLE" in problem for problem in settings.problems("matrix")) is refused
    assert settings.problems("authentik") == []


def test_it_is_production_unless_said_otherwise() -> None:
    """Nothing set is production; a misspelt value is neither and says so."""
    assert Settings({}).production
    assert not Settings({"MUSTER_ENV": "local"}).production
    with pytest.raises(Misconfigured):
        assert Settings({"MUSTER_ENV": "prod"}).production


def test_settings_do_not_show_themselves() -> None:
    """Neither a print nor a traceback shows a value."""
    settings = Settings(COMPLETE)
    assert not any(value in f"{settings!r} {settings}" for value in COMPLETE.values())


def test_every_setting_says_what_it_is_for() -> None:
    """Each has one line for a person, and names are unique."""
    assert all(setting.about and "\n" not in setting.about for setting in SETTINGS)
    assert len(BY_NAME) == len(SETTINGS)


@pytest.mark.parametrize("missing", TOGETHER["mail"])
def test_e_mail_by_half_is_off(missing: str) -> None:
    """None of it: off, and well. All: on. All but one: off, and that one is named, with no value."""
    whole = {"SMTP_HOST": "smtp.test", "SMTP_USERNAME": "u", "SMTP_PASSWORD": "s3cret", "SMTP_FROM": "Muster <m@x.org>"}
    assert (Settings({}).has("mail"), Settings({}).problems("mail")) == (False, [])
    assert (Settings(whole).has("mail"), Settings(whole).problems("mail")) == (True, [])
    half = Settings({name: value for name, value in whole.items() if name != missing})
    [problem] = half.problems("mail")
    assert (half.has("mail"), problem.startswith(f"{missing} is not set"), "s3cret" in problem) == (False, True, False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SMTP_PORT", "0"),
        ("SMTP_PORT", "65536"),
        ("SMTP_PORT", "smtp"),
        ("SMTP_SECURITY", "none"),
        ("SMTP_FROM", "muster"),
        ("SMTP_FROM", "a@x.org, b@x.org"),
        ("SMTP_FROM", "Z <zo\u00eb@x.org>"),
        ("SMTP_FROM", "M <m@x.org>\nBcc: e@x.org"),
    ],
)
def test_malformed_e_mail_is_off(name: str, value: str) -> None:
    """A port, a way of encryption and a sender that cannot be are named, and keep e-mail off."""
    whole = {"SMTP_HOST": "smtp.test", "SMTP_USERNAME": "u", "SMTP_PASSWORD": "p", "SMTP_FROM": "m@x.org"}
    settings = Settings(whole | {name: value})
    assert (settings.has("mail"), settings.problem(name).startswith(f"{name} is not valid")) == (False, True)
