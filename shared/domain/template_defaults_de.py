"""The built-in texts in German: version 0 of each purpose's variant for that language."""

from __future__ import annotations

from collections.abc import Mapping

_TEXTS: Mapping[str, str] = {
    "hello": "Hallo {display_name}, schön, dass du da bist! Ich bin der Bot, der Neue begrüßt; gleich mehr.",
    "welcome": """\
**Willkommen, {display_name}!**
{% if sponsor %}

{sponsor} hat für dich gebürgt und freut sich, dass du hier bist.
{% endif %}
{% if rooms %}

Deine Räume warten unter deinen Einladungen, oder sind in wenigen Minuten dort. Nimm an, was dir gefällt:

{% for room in rooms %}
- {room}
{% endfor %}
{% else %}

Jemand vom Team lädt dich in die Räume ein, die zu dir passen.
{% endif %}
{% if recovery_link %}

Eines noch zuerst: [wähle dein Passwort]({recovery_link}). Der Link geht genau einmal.
{% endif %}

Wenn etwas nicht klappt, schreib einfach jemandem vom Team. Das sind Menschen, und sie helfen gern.
""",
    "indoc_farewell": "{mention}, es ist alles bereit. Deine Räume warten unter deinen Einladungen, und ich begleite "
    "dich aus diesem hier hinaus. Willkommen!",
    "indoc_nudge": """\
{mention}:
{%- if text %} {text}
{% else %} du bist schon eine Weile in diesem Eingangsraum, und noch hat dich niemand hereingeholt. Nimm den Link \
deiner Einladung, oder schreib hier, wer du bist: jemand wird dir helfen.{% if hours %} In {hours} Stunden nehme ich \
heraus, wer dann noch hier ist; du kannst jederzeit wiederkommen.{% endif %}
{% endif %}
""",
    "indoc_reminder": "{mention}, deine Räume warten unter deinen Einladungen: nimm eine an, die dir gefällt, dann "
    "begleite ich dich hinaus.{% if last %} Wenn du sie nicht findest, frag hier: jemand wird dir helfen.{% endif %}",
    "notice": """\
Diese Nachricht ist nicht verschlüsselt: bisher hast du kein Gerät, für das man sie verschlüsseln könnte.

Hallo {display_name}, ich bin der Bot, der bei {community} Neue begrüßt. Meine Begrüßung ist verschlüsselt und konnte \
dir in den letzten 14 Tagen nicht zugestellt werden; von selbst schicke ich sie nicht noch einmal.

So meldest du dich an: Öffne eine Matrix-App wie Element, wähle {community} als Server und melde dich als {matrix_id} \
an. Dann nimm die Einladungen an, die dort auf dich warten.

Wenn etwas nicht klappt, schreib einfach jemandem vom Team. Das sind Menschen, und sie helfen gern.
""",
    "invite_text": """\
Hallo! {% if sponsor %}{sponsor} und wir{% else %}Wir{% endif %} würden uns freuen, wenn du zu uns kommst: {community}.

Deine persönliche Einladung: {invite_link}
{% if expires_at %}

Sie gilt bis {expires_at} und dauert nur ein paar Minuten. Wenn etwas nicht klappt, antworte einfach hierauf.
{% endif %}
""",
    "email_invite": """\
Hallo{% if display_name %} {display_name}{% endif %},

{% if sponsor %}{sponsor} lädt dich ein{% else %}du bist eingeladen{% endif %}, zu uns zu kommen: {community}.

[Komm herein]({invite_link})

Es dauert nur ein paar Minuten: du wählst einen Namen und ein Passwort, und wir zeigen dir deine Räume. \
{% if expires_at %}Der Link gilt bis {expires_at}. {% endif %}Wenn du damit nicht gerechnet hast, brauchst du \
nichts zu tun.

Bis bald!
""",
    "email_recovery": """\
Hallo {display_name},

hier ist der Link, mit dem du ein neues Passwort für {community} wählst:

[Passwort wählen]({recovery_link})

Er geht genau einmal{% if expires_at %}, bis {expires_at}{% endif %}. Wenn du ihn nicht angefordert hast, brauchst du \
nichts zu tun: dein Passwort bleibt, wie es ist.
""",
    "sponsor_arrival": """\
{% if guest %}{guest}, für die oder den du gebürgt hast,{% else %}Dein Gast{% endif %} ist gerade angekommen. Ein paar \
Worte von dir, und es fühlt sich gleich wie zu Hause an. Danke fürs Mitbringen!
""",
}

GERMAN: Mapping[str, str] = {f"{purpose}.language.de": text for purpose, text in _TEXTS.items()}
