"""Request bodies as JSON: read with a limit, validated with an answer to each thing that is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, TypeVar

import orjson
from fastapi import Request
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from starlette.datastructures import Headers

from evaluator.errors import BadInput, Malformed, Overloaded, TooLarge, Unsupported
from evaluator.rubric_format.rubric_problems import listed, nearest, quoted

MOST_TOLD = 20
"""Problems named in one answer."""
READING_SECONDS = 60.0
"""A body that has not arrived by then gives its place to another."""

Model = TypeVar("Model", bound=BaseModel)


async def read_limited(request: Request, max_bytes: int) -> bytes:
    """The request's body as sent.

    Raises TooLarge by its stated length before reading, and while reading; Overloaded where it does not arrive in time.
    """
    stated = request.headers.get("content-length", "")
    if stated.isdigit() and int(stated) > max_bytes:
        raise _too_large(max_bytes)
    try:
        async with asyncio.timeout(READING_SECONDS):
            return await _read(request, max_bytes)
    except TimeoutError:
        raise Overloaded(f"The body did not arrive within {READING_SECONDS:.0f} s.") from None


async def _read(request: Request, max_bytes: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > max_bytes:
            raise _too_large(max_bytes)
        pieces.append(piece)
    return b"".join(pieces)


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge(
        f"The body is larger than the {max_bytes} bytes that are read here.",
        hint="Send it in parts; ADJUDGE_MAX_BODY_MB raises the limit of intake.",
    )


def parse_json(body: bytes, headers: Headers) -> Any:
    """The JSON value of a body; raises Unsupported for another content type and Malformed for broken JSON."""
    media = headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media != "application/json" and not media.endswith("+json"):
        raise Unsupported(f"The content type is {quoted(media)}.", hint="Send application/json.")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed(
            f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from None
    return _without_nul(value) if b"\\u0000" in body else value


def _without_nul(value: Any) -> Any:
    """The value without NUL characters, which PostgreSQL refuses in texts and in JSON."""
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    if isinstance(value, dict):
        return {_without_nul(name): _without_nul(item) for name, item in value.items()}
    return value


def validated(model: type[Model], value: Any) -> Model:
    """The value as a model; raises BadInput with everything that is wrong with it."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise BadInput("\n".join(problems_of(error, model))) from None


def validated_all(model: type[Model], values: list[Any]) -> list[Model]:
    """Every value as a model, or BadInput naming each wrong item by its place; all or nothing."""
    models: list[Model] = []
    problems: list[str] = []
    for place, value in enumerate(values):
        try:
            models.append(model.model_validate(value))
        except ValidationError as error:
            problems += [f"[{place}] {problem}" for problem in problems_of(error, model)]
    if problems:
        more = [f"… and {len(problems) - MOST_TOLD} more."] if len(problems) > MOST_TOLD else []
        raise BadInput(
            "\n".join(problems[:MOST_TOLD] + more),
            hint="Nothing of this request was stored: mend these and send it again.",
        )
    return models


def problems_of(error: ValidationError, model: type[BaseModel]) -> Iterator[str]:
    """Each problem in a sentence: the field, what was found, what is allowed; content is described, not repeated."""
    for one in error.errors(include_url=False):
        yield _sentence(one, model)


def _sentence(problem: ErrorDetails, model: type[BaseModel]) -> str:
    place = ".".join(str(part) for part in problem["loc"])
    match problem["type"]:
        case "extra_forbidden":
            allowed = _names(model) if len(problem["loc"]) == 1 else []
            near = nearest(str(problem["loc"][-1]), allowed)
            meant = f"did you mean '{near}'?" if near else f"allowed: {listed(allowed)}" if allowed else ""
            return f"{quoted(place)} is not a field here; {meant}".rstrip("; ")
        case "missing":
            return f"{place}: this field is required"
        case "enum" | "literal_error":
            return f"{place}: {problem['msg']}; found {_shown(problem['input'])}"
        case "value_error":
            return f"{place}: {problem['ctx']['error']}".removeprefix(": ")
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"{place}: an object is needed here; found {_kind(problem['input'])}".removeprefix(": ")
        case _:
            return f"{place}: {problem['msg']}; found {_kind(problem['input'])}".removeprefix(": ")


def _names(model: type[BaseModel]) -> list[str]:
    return list(model.model_fields)


def _shown(value: Any) -> str:
    return quoted(value) if isinstance(value, str) else _kind(value)


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int() | float():
            return "a number"
        case str():
            return f"a text of {len(value)} characters"
        case list():
            return f"a list of {len(value)}"
        case dict():
            return "an object"
        case _:
            return type(value).__name__
