"""What a plan is made from and what it is made of: who is where, the rules, and lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol

from msgspec import Struct, field

from shared.domain.bundles import Bundle
from shared.domain.records import Record

IN = ("join", "invite")
"""Who is that needs no invite."""
INSIDE = (*IN, "knock")
"""Memberships that a removal takes away."""

Action = Literal["invite", "join", "remove", "level", "keep"]


class Levels(Protocol):
    """Everybody's power in a room: `shared.ports.Levels`."""

    @property
    def default(self) -> int: ...
    @property
    def invite(self) -> int: ...
    @property
    def kick(self) -> int: ...
    @property
    def change(self) -> int: ...
    def of(self, user_id: str) -> int: ...


class Entry(Protocol):
    """Who may join a room: `shared.ports.Entry`."""

    @property
    def rooms(self) -> tuple[str, ...]: ...
    def by(self, space: str) -> bool: ...


class Place(Protocol):
    """A room as it is. `kind`: "m.space" for a space."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def entry(self) -> Entry: ...
    @property
    def levels(self) -> Levels: ...


class Person(Struct, frozen=True):
    """`groups`: of Authentik, by name and by uuid. `bundles`: given by an invite or an admin. Who is not `active` has
    no bundle at all. `onboarding`: the id of theirs, whether or not it ever began."""

    matrix_id: str
    username: str
    groups: frozenset[str] = frozenset()
    bundles: frozenset[str] = frozenset()
    active: bool = True
    onboarding: str = ""


class Community(Protocol):
    """Who is where. `rooms`: those of the bot, at least all that bundles name, and the spaces by which they are
    entered."""

    @property
    def rooms(self) -> Mapping[str, Place]: ...
    @property
    def people(self) -> Sequence[Person]: ...
    def members_of(self, room_id: str) -> Mapping[str, str]:
        """User to "join", "invite" or "knock"; who has left or is banned may be missing."""
        ...


class Rules(Struct, frozen=True):
    """`membership`: "invite" or "join". `everybodys`: rooms that every member gets, which nobody is removed from.
    `protected`: Matrix ids, and `protected_groups`, of whom nobody is removed."""

    bot: str
    membership: Literal["invite", "join"] = "invite"
    everybodys: frozenset[str] = frozenset()
    protected: frozenset[str] = frozenset()
    protected_groups: frozenset[str] = frozenset()

    def joins(self, matrix_id: str) -> bool:
        """Only the bot's own homeserver can join its users."""
        return self.membership == "join" and matrix_id.partition(":")[2] == self.bot.partition(":")[2]


class Line(Struct, frozen=True):
    """`before` and `after`: memberships, or levels as text. `keep`: nothing to do, and why it is not done.
    `onboarding`: by which the member is looked at again when the plan is applied."""

    id: str
    action: Action
    matrix_id: str
    username: str
    room_id: str
    room: str
    before: str
    after: str
    reason: str
    onboarding: str = ""


class Scope(Struct, frozen=True):
    """What a plan is limited to; empty: no limit."""

    bundles: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    matrix_ids: frozenset[str] = frozenset()

    def has(self, person: Person) -> bool:
        wanted = not self.matrix_ids or person.matrix_id in self.matrix_ids
        return wanted and (not self.groups or bool(self.groups & person.groups))

    def covers(self, bundles: Iterable[Bundle]) -> bool:
        return not self.bundles or any(bundle.id in self.bundles for bundle in bundles)


class Plan(Record, frozen=True, kw_only=True):
    """As it was computed at `created_at`; its lines are kept beside it, in parts of these `sizes`. `revisions`: of the
    bundles that it was made from. `counts` and `applied`: lines by action. `notes`: for whoever reads it, such as
    how long the homeserver's limits make it take. `job` applies it, `undo_job` takes back what was done, until
    `undo_until`. `request`, `applied_as`: digests, to tell a repeat."""

    id: str
    actor: str
    created_at: datetime
    expire_at: datetime
    bundles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    matrix_ids: tuple[str, ...] = ()
    revisions: dict[str, int] = field(default_factory=dict)
    people: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()
    request: str = ""
    job: str = ""
    applied_at: datetime | None = None
    applied_as: str = ""
    applied: dict[str, int] = field(default_factory=dict)
    undo_until: datetime | None = None
    undo_job: str = ""
    undone_at: datetime | None = None

    @property
    def total(self) -> int:
        return sum(self.sizes)
