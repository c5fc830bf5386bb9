"""What the services need from outside, named for that need. `shared.adapters` implements it.

Every method is a coroutine, has a time limit of its own and raises only `shared.domain.errors`:
`Unreachable` when no usable answer came (refused, timed out, 5xx, not JSON), `Limited` on 429,
`Refused` when the neighbour says no for good, `NotFound` and `Invalid` as their names say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

from msgspec import Struct, field

if TYPE_CHECKING:
    from shared.domain.devices import Device, Distrusted, Messages, Opened, RoomKey, Sealed
    from shared.domain.templates import Rendered, Value

Data = dict[str, Any]
"""A document's content: JSON values, plus aware UTC datetimes (kept to the microsecond) and bytes."""


# ------------------------------------------------------------------ Documents


class Document(Struct, frozen=True):
    """`path` is "collection/id[/collection/id]"; `version` changes with every write."""

    path: str
    data: Data
    version: str

    @property
    def id(self) -> str:
        return self.path.rpartition("/")[2]


class Create(Struct, frozen=True):
    """Fails if the document exists (an expired one does not)."""

    path: str
    data: Data


class Replace(Struct, frozen=True):
    """Fails unless the document still has this version (compare-and-set)."""

    path: str
    data: Data
    version: str


class Put(Struct, frozen=True):
    """Writes whatever was there before. Only where the last writer may win."""

    path: str
    data: Data


class Increment(Struct, frozen=True):
    """Adds to a number, making document and field when they are absent. Never loses one."""

    path: str
    field: str
    amount: int = 1


class Delete(Struct, frozen=True):
    """With a version: fails unless it still holds. Without: deleting nothing is fine."""

    path: str
    version: str | None = None


Write = Create | Replace | Put | Increment | Delete
Op = Literal["==", "<", "<=", ">", ">=", "in", "array_contains"]


class Query(Struct, frozen=True):
    """`collection` is "invites" or "onboardings/x/steps"; with `group`, every collection of that
    last name. `where`: (field, op, value), dotted names reach into maps. `order`: a field, with
    a leading "-" for descending; ties are broken by path. A document without the `order` field
    is not found. `cursor`: the `next_cursor` of the page before."""

    collection: str
    where: Sequence[tuple[str, Op, Any]] = ()
    order: str = ""
    limit: int = 50
    cursor: str | None = None
    group: bool = False


class Page(Struct, frozen=True):
    """`next_cursor` is None on the last page."""

    items: Sequence[Document]
    next_cursor: str | None


class Documents(Protocol):
    """Documents with a version each. A document whose `expire_at` (a datetime) has passed is
    gone: not got, not found, and may be created anew, whether or not it was swept away yet."""

    async def get(self, path: str) -> Document | None: ...

    async def get_many(self, paths: Sequence[str]) -> list[Document | None]:
        """In the order asked, in one round trip."""
        ...

    async def write(self, *writes: Write) -> list[str]:
        """All or nothing, at most 500; answers the new versions ("" for a deletion). Raises `Outpaced`
        when a precondition does not hold."""
        ...

    async def query(self, query: Query) -> Page:
        """Raises `Invalid` on the field `cursor` for a cursor that is not from this query."""
        ...

    async def count(self, query: Query) -> int:
        """How many documents match `where`, whatever the limit and cursor. One that has expired may still
        be counted until it is swept away: leaving it out would ask for one more index per query."""
        ...

    async def close(self) -> None: ...


# ------------------------------------------------------------------ TaskQueue


class Task(Struct, frozen=True):
    """`payload` carries ids, never data. `name`: letters, digits, "-" and "_"; a name is accepted
    once and then blocked for up to 24 h. `at`: not before (None: now). `traceparent`: the W3C's header, which
    its delivery is to carry; "": none."""

    entry_point: str
    name: str
    payload: Mapping[str, Any]
    at: datetime | None = None
    traceparent: str = ""


