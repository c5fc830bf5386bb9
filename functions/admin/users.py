"""/api/users"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from msgspec.structs import replace

from functions.admin import models as m
from functions.admin import removal_models as rm
from functions.admin import sync_models as s
from shared.domain import phones
from shared.domain.errors import Invalid
from shared.domain.invites import ATTRIBUTE as INVITE_ATTRIBUTE
from shared.services import lists, new_users, offboarding, onboardings, signal_jobs, user_bundles, users
from shared.wiring import wiring

router = APIRouter(tags=["users"])
Pk = Annotated[int, Path(ge=1, le=2**31 - 1)]
ABOUT = ("interests", "organization", "intro", "signal_number", "invited_by", "matrix_id")
"""Fields of the form that are kept as the account's attributes."""
OURS = (INVITE_ATTRIBUTE, new_users.ATTRIBUTE)


@router.post("/users", status_code=201, responses=m.repeated(m.UserMade))
async def create_user(
    request: Request,
    response: Response,
    new: m.NewUser,
    dry_run: m.DryRun = False,
    idempotency_key: m.IdempotencyKey = "",
) -> m.UserMade:
    """An account, its onboarding, and the way in, which is shown this once."""
    ports = wiring()
    wanted = replace(wanted_of(new, ports.policy.phone_region), key=idempotency_key, body=m.body_of(request))
    made = await new_users.create(ports, m.actor_of(request), wanted, dry_run=dry_run)
    if dry_run or made.secret_shown:
        response.status_code = 200
    return m.UserMade(
        user=m.user_out(made.account),
        onboarding=m.onboarding_out(made.view),
        recovery_link=made.recovery_link or None,
        temporary_password=made.temporary_password or None,
        secret_shown=made.secret_shown,
    )


def wanted_of(new: m.NewUser, region: str) -> new_users.Wanted:
    """Raises `Invalid` for a phone number that is none; any other is kept in E.164. `region`: where it names none."""
    number = phones.e164(new.signal_number, region)
    return new_users.Wanted(
        first_name=new.first_name,
        last_name=new.last_name,
        email=new.email,
        username=new.username,
        groups=tuple(new.groups),
        rooms=tuple(new.rooms),
        bundles=tuple(new.bundles),
        matrix_id=new.matrix_id,
        attributes=_about(new.model_copy(update={"signal_number": number})),
        skip_indoc=new.skip_indoc_removal,
        send_welcome=new.send_welcome,
        personal_line=new.personal_line,
    )


def _about(new: m.NewUser) -> dict[str, str]:
    return {name: value for name in ABOUT if (value := getattr(new, name))}


@router.get("/users")
async def list_users(
    q: m.Search = "",
    active: m.Maybe = None,
    group: m.Search = "",
    limit: m.Limit = 50,
    cursor: m.Cursor = None,
) -> s.Users:
    """From the cache, the oldest account first; from Authentik itself where the cache cannot know. `q`: each of its
    words is somewhere in username, name, e-mail or Matrix id."""
    ports = wiring()
    found = await lists.people(ports, lists.Wanted(q, active, group, limit, cursor))
    items = [s.UserItem.model_validate(person, from_attributes=True) for person in found.items]
    age = max(0.0, (ports.now() - found.synced_at).total_seconds())
    return s.Users(
        items=items, next_cursor=found.next_cursor, total=found.total, synced_at=found.synced_at, age_seconds=age
    )


@router.get("/users/{pk}")
async def read_user(pk: Pk) -> m.UserOut:
    return m.user_out(await (await wiring().directory()).account(pk))


@router.patch("/users/{pk}")
async def edit_user(request: Request, pk: Pk, changes: m.UserChanges, dry_run: m.DryRun = False) -> m.UserOut:
    """Only the fields that are there."""
    given: dict[str, Any] = changes.model_dump(exclude_unset=True)
    for name, value in given.items():
        if value is None:
            raise Invalid.field(name, "expected a value; leave the field out to keep what is there")
    for name in OURS:
        if name in given.get("attributes", {}):
            raise Invalid.field(f"attributes.{name}", "is Muster's own")
    _numbered(given.get("attributes", {}))
    account = await users.edit(wiring(), m.actor_of(request), pk, given, dry_run=dry_run)
    return m.user_out(account)


