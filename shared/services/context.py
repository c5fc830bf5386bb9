"""What every use case is given: the ports, the clock, chance, and the community's policy."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from msgspec import Struct

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
    TaskQueue,
    TextIndex,
)

if TYPE_CHECKING:
    from shared.domain.recommending import Passage

T = TypeVar("T")
log = logging.getLogger("muster")


class Terms(Struct, frozen=True):
    """On which an assistant may be asked. `host`: who is told what somebody wrote of themselves."""

    host: str
    model: str
    monthly_tokens: int
    per_minute: int


class Policy(Struct, frozen=True):
    """The community's own choices, from the settings. `membership`: "invite", or "join" where the bot is an
    admin of the homeserver and members are joined at once. `protected`: Matrix ids that no plan removes. `bot`: its
    Matrix id. `proactive_a_day`: see `shared.services.limits`. `assistant`: None while there is none. `signal_room`:
    its management room with the Signal bridge, whose bot is `signal_bot`. `phone_region`: the country of a number
    that names none. `message_notice`: what stands below each message that members get without having asked for it."""

    domain: str
    indoc: str = ""
    default_rooms: tuple[str, ...] = ()
    default_group: str = ""
    auto_remove: bool = True
    welcome_delay: float = 5.0
    admin_group: str = ""
    grantable: tuple[str, ...] = ()
    encrypt: bool = False
    notice: bool = False
    puppets: tuple[str, ...] = ()
    membership: str = "invite"
    leave_after_join: bool = False
    clock: bool = False
    nudge_hours: float = 20.0
    remove_hours: float = 24.0
    protected: tuple[str, ...] = ()
    recommend_least: float = 20.0
    recommend_most: float = 100.0
    sync_authentik: float = 300.0
    sync_matrix: float = 300.0
    sync_full: float = 21_600.0
    sync_cooldown: float = 30.0
    bot: str = ""
    proactive_a_day: int = 3
    assistant: Terms | None = None
    signal_room: str = ""
    signal_bot: str = ""
    phone_region: str = ""
    message_notice: str = ""

    def sync_every(self, source: str) -> float:
        """Seconds from one sync of a source to the next."""
        return self.sync_authentik if source == "authentik" else self.sync_matrix


class Ports(Protocol):
    """`documents` and `queue` cost nothing until used. `directory` and `chat` are coroutines, because
    their credentials may have to be fetched first; both raise `Misconfigured` when they cannot be."""

    @property
    def documents(self) -> Documents: ...
    @property
    def queue(self) -> TaskQueue: ...
    @property
    def renderer(self) -> Renderer: ...
    @property
    def policy(self) -> Policy: ...
    @property
    def failures(self) -> dict[str, int]:
        """Consecutive failures of each neighbour, as this process saw them."""
        ...

    @property
    def under_way(self) -> set[str]:
        """Paths of the steps that this process has claimed, and of which it has not recorded what became of them."""
        ...

    async def directory(self) -> Directory: ...
    async def chat(self) -> Chat: ...
    async def watcher(self) -> Chat | None:
        """The same bot on a device of its own, for `Chat.changes`; None where it has none: then every room is read."""
        ...

    async def keys(self) -> Keys: ...
    async def sealer(self) -> Sealer: ...
    async def opener(self) -> Opener: ...
    async def assistant(self) -> Assistant:
        """Raises `Misconfigured` while there is none (`Policy.assistant`)."""
        ...

    async def post(self) -> Post | None:
        """None while e-mail is off: not set up, or by half. Raises `Misconfigured` where its secret cannot be read."""
        ...

    async def check_device(self) -> list[Finding]:
        """Whether token, account and device of the bot belong together, and the device is cross-signed."""
        ...

    def index(self, passages: Sequence[Passage], weights: Mapping[str, float]) -> TextIndex:
        """Of these passages and no others, each column by its weight. Takes a while for thousands of them."""
        ...

    def now(self) -> datetime: ...
    def chance(self) -> int:
        """128 random bits."""
        ...

    async def remember(self, key: str, seconds: float, find: Callable[[], Awaitable[T]]) -> T:
        """What was found, kept in this process for so long; 0: found anew whatever is kept."""
        ...


class Actor(Struct, frozen=True):
    """Who acts, for the audit: "key:ops", "user:ada", "authentik", "muster"; and from which address."""

    name: str
    source: str = ""


MUSTER = Actor("muster")


def whose(path: str) -> dict[str, str]:
    """What every line about a step or its parent says, by its path: the onboarding's or job's id, and the step's name.
    One query for that id is then a member's whole story."""
    collection, parent, *rest = path.split("/")
    name = "message_id" if collection == "messages" else collection.removesuffix("s")  # a line has a message of its own
    return {name: parent} | ({"step": rest[1]} if len(rest) > 1 else {})


def note(message: str, **fields: Any) -> None:
    """A line for the log that nobody must act on."""
    log.info(message, extra={"fields": fields})
