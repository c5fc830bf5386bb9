"""What goes in and out of /api/assistant."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from functions.admin import categories_models as c
from functions.admin import models as m


class Introduced(m.Strict):
    """What somebody wrote of themselves. Nothing else goes out, and of this no e-mail addresses, Matrix ids and
    telephone numbers."""

    introduction: Annotated[c.Interests, Field(min_length=3)]


class AssistantOut(m.Out):
    """`on`: one is set up. `problem`: why it is not, where it is set up by half. `host`: who would be told the
    introduction. `tokens`, `requests`: of this month; `cap`: how many tokens there are in one."""

    on: bool
    problem: str
    host: str
    model: str
    tokens: int
    cap: int
    requests: int
    per_minute: int
