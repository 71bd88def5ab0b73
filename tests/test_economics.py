"""Costs add up, and a missing price is never taken for zero."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.economics import EventCost, cost_of_event, return_on_investment

dollars = st.decimals(Decimal(0), Decimal(10_000), places=6)


@pytest.mark.parametrize(
    ("value", "costs", "percent"),
    [("286.00", ["0.50", "56.25"], 404), ("143.00", ["0.50"], 28_500), ("500", ["2.50"], 19_900)],
)
def test_the_founding_examples_come_out(value: str, costs: list[str], percent: int) -> None:
    cost = cost_of_event([Decimal(each) for each in costs])
    roi = return_on_investment(Decimal(value), cost.total)
    assert roi is not None
    assert round(roi) == percent


@pytest.mark.parametrize(
    ("value", "cost"),
    [
        (None, Decimal(1)),
        (Decimal(1), None),
        (Decimal(1), Decimal(0)),
        (Decimal(1), Decimal("-0.01")),
        (None, None),
    ],
)
def test_without_a_value_or_a_cost_there_is_no_return(value: Decimal | None, cost: Decimal | None) -> None:
    assert return_on_investment(value, cost) is None


def test_what_brought_nothing_lost_all_of_its_cost() -> None:
    assert return_on_investment(Decimal(0), Decimal("0.02")) == -100


@given(st.lists(dollars))
def test_priced_runs_add_up_exactly(costs: list[Decimal]) -> None:
    total = sum(costs, Decimal(0))
    assert cost_of_event(costs) == EventCost(total, total, 0)


@given(st.lists(dollars), st.integers(1, 5))
def test_an_unpriced_run_leaves_the_total_open(costs: list[Decimal], unpriced: int) -> None:
    assert cost_of_event([*costs, *[None] * unpriced]) == EventCost(None, sum(costs, Decimal(0)), unpriced)


@given(dollars, dollars.filter(lambda cost: cost > 0))
def test_the_return_is_positive_exactly_when_the_value_exceeds_the_cost(value: Decimal, cost: Decimal) -> None:
    roi = return_on_investment(value, cost)
    assert roi is not None
    assert (roi > 0) == (value > cost)
