"""Expressions: JMESPath as rubrics use it, checked before use and never raising while used.

The language is that of https://jmespath.org/specification.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jmespath
import jmespath.functions
from jmespath.exceptions import ArityError, JMESPathError, LexerError, ParseError

from evaluator.rubric_format.rubric_problems import listed, nearest, quoted

RUN_FACTS = {
    "run_id": "Key of the run.",
    "event_id": "Key of the event the run works on.",
    "workflow": "Kind of event.",
    "status": "How the run ended technically: success, failed, cancelled or unknown; never an outcome.",
    "error_type": "Class of the error, where the run failed.",
    "attempt": "Number of the attempt as the client counts.",
    "customer_id": "Customer the run was for.",
    "tenant_id": "Tenant the run was for.",
    "environment": "Deployment, such as production.",
    "service": "Service that ran it.",
    "duration_ms": "How long it took, in milliseconds.",
    "diagnostics": "What the app said about itself: value_type, value_amount, confidence, reason, metadata, claimed.",
    "correlations": "Keys that join systems of record, such as zendesk_ticket_id.",
    "evaluations": "List of scores other tools sent along, each with name, score, label, explanation.",
    "fidelity": "How much of the content came through: full, truncated, partial or missing.",
    "llm_calls": "Number of LLM calls.",
    "models": "List of the models called.",
    "input_tokens": "Tokens sent, all calls together.",
    "output_tokens": "Tokens received, all calls together.",
    "cost_total_usd": "Cost in US dollars; null when a call has no known price.",
    "input": "What went in: text or JSON.",
    "output": "What came out: text or JSON.",
    "retrieval": "List of retrieved texts or documents.",
    "tools": "List of tool calls in time order, each with name, arguments, result and, where it failed, error.",
}
"""Names a rubric's expressions over a run may begin with, each with what it holds."""

_FUNCTIONS = jmespath.functions.Functions.FUNCTION_TABLE
_FROM_THE_LEFT = {
    "subexpression",
    "index_expression",
    "projection",
    "filter_projection",
    "value_projection",
    "pipe",
}


@dataclass(frozen=True, slots=True)
class ExpressionFault:
    """What is wrong with an expression, and at which of its characters (from 0)."""

    offset: int
    message: str
    found: str = ""
    allowed: str = ""
    suggestion: str | None = None


_ONE_SET_OF_FUNCTIONS = jmespath.Options(custom_functions=jmespath.functions.Functions())
"""Without it the library looks its functions together anew for every search, longer than most searches take."""


@lru_cache(maxsize=4096)
def _compiled(text: str) -> Any:
    return jmespath.compile(text)


def _tree(text: str) -> Any:
    """What is only checked is not kept as long as what is used."""
    return jmespath.compile(text).parsed


def evaluate(text: str, data: Any) -> Any:
    """What the expression finds in the data, or None where it finds nothing or cannot be applied to it.

    Comparing a text with a number, length(null) and the like count as finding nothing: what a run holds is not
    the author's doing. Data are only ever looked at, never read as an expression.
    """
    try:
        return _compiled(text).search(data, _ONE_SET_OF_FUNCTIONS)
    except (JMESPathError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError):
        return None


def is_true(value: Any) -> bool:
    """JMESPath's truth: false are null, false and what is empty; 0 is true."""
    return not (value is None or value is False or (isinstance(value, str | list | dict) and not value))


def names_in(text: str) -> tuple[str, ...]:
    """The names a valid expression looks up in the whole data, each once, in order."""
    return tuple(dict.fromkeys(reversed(list(_first_names(_tree(text))))))


def expression_fault(text: str, names: dict[str, str] | tuple[str, ...]) -> ExpressionFault | None:
    """The first thing wrong with an expression over data with these names, or None.

    Besides the grammar this checks the functions' names, and that each path begins with one of the names:
    any other would never find anything.
    """
    try:
        tree = _tree(text)
    except (LexerError, ParseError, ArityError) as error:
        return _parse_fault(error, text)
    except JMESPathError:
        return ExpressionFault(0, "the expression is empty")
    except (ValueError, RecursionError):
        return ExpressionFault(0, "the expression cannot be read: a number or its nesting is too large")
    for function in (node for node in _nodes(tree) if node["type"] == "function_expression"):
        fault = _function_fault(text, function["value"], len(function["children"]))
        if fault is not None:
            return fault
    for name in _first_names(tree):
        if name not in names:
            return _name_fault(text, name, tuple(names))
    return None


