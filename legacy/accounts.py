"""Finding somebody in Authentik by what the tool knew of them: never by half a match."""

from __future__ import annotations

from legacy.reading import Who
from shared.domain.errors import NotFound
from shared.ports import Account, Directory


class Accounts:
    """Each is looked up once. `replaced`: after a change, so that the next one builds on it."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._found: dict[Who, Account | None] = {}

    async def find(self, who: Who) -> Account | None:
        if who not in self._found:
            self._found[who] = await self._look(who)
        return self._found[who]

    def replaced(self, account: Account) -> None:
        for who, found in self._found.items():
            if found and found.pk == account.pk:
                self._found[who] = account

    async def _look(self, who: Who) -> Account | None:
        """A number alone may be another server's: it counts only where there is no name."""
        if who.username and (found := await self._directory.account_named(who.username)):
            return found
        if who.email and (found := await self._by_email(who.email)):
            return found
        return await self._by_pk(who) if who.pk.isdecimal() and not who.username and not who.email else None

    async def _by_email(self, email: str) -> Account | None:
        """An e-mail is not unique in Authentik: two of them are nobody."""
        page = await self._directory.accounts(search=email, size=100)
        same = [account for account in page.items if account.email.casefold() == email.casefold()]
        return same[0] if len(same) == 1 else None

    async def _by_pk(self, who: Who) -> Account | None:
        try:
            return await self._directory.account(int(who.pk))
        except NotFound:
            return None
