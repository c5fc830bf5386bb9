"""The built-in texts: version 0 of the templates, by their ids. Others are put above them, never in their place."""

from __future__ import annotations

from collections.abc import Mapping

from shared.domain.template_defaults_de import GERMAN

_ENGLISH: Mapping[str, str] = {
    "hello": "Hello {display_name}, good to have you here! I am the bot that sees newcomers in; more in a moment.",
    "welcome": """\
**Welcome, {display_name}!**
{% if sponsor %}

{sponsor} vouched for you, and will be glad that you are here.
{% endif %}
{% if rooms %}

Your rooms are waiting among your invites, or will be within minutes. Accept those you like:

{% for room in rooms %}
- {room}
{% endfor %}
{% else %}

An admin will invite you to the rooms that suit you.
{% endif %}
{% if recovery_link %}

One thing first: [choose your password]({recovery_link}). The link works once.
{% endif %}

If anything does not work, write to any admin. They are people, and glad to help.
""",
    "indoc_farewell": "{mention}, you are all set. Your rooms are waiting among your invites, and I will see you out "
    "of this one. Welcome!",
    "indoc_nudge": """\
{mention}:
{%- if text %} {text}
{% else %} you have been in this entry room for a while, and nobody has taken you in yet. Use the link of your \
invite, or \
write here who you are: somebody will help.{% if hours %} In {hours} hours I take out whoever is still here; \
you may come \
back at any time.{% endif %}
{% endif %}
""",
    "indoc_reminder": "{mention}, your rooms are waiting among your invites: accept one that you like, and I will see "
    "you out of this one.{% if last %} If you do not find them, ask here: somebody will help.{% endif %}",
    "notice": """\
This message is not encrypted: so far you have no device that a message could be encrypted for.

Hello {display_name}, I am the bot that sees newcomers in at {community}. My hello and my welcome are \
encrypted, and could \
not be sent to you in the last 14 days; I do not send them again by myself.

To log in: open a Matrix app such as Element, choose {community} as the server, and sign in as {matrix_id}. \
Then accept \
the invites that wait for you there.

If anything does not work, write to any admin. They are people, and glad to help.
""",
    "removal_message": "{text}",
    "invite_text": """\
Hello! {% if sponsor %}{sponsor} and I{% else %}We{% endif %} would love to have you with us at {community}.

Your personal invite: {invite_link}
{% if expires_at %}

It is good until {expires_at}, and takes a few minutes. If it gives you trouble, just answer this message.
{% endif %}
""",
    "email_invite": """\
Hello{% if display_name %} {display_name}{% endif %},

{% if sponsor %}{sponsor} has invited you{% else %}you are invited{% endif %} to join us at {community}.

[Come in]({invite_link})

It takes a few minutes: you choose a name and a password, and we show you to your rooms. \
{% if expires_at %}The link is good until {expires_at}. {% endif %}If you did not expect this, you need not do \
anything.

See you soon!
""",
    "email_recovery": """\
Hello {display_name},

here is the link by which you choose a new password for {community}:

[Choose a password]({recovery_link})

It works once{% if expires_at %}, until {expires_at}{% endif %}. If you did not ask for it, you need not do \
anything: your \
password stays as it is.
""",
    "sponsor_arrival": """\
{% if guest %}{guest}, whom you vouched for,{% else %}Your guest{% endif %} has just arrived. A few words from \
you will \
make them feel at home. Thank you for bringing them!
""",
}

BUILT_IN: Mapping[str, str] = {**_ENGLISH, **GERMAN}
