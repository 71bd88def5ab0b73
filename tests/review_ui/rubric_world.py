"""A deployment with rubrics that have judged: verdicts, people's word, spend, versions, backtests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from evaluator.authoring.backtest_comparison import Ran, report_of
from evaluator.authoring.heard_verdicts import ComparedRun, ComparedVersion, Labels
from evaluator.authoring.human_labels import HumanLabel
from evaluator.deployment import Deployment
from evaluator.model.backtest import Backtest, BacktestState, BacktestVerdict
from evaluator.model.capture import Capture, Fidelity, Passage
from evaluator.model.columns import utc_now
from evaluator.model.operation import Spend
from evaluator.model.rubric import Rubric
from evaluator.model.run import ClosedBy, ExecutionStatus, Run, RunState
from evaluator.model.verdict import CriterionLabel, CriterionVerdict, Quote, Verdict, VerdictLabel, VerdictSource
from evaluator.rubric_format.rubric_files import read_rubric
from evaluator.store.backtests import Advance, add_verdicts, end_backtest, start_backtest
from evaluator.store.database import as_row, table_of
from evaluator.store.rubric_versions import store_version
from evaluator.store.runs import store_runs
from evaluator.store.tables import SpendRow, VerdictRow

SUPPORT = """\
# What a good answer of the support desk is.
id: support
title: Did we solve the customer's problem?
role: outcome
applies_to: {workflow: [Support]}
sample: {rate: 0.2}
content: {question: input, answer: output}
criteria:
  - id: solves
    ask: Does the answer fix the problem the {question} states?
    critical: true
    weight: 3
  - id: tone
    ask: Is the tone right for a customer who waits?
    scale: {1: rude, 2: cold, 3: neutral, 4: kind, 5: warm and precise}
    pass_at: 4
  - {id: has-link, check: contains_url}
  - id: plain
    check: regex
    value: (?i)we value your feedback
judges:
  - {model: openai/gpt-4.1-mini, samples: 1}
rollup: last_run
"""
BROKEN = "id: broken\ntitel: Are the fields right?\ncriteria:\n  - {id: a, ask: Is it right?, weigth: 2}\n"

OLD = read_rubric(SUPPORT.replace("a customer who waits", "a customer"))
NEW = read_rubric(SUPPORT)
ADDRESS = "/rubrics/support"


def write(folder: Path, name: str, text: str) -> Path:
    """A rubric file."""
    path = folder / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def keep(
    deployment: Deployment, rubric: Rubric, source: str, *, days_ago: float = 0, in_force: bool = True
) -> None:
    """Store a version as judging does at its first use."""
    at = utc_now() - timedelta(days=days_ago)
    deployment.database.transact(
        lambda connection: store_version(connection, rubric, source, at, in_force=in_force)
    )


def answers(rubric: Rubric, label: VerdictLabel, words: str = "It names the day.") -> list[dict[str, Any]]:
    """One answer per criterion that makes for this verdict, as a verdict keeps them."""
    said = {VerdictLabel.PASS: CriterionLabel.PASS, VerdictLabel.FAIL: CriterionLabel.FAIL}.get(
        label, CriterionLabel.UNKNOWN
    )
    quotes = (Quote(text="arrives on Friday", found=True), Quote(text="we promise", found=False))
    return [
        CriterionVerdict(
            id=criterion.id,
            verdict=said if place == 0 or said is CriterionLabel.UNKNOWN else CriterionLabel.PASS,
            reasoning=words if criterion.ask else "",
            evidence=quotes if criterion.ask else (),
            decided_by="judge" if criterion.ask else "check",
        ).model_dump(mode="json")
        for place, criterion in enumerate(rubric.criteria)
    ]


def verdict(
    rubric: Rubric, number: int, label: VerdictLabel, *, person: str = "", cost: str | None = "0.0004"
) -> Verdict:
    """What a judge, or a person, says of run number so and so."""
    source = VerdictSource.HUMAN if person else VerdictSource.JUDGE
    return Verdict(
        verdict_id=f"{source}-{rubric.version}-{number}",
        event_id=f"ticket-{number}",
        run_id=f"run-{number}",
        rubric_id=rubric.id,
        rubric_version=rubric.version,
        source=source,
        verdict=label,
        criteria=answers(rubric, label),
        judge=person or "openai/gpt-4.1-mini",
        cost_usd=None if person or cost is None else Decimal(cost),
        calls=0 if person else 1,
    )


def add(deployment: Deployment, verdicts: Sequence[Verdict]) -> None:
    """Store verdicts as they are."""
    if not verdicts:
        return
    deployment.database.transact(
        lambda connection: connection.execute(table_of(VerdictRow).insert(), [as_row(one) for one in verdicts])
    )


def spend(deployment: Deployment, rubric_id: str, per_day: Sequence[str]) -> None:
    """What judging cost on the last days, today's last."""
    now = utc_now()
    rows = [
        Spend(
            rubric_id=rubric_id,
            day=f"{now - timedelta(days=len(per_day) - 1 - place):%Y-%m-%d}",
            settled_usd=Decimal(usd),
            calls=120,
        )
        for place, usd in enumerate(per_day)
    ]
    deployment.database.transact(
        lambda connection: connection.execute(table_of(SpendRow).insert(), [as_row(row) for row in rows])
    )


