"""Checks: criteria that code answers, without an LLM."""

from __future__ import annotations

import asyncio
import json
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from copy import deepcopy
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import jsonschema
import regex
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

from evaluator.judging.found_values import count_found
from evaluator.model.rubric import CheckName, Criterion
from evaluator.model.verdict import CriterionLabel, CriterionVerdict
from evaluator.rubric_format.installed_checks import (
    LOADING_SECONDS,
    Ended,
    PluginCheck,
    aside,
    check_version,
    load_check,
)
from evaluator.wording import visible

PATTERN_SECONDS = 0.2
"""How long one pattern may take; a catastrophic one ends as unknown instead of holding up the worker."""
FOUND_SECONDS = 1.0
"""How long values may be looked for in another piece of content."""
PLUGIN_SECONDS = 2.0
"""How long a package's check may take; a slower one ends as unknown, and its thread is left behind."""
PLUGIN_RUNS_AT_ONCE = 4
"""In one process: more would only take time from each other. As many may be left behind before a check is given up."""
_LONGEST_REASONING = 500

_URL = regex.compile(r"https?://[^\s<>\"'\]})]+", regex.IGNORECASE)

Answer = tuple[bool, str]
Check = Callable[[Any, Criterion, Mapping[str, Any]], Answer]


class _CannotCheck(Exception):
    """The check cannot be answered; the message is its note, without captured content."""


async def run_checks(criteria: Iterable[Criterion], content: Mapping[str, Any]) -> list[CriterionVerdict]:
    """The answers of the criteria's code checks, in their order; those of packages run aside of the event loop.

    A package's check that is not installed, raises, answers with something else than the contract in
    installed_checks says, or takes longer than PLUGIN_SECONDS comes to unknown, with a note.
    """
    return [
        run_check(each, content) if each.check in set(CheckName) else await _run_plugin(each, content)
        for each in criteria
    ]


async def _run_plugin(criterion: Criterion, content: Mapping[str, Any]) -> CriterionVerdict:
    try:
        if content.get(criterion.of) is None:
            raise _CannotCheck(f"There is no {criterion.of} to check.")
        async with _turn():
            passed, reasoning = _plugin_answer(await _plugin_result(criterion, content))
    except _CannotCheck as problem:
        return _verdict(criterion, CriterionLabel.UNKNOWN, note=str(problem))
    return _verdict(criterion, CriterionLabel.PASS if passed else CriterionLabel.FAIL, reasoning=reasoning)


async def _plugin_result(criterion: Criterion, content: Mapping[str, Any]) -> Any:
    name = criterion.check or ""
    if check_version(name) is None:
        raise _CannotCheck("No installed package brings this check along.")
    left = _left_behind.setdefault(name, set())
    left.difference_update([each for each in left if each.done()])
    if len(left) >= PLUGIN_RUNS_AT_ONCE:
        raise _CannotCheck("The check still runs over earlier content and is not asked for more.")
    check: PluginCheck = await _result_of(aside(lambda: load_check(name)), "cannot be loaded", LOADING_SECONDS)

    def call() -> Any:
        # the judge is shown the same content: what a check does to its copy changes nothing
        mine = deepcopy(dict(content))
        return check(mine[criterion.of], argument=deepcopy(criterion.value), content=mine)

    running = aside(call)
    try:
        return await _result_of(running, "failed", PLUGIN_SECONDS)
    finally:
        if not running.done():
            left.add(running)


async def _result_of(future: Future[Ended], failing: str, seconds: float) -> Any:
    await asyncio.wait([asyncio.wrap_future(future)], timeout=seconds)
    if not future.done():
        raise _CannotCheck(f"The check took longer than {seconds:g} s.")
    ended = future.result()
    if ended.raised is not None:
        raise _CannotCheck(f"The check {failing}: {ended.raised}.")
    return ended.value


def _plugin_answer(result: Any) -> Answer:
    match result:
        case bool():
            return result, ""
        case (bool() as passed, str() as reasoning):
            cleaned = visible(" ".join(reasoning[: 2 * _LONGEST_REASONING].split()))
            return passed, cleaned[:_LONGEST_REASONING]
        case _:
            raise _CannotCheck("The check answered with neither true or false nor that and a text.")


