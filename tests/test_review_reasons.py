"""Each reason holds for what it names and for nothing else; audits are drawn by themselves."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.model.rollup import RollupRule, RollupVerdict
from evaluator.model.rubric import Criterion, EscalateWhen, ReviewPolicy, ReviewReason, Rubric, Thresholds
from evaluator.model.verdict import VerdictLabel
from evaluator.panel import RunVerdict
from evaluator.precheck import INJECTION_SUSPECTED
from evaluator.review_reasons import NEAR, Condition, JudgedRun, is_audited, reasons, review_reasons
from evaluator.sampling import draw

RUBRIC = Rubric(
    id="r",
    title="Solved?",
    criteria=(Criterion(id="c", ask="Solved?"),),
    verdict=Thresholds(pass_at=0.75, partial_at=0.3),
)
FINE = RunVerdict(VerdictLabel.PASS, 1.0, critical_failed=False, split=False, flags=frozenset({"cached"}))
NAMED = sorted({*get_args(EscalateWhen), *get_args(ReviewReason)})
EVERY: list[Condition] = [*NAMED, {"value_above": Decimal(500)}]


def held(run: RunVerdict, **diagnostics: Any) -> tuple[str, ...]:
    return reasons(EVERY, run, RUBRIC, diagnostics)


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (replace(FINE, verdict=VerdictLabel.UNKNOWN, score=None), "unknown"),
        (replace(FINE, verdict=VerdictLabel.FAIL, score=0.75, critical_failed=True), "critical_fail"),
        (replace(FINE, split=True), "panel_split"),
        (replace(FINE, flags=frozenset({INJECTION_SUSPECTED})), "injection_suspected"),
        (replace(FINE, score=0.8), "near_threshold"),
    ],
)
def test_each_reason_holds_alone_where_what_it_names_is_so(run: RunVerdict, reason: str) -> None:
    assert held(FINE) == ()
    assert held(run) == (reason,)


@pytest.mark.parametrize(
    ("score", "near"),
    [
        (0.85, True),
        (0.86, False),
        (0.65, True),
        (0.64, False),
        (0.4, True),
        (0.2, True),
        (0.19, False),
        (None, False),
    ],
)
def test_near_is_within_a_tenth_of_either_threshold(score: float | None, near: bool) -> None:
    assert NEAR == 0.1
    assert ("near_threshold" in held(replace(FINE, score=score))) is near


def test_a_score_that_all_criteria_agree_on_is_near_no_threshold() -> None:
    strict = RUBRIC.model_copy(update={"verdict": Thresholds(pass_at=1, partial_at=0)})
    found = [
        reasons(["near_threshold"], replace(FINE, score=score), strict, {}) for score in (0.0, 0.05, 0.95, 1.0)
    ]
    assert found == [(), ("near_threshold",), ("near_threshold",), ()]


@pytest.mark.parametrize(
    ("confidence", "low"),
    [
        *((low, True) for low in (0.49, "0.2", " 0.2 ", 0, Decimal("0.4"))),
        *((other, False) for other in (0.5, 1, None, False, "", "low", "NaN", float("nan"), [0.1])),
    ],
)
def test_low_confidence_is_a_number_below_a_half_however_it_is_written(confidence: object, low: bool) -> None:
    assert ("low_confidence" in held(FINE, confidence=confidence)) is low


@pytest.mark.parametrize(
    ("amount", "above"),
    [
        (500.01, True),
        ("501", True),
        (Decimal("500.00"), False),
        ("1e3", True),
        ("Infinity", False),
        ("much", False),
    ],
)
def test_a_value_is_above_the_amount_the_rubric_names(amount: object, above: bool) -> None:
    assert ("value_above" in held(FINE, value_amount=amount)) is above


def test_a_condition_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ValueError, match="No condition is called 'panel_spilt'"):
        reasons(["panel_spilt"], FINE, RUBRIC, {})


@given(st.permutations(EVERY), st.lists(st.sampled_from(EVERY), max_size=3))
def test_reasons_come_in_the_order_they_were_wanted_each_once(
    wanted: list[Condition], more: list[Condition]
) -> None:
    everything = RunVerdict(
        VerdictLabel.UNKNOWN, 0.7, critical_failed=False, split=True, flags=frozenset({INJECTION_SUSPECTED})
    )
    found = reasons([*wanted, *more], everything, RUBRIC, {"confidence": 0.1, "value_amount": 501})
    names = [one if isinstance(one, str) else "value_above" for one in wanted]
    assert found == tuple(name for name in names if name != "critical_fail")


@given(st.text(), st.floats(0, 1), st.floats(0, 1))
def test_audits_nest_as_their_rate_grows(event_id: str, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert is_audited(event_id, low) <= is_audited(event_id, high)
    assert is_audited(event_id, 1.0)
    assert not is_audited(event_id, 0.0)


def test_audits_are_uniform_and_know_nothing_of_what_was_sampled() -> None:
    events = [f"ticket-{number}" for number in range(20_000)]
    sampled = [event for event in events if draw(event) < 0.1]
    for of, spread in ((events, 0.01), (sampled, 0.03)):
        assert sum(is_audited(event, 0.3) for event in of) / len(of) == pytest.approx(0.3, abs=spread)


def event(*runs: RunVerdict) -> list[JudgedRun]:
    return [JudgedRun(run, RUBRIC, {}) for run in runs]


def rolled_up(verdict: VerdictLabel = VerdictLabel.PASS, *, waiting: int = 0) -> RollupVerdict:
    return RollupVerdict(rule=RollupRule.LAST_RUN, verdict=verdict, waiting=waiting)


CRITICAL, SPLIT = replace(FINE, critical_failed=True), replace(FINE, split=True)


def test_what_holds_for_one_run_holds_for_its_event_in_the_order_of_the_policy() -> None:
    policy = ReviewPolicy(send=("panel_split", "critical_fail"), audit_rate=1)
    assert review_reasons(policy, "e", event(CRITICAL, FINE, SPLIT), rolled_up()) == (
        "panel_split",
        "critical_fail",
        "audit",
    )
    assert review_reasons(policy, "e", event(CRITICAL), rolled_up()) == ("critical_fail", "audit")


def test_an_event_is_unknown_where_its_rollup_is_and_waits_for_nothing() -> None:
    policy = ReviewPolicy(send=("unknown",))
    unknown = VerdictLabel.UNKNOWN
    assert review_reasons(policy, "e", event(FINE), rolled_up(unknown)) == ("unknown",)
    assert review_reasons(policy, "e", event(FINE), rolled_up(unknown, waiting=1)) == ()
    assert review_reasons(ReviewPolicy(), "e", event(FINE), rolled_up(unknown)) == (), "nobody asked for it"


def unjudged(*, runs: int = 1, waiting: int = 0, **not_evaluable: int) -> RollupVerdict:
    return rolled_up(VerdictLabel.UNKNOWN, waiting=waiting).model_copy(
        update={"runs": runs, "not_evaluable": not_evaluable}
    )


def test_what_no_judge_could_judge_is_unknown_and_drawn_for_audit_as_all_others_are() -> None:
    policy = ReviewPolicy(send=("unknown", "critical_fail"), audit_rate=1)
    assert review_reasons(policy, "e", [], unjudged(timeout=1)) == ("unknown", "audit")
    assert review_reasons(ReviewPolicy(audit_rate=1), "e", [], unjudged(refused=1)) == ("audit",)
    assert review_reasons(ReviewPolicy(), "e", [], unjudged(refused=1)) == ()


@pytest.mark.parametrize("rollup", [unjudged(runs=0), unjudged(runs=2, waiting=1, timeout=1), unjudged(budget=1)])
def test_before_anything_is_judged_or_given_up_there_is_nothing_to_look_at(rollup: RollupVerdict) -> None:
    assert review_reasons(ReviewPolicy(send=("unknown",), audit_rate=1), "e", [], rollup) == ()
