"""docs/how-it-works.md: its tables, numbers and drawing are those of the code."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from sqlmodel import SQLModel

from evaluator import pipeline
from evaluator.combination import RubricSays, all_words, judge_words
from evaluator.dispatch import BATCH_SIZE, HANDED_OUT_PER_SLOT, affordable
from evaluator.model.judgement import JudgementState, NotEvaluable
from evaluator.model.outcome import DecidedBy, FinalOutcome, OutcomeType, Signal, SignalSource
from evaluator.model.review import ItemState, ReviewKind, Stream
from evaluator.model.rollup import RollupRule
from evaluator.model.rubric import Combination, Criterion, SampleRule, Thresholds
from evaluator.model.verdict import CriterionLabel, CriterionVerdict, VerdictLabel
from evaluator.panel import Opinion, answer_of, combine
from evaluator.resolution import resolve_as_known_at
from evaluator.review_state import Given, Settled, settle
from evaluator.rollup import RECENCY_DECAY, RunStanding, roll_up
from evaluator.sampling import decide, draw
from evaluator.store import tables

DOCS = Path(__file__).parent.parent / "docs"
DOC = (DOCS / "how-it-works.md").read_text(encoding="utf-8")
DRAWING = (DOCS / "the-way.svg").read_text(encoding="utf-8")
STAGES = ("capture", "sample", "judge", "verdict", "rollup", "resolve", "feed")


def rows(title: str, columns: int) -> list[list[str]]:
    """The cells of a section's table with so many columns, but for its head."""
    section = DOC.split(f"## {title}\n")[1].split("\n## ")[0]
    found = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|")]
    found = [cells for cells in found if len(cells) == columns and not cells[0].startswith("-")]
    return found[1:]


def plain(text: str) -> str:
    return " ".join(text.split())


def test_every_table_is_named_once_and_no_other() -> None:
    assert tables.EventRow.__tablename__ in SQLModel.metadata.tables
    assert sorted(cells[0].strip("`") for cells in rows("Tables", 2)) == sorted(SQLModel.metadata.tables)


@pytest.mark.parametrize(("event", "told", "at_20", "at_50", "at_70"), rows("Sampling", 5))
def test_the_draws_are_those_of_the_events(event: str, told: str, at_20: str, at_50: str, at_70: str) -> None:
    event_id = event.strip("`")
    assert f"{draw(event_id):.3f}" == told
    taken = [decide(SampleRule(rate=rate), event_id, always=False).taken for rate in (0.2, 0.5, 0.7)]
    assert [("not taken", "taken")[each] for each in taken] == [at_20, at_50, at_70]


def test_the_probability_is_the_product_of_both_rates() -> None:
    rule = SampleRule(rate=0.2, capture_probability=0.1)
    assert decide(rule, "any", always=False).probability == pytest.approx(0.02)
    assert decide(rule, "any", always=True).probability == 0.1
    assert "With `rate: 0.2` and `capture_probability: 0.1` it is 0.02." in DOC


@pytest.mark.parametrize("state", JudgementState)
def test_each_state_of_a_judgement_is_named(state: str) -> None:
    assert f"`{state}`" in DOC


def test_reasons_that_are_named_exist() -> None:
    assert set(re.findall(r"`not_evaluable: (\w+)`", DOC)) <= set(NotEvaluable)


def test_the_numbers_of_the_queue_are_those_in_force() -> None:
    assert HANDED_OUT_PER_SLOT == 10
    assert "room for ten judgements per call" in DOC
    assert f"batches of at most {BATCH_SIZE}" in DOC
    assert f"{pipeline.MOST_LEASES} workers in a row" in DOC


def test_the_budget_pays_for_as_many_as_the_example_says() -> None:
    numbers = re.search(r"> Budget \$(\S+), spent \$(\S+), estimate \$(\S+), (\d+) leased: .+ = (\d+) more", DOC)
    assert numbers is not None
    budget, spent, estimate, leased, more = map(Decimal, numbers.groups())
    found = affordable(budget=budget, spent=spent, leased=int(leased), estimate=estimate, wanted=100)
    assert found == more


