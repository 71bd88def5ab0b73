"""Whatever order things come in, however often, and whoever is lost over them: each event ends the same."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest

from evaluator import pipeline
from evaluator.batches import BatchRunner
from evaluator.deployment import Deployment
from evaluator.model.columns import utc_now
from evaluator.model.outcome import FinalOutcome, Signal, SignalSource
from evaluator.model.rollup import RollupVerdict
from evaluator.settlement import roll_up_events, signal_id
from evaluator.store import outcomes, runs
from tests.panel_stub import panel_of
from tests.test_batches import run_batches
from tests.test_pipeline import count, judge_all, report

pytestmark = pytest.mark.slow

RUBRICS = {
    "solved": """\
id: solved
title: Was it solved?
role: outcome
content: {question: input, answer: output}
criteria: [{id: solves, ask: Does the answer solve it?, critical: true}, {id: kind, ask: Is it kind?}]
judges: [{model: openai/a}, {model: openai/b}]
escalate: {to: openai/strong, when: [panel_split, {value_above: 500}]}
combine: worst
review: {send: [unknown, critical_fail, panel_split, {value_above: 500}], audit_rate: 1}
""",
    "paid": """\
id: paid
title: Was it paid for?
role: outcome
applies_to: {where: diagnostics.value_amount}
content: {answer: output}
criteria: [{id: number, check: regex, value: "[02468]$"}]
rollup: any
combine: worst
""",
    "tone": """\
id: tone
title: Is the tone right?
content: {question: input, answer: output}
criteria: [{id: tone, ask: Is the tone right?, scale: {1: rude, 2: cold, 3: kind}, pass_at: 2}]
judges: [{model: openai/a, samples: 3}]
rollup: mean
""",
}


@dataclass
class Story:
    """What happens to one event: the versions of each of its runs in their order, and signals about it."""

    runs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    signals: list[tuple[str, FinalOutcome, datetime]] = field(default_factory=list)


def a_story(draw: random.Random) -> Story:
    story = Story()
    for place in range(draw.randint(1, 3)):
        started = f"2026-01-01T10:0{draw.randint(0, 5)}:00Z"
        texts = [f"Answer {draw.randint(0, 9)}" for _ in range(draw.randint(1, 3))]
        late = {"diagnostics": {"value_amount": draw.choice([100, 600])}} if draw.random() < 0.5 else {}
        known_from = draw.randrange(len(texts) + 1)
        versions = [
            {"output": text, "started_at": started, **(late if number >= known_from else {})}
            for number, text in enumerate([*texts, texts[-1]])
        ]
        story.runs[f"run{place}"] = versions
    for number in range(draw.choice([0, 0, 1, 2])):
        said = draw.choice([FinalOutcome.SUCCESS, FinalOutcome.FAILED, FinalOutcome.PENDING])
        story.signals.append((f"s{number}", said, datetime(2026, 1, 2, draw.randint(0, 23), number, tzinfo=UTC)))
    return story


def answer(body: dict[str, Any]) -> str:
    """The same for the same model, answer and repeat, whatever event it belongs to."""
    system, user = body["messages"][0]["content"], body["messages"][1]["content"]
    told = re.search(r"Answer \d", user)
    key = f"{body['model']} {told and told[0]} {body.get('seed')}"
    words = ("1", "2", "3") if "1 = rude" in system else ("pass", "pass", "fail", "unknown")
    return words[sha256(key.encode()).digest()[0] % len(words)]


def steps(draw: random.Random, stories: dict[str, Story]) -> Iterator[tuple[str, str, Any]]:
    """Everything that happens in a random order, but for each run's own; much of it twice."""
    waiting: list[tuple[str, str, list[Any]]] = []
    for event_id, story in stories.items():
        waiting += [("run", f"{event_id}/{name}", list(versions)) for name, versions in story.runs.items()]
        waiting += [("signal", event_id, [signal]) for signal in story.signals]
    while waiting:
        kind, of, left = draw.choice(waiting)
        for _ in range(draw.choice([1, 1, 2])):
            yield kind, of, left[0]
        left.pop(0)
        waiting = [one for one in waiting if one[2]]


