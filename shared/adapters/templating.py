"""Jinja2 in a sandbox, of which templates may use little: variables, conditions, and loops over the rooms.

Whatever an expression gives is put aside, and a slot takes its place in the Markdown: see `shared.adapters.markdown`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from jinja2 import Template, TemplateSyntaxError, UndefinedError, nodes, pass_context
from jinja2.runtime import Context, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from shared.adapters.markdown import CLOSE, OPEN, rendered
from shared.domain.errors import Invalid
from shared.domain.templates import LONGEST, VARIABLES, Link, Mention, Rendered, Value, unknown_variable

SLOTS = "/slots"
"""Where a rendering keeps its slots: no template can name it."""
MOST_ROOMS = 200
DEEPEST = 12
"""Blocks within blocks."""
NODES = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Const,
    nodes.If,
    nodes.For,
    nodes.CondExpr,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Filter,
    nodes.Test,
)
"""All that a template may consist of: nothing that calls, multiplies, nests without end or reaches into a value."""
FILTERS = frozenset(("upper", "lower", "title", "capitalize", "trim", "first", "last", "length", "default", "join"))
TESTS = frozenset(("defined", "undefined", "none"))
ALLOWED = (
    "{name}, {% if name %} ... {% elif %} ... {% else %} ... {% endif %}, and {% for room in rooms %} ... {% endfor %}"
)


class JinjaRenderer:
    """`shared.ports.Renderer`."""

    def render(self, source: str, values: Mapping[str, Value]) -> Rendered:
        template, names = _compiled(source)
        for name in sorted(names - VARIABLES.keys()):
            raise unknown_variable(name, VARIABLES)
        slots: list[Any] = []
        given = {name: _usable(name, value) for name, value in values.items()}
        try:
            text = template.render(given | {SLOTS: slots})
        except (TypeError, ValueError, ArithmeticError, UndefinedError) as error:
            raise Invalid.field("source", f"cannot be filled in: {error}") from error
        return rendered(text, slots)

    def variables(self, source: str) -> frozenset[str]:
        return _compiled(source)[1]


def _usable(name: str, value: Value) -> Any:
    if name == "rooms" and isinstance(value, str):
        return [value]
    return list(value)[:MOST_ROOMS] if isinstance(value, list | tuple) else value


@pass_context
def _put_aside(context: Context, value: Any) -> str:
    """At run time for constants too: Jinja cannot know the slots while it compiles."""
    if isinstance(value, Undefined) or value is None or value == "":
        return ""
    if isinstance(value, list):
        value = ", ".join(str(each) for each in value)
    slots = context[SLOTS]
    slots.append(value if isinstance(value, Link | Mention) else str(value))
    return f"{OPEN}{len(slots) - 1}{CLOSE}"


class _Environment(ImmutableSandboxedEnvironment):
    def is_safe_attribute(self, *_: Any) -> bool:
        return False


_ENVIRONMENT = _Environment(
    variable_start_string="{",
    variable_end_string="}",
    trim_blocks=True,
    lstrip_blocks=True,
    finalize=_put_aside,
    cache_size=0,
    optimized=False,
)
_ENVIRONMENT.globals.clear()


@lru_cache(maxsize=256)
def _compiled(source: str) -> tuple[Template, frozenset[str]]:
    if len(source) > LONGEST:
        raise Invalid.field("source", f"is {len(source):,} characters long; expected at most {LONGEST:,}")
    if OPEN in source or CLOSE in source:
        raise Invalid.field("source", "has characters of Unicode's private use, U+E000 or U+E001; leave them out")
    try:
        parsed = _ENVIRONMENT.parse(source.replace("{{", "{").replace("}}", "}"))
        names = frozenset(_names(parsed, frozenset(), 0))
        return _ENVIRONMENT.from_string(parsed), names
    except TemplateSyntaxError as error:
        raise _wrong(error.lineno, _words(error.message or "is no template")) from error
    except (RecursionError, SyntaxError, MemoryError) as error:
        raise Invalid.field("source", "has too many blocks within one another") from error


def _words(message: str) -> str:
    """Jinja's, where they speak of its own way of writing variables."""
    if "unexpected '}'" in message or "unexpected char" in message or "expected token" in message:
        return f"{message}. Expected {ALLOWED}; for a brace itself write {{'{{'}}"
    return message


def _wrong(line: int, problem: str) -> Invalid:
    return Invalid.field("source", f"line {line}: {problem}")


def _names(node: nodes.Node, own: frozenset[str], depth: int) -> Iterator[str]:
    """The variables from outside that it names. Raises `Invalid` for what a template may not have."""
    _check(node, own, depth)
    if isinstance(node, nodes.Name) and node.name not in own:
        yield node.name
    if not isinstance(node, nodes.For):
        deeper = depth + isinstance(node, nodes.If | nodes.CondExpr)
        for child in node.iter_child_nodes():
            yield from _names(child, own, deeper)
        return
    yield "rooms"
    assert isinstance(node.target, nodes.Name)  # noqa: S101 - `_check` has seen to it
    within = own | {node.target.name}
    for child in (*node.body, *node.else_):
        yield from _names(child, within, depth + 1)


def _check(node: nodes.Node, own: frozenset[str], depth: int) -> None:
    if not isinstance(node, NODES):
        raise _wrong(node.lineno, f"a template cannot do this ({type(node).__name__.lower()}); it may have {ALLOWED}")
    if depth > DEEPEST:
        raise _wrong(node.lineno, f"more than {DEEPEST} blocks within one another")
    if isinstance(node, nodes.Filter) and node.name not in FILTERS:
        raise _wrong(node.lineno, f"there is no {node.name!r}; expected one of {', '.join(sorted(FILTERS))}")
    if isinstance(node, nodes.Filter) and (node.kwargs or node.dyn_args or node.dyn_kwargs or len(node.args) > 1):
        raise _wrong(node.lineno, f"{node.name} takes one thing at most")
    if isinstance(node, nodes.Test) and node.name not in TESTS:
        raise _wrong(node.lineno, f"there is no test {node.name!r}; expected one of {', '.join(sorted(TESTS))}")
    if isinstance(node, nodes.For):
        simple = isinstance(node.iter, nodes.Name) and node.iter.name == "rooms" and isinstance(node.target, nodes.Name)
        if not simple or node.test or node.recursive or own:
            raise _wrong(node.lineno, "a loop can only be {% for room in rooms %}, and not within another one")
