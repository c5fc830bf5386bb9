"""What things are called in the tool that communities come from: one table for its settings, one for its database.

Its schema is not the same everywhere, so a thing has several names here, the likeliest first. Whatever has none of
these names is reported, never dropped in silence. A name that is missing is a line here.
"""

from __future__ import annotations

from msgspec import Struct

SETTINGS: dict[str, tuple[str, ...]] = {
    "AUTHENTIK_URL": ("AUTHENTIK_API_URL", "AUTHENTIK_BASE_URL", "AUTHENTIK_HOST"),
    "AUTHENTIK_API_TOKEN": ("AUTHENTIK_TOKEN", "AUTHENTIK_KEY"),
    "AUTHENTIK_FLOW_SLUG": ("INVITE_FLOW_SLUG", "FLOW_SLUG", "INVITE_FLOW_ID", "FLOW_ID", "AUTHENTIK_FLOW_ID"),
    "AUTHENTIK_DEFAULT_GROUP": ("MAIN_GROUP_ID", "AUTHENTIK_MAIN_GROUP_ID", "MAIN_GROUP_NAME", "DEFAULT_GROUP_ID"),
    "AUTHENTIK_WEBHOOK_SECRETS": ("AUTHENTIK_WEBHOOK_SECRET", "WEBHOOK_SECRET"),
    "ADMIN_GROUP": ("ADMIN_GROUP_NAME", "AUTHENTIK_ADMIN_GROUP"),
    "PUBLIC_URL": ("DASHBOARD_URL", "APP_URL", "BASE_URL"),
    "MATRIX_HOMESERVER": ("HOMESERVER", "MATRIX_HOMESERVER_URL", "MATRIX_URL", "HOMESERVER_URL"),
    "MATRIX_ACCESS_TOKEN": ("MATRIX_BOT_ACCESS_TOKEN", "MATRIX_TOKEN", "ACCESS_TOKEN"),
    "MATRIX_USER_ID": ("MATRIX_BOT_USER_ID", "MATRIX_BOT_USERNAME", "MATRIX_USERNAME", "MATRIX_BOT_ID"),
    "MATRIX_PASSWORD": ("MATRIX_BOT_PASSWORD",),
    "MATRIX_DOMAIN": ("MATRIX_SERVER_NAME", "MATRIX_DOMAIN_NAME", "SERVER_NAME"),
    "MATRIX_INDOC_ROOM_ID": ("INDOC_ROOM_ID", "MATRIX_WELCOME_ROOM_ID", "WELCOME_ROOM_ID", "MATRIX_ENTRY_ROOM_ID"),
    "MATRIX_DEFAULT_ROOMS": ("MATRIX_DEFAULT_ROOM_IDS", "MATRIX_DEFAULT_ROOM_ID", "DEFAULT_ROOM_ID"),
    "AUTO_REMOVE_FROM_INDOC": ("MATRIX_AUTO_REMOVE_FROM_INDOC", "REMOVE_FROM_INDOC"),
    "WELCOME_DELAY_SECONDS": ("MATRIX_WELCOME_DELAY_SECONDS", "WELCOME_DELAY"),
}
"""Muster's setting to its names there. Muster's own name always counts, and counts first."""

ROOM_LISTS = ("MATRIX_ROOM_IDS_NAME_CATEGORY", "MATRIX_ROOMS")
EXPANSIONS = "INTEREST_KEYWORD_EXPANSIONS"
CATEGORY_PREFIX, ROOM_PREFIX = "CATEGORY_", "ROOM_"
ROOM_SETTINGS = (*ROOM_LISTS, EXPANSIONS)
ROOM_PREFIXES = (CATEGORY_PREFIX, ROOM_PREFIX)
"""Settings about rooms, interests and categories: kept as they are, in rooms.json, and brought in as categories."""
ROOM_FIELDS: dict[str, tuple[str, ...]] = {
    "room": ("room_id", "id", "matrix_room_id", "roomId", "alias", "room_alias"),
    "category": ("category", "categories", "category_name", "room_category", "group"),
}
"""Of an object or a row about a room."""