def add_run(
    deployment: Deployment, number: int, output: str = "It arrives on Friday.", ticket: int | None = None
) -> Run:
    """A stored run with its content."""
    at = utc_now() - timedelta(minutes=number)
    capture = Capture(
        input=Passage(value="Where is my order?", fidelity=Fidelity.FULL),
        output=Passage(value=output, fidelity=Fidelity.FULL),
    )
    run = Run(
        run_id=f"run-{number}",
        event_id=f"ticket-{number if ticket is None else ticket}",
        workflow="Support",
        state=RunState.READY,
        closed_by=ClosedBy.REPORT,
        execution_status=ExecutionStatus.SUCCESS,
        started_at=at,
        last_arrival_at=at,
        fidelity=Fidelity.FULL,
        content_hash=capture.content_hash,
    )
    deployment.database.transact(lambda connection: store_runs(connection, [(run, capture)], deployment.bodies))
    return run


def judged_support(deployment: Deployment, *, runs: int = 60, reviewed: int = 24) -> None:
    """The support rubric in its second version, with verdicts of both, and people's word on some runs."""
    write(deployment.settings.rubrics_dir, "support", SUPPORT)
    keep(deployment, OLD, SUPPORT.replace("a customer who waits", "a customer"), days_ago=12)
    keep(deployment, NEW, SUPPORT, days_ago=2)
    dice = Random(7)
    labels = [dice.choices(list(VerdictLabel), weights=(70, 8, 18, 4))[0] for _ in range(runs)]
    add(deployment, [verdict(OLD, 1000 + number, label) for number, label in enumerate(labels[: runs // 2])])
    add(deployment, [verdict(NEW, number, label) for number, label in enumerate(labels)])
    people = [label if dice.random() < 0.85 else VerdictLabel.FAIL for label in labels[:reviewed]]
    add(deployment, [verdict(NEW, number, label, person="ada") for number, label in enumerate(people)])
    spend(deployment, "support", ["0.02", "0.05", "0", "0.11", "0.31", "0.28", "0.05", "0.07", "0.2", "0.19"])


def backtest(
    deployment: Deployment,
    state: BacktestState = BacktestState.DONE,
    *,
    backtest_id: str = "b1",
    runs: int = 12,
    output: str = "It arrives on Friday.",
    words: str = "It names the day.",
    with_report: bool = True,
    runs_an_event: int = 1,
) -> Backtest:
    """Both versions on the same runs; every third verdict flips, and people said pass of all."""
    stored = [add_run(deployment, number, output, number // runs_an_event) for number in range(runs)]
    done = runs if state is BacktestState.DONE else runs // 2
    rows = [
        BacktestVerdict(
            backtest_id=backtest_id,
            run_id=run.run_id,
            event_id=run.event_id,
            rubric_version=rubric.version,
            judge="openai/gpt-4.1-mini",
            verdict=(label := VerdictLabel.FAIL if rubric is OLD and number % 3 == 0 else VerdictLabel.PASS),
            score=0.9 if label is VerdictLabel.PASS else 0.2,
            criteria=answers(rubric, label, words),
            cost_usd=Decimal("0.0004"),
            calls=1,
            latency_ms=850.0,
        )
        for number, run in enumerate(stored[:done])
        for rubric in (OLD, NEW)
    ]
    made = Backtest(
        backtest_id=backtest_id,
        rubric_id="support",
        baseline_version=OLD.version,
        candidate_version=NEW.version,
        planned=2 * runs,
        estimated_usd=Decimal("0.01"),
        estimated_seconds=30,
        started_by="ada (command line)",
    )
    report: dict[str, Any] = {}
    if with_report:
        report = _report(made, state, stored, rows, done)
    with deployment.database.write() as connection:
        start_backtest(connection, made)
        add_verdicts(connection, backtest_id, rows, Advance(len(rows), Decimal("0.0004") * len(rows)))
        if state is not BacktestState.RUNNING:
            end_backtest(connection, backtest_id, state=state, report=report, at=utc_now())
    return made


def _report(
    made: Backtest, state: BacktestState, stored: Sequence[Run], rows: Sequence[BacktestVerdict], done: int
) -> dict[str, Any]:
    ids = frozenset(run.run_id for run in stored)
    unfinished = frozenset(run.run_id for run in stored[done:])
    labels = {
        ("run", run.run_id): HumanLabel(VerdictLabel.PASS, run_id=run.run_id) for run in stored[: len(stored) - 2]
    }
    stopped = "The judge has no credit left." if state is BacktestState.STOPPED else None
    ran = Ran(made.backtest_id, state, stopped, Decimal("0.0096"), 0, address="http://pages")
    judges = ("openai/gpt-4.1-mini",)
    old = ComparedVersion(OLD, f"support@{OLD.version}", judges, ids, unfinished)
    new = ComparedVersion(NEW, "support.yaml", judges, ids, unfinished)
    compared = [ComparedRun(run.run_id, run.event_id, run.started_at) for run in stored]
    return report_of(ran, old, new, compared, rows, Labels(labels)).model_dump(mode="json")


def everything(deployment: Deployment) -> None:
    """Every part of every page has something to show."""
    folder = deployment.settings.rubrics_dir
    judged_support(deployment)
    write(folder, "broken", BROKEN)
    quality = SUPPORT.replace("id: support\n", "id: tone-of-voice\n").replace("role: outcome", "role: quality")
    write(folder, "tone-of-voice", quality.replace("rate: 0.2", "rate: 1"))
    gone = read_rubric(SUPPORT.replace("id: support\n", "id: refunds\n").replace("[Support]", "[Refunds]"))
    keep(deployment, gone, "", days_ago=90)
    add(deployment, [verdict(gone, 5000 + number, VerdictLabel.PASS, cost=None) for number in range(9)])
    backtest(deployment)
    backtest(deployment, BacktestState.RUNNING, backtest_id="b2")
    backtest(deployment, BacktestState.STOPPED, backtest_id="b3")