def tell(deployment: Deployment, kind: str, of: str, what: Any) -> None:
    if kind == "run":
        report(deployment, event_id=of.partition("/")[0], run_id=of, input=f"About {of}", **what)
        return
    reference, said, at = what
    pipeline.report_signal(
        deployment,
        Signal(
            signal_id=signal_id(SignalSource.SOR, "crm", f"{of}-{reference}"),
            event_id=of,
            source=SignalSource.SOR,
            outcome=said,
            origin="crm",
            reference=f"{of}-{reference}",
            occurred_at=at,
        ),
        actor="tests",
    )


def judge_a_little(deployment: Deployment, draw: random.Random) -> None:
    """Some work is judged, some by a worker that lost its lease meanwhile, some handed out and lost."""
    batches = pipeline.hand_out(deployment, utc_now())
    lost = draw.random() < 0.3
    if lost:
        again = utc_now() + timedelta(seconds=deployment.settings.lease_seconds + 1)
        batches += pipeline.hand_out(deployment, again)
    run_batches(BatchRunner(deployment), [batch for batch in batches if draw.random() < 0.7])


def ends(deployment: Deployment, event_id: str) -> dict[str, Any]:
    """What stands of an event in the end, apart from how it came to that."""
    with deployment.database.read() as connection:
        rollups = outcomes.current_rollups(connection, [event_id])
        outcome = outcomes.current_outcomes(connection, [event_id]).get(event_id)
    found: dict[str, Any] = {
        rubric: (
            *(getattr(rollup, name) for name in RollupVerdict.model_fields if name != "deciding_run_id"),
            (rollup.deciding_run_id or "").partition("/")[2],
            rollup.review_reasons,
            rollup.fingerprints,
        )
        for (_, rubric), rollup in rollups.items()
        if rollup.runs  # that a rubric applied for a while leaves an empty rollup
    }
    decided = outcome is not None and outcome.final_outcome != FinalOutcome.PENDING
    return {**found, "": (outcome.final_outcome, outcome.decided_by) if outcome and decided else None}


@pytest.mark.parametrize("seed", range(2))
def test_every_order_comes_to_the_same_end_and_a_rebuild_to_what_is_stored(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    draw = random.Random(seed)
    monkeypatch.setattr("evaluator.batches.LINGER_SECONDS", 0.01)
    for name, text in RUBRICS.items():
        (deployment.settings.rubrics_dir / f"{name}.yaml").write_text(text, encoding="utf-8")
    stories = [a_story(draw) for _ in range(3)]
    # each event happens three times over, in one store: judges say the same of each
    events = {f"e{number}-{time}": story for number, story in enumerate(stories) for time in range(3)}
    with panel_of(a=[answer], b=[answer], strong=[answer]) as panel:
        monkeypatch.setenv("OPENAI_API_BASE", panel.address)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        for kind, of, what in steps(draw, events):
            tell(deployment, kind, of, what)
            if draw.random() < 0.06:
                judge_a_little(deployment, draw)
        judge_all(deployment, utc_now() + timedelta(hours=1))
        assert panel.calls["strong"]
    assert deployment.shelf.problems == ()
    assert count(deployment, "judgement WHERE state IN ('due', 'leased')") == 0
    for number in range(len(stories)):
        first, *others = [ends(deployment, f"e{number}-{time}") for time in range(3)]
        assert others == [first, first]
    tables = ("judgement", "verdict", "rollup", "signal", "outcome")
    before = [count(deployment, table) for table in tables]
    deployment.database.transact(
        lambda connection: roll_up_events(connection, runs.lock_events(connection, list(events)), {}, utc_now())
    )
    assert [count(deployment, table) for table in tables] == before
