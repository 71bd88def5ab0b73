"""What judges said of one event under one rubric, or why they said nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from evaluator.model.judgement import JudgementState, NotEvaluable
from evaluator.model.verdict import CriterionVerdict, VerdictLabel
from evaluator.store.database import table_of
from evaluator.store.tables import JudgementRow, VerdictRow

_judgement, _verdict = table_of(JudgementRow), table_of(VerdictRow)


@dataclass(frozen=True, slots=True)
class Heard:
    """One judgement in force, with its verdict where it came to one."""

    run_id: str
    rubric_version: str
    judge: str
    escalated: bool
    repeat: int
    state: JudgementState
    reason: NotEvaluable | None
    detail: str
    verdict: VerdictLabel | None
    score: float | None
    criteria: tuple[CriterionVerdict, ...]
    summary: str
    flags: tuple[str, ...]
    at: datetime

    @property
    def is_to_come(self) -> bool:
        """Whether the judge may still say something."""
        return self.state in (JudgementState.DUE, JudgementState.LEASED)


def judges_heard(connection: Connection, event_id: str, rubric_id: str) -> list[Heard]:
    """The judgements in force, oldest first; of each run those under the version it was judged under last."""
    rows = connection.execute(
        select(
            _judgement.c.run_id,
            _judgement.c.rubric_version,
            _judgement.c.judge,
            _judgement.c.escalated,
            _judgement.c.repeat,
            _judgement.c.state,
            _judgement.c.reason,
            _judgement.c.detail,
            _judgement.c.created_at,
            _verdict.c.judge.label("model"),
            _verdict.c.verdict,
            _verdict.c.score,
            _verdict.c.criteria,
            _verdict.c.summary,
            _verdict.c.flags,
        )
        .join(_verdict, _verdict.c.judgement_id == _judgement.c.judgement_id, isouter=True)
        .where(
            _judgement.c.event_id == event_id,
            _judgement.c.rubric_id == rubric_id,
            _judgement.c.state != JudgementState.SUPERSEDED,
        )
        .order_by(_judgement.c.created_at, _judgement.c.escalated, _judgement.c.judge, _judgement.c.repeat)
    ).all()
    last = {row.run_id: row.rubric_version for row in rows}
    return [
        Heard(
            run_id=row.run_id,
            rubric_version=row.rubric_version,
            judge=row.model or row.judge,
            escalated=row.escalated,
            repeat=row.repeat,
            state=JudgementState(row.state),
            reason=row.reason and NotEvaluable(row.reason),
            detail=row.detail or "",
            verdict=row.verdict and VerdictLabel(row.verdict),
            score=row.score,
            criteria=tuple(CriterionVerdict.model_validate(each) for each in row.criteria or ()),
            summary=row.summary or "",
            flags=tuple(row.flags or ()),
            at=row.created_at,
        )
        for row in rows
        if last[row.run_id] == row.rubric_version
    ]
