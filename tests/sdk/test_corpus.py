"""The corpus holds what the demo promises."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from evaluator.model.outcome import FinalOutcome, OutcomeType
from sdk.example_app.corpus import (
    WORKFLOWS,
    CorpusRun,
    Form,
    Truth,
    day_of,
    read_corpus,
    signals,
    started_at,
    truths,
)
from sdk.example_app.run_spans import CONTENT_LIMIT

NOW = datetime(2026, 3, 4, 15, 30, tzinfo=UTC)
EVENTS = read_corpus()
RUNS = [run for event in EVENTS for run in event.runs]


def _text(run: CorpusRun) -> str:
    return json.dumps([run.input, run.output, run.sources])


def _words(run: CorpusRun) -> int:
    return len(_text(run).split())


def test_it_is_large_enough_to_show_a_rate() -> None:
    assert len(RUNS) >= 64
    assert len(EVENTS) >= 42
    assert {event.workflow for event in EVENTS} == set(WORKFLOWS)


def test_every_id_is_used_once() -> None:
    assert len({run.id for run in RUNS}) == len({run.run_id for run in RUNS}) == len(RUNS)
    assert len({str(event.event) for event in EVENTS}) == len(EVENTS)
    assert len({run.trace_id for run in RUNS}) == len([run for run in RUNS if run.parent is None])


def test_run_ids_look_like_the_clients() -> None:
    assert {UUID(run.run_id).version for run in RUNS} == {7}


@pytest.mark.parametrize(
    "kind",
    [
        "broken_json",
        "claimed",
        "crashed",
        "dialect",
        "evasive",
        "failed_execution",
        "injected",
        "input_only",
        "integer_event_id",
        "late",
        "nested",
        "no_content",
        "object_only",
        "output_only",
        "pages",
        "partial",
        "redacted",
        "regressed",
        "retry",
        "truncated",
        "unpriced",
        "wrong",
    ],
)
def test_every_kind_of_run_is_there(kind: str) -> None:
    assert any(kind in run.shows for run in RUNS)


def test_a_run_shows_what_it_says() -> None:
    for run in RUNS:
        shows = set(run.shows)
        assert ("crashed" in shows) == run.crashed
        assert ("failed_execution" in shows) == (run.error is not None)
        assert ("input_only" in shows) == (run.capture == ("input",) and not run.crashed)
        assert ("output_only" in shows) == (run.capture == ("output",))
        assert ("dialect" in shows) == (not run.speaks_botanu)
        assert ("truncated" in shows) == (_longest_capture(run) > CONTENT_LIMIT)
        assert ("redacted" in shows) == bool(re.search(r"\w@\w|\d{4} \d{4} \d{4} \d{4}", _text(run)))


def _longest_capture(run: CorpusRun) -> int:
    return max(len(json.dumps(side, ensure_ascii=False)) for side in (run.input, run.output))


def test_contents_are_short_enough_for_a_small_judge() -> None:
    assert all(_words(run) <= 150 for run in RUNS if "truncated" not in run.shows)


def test_every_workflow_has_a_run_from_another_dialect_and_good_and_bad_answers() -> None:
    for workflow in WORKFLOWS:
        runs = [run for event in EVENTS if event.workflow == workflow for run in event.runs]
        truth = Counter(run.truth for run in runs)
        assert any(run.form in (Form.OPENINFERENCE, Form.GEN_AI) for run in runs)
        assert min(truth[Truth.PASS], truth[Truth.FAIL]) >= 5


def test_retries_cover_each_turn_an_event_can_take() -> None:
    turns = {tuple(run.truth for run in event.runs) for event in EVENTS if len(event.runs) > 1}
    assert {(Truth.FAIL, Truth.PASS), (Truth.FAIL, Truth.FAIL), (Truth.PASS, Truth.FAIL)} <= turns


def test_what_was_not_captured_whole_is_unknown_to_people_too() -> None:
    for run in RUNS:
        if run.capture != ("input", "output") or run.crashed:
            assert run.truth is Truth.UNKNOWN


def test_truths_are_found_by_the_id_a_server_gives_the_run() -> None:
    assert len(truths()) == len(RUNS)
    assert Counter(truths().values()) == Counter(run.truth for run in RUNS)


def test_everything_happened_in_the_three_days_before() -> None:
    day = day_of(NOW)
    times = [started_at(event, run, day) for event in EVENTS for run in event.runs]
    assert min(times) > day - timedelta(days=3)
    assert max(times) < day <= NOW


def test_signals_are_about_events_of_the_corpus_and_after_them() -> None:
    known = {str(event.event): started_at(event, event.runs[0], day_of(NOW)) for event in EVENTS}
    said = signals(NOW)
    assert len({event_id for event_id, _ in said}) >= 8
    assert len({(body["origin"], body["reference"]) for _, body in said}) == len(said)
    for event_id, body in said:
        assert known[event_id] < datetime.fromisoformat(body["occurred_at"]) < NOW
        assert FinalOutcome(body["outcome"])
        assert OutcomeType(body["outcome_type"])


def test_some_signals_contradict_what_a_judge_would_say() -> None:
    last = {str(event.event): event.runs[-1].truth for event in EVENTS}
    newest = {event_id: body["outcome"] for event_id, body in signals(NOW)}
    assert [e for e, outcome in newest.items() if outcome == "failed" and last[e] is Truth.PASS]
    assert [e for e, outcome in newest.items() if outcome == "success" and last[e] is Truth.FAIL]