def _numbered(attributes: dict[str, Any]) -> None:
    """In E.164; one that was emptied is taken away."""
    name = signal_jobs.ATTRIBUTE
    if attributes.get(name) is not None:
        region = wiring().policy.phone_region
        attributes[name] = phones.e164(str(attributes[name]), region, f"attributes.{name}") or None


@router.post("/users/{pk}/activate")
async def activate_user(request: Request, pk: Pk, dry_run: m.DryRun = False) -> m.UserOut:
    return m.user_out(await users.set_active(wiring(), m.actor_of(request), pk, active=True, dry_run=dry_run))


@router.post("/users/{pk}/deactivate")
async def deactivate_user(request: Request, pk: Pk, dry_run: m.DryRun = False) -> m.UserOut:
    return m.user_out(await users.set_active(wiring(), m.actor_of(request), pk, active=False, dry_run=dry_run))


@router.post("/users/{pk}/recovery")
async def recover_user(request: Request, pk: Pk, dry_run: m.DryRun = False) -> m.WayIn:
    """A new recovery link, or a new temporary password where the brand has no recovery flow."""
    made = await users.recovery(wiring(), m.actor_of(request), pk, dry_run=dry_run)
    link, password = made.recovery_link or None, made.temporary_password or None
    return m.WayIn(user=m.user_out(made.account), recovery_link=link, temporary_password=password)


@router.delete("/users/{pk}", status_code=204)
async def delete_user(request: Request, pk: Pk, dry_run: m.DryRun = False) -> None:
    await users.delete(wiring(), m.actor_of(request), pk, dry_run=dry_run)


@router.post("/users/{pk}/offboard", status_code=202)
async def offboard_user(
    request: Request,
    pk: Pk,
    wanted: rm.Offboard,
    dry_run: m.DryRun = False,
    idempotency_key: m.IdempotencyKey = "",
) -> m.JobStarted:
    """Deactivated in Authentik, then out of every room; what was open of their onboarding stops. Verified live."""
    asked = offboarding.Wanted(
        words=rm.words_of(wanted),
        keep_rooms=tuple(wanted.keep_rooms),
        matrix_ids=tuple(wanted.matrix_ids),
        key=idempotency_key,
        body=m.body_of(request),
    )
    view = await offboarding.offboard(wiring(), m.actor_of(request), pk, asked, dry_run=dry_run)
    return m.JobStarted(job=m.job_out(view))


@router.delete("/users/{pk}/bundles/{bundle_id}", status_code=204)
async def take_bundle(request: Request, pk: Pk, bundle_id: str, dry_run: m.DryRun = False) -> None:
    """One that an invite or an admin gave them. Nobody is moved by it: a plan shows who would be."""
    await user_bundles.take(wiring(), m.actor_of(request), pk, bundle_id, dry_run=dry_run)


@router.post("/users/{pk}/onboard", status_code=202)
async def onboard_user(
    request: Request, pk: Pk, wanted: m.Onboard | None = None, dry_run: m.DryRun = False
) -> m.Started:
    """Starts an onboarding, or goes on with theirs: a Matrix id given now resumes what waited for it."""
    asked = wanted or m.Onboard()
    account = await (await wiring().directory()).account(pk)
    view = await onboardings.onboard(
        wiring(),
        m.actor_of(request),
        account,
        onboardings.Wanted(
            asked.matrix_id, tuple(asked.rooms), asked.skip_indoc_removal, asked.send_welcome, tuple(asked.bundles)
        ),
        dry_run=dry_run,
    )
    return m.Started(onboarding=m.onboarding_out(view))
