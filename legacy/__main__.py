"""scripts/import-legacy FILE...: settings, Matrix ids, invites, notes and categories of the tool that was there before.

Only looks, unless --apply: what would be made, and what is left out and why. FILE is its .env, its SQLite database, or
the skipped.csv of an earlier run, mended. A Postgres database is named by LEGACY_DATABASE_URL. Where Muster's own
Authentik and store are is in the environment or .env. What it writes is in --out (default: import in MUSTER_DATA_DIR),
for its owner's eyes only.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct, convert, field

from legacy.accounts import Accounts
from legacy.categories import Draft, drafts_of
from legacy.importing import Import, ImportCategories
from legacy.names import TABLES
from legacy.reading import MatrixId, Note, OldInvite, Understood, understand
from legacy.report import Entry, as_csv, counted, left_out, write_private
from legacy.settings import Proposal, as_env, propose
from legacy.sources import Source, open_source
from shared.domain.errors import Misconfigured
from shared.settings import Settings
from shared.setup_common import finish, read_settings

DATABASE = "LEGACY_DATABASE_URL"
SHOWN = 12
"""Of each reason's entries on the screen; all of them are in report.csv."""


class Found(Struct):
    settings: dict[str, str] = field(default_factory=dict)
    understood: Understood = field(default_factory=Understood)
    categories: list[Draft] = field(default_factory=list)


def main() -> int:
    return finish(run(read_settings(), options()))


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/import-legacy", description="Imports from the tool before Muster.")
    parser.add_argument("files", nargs="*", metavar="FILE", help=".env, SQLite database, or skipped.csv")
    parser.add_argument("--apply", action="store_true", help="write; without it nothing is changed")
    parser.add_argument("--out", type=Path, help="folder for what is written (default: import in MUSTER_DATA_DIR)")
    kinds = f"what a table of another name holds: one of {', '.join(TABLES)}"
    parser.add_argument("--table", action="append", default=[], metavar="NAME=KIND", help=kinds)
    return parser.parse_args()


async def run(settings: Settings, chosen: argparse.Namespace) -> int:
    """Raises `MusterError`. 1 when something failed, 0 when it was done or left out for a reason."""
    out = chosen.out or Path(settings["MUSTER_DATA_DIR"]) / "import"
    found = read(sources(chosen.files), tables_named(chosen.table))
    proposal = propose(found.settings)
    keep_settings(out, proposal, found.understood)
    understood = found.understood
    drafts = drafts_of(proposal.rooms, understood.rooms)
    categories = [*drafts.by_name.values(), *found.categories]
    entries = [*proposal.entries, *understood.entries, *drafts.entries]
    if categories:
        entries += await bring_categories_in(settings, categories, apply=chosen.apply)
    if understood.matrix_ids or understood.invites or understood.notes:
        entries += await bring_in(settings, understood, apply=chosen.apply)
    write_private(out / "report.csv", as_csv(entries))
    write_private(out / "skipped.csv", as_csv(left_out(entries)))
    show(entries, out, apply=chosen.apply)
    return 1 if any(entry.outcome == "failed" for entry in entries) else 0


def sources(files: Sequence[str]) -> list[Source]:
    """Raises `Misconfigured`: nothing named, or a password where everybody on the machine can read it."""
    if any(urlsplit(name).password for name in files):
        fix = f"Put the address into {DATABASE}, or the password into PGPASSWORD."
        raise Misconfigured("an address on the command line has a password in it", fix)
    names = [*files, *filter(None, [os.environ.get(DATABASE, "").strip()])]
    if not names:
        raise Misconfigured("nothing to import was named", f"scripts/import-legacy FILE..., or set {DATABASE}.")
    return [open_source(name) for name in names]


def tables_named(pairs: Sequence[str]) -> dict[str, str]:
    named = dict(pair.rpartition("=")[::2] for pair in pairs)
    if wrong := [kind for kind in named.values() if kind not in TABLES]:
        raise Misconfigured(f"--table names the kind {wrong[0]!r}", f"It is one of {', '.join(TABLES)}.")
    return named


def read(given: Sequence[Source], named: dict[str, str]) -> Found:
    found = Found()
    tables = [table for source in given for table in source.tables or ()]
    found.understood = understand(tables, named)
    for source in given:
        found.settings |= source.settings or {}
        for entry in source.entries or ():
            take_again(found, entry)
    return found


def take_again(found: Found, entry: Entry) -> None:
    """What an earlier run left out, as somebody has mended it. Raises `Misconfigured`."""
    understood = found.understood
    kinds: dict[str, type] = {"matrix id": MatrixId, "invite": OldInvite, "note": Note, "category": Draft}
    if entry.kind not in kinds or not entry.data:
        return
    lists: dict[str, list[Any]] = {"matrix id": understood.matrix_ids, "invite": understood.invites}
    lists |= {"note": understood.notes, "category": found.categories}
    try:
        lists[entry.kind].append(convert(entry.data, kinds[entry.kind]))
    except ValueError as error:
        raise Misconfigured(
            f"the row of {entry.key} cannot be read", "Leave the keys of `data` as they were."
        ) from error


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
    """Only looking, the store is asked where somebody has said which: an .env can be tried before there is any."""
    from shared.wiring import Wiring

    settings.require("store")
    wiring = Wiring(settings)
    named = any(settings.raw(name) for name in ("MUSTER_STORE", "GOOGLE_CLOUD_PROJECT", "FIRESTORE_EMULATOR_HOST"))
    try:
        return await ImportCategories(wiring, apply, look=apply or named).run(drafts)
    finally:
        if apply or named:
            await wiring.documents.close()


def keep_settings(out: Path, proposal: Proposal, understood: Understood) -> None:
    """A proposal, whether or not the rest is applied: nothing reads these files but people."""
    if proposal.values:
        write_private(out / "muster.env", as_env(proposal))
    if proposal.rooms or understood.rooms:
        kept = {"v": 1, "settings": proposal.rooms, "tables": understood.rooms}
        write_private(out / "rooms.json", json.dumps(kept, indent=2, ensure_ascii=False, sort_keys=True) + "\n")


def show(entries: Sequence[Entry], out: Path, *, apply: bool) -> None:
    print("Done:" if apply else "Would be done (nothing was changed; --apply does it):")
    for (kind, outcome), count in counted(entries).items():
        print(f"  {count:6} {kind}: {outcome}")
    missing = left_out(entries)
    for entry in missing[:SHOWN]:
        print(f"  {entry.outcome}: {entry.kind} {entry.key}: {entry.reason}")
    if len(missing) > SHOWN:
        print(f"  ... and {len(missing) - SHOWN} more")
    print(f"\nIn {out}: {', '.join(sorted(path.name for path in out.iterdir()))}")
    if missing:
        print("Mend skipped.csv and give it to this command again.")


if __name__ == "__main__":
    sys.exit(main())
