"""Placeholders as Python tools write them, to Muster's: `{name}`, `{{ name }}`, `%(name)s`, `$name`, `<name>`. What
says nothing of its meaning (`%s`, `{}`), or is known nowhere, stays as text and is named."""

from __future__ import annotations

import re

from msgspec import Struct, field

from legacy.names import PEOPLE, PLACEHOLDERS
from shared.domain.templates import variables_of

WORDS = frozenset("if elif else endif for in endfor and or not is defined undefined none true false".split())
HTML = frozenset(
    "a abbr b big blockquote body br caption center code del details div em font footer h1 h2 h3 h4 h5 h6 head header "
    "hr html i img ins kbd li main mark ol p pre q s samp section small span strike strong style sub summary sup table "
    "tbody td tfoot th thead title tr tt u ul".split()
)
WITH_AN_AT = ("matrix_id", "mention", "bot")
_NAME = r"[A-Za-z_][\w.]*"
_ONE = rf"(?<!\{{)\{{{_NAME}(?:![rsa])?(?::[^{{}}]*)?\}}(?!\}})"
_ANY = re.compile(
    rf"""
    (?P<own>\{{'[{{}}]'\}}|\\<)
    |(?P<block>\{{%.*?%\}})
    |(?P<comment>\{{\#.*?\#\}})
    |(?P<double>\{{\{{[ ]*(?P<double_name>{_NAME})[ ]*(?P<filter>\|[^{{}}]*)?\}}\}})
    |(?P<single>\{{(?P<single_name>{_NAME})(?P<piped>\|[^{{}}]*)?(?:![rsa])?(?::[^{{}}]*)?\}})
    |(?P<dollar>\$(?:\{{(?P<braced>{_NAME})\}}|(?P<bare>[A-Za-z_]\w*)))
    |(?P<percent>%\((?P<percent_name>{_NAME})\)[-+0#]*\d*(?:\.\d+)?[sdr])
    |(?P<angle><(?P<angle_name>[A-Za-z_][\w -]{{0,40}})>)
    |(?P<blind>%[sdr](?!\w)|\{{\d*\}})
    |(?P<twice>%%|\$\$|\{{\{{|\}}\}})
    |(?P<brace>[{{}}])
    """,
    re.VERBOSE | re.DOTALL,
)
_LOOP = re.compile(rf"\{{%-?\s*for\s+(\w+)\s+in\s+({_NAME})")
_IDENTIFIER = re.compile(rf"'[^']*'|\"[^\"]*\"|{_NAME}")


class Translated(Struct):
    """`known`: as it was written, to the variable. `left`: as it was written, and stays. `blocks`: conditions and
    loops about what nobody knows here: such a text says something else without them."""

    source: str = ""
    known: dict[str, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    blocks: list[str] = field(default_factory=list)


class _Styles(Struct, frozen=True):
    """What the whole text tells of how it is written. `loops`: names that loops give to a room."""

    formatted: bool
    percent: bool
    dollar: bool
    loops: frozenset[str]


def translate(text: str, purpose: str) -> Translated:
    """To a template's source. What is a template of Muster's already stays as it is."""
    found, styles = Translated(), _styles(text, purpose)
    parts: list[str] = []
    at = 0
    for match in _ANY.finditer(text):
        parts.append(text[at : match.start()])
        written = _one(match, found, styles, purpose)
        if written.startswith(tuple(f"{{{name}" for name in WITH_AN_AT)) and parts[-1].endswith("@"):
            parts[-1] = parts[-1][:-1]  # the value brings its own
        parts.append(written)
        at = match.end()
    found.source = "".join([*parts, text[at:]])
    return found


def variable_of(name: str, purpose: str) -> str:
    """ "" for what is unknown, means several, or is not for this template."""
    head, _, last = name.lower().rpartition(".")
    key = last if head in PEOPLE else name.lower().replace(".", "_").replace(" ", "_").replace("-", "_")
    names = [ours for ours in variables_of(purpose) if key == ours]
    names = names or [ours for ours in variables_of(purpose) if key in PLACEHOLDERS.get(ours, ())]
    return names[0] if len(names) == 1 else ""


def _styles(text: str, purpose: str) -> _Styles:
    loops = {each for each, of in _LOOP.findall(text) if variable_of(of, purpose) == "rooms"}
    named_by_percent = re.search(r"%\(\w+\)|%[sd](?!\w)", text)
    named_by_dollar = re.search(r"(?<!\$)\$\{?[A-Za-z_]", text)
    return _Styles(bool(re.search(_ONE, text)), bool(named_by_percent), bool(named_by_dollar), frozenset(loops))


def _one(match: re.Match[str], found: Translated, styles: _Styles, purpose: str) -> str:
    written, group = match[0], match.lastgroup
    if group == "own" or (group == "angle" and _is_html(match, purpose)):
        return written
    if group == "block":
        return _block(written, found, styles, purpose)
    if group == "comment":
        return ""
    if group == "twice":
        return _twice(written, styles)
    if group == "brace":
        return _text(written)
    if group == "blind" or (group == "double" and styles.formatted):
        literal = written[1:-1] if group == "double" else written
        return _stays(written, literal, found)
    return _variable(match, written, found, styles, purpose)


def _variable(match: re.Match[str], written: str, found: Translated, styles: _Styles, purpose: str) -> str:
    keys = ("double_name", "single_name", "braced", "bare", "percent_name", "angle_name")
    name = next(match[key] for key in keys if match[key])
    pipe = match["filter"] or match["piped"] or ""
    if name.removesuffix(".name") in styles.loops and match["angle"] is None:
        return f"{{{name.removesuffix('.name')}{pipe.rstrip()}}}"
    variable = variable_of(name, purpose)
    if not variable:
        return _stays(written, written, found)
    found.known[written] = variable
    return f"{{{variable}{pipe.rstrip()}}}"


def _is_html(match: re.Match[str], purpose: str) -> bool:
    return match["angle_name"].strip().lower() in HTML and not variable_of(match["angle_name"], purpose)


def _block(written: str, found: Translated, styles: _Styles, purpose: str) -> str:
    def one(match: re.Match[str]) -> str:
        name = match[0]
        if name[0] in "'\"" or name in WORDS or name in styles.loops:
            return name
        variable = variable_of(name, purpose)
        if not variable and written not in found.blocks:
            found.blocks.append(written)
        return variable or name

    return _IDENTIFIER.sub(one, written)


def _twice(written: str, styles: _Styles) -> str:
    """A sign that stands for itself by being there twice, where the text is written in that way."""
    halved = {"%": styles.percent, "$": styles.dollar, "{": styles.formatted, "}": styles.formatted}[written[0]]
    return _text(written[0] if halved else written)


def _stays(written: str, literal: str, found: Translated) -> str:
    if written not in found.left:
        found.left.append(written)
    return _text(literal)


def _text(literal: str) -> str:
    """As a template says it: a brace would begin a variable there, and an angle a tag."""
    text = re.sub(r"[{}]", lambda found: f"{{'{found[0]}'}}", literal)
    return rf"\{text}" if text.startswith("<") else text
