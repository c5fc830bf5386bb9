"""What was understood, brought into Muster: simulated, or for good. Each thing has an id that derives from what it
is, so a second run finds it and changes nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct, field, to_builtins

from legacy.accounts import Accounts
from legacy.categories import Draft
from legacy.reading import MatrixId, Note, OldInvite, Understood
from legacy.report import Entry
from shared.domain import ids
from shared.domain.audit import audit
from shared.domain.errors import MusterError
from shared.domain.invites import Invite
from shared.domain.members import member_id
from shared.ports import Account, Invitation
from shared.repositories import INVITES, audit_write
from shared.services import categories
from shared.services.context import Actor, Ports
from shared.services.enroll import MATRIX_ATTRIBUTE
from shared.services.invites import DEFAULT_HOURS, MAX_DAYS, reconcile
from shared.services.matrix_ids import vouch, vouched

NOTES = "notes"
"""The account's attribute: a list of `{id, text, by, at}`."""
ACTOR = Actor("import")


class Import(Struct):
    """One run. `apply`: False only looks. `taken`: Matrix ids of this run, to their owners."""

    ports: Ports
    accounts: Accounts
    apply: bool
    taken: dict[str, str] = field(default_factory=dict)

    async def run(self, understood: Understood) -> list[Entry]:
        """Never raises one of our errors: what failed is an entry, and the rest goes on."""
        entries = [
            await self._guarded("matrix id", one.who.words, one, self._matrix_id) for one in understood.matrix_ids
        ]
        entries += [await self._guarded("invite", _name(one), one, self._invite) for one in understood.invites]
        entries += [await self._guarded("note", one.who.words, one, self._note) for one in understood.notes]
        return entries

    async def _guarded(self, kind: str, key: str, what: Any, act: Callable[[Any], Awaitable[Entry]]) -> Entry:
        try:
            entry = await act(what)
        except MusterError as error:
            entry = Entry(kind, key, "failed", f"{error.cause} {error.fix}".strip())
        again = to_builtins(what) if entry.outcome in ("skipped", "failed") else {}
        return Entry(kind, key, entry.outcome, entry.reason, again)

    # -------------------------------------------------------------- Matrix ids

    async def _matrix_id(self, one: MatrixId) -> Entry:
        matrix_id, account = member_id(one.matrix_id), await self.accounts.find(one.who)
        if account is None:
            return _skipped(f"Authentik has nobody (or more than one) by the name {one.who.words}")
        if self.taken.setdefault(matrix_id, account.uid) != account.uid:
            return _skipped(f"{matrix_id} is somebody else's in the same import")
        known, named = await vouched(self.ports, account.uid), str(account.attributes.get(MATRIX_ATTRIBUTE) or "")
        if other := next((each for each in (known, named) if each and each != matrix_id), ""):
            return _skipped(f"they have another Matrix id already: {other}")
        if known and named:
            return Entry("", "", "unchanged")
        if self.apply:
            await vouch(self.ports, ACTOR, account.uid, matrix_id)
            await self._mark(account, {MATRIX_ATTRIBUTE: matrix_id})
        return Entry("", "", "made", f"{matrix_id} for {account.username}")

    async def _mark(self, account: Account, attributes: dict[str, Any]) -> None:
        directory = await self.ports.directory()
        self.accounts.replaced(await directory.update_account(account.pk, attributes=attributes))

    # -------------------------------------------------------------- notes

    async def _note(self, one: Note) -> Entry:
        account = await self.accounts.find(one.who)
        if account is None:
            return _skipped(f"Authentik has nobody (or more than one) by the name {one.who.words}")
        there = account.attributes.get(NOTES) or []
        notes = there if isinstance(there, list) else [{"text": str(there)}]
        name = ids.digest("note", account.uid, one.text, one.by, one.at, length=16)
        if any(isinstance(note, dict) and note.get("id") == name for note in notes):
            return Entry("", "", "unchanged")
        if self.apply:
            about = {"by": one.by, "at": one.at}
            new = {"id": name, "text": one.text} | {key: value for key, value in about.items() if value}
            await self._mark(account, {NOTES: [*notes, new]})
        return Entry("", "", "made", f"an attribute of {account.username}")

    # -------------------------------------------------------------- invites

    async def _invite(self, one: OldInvite) -> Entry:
        if not one.code:
            return _skipped("has no code")
        name = ids.keyed_id("inv", ACTOR.name, "invites", one.code)
        if known := await INVITES.find(self.ports.documents, name):
            if known.record.stale and self.apply:  # the last run was cut short here
                await reconcile(self.ports, name)
            return Entry("", "", "unchanged")
        if one.used or one.uses >= one.max_uses:
            return _skipped("was used")
        upstream = await (await self.ports.directory()).invitation(one.code)
        until, cut = self._expiry(one, upstream)
        if until <= self.ports.now():
            return _skipped(f"expired on {until:%Y-%m-%d}")
        invite = self._record(one, name, until, upstream)
        if self.apply:
            record = audit(self.ports.now(), ACTOR.name, "invite.import", name, detail={"label": invite.label})
            await self.ports.documents.write(INVITES.create(invite, name), audit_write(record))
            invite = await reconcile(self.ports, name)
        link = "keeps its link" if upstream else "gets a new link: Authentik has no invitation of its code"
        return Entry("", "", "made", f"{link}; {cut}" if cut else link)

    def _expiry(self, one: OldInvite, upstream: Invitation | None) -> tuple[datetime, str]:
        """When it ends, and what was decided about it."""
        now = self.ports.now()
        longest = now + timedelta(days=MAX_DAYS)
        if one.expires_at:
            until = datetime.fromisoformat(one.expires_at)
        elif upstream and upstream.expires_at:
            until = upstream.expires_at
        else:
            return now + timedelta(hours=DEFAULT_HOURS), f"had no end: now {DEFAULT_HOURS // 24} days"
        return (longest, f"its end is cut to {MAX_DAYS} days") if until > longest else (until, "")

    def _record(self, one: OldInvite, name: str, until: datetime, upstream: Invitation | None) -> Invite:
        """`stale`: Authentik's invitation is then given our mark, or made."""
        return Invite(
            id=name,
            label=one.label or "Imported invite",
            created_at=self.ports.now(),
            created_by=f"import:{one.created_by}" if one.created_by else ACTOR.name,
            expires_at=until,
            email=one.email,
            note=one.note,
            max_uses=one.max_uses,
            uses=one.uses,
            code=upstream.pk if upstream else "",
            link=upstream.link if upstream else "",
            stale=True,
        )


