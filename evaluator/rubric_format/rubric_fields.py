"""Rubric fields: what each field may hold, and pydantic's findings told to an author at their place in the file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, get_args

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from evaluator.model.rubric import Rubric
from evaluator.rubric_format.marked_yaml import Node
from evaluator.rubric_format.rubric_problems import RubricProblem, listed, nearest, quoted

_WANTED = {
    "string_type": "text, in quotes where it looks like a number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number",
    "float_type": "a number, without quotes",
    "float_parsing": "a number, without quotes",
    "finite_number": "a number, without quotes",
    "decimal_type": "a number, without quotes",
    "decimal_parsing": "a number, without quotes",
    "bool_type": "true or false",
    "tuple_type": "a list, such as [a, b]",
    "dict_type": "a mapping of names to values",
    "model_type": "a mapping of names to values",
}
_BOOLS = dict.fromkeys(("yes", "on", "y"), "true") | dict.fromkeys(("no", "off", "n"), "false")


def field_problems(error: ValidationError, root: Node, file: str) -> list[RubricProblem]:
    """Pydantic's findings, each at its place and at most one per place."""
    problems: dict[tuple[int, int, str], RubricProblem] = {}
    for detail in error.errors(include_url=False, include_context=True):
        problem = _problem(detail, root, file)
        if problem is not None:
            problems.setdefault((problem.line, problem.column, problem.field), problem)
    return list(_without_explained(problems.values()))


def _without_explained(problems: Any) -> Iterator[RubricProblem]:
    """Leaves out that a key is missing where it only is misspelt, which its own problem says already."""
    respelt = {
        _sibling(problem.field, problem.suggestion)
        for problem in problems
        if problem.suggestion and problem.message == _UNKNOWN_KEY
    }
    return (each for each in problems if not (each.message == _MISSING and each.field in respelt))


_UNKNOWN_KEY = "there is no such key"
_MISSING = "is missing"


def _sibling(path: str, name: str) -> str:
    return path.rpartition(".")[0] + "." + name if "." in path else name


def _problem(detail: ErrorDetails, root: Node, file: str) -> RubricProblem | None:
    path, key, node, rest = _resolve(root, detail["loc"])
    if _is_other_branch(detail["type"], rest, node) or (detail["type"] == "too_short" and node.children):
        return None
    kind, context = detail["type"], detail.get("ctx", {})
    field = field_at(path)

    def told(
        at: Node, message: str, found: str = "", allowed: str = "", suggestion: str | None = None
    ) -> RubricProblem:
        return RubricProblem(file, at.line, at.column, dotted(path), message, found, allowed, suggestion)

    if kind == "missing":
        path = (*path, str(detail["loc"][-1]))
        missing = field_at(path)
        return told(node, _MISSING, allowed=missing.description or "" if missing else "")
    if kind == "extra_forbidden" and path[-1] == "<<":
        return told(key, "merge keys are not read", "'<<'", "the keys written out, or an alias for a whole value")
    if kind == "extra_forbidden":
        names = key_names(path[:-1])
        return told(key, _UNKNOWN_KEY, quoted(str(path[-1])), listed(names), nearest(str(path[-1]), names))
    if "[key]" in rest:
        at, found = key, str(path[-1])
        described = quoted(found)
    else:
        at, found, described = node, node.text or "", node.described()
    if kind in ("enum", "literal_error"):
        choices = re.findall(r"'([^']*)'", str(context.get("expected", "")))
        if path[:-1] == ("outcome",):
            choices.remove("unknown")  # an unknown verdict leaves the event pending
        return told(at, "is not one of the choices", described, listed(choices), nearest(found, choices))
    if kind == "string_pattern_mismatch":
        slug = re.sub(r"[^a-z0-9_-]+", "-", found.casefold()).strip("-_")[:64]
        allowed = "a-z, 0-9, - and _, at most 64 characters, the first a letter or digit"
        return told(at, "is not a short name", described, allowed, slug or None)
    if kind in _WANTED:
        return told(at, "is the wrong kind of value", described, _WANTED[kind], _rewritten(kind, path, found))
    if kind in ("too_short", "string_too_short"):
        unit = "entries" if kind == "too_short" else "characters"
        return told(at, "is too short", described, f"{context.get('min_length', 1)} or more {unit}")
    if kind == "too_long":
        number = len(node.children or node.entries)
        return told(at, "is too long", f"{number} entries", f"at most {context.get('max_length')} entries")
    return told(at, "is out of range", described, _range(field, context) or detail["msg"])