NOT_NEEDED: dict[str, str] = {
    "MATRIX_BOT_DISPLAY_NAME": "the bot's name is in its own Matrix profile",
    "MATRIX_ADMIN_USERNAME": "Muster's admins are the members of ADMIN_GROUP",
    "MATRIX_ADMIN_PASSWORD": "Muster needs no server admin's password",
    "DATABASE_URL": "a database is imported by itself: LEGACY_DATABASE_URL=... scripts/import-legacy",
    "SQLALCHEMY_DATABASE_URI": "a database is imported by itself: LEGACY_DATABASE_URL=... scripts/import-legacy",
    "DATABASE_PATH": "a database is imported by itself: scripts/import-legacy FILE",
    "SHLINK_API_TOKEN": "Muster shortens no links",
    "SHLINK_URL": "Muster shortens no links",
    "SECRET_KEY": "Muster keeps no sessions of its own",
    "DEBUG": "Muster has no such switch",
    "LOG_LEVEL": "Muster has no such switch",
    "PAGE_TITLE": "the page has a name of its own",
    "FAVICON_URL": "the page has a name of its own",
    "TZ": "all times are UTC",
    "PORT": "a deployment chooses its port",
    "HOST": "a deployment chooses its address",
}
"""Known, and left out with a reason."""


class Table(Struct, frozen=True):
    """`columns`: our field to its names there. `needs`: without one of these fields it is no such table."""

    names: tuple[str, ...]
    columns: dict[str, tuple[str, ...]]
    needs: tuple[str, ...]


USERNAME = ("username", "user_name", "authentik_username", "user_username")
USER_PK = ("authentik_id", "authentik_pk", "authentik_user_id", "user_pk")
EMAIL = ("email", "user_email", "email_address", "mail")
MATRIX_ID = ("matrix_id", "matrix_user_id", "mxid", "matrix_username", "matrix_handle")
AUTHOR = ("created_by", "author", "admin", "created_by_username", "invited_by", "creator", "moderator", "updated_by")
WHEN = ("created_at", "created", "timestamp", "date", "updated_at", "last_edited")

TABLES: dict[str, Table] = {
    "people": Table(
        (
            *("users", "user", "members", "member", "authentik_users", "user_cache", "matrix_users", "matrix_user"),
            *("user_matrix", "username_mapping", "username_mappings", "matrix_user_cache", "matrix_usernames"),
        ),
        {
            "row": ("id", "rowid"),
            "username": USERNAME,
            "pk": (*USER_PK, "user_id", "pk"),
            "email": EMAIL,
            "matrix_id": MATRIX_ID,
            "note": ("note", "notes", "comment", "comments", "moderator_notes"),
        },
        ("matrix_id", "note"),
    ),
    "invites": Table(
        ("invites", "invite", "invitations", "invitation", "invite_links", "invite_tokens"),
        {
            "code": ("token", "code", "invite_token", "itoken", "invitation_id", "link", "url", "uuid", "pk", "id"),
            "label": ("label", "name", "invite_name", "title", "description"),
            "expires_at": ("expires_at", "expires", "expiry", "expiration", "expire_date", "valid_until"),
            "created_by": AUTHOR,
            "used": ("used", "is_used", "redeemed", "used_at", "redeemed_at", "consumed"),
            "max_uses": ("max_uses", "max_use", "uses_max", "usage_limit"),
            "uses": ("uses", "use_count", "used_count", "times_used"),
            "email": EMAIL,
            "note": ("note", "notes", "comment"),
        },
        ("code",),
    ),
    "notes": Table(
        ("notes", "note", "user_notes", "user_note", "usernotes", "usernote", "moderator_notes", "user_comments"),
        {
            "username": (*USERNAME, "user"),
            "pk": USER_PK,
            "email": EMAIL,
            "owner": ("user_id", "member_id", "user_row"),
            "text": ("note", "text", "content", "body", "notes", "comment", "message"),
            "by": AUTHOR,
            "at": WHEN,
        },
        ("text",),
    ),
    "rooms": Table(
        (
            *("rooms", "room", "matrix_rooms", "matrix_room", "room_config", "room_configs", "room_cache"),
            *("matrix_room_cache", "room_categories", "categories", "category"),
        ),
        {},
        (),
    ),
}
"""Of rooms every column is kept as it is."""

