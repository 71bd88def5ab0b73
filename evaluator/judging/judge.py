"""One judgement: content and rubric in, a verdict out, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256
from typing import Any

from evaluator.applicability import applicable_criteria
from evaluator.judging.endpoint import Endpoint, provider_of, resolve_endpoint
from evaluator.judging.evidence import NOT_FOUND, check_evidence
from evaluator.judging.failures import Action, Advice, CallFailed, classify
from evaluator.judging.llm import LlmCall, LlmReply, complete
from evaluator.judging.local_slot import local_slot
from evaluator.judging.prompt import (
    PROMPT_VERSION,
    Prompt,
    answer_name,
    ask_again,
    build_messages,
    content_key,
    delimiter_for,
)
from evaluator.judging.reply import PARSER_VERSION, Unparsable, read_reply, reply_schema
from evaluator.model.capture import Fidelity
from evaluator.model.columns import canonical_json
from evaluator.model.judgement import NotEvaluable
from evaluator.model.rubric import CheckName, Criterion, JudgeSpec, Rubric
from evaluator.model.verdict import CriterionLabel, CriterionVerdict, VerdictLabel
from evaluator.precheck import PRECHECK_VERSION, precheck
from evaluator.rubric_format.installed_checks import check_version
from evaluator.rubric_format.rubric_files import judged_hash
from evaluator.scoring import score

__all__ = [
    "Endpoint",
    "JudgeResult",
    "JudgeWork",
    "Prepared",
    "content_key",
    "fingerprint",
    "judge",
    "prepare",
    "provider_of",
    "resolve_endpoint",
]

REPEAT_TEMPERATURE = 0.7
"""Repeats at temperature 0 would be the same reply again; where a rubric asks for that, this is used."""


@dataclass(frozen=True, slots=True)
class JudgeWork:
    """What is to be judged, by which rubric and judge."""

    rubric: Rubric
    spec: JudgeSpec
    content: dict[str, Any]
    """Content by the names of the rubric's mapping."""
    repeat: int = 0
    fidelity: Fidelity = Fidelity.FULL


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is known of a judgement before its judge is called."""

    asked: tuple[Criterion, ...] = ()
    """What is left to ask."""
    answers: tuple[CriterionVerdict, ...] = ()
    """What does not apply, and what code answered."""
    flags: tuple[str, ...] = ()
    prompt: Prompt | None = None
    """None where nothing is left to ask."""
    not_evaluable: NotEvaluable | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class JudgeResult:
    """How a judgement ended: exactly one of verdict, not_evaluable, retry and pause is set."""

    verdict: VerdictLabel | None = None
    score: float | None = None
    criteria: tuple[CriterionVerdict, ...] = ()
    summary: str = ""
    flags: tuple[str, ...] = ()
    not_evaluable: NotEvaluable | None = None
    detail: str | None = None
    """For people, where there is no verdict; never captured content."""
    retry: Advice | None = None
    pause: Advice | None = None
    cost_usd: Decimal | None = Decimal(0)
    """None where a call has no known price."""
    unpriced: bool = False
    input_tokens: int = 0
    output_tokens: int = 0
    calls: int = 0
    """Calls that were answered; failed ones are not billed."""
    latency_ms: float = 0.0


Caller = Callable[[LlmCall], Awaitable[LlmReply]]


async def judge(work: JudgeWork, endpoint: Endpoint, *, secret: bytes, caller: Caller | None = None) -> JudgeResult:
    """Judge content under a rubric with one call, and one more where the reply cannot be read.

    Code checks and the pre-check answer what they can; without an open question no call is made. secret makes
    the data's delimiter unforeseeable. Failures come back as advice or reason, never as a score. `caller` stands
    in for the call itself, to record or replay it.
    """
    prepared = await prepare(work, secret=secret)
    if prepared.not_evaluable is not None:
        return JudgeResult(not_evaluable=prepared.not_evaluable, detail=prepared.detail)
    prompt = prepared.prompt
    if prompt is None:
        return _scored(work, prepared, (), ())
    asked = await _ask(
        caller or caller_for(endpoint), _call(work, endpoint, prompt, prepared.asked), prepared.asked
    )
    if asked.advice is not None:
        return _ended(asked.advice, asked.replies)
    answers = check_evidence(asked.answers, prompt.texts, prompt.instructions)
    return _scored(work, prepared, answers, asked.replies)


def caller_for(endpoint: Endpoint) -> Caller:
    """How the endpoint's model is called."""
    return local_slot().complete if endpoint.local else complete


