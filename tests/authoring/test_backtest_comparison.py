"""What a backtest's report says of verdicts and labels that are given to it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.authoring.backtest_comparison import Ran, in_words, report_of
from evaluator.authoring.backtest_report import FLIP_ORDER, BacktestReport
from evaluator.authoring.heard_verdicts import ComparedRun, ComparedVersion, Labels
from evaluator.authoring.human_labels import HumanLabel
from evaluator.model.backtest import BacktestState, BacktestVerdict
from evaluator.model.judgement import NotEvaluable
from evaluator.model.rollup import RollupRule
from evaluator.model.rubric import Criterion, JudgeSpec, Rubric
from evaluator.model.verdict import CriterionLabel, CriterionVerdict, VerdictLabel

PASS, PARTIAL, FAIL, UNKNOWN = VerdictLabel
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
RAN = Ran("bt1", BacktestState.DONE, None, Decimal("0.02"), 0, "http://127.0.0.1:8700")


def version(name: str, rule: RollupRule = RollupRule.LAST_RUN, **runs: frozenset[str]) -> ComparedVersion:
    rubric = Rubric(
        id="support",
        title="Solved?",
        version=name,
        criteria=(
            Criterion(id="solves", ask="Does it solve it?", critical=True),
            Criterion(id="kind", ask="Kind?"),
        ),
        judges=(JudgeSpec(model="judge"),),
        rollup=rule,
    )
    ids = runs.get("run_ids", frozenset({"a1", "a2", "b1", "c1"}))
    return ComparedVersion(rubric, f"{name}.yaml", ("judge",), ids, runs.get("unfinished", frozenset()))


RUNS = [
    ComparedRun(run_id, run_id[0], BEGAN + timedelta(minutes=number))
    for number, run_id in enumerate(("a1", "a2", "b1", "c1"))
]


def said(name: str, run_id: str, verdict: VerdictLabel | NotEvaluable, **changes: object) -> BacktestVerdict:
    label = CriterionLabel.PASS if verdict is PASS else CriterionLabel.FAIL
    answers = [
        CriterionVerdict(id="kind", verdict=CriterionLabel.PASS, reasoning="Friendly."),
        CriterionVerdict(id="solves", verdict=label, reasoning="It says\nwhy."),
    ]
    decided = isinstance(verdict, VerdictLabel)
    return BacktestVerdict.model_validate(
        {
            "backtest_id": "bt1",
            "run_id": run_id,
            "event_id": run_id[0],
            "rubric_version": name,
            "judge": "judge",
            "verdict": verdict if decided else None,
            "reason": None if decided else verdict,
            "score": 1.0 if verdict is PASS else 0.0,
            "criteria": [each.model_dump(mode="json") for each in answers] if decided else [],
            "cost_usd": Decimal("0.01"),
            "calls": 1,
            "latency_ms": 100.0,
            **changes,
        }
    )


def both(
    old: Mapping[str, VerdictLabel | NotEvaluable],
    new: Mapping[str, VerdictLabel | NotEvaluable],
    people: Mapping[str, VerdictLabel] | None = None,
    rule: RollupRule = RollupRule.LAST_RUN,
) -> BacktestReport:
    rows = [
        said(name, run_id, verdict) for name, of in (("old", old), ("new", new)) for run_id, verdict in of.items()
    ]
    by_item = {
        (("run", name) if len(name) > 1 else ("event", name)): HumanLabel(
            label, run_id=name, criteria={"solves": CriterionLabel.PASS if label is PASS else CriterionLabel.FAIL}
        )
        for name, label in (people or {}).items()
    }
    return report_of(RAN, version("old", rule), version("new", rule), RUNS, rows, Labels(by_item))


def test_flips_come_with_those_that_matter_first() -> None:
    found = both(
        {"a1": FAIL, "a2": FAIL, "b1": PASS, "c1": PARTIAL},
        {"a1": FAIL, "a2": PASS, "b1": FAIL, "c1": FAIL},
        {"b1": PASS, "a2": PASS, "c1": PASS},
    )
    runs = [flip for flip in found.flips if flip.level == "run"]
    assert [(flip.run_id, flip.kind) for flip in runs] == [
        ("b1", "lost"),
        ("a2", "gained"),
        ("c1", "both_wrong"),
    ]
    assert runs[0].link == "http://127.0.0.1:8700/rubrics/support/backtests/bt1?run=b1#run-b1"
    assert runs[0].baseline.reason == "solves pass: It says why."
    assert runs[0].candidate.reason == "solves fail: It says why."


def test_events_of_several_runs_flip_by_the_rule_of_the_rubric() -> None:
    old = {"a1": PASS, "a2": FAIL, "b1": PASS, "c1": PASS}
    new = {**old, "a1": FAIL}
    assert [flip.event_id for flip in both(old, new, rule=RollupRule.ANY).flips if flip.level == "event"] == ["a"]
    assert [flip for flip in both(old, new).flips if flip.level == "event"] == [], "the last run decides"


def test_agreement_is_told_on_runs_on_events_and_by_criterion() -> None:
    verdicts = {"a1": FAIL, "a2": PASS, "b1": PASS, "c1": FAIL}
    found = both(verdicts, {**verdicts, "b1": FAIL}, {"a1": FAIL, "a2": PASS, "b1": PASS, "c": FAIL})
    assert found.baseline is not None
    assert found.baseline.run_agreement is not None
    assert (found.baseline.run_agreement.n, found.baseline.run_agreement.agreement.value) == (4, 1.0)
    assert found.baseline.event_agreement is not None
    assert found.baseline.event_agreement.n == 3
    assert found.candidate.criteria_agreement["solves"].agreement.value == 0.75
    assert found.run_difference is not None
    assert (found.run_difference.value, found.run_difference.lost) == (-0.25, 1)
    assert found.event_difference is not None
    assert found.event_difference.events == 3


def test_what_labels_of_some_runs_leave_open_of_an_event_is_no_label() -> None:
    verdicts = {"a1": FAIL, "a2": PASS, "b1": PASS, "c1": FAIL}
    found = both(verdicts, verdicts, {"a1": FAIL})
    assert found.candidate.run_agreement is not None
    assert found.candidate.event_agreement is None, "the last run is the one that decides"


def test_what_cannot_be_judged_is_counted_with_its_reason_and_is_no_fail() -> None:
    found = both(
        {"a1": PASS, "a2": PASS, "b1": PASS, "c1": PASS},
        {"a1": PASS, "a2": PASS, "b1": NotEvaluable.TIMEOUT, "c1": PASS},
        {"b1": PASS},
    )
    assert found.candidate.not_evaluable == {"timeout": 1}
    assert found.candidate.run_verdicts == {PASS: 3, PARTIAL: 0, FAIL: 0, UNKNOWN: 0}
    assert found.candidate.run_agreement is not None
    assert (found.candidate.run_agreement.n, found.candidate.run_agreement.undecided) == (0, 1)
    [flip] = [flip for flip in found.flips if flip.level == "run"]
    assert (flip.kind, flip.candidate.verdict, flip.candidate.reason) == ("lost", None, "not evaluable: timeout")
    assert found.candidate.cost_per_verdict_usd == Decimal("0.04") / 3


def test_a_backtest_that_stopped_speaks_of_what_it_got_to() -> None:
    rows = [said("old", "a1", PASS), said("new", "a1", FAIL), said("old", "b1", PASS)]
    old, new = (
        version("old", unfinished=frozenset({"a2", "c1"})),
        version("new", unfinished=frozenset({"a2", "b1", "c1"})),
    )
    found = report_of(RAN, old, new, RUNS, rows, Labels())
    assert (found.candidate.verdicts, found.candidate.unfinished, found.compared_runs) == (1, 3, 1)
    assert [flip.run_id for flip in found.flips] == ["a1"]


def test_the_stronger_judges_word_stands() -> None:
    rows = [said("new", "b1", FAIL), said("new", "b1", PASS, judge="strong", escalated=True)]
    found = report_of(RAN, None, version("new", run_ids=frozenset({"b1"})), RUNS[2:3], rows, Labels())
    assert found.candidate.run_verdicts[PASS] == 1
    assert found.flips == []


def test_an_unpriced_judge_makes_no_cost() -> None:
    rows = [said("new", "b1", PASS, cost_usd=None)]
    found = report_of(RAN, None, version("new", run_ids=frozenset({"b1"})), RUNS[2:3], rows, Labels())
    assert (found.candidate.cost_per_verdict_usd, found.candidate.unpriced_judgements) == (None, 1)


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        (
            (0.06, -0.04, 0.16, 37),
            "better by 6 points; interval −4 to 16: not distinguishable on 37 events; about 66 more labelled events would tell",
        ),
        ((-0.2, -0.3, -0.1, 60), "worse by 20 points; interval −30 to −10: distinguishable on 60 events"),
        (
            (0.0, -0.13, 0.13, 20),
            "no difference; interval −13 to 13: not distinguishable on 20 events; about 120 more labelled events would show "
            "a difference of 5 points",
        ),
        ((0.0, -0.02, 0.02, 900), "no difference; interval −2 to 2: not distinguishable on 900 events"),
        (
            (0.01, -0.03, 0.05, 90),
            "better by 1 point; interval −3 to 5: not distinguishable on 90 events; about 1,400 more labelled events "
            "would tell",
        ),
        (
            (0.1, -0.0001, 0.18, 90),
            "better by 10 points; interval 0 to 18: not distinguishable on 90 events; about 1 more labelled event "
            "would tell",
        ),
        ((0.5, None, None, 1), "too few labelled events to say"),
    ],
)
def test_a_difference_is_told_in_words(figures: tuple[float, float | None, float | None, int], words: str) -> None:
    assert in_words(*figures) == words


verdicts = st.fixed_dictionaries(
    {run.run_id: st.sampled_from([*VerdictLabel, NotEvaluable.TIMEOUT]) for run in RUNS}
)
people = st.dictionaries(st.sampled_from(["a", "b", "a1", "a2", "b1", "c1"]), st.sampled_from([*VerdictLabel]))


@settings(deadline=None)
@given(verdicts, verdicts, people, st.sampled_from([rule for rule in RollupRule if rule != RollupRule.K_OF_N]))
def test_any_verdicts_and_labels_make_a_report_that_reads_back(
    old: dict[str, VerdictLabel], new: dict[str, VerdictLabel], labels: dict[str, VerdictLabel], rule: RollupRule
) -> None:
    found = both(old, new, labels, rule)
    assert BacktestReport.model_validate(found.model_dump(mode="json")) == found
    kinds = [FLIP_ORDER.index(flip.kind) for flip in found.flips]
    assert kinds == sorted(kinds)
    flipped = {flip.run_id for flip in found.flips if flip.level == "run"}
    changed = {
        run_id
        for run_id in old
        if (old[run_id] if isinstance(old[run_id], VerdictLabel) else None)
        != (new[run_id] if isinstance(new[run_id], VerdictLabel) else None)
    }
    assert flipped == changed


def test_labels_are_counted_where_they_were_compared() -> None:
    said_by = {
        ("run", "a1"): HumanLabel(PASS, run_id="a1"),
        ("event", "b"): HumanLabel(PASS, event_id="b"),
        ("run", "z9"): HumanLabel(PASS, run_id="z9"),
        ("event", "y"): HumanLabel(PASS, event_id="y"),
    }
    labels = Labels(said_by, filed=frozenset({("run", "a1"), ("run", "z9")}))
    found = report_of(RAN, None, version("new"), RUNS, [said("new", "b1", PASS)], labels)
    assert (found.labels.from_file, found.labels.reviewed) == (1, 1)
    assert sum("selected" in note for note in found.notes) == 1
    elsewhere = Labels(said_by, filed=frozenset({("run", "z9")}))
    found = report_of(RAN, None, version("new"), RUNS, [said("new", "b1", PASS)], elsewhere)
    assert (found.labels.from_file, found.labels.reviewed) == (0, 2)
    assert not any("selected" in note for note in found.notes)


def test_an_events_label_is_its_runs_only_where_it_has_no_other() -> None:
    labels = Labels({("event", "b"): HumanLabel(FAIL, event_id="b")})
    rows = [said("new", "b1", PASS)]
    for sole in (True, False):
        alone = [ComparedRun("b1", "b", BEGAN, sole)]
        found = report_of(RAN, None, version("new", run_ids=frozenset({"b1"})), alone, rows, labels)
        assert found.labels.runs == sole
        assert (found.candidate.run_agreement is not None) == sole
        assert found.candidate.event_agreement is not None


def test_a_flips_link_names_what_it_is_about() -> None:
    odd = "a/ü&?#1"
    runs = [ComparedRun(odd, "e v", BEGAN), ComparedRun("x2", "e v", BEGAN)]
    ids = frozenset({odd, "x2"})
    rows = [
        said(name, run_id, verdict, event_id="e v")
        for name, verdict in (("old", PASS), ("new", FAIL))
        for run_id in ids
    ]
    found = report_of(RAN, version("old", run_ids=ids), version("new", run_ids=ids), runs, rows, Labels())
    page = "http://127.0.0.1:8700/rubrics/support/backtests/bt1"
    assert {flip.run_id: flip.link for flip in found.flips} == {
        None: f"{page}?event=e+v#event-e%20v",
        odd: f"{page}?run=a%2F%C3%BC%26%3F%231#run-a%2F%C3%BC%26%3F%231",
        "x2": f"{page}?run=x2#run-x2",
    }