_left_behind: dict[str, set[Future[Ended]]] = {}
_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


def _turn() -> asyncio.Semaphore:
    """This event loop's share of threads for packages' checks."""
    return _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(PLUGIN_RUNS_AT_ONCE))


def run_check(criterion: Criterion, content: Mapping[str, Any]) -> CriterionVerdict:
    """The answer of a criterion's built-in code check over the content it names.

    Unknown, with a note, where that content is absent, the rubric's value does not fit the check, or a pattern
    takes longer than PATTERN_SECONDS. Raises ValueError for a criterion without a built-in check.
    """
    check = CHECKS[CheckName(criterion.check or "")]
    try:
        if content.get(criterion.of) is None:
            raise _CannotCheck(f"There is no {criterion.of} to check.")
        passed, reasoning = check(content[criterion.of], criterion, content)
    except RecursionError:
        return _verdict(criterion, CriterionLabel.UNKNOWN, note=f"{criterion.of} is nested too deep to check.")
    except _CannotCheck as problem:
        return _verdict(criterion, CriterionLabel.UNKNOWN, note=str(problem))
    return _verdict(criterion, CriterionLabel.PASS if passed else CriterionLabel.FAIL, reasoning=reasoning)


def _verdict(
    criterion: Criterion, label: CriterionLabel, *, reasoning: str = "", note: str | None = None
) -> CriterionVerdict:
    return CriterionVerdict(id=criterion.id, verdict=label, reasoning=reasoning, note=note, decided_by="check")


def _contains_url(value: Any, criterion: Criterion, _content: Mapping[str, Any]) -> Answer:
    hosts = [host for url in _URL.findall(_text(value)) if (host := _host(url))]
    if criterion.value is None:
        return bool(hosts), f"{len(hosts)} web address(es) found."
    wanted = [str(each).lower() for each in _listed(criterion.value)]
    fits = [h for h in hosts if any(h == each or h.endswith(f".{each}") for each in wanted)]
    return bool(fits), f"{len(fits)} of {len(hosts)} web address(es) are at {', '.join(wanted)}."


def _json_valid(value: Any, _criterion: Criterion, _content: Mapping[str, Any]) -> Answer:
    try:
        _parsed(value)
    except ValueError:
        return False, "It is not valid JSON."
    return True, "It is valid JSON."


def _json_schema(value: Any, criterion: Criterion, _content: Mapping[str, Any]) -> Answer:
    if not isinstance(criterion.value, dict | bool):
        raise _CannotCheck("The rubric gives no JSON schema as value.")
    try:
        found = _parsed(value)
    except ValueError:
        return False, "It is not valid JSON."
    try:
        _Validator.check_schema(criterion.value)
        problem = next(_Validator(criterion.value, registry=Registry()).iter_errors(found), None)
    except jsonschema.SchemaError:
        raise _CannotCheck("The rubric's value is not a valid JSON schema.") from None
    except (Unresolvable, RecursionError):
        raise _CannotCheck("The schema refers to something that is not within it.") from None
    except (ArithmeticError, ValueError):
        raise _CannotCheck("A number in it is too large to be held against the schema.") from None
    if problem is None:
        return True, "It fits the schema."
    return False, f"It breaks the schema's rule {problem.validator!r}."


def _regex(value: Any, criterion: Criterion, _content: Mapping[str, Any]) -> Answer:
    if not isinstance(criterion.value, str):
        raise _CannotCheck("The rubric gives no pattern as value.")
    found = _search(criterion.value, _text(value))
    return found, "The pattern is found." if found else "The pattern is not found."


def _max_length(value: Any, criterion: Criterion, _content: Mapping[str, Any]) -> Answer:
    if not isinstance(criterion.value, int | float):
        raise _CannotCheck("The rubric gives no number of characters as value.")
    length = len(_text(value))
    return length <= criterion.value, f"{length:,} of at most {criterion.value:,} characters."