def fingerprint(rubric: Rubric, spec: JudgeSpec, model: str) -> str:
    """16 hex digits over all that a judge's answer depends on besides content; model is the endpoint's label.

    Of the rubric that is what is asked, shown, checked and scored: another sampling rate, budget or outcome is
    another version, whose verdicts mean the same. What a package's check says depends on the package's version.
    Statistics never pool across fingerprints.
    """
    asked = judged_hash(rubric)
    return _fingerprint(
        asked, model, temperature_of(spec), spec.max_tokens, spec.max_content_chars, *_plugin_versions(rubric)
    )


def _plugin_versions(rubric: Rubric) -> list[str]:
    names = {each.check for each in rubric.criteria if each.check} - set(CheckName)
    return [f"{name}: {check_version(name) or 'not installed'}" for name in sorted(names)]


def temperature_of(spec: JudgeSpec) -> float:
    """The temperature a judge is called with."""
    return REPEAT_TEMPERATURE if spec.repeats > 1 and spec.temperature == 0 else spec.temperature


@lru_cache(maxsize=1024)
def _fingerprint(*parts: str | float) -> str:
    versions = (PROMPT_VERSION, PARSER_VERSION, PRECHECK_VERSION)
    return sha256(canonical_json([*parts, *versions])).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class _Asked:
    replies: tuple[LlmReply, ...]
    answers: tuple[CriterionVerdict, ...] = ()
    advice: Advice | None = None


async def prepare(work: JudgeWork, *, secret: bytes) -> Prepared:
    """What is known of a judgement before its judge is called, the prompt included; no call is made."""
    if not _says_something(work.content):
        return Prepared(not_evaluable=NotEvaluable.NO_CONTENT, detail="Every part of the content is empty.")
    prepared = await _without_asking(work)
    if not prepared.asked:
        return prepared
    prompt = build_messages(
        work.rubric,
        prepared.asked,
        work.content,
        max_content_chars=work.spec.max_content_chars,
        delimiter=delimiter_for(work.content, secret),
    )
    flags = (*prepared.flags, "content_cut") if prompt.content_cut else prepared.flags
    return replace(prepared, prompt=prompt, flags=flags)


async def _without_asking(work: JudgeWork) -> Prepared:
    """What code can answer, and which criteria are left to ask."""
    applicable = applicable_criteria(work.rubric, work.content)
    ids = {each.id for each in applicable}
    answers = [
        CriterionVerdict(id=each.id, verdict=CriterionLabel.NOT_APPLICABLE, decided_by="check")
        for each in work.rubric.criteria
        if each.id not in ids
    ]
    answers += await _checked([each for each in applicable if each.check], work.content)
    questions = tuple(each for each in applicable if not each.check)
    before = precheck(work.content, answer_name(work.content))
    flags = before.flags
    if work.fidelity in (Fidelity.TRUNCATED, Fidelity.PARTIAL):
        flags = (*flags, f"content_{work.fidelity}")
    if before.verdict is None or not questions:
        return Prepared(questions, tuple(answers), flags)
    label = CriterionLabel.FAIL if before.verdict is VerdictLabel.FAIL else CriterionLabel.UNKNOWN
    answers += [
        CriterionVerdict(id=each.id, verdict=label, reasoning=before.reason, decided_by="precheck")
        for each in questions
    ]
    return Prepared((), tuple(answers), flags)


async def _checked(criteria: Sequence[Criterion], content: dict[str, Any]) -> list[CriterionVerdict]:
    if not criteria:
        return []
    # brings 6 MB of schema and pattern libraries along, which an idle server need not hold
    from evaluator.judging.checks import run_checks

    return await run_checks(criteria, content)


def _says_something(content: Mapping[str, Any]) -> bool:
    """Whether any text, number or truth value stands anywhere in the content, however deep."""
    pending: list[Any] = [content]
    while pending:
        value = pending.pop()
        if isinstance(value, Mapping):
            pending += value.values()
        elif isinstance(value, list | tuple):
            pending += value
        elif value is not None and (not isinstance(value, str) or value.strip()):
            return True
    return False


