"""The judge's reply: its JSON schema, and reading it strictly."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, create_model

from evaluator.errors import AdjudgeError
from evaluator.judging.prompt import ASKED_QUOTES, allowed_words
from evaluator.model.rubric import Criterion
from evaluator.model.verdict import CriterionLabel, CriterionVerdict, Quote
from evaluator.scoring import level_passes

PARSER_VERSION = "1"
"""Part of every fingerprint; raise it with any change to how replies are read."""

_KEPT_QUOTES = 3
_LONGEST_QUOTE = 160
_LONGEST_REASONING = 240
_FENCED = re.compile(r"\s*```(?:json)?[ \t]*\n(.*)\n[ \t]*```\s*", re.DOTALL | re.IGNORECASE)
_LARGEST = 200_000
_MOST_PROBLEMS = 3


class Unparsable(AdjudgeError):
    """The judge's reply is not what was asked for."""


def reply_schema(criteria: Sequence[Criterion], *, bounded: bool = True) -> dict[str, Any]:
    """The JSON schema of one reply for all criteria: an object per criterion id.

    With bounded, texts and lists have a longest length, which keeps small models short;
    some providers refuse those keywords.
    """
    return _strict_object({each.id: _answer_schema(each, bounded) for each in criteria})


def read_reply(text: str, criteria: Sequence[Criterion]) -> tuple[CriterionVerdict, ...]:
    """The answers in a reply, in the order of the criteria; quotes are not checked yet.

    One JSON object and nothing else, but for a Markdown fence around the whole. Raises Unparsable, with a message
    in the schema's words that never repeats the reply, where the JSON is broken, a key occurs twice, a criterion
    is missing or unasked for, or a verdict is not one of its words.
    """
    fenced = _FENCED.fullmatch(text)
    try:
        found = json.loads(
            (fenced[1] if fenced else text)[:_LARGEST],
            object_pairs_hook=_object_without_repeats,
            parse_constant=_no_constant,
        )
    except json.JSONDecodeError as error:
        raise Unparsable(f"It is not one JSON object: {error.msg} at character {error.pos}.") from None
    except RecursionError:
        raise Unparsable("It is nested too deep.") from None
    try:
        reply = _reply_model(tuple((each.id, allowed_words(each)) for each in criteria)).model_validate(found)
    except ValidationError as error:
        raise Unparsable(_in_schema_words(error)) from None
    return tuple(_answer(each, getattr(reply, f"c{place}")) for place, each in enumerate(criteria))


def _answer_schema(criterion: Criterion, bounded: bool) -> dict[str, Any]:
    quote: dict[str, Any] = {"type": "string"}
    reasoning: dict[str, Any] = {"type": "string"}
    evidence: dict[str, Any] = {"type": "array", "items": quote}
    if bounded:
        quote["maxLength"] = _LONGEST_QUOTE
        reasoning["maxLength"] = _LONGEST_REASONING
        evidence["maxItems"] = ASKED_QUOTES
    verdict = {"type": "string", "enum": list(allowed_words(criterion))}
    return _strict_object({"evidence": evidence, "reasoning": reasoning, "verdict": verdict})


def _strict_object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


@lru_cache(maxsize=512)
def _reply_model(shape: tuple[tuple[str, tuple[str, ...]], ...]) -> type[BaseModel]:
    fields: dict[str, Any] = {
        f"c{place}": (_answer_model(words), Field(alias=name)) for place, (name, words) in enumerate(shape)
    }
    return create_model("Reply", __base__=_Strict, **fields)


@lru_cache(maxsize=128)
def _answer_model(words: tuple[str, ...]) -> type[BaseModel]:
    text = Annotated[str, StringConstraints(max_length=20_000)]
    fields: dict[str, Any] = {
        "evidence": (Annotated[list[text], Field(max_length=50)], ...),
        "reasoning": (text, ...),
        "verdict": (Literal[words], ...),
    }
    return create_model("Answer", __base__=_Strict, **fields)


def _answer(criterion: Criterion, given: Any) -> CriterionVerdict:
    verdict, level = given.verdict, None
    if criterion.scale and verdict not in (CriterionLabel.UNKNOWN, CriterionLabel.NOT_APPLICABLE):
        level = float(verdict)
        verdict = CriterionLabel.PASS if level_passes(criterion, level) else CriterionLabel.FAIL
    return CriterionVerdict(
        id=criterion.id,
        verdict=CriterionLabel(verdict),
        level=level,
        reasoning=_storable(given.reasoning).strip()[:1000],
        evidence=tuple(
            Quote(text=each[:500], found=False)
            for each in map(_storable, given.evidence[:_KEPT_QUOTES])
            if each.strip()
        ),
    )


def _storable(text: str) -> str:
    """Without NUL, which PostgreSQL refuses in texts and in JSON."""
    return text.replace("\x00", "")


def _object_without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Unparsable("A key occurs twice in one object.")
    return found


def _no_constant(_name: str) -> NoReturn:
    raise Unparsable("NaN and Infinity are not JSON.")


def _in_schema_words(error: ValidationError) -> str:
    """What is wrong where, without a word of the reply, which may carry captured content."""
    problems = error.errors(include_input=False, include_url=False, include_context=False)
    told = [
        "The reply has a key that was not asked for."
        if each["type"] == "extra_forbidden"
        else f"{'.'.join(map(str, each['loc'])) or 'reply'}: {each['msg']}."
        for each in problems[:_MOST_PROBLEMS]
    ]
    more = len(problems) - _MOST_PROBLEMS
    return " ".join(dict.fromkeys(told)) + (f" And {more} more." if more > 0 else "")
