"""Introductions as people send them, and what is to be understood of each. `said`: words that are understood and need
not be kept, such as labels; every other word must be found in a field or in the intro."""

from __future__ import annotations

from typing import Any

ADA = {
    "first_name": "Ada",
    "last_name": "Lovelace",
    "organization": "Analytical Engines",
    "invited_by": "Charles Babbage",
    "email": "ada@example.org",
    "interests": "hiking, board games",
}
SIGNAL = ADA | {"signal_number": "+44 20 7946 0958"}
SIX = "Ada Lovelace\nAnalytical Engines\nCharles Babbage\nada@example.org\nhiking, board games\n+44 20 7946 0958"
LABELS = """Name: Ada Lovelace
Organization: Analytical Engines
Invited by: Charles Babbage
E-mail: ada@example.org
Interests: hiking, board games
Signal: +44 20 7946 0958"""

SAMPLES: list[tuple[str, str, dict[str, Any], str]] = [
    # ---- six lines
    ("six lines", SIX, SIGNAL, ""),
    ("five lines", SIX.rpartition("\n")[0], ADA, ""),
    ("nothing for Signal", SIX.rpartition("\n")[0] + "\n-", ADA, ""),
    ("the word none for Signal", SIX.rpartition("\n")[0] + "\nnone", ADA, "none"),
    ("no signal", SIX.rpartition("\n")[0] + "\nNo Signal", ADA, "no signal"),
    ("CRLF", SIX.replace("\n", "\r\n") + "\r\n", SIGNAL, ""),
    ("old Mac", SIX.replace("\n", "\r"), SIGNAL, ""),
    ("blank lines around and between", "\n\n" + SIX.replace("\n", "\n\n") + "\n\n\n", SIGNAL, ""),
    ("numbered", "\n".join(f"{at}. {line}" for at, line in enumerate(SIX.split("\n"), 1)), SIGNAL, "1 2 3 4 5 6"),
    (
        "numbered by brackets",
        "\n".join(f"{at}) {line}" for at, line in enumerate(SIX.split("\n"), 1)),
        SIGNAL,
        "1 2 3 4 5 6",
    ),
    ("bullets", "\n".join(f"• {line}" for line in SIX.split("\n")), SIGNAL, ""),
    ("dashes", "\n".join(f"- {line}" for line in SIX.split("\n")), SIGNAL, ""),
    (
        "emoji",
        "\n".join(f"{mark} {line}" for mark, line in zip("👤🏢🤝📧🎲📱", SIX.split("\n"), strict=True)),
        SIGNAL,
        "",
    ),
    (
        "keycaps",
        "\n".join(f"{at}\ufe0f\u20e3 {line}" for at, line in enumerate(SIX.split("\n"), 1)),
        SIGNAL,
        "1 2 3 4 5 6",
    ),
    ("quoted", "\n".join(f"> {line}" for line in SIX.split("\n")), SIGNAL, ""),
    ("a greeting before", "Hi everyone! 👋\n\n" + SIX, SIGNAL | {"intro": "Hi everyone! 👋"}, ""),
    ("marks that nobody sees", "\ufeff" + SIX.replace("Ada", "\u200eAda\u200b"), SIGNAL, ""),
    (
        "an organization left out",
        SIX.replace("Analytical Engines", ""),
        {k: v for k, v in SIGNAL.items() if k != "organization"},
        "",
    ),
    (
        "an organization that is none",
        SIX.replace("Analytical Engines", "-"),
        {k: v for k, v in SIGNAL.items() if k != "organization"},
        "",
    ),
    (
        "interests on several lines",
        SIX.replace("hiking, board games", "hiking\nboard games\n- chess"),
        SIGNAL | {"interests": "hiking\nboard games\nchess"},
        "",
    ),
    (
        "interests with blank lines, without a number",
        "Ada Lovelace\nAnalytical Engines\nCharles Babbage\nada@example.org\nhiking\n\nboard games",
        ADA | {"interests": "hiking\n\nboard games"},
        "",
    ),
    (
        "more after the number",
        SIX + "\nLooking forward to meeting you!",
        SIGNAL | {"intro": "Looking forward to meeting you!"},
        "",
    ),
    (
        "a line too many",
        SIX.replace("ada@", "she/her\nada@"),
        SIGNAL | {"intro": "she/her"},
        "",
    ),
    (
        "a username in place of the e-mail",
        SIX.replace("ada@example.org", "ada.l"),
        {k: v for k, v in SIGNAL.items() if k != "email"} | {"username": "ada.l"},
        "",
    ),
    (
        "e-mail and username",
        SIX.replace("ada@example.org", "ada@example.org / ada.l"),
        SIGNAL | {"username": "ada.l"},
        "",
    ),
    (
        "a Matrix id in place of the e-mail",
        SIX.replace("ada@example.org", "@ada:example.org"),
        {k: v for k, v in SIGNAL.items() if k != "email"} | {"matrix_id": "@ada:example.org"},
        "",
    ),
    ("an address in angle brackets", SIX.replace("ada@example.org", "<ada@example.org>"), SIGNAL, ""),
    (
        "an address as a link",
        SIX.replace("ada@example.org", "[ada@example.org](mailto:ada@example.org)"),
        SIGNAL,
        "mailto",
    ),
    ("a Signal username", SIX.rpartition("\n")[0] + "\nada.42", ADA | {"signal_number": "ada.42"}, ""),
    (
        "a link of Signal",
        SIX.rpartition("\n")[0] + "\nhttps://signal.me/#eu/x_Y-9",
        ADA | {"signal_number": "https://signal.me/#eu/x_Y-9"},
        "",
    ),
    ("the number with its label", SIX.replace("+44", "Signal: +44"), SIGNAL, "signal"),
    ("the interests with their label", SIX.replace("hiking,", "Interests: hiking,"), SIGNAL, "interests"),
    ("name in a sentence", SIX.replace("Ada Lovelace", "Hi, I'm Ada Lovelace"), SIGNAL, "hi i m"),
    ("family name first", SIX.replace("Ada Lovelace", "Lovelace, Ada"), SIGNAL, ""),
    (
        "one name",
        SIX.replace("Ada Lovelace", "Zoë"),
        {k: v for k, v in SIGNAL.items() if k != "last_name"} | {"first_name": "Zoë"},
        "",
    ),
    (
        "another script",
        "李 明\n山の会\n王 芳\nli@example.org\n登山、将棋",
        {
            "first_name": "李",
            "last_name": "明",
            "organization": "山の会",
            "invited_by": "王 芳",
            "email": "li@example.org",
            "interests": "登山、将棋",
        },
        "",
    ),
    (
        "three names, and a name with markup",
        SIX.replace("Ada Lovelace", "Ada <b>King</b> Lovelace"),
        SIGNAL | {"last_name": "<b>King</b> Lovelace"},
        "",
    ),
    (
        "four lines and the address third",
        "Ada Lovelace\nAnalytical Engines\nada@example.org\nhiking",
        {
            "first_name": "Ada",
            "last_name": "Lovelace",
            "organization": "Analytical Engines",
            "email": "ada@example.org",
            "interests": "hiking",
        },
        "",
    ),
    # ---- labels
    ("labels", LABELS, SIGNAL, "name organization invited by e mail interests signal"),
    (
        "labels in another order",
        "\n".join(reversed(LABELS.split("\n"))),
        SIGNAL,
        "name organization invited by e mail interests signal",
    ),
    (
        "labels, CRLF and blank lines",
        LABELS.replace("\n", "\r\n\r\n"),
        SIGNAL,
        "name organization invited by e mail interests signal",
    ),
    (
        "labels in Markdown, in a list",
        "\n".join(f"- **{line.replace(':', ':**')}" for line in LABELS.split("\n")),
        SIGNAL,
        "name organization invited by e mail interests signal",
    ),
    (
        "labels in capitals",
        "\n".join(line.partition(":")[0].upper() + ":" + line.partition(":")[2] for line in LABELS.split("\n")),
        SIGNAL,
        "name organization invited by e mail interests signal",
    ),
    (
        "labels with emoji and dashes",
        "👤 Full name – Ada Lovelace\n🏢 Organisation - Analytical Engines\n🤝 Who invited you? Charles Babbage\n📧 Email address = ada@example.org\n🎲 Hobbies → hiking, board games",
        ADA,
        "full name organisation who invited you email address hobbies",
    ),
    (
        "labels numbered, of a form",
        "1. What's your name? Ada Lovelace\n2. What organization are you with? - \n3. Who invited you?: Charles Babbage\n4. E-mail or username: ada@example.org\n5. What are you interested in? hiking, board games\n6. Signal number (optional): none",
        {k: v for k, v in ADA.items() if k != "organization"},
        "1 2 3 4 5 6 what s your name organization are you with who invited e mail or username interested in signal number optional none",
    ),
    (
        "values under their labels",
        "## Name\nAda Lovelace\n\n## Organization\nAnalytical Engines\n\n## Invited by\nCharles Babbage\n\n## Email\nada@example.org\n\n## Interests\n- hiking\n- board games\n",
        ADA | {"interests": "hiking\nboard games"},
        "name organization invited by email interests",
    ),
    (
        "labels alone with colons",
        "Name:\nAda Lovelace\nEmail:\nada@example.org\nInterests:\n\nhiking,\nboard games",
        {"first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.org", "interests": "hiking,\nboard games"},
        "name email interests",
    ),
    (
        "German",
        "Vorname: Ada\nNachname: Lovelace\nVerein: Rechenclub\nEingeladen von: Karl\nE-Mail-Adresse: ada@example.org\nInteressen: Wandern,\n  Brettspiele\nHandynummer: 0151 23456789",
        {
            "first_name": "Ada",
            "last_name": "Lovelace",
            "organization": "Rechenclub",
            "invited_by": "Karl",
            "email": "ada@example.org",
            "interests": "Wandern,\nBrettspiele",
            "signal_number": "0151 23456789",
        },
        "vorname nachname verein eingeladen von e mail adresse interessen handynummer",
    ),
    (
        "Spanish and French",
        "Nombre: José Núñez\nOrganización: Los Barcos\nInvitado por: Ada\nCorreo electrónico: jose@example.org\nCentres d’intérêt : la mer",
        {
            "first_name": "José",
            "last_name": "Núñez",
            "organization": "Los Barcos",
            "invited_by": "Ada",
            "email": "jose@example.org",
            "interests": "la mer",
        },
        "nombre organización invitado por correo electrónico centres d intérêt",
    ),
    (
        "on one line",
        "Name: Ada Lovelace | Organization: Analytical Engines | Invited by: Charles Babbage | Email: ada@example.org | Interests: hiking, board games",
        ADA,
        "name organization invited by email interests",
    ),
    (
        "by semicolons",
        "name: Ada Lovelace; org: Analytical Engines; email: ada@example.org",
        {
            "first_name": "Ada",
            "last_name": "Lovelace",
            "organization": "Analytical Engines",
            "email": "ada@example.org",
        },
        "name org email",
    ),
    (
        "wide colons",
        "Name：李明\nEmail：li@example.org\nInterests：登山",
        {"first_name": "李明", "email": "li@example.org", "interests": "登山"},
        "name email interests",
    ),
    (
        "what nobody asked for is kept",
        "Hello all,\nName: Ada Lovelace\nPronouns: she/her\nEmail: ada@example.org\nInterests: hiking\nFavourite colour: blue\n\nLooking forward to it!\nAda",
        {
            "first_name": "Ada",
            "last_name": "Lovelace",
            "email": "ada@example.org",
            "interests": "hiking\nFavourite colour: blue",
            "intro": "Hello all,\nPronouns: she/her\nLooking forward to it!\nAda",
        },
        "name email interests",
    ),
    (
        "an intro of several paragraphs",
        "Name: Ada Lovelace\nEmail: ada@example.org\nAbout me: I write notes.\n\nLong ones.\nSignal: ada.42",
        {
            "first_name": "Ada",
            "last_name": "Lovelace",
            "email": "ada@example.org",
            "signal_number": "ada.42",
            "intro": "I write notes.\n\nLong ones.",
        },
        "name email about me signal",
    ),
    (
        "said twice",
        "Name: Ada Lovelace\nEmail: ada@example.org\nOrganization: Engines\nOrganization: Looms",
        {
            "first_name": "Ada",
            "last_name": "Lovelace",
            "email": "ada@example.org",
            "organization": "Engines",
            "intro": "Organization: Looms",
        },
        "name email organization",
    ),
    (
        "a Matrix id and a username",
        "Name: Ada\nMatrix: @ada:example.org\nUsername: Ada.L\nEmail: ada@example.org",
        {"first_name": "Ada", "matrix_id": "@ada:example.org", "username": "ada.l", "email": "ada@example.org"},
        "name matrix username email",
    ),
    (
        "links and times are no labels",
        "Name: Ada\nEmail: ada@example.org\nInterests: see https://example.org/me: hiking at 10:30",
        {"first_name": "Ada", "email": "ada@example.org", "interests": "see https://example.org/me: hiking at 10:30"},
        "name email interests",
    ),
    (
        "an address that is none",
        "Name: Ada\nEmail: ask me\nInterests: hiking",
        {"first_name": "Ada", "interests": "hiking", "intro": "Email: ask me"},
        "name interests",
    ),
    # ---- neither
    (
        "a sentence",
        "Hi, I am Ana, I love hiking and board games, no politics please",
        {"first_name": "Ana", "intro": "Hi, I am Ana, I love hiking and board games, no politics please"},
        "",
    ),
    (
        "a few words with an address",
        "Ada Lovelace\nI found you at the fair. Write to ada@example.org",
        {
            "first_name": "Ada",
            "last_name": "Lovelace",
            "email": "ada@example.org",
            "intro": "I found you at the fair. Write to ada@example.org",
        },
        "",
    ),
    ("one word", "Ada", {"intro": "Ada"}, ""),
    ("nothing", "", {}, ""),
    ("blanks", " \r\n\t\n\u200b", {}, ""),
    ("marks alone", "***\n---\n", {"intro": "***\n---"}, ""),
]
