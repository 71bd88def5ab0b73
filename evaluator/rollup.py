"""Verdicts of an event's runs → one verdict for the event."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from math import fsum
from typing import Literal

from evaluator.model.rollup import RollupRule, RollupVerdict
from evaluator.model.rubric import Thresholds
from evaluator.model.verdict import VerdictLabel
from evaluator.scoring import label_of

RECENCY_DECAY = 0.7
"""What a run counts for relative to the judged run after it, under recency_weighted.

Recency-weighted means of conversations correlate with human ratings at ρ = .66–.74, the minimum worst of all. No decay
was published with that; at 0.7 the last of four runs has 39 % of the say and the first 14 %.
"""


@dataclass(frozen=True, slots=True)
class RunStanding:
    """Where one run of an event stands under a rubric."""

    run_id: str
    started_at: datetime
    state: Literal["judged", "waiting", "not_evaluable"]
    verdict: VerdictLabel | None
    score: float | None
    reason: str | None
    critical_failed: bool = False

    @property
    def is_decided(self) -> bool:
        """Whether the run has a verdict other than unknown."""
        return self.state == "judged" and self.verdict not in (None, VerdictLabel.UNKNOWN)


def roll_up(
    rule: RollupRule, runs: Sequence[RunStanding], *, thresholds: Thresholds, k: int | None = None
) -> RollupVerdict:
    """The event's verdict under a rule from its runs that were taken for judging, in any order.

    Runs are ordered by started_at, then run_id: clients count attempts anew with each retry. Nothing judged is unknown,
    without a score and with coverage 0. Raises ValueError for k_of_n without a k of 1 or more.

    - last_run: the last run decides alone. While it waits, cannot be judged or is unknown, so is the event: an earlier
      success says nothing about a later failure.
    - k_of_n: pass as soon as k runs pass; fail as soon as so many fail that k is out of reach; partial where passes
      alone cannot reach k any more and partials already fill them up to it. Until then unknown: a run that waits,
      cannot be judged, is unknown, or has not started while there are fewer than k, may yet be found to pass.
    - any: k_of_n with k = 1. One pass decides at once; fail needs every run judged.
    - all: k_of_n with k = the number of runs. One fail decides at once; pass needs every run judged.
    - mean, recency_weighted: the weighted mean score of the judged runs against the thresholds, provisional while
      others wait; a critical criterion failed in any of them is a fail.

    The score is the last run's under last_run, weighted under recency_weighted, else the mean of the judged runs.
    """
    ordered = sorted(runs, key=lambda run: (run.started_at, run.run_id))
    decided = [run for run in ordered if run.is_decided]
    if rule == RollupRule.LAST_RUN:
        verdict, score, deciding = _last(ordered, thresholds)
    elif rule in (RollupRule.MEAN, RollupRule.RECENCY_WEIGHTED):
        decay = RECENCY_DECAY if rule == RollupRule.RECENCY_WEIGHTED else 1.0
        verdict, score, deciding = _weighted(decided, thresholds, decay)
    else:
        verdict, deciding = _counted(ordered, _needed(rule, len(runs), k))
        score = _mean([_score(run, thresholds) for run in decided])
    reasons = Counter(run.reason or "unspecified" for run in ordered if run.state == "not_evaluable")
    return RollupVerdict(
        rule=rule,
        verdict=verdict,
        score=score,
        deciding_run_id=deciding.run_id if deciding else None,
        runs=len(ordered),
        judged=len(decided),
        waiting=sum(run.state == "waiting" for run in ordered),
        not_evaluable=dict(sorted(reasons.items())),
        coverage=len(decided) / len(ordered) if ordered else 0.0,
    )


_Outcome = tuple[VerdictLabel, float | None, RunStanding | None]


def _last(ordered: Sequence[RunStanding], thresholds: Thresholds) -> _Outcome:
    if not ordered:
        return VerdictLabel.UNKNOWN, None, None
    last = ordered[-1]
    if not last.is_decided or last.verdict is None:
        return VerdictLabel.UNKNOWN, None, last
    return last.verdict, _score(last, thresholds), last


def _weighted(decided: Sequence[RunStanding], thresholds: Thresholds, decay: float) -> _Outcome:
    if not decided:
        return VerdictLabel.UNKNOWN, None, None
    weights = [decay**later for later in reversed(range(len(decided)))]
    scores = [_score(run, thresholds) for run in decided]
    score = fsum(weight * score for weight, score in zip(weights, scores, strict=True)) / fsum(weights)
    veto = next((run for run in reversed(decided) if run.critical_failed), None)
    return (VerdictLabel.FAIL if veto else label_of(score, thresholds)), score, veto


def _needed(rule: RollupRule, runs: int, k: int | None) -> int:
    if rule == RollupRule.ANY:
        return 1
    if rule == RollupRule.ALL:
        return max(runs, 1)
    if k is None or k < 1:
        raise ValueError(f"k_of_n needs k, how many runs have to pass, as 1 or more; k is {k}")
    return k


def _counted(ordered: Sequence[RunStanding], needed: int) -> tuple[VerdictLabel, RunStanding | None]:
    """The verdict by counting, and the run that settled a pass or a fail."""
    labels = [run.verdict if run.is_decided else None for run in ordered]
    passes, partials, fails = (
        labels.count(label) for label in (VerdictLabel.PASS, VerdictLabel.PARTIAL, VerdictLabel.FAIL)
    )
    expected = max(len(ordered), needed)
    undecided = expected - passes - partials - fails
    if passes >= needed:
        return VerdictLabel.PASS, _nth(ordered, VerdictLabel.PASS, needed)
    if fails > expected - needed:
        return VerdictLabel.FAIL, _nth(ordered, VerdictLabel.FAIL, expected - needed + 1)
    if passes + partials >= needed > passes + undecided:
        return VerdictLabel.PARTIAL, None
    return VerdictLabel.UNKNOWN, None


def _nth(ordered: Sequence[RunStanding], label: VerdictLabel, n: int) -> RunStanding:
    return next(islice((run for run in ordered if run.is_decided and run.verdict == label), n - 1, None))


def _score(run: RunStanding, thresholds: Thresholds) -> float:
    """The run's score; a verdict that came without one counts as the score it stands for."""
    if run.score is not None:
        return run.score
    return {VerdictLabel.PASS: 1.0, VerdictLabel.PARTIAL: thresholds.partial_at}.get(
        run.verdict or VerdictLabel.FAIL, 0.0
    )


def _mean(scores: Sequence[float]) -> float | None:
    # fsum does not depend on the order of its terms, so neither does the result.
    return fsum(scores) / len(scores) if scores else None
