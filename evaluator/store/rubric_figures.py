"""What was judged under a rubric, in numbers: bounded to the last verdicts, so that a page costs the same at any size."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, func, select

from evaluator.model.backtest import BacktestVerdict
from evaluator.model.judgement import JudgementState
from evaluator.model.operation import Spend
from evaluator.model.verdict import VerdictSource
from evaluator.store.database import table_of
from evaluator.store.reviews import is_first_said
from evaluator.store.tables import BacktestVerdictRow, JudgementRow, RubricVersionRow, SpendRow, VerdictRow

_verdict, _judgement = table_of(VerdictRow), table_of(JudgementRow)
_version, _spend = table_of(RubricVersionRow), table_of(SpendRow)
_backtested = table_of(BacktestVerdictRow)

RECENT = 1000
"""Verdicts that are counted, the newest first."""


@dataclass(frozen=True)
class Tally:
    """What judges said last, and what it cost."""

    verdicts: dict[str, int] = field(default_factory=dict)
    """pass, partial, fail, unknown → verdicts."""
    cost_usd: Decimal = Decimal(0)
    """Of those with a known price."""
    priced: int = 0

    @property
    def count(self) -> int:
        return sum(self.verdicts.values())

    @property
    def unpriced(self) -> int:
        return self.count - self.priced

    @property
    def cost_per_verdict(self) -> Decimal | None:
        """US dollars; None where none was priced."""
        return self.cost_usd / self.priced if self.priced else None

    def __add__(self, other: Tally) -> Tally:
        labels = {*self.verdicts, *other.verdicts}
        return Tally(
            {label: self.verdicts.get(label, 0) + other.verdicts.get(label, 0) for label in labels},
            self.cost_usd + other.cost_usd,
            self.priced + other.priced,
        )


@dataclass(frozen=True)
class KeptVersion:
    """A version as a list shows it: without its body and text."""

    version: str
    rubric_id: str
    title: str
    in_force_since: datetime | None
    first_used_at: datetime


@dataclass(frozen=True)
class RecentVerdict:
    """What was said of one run, criterion by criterion."""

    event_id: str
    run_id: str
    verdict: str
    criteria: Sequence[dict[str, Any]]
    """CriterionVerdict values."""


_said = [_verdict.c[name] for name in RecentVerdict.__dataclass_fields__]


def kept_versions(connection: Connection, rubric_id: str | None = None) -> list[KeptVersion]:
    """Every version kept (of one rubric), the last used first."""
    columns = (_version.c[name] for name in KeptVersion.__dataclass_fields__)
    query = select(*columns).order_by(_version.c.first_used_at.desc(), _version.c.version)
    if rubric_id is not None:
        query = query.where(_version.c.rubric_id == rubric_id)
    return [KeptVersion(**row) for row in connection.execute(query).mappings()]


def tally_of(connection: Connection, version: str, *, limit: int = RECENT) -> Tally:
    """The last verdicts of judges under a version."""
    recent = (
        select(_verdict.c.verdict, _verdict.c.cost_usd)
        .where(_verdict.c.rubric_version == version, _verdict.c.source == VerdictSource.JUDGE)
        .order_by(_verdict.c.created_at.desc())
        .limit(limit)
        .subquery()
    )
    rows = connection.execute(
        select(
            recent.c.verdict,
            func.count().label("verdicts"),
            func.count(recent.c.cost_usd).label("priced"),
            func.sum(recent.c.cost_usd).label("usd"),
        ).group_by(recent.c.verdict)
    ).all()
    return Tally(
        {row.verdict: row.verdicts for row in rows},
        sum((row.usd for row in rows if row.usd is not None), Decimal(0)),
        sum(row.priced for row in rows),
    )


def tally_of_rubric(connection: Connection, versions: Sequence[str], *, limit: int = RECENT) -> Tally:
    """The last verdicts under any of a rubric's versions, those of the first version first."""
    total = Tally()
    for version in versions:
        if total.count >= limit:
            break
        total += tally_of(connection, version, limit=limit - total.count)
    return total