def _rewritten(kind: str, path: tuple[str | int, ...], found: str) -> str | None:
    """What an author who wrote this text most likely means, in the kind of value that is wanted."""
    if kind == "bool_type":
        return _BOOLS.get(found.casefold())
    if not found or kind not in ("tuple_type", "model_type") or len(found) > _LONGEST_REWRITTEN:
        return None
    entry = _ENTRIES.get(path[0] if path else "", "{}").format(found)
    return f"[{entry}]" if kind == "tuple_type" else entry if path[0] in _ENTRIES else None


_ENTRIES: dict[str | int, str] = {"judges": "{{model: {}}}", "criteria": "{{id: a-short-name, ask: {}}}"}
_LONGEST_REWRITTEN = 200


def _is_other_branch(kind: str, rest: tuple[str, ...], node: Node) -> bool:
    """Whether the finding is about the half of a union that the author did not choose."""
    is_mapping = isinstance(node.value, dict)
    is_word = isinstance(node.value, str)
    branch = next((part for part in rest if part == "int" or ("[" in part and part != "[key]")), "")
    if branch.startswith("dict["):
        return kind == "dict_type"
    if branch.startswith("literal["):
        return is_mapping
    if branch == "int":
        return is_word
    return branch.startswith("str-enum[") and not is_word


def _resolve(root: Node, loc: tuple[int | str, ...]) -> tuple[tuple[str | int, ...], Node, Node, tuple[str, ...]]:
    """The path that exists in the file, the key and value it ends at, and what of loc names no place in it."""
    path: list[str | int] = []
    rest: list[str] = []
    key = node = root
    for part in loc:
        if isinstance(part, int) and part < len(node.children):
            node = node.children[part]
            key = node
        elif str(part) in node.entries:
            key, node = node.entries[str(part)]
        else:
            rest.append(str(part))
            continue
        path.append(part)
    return tuple(path), key, node, tuple(rest)


def dotted(path: tuple[str | int, ...]) -> str:
    """The path as text, such as criteria[0].scale."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


@lru_cache(maxsize=1024)
def key_names(path: tuple[str | int, ...]) -> tuple[str, ...]:
    """Keys an author may use in the mapping at this path."""
    model = _model_at(path)
    return tuple(name for name in model.model_fields if (model, name) != (Rubric, "version")) if model else ()


def field_at(path: tuple[str | int, ...]) -> FieldInfo | None:
    """The field at this path, or None where the path ends within a field."""
    names = [part for part in path if isinstance(part, str)]
    model = _model_at(path[:-1]) if path and isinstance(path[-1], str) else None
    return model.model_fields.get(names[-1]) if model else None


def _model_at(path: tuple[str | int, ...]) -> type[BaseModel] | None:
    model: type[BaseModel] | None = Rubric
    for part in path:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part) if model else None
        if field is not None:
            model = _model_in(field.annotation)
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for part in get_args(annotation) if (model := _model_in(part))), None)


def _range(field: FieldInfo | None, context: dict[str, Any]) -> str:
    bounds: dict[str, Any] = {}
    for bound in field.metadata if field else ():
        match bound:
            case Ge(ge=limit):
                bounds["at least"] = limit
            case Gt(gt=limit):
                bounds["above"] = limit
            case Le(le=limit):
                bounds["at most"] = limit
            case Lt(lt=limit):
                bounds["below"] = limit
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    bounds = bounds or {words[name]: limit for name, limit in context.items() if name in words}
    return " and ".join(f"{word} {limit}" for word, limit in bounds.items())
