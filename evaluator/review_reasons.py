"""Why a run wants a second look: of a stronger judge, or of a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from hashlib import blake2b
from typing import Any

from evaluator.model.judgement import NotEvaluable
from evaluator.model.rollup import RollupVerdict
from evaluator.model.rubric import ReviewPolicy, Rubric
from evaluator.model.verdict import VerdictLabel
from evaluator.panel import RunVerdict

Condition = str | Mapping[Any, Decimal]
"""An entry of `escalate.when` or `review.send`: a reason's name, or {"value_above": amount}."""

NEAR = 0.1
"""A score this close to a threshold is near it: of ten equal criteria, one answered otherwise moves it so far."""
LOW_CONFIDENCE = Decimal("0.5")
"""Below it the app itself thinks that it was rather wrong than right."""
VALUE_ABOVE = "value_above"
AUDIT = "audit"
"""The reason of events that people see at random, whatever the judges said of them."""

_ROUNDING = 1e-9
# not the purpose of sampling: else an audit at 5 % of a sample at 5 % would be all of it
_PURPOSE = b"adjudge.audit"
_DRAW_BITS = 53


def reasons(
    wanted: Sequence[Condition], run: RunVerdict, rubric: Rubric, diagnostics: Mapping[str, Any]
) -> tuple[str, ...]:
    """Which of the wanted conditions hold for a judged run, in their order, each once.

    `rubric` is the version the run was judged under, `diagnostics` what the app said about itself: `confidence` and
    `value_amount` count where they are numbers or the text of one.

    - unknown: the run's verdict is unknown.
    - critical_fail: it is fail because a critical criterion failed.
    - panel_split: judges or repeats gave different verdicts, unknown aside.
    - injection_suspected: the content seems to speak to the judge.
    - near_threshold: the score is within NEAR of `verdict.pass_at` or `verdict.partial_at` and they decided: a failed
      critical criterion did not leave it to them, and of a score of 0 or 1 all criteria say the same.
    - low_confidence: the app's confidence is below LOW_CONFIDENCE.
    - value_above: what the app said the run is worth is above the amount.
    """
    held = (_held(one, run, rubric, diagnostics) for one in wanted)
    return tuple(dict.fromkeys(reason for reason in held if reason is not None))


@dataclass(frozen=True, slots=True)
class JudgedRun:
    """A judged run of an event: its verdict, the rubric version it was judged under, what the app said of itself."""

    verdict: RunVerdict
    rubric: Rubric
    diagnostics: Mapping[str, Any]


def review_reasons(
    policy: ReviewPolicy, event_id: str, runs: Sequence[JudgedRun], rollup: RollupVerdict
) -> tuple[str, ...]:
    """Why a rubric's review policy wants a person to look at an event, in the policy's order; `audit` comes last.

    A reason that holds for one of the judged runs holds for the event. It is unknown as well where its rollup is and
    waits for nothing, be it that no judge came to a verdict. Before anything is judged, or known to be without a
    verdict, there is nothing to look at; what a budget holds back still waits.
    """
    if not runs and (not rollup.runs or rollup.waiting or NotEvaluable.BUDGET in rollup.not_evaluable):
        return ()
    held = {reason for run in runs for reason in reasons(policy.send, run.verdict, run.rubric, run.diagnostics)}
    if rollup.verdict == VerdictLabel.UNKNOWN and not rollup.waiting:
        held.add("unknown")
    wanted = dict.fromkeys(one if isinstance(one, str) else VALUE_ABOVE for one in policy.send)
    audited = (AUDIT,) if is_audited(event_id, policy.audit_rate) else ()
    return (*(reason for reason in wanted if reason in held), *audited)


def _held(condition: Condition, run: RunVerdict, rubric: Rubric, diagnostics: Mapping[str, Any]) -> str | None:
    if not isinstance(condition, str):
        value = number_in(diagnostics.get("value_amount"))
        return VALUE_ABOVE if value is not None and any(value > most for most in condition.values()) else None
    match condition:
        case "unknown":
            holds = run.verdict == VerdictLabel.UNKNOWN
        case "critical_fail":
            holds = run.critical_failed
        case "panel_split":
            holds = run.split
        case "injection_suspected":
            holds = condition in run.flags
        case "near_threshold":
            holds = _near_threshold(run, rubric)
        case "low_confidence":
            confidence = number_in(diagnostics.get("confidence"))
            holds = confidence is not None and confidence < LOW_CONFIDENCE
        case _:
            raise ValueError(f"No condition is called {condition!r}.")
    return condition if holds else None


def _near_threshold(run: RunVerdict, rubric: Rubric) -> bool:
    if run.score is None or run.critical_failed or not 0 < run.score < 1:
        return False
    thresholds = (rubric.verdict.pass_at, rubric.verdict.partial_at)
    return any(abs(run.score - each) <= NEAR + _ROUNDING for each in thresholds)


def number_in(value: object) -> Decimal | None:
    """The number a value is or spells; None for truth values, texts that spell none, and what is not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def is_audited(event_id: str, rate: float) -> bool:
    """Whether people see an event at random: the same for ever, nested as the rate grows, independent of sampling."""
    digest = blake2b(event_id.encode("utf-8", "surrogatepass"), digest_size=8, person=_PURPOSE).digest()
    # A float holds 53 bits exactly; more would round up to 1.0 now and then.
    return (int.from_bytes(digest, "big") >> (64 - _DRAW_BITS)) / (1 << _DRAW_BITS) < rate