class TaskQueue(Protocol):
    async def enqueue(self, *tasks: Task) -> int:
        """All of them side by side; answers how many were new. A name used before counts as
        enqueued. Raises `Unreachable` when any could not be handed over (the others were)."""
        ...

    async def check(self) -> list[Finding]:
        """For the self-check: does each queue exist, may we enqueue?"""
        ...

    async def close(self) -> None: ...


# ------------------------------------------------------------------ Directory (Authentik)


class Invitation(Struct, frozen=True):
    """`pk` is the code in the link."""

    pk: str
    name: str
    link: str
    expires_at: datetime | None


class Group(Struct, frozen=True):
    """`superuser`: its members, by itself or by a parent, are superusers."""

    pk: str
    name: str
    superuser: bool


class Account(Struct, frozen=True):
    """An Authentik user. `pk` for the API, `uid` (64 hex) the OIDC subject."""

    pk: int
    uid: str
    username: str
    name: str
    email: str
    active: bool
    superuser: bool = False
    attributes: Data = field(default_factory=dict)
    groups: Sequence[str] = ()
    group_pks: Sequence[str] = ()
    path: str = ""
    joined_at: datetime | None = None
    last_login: datetime | None = None
    updated_at: datetime | None = None


class Accounts(Struct, frozen=True):
    """One page; `next_page` is None on the last."""

    items: Sequence[Account]
    next_page: int | None
    total: int


class Finding(Struct, frozen=True):
    """One line of the self-check: what was looked at, whether it is well, what to do if not. `command`: what of the fix
    can be copied: for a shell, or for a Matrix client where it begins with a slash."""

    name: str
    ok: bool
    detail: str
    fix: str = ""
    command: str = ""


class Directory(Protocol):
    """Accounts, groups and invitations. 403 (Authentik's answer to any bad credential) raises
    `Refused`; its 405 with an HTML body is a passing fault and raises `Unreachable`."""

    async def create_invitation(self, name: str, expires_at: datetime, fixed_data: Data) -> Invitation:
        """For the enrollment flow of the settings, never `single_use` (see facts: it would be
        used up by the first look)."""
        ...

    async def find_invitation(self, name: str) -> Invitation | None:
        """By exact name: one that was made, and whose answer we never saw."""
        ...

    async def invitation(self, pk: str) -> Invitation | None:
        """By the code in its link, whoever made it; None when there is none."""
        ...

    async def update_invitation(self, pk: str, expires_at: datetime, fixed_data: Data) -> Invitation:
        """Also makes one of another tool good for more than one look. Raises `NotFound`."""
        ...

    async def delete_invitation(self, pk: str) -> None:
        """Deleting one that is gone is fine."""
        ...

    async def account(self, pk: int) -> Account:
        """Raises `NotFound`."""
        ...

    async def account_named(self, username: str) -> Account | None:
        """By exact, case-sensitive username."""
        ...

    async def account_marked(self, attribute: str, value: str) -> Account | None:
        """The one whose attribute has this value."""
        ...

    async def accounts(
        self,
        *,
        search: str = "",
        active: bool | None = None,
        group: str = "",
        joined_after: datetime | None = None,
        updated_after: datetime | None = None,
        page: int = 1,
        size: int = 50,
    ) -> Accounts:
        """Ordered by `date_joined`, oldest first. A page that is out of range is empty. `updated_after`: those whose
        own row was written later; coming into a group, leaving one or logging in does not count as that."""
        ...

    async def create_account(self, *, username: str, name: str, email: str, attributes: Data) -> Account:
        """Raises `Conflict` when the username is taken, `Invalid` naming any other bad field."""
        ...

    async def update_account(
        self,
        pk: int,
        *,
        name: str | None = None,
        email: str | None = None,
        username: str | None = None,
        active: bool | None = None,
        attributes: Data | None = None,
    ) -> Account:
        """`attributes` are merged into what is there (a None value removes its key): Authentik
        itself replaces the whole map, so this reads first."""
        ...

    async def delete_account(self, pk: int) -> None:
        """Deleting one that is gone is fine."""
        ...

    async def recovery_link(self, pk: int) -> str | None:
        """None where the brand has no recovery flow."""
        ...

    async def set_password(self, pk: int, password: str) -> None: ...

    async def groups(self) -> list[Group]:
        """All of them, with `superuser` resolved through the parents."""
        ...

    async def add_to_group(self, group_pk: str, account_pk: int) -> None:
        """Adding a member again is fine."""
        ...

    async def remove_from_group(self, group_pk: str, account_pk: int) -> None: ...

    async def enrolled_by_flow(self, username: str) -> bool:
        """Whether Authentik's event log says that our enrollment flow created this account."""
        ...

    async def check(self) -> list[Finding]:
        """For the self-check: token and each scope, flow with its invitation stage, recovery flow,
        admin group, webhook transport and rule, clock; and sign-in to the admin page."""
        ...

    async def close(self) -> None: ...


