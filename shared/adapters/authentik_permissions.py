"""What Muster may do in Authentik, and no more: the one list that set-up grants and the self-check looks through.

A test makes every call of `AuthentikDirectory` with exactly these, and again with each one missing.
"""

from __future__ import annotations

SET_UP = "scripts/setup authentik"

PERMISSIONS = {
    "authentik_stages_invitation.view_invitation": "stages/invitation/invitations/",
    "authentik_stages_invitation.add_invitation": "",
    "authentik_stages_invitation.change_invitation": "",
    "authentik_stages_invitation.delete_invitation": "",
    "authentik_flows.view_flow": "flows/instances/",
    "authentik_core.view_user": "core/users/",
    "authentik_core.add_user": "",
    "authentik_core.change_user": "",
    "authentik_core.reset_user_password": "",
    "authentik_core.view_group": "core/groups/",
    "authentik_core.add_user_to_group": "",
    "authentik_core.remove_user_from_group": "",
    "authentik_events.view_event": "events/events/",
}
"""What suffices (observed), each with a list that answers 403 without it ("" where only writing tells)."""

DELETE_USER = "authentik_core.delete_user"
"""Only where Muster may delete accounts; set-up grants it when asked, and leaves it where it is."""
