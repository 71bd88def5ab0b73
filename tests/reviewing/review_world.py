"""Items in the queue as they come there: runs, captures, verdicts and rollups really stored, and no judge asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from evaluator import pipeline
from evaluator.capture.redaction import Redactor
from evaluator.capture.reported_runs import ReportedRun, run_from_report
from evaluator.deployment import Deployment
from evaluator.model.columns import utc_now
from evaluator.model.judgement import Judgement
from evaluator.model.review import ItemState, ReviewItem, Stream, item_id_of
from evaluator.model.rubric import Rubric
from evaluator.model.verdict import CriterionLabel, CriterionVerdict, Quote, Verdict, VerdictLabel
from evaluator.panel import RESTS_ON_CRITICAL
from evaluator.store import judgements as queue
from evaluator.store.outcomes import current_rollups
from evaluator.store.review_claims import open_slots
from evaluator.store.review_items import add_act, add_items, find_item, set_state
from evaluator.store.runs import load_runs
from tests.world import add_rubric, reported_run

REVIEWED_RUBRIC = """\
id: {id}
title: Did we solve the customer's problem?
role: {role}
applies_to: {{workflow: [{workflow}]}}
content: {{question: input, answer: output}}
criteria:
  - id: solves
    ask: Does the answer fix the problem the {{question}} states?
    critical: true
    weight: 3
  - id: tone
    ask: Is the tone right for a customer who waits?
    scale: {{1: rude, 2: cold, 3: neutral, 4: kind, 5: warm and precise}}
    pass_at: 4
  - {{id: has-link, check: contains_url}}
judges:
  - {{model: openai/gpt-4.1-mini, samples: 1}}
rollup: last_run
"""
"""Two criteria for people, one of them with a scale, and one for code."""

JUDGE_SAYS = "The parcel was found and its day named."
"""The judge's reasoning on every criterion: no byte of it may be shown before the first pass."""
QUOTE, INVENTED = "arrives on Friday", "we promise a refund"
"""What the judge quotes: the first stands in the output of `world.reported_run`, the second nowhere."""


@dataclass(frozen=True)
class Said:
    """What the judge answered: a verdict, its score, and a label for each criterion."""

    verdict: VerdictLabel
    score: float | None
    first: CriterionLabel


SAYINGS = {
    VerdictLabel.PASS: Said(VerdictLabel.PASS, 1.0, CriterionLabel.PASS),
    VerdictLabel.PARTIAL: Said(VerdictLabel.PARTIAL, 0.6, CriterionLabel.PASS),
    VerdictLabel.FAIL: Said(VerdictLabel.FAIL, 0.4, CriterionLabel.FAIL),
    VerdictLabel.UNKNOWN: Said(VerdictLabel.UNKNOWN, None, CriterionLabel.UNKNOWN),
}


def reviewed_rubric(deployment: Deployment, rubric_id: str = "support", **changes: str) -> Rubric:
    """The rubric in force, its file written where it is not there yet; `changes` as for `world.add_rubric`.

    All but `support` are quality rubrics unless said otherwise: a workflow has one that decides.
    """
    if rubric_id not in {rubric.id for rubric in deployment.shelf.rubrics}:
        role = "outcome" if rubric_id == "support" else "quality"
        changes = {"text": REVIEWED_RUBRIC, "role": role, **changes}
        add_rubric(deployment.settings.rubrics_dir, rubric_id=rubric_id, **changes)
        deployment.shelf = type(deployment.shelf)(deployment.shelf.folder)  # else it looks again after a second
    assert not deployment.shelf.problems
    return next(rubric for rubric in deployment.shelf.rubrics if rubric.id == rubric_id)


def judged_event(
    deployment: Deployment,
    event_id: str = "ticket-1",
    *,
    verdict: VerdictLabel | None = VerdictLabel.PASS,
    rubric: str = "support",
    **run: Any,
) -> None:
    """A run of the event, reported and judged so under every rubric in force that applies; None: not judged yet.

    `run` are changes of `world.reported_run`. Reported again for the same event it is a further attempt.
    """
    reviewed_rubric(deployment, rubric, workflow=run.get("workflow", "Support"))
    given = {"diagnostics": {"value_amount": 12.5}, **run}
    report = ReportedRun.model_validate(reported_run(event_id=event_id, **given))
    pipeline.report_runs(deployment, [run_from_report(report, Redactor(), utc_now())])
    if verdict is not None:
        judge_all_as(deployment, verdict)


def judge_all_as(deployment: Deployment, verdict: VerdictLabel) -> None:
    """Settle every judgement that is due as if its judge had said this."""
    for batch in pipeline.hand_out(deployment, utc_now()):

        def take(connection: Any, batch: pipeline.Batch = batch) -> list[Judgement]:
            return queue.take_up(connection, batch.ids, batch.token, utc_now() + timedelta(minutes=1))

        taken = deployment.database.transact(take)
        rubrics = deployment.rubric_versions({one.rubric_version for one in taken})
        pipeline.settle(
            deployment,
            [
                queue.Settlement(one, verdict=_verdict(one, rubrics[one.rubric_version], SAYINGS[verdict]))
                for one in taken
            ],
        )