# ------------------------------------------------------------------ Chat (Matrix)


CREATOR = 2**53
"""A creator's power in rooms of version 12 and later: above any level that can be written down."""


class Membership(Struct, frozen=True):
    """`state`: "join", "invite", "leave", "ban" or "knock"."""

    state: str
    display_name: str | None = None


class Power(Struct, frozen=True):
    """Our level in a room, what the room asks for, and the target's level if one was named.
    A creator of a version 12 room has 2**53 (more than any level can say)."""

    ours: int
    invite: int
    kick: int
    events_default: int
    target: int = 0

    def needs(self, *, indoc: bool) -> dict[str, int]:
        """What Muster does in a room, and the level that the room asks for it."""
        return {"inviting": self.invite} | ({"removing": self.kick, "writing": self.events_default} if indoc else {})

    def lacking(self, *, indoc: bool) -> int | None:
        """The level that would be enough, None when ours is."""
        return max((level for level in self.needs(indoc=indoc).values() if level > self.ours), default=None)


class Levels(Struct, frozen=True):
    """Everybody's power in a room: who has none of their own has `default`. `creators` (from room version 12 on) are
    above every level, and cannot be given one."""

    users: Mapping[str, int]
    default: int = 0
    creators: frozenset[str] = frozenset()
    invite: int = 0
    kick: int = 50
    change: int = 50

    def of(self, user_id: str) -> int:
        return CREATOR if user_id in self.creators else self.users.get(user_id, self.default)


class Entry(Struct, frozen=True):
    """Who may join a room: `rule` as in m.room.join_rules; `rooms`: with "restricted" (or "knock_restricted"), members
    of these rooms or spaces may, by themselves."""

    def by(self, space: str) -> bool:
        return self.rule in ("restricted", "knock_restricted") and space in self.rooms

    rule: str = "invite"
    rooms: tuple[str, ...] = ()


class Room(Struct, frozen=True):
    """What a room says of itself; `kind` is "" or "m.space". `replaced_by`: the room that it was upgraded to, where
    whoever read it has looked."""

    room_id: str
    name: str
    topic: str = ""
    alias: str = ""
    encrypted: bool = False
    members: int = 0
    kind: str = ""
    join_rule: str = ""
    replaced_by: str = ""


class StateEvent(Struct, frozen=True, gc=False):
    """One piece of a room's state, of a kind that Muster reads. `content` holds what Muster reads of it, in the shapes
    of the specification (shared, so never to be changed), and is empty where somebody took the piece back:

    m.room.create                `creator`, `additional_creators`, `room_version`, `type`, `predecessor`
    m.room.name, .topic          `name`, `topic`
    m.room.canonical_alias       `alias`
    m.room.encryption            `algorithm`
    m.room.join_rules            `join_rule`, `allow`
    m.room.power_levels          `users`, `users_default`, `invite`, `kick`, `ban`, `state_default`, `events`,
                                 `events_default`; levels are whole numbers, an absent one has the default
    m.room.member                `membership`, always; `state_key` is the user
    m.room.tombstone             `replacement_room`
    m.space.parent, .child       `via`, `canonical`, `suggested`, `order`; `state_key` is the other room

    `at`: when the sender's homeserver says that it was sent, in ms since 1970; 0: it does not say."""

    type: str
    state_key: str
    content: Mapping[str, Any]
    at: int = 0