class ImportCategories(Struct):
    """Those that are not there yet, by name: what an admin has edited since stays as it is. `look`: whether the store
    is asked at all."""

    ports: Ports
    apply: bool
    look: bool = True

    async def run(self, drafts: Sequence[Draft]) -> list[Entry]:
        """Never raises one of our errors."""
        return [await self._guarded(draft) for draft in drafts]

    async def _guarded(self, draft: Draft) -> Entry:
        try:
            return await self._one(draft)
        except MusterError as error:
            reason = f"{error.cause} {error.fix}".strip()
            return Entry("category", draft.name, "failed", reason, to_builtins(draft))

    async def _one(self, draft: Draft) -> Entry:
        there = await categories.everything(self.ports) if self.look else []
        if any(each.name.casefold() == draft.name.casefold() for each in there):
            return Entry("category", draft.name, "unchanged", "there is one of that name: it stays as it is")
        if self.apply:
            synonyms = {word: tuple(also) for word, also in draft.synonyms.items()}
            wanted = categories.Wanted(draft.name, tuple(draft.keywords), synonyms, tuple(draft.rooms))
            await categories.create(self.ports, ACTOR, wanted)
        counts = (len(draft.keywords), "keywords"), (len(draft.rooms), "rooms"), (len(draft.synonyms), "with synonyms")
        return Entry("category", draft.name, "made", ", ".join(f"{count} {what}" for count, what in counts if count))


def _name(one: OldInvite) -> str:
    """Its label: a code lets people in, and is in no report but the file for the next try."""
    return one.label or "invite"


def _skipped(reason: str) -> Entry:
    return Entry("", "", "skipped", reason)