def _contains(value: Any, criterion: Criterion, _content: Mapping[str, Any]) -> Answer:
    wanted = [str(each) for each in _listed(criterion.value)]
    if not wanted:
        raise _CannotCheck("The rubric gives no text as value.")
    text = _plain(_text(value))
    found = sum(_plain(each) in text for each in wanted)
    return found == len(wanted), f"{found} of {len(wanted)} text(s) found."


def _equals_reference(value: Any, criterion: Criterion, content: Mapping[str, Any]) -> Answer:
    name = "reference" if criterion.value is None else str(criterion.value)
    reference = content.get(name)
    if reference is None:
        raise _CannotCheck(f"The run has no content named {name}.")
    same = value == reference or _plain(_text(value)) == _plain(_text(reference))
    return same, "It equals the reference." if same else "It differs from the reference."


def _found_in(value: Any, criterion: Criterion, content: Mapping[str, Any]) -> Answer:
    reference = content.get(str(criterion.value))
    if reference is None:
        raise _CannotCheck(f"The run has no content named {criterion.value}.")
    try:
        found, of = count_found(value, reference, within_seconds=FOUND_SECONDS)
    except TimeoutError:
        raise _CannotCheck(f"There is too much to look for in {FOUND_SECONDS:g} s.") from None
    return found == of, f"{found} of {of} value(s) stand in {criterion.value}."


CHECKS: dict[CheckName, Check] = {
    CheckName.CONTAINS_URL: _contains_url,
    CheckName.JSON_VALID: _json_valid,
    CheckName.JSON_SCHEMA: _json_schema,
    CheckName.REGEX: _regex,
    CheckName.MAX_LENGTH: _max_length,
    CheckName.CONTAINS: _contains,
    CheckName.EQUALS_REFERENCE: _equals_reference,
    CheckName.FOUND_IN: _found_in,
}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).split())


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _parsed(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except RecursionError:
        raise ValueError("nested too deep") from None


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""


@lru_cache(maxsize=256)
def _pattern(pattern: str) -> regex.Pattern[str]:
    try:
        return regex.compile(pattern)
    except regex.error:
        raise _CannotCheck("The rubric's pattern is not a valid regular expression.") from None


def _search(pattern: str, text: str) -> bool:
    try:
        return _pattern(pattern).search(text, timeout=PATTERN_SECONDS) is not None
    except TimeoutError:
        raise _CannotCheck(f"The pattern took longer than {PATTERN_SECONDS} s on this content.") from None


def _schema_pattern(_validator: Any, pattern: str, found: Any, _schema: Any) -> Any:
    if isinstance(found, str) and not _search(pattern, found):
        yield jsonschema.ValidationError("does not match")


def _schema_pattern_properties(validator: Any, patterns: dict[str, Any], found: Any, _schema: Any) -> Any:
    if not isinstance(found, dict):
        return
    for pattern, schema in patterns.items():
        for key, value in found.items():
            if _search(pattern, key):
                yield from validator.descend(value, schema, path=key, schema_path=pattern)


def _schema_unique_items(_validator: Any, unique: Any, found: Any, _schema: Any) -> Any:
    # jsonschema compares each with each other, which takes content of 3,000 objects 8 s
    if unique and isinstance(found, list) and len(set(map(_comparable, found))) < len(found):
        yield jsonschema.ValidationError("has equal items")


def _comparable(value: Any) -> Any:
    """Equal for JSON values that are equal, of which true is no 1 and 1.0 is one."""
    match value:
        case bool():
            return ("is", value)
        case list():
            return ("list", *map(_comparable, value))
        case dict():
            return ("object", frozenset((name, _comparable(each)) for name, each in value.items()))
        case _:
            return value


_Validator: Any = extend(  # type: ignore[no-untyped-call]  # jsonschema's stubs leave it untyped
    jsonschema.Draft202012Validator,
    {
        "pattern": _schema_pattern,
        "patternProperties": _schema_pattern_properties,
        "uniqueItems": _schema_unique_items,
    },
)
"""JSON Schema 2020-12 whose patterns cannot run forever and whose references are never fetched."""