class Changes(Struct, frozen=True):
    """What changed behind a position. `rooms`: for each room in which something did, its events in the order in which
    they count: of two of the same type and state key the later one holds. A room that the bot has entered has all of
    its state. `left`: rooms that the bot is not in any more."""

    position: str
    rooms: Mapping[str, Sequence[StateEvent]] = {}
    left: frozenset[str] = frozenset()


class Resident(Struct, frozen=True):
    """Somebody who has joined a room. `since`: when their membership was last written, which a new display name does
    too. `power`: their level there."""

    user_id: str
    name: str
    since: datetime
    power: int


class Identity(Struct, frozen=True):
    """Who our access token is. A transaction id counts per device."""

    user_id: str
    device_id: str


class Chat(Protocol):
    """One bot on one homeserver. Never sleeps on a 429: raises `Limited`. `Refused.code` holds
    the homeserver's errcode. A room is given by its id."""

    async def whoami(self) -> Identity:
        """Asked once, then remembered for the life of the client."""
        ...

    async def resolve(self, alias: str) -> str | None:
        """The room id behind an alias, None when there is none."""
        ...

    async def invite(self, room_id: str, user_id: str) -> None:
        """One call. Raises `Refused` (M_FORBIDDEN also when they have joined already)."""
        ...

    async def kick(self, room_id: str, user_id: str, reason: str) -> None: ...

    async def membership(self, room_id: str, user_id: str) -> Membership | None:
        """None when they were never there. Raises `Refused` when the bot may not look."""
        ...

    async def has_profile(self, user_id: str) -> bool:
        """False: nobody of that id has ever logged in (or their server hides it)."""
        ...

    async def power(self, room_id: str, target: str = "") -> Power: ...

    async def levels(self, room_id: str) -> Levels:
        """As `power`, of everybody."""
        ...

    async def set_power(self, room_id: str, user_id: str, level: int) -> int:
        """Gives one member this level and leaves everything else as it is; answers the level before. Somebody else's
        change at the same moment is kept, ours made again. Raises `Refused`: for who is at or above the bot, for a
        level above the bot's own, and where the room does not let the bot."""
        ...

    async def entry(self, room_id: str) -> Entry: ...

    async def members(self, room_id: str) -> dict[str, str]:
        """Who has joined or is invited: user to "join" or "invite". One call."""
        ...

    async def join_member(self, room_id: str, user_id: str) -> None:
        """Into the room at once, without an invite to accept: only where the bot is an admin of the homeserver, only
        for its own users. Again is fine. Raises `Refused`, `NotFound` where that is not so."""
        ...

    async def may_join_members(self) -> bool:
        """Whether the bot is an admin of the homeserver."""
        ...

    async def unlimited(self) -> bool | None:
        """Whether the limits on invites are lifted for the bot; None where it may not look."""
        ...

    async def is_encrypted(self, room_id: str) -> bool:
        """From the room's own state, every time."""
        ...

    async def send(self, room_id: str, content: Data, transaction_id: str) -> str:
        """An m.room.message; answers the event id. The same transaction id from the same device
        within 24 h is one event."""
        ...

    async def find_sent(self, room_id: str, key: str, value: str) -> str | None:
        """The event id of our own message whose content has `key` = `value`, among the latest 200
        events of the room; for a retry whose transaction id no longer protects."""
        ...

    async def create_direct_room(
        self, alias_localpart: str, invitee: str, name: str, *, encrypted: bool = False
    ) -> str:
        """A private room under that alias, `is_direct`, with the invitee invited in the same call
        (preset private_chat, so the invitee gets no power). Raises `Conflict` when the alias is
        taken: then resolve and check it."""
        ...

    async def invite_directly(self, room_id: str, user_id: str) -> None:
        """As `invite`, marked `is_direct` so that clients list it under people."""
        ...

    async def joined_rooms(self) -> list[str]: ...

    async def room(self, room_id: str) -> Room: ...

    async def rooms(self, limit: int = 1000) -> list[Room]:
        """Every room the bot is in: by the admin API in few calls where allowed, else by state
        reads with a bound on how many at once. Ordered by name."""
        ...

    async def rooms_of(self, user_id: str) -> list[Room]:
        """Live: which of the bot's rooms a member has joined. One call and names where the admin API
        allows it, else the bot's rooms concurrently with a bound."""
        ...

    async def residents(self, room_id: str) -> list[Resident]:
        """Everybody who has joined, the bot among them, in the order of `since`. Two calls, however many they are.
        Raises `Refused` when the bot may not look."""
        ...

    async def joined_among(self, user_id: str, rooms: Sequence[str]) -> set[str]:
        """Live: which of these rooms of the bot a member has joined. One call where the admin API allows it, else one
        for each room, with a bound on how many at once."""
        ...

    async def state(self, room_id: str) -> list[StateEvent]:
        """All of a room's state that Muster reads. One call. Raises `Refused` (M_FORBIDDEN) when the bot is not in."""
        ...

    async def changes(self, since: str | None) -> Changes:
        """What changed behind the position `since`; None: no rooms, and the present position. One `/sync` that does not
        wait. It tells this device's messages away (see `Keys.sync`): never on the device that sends. The same
        position asked for again within two minutes may be answered as it was then. Raises `Refused` (code "POSITION")
        when the homeserver does not know the position: then everything has to be read anew."""
        ...

    async def direct_rooms(self) -> dict[str, list[str]]:
        """The bot's m.direct account data: member to room ids."""
        ...

    async def set_direct_rooms(self, rooms: dict[str, list[str]]) -> None:
        """Replaces m.direct. Only the one writer may call it."""
        ...

    async def check(self, rooms: Sequence[str], indoc: str) -> list[Finding]:
        """For the self-check: the token and its user, the limiter's override, clock, and per room
        membership and the power to invite (in `indoc`: to kick and to write as well)."""
        ...

    async def close(self) -> None: ...


