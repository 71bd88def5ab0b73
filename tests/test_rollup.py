"""The rule is the result: each rule says what it says whatever the order runs come in."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from evaluator.model.rollup import RollupRule
from evaluator.model.rubric import Thresholds
from evaluator.model.verdict import VerdictLabel
from evaluator.rollup import RECENCY_DECAY, RunStanding, roll_up

START = datetime(2026, 3, 1, tzinfo=UTC)
THRESHOLDS = Thresholds()
PASS, PARTIAL, FAIL, UNKNOWN = VerdictLabel.PASS, VerdictLabel.PARTIAL, VerdictLabel.FAIL, VerdictLabel.UNKNOWN
RANK = {FAIL: 0, PARTIAL: 1, PASS: 2}


def run(number: int, shorthand: str, *, critical: bool = False) -> RunStanding:
    """p, h, f: judged pass, half (partial), fail; u: judged unknown; w: waiting; n: not evaluable."""
    verdict = {"p": PASS, "h": PARTIAL, "f": FAIL, "u": UNKNOWN}.get(shorthand)
    score = {"p": 1.0, "h": 0.6, "f": 0.0}.get(shorthand)
    started_at = START + timedelta(minutes=number)
    if shorthand == "n":
        return RunStanding(f"run-{number}", started_at, "not_evaluable", None, None, "no_content")
    if shorthand == "w":
        return RunStanding(f"run-{number}", started_at, "waiting", None, None, None)
    return RunStanding(f"run-{number}", started_at, "judged", verdict, score, None, critical)


def event(shorthands: str) -> list[RunStanding]:
    return [run(number, shorthand) for number, shorthand in enumerate(shorthands)]


def verdict(rule: RollupRule, shorthands: str, k: int | None = None) -> VerdictLabel:
    return roll_up(rule, event(shorthands), thresholds=THRESHOLDS, k=k).verdict


events = st.text("phfuwn", max_size=7).map(event)
decided_events = st.text("phf", min_size=1, max_size=7).map(event)
rules = st.sampled_from(RollupRule)


@pytest.mark.parametrize(
    ("rule", "shorthands", "expected"),
    [
        (RollupRule.LAST_RUN, "fp", PASS),
        (RollupRule.LAST_RUN, "pf", FAIL),
        (RollupRule.LAST_RUN, "ph", PARTIAL),
        (RollupRule.LAST_RUN, "pw", UNKNOWN),
        (RollupRule.LAST_RUN, "pn", UNKNOWN),
        (RollupRule.LAST_RUN, "pu", UNKNOWN),
        (RollupRule.LAST_RUN, "wp", PASS),
        (RollupRule.ALL, "pp", PASS),
        (RollupRule.ALL, "fw", FAIL),
        (RollupRule.ALL, "pw", UNKNOWN),
        (RollupRule.ALL, "pn", UNKNOWN),
        (RollupRule.ALL, "ph", PARTIAL),
        (RollupRule.ALL, "hw", UNKNOWN),
        (RollupRule.ANY, "pw", PASS),
        (RollupRule.ANY, "ff", FAIL),
        (RollupRule.ANY, "fw", UNKNOWN),
        (RollupRule.ANY, "fn", UNKNOWN),
        (RollupRule.ANY, "fh", PARTIAL),
        (RollupRule.ANY, "hu", UNKNOWN),
        (RollupRule.MEAN, "pppf", PASS),
        (RollupRule.MEAN, "pf", PARTIAL),
        (RollupRule.MEAN, "pff", FAIL),
        (RollupRule.MEAN, "pwn", PASS),
        (RollupRule.RECENCY_WEIGHTED, "fpp", PASS),
        (RollupRule.RECENCY_WEIGHTED, "ppf", PARTIAL),
        (RollupRule.RECENCY_WEIGHTED, "pff", FAIL),
    ],
)
def test_each_rule_on_a_few_runs(rule: RollupRule, shorthands: str, expected: VerdictLabel) -> None:
    assert verdict(rule, shorthands) == expected


@pytest.mark.parametrize(
    ("shorthands", "expected"),
    [
        ("ppfw", PASS),
        ("pffw", UNKNOWN),
        ("pffn", UNKNOWN),
        ("pfff", FAIL),
        ("phff", PARTIAL),
        ("phfw", UNKNOWN),
        ("hhfw", PARTIAL),
        ("p", UNKNOWN),
        ("f", FAIL),
    ],
)
def test_two_of_n_passes_fails_or_waits_for_what_may_still_come(shorthands: str, expected: VerdictLabel) -> None:
    assert verdict(RollupRule.K_OF_N, shorthands, k=2) == expected


@pytest.mark.parametrize("k", [None, 0])
def test_k_of_n_without_a_k_is_refused(k: int | None) -> None:
    with pytest.raises(ValueError, match="k_of_n needs k"):
        roll_up(RollupRule.K_OF_N, event("pp"), thresholds=THRESHOLDS, k=k)


@given(rules, st.text("uwn", max_size=4).map(event))
def test_nothing_judged_is_unknown_without_score_or_coverage(rule: RollupRule, runs: list[RunStanding]) -> None:
    rollup = roll_up(rule, runs, thresholds=THRESHOLDS, k=1)
    assert (rollup.verdict, rollup.score, rollup.coverage, rollup.judged) == (UNKNOWN, None, 0, 0)


def test_coverage_and_reasons_are_counted() -> None:
    runs = [*event("pfuwwn"), replace(run(6, "n"), reason="budget"), replace(run(7, "n"), reason="budget")]
    rollup = roll_up(RollupRule.ANY, runs, thresholds=THRESHOLDS)
    assert (rollup.runs, rollup.judged, rollup.waiting, rollup.coverage) == (8, 2, 2, 0.25)
    assert rollup.not_evaluable == {"budget": 2, "no_content": 1}


@pytest.mark.parametrize(
    ("rule", "shorthands", "deciding"),
    [
        (RollupRule.LAST_RUN, "pw", "run-1"),
        (RollupRule.ANY, "fpp", "run-1"),
        (RollupRule.ALL, "pff", "run-1"),
        (RollupRule.K_OF_N, "pfpp", "run-2"),
        (RollupRule.K_OF_N, "fff", "run-1"),
        (RollupRule.MEAN, "pp", None),
    ],
)
def test_the_run_that_settled_it_is_named(rule: RollupRule, shorthands: str, deciding: str | None) -> None:
    assert roll_up(rule, event(shorthands), thresholds=THRESHOLDS, k=2).deciding_run_id == deciding


@pytest.mark.parametrize("rule", [RollupRule.MEAN, RollupRule.RECENCY_WEIGHTED])
def test_a_failed_critical_criterion_vetoes_a_mean_and_a_plain_fail_does_not(rule: RollupRule) -> None:
    plain = [run(0, "f"), *(run(number, "p") for number in range(1, 6))]
    vetoed = [run(0, "f", critical=True), *plain[1:]]
    assert roll_up(rule, plain, thresholds=THRESHOLDS).verdict == PASS
    rollup = roll_up(rule, vetoed, thresholds=THRESHOLDS)
    assert (rollup.verdict, rollup.deciding_run_id) == (FAIL, "run-0")
    assert rollup.score == roll_up(rule, plain, thresholds=THRESHOLDS).score


def test_recency_weights_fall_geometrically() -> None:
    rollup = roll_up(RollupRule.RECENCY_WEIGHTED, event("ppf"), thresholds=THRESHOLDS)
    weights = [RECENCY_DECAY**2, RECENCY_DECAY, 1]
    assert rollup.score == pytest.approx(sum(weights[:2]) / sum(weights))


def test_a_verdict_without_a_score_counts_as_the_score_it_stands_for() -> None:
    runs = [replace(each, score=None) for each in event("phf")]
    assert roll_up(RollupRule.MEAN, runs, thresholds=THRESHOLDS).score == pytest.approx((1 + 0.5 + 0) / 3)


def test_runs_that_start_together_are_ordered_by_id() -> None:
    together = [replace(each, started_at=START) for each in event("pf")]
    assert roll_up(RollupRule.LAST_RUN, together, thresholds=THRESHOLDS).verdict == FAIL


@given(rules, st.data(), events)
def test_the_order_runs_come_in_never_matters(
    rule: RollupRule, data: st.DataObject, runs: list[RunStanding]
) -> None:
    shuffled = data.draw(st.permutations(runs))
    assert roll_up(rule, shuffled, thresholds=THRESHOLDS, k=2) == roll_up(rule, runs, thresholds=THRESHOLDS, k=2)


@given(rules, st.data(), decided_events, st.integers(1, 4))
def test_a_run_that_does_better_never_makes_the_event_worse(
    rule: RollupRule, data: st.DataObject, runs: list[RunStanding], k: int
) -> None:
    place = data.draw(st.integers(0, len(runs) - 1))
    better = data.draw(st.sampled_from("hp"))
    improved = [*runs[:place], run(place, better), *runs[place + 1 :]]
    assume(RANK[improved[place].verdict or FAIL] >= RANK[runs[place].verdict or FAIL])
    before, after = (roll_up(rule, each, thresholds=THRESHOLDS, k=k) for each in (runs, improved))
    assert (after.score or 0) >= (before.score or 0) - 1e-12
    assert RANK.get(after.verdict, 3) >= RANK.get(before.verdict, 0)


@given(
    st.sampled_from([RollupRule.ANY, RollupRule.ALL, RollupRule.K_OF_N]),
    st.data(),
    events.filter(bool),
    st.integers(1, 4),
)
def test_what_counting_has_settled_no_late_verdict_changes(
    rule: RollupRule, data: st.DataObject, runs: list[RunStanding], k: int
) -> None:
    settled = roll_up(rule, runs, thresholds=THRESHOLDS, k=k).verdict
    assume(settled in (PASS, FAIL))
    later = [each if each.is_decided else run(i, data.draw(st.sampled_from("phf"))) for i, each in enumerate(runs)]
    assert roll_up(rule, later, thresholds=THRESHOLDS, k=k).verdict == settled


@given(events.filter(bool))
def test_any_and_all_are_one_of_n_and_n_of_n(runs: list[RunStanding]) -> None:
    def by(rule: RollupRule, k: int | None = None) -> VerdictLabel:
        return roll_up(rule, runs, thresholds=THRESHOLDS, k=k).verdict

    assert by(RollupRule.ANY) == by(RollupRule.K_OF_N, 1)
    assert by(RollupRule.ALL) == by(RollupRule.K_OF_N, len(runs))


@given(decided_events)
def test_all_is_never_kinder_than_the_mean_nor_the_mean_than_any(runs: list[RunStanding]) -> None:
    strict, middle, kind = (
        RANK[roll_up(rule, runs, thresholds=THRESHOLDS).verdict]
        for rule in (RollupRule.ALL, RollupRule.MEAN, RollupRule.ANY)
    )
    assert strict <= middle <= kind


def test_two_hundred_published_runs_give_the_published_shares(shared: Path) -> None:
    rewards: defaultdict[int, list[RunStanding]] = defaultdict(list)
    with gzip.open(shared / "data/judges/tau_bench_airline/gpt-4o-airline.jsonl.gz", "rt") as lines:
        for record in map(json.loads, lines):
            rewards[record["task_id"]].append(run(record["trial"], "p" if record["reward"] == 1 else "f"))
    assert [len(runs) for runs in rewards.values()] == [4] * 50

    def share(rule: RollupRule, k: int | None = None) -> float:
        return (
            sum(roll_up(rule, runs, thresholds=THRESHOLDS, k=k).verdict == PASS for runs in rewards.values()) / 50
        )

    scores = [roll_up(RollupRule.MEAN, runs, thresholds=THRESHOLDS).score or 0 for runs in rewards.values()]
    assert share(RollupRule.ANY) == pytest.approx(0.72)
    assert sum(scores) / 50 == pytest.approx(0.42)
    assert share(RollupRule.K_OF_N, k=3) == pytest.approx(0.28)
    assert share(RollupRule.ALL) == pytest.approx(0.20)