def _call(work: JudgeWork, endpoint: Endpoint, prompt: Prompt, criteria: tuple[Criterion, ...]) -> LlmCall:
    return LlmCall(
        model=endpoint.model,
        messages=prompt.messages,
        # the local model is slow, so its replies are held short; some providers refuse such limits
        schema=reply_schema(criteria, bounded=endpoint.local),
        temperature=temperature_of(work.spec),
        max_tokens=work.spec.max_tokens,
        timeout=work.spec.timeout_seconds,
        seed=work.repeat,
        api_base=endpoint.api_base,
        api_key=endpoint.api_key,
        prices=endpoint.prices,
    )


async def _ask(caller: Caller, call: LlmCall, criteria: tuple[Criterion, ...]) -> _Asked:
    replies: list[LlmReply] = []
    ending = "unparsable"
    for _ in range(2):
        try:
            reply = await caller(call)
        except CallFailed as failed:
            return _Asked(tuple(replies), advice=failed.advice)
        replies.append(reply)
        ending = _ending(reply)
        advice = classify(ending, model=call.model)
        if advice.action is not Action.REASK:
            return _Asked(tuple(replies), advice=advice)
        try:
            return _Asked(tuple(replies), answers=read_reply(reply.text, criteria))
        except Unparsable as problem:
            call = replace(call, messages=ask_again(call.messages, problem.message))
    return _Asked(tuple(replies), advice=classify(ending, model=call.model))


def _ending(reply: LlmReply) -> str:
    """How a reply ended in the failure table's words; unparsable until it has been read."""
    if reply.finish_reason in ("length", "content_filter"):
        return reply.finish_reason
    if reply.refusal or reply.finish_reason == "refusal":
        return "refusal"
    return "unparsable" if reply.text.strip() else "empty"


def _scored(
    work: JudgeWork, prepared: Prepared, answers: Iterable[CriterionVerdict], replies: tuple[LlmReply, ...]
) -> JudgeResult:
    by_id = {each.id: each for each in (*prepared.answers, *answers)}
    criteria = tuple(by_id[each.id] for each in work.rubric.criteria)
    scored = score(work.rubric.criteria, criteria, work.rubric.verdict)
    flags = prepared.flags
    if any(each.note == NOT_FOUND for each in criteria):
        flags = (*flags, "evidence_not_found")
    spent = _spent(replies)
    if spent["unpriced"]:
        flags = (*flags, "unpriced")
    return JudgeResult(
        verdict=scored.verdict,
        score=scored.score,
        criteria=criteria,
        summary=_summary(criteria, work.rubric.criteria),
        flags=flags,
        **spent,
    )


def _ended(advice: Advice, replies: tuple[LlmReply, ...]) -> JudgeResult:
    spent = _spent(replies)
    if advice.action is Action.RETRY_LATER:
        return JudgeResult(retry=advice, detail=advice.detail, **spent)
    if advice.action is Action.PAUSE:
        return JudgeResult(pause=advice, detail=advice.detail, **spent)
    return JudgeResult(not_evaluable=NotEvaluable(advice.reason), detail=advice.detail, **spent)


def _spent(replies: tuple[LlmReply, ...]) -> dict[str, Any]:
    costs = [each.cost_usd for each in replies]
    known = [cost for cost in costs if cost is not None]
    unpriced = len(known) < len(costs)
    return {
        "cost_usd": None if unpriced else sum(known, Decimal(0)),
        "unpriced": unpriced,
        "input_tokens": sum(each.input_tokens for each in replies),
        "output_tokens": sum(each.output_tokens for each in replies),
        "calls": len(replies),
        "latency_ms": sum(each.latency_ms for each in replies),
    }


def _summary(answers: tuple[CriterionVerdict, ...], criteria: tuple[Criterion, ...]) -> str:
    """One line for people, made of criterion ids only."""
    critical = {each.id for each in criteria if each.critical}
    parts = []
    for label in CriterionLabel:
        names = [
            f"{each.id} (critical)" if each.id in critical and label is CriterionLabel.FAIL else each.id
            for each in answers
            if each.verdict is label
        ]
        if names:
            parts.append(f"{label.replace('_', ' ')}: {', '.join(names)}")
    return "; ".join(parts)
