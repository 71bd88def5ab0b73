"""Reachability: which verdicts the answers to a rubric's criteria can come to, and which criteria can change one."""

from __future__ import annotations

from collections.abc import Sequence

from evaluator.model.rubric import Criterion, Thresholds
from evaluator.model.verdict import VerdictLabel
from evaluator.scoring import label_of

MOST_SUMS = 2000
"""Beyond so many different sums of weights nothing is said: every share is near one that can be reached."""

_MOST_KINDS = 10
"""Criteria of different weight that are looked at one by one."""
_DIGITS = 12
"""Of weights, as parts of the heaviest: far more than scores are rounded to, or a share would miss its threshold."""

Sums = frozenset[tuple[float, float]]
"""What passed and what applied, as weights."""


def reachable_shares(criteria: Sequence[Criterion]) -> tuple[float, ...] | None:
    """The weighted shares, rising, that answers can come to while no critical criterion fails.

    Every criterion is answered with pass or fail, or left out where it says not_applicable_when. None where there are
    too many to look at.
    """
    sums = _sums(criteria)
    return None if sums is None else tuple(sorted({round(passed / all_, 9) for passed, all_ in sums if all_}))


def idle_criteria(criteria: Sequence[Criterion], thresholds: Thresholds) -> tuple[int, ...]:
    """Places of the criteria, critical ones aside, whose answer changes no verdict whatever the other answers are.

    None of them where there are too many answers to look at.
    """
    heaviest = _heaviest(criteria)
    places: dict[tuple[float, bool], list[int]] = {}
    for place, criterion in enumerate(criteria):
        if not criterion.critical:
            weight = round(criterion.weight / heaviest, _DIGITS)
            places.setdefault((weight, criterion.not_applicable_when is not None), []).append(place)
    if len(places) > _MOST_KINDS or _sums(criteria) is None:
        return ()
    idle = [alike for alike in places.values() if _is_idle(alike[0], criteria, thresholds)]
    return tuple(sorted(place for alike in idle for place in alike))


def _is_idle(place: int, criteria: Sequence[Criterion], thresholds: Thresholds) -> bool:
    sums = _sums([*criteria[:place], *criteria[place + 1 :]], heaviest=_heaviest(criteria))
    weight = criteria[place].weight / _heaviest(criteria)
    return sums is not None and all(
        label_of((passed + weight) / (all_ + weight), thresholds) is label_of(passed / (all_ + weight), thresholds)
        for passed, all_ in sums
        if all_ + weight
    )


def verdicts(shares: Sequence[float], thresholds: Thresholds) -> frozenset[VerdictLabel]:
    """The verdicts these shares stand for."""
    return frozenset(label_of(share, thresholds) for share in shares)


def _heaviest(criteria: Sequence[Criterion]) -> float:
    return max((criterion.weight for criterion in criteria), default=1.0)


def _sums(criteria: Sequence[Criterion], *, heaviest: float | None = None) -> Sums | None:
    unit = heaviest or _heaviest(criteria)
    sums: Sums = frozenset({(0.0, 0.0)})
    for criterion in criteria:
        weight = criterion.weight / unit
        ways = [(weight, weight)]
        ways += [] if criterion.critical else [(0.0, weight)]
        ways += [(0.0, 0.0)] if criterion.not_applicable_when else []
        sums = frozenset(
            (round(p + passed, _DIGITS), round(a + all_, _DIGITS)) for p, a in sums for passed, all_ in ways
        )
        if len(sums) > MOST_SUMS:
            return None
    return sums