PASSED_OVER = ("alembic_version", "sqlite_sequence", "django_migrations", "spatial_ref_sys")
"""Tables of a database's own machinery."""

TEXTS: dict[str, tuple[str, ...]] = {
    "hello": ("greeting", "first"),
    "welcome": ("welcome_dm", "onboarding", "new_user", "newcomer", "user_created", "create_user"),
    "indoc_farewell": ("farewell", "goodbye", "indoc_goodbye", "indoc_done", "indoc_leave"),
    "indoc_nudge": ("nudge", "indoc_warning", "indoc_timeout"),
    "indoc_reminder": ("reminder",),
    "notice": ("unencrypted_notice", "encryption_notice"),
    "removal_message": ("removal", "remove", "removed", "kick", "user_removed"),
    "invite_text": ("invite", "invitation", "invite_link"),
    "email_invite": ("invite_email", "invitation_email", "email_invitation", "invite_mail"),
    "email_recovery": ("recovery_email", "password_reset_email", "reset_email", "recovery_mail"),
    "sponsor_arrival": ("sponsor", "guest_arrived"),
}
"""Muster's templates to what their texts are called there, without these ends and beginnings. Its own name counts."""

TEXT_ENDS = ("message", "msg", "text", "template", "body")
TEXT_BEGINNINGS = ("matrix", "bot", "default")
"""Of a text's name; a setting is a text only with such an end."""
UNCLEAR: dict[str, tuple[str, ...]] = {
    "indoc": ("indoc_farewell", "indoc_nudge", "indoc_reminder"),
    "recovery": ("email_recovery", "welcome"),
    "password_reset": ("email_recovery", "welcome"),
}
"""Names that may mean several templates: somebody must say which."""
REASONS = ("removal_reasons", "removal_reason", "remove_reasons", "kick_reasons", "ban_reasons")
LANGUAGES = frozenset("ar cs da de en es fa fi fr he hu it ja ko nb nl no pl pt ro ru sv tr uk zh".split())

PLACEHOLDERS: dict[str, tuple[str, ...]] = {
    "display_name": ("name", "displayname", "full_name", "fullname", "first_name", "firstname", "nickname"),
    "username": ("user", "user_name", "login", "handle", "new_username", "authentik_username"),
    "matrix_id": ("mxid", "user_id", "matrix_user_id", "matrix_username"),
    "mention": ("user_mention", "ping", "pill"),
    "community": ("community_name", "server", "server_name", "domain", "matrix_domain", "site_name"),
    "bot": ("bot_id", "bot_username", "bot_user_id"),
    "date": ("today", "current_date"),
    "rooms": ("room_list", "rooms_list", "room_names", "recommended_rooms", "channels"),
    "sponsor": ("invited_by", "inviter", "vouched_by", "voucher"),
    "guest": ("guest_name",),
    "recovery_link": ("recovery_url", "reset_link", "reset_url", "password_reset_link", "password_link", "link", "url"),
    "invite_link": ("invite_url", "invitation_link", "invite", "link", "url"),
    "expires_at": ("expires", "expiry", "expiration", "expire_date", "expiry_date", "valid_until"),
    "hours": ("hours_left", "remaining_hours"),
    "uses": ("max_uses", "usage_limit"),
    "reason": ("removal_reason", "kick_reason", "ban_reason"),
    "text": ("message",),
}
"""Muster's variables to their names there. A name of several means the one that the template has."""
PEOPLE = ("user", "member", "account", "person", "newcomer", "new_user")
"""What stands before a point: `{user.name}`."""
