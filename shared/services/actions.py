"""Which action each kind of step is; an entry point runs those of its own table only."""

from __future__ import annotations

from collections.abc import Mapping

from shared.domain.onboarding import ENTRY_POINTS
from shared.services import (
    accounts,
    entering,
    import_lines,
    indoc_clock,
    messaging,
    plan_acts,
    plan_jobs,
    powers,
    removals,
    rooms,
)
from shared.services.notices import or_notice
from shared.services.plan_acts import verified
from shared.services.steps import Action

ACTIONS: Mapping[str, Action] = {
    "groups": accounts.add_groups,
    "invitation": accounts.close_invitation,
    "deactivate": accounts.deactivate,
    "activate": accounts.activate,
    "room": verified(entering.enter, plan_acts.entering),
    "indoc_farewell": rooms.farewell,
    "indoc_removal": rooms.leave_indoc,
    "hello": or_notice(messaging.hello),
    "welcome": or_notice(messaging.welcome),
    "removal": verified(rooms.remove_from_room, plan_acts.leaving),
    "level": verified(powers.give_level, plan_acts.leveling),
    "spread": plan_jobs.spread,
    "removal_message": removals.say_before,
    "indoc_nudge": indoc_clock.nudge,
    "indoc_expiry": indoc_clock.expire,
    "import": import_lines.make_lines,
}


def actions_of(entry_point: str) -> Mapping[str, Action]:
    return {kind: ACTIONS[kind] for kind, name in ENTRY_POINTS.items() if name == entry_point}
