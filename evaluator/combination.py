"""What the outcome rubrics of an event say of it → the judge's words: one each, or one for all that are combined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from evaluator.model.outcome import FinalOutcome, OutcomeType
from evaluator.model.rubric import Combination

WORST_FIRST = (
    FinalOutcome.FAILED,
    FinalOutcome.TIMEOUT,
    FinalOutcome.ABANDONED,
    FinalOutcome.CANCELED,
    FinalOutcome.PARTIAL,
    FinalOutcome.SUCCESS,
)
"""Outcomes from the worst to the best: what went wrong, what never came to an end, what was called off, the rest."""

_ENDS_IT = {
    Combination.WORST: frozenset(WORST_FIRST[: WORST_FIRST.index(FinalOutcome.PARTIAL)]),
    Combination.BEST: frozenset({FinalOutcome.SUCCESS}),
}
"""Outcomes that settle a combination at once, whatever its other rubrics may come to say."""


@dataclass(frozen=True, slots=True)
class RubricSays:
    """What one outcome rubric says of an event."""

    rubric_id: str
    combine: Combination | None
    outcome: FinalOutcome | None
    """None where it says nothing: not sampled, unknown, still waiting."""
    outcome_type: OutcomeType
    told: str
    """The rollup's verdict, or why there is none."""
    reason: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JudgeWord:
    """What the judge says of an event under one origin; pending where that is nothing."""

    origin: str
    outcome: FinalOutcome
    outcome_type: OutcomeType
    reason: str
    facts: dict[str, Any] = field(default_factory=dict)


def judge_words(rubrics: Sequence[RubricSays]) -> list[JudgeWord]:
    """The judge's words about an event from all its outcome rubrics, in any order; each origin once.

    A rubric speaks for itself. Where two or more say `combine`, these speak with one voice: under worst the event
    has failed as soon as one rubric says so, and else waits for all, the worst counts; under best it is a success as
    soon as one says so, and else waits for all, the best counts. What was not sampled cannot be known and is waited
    for. Where some say worst and some best, worst holds. Outcome and type are those of the rubric that decides, of
    equals the first by id.
    """
    ordered = sorted(rubrics, key=lambda one: one.rubric_id)
    combined = [one for one in ordered if one.combine is not None]
    if len(combined) < 2:
        return [_own_word(one) for one in ordered]
    return [*(_own_word(one) for one in ordered if one.combine is None), _common_word(combined)]


def _own_word(rubric: RubricSays) -> JudgeWord:
    outcome, outcome_type = _spoken(rubric)
    return JudgeWord(f"rubric {rubric.rubric_id}", outcome, outcome_type, rubric.reason, rubric.facts)


def _common_word(rubrics: Sequence[RubricSays]) -> JudgeWord:
    rule = Combination.WORST if any(one.combine == Combination.WORST for one in rubrics) else Combination.BEST
    deciding = _deciding(rule, rubrics)
    outcome, outcome_type = _spoken(deciding)
    told = ", ".join(f"{one.rubric_id} {one.told}" for one in rubrics)
    return JudgeWord(
        origin=f"rubrics {', '.join(one.rubric_id for one in rubrics)} ({rule})",
        outcome=outcome,
        outcome_type=outcome_type,
        reason=f"{rule} of {len(rubrics)} rubrics: {told}",
        facts={
            "combine": str(rule),
            "deciding": deciding.rubric_id if deciding else None,
            "rubrics": {one.rubric_id: one.facts for one in rubrics},
        },
    )


def _deciding(rule: Combination, rubrics: Sequence[RubricSays]) -> RubricSays | None:
    decided = [one for one in rubrics if one.outcome in WORST_FIRST]
    if not decided:
        return None
    order = WORST_FIRST if rule == Combination.WORST else WORST_FIRST[::-1]
    first = min(decided, key=lambda one: order.index(one.outcome or FinalOutcome.PENDING))
    return first if first.outcome in _ENDS_IT[rule] or len(decided) == len(rubrics) else None


def _spoken(rubric: RubricSays | None) -> tuple[FinalOutcome, OutcomeType]:
    if rubric is None or rubric.outcome in (None, FinalOutcome.PENDING):
        return FinalOutcome.PENDING, OutcomeType.PENDING
    assert rubric.outcome is not None
    return rubric.outcome, rubric.outcome_type
