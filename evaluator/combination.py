"""What judges and people say of an event under its outcome rubrics → words: one each, or one for all that are combined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from evaluator.model.outcome import FinalOutcome, OutcomeType, SignalSource
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
    """What one outcome rubric says of an event: its judges, or a person in their place."""

    rubric_id: str
    combine: Combination | None
    outcome: FinalOutcome | None
    """None where it says nothing: not sampled, unknown, still waiting."""
    outcome_type: OutcomeType
    told: str
    """The rollup's or the person's verdict, or why there is none."""
    reason: str
    facts: dict[str, Any] = field(default_factory=dict)
    by_person: str = ""
    """Who says so; empty: judges do."""
    review_id: str = ""
    """The person's review."""


@dataclass(frozen=True, slots=True)
class Word:
    """What judges or people say of an event under one origin; pending where that is nothing."""

    origin: str
    outcome: FinalOutcome
    outcome_type: OutcomeType
    reason: str
    facts: dict[str, Any] = field(default_factory=dict)
    source: SignalSource = SignalSource.JUDGE
    by_person: str = ""
    """Whose word it is; empty: judges'."""
    rests_on: tuple[str, ...] = ()
    """The reviews it rests on; none where judges decide."""


def judge_words(rubrics: Sequence[RubricSays]) -> list[Word]:
    """The judges' words about an event from all its outcome rubrics, in any order; each origin once.

    A rubric speaks for itself. Where two or more say `combine`, these speak with one voice: under worst the event
    has failed as soon as one rubric says so, and else waits for all, the worst counts; under best it is a success as
    soon as one says so, and else waits for all, the best counts. What was not sampled cannot be known and is waited
    for. Where some say worst and some best, worst holds. Outcome and type are those of the rubric that decides, of
    equals the first by id.
    """
    return all_words(rubrics, ())


def all_words(judges: Sequence[RubricSays], people: Sequence[RubricSays]) -> list[Word]:
    """All words about an event, from what judges say under each rubric and what people say under some.

    A rubric's person speaks beside its judges, and outranks them when the event is resolved. Where rubrics are
    combined a person's verdict counts in place of the judges' of that rubric. The common word is people's where they
    decide it: what ends it at once is theirs if one of them said it, what needs all is theirs if all are. Then the
    judges' common word is what they say alone.
    """
    ordered = sorted(judges, key=lambda one: one.rubric_id)
    heard = sorted(people, key=lambda one: one.rubric_id)
    mixed = {one.rubric_id: one for one in (*ordered, *heard)}
    combined = [one for _, one in sorted(mixed.items()) if one.combine is not None]
    if len(combined) < 2:
        return [_own_word(one) for one in (*ordered, *heard)]
    common = _common_word(combined)
    spoken = [common]
    if common.source == SignalSource.HUMAN:
        alone = {one.rubric_id: one for one in ordered}
        spoken.append(_common_word([alone.get(one.rubric_id) or _silent(one) for one in combined]))
    return [*(_own_word(one) for one in (*ordered, *heard) if one.combine is None), *spoken]


def _silent(rubric: RubricSays) -> RubricSays:
    """A rubric of which only people spoke, as far as judges go."""
    told = "not judged"
    return RubricSays(rubric.rubric_id, rubric.combine, None, OutcomeType.PENDING, told, told)


def _own_word(rubric: RubricSays) -> Word:
    outcome, outcome_type = _spoken(rubric)
    if not rubric.by_person:
        return Word(f"rubric {rubric.rubric_id}", outcome, outcome_type, rubric.reason, rubric.facts)
    return Word(
        f"review of {rubric.rubric_id}",
        outcome,
        outcome_type,
        rubric.reason,
        rubric.facts,
        SignalSource.HUMAN,
        rubric.by_person,
        (rubric.review_id,),
    )


def _common_word(rubrics: Sequence[RubricSays]) -> Word:
    rule = Combination.WORST if any(one.combine == Combination.WORST for one in rubrics) else Combination.BEST
    deciding = _deciding(rule, rubrics)
    outcome, outcome_type = _spoken(deciding[0] if deciding else None)
    told = ", ".join(f"{one.rubric_id} {one.told}" for one in rubrics)
    names = ", ".join(one.rubric_id for one in rubrics)
    word = Word(
        origin=f"rubrics {names} ({rule})",
        outcome=outcome,
        outcome_type=outcome_type,
        reason=f"{rule} of {len(rubrics)} rubrics: {told}",
        facts={
            "combine": str(rule),
            "deciding": deciding[0].rubric_id if deciding else None,
            "rubrics": {one.rubric_id: one.facts for one in rubrics},
        },
    )
    if not deciding or not all(one.by_person for one in deciding):
        return word
    reviews = tuple(one.review_id for one in deciding)
    return replace(
        word,
        origin=f"reviews of {word.origin}",
        facts={**word.facts, "reviews": list(reviews)},
        source=SignalSource.HUMAN,
        by_person=", ".join(dict.fromkeys(one.by_person for one in deciding)),
        rests_on=reviews,
    )


def _deciding(rule: Combination, rubrics: Sequence[RubricSays]) -> list[RubricSays]:
    """The rubrics that the common outcome rests on, the one that gives it first; none where it is not known yet.

    Of those that say what ends it at once one is enough: a person's before a judge's, then the first by id.
    """
    decided = [one for one in rubrics if one.outcome in WORST_FIRST]
    if not decided:
        return []
    order = WORST_FIRST if rule == Combination.WORST else WORST_FIRST[::-1]
    first = min(decided, key=lambda one: order.index(one.outcome or FinalOutcome.PENDING))
    if first.outcome in _ENDS_IT[rule]:
        return [next((one for one in decided if one.outcome == first.outcome and one.by_person), first)]
    if len(decided) < len(rubrics):
        return []
    return [first, *(one for one in rubrics if one is not first)]


def _spoken(rubric: RubricSays | None) -> tuple[FinalOutcome, OutcomeType]:
    if rubric is None or rubric.outcome in (None, FinalOutcome.PENDING):
        return FinalOutcome.PENDING, OutcomeType.PENDING
    assert rubric.outcome is not None
    return rubric.outcome, rubric.outcome_type