# ------------------------------------------------------------------ Secrets


class Secrets(Protocol):
    async def read(self, name: str) -> str:
        """`name`: projects/*/secrets/*/versions/*. Remembered for a while, then read anew.
        Raises `Misconfigured` when it is missing or refused."""
        ...

    async def close(self) -> None: ...


# ------------------------------------------------------------------ Keys (Matrix, end-to-end encryption)


class Keys(Protocol):
    """The homeserver's part in encryption, as the specification shapes it; `Data` is its raw JSON. The same
    client as `Chat`. Raises as `Chat` does."""

    async def whoami(self) -> Identity: ...

    async def members(self, room_id: str) -> dict[str, str]:
        """Who has joined or is invited: user to "join" or "invite". One call."""
        ...

    async def query_keys(self, users: Sequence[str]) -> Data:
        """POST keys/query: `device_keys`, `master_keys`, `self_signing_keys`, `failures`. One call."""
        ...

    async def claim_keys(self, wanted: Mapping[str, Sequence[str]]) -> Data:
        """POST keys/claim of `signed_curve25519` for each device of each user: `one_time_keys`, `failures`."""
        ...

    async def send_to_device(
        self, event_type: str, messages: Mapping[str, Mapping[str, Data]], transaction_id: str
    ) -> None:
        """PUT sendToDevice: user to device to content. Once per transaction id and device."""
        ...

    async def send_event(self, room_id: str, event_type: str, content: Data, transaction_id: str) -> str: ...

    async def upload_keys(self, body: Data) -> Data: ...

    async def upload_signing_keys(self, body: Data) -> None:
        """POST keys/device_signing/upload. `Refused` with code "UIA" when a password is asked for."""
        ...

    async def upload_signatures(self, body: Data) -> Data:
        """Answers `failures`, which is empty when all were taken."""
        ...

    async def account_data(self, event_type: str) -> Data | None: ...

    async def set_account_data(self, event_type: str, content: Data) -> None: ...

    async def sync(self, since: str | None, timeline: bool, not_rooms: Sequence[str] = ()) -> Data:
        """One `/sync` that does not wait. Deletes to-device events before `since` on the homeserver: only
        the reader of this device may call it. With `timeline`: what others said, encrypted or not, and who came
        and went, in the bot's rooms but `not_rooms`; else no rooms at all. `next_batch` is always there."""
        ...

    async def page_back(self, room_id: str, start: str, stop: str) -> Data:
        """What a `limited` timeline of `sync` left out: `chunk`, newest first, from its `prev_batch` towards the
        `since` of that sync, and `end`, the next `start`, absent once there is no more. One call."""
        ...