def test_several_opinions_come_to_what_the_example_says() -> None:
    said = re.search(r"^> (pass .+): mean (\S+), which is (\w+)\.$", DOC, re.MULTILINE)
    assert said is not None
    opinions = [Opinion(VerdictLabel(one.split()[0]), float(one.split()[1])) for one in said[1].split(", ")]
    verdict, score = combine(opinions, Thresholds())
    assert (verdict, f"{score:.2f}") == (said[3], said[2])


def test_levels_come_to_what_the_example_says() -> None:
    said = re.search(r"^> Levels (.+) with `pass_at: (\d)`: mean (\S+), which is (\w+)\.$", DOC, re.MULTILINE)
    assert said is not None
    scale = dict.fromkeys(range(1, 6), "")
    criterion = Criterion(id="tone", ask="Kind?", scale=scale, pass_at=int(said[2]))
    levels = [float(level) for level in re.findall(r"\d", said[1])]
    answers = [CriterionVerdict(id="tone", verdict=CriterionLabel.PASS, level=level) for level in levels]
    answer = answer_of(criterion, answers)
    assert (answer.level, answer.verdict) == (float(said[3]), said[4])


@pytest.mark.parametrize(("rubrics", "worst", "best"), rows("From signals to an outcome", 3))
def test_combined_rubrics_say_what_the_table_says(rubrics: str, worst: str, best: str) -> None:
    for rule, expected in zip(Combination, (worst, best), strict=True):
        says = [
            RubricSays(
                f"{number}", rule, None if "not" in said else FinalOutcome(said), OutcomeType.CUSTOM, said, said
            )
            for number, said in enumerate(rubrics.split(", "))
        ]
        [word] = judge_words(says)
        assert word.outcome == expected


def run(number: int, standing: str) -> RunStanding:
    at = datetime(2026, 3, 1, number, tzinfo=UTC)
    if standing == "waiting":
        return RunStanding(f"run {number}", at, "waiting", None, None, None)
    if standing == "not evaluable":
        return RunStanding(f"run {number}", at, "not_evaluable", None, None, "timeout")
    verdict, score = standing.split()
    return RunStanding(f"run {number}", at, "judged", VerdictLabel(verdict), float(score), None)


@pytest.mark.parametrize("cells", rows("From verdicts to a rollup", 7), ids=lambda cells: cells[0])
def test_each_rule_says_of_the_runs_what_the_table_says(cells: list[str]) -> None:
    runs = [run(number, standing) for number, standing in enumerate(cells[0].split(", "))]
    said = [
        roll_up(rule, runs, thresholds=Thresholds(), k=2 if rule == RollupRule.K_OF_N else None)
        for rule in RollupRule
    ]
    assert [one.verdict if one.score is None else f"{one.verdict} {one.score:.2f}" for one in said] == cells[1:]


def test_each_rule_has_its_column_and_its_sentence() -> None:
    (head,) = re.findall(r"^\| runs \| (.+) \|$", DOC, re.MULTILINE)
    assert [name.strip("`") for name in head.split(" | ")] == list(RollupRule)
    assert re.findall(r"^\* `(\w+)`:", DOC, re.MULTILINE) == list(RollupRule)
    assert f"counts {RECENCY_DECAY} times the judged run after it" in DOC


def test_coverage_is_as_told_of_the_last_two_rows() -> None:
    for cells in rows("From verdicts to a rollup", 7)[-2:]:
        runs = [run(number, standing) for number, standing in enumerate(cells[0].split(", "))]
        assert roll_up(RollupRule.MEAN, runs, thresholds=Thresholds()).coverage == 0.5


def day(text: str) -> datetime:
    return datetime(2026, 3, int(text.split()[0]), 12, tzinfo=UTC)


