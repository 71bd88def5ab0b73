"""How early an item stands in line."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.model.verdict import VerdictLabel
from evaluator.review_priority import MOST, head_start
from evaluator.review_state import NEUTRAL, TELLING

REASONS = [*TELLING, *NEUTRAL]
PASS, FAIL, UNKNOWN = VerdictLabel.PASS, VerdictLabel.FAIL, VerdictLabel.UNKNOWN

subsets = st.sets(st.sampled_from(REASONS))
verdicts = st.sampled_from([*VerdictLabel, None])
values = st.none() | st.decimals(min_value=0, max_value=10**9, allow_nan=False)


@given(subsets, verdicts, st.booleans(), values)
def test_a_head_start_is_bounded_so_nothing_starves(
    reasons: set[str], verdict: VerdictLabel | None, split: bool, value: Decimal | None
) -> None:
    assert timedelta(0) <= head_start(reasons, verdict, split=split, value=value) <= MOST


@given(values)
def test_disagreement_comes_before_pass_before_unknown_before_what_is_flagged(value: Decimal | None) -> None:
    order = [
        head_start(["panel_split"], FAIL, value=value),
        head_start(["injection_suspected", "near_threshold"], PASS, value=value),
        head_start(["value_above"], PASS, value=value),
        head_start(["unknown"], UNKNOWN, value=value),
        head_start(["injection_suspected"], FAIL, value=value),
        head_start(["critical_fail"], FAIL, value=value),
    ]
    assert order == sorted(order, reverse=True)
    assert value is not None or len(set(order)) == len(order)


@given(subsets, verdicts, values, values)
def test_more_value_is_never_later(
    reasons: set[str], verdict: VerdictLabel | None, one: Decimal | None, other: Decimal | None
) -> None:
    small, large = sorted((one, other), key=lambda value: value or 0)
    assert head_start(reasons, verdict, value=small) <= head_start(reasons, verdict, value=large)


@given(subsets, verdicts, st.sampled_from(TELLING), values)
def test_a_further_reason_is_never_later(
    reasons: set[str], verdict: VerdictLabel | None, further: str, value: Decimal | None
) -> None:
    if further != "audit":
        before = head_start(reasons - {"audit"}, verdict, value=value)
        assert before <= head_start((reasons - {"audit"}) | {further}, verdict, value=value)


@given(verdicts, st.booleans(), values)
def test_the_audit_stands_where_it_came_in(
    verdict: VerdictLabel | None, split: bool, value: Decimal | None
) -> None:
    assert head_start(["audit"], verdict, split=split, value=value) == timedelta(0)


@pytest.mark.parametrize("value", [None, Decimal(0), Decimal(-5), Decimal("NaN")])
def test_an_event_without_a_value_counts_by_doubt_alone(value: Decimal | None) -> None:
    assert head_start(["unknown"], PASS, value=value) == timedelta(hours=24)


def test_that_judges_split_counts_whoever_says_so() -> None:
    assert head_start(["panel_split"], FAIL) == head_start([], FAIL, split=True) == timedelta(hours=48)