class Sealer(Protocol):
    """The bot's device: one immutable account. No I/O; what it makes is stored before it is sent."""

    @property
    def user_id(self) -> str: ...
    @property
    def device_id(self) -> str: ...

    def devices_of(self, answer: Data, users: Sequence[str]) -> tuple[list[Device], list[Distrusted]]: ...

    def claimed(self, answer: Data, devices: Sequence[Device]) -> tuple[dict[Device, str], list[Distrusted]]: ...

    def seal(self, room_id: str, event_type: str, content: Data, keys: Mapping[Device, str]) -> Sealed: ...

    def share(
        self, room_id: str, session: str, session_id: str, keys: Mapping[Device, str]
    ) -> tuple[Messages, dict[str, str]]: ...

    def open_to_device(self, event: Data, sessions: Mapping[str, str]) -> Opened:
        """`sessions`: kept Olm sessions with the sender's device, under any names, the latest last. Changes nothing.
        Raises `Invalid` for what is malformed or not for us, `Refused` (code "SESSION") when nothing opens it."""
        ...

    def open_event(self, room_id: str, event: Data, keys: Mapping[str, RoomKey]) -> Data:
        """{"type", "content"} of an m.room.encrypted. `keys`: by session id. Raises as `open_to_device` does."""
        ...

    def lock(self, text: str, about: str) -> str:
        """For what is private and has to be kept: opened by `unlock` alone, with the same `about`."""
        ...

    def unlock(self, locked: str, about: str) -> str:
        """Raises `Refused` (code "LOCKED") for what was not locked with this key, about this."""
        ...


class Opener(Protocol):
    """Opens what `Sealer.lock` has locked, and can do nothing else."""

    def unlock(self, locked: str, about: str) -> str:
        """As `Sealer.unlock`."""
        ...


# ------------------------------------------------------------------ TextIndex


class TextIndex(Protocol):
    """Passages of a few short texts each (`shared.domain.recommending.Passage`), found by words: whole words; accents,
    case and English endings aside. In memory, for any thread; no I/O, so nothing here is a coroutine. Whatever a text
    holds is looked for, never understood as a query."""

    @property
    def total(self) -> int: ...

    def stems(self, texts: Sequence[str]) -> list[tuple[str, ...]]:
        """Under which a text's words are kept: texts with the same stems are the same to the index."""
        ...

    def known(self, stem: str) -> int:
        """How many passages have it."""
        ...

    def has(self, phrase: str) -> bool:
        """Whether any passage has these words one after the other."""
        ...

    def find(self, phrase: str, columns: Sequence[str] = ()) -> dict[str, float]:
        """Key to strength, above 0 and up to 1: BM25 without its rarity, by the columns' weights. In `columns` alone
        where they are named."""
        ...

    def shown(self, key: str, phrase: str) -> dict[str, list[tuple[int, str]]]:
        """Where it stands in that passage: column to line (from 0) and spelling of each place."""
        ...


# ------------------------------------------------------------------ Renderer


class Renderer(Protocol):
    """From a template to a message. In memory and bounded in time and size, so nothing here is a coroutine. No value is
    ever read as Markdown, HTML or template: it can add no tag, no link and no mention."""

    def render(self, source: str, values: Mapping[str, Value]) -> Rendered:
        """A known variable without a value is empty. Raises `Invalid` on the field `source`, with the line where there
        is one: for what is no template, a variable that nothing is known for, and what becomes too long."""
        ...

    def variables(self, source: str) -> frozenset[str]:
        """Those that it names. Raises `Invalid` as `render` does, but for variables."""
        ...
