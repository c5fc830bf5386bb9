"""What was understood, handed to Muster's own services, with its store and its Authentik."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from legacy.accounts import Accounts
from legacy.categories import Draft
from legacy.importing import Import, ImportCategories
from legacy.importing_texts import ImportTexts
from legacy.reading import Understood
from legacy.report import Entry
from legacy.texts import Texts
from shared.services.context import Ports
from shared.settings import Settings


async def bring_in(settings: Settings, understood: Understood, *, apply: bool) -> list[Entry]:
    from shared.wiring import Wiring

    settings.require("authentik", "store")
    wiring = Wiring(settings)
    directory = await wiring.directory()
    try:
        return await Import(wiring, Accounts(directory), apply).run(understood)
    finally:
        await directory.close()
        await wiring.documents.close()


async def bring_categories_in(settings: Settings, drafts: Sequence[Draft], *, apply: bool) -> list[Entry]:
    async with opened(settings, apply=apply) as (ports, look):
        return await ImportCategories(ports, apply, look).run(drafts)


async def bring_texts_in(settings: Settings, texts: Texts, *, apply: bool) -> list[Entry]:
    async with opened(settings, apply=apply) as (ports, look):
        return await ImportTexts(ports, apply, look).run(texts.drafts, texts.reasons)


@asynccontextmanager
async def opened(settings: Settings, *, apply: bool) -> AsyncIterator[tuple[Ports, bool]]:
    """With whether to ask the store. Only looking, it is asked where somebody has said which: an .env can be tried
    before there is any."""
    from shared.wiring import Wiring

    settings.require("store")
    wiring, stores = Wiring(settings), ("MUSTER_STORE", "GOOGLE_CLOUD_PROJECT", "FIRESTORE_EMULATOR_HOST")
    look = apply or any(settings.raw(name) for name in stores)
    try:
        yield wiring, look
    finally:
        if look:
            await wiring.documents.close()