def _verdict(judgement: Judgement, rubric: Rubric, said: Said) -> Verdict:
    quotes = (Quote(text=QUOTE, found=True), Quote(text=INVENTED, found=False))
    answers = [
        CriterionVerdict(
            id=criterion.id,
            verdict=said.first if place == 0 or said.score is None else CriterionLabel.PASS,
            level=4.0 if criterion.scale and said.score is not None else None,
            reasoning=JUDGE_SAYS if criterion.ask else "",
            evidence=quotes if criterion.ask else (),
            decided_by="judge" if criterion.ask else "check",
        )
        for place, criterion in enumerate(rubric.criteria)
    ]
    failed = said.verdict == VerdictLabel.FAIL and rubric.criteria[0].critical
    return Verdict(
        verdict_id=f"v{judgement.judgement_id}",
        judgement_id=judgement.judgement_id,
        event_id=judgement.event_id,
        run_id=judgement.run_id,
        rubric_id=judgement.rubric_id,
        rubric_version=judgement.rubric_version,
        verdict=said.verdict,
        score=said.score,
        criteria=[one.model_dump(mode="json") for one in answers],
        summary=JUDGE_SAYS,
        flags=[RESTS_ON_CRITICAL] if failed else [],
        judge=judgement.judge,
        fingerprint="f" * 16,
        content_hash=judgement.content_hash,
        repeat=judgement.repeat,
        cost_usd=Decimal("0.0004"),
        input_tokens=400,
        output_tokens=60,
        calls=1,
        latency_ms=850.0,
    )


def item_in_queue(
    deployment: Deployment,
    *,
    event_id: str = "ticket-1",
    reasons: Sequence[str] = ("critical_fail",),
    stream: Stream = Stream.TARGETED,
    verdict: VerdictLabel | None = VerdictLabel.PASS,
    rubric: str = "support",
    entered: datetime | None = None,
    run: dict[str, Any] | None = None,
    **changes: Any,
) -> ReviewItem:
    """An event judged so, and its item with these reasons open in the queue; what is there already is built on.

    `entered` is also its place in line. `run` are changes of `world.reported_run`, `changes` are fields of the item:
    reviewers, blind, state, gold, round … Of an event that is there no further run is reported unless `run` is given.
    """
    item_id = item_id_of(event_id, rubric)
    at = entered or utc_now()
    with deployment.database.read() as connection:
        known = current_rollups(connection, [event_id]).get((event_id, rubric))
    if known is None or run is not None:
        judged_event(deployment, event_id, verdict=verdict, rubric=rubric, **(run or {}))
    with deployment.database.read() as connection:
        rollup = current_rollups(connection, [event_id]).get((event_id, rubric))
        decider = rollup.deciding_run_id if rollup else None
        told = load_runs(connection, [decider])[decider].diagnostics if decider else {}
    value = told.get("value_amount")
    fields: dict[str, Any] = {
        "workflow": rollup.workflow if rollup else "Support",
        "deciding_run_id": decider,
        "rollup_revision": rollup.revision if rollup else 0,
        "value_amount": None if value is None else Decimal(str(value)),
        "value_currency": told.get("value_currency"),
        "probability": 0.05 if stream == Stream.AUDIT else None,
        "rank_at": at,
        "entered_at": at,
        "created_at": at,
    }
    item = ReviewItem(
        item_id=item_id,
        event_id=event_id,
        rubric_id=rubric,
        rubric_version=reviewed_rubric(deployment, rubric).version,
        stream=stream,
        reasons=list(reasons),
        **{**fields, **changes},
    )

    def act(connection: Any) -> ReviewItem:
        fresh = find_item(connection, item_id) is None
        add_items(connection, [item])
        if not fresh:
            set_state(connection, item_id, item.state, at)
        if item.state != ItemState.DONE:
            open_slots(connection, [item])
        add_act(connection, item_id, "entered", who="policy", detail={"reasons": item.reasons}, now=at)
        stored = find_item(connection, item_id)
        assert stored is not None
        return stored

    return deployment.database.transact(act)


def items_in_queue(deployment: Deployment, number: int, **changes: Any) -> list[ReviewItem]:
    """So many items of events ticket-1, ticket-2 …, the first in line first."""
    start = utc_now() - timedelta(hours=1)
    return [
        item_in_queue(
            deployment, event_id=f"ticket-{one}", **{"entered": start + timedelta(seconds=one), **changes}
        )
        for one in range(1, number + 1)
    ]
