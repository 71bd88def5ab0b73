"""The stronger judge: asked about a run once its own judges have ended, where the rubric says so."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from evaluator.judging.judge import provider_of
from evaluator.model.judgement import Judgement, JudgementState, judgement_id
from evaluator.model.rubric import Rubric
from evaluator.panel import run_verdict
from evaluator.review_reasons import reasons
from evaluator.settings import Settings
from evaluator.store import judgements as queue
from evaluator.store.database import Connection
from evaluator.store.outcomes import Taken, taken_runs


def escalate(
    connection: Connection,
    event_ids: Collection[str],
    rubrics: Mapping[str, Rubric],
    settings: Settings,
    now: datetime,
) -> None:
    """Queue one judgement of the stronger judge for each run under these rubric versions that wants it.

    That is a run all of whose own judgements have ended, of which the stronger judge was not asked yet and for which
    a condition of `escalate.when` holds. Where all of them ended without a verdict nothing was judged, `unknown`
    neither: there is nothing to escalate. What is queued has an id that says what it is about, so asking twice, by
    two workers or after a crash, queues it once.
    """
    escalating = {
        version: rubric for version, rubric in rubrics.items() if rubric.escalate and rubric.escalate.when
    }
    if not escalating:
        return
    wanting = {
        (run.run_id, run.rubric_version)
        for run in taken_runs(connection, event_ids)
        if run.rubric_version in escalating and is_wanted(run, escalating[run.rubric_version])
    }
    if wanting:
        before = queue.judgements_of_events(connection, event_ids)
        queue.add_judgements(connection, _asked_above(before, wanting, escalating, settings, now))


def is_wanted(run: Taken, rubric: Rubric) -> bool:
    """Whether the stronger judge is to be asked about the run now."""
    if rubric.escalate is None or run.is_waiting or not run.said or any(one.escalated for one in run.judgements):
        return False
    return bool(reasons(rubric.escalate.when, run_verdict(rubric, run.said), rubric, run.diagnostics))


def _asked_above(
    before: Sequence[Judgement],
    wanting: Collection[tuple[str, str]],
    rubrics: Mapping[str, Rubric],
    settings: Settings,
    now: datetime,
) -> list[Judgement]:
    """A judgement of the stronger judge for each run and version, about the content its own judges saw."""
    own = {
        (one.run_id, one.rubric_version): one
        for one in before
        if (one.run_id, one.rubric_version) in wanting and one.state != JudgementState.SUPERSEDED
    }
    return [_judgement(one, rubrics[one.rubric_version], settings, now) for one in own.values()]


def _judgement(own: Judgement, rubric: Rubric, settings: Settings, now: datetime) -> Judgement:
    spec = rubric.stronger_judge
    assert spec is not None
    return Judgement(
        judgement_id=judgement_id(
            own.event_id, own.run_id, rubric.version, f"escalated:{spec.model}", 0, own.content_hash
        ),
        run_id=own.run_id,
        event_id=own.event_id,
        workflow=own.workflow,
        rubric_id=rubric.id,
        rubric_version=rubric.version,
        judge=spec.model,
        provider=provider_of(spec.model, settings),
        content_hash=own.content_hash,
        escalated=True,
        draw=random.random(),  # noqa: S311 - an order, not a secret
        due_at=now,
        created_at=now,
    )