def test_the_signals_of_the_example_resolve_step_by_step_as_told() -> None:
    steps = rows("From signals to an outcome", 6)
    signals = [
        Signal(
            signal_id=f"{number}",
            event_id="ticket-1",
            source=SignalSource(source),
            origin=origin,
            outcome=FinalOutcome(says),
            occurred_at=day(occurred),
            recorded_at=day(known_from),
        )
        for number, (known_from, source, origin, says, occurred, _) in enumerate(steps)
    ]
    resolutions = [resolve_as_known_at(signals[::-1], day(step[0]) + timedelta(hours=1)) for step in steps]
    assert [f"{FinalOutcome(one.final_outcome)} by {DecidedBy(one.decided_by)}" for one in resolutions] == [
        step[5] for step in steps
    ]
    revisions = 1 + sum(before != after for before, after in pairwise(resolutions))
    assert (revisions, len(steps)) == (6, 8)
    assert "six revisions in eight steps" in plain(DOC)


REVIEWED = {"cannot judge": None, "pass": VerdictLabel.PASS, "fail": VerdictLabel.FAIL}


def given(told: str) -> list[Given]:
    """What the first column tells: "pass, fail, adjudicated fail", "fail, and one cannot judge" …"""
    words = told.replace("nobody can judge", "cannot judge, cannot judge").replace("and one ", "")
    found = []
    for number, one in enumerate(words.replace("then a ", "").split(", ")):
        kind, said = ReviewKind.FIRST_PASS, one
        for start, meant in (("adjudicated ", "adjudication"), ("second opinion of ", "second_opinion")):
            if one.startswith(start):
                kind, said = ReviewKind(meant), one.removeprefix(start)
        found.append(Given(f"{number}", REVIEWED[said], kind, datetime(2026, 3, 1, number, tzinfo=UTC)))
    return found


@pytest.mark.parametrize(("told", "state", "stands"), rows("Reviews", 3)[5:])
def test_reviews_come_to_what_the_table_says(told: str, state: str, stands: str) -> None:
    reviews = given(told)
    first = sum(one.kind == ReviewKind.FIRST_PASS for one in reviews)
    settled = settle(first, reviews)
    standing = {one.review_id: one for one in reviews}.get(settled.authoritative_review_id or "")
    assert settled.state.replace("_", " ") == state
    assert {
        "nothing": standing is None,
        "the last of them": standing is reviews[-1],
        "the adjudication": standing is reviews[-1],
        "fail": standing is not None and standing.verdict == "fail",
    }[stands]


def test_fewer_reviews_than_wanted_leave_an_item_open() -> None:
    assert rows("Reviews", 3)[4] == ["fewer than are wanted", "open", "nothing"]
    assert settle(2, given("pass")) == Settled(ItemState.OPEN)


def test_each_stream_is_told() -> None:
    assert [cells[0].strip("`") for cells in rows("Reviews", 3)[:3]] == list(Stream)


def test_people_speak_under_the_origins_that_the_page_names() -> None:
    said = RubricSays("support", None, FinalOutcome.FAILED, OutcomeType.CUSTOM, "fail", "", {}, "Ada", "r1")
    [own] = all_words([], [said])
    a, b = (replace(said, rubric_id=name, combine=Combination.WORST) for name in "ab")
    common = all_words([], [a, b])[0]
    assert [own.source, common.source] == [SignalSource.HUMAN] * 2
    assert f"`{own.origin}`" in DOC
    assert f"`{common.origin}`" in DOC


def test_the_drawing_shows_the_stages_in_order_and_who_joins() -> None:
    words = [plain("".join(text.itertext())) for text in ElementTree.fromstring(DRAWING).iter() if _is_stage(text)]
    assert words[: len(STAGES)] == list(STAGES)
    assert words[len(STAGES) :] == ["system of record", "human"]
    assert "](the-way.svg)" in DOC


def _is_stage(element: ElementTree.Element) -> bool:
    return element.get("class") == "stage"


def test_the_drawing_is_readable_in_light_and_dark_and_loads_nothing() -> None:
    drawing = ElementTree.fromstring(DRAWING)
    assert drawing.get("viewBox") == "0 0 800 250"
    assert "@media (prefers-color-scheme: dark)" in DRAWING
    assert min(int(size) for size in re.findall(r"font-size: (\d+)px", DRAWING)) >= 13
    assert not re.search(r"<script|href|url\((?!#)|@import", DRAWING)
