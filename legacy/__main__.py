"""scripts/import-legacy FILE...: settings, Matrix ids, invites, notes, categories and messages of the tool before.

Only looks, unless --apply: what would be made, and what is left out and why. FILE is its .env, its SQLite database, a
message file or a folder of them, or the skipped.csv of an earlier run, mended. A Postgres database is named by
LEGACY_DATABASE_URL. Where Muster's own Authentik and store are is in the environment or .env. What it writes is in
--out (default: import in MUSTER_DATA_DIR), for its owner's eyes only.
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

from legacy.bringing import bring_categories_in, bring_in, bring_texts_in
from legacy.categories import Draft, drafts_of
from legacy.names import TABLES
from legacy.reading import MatrixId, Note, OldInvite, Understood, understand
from legacy.report import Entry, as_csv, counted, left_out, write_private
from legacy.settings import Proposal, as_env, propose
from legacy.sources import Source, open_source
from legacy.text_files import of_settings
from legacy.texts import REMOVAL_REASONS, OldText, Texts, is_text_setting
from legacy.texts import drafts_of as texts_of
from shared.domain.errors import Misconfigured, NotFound
from shared.domain.templates import named
from shared.settings import Settings
from shared.setup_common import finish, read_settings

DATABASE = "LEGACY_DATABASE_URL"
SHOWN = 12
"""Of each reason's entries on the screen; all of them are in report.csv."""


class Found(Struct):
    settings: dict[str, str] = field(default_factory=dict)
    understood: Understood = field(default_factory=Understood)
    categories: list[Draft] = field(default_factory=list)
    texts: list[OldText] = field(default_factory=list)
    left: list[Entry] = field(default_factory=list)


def main() -> int:
    return finish(run(read_settings(), options()))


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/import-legacy", description="Imports from the tool before Muster.")
    parser.add_argument("files", nargs="*", metavar="FILE", help=".env, SQLite database, messages, or skipped.csv")
    parser.add_argument("--apply", action="store_true", help="write; without it nothing is changed")
    parser.add_argument("--out", type=Path, help="folder for what is written (default: import in MUSTER_DATA_DIR)")
    kinds = f"what a table of another name holds: one of {', '.join(TABLES)}"
    parser.add_argument("--table", action="append", default=[], metavar="NAME=KIND", help=kinds)
    parser.add_argument("--text", action="append", default=[], metavar="NAME=TEMPLATE", help="what a text is for")
    parser.add_argument("--environment", action="store_true", help="also texts in the environment (WELCOME_MESSAGE)")
    return parser.parse_args()


async def run(settings: Settings, chosen: argparse.Namespace) -> int:
    """Raises `MusterError`. 1 when something failed, 0 when it was done or left out for a reason."""
    out = chosen.out or Path(settings["MUSTER_DATA_DIR"]) / "import"
    found = read(sources(chosen.files, environment=chosen.environment), tables_named(chosen.table))
    texts = texts_of(found.texts, texts_named(chosen.text))
    proposal = propose(found.settings)
    keep_settings(out, proposal, found.understood)
    understood = found.understood
    drafts = drafts_of(proposal.rooms, understood.rooms)
    categories = [*drafts.by_name.values(), *found.categories]
    entries = [*proposal.entries, *understood.entries, *drafts.entries, *found.left, *texts.entries]
    keep_texts(out, texts)
    if texts.drafts or texts.reasons:
        entries += await bring_texts_in(settings, texts, apply=chosen.apply)
    if categories:
        entries += await bring_categories_in(settings, categories, apply=chosen.apply)
    if understood.matrix_ids or understood.invites or understood.notes:
        entries += await bring_in(settings, understood, apply=chosen.apply)
    write_private(out / "report.csv", as_csv(entries))
    write_private(out / "skipped.csv", as_csv(left_out(entries)))
    show(entries, out, apply=chosen.apply)
    return 1 if any(entry.outcome == "failed" for entry in entries) else 0


def sources(files: Sequence[str], *, environment: bool) -> list[Source]:
    """Raises `Misconfigured`: nothing named, or a password where everybody on the machine can read it."""
    if any(urlsplit(name).password for name in files):
        fix = f"Put the address into {DATABASE}, or the password into PGPASSWORD."
        raise Misconfigured("an address on the command line has a password in it", fix)
    names = [*files, *filter(None, [os.environ.get(DATABASE, "").strip()])]
    texts = {name: value for name, value in os.environ.items() if environment and is_text_setting(name)}
    if not names and not texts:
        raise Misconfigured("nothing to import was named", f"scripts/import-legacy FILE..., or set {DATABASE}.")
    given = [open_source(name) for name in names]
    return [*given, Source("environment", settings=texts)] if texts else given


def texts_named(pairs: Sequence[str]) -> dict[str, str]:
    """Raises `Misconfigured`."""
    chosen = dict(pair.rpartition("=")[::2] for pair in pairs)
    for template in chosen.values():
        try:
            if template != REMOVAL_REASONS:
                named(template)
        except NotFound as error:
            raise Misconfigured(f"--text names no template: {error.cause}", error.fix) from error
    return chosen


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
        settings = dict(source.settings or {})
        found.texts += [*(source.texts or ()), *of_settings(settings)]
        found.settings |= settings
        found.left += source.left or ()
        for entry in source.entries or ():
            take_again(found, entry)
    return found


def take_again(found: Found, entry: Entry) -> None:
    """What an earlier run left out, as somebody has mended it. Raises `Misconfigured`."""
    understood = found.understood
    kinds: dict[str, type] = {"matrix id": MatrixId, "invite": OldInvite, "note": Note, "category": Draft}
    kinds["text"] = OldText
    if entry.kind not in kinds or not entry.data:
        return
    lists: dict[str, list[Any]] = {"matrix id": understood.matrix_ids, "invite": understood.invites}
    lists |= {"note": understood.notes, "category": found.categories, "text": found.texts}
    try:
        lists[entry.kind].append(convert(entry.data, kinds[entry.kind]))
    except ValueError as error:
        raise Misconfigured(
            f"the row of {entry.key} cannot be read", "Leave the keys of `data` as they were."
        ) from error


def keep_texts(out: Path, texts: Texts) -> None:
    """As they would be saved: to be mended there, and given to this command in their place."""
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    for draft in texts.drafts:
        write_private(out / "texts" / f"{draft.template}.md", f"{draft.text.source}\n")


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
    for entry in [entry for entry in entries if entry.kind == "text" and entry not in missing][:SHOWN]:
        print(f"  {entry.key} {entry.reason}")
    for entry in missing[:SHOWN]:
        print(f"  {entry.outcome}: {entry.kind} {entry.key}: {entry.reason}")
    if len(missing) > SHOWN:
        print(f"  ... and {len(missing) - SHOWN} more")
    print(f"\nIn {out}: {', '.join(sorted(path.name for path in out.iterdir()))}")
    if missing:
        print("Mend skipped.csv and give it to this command again.")


if __name__ == "__main__":
    sys.exit(main())