@dataclass(frozen=True, slots=True)
class NarrowNot:
    """A ! that ends before what it was meant for: where it stands (from 0), and the expression as it was meant."""

    offset: int
    suggestion: str | None


def narrow_not(text: str) -> NarrowNot | None:
    """The first ! of a valid expression that leaves nothing to be found; None where each reaches far enough.

    `!a.b` is `(!a).b`, and `!a == 'x'` is `(!a) == 'x'`: a part of true or false, and a text equal to it.
    """
    if not _has_narrow_not(text):
        return None
    found = _NOT_A_PATH.search(text)
    meant = _NOT_A_PATH.sub(r"!(\1)", text)
    try:
        is_mended = not _has_narrow_not(meant)
    except JMESPathError:
        is_mended = False
    return NarrowNot(found.start() if found else max(text.find("!"), 0), meant if is_mended else None)


_STEP = r"(?:\.(?:\w+|\*|\"[^\"]*\")|\[[^\[\]]*\])"
_VALUE = r"(?:'[^']*'|`[^`]*`)"
_NOT_A_PATH = re.compile(rf"!\s*((?:\w+|\"[^\"]*\"){_STEP}*(?:\s*(?:==|[<>]=?)\s*{_VALUE})?)(?![\w(.\[])")


def _has_narrow_not(text: str) -> bool:
    tree: Any = jmespath.compile(text).parsed
    return any(map(_is_narrow, _nodes(tree)))


def _is_narrow(node: dict[str, Any]) -> bool:
    """Whether this looks for a part of what a ! gives, or compares that with what is neither true nor false."""
    children = [child for child in node.get("children", ()) if isinstance(child, dict)]
    if node["type"] == "comparator" and node["value"] != "ne":
        left, right = children
        is_of_a_kind = right["type"] != "literal" or isinstance(right["value"], bool)
        return left["type"] == "not_expression" and not is_of_a_kind
    looks_into = node["type"] in _FROM_THE_LEFT - {"pipe"} or node["type"] == "flatten"
    return looks_into and bool(children[0]["type"] == "not_expression")


def _parse_fault(error: JMESPathError, text: str) -> ExpressionFault:
    if isinstance(error, ArityError):
        return ExpressionFault(0, str(error))
    offset = max(0, min(getattr(error, "lex_position", 0) or 0, len(text)))
    if offset == len(text):
        return ExpressionFault(offset, "the expression ends too early")
    rest = text[offset:]
    number = re.match(r"-?[0-9][0-9.]*", rest)
    suggestion = f"`{number.group()}`" if number else "==" if rest.startswith("=") else None
    return ExpressionFault(offset, "not a JMESPath expression from here on", repr(rest[:20]), suggestion=suggestion)


def _function_fault(text: str, name: str, given: int) -> ExpressionFault | None:
    if name not in _FUNCTIONS:
        message = "JMESPath has no such function"
        return ExpressionFault(
            _offset(text, name), message, quoted(name), ", ".join(_FUNCTIONS), nearest(name, _FUNCTIONS)
        )
    signature = _FUNCTIONS[name]["signature"]
    wanted, is_open = len(signature), bool(signature) and bool(signature[-1].get("variadic"))
    if given == wanted or (is_open and given > wanted):
        return None
    found, allowed = f"{given} arguments", f"{'at least ' if is_open else ''}{wanted}"
    return ExpressionFault(_offset(text, name), f"{name}() has another number of arguments", found, allowed)


def _name_fault(text: str, name: str, names: tuple[str, ...]) -> ExpressionFault:
    message, suggestion = "there is no such name here", nearest(name, names)
    if name in ("true", "false", "null"):
        suggestion = f"`{name}`"
    elif suggestion is None and f'"{name}"' in text:
        message += " (a text to compare with stands in single quotes)"
    return ExpressionFault(_offset(text, name), message, quoted(name), listed(names), suggestion)


def _offset(text: str, name: str) -> int:
    found = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text)
    return found.start() if found else 0


def _nodes(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(child for child in node.get("children", ()) if isinstance(child, dict))


def _first_names(tree: dict[str, Any]) -> Iterator[str]:
    """Names looked up in the whole data: further along a path, and within filters, names belong to its parts."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if node["type"] == "field":
            yield node["value"]
        children = [child for child in node.get("children", ()) if isinstance(child, dict)]
        if node["type"] in _FROM_THE_LEFT:
            children = children[:1]
        elif node["type"] == "expref":
            children = []
        waiting.extend(children)
