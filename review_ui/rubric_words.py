"""What a rubric does, in the words pages use."""

from __future__ import annotations

from collections.abc import Sequence

from evaluator.model.backtest import BacktestState
from evaluator.model.rollup import RollupRule
from evaluator.model.rubric import CheckName, Criterion, JudgeSpec, Role, Rubric
from evaluator.wording import noun

ROLLUP = {
    RollupRule.LAST_RUN: "the last run decides",
    RollupRule.ALL: "every run has to pass",
    RollupRule.ANY: "one good run is enough",
    RollupRule.MEAN: "the mean of all runs decides",
    RollupRule.RECENCY_WEIGHTED: "later runs count more",
    RollupRule.K_OF_N: "{k} runs have to pass",
}
"""Rollup rule → what it means, as half a sentence."""

BACKTEST = {
    BacktestState.RUNNING: "running",
    BacktestState.DONE: "done",
    BacktestState.STOPPED: "stopped",
}

SHORT = 8
"""Digits of a version that are shown."""


def short(version: str) -> str:
    """A version as people compare it."""
    return version[:SHORT]


def role_in_words(rubric: Rubric) -> str:
    """What a verdict under the rubric leads to."""
    return "decides the outcome" if rubric.role is Role.OUTCOME else "measured only"


def rollup_in_words(rubric: Rubric) -> str:
    """How verdicts of several runs become one."""
    return ROLLUP[rubric.rollup].format(k=rubric.k)


def runs_in_words(rubric: Rubric) -> str:
    """Whose runs are judged, and how many of them."""
    workflows = ", ".join(rubric.applies_to.workflow) or "all workflows"
    return f"{percent(rubric.sample.rate)} of {workflows}"


def percent(share: float) -> str:
    """`20 %`; small shares with the digits they need."""
    return f"{share * 100:.3g} %"


def in_a_line(rubric: Rubric, judges: Sequence[str]) -> str:
    """What the rubric decides, for which runs, by whom."""
    decides = "Decides the outcome of" if rubric.role is Role.OUTCOME else "Measures, and decides nothing:"
    workflows = ", ".join(rubric.applies_to.workflow) or "every workflow"
    rule = " where its condition holds" if rubric.applies_to.where else ""
    rate = rubric.sample.rate
    sampled = "every event is" if rate == 1 else f"{percent(rate)} of events are"
    always = ", and always those its rules name," if rubric.sample.always and rate < 1 else ""
    return (
        f"{decides} {workflows}{rule}: {sampled} judged{always} by {_judges(rubric.judges, judges)}; "
        f"{rollup_in_words(rubric)}."
    )


def _judges(specs: Sequence[JudgeSpec], names: Sequence[str]) -> str:
    repeats = max(spec.repeats for spec in specs)
    times = (
        f", {repeats} times each" if repeats > 1 and len(specs) > 1 else f", {repeats} times" if repeats > 1 else ""
    )
    if len(names) > 1:
        return f"a panel of {' and '.join(names)}{times}"
    return f"{names[0]}{times}"


def check_in_words(criterion: Criterion) -> str:
    """What a code check asks of the content, as a person would say it: `fields must be valid JSON`."""
    of, value = "the answer" if criterion.of == "answer" else criterion.of, criterion.value
    told: dict[str, str] = {
        CheckName.CONTAINS_URL: f"{of} must hold a link",
        CheckName.JSON_VALID: f"{of} must be valid JSON",
        CheckName.JSON_SCHEMA: f"{of} must fit the rubric's schema",
        CheckName.REGEX: f"{of} must match the rubric's pattern",
        CheckName.MAX_LENGTH: f"{of} must not be longer than {value} characters",
        CheckName.CONTAINS: f"{of} must hold the rubric's words",
        CheckName.EQUALS_REFERENCE: f"{of} must equal the reference",
        CheckName.FOUND_IN: f"every value of {of} must stand in {value}",
    }
    return told.get(criterion.check or "", f"{of} must pass {criterion.check}")


def standing_of_criterion(criterion: Criterion) -> tuple[str, ...]:
    """What sets a criterion apart, each in a word or two."""
    told: tuple[str, ...] = ("critical",) if criterion.critical else ()
    if criterion.weight != 1:
        told += (f"weight {criterion.weight:g}",)
    if criterion.scale:
        told += (f"passes at {criterion.pass_at}",) if criterion.pass_at is not None else ()
    return (*told, *(("code check",) if criterion.check else ()))


def findings(errors: int, warnings: int) -> str:
    """`2 errors, 1 warning`; empty where there is nothing."""
    told = [
        f"{number} {noun(number, word)}" for number, word in ((errors, "error"), (warnings, "warning")) if number
    ]
    return ", ".join(told)
