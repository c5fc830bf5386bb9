"""Which action each kind of step is; an entry point runs those of its own table only.

Each is imported when the first step of its kind is run: a cold start pays for no other's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from shared.domain.onboarding import ENTRY_POINTS
from shared.services.steps import Act, Action, Ending

Table = Mapping[str, Action]


def _accounts() -> Table:
    from shared.services import accounts

    return {
        "groups": accounts.add_groups,
        "invitation": accounts.close_invitation,
        "deactivate": accounts.deactivate,
        "activate": accounts.activate,
    }


def _imports() -> Table:
    from shared.services.import_lines import make_lines

    return {"import": make_lines}


def _people() -> Table:
    from shared.services.bulk_deeds import do_people

    return {"people": do_people}


def _mails() -> Table:
    from shared.services.mails import send

    return {"email": send}


def _rooms() -> Table:
    from shared.services import entering, plan_acts, powers, rooms

    return {
        "room": plan_acts.verified(entering.enter, plan_acts.entering),
        "removal": plan_acts.verified(rooms.remove_from_room, plan_acts.leaving),
        "level": plan_acts.verified(powers.give_level, plan_acts.leveling),
    }


def _parts() -> Table:
    from shared.services.plan_jobs import spread

    return {"spread": spread}


def _recipients() -> Table:
    from shared.services.broadcast_run import drive

    return {"recipients": drive}


def _to_one() -> Table:
    from shared.services.broadcast_sending import send

    return {"message": send}


def _out_of_indoc() -> Table:
    from shared.services import leaving_indoc

    return {"indoc_farewell": leaving_indoc.farewell, "indoc_removal": leaving_indoc.leave_indoc}


def _clock() -> Table:
    from shared.services import indoc_clock

    return {"indoc_nudge": indoc_clock.nudge, "indoc_expiry": indoc_clock.expire}


def _messages() -> Table:
    from shared.services import messaging
    from shared.services.notices import or_notice

    return {"hello": or_notice(messaging.hello), "welcome": or_notice(messaging.welcome)}


def _sponsors() -> Table:
    from shared.services.sponsors import tell

    return {"sponsor_note": tell}


def _words_before() -> Table:
    from shared.services.removals import say_before

    return {"removal_message": say_before}


def _answers() -> Table:
    from shared.services.answers import answer

    return {"answer": answer}


def _trials() -> Table:
    from shared.services.template_trials import say_it

    return {"template_test": say_it}


def _signal() -> Table:
    from shared.services.signal_chats import open_chat

    return {"signal_room": open_chat}


TABLES: Mapping[str, Callable[[], Table]] = {
    "groups": _accounts,
    "invitation": _accounts,
    "deactivate": _accounts,
    "activate": _accounts,
    "room": _rooms,
    "indoc_farewell": _out_of_indoc,
    "indoc_removal": _out_of_indoc,
    "hello": _messages,
    "welcome": _messages,
    "sponsor_note": _sponsors,
    "removal": _rooms,
    "level": _rooms,
    "spread": _parts,
    "removal_message": _words_before,
    "answer": _answers,
    "template_test": _trials,
    "indoc_nudge": _clock,
    "indoc_expiry": _clock,
    "import": _imports,
    "people": _people,
    "signal_room": _signal,
    "email": _mails,
    "recipients": _recipients,
    "message": _to_one,
}


def _lazily(kind: str) -> Action:
    async def run(act: Act) -> Ending:
        return await TABLES[kind]()[kind](act)

    return run


ACTIONS: Mapping[str, Action] = {kind: _lazily(kind) for kind in TABLES}


def actions_of(entry_point: str) -> Mapping[str, Action]:
    return {kind: ACTIONS[kind] for kind, name in ENTRY_POINTS.items() if name == entry_point}
