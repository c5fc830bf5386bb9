"""The steps that act on the account in Authentik; each may be done again without harm."""

from __future__ import annotations

from shared.domain.errors import Invalid, NotFound, Refused, TryLater
from shared.domain.jobs import Job
from shared.domain.onboarding import OPEN, Onboarding
from shared.services import invites
from shared.services.groups import all_groups, find, is_guarded
from shared.services.steps import Act, Done, Ending, Skipped


def _onboarding(act: Act) -> Onboarding:
    if not isinstance(act.parent, Onboarding):
        raise Invalid(f"{act.step.path} is not a step of an onboarding")
    return act.parent


async def add_groups(act: Act) -> Ending:
    """Each group that was asked for; one that cannot be granted stops none of the others."""
    onboarding, directory = _onboarding(act), await act.ports.directory()
    known = await all_groups(act.ports)
    added, refused = [], []
    for name in onboarding.groups:
        group = find(known, name)
        if group is None or is_guarded(group, act.ports.policy):
            refused.append(f"{name!r} {'does not exist' if group is None else 'gives administrative power'}")
        else:
            await directory.add_to_group(group.pk, onboarding.account_pk)
            added.append(group.name)
    if refused:
        fix = "Make the group in Authentik, or name it in GRANTABLE_GROUPS if that is meant; then retry."
        raise Refused(f"not granted: {', '.join(refused)}", fix, "GROUPS")
    return Done({"groups": added})


async def close_invitation(act: Act) -> Ending:
    """An invite that is used up: its invitation is deleted in Authentik."""
    onboarding = _onboarding(act)
    if not onboarding.invite:
        return Skipped("no invite was used")
    invite = await invites.reconcile(act.ports, onboarding.invite)
    return Done({"invite": invite.id, "status": invite.status(act.ports.now())})


async def deactivate(act: Act) -> Ending:
    """While a person looks at it, or from now on, the account lets nobody in. Approved meanwhile: nothing to do."""
    if isinstance(act.parent, Job):
        return await _offboarded(act, act.parent.account_pk)
    onboarding = _onboarding(act)
    if onboarding.hold == "approved":
        return Skipped("approved before it was deactivated")
    account = await (await act.ports.directory()).update_account(onboarding.account_pk, active=False)
    return Done({"active": account.active})


async def _offboarded(act: Act, pk: int) -> Ending:
    """For a job. A superuser was refused at its start; one who has become one since is left to Authentik."""
    directory = await act.ports.directory()
    try:
        if (await directory.account(pk)).superuser:
            raise Refused("they are a superuser by now", "Deactivate administrators in Authentik itself.", "SUPERUSER")
    except NotFound:
        return Skipped("the account is gone from Authentik")
    account = await directory.update_account(pk, active=False)
    return Done({"active": account.active})


async def activate(act: Act) -> Ending:
    """After the deactivation, should that be on its way still."""
    document = await act.ports.documents.get(f"{act.step.parent}/steps/deactivate")
    if document and document.data["state"] in OPEN:
        raise TryLater("the account is being deactivated at this moment", "Nothing to do: it is tried again.")
    account = await (await act.ports.directory()).update_account(_onboarding(act).account_pk, active=True)
    return Done({"active": account.active})
