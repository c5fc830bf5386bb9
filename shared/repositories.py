"""Records in their collections: written once, above `Documents`.

`QUERIES` lists every query that needs a composite index; Terraform's lists are held against it and its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from shared.domain.audit import Audit
from shared.domain.broadcasts import Message
from shared.domain.bundles import Bundle
from shared.domain.errors import NotFound
from shared.domain.invites import Invite
from shared.domain.jobs import Job
from shared.domain.onboarding import Onboarding, Step
from shared.domain.records import Record
from shared.ports import Create, Document, Documents, Op, Query, Replace

R = TypeVar("R", bound=Record)


class Stored(Struct, Generic[R], frozen=True):
    """A record as it was read: `version` is the precondition of its next write."""

    record: R
    path: str
    version: str

    def replaced(self, record: R) -> Replace:
        return Replace(self.path, record.data(), self.version)


class Listing(Struct, Generic[R], frozen=True):
    items: Sequence[R]
    next_cursor: str | None
    total: int


class Repository(Struct, Generic[R], frozen=True):
    collection: str
    type: type[R]
    noun: str

    def path(self, id: str) -> str:  # noqa: A002 - it is the id
        return f"{self.collection}/{id}"

    def stored(self, document: Document) -> Stored[R]:
        return Stored(self.type.of(document.data), document.path, document.version)

    def create(self, record: R, id: str) -> Create:  # noqa: A002 - it is the id
        return Create(self.path(id), record.data())

    async def find(self, documents: Documents, id: str) -> Stored[R] | None:  # noqa: A002 - it is the id
        document = await documents.get(self.path(id)) if usable_id(id) else None
        return self.stored(document) if document else None

    async def get(self, documents: Documents, id: str) -> Stored[R]:  # noqa: A002 - it is the id
        """Raises `NotFound`."""
        found = await self.find(documents, id)
        if found is None:
            raise NotFound(f"there is no {self.noun} {id!r}", f"List them: GET /api/{self.collection}.")
        return found

    async def list(
        self,
        documents: Documents,
        where: Sequence[tuple[str, Op, Any]] = (),
        order: str = "-created_at",
        limit: int = 50,
        cursor: str | None = None,
    ) -> Listing[R]:
        query = Query(self.collection, where, order, limit, cursor)
        page = await documents.query(query)
        total = await documents.count(query)
        return Listing([self.stored(item).record for item in page.items], page.next_cursor, total)


def usable_id(text: str) -> bool:
    """What a caller writes into a URL may be no document's id at all."""
    reserved = text in (".", "..") or (text.startswith("__") and text.endswith("__"))
    return bool(text) and "/" not in text and not reserved and len(text) <= 200 and text.isprintable()


INVITES = Repository("invites", Invite, "invite")
ONBOARDINGS = Repository("onboardings", Onboarding, "onboarding")
JOBS = Repository("jobs", Job, "job")
BUNDLES = Repository("bundles", Bundle, "bundle")
MESSAGES = Repository("messages", Message, "message")
AUDIT = Repository("audit", Audit, "audit record")

QUERIES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("invites", ("closed", "expires_at")),
    ("invites", ("closed", "-created_at")),
    ("onboardings", ("state", "-created_at")),
    ("jobs", ("state", "-created_at")),
    ("jobs", ("part_of", "-created_at")),
    ("jobs", ("part_of", "state", "-created_at")),
    ("jobs", ("target", "-created_at")),
    ("indoc", ("state", "-created_at")),
    ("audit", ("target", "-at")),
    ("audit", ("actor", "-at")),
    ("audit", ("action", "-at")),
    ("audit", ("outcome", "-at")),
    ("letters", ("matrix_id", "-created_at")),
    ("letters", ("room_id", "-created_at")),
    ("replies", ("matrix_id", "-at")),
    ("sent", ("matrix_id", "-at")),
    ("steps", ("state", "updated_at")),
)


GROUP_FIELDS: tuple[tuple[str, str], ...] = (
    ("steps", "due_at"),
    ("steps", "waits_for"),
    ("steps", "state"),
    ("steps", "matrix_id"),
)
"""Fields that are asked for across all collections of a name: Firestore indexes those only when told."""
EXPIRING: tuple[str, ...] = (
    "leases", "lines", "permits", "plans", "proactive", "replies", "room_keys", "sent", "suggestions", "to_device",
)  # fmt: skip
"""Collections whose documents have an `expire_at`, after which Firestore sweeps them away when told (a TTL)."""

UNASKED: tuple[tuple[str, str], ...] = (
    ("cache", "packed"),
    ("lines", "packed"),
    ("syncs", "progress"),
    ("syncs", "shards"),
)
"""Large fields that no query asks for: Firestore indexes them nowhere when told."""


async def steps_of(documents: Documents, parent: str) -> list[Stored[Step]]:
    """All steps of an onboarding or a job, in the order of their names."""
    found = await every(documents, Query(f"{parent}/steps"))
    return [Stored(Step.of(item.data), item.path, item.version) for item in found]


async def every(documents: Documents, query: Query) -> list[Document]:
    """All pages of a query whose answer is known to be small enough to hold."""
    items: list[Document] = []
    following = replace(query, limit=200)
    while True:
        page = await documents.query(following)
        items += page.items
        if page.next_cursor is None:
            return items
        following = replace(following, cursor=page.next_cursor)


def audit_write(record: Audit) -> Create:
    return AUDIT.create(record, record.id)
