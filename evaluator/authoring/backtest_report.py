"""The report a backtest leaves: two versions side by side, what people said, and where the versions differ."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict

from evaluator.model.backtest import BacktestState
from evaluator.model.rollup import RollupRule
from evaluator.model.verdict import VerdictLabel

Level = Literal["run", "event"]
FlipKind = Literal["lost", "gained", "both_wrong", "unlabelled"]
"""Candidate wrong where the baseline was right; right where it was wrong; both wrong; nobody has said."""
FLIP_ORDER: tuple[FlipKind, ...] = ("lost", "gained", "both_wrong", "unlabelled")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Figure(_Part):
    """A value with its 95 % interval, over n items."""

    value: float | None
    low: float | None
    high: float | None
    n: int


class AgreementFigures(_Part):
    """How a version's verdicts stand to people's."""

    n: int
    """Items where both decided."""
    events: int
    both_pass: int
    only_human_pass: int
    only_judge_pass: int
    neither_pass: int
    undecided: int
    """Items a person decided and the version did not."""
    human_unknown: int
    agreement: Figure
    sensitivity: Figure
    specificity: Figure
    pass_rate_bias: Figure
    kappa: Figure
    ac1: Figure


class VersionReport(_Part):
    """What one version said."""

    rubric_id: str = ""
    """The baseline may be another rubric; empty in reports of before this was kept."""
    version: str
    place: str
    judges: list[str]
    rollup: RollupRule
    runs: int
    events: int
    run_verdicts: dict[VerdictLabel, int]
    event_verdicts: dict[VerdictLabel, int]
    not_evaluable: dict[str, int]
    """Reason → runs."""
    unfinished: int
    """Runs the backtest did not get to."""
    verdicts: int
    """Runs with a verdict."""
    reused_judgements: int
    cost_per_verdict_usd: Decimal | None
    """What its judgements cost when they were made ÷ runs with a verdict; None where there are none or no price."""
    unpriced_judgements: int
    median_latency_ms: float | None
    """Of one judgement that called a judge."""
    run_agreement: AgreementFigures | None
    event_agreement: AgreementFigures | None
    """None where no item has a human verdict."""
    criteria_agreement: dict[str, AgreementFigures]


class DifferenceFigures(_Part):
    """Candidate minus baseline in agreement with people, on items both decided."""

    level: Level
    value: float | None
    low: float | None
    high: float | None
    n: int
    events: int
    gained: int
    lost: int
    p_value: float
    words: str


class Side(_Part):
    """What one version said of a run or event, and why in a line."""

    verdict: VerdictLabel | None
    """None where it came to none; the reason says why."""
    score: float | None
    reason: str


class Flip(_Part):
    """A run or event of which the versions say different things."""

    level: Level
    kind: FlipKind
    event_id: str
    run_id: str | None
    baseline: Side
    candidate: Side
    human: VerdictLabel | None
    link: str


class LabelFigures(_Part):
    """Whose word the versions were compared with."""

    runs: int
    """Compared runs that a person judged."""
    events: int
    reviewed: int
    """Of the labels of these, reviews kept here."""
    from_file: int
    unknown_items: int
    bad_lines: int
    labelled_first: int


class BacktestReport(_Part):
    """All that a backtest found."""

    backtest_id: str
    rubric_id: str
    title: str
    state: BacktestState
    stopped_because: str | None
    runs: int
    events: int
    baseline: VersionReport | None
    """None where there is nothing to compare with."""
    candidate: VersionReport
    labels: LabelFigures
    run_difference: DifferenceFigures | None
    event_difference: DifferenceFigures | None
    compared_runs: int
    """Runs that both versions ended with, whose verdicts can differ."""
    flips: list[Flip]
    """Those that matter first: lost, gained, both wrong, unlabelled; newest event first within each."""
    cost_usd: Decimal
    """What this backtest spent."""
    unpriced_calls: int
    notes: list[str]
