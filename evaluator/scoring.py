"""Answers to criteria → one verdict with a score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evaluator.model.rubric import Criterion, Thresholds
from evaluator.model.verdict import CriterionLabel, CriterionVerdict, VerdictLabel

_ROUNDING = 1e-9
"""A share that differs from a threshold by less than this reaches it: weights are floats."""


@dataclass(frozen=True, slots=True)
class Scored:
    """What the answers amount to; score is None where the verdict is unknown."""

    verdict: VerdictLabel
    score: float | None
    critical_failed: bool


def score(criteria: Sequence[Criterion], answers: Sequence[CriterionVerdict], thresholds: Thresholds) -> Scored:
    """The weighted share of applicable criteria passed, and the verdict it stands for.

    A failed critical criterion fails the whole, whatever else is unknown. Otherwise the verdict is unknown when a
    critical criterion is unknown, when unknown criteria weigh more than half, or when no criterion applies.
    A criterion without an answer counts as unknown.
    """
    label = {answer.id: answer.verdict for answer in answers}
    applicable = [c for c in criteria if label.get(c.id) is not CriterionLabel.NOT_APPLICABLE]
    weight = _weights(applicable, label)
    answered = weight[CriterionLabel.PASS] + weight[CriterionLabel.FAIL]
    critical = {label.get(c.id, CriterionLabel.UNKNOWN) for c in applicable if c.critical}
    critical_failed = CriterionLabel.FAIL in critical
    undecided = (
        not answered or CriterionLabel.UNKNOWN in critical or weight[CriterionLabel.UNKNOWN] > answered + _ROUNDING
    )
    if undecided and not critical_failed:
        return Scored(VerdictLabel.UNKNOWN, None, critical_failed=False)
    share = weight[CriterionLabel.PASS] / answered
    verdict = VerdictLabel.FAIL if critical_failed else label_of(share, thresholds)
    return Scored(verdict, share, critical_failed)


def label_of(share: float, thresholds: Thresholds) -> VerdictLabel:
    """The verdict a score from 0 to 1 stands for."""
    if share >= thresholds.pass_at - _ROUNDING:
        return VerdictLabel.PASS
    if share >= thresholds.partial_at - _ROUNDING:
        return VerdictLabel.PARTIAL
    return VerdictLabel.FAIL


def level_passes(criterion: Criterion, level: float) -> bool:
    """Whether a level of the criterion's scale passes; without pass_at, a level above the scale's middle does."""
    if criterion.pass_at is not None:
        return level >= criterion.pass_at
    levels = criterion.scale or {0: "", 1: ""}
    return level > (min(levels) + max(levels)) / 2


def _weights(criteria: Sequence[Criterion], label: Mapping[str, CriterionLabel]) -> dict[CriterionLabel, float]:
    weight = dict.fromkeys(CriterionLabel, 0.0)
    for criterion in criteria:
        weight[label.get(criterion.id, CriterionLabel.UNKNOWN)] += criterion.weight
    return weight
