"""What several judges and repeats said of a run comes to one verdict."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.model.rubric import Criterion, Rubric, Thresholds
from evaluator.model.verdict import CriterionLabel, CriterionVerdict, VerdictLabel
from evaluator.panel import RESTS_ON_CRITICAL, Opinion, RunVerdict, Said, combine, run_verdict

PASS, PARTIAL, FAIL, UNKNOWN = VerdictLabel.PASS, VerdictLabel.PARTIAL, VerdictLabel.FAIL, VerdictLabel.UNKNOWN
THRESHOLDS = Thresholds()
SCALE = {1: "rude", 2: "cold", 3: "neutral", 4: "kind", 5: "warm"}
TONE = Rubric(id="tone", title="Kind?", criteria=(Criterion(id="tone", ask="Is it kind?", scale=SCALE, pass_at=4),))
SOLVED = Rubric(
    id="solved",
    title="Solved?",
    criteria=(Criterion(id="solves", ask="Solved?", critical=True), Criterion(id="polite", ask="Polite?")),
)
_FIRST_LETTERS = {label.value[0]: label for label in CriterionLabel}


def rated(*levels: int | None, judge: str = "a") -> list[Said]:
    """A judge's repeats under TONE, each with the level it gave; None: it could not tell."""
    return [
        Said(
            judge,
            repeat,
            False,
            PASS if level and level >= 4 else FAIL if level else UNKNOWN,
            None,
            (),
            (_tone(level),),
        )
        for repeat, level in enumerate(levels)
    ]


def _tone(level: int | None) -> CriterionVerdict:
    if level is None:
        return CriterionVerdict(id="tone", verdict=CriterionLabel.UNKNOWN)
    return CriterionVerdict(
        id="tone", verdict=CriterionLabel.PASS if level >= 4 else CriterionLabel.FAIL, level=level
    )


def answered(*words: str, judge: str = "a") -> list[Said]:
    """A judge's repeats under SOLVED: p, f, u or n for each criterion."""
    return [
        Said(
            judge,
            repeat,
            False,
            UNKNOWN,
            None,
            (),
            tuple(
                CriterionVerdict(id=criterion.id, verdict=_FIRST_LETTERS[letter])
                for criterion, letter in zip(SOLVED.criteria, word, strict=True)
            ),
        )
        for repeat, word in enumerate(words)
    ]


def said(verdict: VerdictLabel, score: float | None, judge: str, *flags: str, escalated: bool = False) -> Said:
    return Said(judge, 0, escalated, verdict, score, flags)


def test_one_verdict_alone_stands_as_it_is() -> None:
    only = run_verdict(SOLVED, [said(PARTIAL, 0.9, "a", "cached")])
    assert only == RunVerdict(PARTIAL, 0.9, critical_failed=False, split=False, flags=frozenset({"cached"}))


def test_nothing_said_is_unknown() -> None:
    assert run_verdict(SOLVED, []).verdict is UNKNOWN


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ((4, 4, 4, 4, 1), FAIL),  # the mode passes, the mean of 3.4 does not
        ((5, 5, 5, 3, 3), PASS),
        ((3, 3, 3, 5, 5), FAIL),
        ((3, 3, 5, 5, 4), PASS),
        ((5, 5, 5, None, None), PASS),
        ((5, 5, None, None), UNKNOWN),
        ((5, None, None), UNKNOWN),
    ],
)
def test_repeats_on_a_scale_pass_by_their_mean_never_by_their_mode(
    levels: tuple[int | None, ...], expected: VerdictLabel
) -> None:
    assert run_verdict(TONE, rated(*levels)).verdict is expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("pp", "pp", "ff"), (PASS, 1.0)),
        (("pf", "pp", "pf"), (PARTIAL, 0.5)),
        (("pp", "fp"), (UNKNOWN, None)),  # a tie over what is critical
        (("pp", "pf"), (PASS, 1.0)),  # a tie over half the weight is left out
        (("fp", "fp", "pp"), (FAIL, 0.5)),
        (("pp", "up", "up"), (UNKNOWN, None)),
        (("pn", "pn", "pf"), (PASS, 1.0)),
    ],
)
def test_repeats_without_a_scale_go_by_the_majority_for_each_criterion(
    words: tuple[str, ...], expected: tuple[VerdictLabel, float | None]
) -> None:
    run = run_verdict(SOLVED, answered(*words))
    assert (run.verdict, run.score) == expected


def test_a_judge_asked_five_times_has_no_more_say_than_one_asked_once() -> None:
    strict = answered(*["ff"] * 5, judge="strict")
    assert run_verdict(SOLVED, [*strict, said(PASS, 1.0, "kind")]).verdict is UNKNOWN, "one against one"
    assert run_verdict(SOLVED, [*strict, said(PASS, 1.0, "kind"), said(PASS, 1.0, "other")]).score == pytest.approx(
        2 / 3
    )


def test_repeats_without_their_criteria_are_combined_as_judges_are() -> None:
    repeats = [Said("a", n, False, verdict, score) for n, (verdict, score) in enumerate([(PASS, 1.0), (PASS, 0.8)])]
    assert run_verdict(SOLVED, repeats).score == pytest.approx(0.9)


def test_the_stronger_judge_stands_for_all_others_their_flags_and_their_disagreement() -> None:
    panel = [said(PASS, 1.0, "a", "content_cut"), said(FAIL, 0.0, "b", RESTS_ON_CRITICAL)]
    assert run_verdict(SOLVED, panel).split
    stronger = said(PARTIAL, 0.6, "strong", escalated=True)
    assert run_verdict(SOLVED, [*panel, stronger]) == run_verdict(SOLVED, [stronger])


