"""What comes out of /api/invites/{invite_id}/text."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from functions.admin import models as m

Language = Annotated[
    str,
    Query(
        max_length=35,
        pattern=r"^[A-Za-z0-9-]*$",
        description='Of the reader, as "de" or "de-AT"; where no template is in it, the text is in that of the default',
    ),
]


class InviteText(m.Out):
    """`text`: to paste, plain. `template`: with the version that it was made from."""

    text: str
    template: str
