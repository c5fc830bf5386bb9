"""What goes in and out of /api/jobs beyond a job itself."""

from __future__ import annotations

from functions.admin import models as m


class JobItems(m.Listed):
    items: list[m.JobItem]
