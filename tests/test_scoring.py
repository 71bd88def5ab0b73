"""Answers to criteria become one verdict."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from evaluator.model.rubric import Criterion, Thresholds
from evaluator.model.verdict import CriterionLabel, CriterionVerdict, VerdictLabel
from evaluator.scoring import label_of, level_passes, score

PASS, FAIL, UNKNOWN, NOT_APPLICABLE = CriterionLabel

criteria_with_answers = st.lists(
    st.tuples(st.booleans(), st.sampled_from([0.1, 0.3, 1.0, 3.0]), st.sampled_from(list(CriterionLabel))),
    min_size=1,
    max_size=8,
).map(
    lambda drawn: (
        [Criterion(id=f"c{n}", ask="Is it?", critical=c, weight=w) for n, (c, w, _) in enumerate(drawn)],
        [CriterionVerdict(id=f"c{n}", verdict=label) for n, (_, _, label) in enumerate(drawn)],
    )
)
Answered = tuple[list[Criterion], list[CriterionVerdict]]


@given(criteria_with_answers)
def test_a_failed_critical_criterion_fails_the_whole_whatever_else_is_unknown(answered: Answered) -> None:
    criteria, answers = answered
    failed = any(c.critical and a.verdict is FAIL for c, a in zip(criteria, answers, strict=True))
    scored = score(criteria, answers, Thresholds())
    assert scored.critical_failed is failed
    assert not failed or scored.verdict is VerdictLabel.FAIL


@given(criteria_with_answers)
def test_a_score_exists_exactly_where_the_verdict_is_known(answered: Answered) -> None:
    scored = score(*answered, Thresholds())
    assert (scored.score is None) is (scored.verdict is VerdictLabel.UNKNOWN)
    assert scored.score is None or 0 <= scored.score <= 1


@given(criteria_with_answers)
def test_an_unknown_critical_criterion_never_passes(answered: Answered) -> None:
    criteria, answers = answered
    if any(c.critical and a.verdict is UNKNOWN for c, a in zip(criteria, answers, strict=True)):
        assert score(*answered, Thresholds()).verdict in (VerdictLabel.UNKNOWN, VerdictLabel.FAIL)


@given(criteria_with_answers, st.integers(min_value=0))
def test_turning_a_fail_into_a_pass_never_lowers_the_score(answered: Answered, pick: int) -> None:
    criteria, answers = answered
    place = pick % len(answers)
    worse = [a.model_copy(update={"verdict": FAIL}) if n == place else a for n, a in enumerate(answers)]
    better = [a.model_copy(update={"verdict": PASS}) if n == place else a for n, a in enumerate(answers)]
    low, high = score(criteria, worse, Thresholds()).score, score(criteria, better, Thresholds()).score
    assert low is None or high is None or high >= low


@given(criteria_with_answers)
def test_what_does_not_apply_does_not_count(answered: Answered) -> None:
    criteria, answers = answered
    kept = [(c, a) for c, a in zip(criteria, answers, strict=True) if a.verdict is not NOT_APPLICABLE]
    without = score([c for c, _ in kept], [a for _, a in kept], Thresholds())
    assert score(*answered, Thresholds()) == without


def test_the_share_is_weighted() -> None:
    criteria = [Criterion(id="a", ask="Is it?", weight=3), Criterion(id="b", ask="Is it?")]
    answers = [CriterionVerdict(id="a", verdict=PASS), CriterionVerdict(id="b", verdict=FAIL)]
    scored = score(criteria, answers, Thresholds())
    assert (scored.verdict, scored.score) == (VerdictLabel.PASS, 0.75)


def test_unknown_weight_of_more_than_half_leaves_the_verdict_unknown() -> None:
    criteria = [Criterion(id="a", ask="Is it?"), Criterion(id="b", ask="Is it?", weight=1.5)]
    answers = [CriterionVerdict(id="a", verdict=PASS), CriterionVerdict(id="b", verdict=UNKNOWN)]
    assert score(criteria, answers, Thresholds()).verdict is VerdictLabel.UNKNOWN


def test_unknown_weight_of_exactly_half_leaves_the_other_half_to_decide() -> None:
    criteria = [Criterion(id="a", ask="Is it?"), Criterion(id="b", ask="Is it?")]
    answers = [CriterionVerdict(id="a", verdict=PASS)]
    assert score(criteria, answers, Thresholds()).verdict is VerdictLabel.PASS


def test_a_share_that_only_rounding_keeps_from_a_threshold_reaches_it() -> None:
    assert label_of(0.1 + 0.2 + 0.45 - 1e-12, Thresholds()) is VerdictLabel.PASS
    assert label_of(0.5, Thresholds()) is VerdictLabel.PARTIAL
    assert label_of(0.49, Thresholds()) is VerdictLabel.FAIL


def test_a_level_passes_from_pass_at_on_and_without_one_above_the_middle() -> None:
    scale = dict.fromkeys(range(1, 6), "anchor")
    stated = Criterion(id="a", ask="Is it?", scale=scale, pass_at=2)
    unstated = Criterion(id="a", ask="Is it?", scale=scale)
    assert [level_passes(stated, n) for n in (1, 2)] == [False, True]
    assert [level_passes(unstated, n) for n in (3, 4)] == [False, True]