@pytest.mark.parametrize(
    ("verdicts", "expected"), [((PASS, PARTIAL), True), ((PASS, UNKNOWN), False), ((FAIL, FAIL), False)]
)
def test_a_panel_is_split_by_different_labels_and_not_by_an_unknown(
    verdicts: tuple[VerdictLabel, ...], expected: bool
) -> None:
    assert run_verdict(SOLVED, [said(each, None, f"{n}") for n, each in enumerate(verdicts)]).split is expected


def test_repeats_of_one_judge_split_as_judges_do() -> None:
    assert run_verdict(TONE, rated(5, 5, 2)).split


@pytest.mark.parametrize(("failed", "expected"), [(1, False), (2, True)])
def test_a_critical_criterion_has_failed_where_it_did_for_most_judges(failed: int, expected: bool) -> None:
    panel = [said(FAIL, 0.5, f"{n}", *([RESTS_ON_CRITICAL] if n < failed else [])) for n in range(3)]
    assert run_verdict(SOLVED, panel).critical_failed is expected


answers = st.builds(
    CriterionVerdict,
    id=st.sampled_from(["solves", "polite"]),
    verdict=st.sampled_from(CriterionLabel),
    level=st.none() | st.integers(1, 5).map(float),
)
whole_panels = st.lists(
    st.builds(
        Said,
        st.sampled_from(["a", "b", "c"]),
        st.integers(0, 4),
        st.booleans(),
        st.sampled_from(VerdictLabel),
        st.none() | st.floats(0, 1),
        st.sampled_from([(), ("cached",), (RESTS_ON_CRITICAL,)]),
        st.lists(answers, max_size=2).map(tuple),
    ),
    max_size=8,
)


@given(whole_panels.flatmap(lambda some: st.tuples(st.just(some), st.permutations(some + some[:3]))))
def test_neither_order_nor_duplicates_of_what_was_said_matter(case: tuple[list[Said], list[Said]]) -> None:
    once, shuffled_and_doubled = case
    assert run_verdict(SOLVED, shuffled_and_doubled) == run_verdict(SOLVED, once)


@given(whole_panels, st.data())
def test_what_was_said_before_an_escalation_changes_nothing_after_it(
    panel: list[Said], data: st.DataObject
) -> None:
    own = [replace(each, escalated=False) for each in panel]
    stronger = replace(data.draw(st.sampled_from(own or rated(3))), escalated=True)
    assert run_verdict(SOLVED, [*own, stronger]) == run_verdict(SOLVED, [stronger])


@given(st.lists(st.integers(1, 5), min_size=2, max_size=9), st.data())
def test_a_repeat_that_rates_higher_never_turns_a_pass(levels: list[int], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(levels) - 1))
    better = [*levels[:place], data.draw(st.integers(levels[place], 5)), *levels[place + 1 :]]
    if run_verdict(TONE, rated(*levels)).verdict is PASS:
        assert run_verdict(TONE, rated(*better)).verdict is PASS


def opinions(*pairs: tuple[VerdictLabel, float | None]) -> list[Opinion]:
    return [Opinion(verdict, score) for verdict, score in pairs]


@pytest.mark.parametrize(
    ("given_opinions", "expected"),
    [
        (opinions(), (UNKNOWN, None)),
        (opinions((FAIL, 0.9)), (FAIL, 0.9)),
        (opinions((UNKNOWN, None)), (UNKNOWN, None)),
        (opinions((PASS, 1.0), (PASS, 0.8), (PARTIAL, 0.6)), (PASS, 0.8)),
        (opinions((PASS, 1.0), (FAIL, 0.0)), (UNKNOWN, 0.5)),
        (opinions((PASS, 1.0), (UNKNOWN, None)), (UNKNOWN, 1.0)),
        (opinions((PASS, 1.0), (PASS, 0.9), (UNKNOWN, None)), (PASS, 0.95)),
        (opinions((PASS, 1.0), (FAIL, 0.5), (UNKNOWN, None)), (UNKNOWN, 0.75)),
        (opinions((FAIL, 0.9), (FAIL, 0.9), (PASS, 0.9)), (FAIL, 0.9)),
        (opinions((FAIL, 0.0), (PASS, 1.0), (PASS, 0.8)), (PARTIAL, 0.6)),
        (opinions((PASS, None), (PASS, None), (PARTIAL, None)), (PASS, None)),
        (opinions((PASS, None), (PARTIAL, None)), (UNKNOWN, None)),
    ],
)
def test_several_opinions_become_one(
    given_opinions: list[Opinion], expected: tuple[VerdictLabel, float | None]
) -> None:
    verdict, score = combine(given_opinions, THRESHOLDS)
    assert (verdict, score) == (expected[0], expected[1] if expected[1] is None else pytest.approx(expected[1]))


opinion_lists = st.lists(st.builds(Opinion, st.sampled_from(VerdictLabel), st.none() | st.floats(0, 1)), max_size=6)


@given(opinion_lists.flatmap(lambda some: st.tuples(st.just(some), st.permutations(some))))
def test_the_order_opinions_come_in_never_matters(case: tuple[list[Opinion], list[Opinion]]) -> None:
    assert combine(case[0], THRESHOLDS) == combine(case[1], THRESHOLDS)


@given(opinion_lists)
def test_a_majority_of_fails_is_never_anything_but_fail(some: list[Opinion]) -> None:
    majority = opinions(*[(FAIL, 1.0)] * (len(some) + 1))
    assert combine([*some, *majority], THRESHOLDS)[0] is FAIL
