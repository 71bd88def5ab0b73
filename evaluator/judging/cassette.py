"""Cassettes: judge calls of a rubric's golden examples, recorded once and replayed without model, network or key."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evaluator.errors import AdjudgeError, Malformed, Misconfigured
from evaluator.judging.judge import Caller
from evaluator.judging.llm import LlmCall, LlmReply

EXAMPLES_SECRET = b"adjudge rubrics test"
"""Golden examples are marked with a delimiter that is the same on every machine: they are the author's own text."""


class NotRecorded(AdjudgeError):
    """This call is not in the cassette."""


class _Recorded(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class RecordedReply(_Recorded):
    """What came back."""

    text: str
    finish_reason: str
    refusal: str | None
    input_tokens: int = Field(ge=0)
    output_tokens: int = Field(ge=0)
    cost_usd: str | None = Field(pattern=r"^[0-9]{1,9}(\.[0-9]{1,30})?$")
    """What it cost when it was recorded; None where no price was known."""


class RecordedCall(_Recorded):
    """One line of a cassette."""

    example: str
    judge: str
    """The model as the rubric names it."""
    model: str
    """The model as its endpoint is labelled."""
    temperature: float
    max_tokens: int
    seed: int | None
    messages: tuple[dict[str, str], ...] = Field(strict=False)
    reply: RecordedReply
    key: str


@dataclass
class Cassette:
    """The recorded calls of one rubric, in a file of one line per call."""

    path: Path
    _known: dict[str, RecordedCall] = field(default_factory=dict)
    _fresh: dict[str, RecordedCall] = field(default_factory=dict)
    _asked: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, path: Path) -> Cassette:
        """The cassette at a path, empty where there is none; raises Malformed for a line that is no recorded call."""
        try:
            lines = path.read_text(encoding="utf-8").split("\n")
        except FileNotFoundError:
            return cls(path)
        except (OSError, UnicodeDecodeError) as error:
            told = getattr(error, "strerror", None) or "it is not text in UTF-8"
            raise Malformed(f"The cassette {path} cannot be read: {told}.", hint=_AGAIN) from None
        calls = [_read_line(line, f"{path}:{number}") for number, line in enumerate(lines, start=1) if line.strip()]
        return cls(path, {call.key: call for call in calls})

    @property
    def has_news(self) -> bool:
        """Whether anything was recorded since it was read."""
        return bool(self._fresh)

    @property
    def exists(self) -> bool:
        return self.path.is_file()

    def label_of(self, judge: str) -> str:
        """The model that was recorded for a judge the rubric names; the name itself where none was."""
        return next((call.model for call in self._known.values() if call.judge == judge), judge)

    def replaying(self, label: str) -> Caller:
        """Answers calls to a model from what was recorded; raises NotRecorded for any other."""

        async def answer(call: LlmCall) -> LlmReply:
            key = call_key(call, label)
            self._asked.add(key)
            if key not in self._known:
                raise NotRecorded(self._why_not(call))
            return _as_reply(self._known[key])

        return answer

    def recording(self, label: str, *, example: str, judge: str, caller: Caller) -> Caller:
        """Makes calls with `caller` and keeps what comes back; a call made before in this session is not made again."""

        async def answer(call: LlmCall) -> LlmReply:
            key = call_key(call, label)
            self._asked.add(key)
            if key in self._fresh:
                # paid for already
                return replace(_as_reply(self._fresh[key]), cost_usd=Decimal(0))
            reply = await caller(call)
            kept = self._fresh.setdefault(key, _recorded(key, call, label, example, judge, reply))
            return replace(_as_reply(kept), cost_usd=reply.cost_usd, latency_ms=reply.latency_ms)

        return answer

    def _why_not(self, call: LlmCall) -> str:
        if not self._known:
            return f"not recorded: there is nothing in {self.path}"
        if any(known.messages == call.messages for known in self._known.values()):
            return "recorded with other options: judge, temperature, limits or --repeat"
        return "not recorded: the prompt changed since"

    def save(self, examples: Sequence[str], *, answered: Collection[str]) -> int:
        """Write what was recorded, in the order of the rubric's examples; how many calls the file then holds.

        Calls that were not made again are dropped, but for those of examples that were left out this time or could
        not be answered: `answered` are the others. Raises Misconfigured where the folder cannot be written.
        """
        labels = {call.judge: call.model for call in self._fresh.values()}
        kept = {
            key: call
            for key, call in self._known.items()
            if labels.get(call.judge, call.model) == call.model
            and (key in self._asked or (call.example in examples and call.example not in answered))
        }
        calls = sorted((kept | self._fresh).values(), key=lambda call: _place(call, examples))
        text = "".join(f"{_line(call)}\n" for call in calls)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(text, encoding="utf-8", errors="replace", newline="\n")
        except OSError as error:
            raise Misconfigured(f"The cassette {self.path} cannot be written: {error.strerror}.") from None
        return len(calls)


def call_key(call: LlmCall, label: str) -> str:
    """SHA-256 hex over all that a reply depends on: model, messages, schema, temperature, limit and seed."""
    asked = [label, call.messages, call.schema, call.temperature, call.max_tokens, call.seed]
    text = json.dumps(asked, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


_AGAIN = "Record it again: `adjudge rubrics test --record FOLDER`."


def _read_line(line: str, where: str) -> RecordedCall:
    try:
        return RecordedCall.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))
        told = f"{place}: {first['msg']}" if place else "it is not JSON"
        raise Malformed(f"{where} is no recorded call: {told}.", hint=_AGAIN) from None


def _recorded(key: str, call: LlmCall, label: str, example: str, judge: str, reply: LlmReply) -> RecordedCall:
    return RecordedCall(
        example=example,
        judge=judge,
        model=label,
        temperature=call.temperature,
        max_tokens=call.max_tokens,
        seed=call.seed,
        messages=call.messages,
        reply=RecordedReply(
            text=_whole(reply.text),
            finish_reason=reply.finish_reason,
            refusal=None if reply.refusal is None else _whole(reply.refusal),
            input_tokens=reply.input_tokens,
            output_tokens=reply.output_tokens,
            cost_usd=None if reply.cost_usd is None else f"{reply.cost_usd:f}",
        ),
        key=key,
    )


def _as_reply(call: RecordedCall) -> LlmReply:
    reply = call.reply
    return LlmReply(
        text=reply.text,
        finish_reason=reply.finish_reason,
        refusal=reply.refusal,
        input_tokens=reply.input_tokens,
        output_tokens=reply.output_tokens,
        cost_usd=None if reply.cost_usd is None else Decimal(reply.cost_usd),
        latency_ms=0.0,
        model=call.model,
    )


def _place(call: RecordedCall, examples: Sequence[str]) -> tuple[Any, ...]:
    place = examples.index(call.example) if call.example in examples else len(examples)
    # a re-ask repeats the user message with a line added, so it is the longer one
    return (
        place,
        call.judge,
        call.seed or 0,
        sum(len(each.get("content", "")) for each in call.messages),
        call.key,
    )


def _whole(text: str) -> str:
    """The text without half character pairs, which no file takes."""
    return text.encode("utf-8", "replace").decode()


def _line(call: RecordedCall) -> str:
    return json.dumps(call.model_dump(mode="json"), ensure_ascii=False)
