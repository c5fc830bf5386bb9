"""What goes out of /api/users/{pk}/signal."""

from __future__ import annotations

from functions.admin import models as m
from shared.services.signal_jobs import Shown


class SignalOut(m.Out):
    """`set_up`: whether a Signal bridge is. `number`: of their account, in E.164; "" where it has none, or `problem`
    says what is wrong with it. `room_id`, `matrix_id`, `bridge`, `name`: of the chat with them, once there is one, and
    of their puppet there. `job`: the latest that was asked for, and its `state`."""

    set_up: bool
    number: str
    problem: str
    room_id: str
    matrix_id: str
    bridge: str
    name: str
    opened_at: m.Time | None
    job: str
    state: str


def signal_out(found: Shown) -> SignalOut:
    return SignalOut.model_validate(found, from_attributes=True)