def recent_verdicts(connection: Connection, version: str, *, limit: int = RECENT) -> list[RecentVerdict]:
    """The last verdicts of judges on runs under a version, newest first."""
    rows = connection.execute(
        select(*_said)
        .where(
            _verdict.c.rubric_version == version,
            _verdict.c.source == VerdictSource.JUDGE,
            _verdict.c.run_id.is_not(None),
        )
        .order_by(_verdict.c.created_at.desc())
        .limit(limit)
    )
    return [RecentVerdict(*row) for row in rows]


def human_verdicts(connection: Connection, rubric_id: str, run_ids: Collection[str]) -> dict[str, RecentVerdict]:
    """Run id → what a person said of it last under this rubric, whichever version they read; revisions aside."""
    rows = connection.execute(
        select(*_said)
        .where(_verdict.c.run_id.in_(run_ids), _verdict.c.rubric_id == rubric_id, is_first_said())
        .order_by(_verdict.c.created_at)
    )
    return {row.run_id: RecentVerdict(*row) for row in rows}


def last_judged_run(connection: Connection, version: str) -> str | None:
    """The run that a judge gave a verdict on last under a version, or None."""
    newest = recent_verdicts(connection, version, limit=1)
    return newest[0].run_id if newest else None


def not_evaluable_by_rubric(connection: Connection, rubric_id: str | None = None) -> dict[str, dict[str, int]]:
    """Rubric id → reason → judgements that ended without a verdict."""
    query = select(_judgement.c.rubric_id, _judgement.c.reason, func.count()).where(
        _judgement.c.state == JudgementState.NOT_EVALUABLE
    )
    if rubric_id is not None:
        query = query.where(_judgement.c.rubric_id == rubric_id)
    counts: dict[str, dict[str, int]] = {}
    for found, reason, number in connection.execute(query.group_by(_judgement.c.rubric_id, _judgement.c.reason)):
        counts.setdefault(found, {})[reason] = number
    return counts


def spend_by_day(connection: Connection, rubric_id: str, now: datetime, *, days: int) -> list[Spend]:
    """What judging cost on each of the last days, the oldest first; a day without any is there with 0."""
    wanted = [f"{now - timedelta(days=back):%Y-%m-%d}" for back in reversed(range(days))]
    rows = connection.execute(
        select(_spend).where(_spend.c.rubric_id == rubric_id, _spend.c.day.in_(wanted))
    ).mappings()
    found = {row["day"]: Spend.model_validate(dict(row)) for row in rows}
    return [found.get(day) or Spend(rubric_id=rubric_id, day=day) for day in wanted]


def backtest_counts(connection: Connection, backtest_id: str) -> dict[str, dict[str, int]]:
    """Version → verdict, or not_evaluable → judgements of a backtest so far."""
    rows = connection.execute(
        select(_backtested.c.rubric_version, _backtested.c.verdict, func.count())
        .where(_backtested.c.backtest_id == backtest_id)
        .group_by(_backtested.c.rubric_version, _backtested.c.verdict)
    )
    counts: dict[str, dict[str, int]] = {}
    for version, verdict, number in rows:
        counts.setdefault(version, {})[verdict or "not_evaluable"] = number
    return counts


def backtested_runs(
    connection: Connection, backtest_id: str, run_ids: Collection[str]
) -> dict[tuple[str, str], list[BacktestVerdict]]:
    """(run id, version) → what was said of it there, by judge and repeat."""
    rows = connection.execute(
        select(_backtested)
        .where(_backtested.c.backtest_id == backtest_id, _backtested.c.run_id.in_(run_ids))
        .order_by(_backtested.c.escalated.desc(), _backtested.c.judge, _backtested.c.repeat)
    ).mappings()
    found: dict[tuple[str, str], list[BacktestVerdict]] = {}
    for row in rows:
        found.setdefault((row["run_id"], row["rubric_version"]), []).append(
            BacktestVerdict.model_validate(dict(row))
        )
    return found
