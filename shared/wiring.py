"""The only place that knows both the ports and the adapters. Everything is made at first use, in the
worker, and kept; heavy libraries load with the adapter that needs them."""

from __future__ import annotations

import asyncio
import gc
import os
import secrets as chance
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from shared.domain.errors import Misconfigured
from shared.ports import (
    Assistant,
    Chat,
    Directory,
    Documents,
    Finding,
    Keys,
    Opener,
    Post,
    Renderer,
    Sealer,
    Secrets,
    TaskQueue,
    TextIndex,
)
from shared.services.context import Policy, Terms
from shared.settings import BY_NAME, SECRET_NAME, Settings

if TYPE_CHECKING:
    from shared.adapters.authentik_sign_in_verdicts import SignIn
    from shared.adapters.cloud_trace import Tracer
    from shared.adapters.jwt import InvokerTokens, KeySet
    from shared.adapters.matrix import MatrixChat
    from shared.domain.recommending import Passage
    from shared.services.permits import Limiter

T = TypeVar("T")


class Wiring:
    """`Ports` for one event loop: the async clients are bound to the loop that first used them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.failures: dict[str, int] = {}
        self.under_way: set[str] = set()
        self.followers = 0
        self._kept: dict[str, tuple[float, Any]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    # -- the clock and chance

    def now(self) -> datetime:
        return datetime.now(UTC)

    def chance(self) -> int:
        return chance.randbits(128)

    async def pause(self, seconds: float, unless: asyncio.Future[Any]) -> bool:
        """Whether the time has passed: False as soon as `unless` is done."""
        await asyncio.wait({unless}, timeout=seconds)
        return not unless.done()

    async def remember(self, key: str, seconds: float, find: Callable[[], Awaitable[T]]) -> T:
        """Found once at a time, however many ask. None is not kept: a room that is not there may be made any moment."""
        async with self._locks.setdefault(key, asyncio.Lock()):
            until, value = self._kept.get(key, (0.0, None))
            if seconds <= 0 or until <= time.monotonic():
                value = await find()
                if value is not None:
                    self._kept[key] = (time.monotonic() + (seconds or 30), value)
            return value  # type: ignore[no-any-return]

    # -- settings

    @cached_property
    def policy(self) -> Policy:
        self.settings.require("onboarding")
        read = self.settings
        return Policy(
            domain=read["MATRIX_DOMAIN"],
            indoc=read["MATRIX_INDOC_ROOM_ID"],
            default_rooms=read["MATRIX_DEFAULT_ROOMS"],
            default_group=read["AUTHENTIK_DEFAULT_GROUP"],
            auto_remove=read["AUTO_REMOVE_FROM_INDOC"],
            welcome_delay=read["WELCOME_DELAY_SECONDS"],
            admin_group=read["ADMIN_GROUP"],
            grantable=read["GRANTABLE_GROUPS"],
            encrypt=read["MATRIX_ENABLE_ENCRYPTION"],
            notice=read["NOTICE_WITHOUT_DEVICE"],
            puppets=read["MATRIX_PUPPETS"],
            membership=read["MATRIX_MEMBERSHIP"],
            leave_after_join=read["INDOC_LEAVE_AFTER_JOIN"],
            clock=read["INDOC_CLOCK"] == "on",
            nudge_hours=read["INDOC_NUDGE_HOURS"],
            remove_hours=read["INDOC_REMOVE_HOURS"],
            protected=read["PROTECTED_MEMBERS"],
            recommend_least=read["RECOMMEND_MIN_SCORE"],
            recommend_most=read["RECOMMEND_MAX_SCORE"],
            sync_authentik=read["SYNC_AUTHENTIK_SECONDS"],
            sync_matrix=read["SYNC_MATRIX_SECONDS"],
            sync_full=read["SYNC_FULL_SECONDS"],
            sync_cooldown=read["SYNC_COOLDOWN_SECONDS"],
            bot=read.raw("MATRIX_USER_ID"),
            message_notice=read["MATRIX_MESSAGE_NOTICE"],
            proactive_a_day=read["MAX_PROACTIVE_MESSAGES_PER_DAY"],
            assistant=self._terms(),
            signal_room=read["MATRIX_SIGNAL_BRIDGE_ROOM_ID"],
            signal_bot=read["MATRIX_SIGNAL_BRIDGE_BOT"],
            phone_region=read["PHONE_DEFAULT_REGION"],
        )

    def per_minute(self, name: str) -> int:
        """A limit of requests. The default where it is malformed: it must not keep out who would read so."""
        value = BY_NAME[name].default if self.settings.problem(name) else self.settings[name]
        return int(value or 0)

    def _terms(self) -> Terms | None:
        """None also where a setting of it is missing or malformed, which the self-check says."""
        read = self.settings
        if not read.has("assistant"):
            return None
        host = urlsplit(read["ASSISTANT_URL"]).hostname or ""
        limits = (read["ASSISTANT_MONTHLY_TOKENS"], read["ASSISTANT_REQUESTS_PER_MINUTE"])
        return Terms(host, read["ASSISTANT_MODEL"], *limits)

    async def secret(self, name: str) -> Any:
        """A setting that may be the name of a secret; Secret Manager's client refreshes it."""
        raw = self.settings.raw(name)
        if not SECRET_NAME.fullmatch(raw):
            return self.settings[name]
        return self.settings.parse(name, await self.secrets.read(raw))

    @cached_property
    def secrets(self) -> Secrets:
        from shared.adapters.secret_manager import SecretManagerSecrets

        return self._watched("secrets", SecretManagerSecrets())

    # -- ports

    @cached_property
    def documents(self) -> Documents:
        self.settings.require("store")
        if self.settings["MUSTER_STORE"] == "sqlite":
            from shared.adapters.sqlite import SqliteDocuments

            file = Path(self.settings["MUSTER_DATA_DIR"]) / "documents.sqlite3"
            return self._watched("documents", SqliteDocuments(str(file)))
        from shared.adapters.firestore import FirestoreDocuments

        documents = FirestoreDocuments(
            self.settings["GOOGLE_CLOUD_PROJECT"],
            self.settings["FIRESTORE_DATABASE"],
            self.settings["FIRESTORE_EMULATOR_HOST"] or None,
        )
        return self._watched("documents", documents)

    @cached_property
    def queue(self) -> TaskQueue:
        from shared.adapters.cloud_tasks import CloudTasksQueue

        self.settings.require("tasks")
        queue = CloudTasksQueue(
            project=self.settings["GOOGLE_CLOUD_PROJECT"],
            location=self.settings["TASKS_LOCATION"],
            queues={name: self.settings[f"TASKS_QUEUE_{QUEUES[name]}"] for name in QUEUES},
            url_template=self.settings["TASKS_URL_TEMPLATE"],
            service_account=self.settings["TASKS_SERVICE_ACCOUNT"],
            emulator_host=self.settings["CLOUD_TASKS_EMULATOR_HOST"] or None,
        )
        return self._watched("tasks", queue)

    async def directory(self) -> Directory:
        self.settings.require("authentik")
        token = await self.secret("AUTHENTIK_API_TOKEN")

        async def make() -> Directory:
            from shared.adapters.authentik import AuthentikDirectory

            directory = AuthentikDirectory(
                self.settings["AUTHENTIK_URL"],
                token,
                self.settings["AUTHENTIK_FLOW_SLUG"],
                admin_group=self.settings["ADMIN_GROUP"],
                ca_bundle=self.settings["AUTHENTIK_CA_BUNDLE"] or None,
                sign_in=self._sign_in,
            )
            return self._watched("authentik", directory)

        return await self._kept_with("directory", token, make)

    def _sign_in(self) -> SignIn | None:
        """None where a setting of it is malformed, which the self-check says anyway."""
        from shared.adapters.authentik_sign_in_verdicts import SignIn

        if self.settings.problems("admin"):
            return None
        names = ("AUTHENTIK_ISSUER", "AUTHENTIK_CLIENT_ID", "PUBLIC_URL")
        return SignIn(*(self.settings[name] for name in names))

    async def chat(self) -> Chat:
        return await self._matrix()

    async def keys(self) -> Keys:
        return await self._matrix()

    async def sealer(self) -> Sealer:
        """The bot's device, as `scripts/setup matrix` has made it."""
        from shared.domain.device_account import SET_UP, DeviceAccount, pickle_key

        text = await self.secret("MATRIX_DEVICE_ACCOUNT")

        async def make() -> Sealer:
            from shared.adapters.olm import Sealer as Device

            if not text:
                raise Misconfigured("MATRIX_DEVICE_ACCOUNT is not set: there is no device to encrypt with", SET_UP)
            account = DeviceAccount.parse(text)
            key = pickle_key(await self.secret("MATRIX_PICKLE_KEY"))
            return Device(account.user_id, account.device_id, account.account, key)

        return await self._kept_with("sealer", text, make)

    async def opener(self) -> Opener:
        """Of members' replies: by the key that opens nothing else, where that is all that the function may read."""
        from shared.adapters.locking import Opener as Key
        from shared.adapters.locking import derived
        from shared.domain.device_account import pickle_key

        own = await self.secret("MATRIX_REPLIES_KEY")
        if own:
            return Key(pickle_key(own, "MATRIX_REPLIES_KEY"))
        return Key(derived(pickle_key(await self.secret("MATRIX_PICKLE_KEY"))))

    def index(self, passages: Sequence[Passage], weights: Mapping[str, float]) -> TextIndex:
        from shared.adapters.fts5 import Fts5Index

        return Fts5Index(passages, weights)

    async def post(self) -> Post | None:
        if not self.settings.has("mail"):
            return None
        password = await self.secret("SMTP_PASSWORD")

        async def make() -> Post:
            from shared.adapters.smtp import SmtpPost

            read = self.settings
            post = SmtpPost(
                read["SMTP_HOST"],
                read["SMTP_PORT"],
                read["SMTP_USERNAME"],
                password,
                read["SMTP_FROM"],
                implicit=read["SMTP_SECURITY"] == "tls",
                ca_bundle=read["SMTP_CA_BUNDLE"] or None,
            )
            return self._watched("mail", post)

        return await self._kept_with("post", password, make)

    @cached_property
    def renderer(self) -> Renderer:
        from shared.adapters.templating import JinjaRenderer

        return JinjaRenderer()

    async def assistant(self) -> Assistant:
        if self.policy.assistant is None:
            raise Misconfigured("there is no assistant", "Set ASSISTANT_URL, ASSISTANT_API_KEY and ASSISTANT_MODEL.")
        key = await self.secret("ASSISTANT_API_KEY")

        async def make() -> Assistant:
            from shared.adapters.assistant import ChatCompletions

            made = ChatCompletions(self.settings["ASSISTANT_URL"], key, self.settings["ASSISTANT_MODEL"])
            return self._watched("assistant", made)

        return await self._kept_with("assistant", key, make)

    async def check_device(self) -> list[Finding]:
        from shared.adapters.device_crafts import DeviceCrafts
        from shared.services.device_check import check_device

        account = await self.secret("MATRIX_DEVICE_ACCOUNT")
        return await check_device(await self.keys(), DeviceCrafts(), account, await self.secret("MATRIX_PICKLE_KEY"))

    async def _access_token(self) -> str:
        """That of the device which the account belongs to, where set-up has logged in itself."""
        from shared.domain.device_account import DeviceAccount

        text = await self.secret("MATRIX_DEVICE_ACCOUNT")
        own = DeviceAccount.parse(text).access_token if text else ""
        return own or str(await self.secret("MATRIX_ACCESS_TOKEN"))

    async def _matrix(self) -> MatrixChat:
        self.settings.require("matrix")
        token = await self._access_token()

        async def make() -> MatrixChat:
            return self._signed_in(token)

        return await self._kept_with("chat", token, make)

    async def watcher(self) -> Chat | None:
        self.settings.require("matrix")
        token = await self.secret("MATRIX_SYNC_ACCESS_TOKEN")

        async def make() -> Chat:
            return self._signed_in(token)

        return await self._kept_with("watcher", token, make) if token else None

    def _signed_in(self, token: str) -> MatrixChat:
        from shared.adapters.matrix import MatrixChat

        chat = MatrixChat(
            self.settings["MATRIX_HOMESERVER"],
            token,
            self.settings["MATRIX_USER_ID"],
            ca_bundle=self.settings["MATRIX_CA_BUNDLE"] or None,
            verify=not self.settings["MATRIX_DISABLE_SSL_VERIFICATION"],
        )
        return self._watched("matrix", chat)

    async def _kept_with(self, name: str, secret: str, make: Callable[[], Awaitable[T]]) -> T:
        """For as long as the secret stays what it is: a new version of it takes effect without a new instance. The
        client of the old one is left to the requests that still use it."""
        return await self.remember(f"{name} {hash(secret)}", FOREVER, make)

    # -- what is traced

    @cached_property
    def tracer(self) -> Tracer | None:
        """None while tracing is off: then nothing of OpenTelemetry is imported, and no port is wrapped."""
        if self.settings["TRACING"] == "off":
            return None
        from shared.adapters.cloud_trace import Tracer, exporter

        endpoint, project = self.settings["TRACING_ENDPOINT"], self.settings["GOOGLE_CLOUD_PROJECT"]
        service, version = os.environ.get("K_SERVICE") or "muster", os.environ.get("K_REVISION") or "local"
        resource = {"gcp.project_id": project, "service.name": service, "service.version": version}
        return Tracer(lambda: exporter(endpoint), resource)

    def _watched(self, neighbour: str, port: T) -> T:
        """The port, each call of which is a span where tracing is on."""
        if self.tracer is None:
            return port
        from shared.adapters.cloud_trace import Traced

        return cast("T", Traced(port, neighbour, self.tracer))

    # -- who may call

    @cached_property
    def limiter(self) -> Limiter:
        from shared.services.permits import Limiter

        return Limiter(self)

    @cached_property
    def invokers(self) -> InvokerTokens:
        """Checks the OIDC tokens of Cloud Tasks and Cloud Scheduler."""
        from shared.adapters.jwt import InvokerTokens, KeySet

        keys = KeySet(self.settings["TASKS_OIDC_JWKS"], neighbour="tasks")
        return InvokerTokens(keys, self.settings["TASKS_OIDC_ISSUER"])

    @cached_property
    def _authentik_keys(self) -> KeySet:
        from shared.adapters.jwt import KeySet

        issuer: str = self.settings["AUTHENTIK_ISSUER"]
        return KeySet(f"{issuer.rstrip('/')}/jwks/", self.settings["AUTHENTIK_CA_BUNDLE"] or None)

    async def access_claims(self, token: str) -> dict[str, Any]:
        """Of an access token of Authentik: RS256, issuer, audience and authorized party pinned; `scope` is
        required, since an ID token has all the rest. Raises `Unauthenticated`."""
        from shared.adapters.jwt import verify

        issuer, client = self.settings["AUTHENTIK_ISSUER"], self.settings["AUTHENTIK_CLIENT_ID"]
        required = ("exp", "sub", "scope")
        claims = await verify(
            token, self._authentik_keys, issuer=issuer, audience=client, authorized_party=client, required=required
        )
        return dict(claims)


FOREVER = 10 * 365 * 86_400.0
QUEUES = {
    "invite_to_room": "INVITES",
    "remove_from_indoc": "MESSAGES",
    "deliver_welcome": "MESSAGES",
    "remove_from_room": "MESSAGES",
    "set_power_level": "MESSAGES",
    "apply_plan": "MESSAGES",
    "send_message": "BROADCASTS",
    "update_account": "ACCOUNTS",
    "sync_directory": "ACCOUNTS",
}
"""A queue per limit of what is downstream."""

OBJECTS = 50_000
"""Made between two looks for garbage. Whatever an entry point imports stays, and to look through it after every 700
objects, as Python does unless told, was a tenth of the CPU of a cold start."""

_wirings: WeakKeyDictionary[asyncio.AbstractEventLoop, Wiring] = WeakKeyDictionary()


def wiring() -> Wiring:
    """That of the running event loop, made from the environment at the first request."""
    loop = asyncio.get_running_loop()
    if loop not in _wirings:
        gc.set_threshold(OBJECTS)
        _wirings[loop] = factory(Settings(os.environ))
    return _wirings[loop]


factory: Callable[[Settings], Wiring] = Wiring
"""The embedded stack's fault injection puts its own here."""
