"""How many judgements are handed out: within the limits, and fair."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from evaluator.dispatch import (
    BATCH_SIZE,
    HANDED_OUT_PER_SLOT,
    ProviderLoad,
    affordable,
    allowance,
    fair_shares,
    is_exhausted,
)


@given(st.integers(0, 5000), st.integers(0, 5000), st.integers(1, 200), st.integers(0, 500))
def test_a_provider_never_gets_more_than_its_slots_and_its_rate(
    leased: int, recent: int, concurrency: int, rate: int
) -> None:
    room = allowance(ProviderLoad(leased, recent), concurrency=concurrency, calls_per_minute=rate)
    assert room >= 0
    assert leased + room <= max(leased, concurrency * HANDED_OUT_PER_SLOT)
    if rate:
        assert recent + room <= max(recent, rate)


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 1000)), st.integers(0, 2000))
def test_shares_use_all_room_there_is_work_for_and_no_more(waiting: dict[str, int], room: int) -> None:
    shares = fair_shares(waiting, room)
    assert sum(shares.values()) == min(room, sum(waiting.values()))
    assert all(0 <= shares[group] <= waiting[group] for group in waiting)


@given(st.dictionaries(st.text(max_size=3), st.integers(1, 1000), min_size=1), st.integers(0, 2000))
def test_a_long_queue_does_not_starve_a_short_one(waiting: dict[str, int], room: int) -> None:
    shares = fair_shares(waiting, room)
    equal = room // len(waiting)
    assert all(shares[group] >= min(waiting[group], equal) for group in waiting)


def test_a_budget_pays_for_what_is_left_after_what_is_under_lease() -> None:
    dollar = Decimal(1)
    assert affordable(budget=dollar, spent=Decimal("0.5"), leased=2, estimate=Decimal("0.1"), wanted=50) == 3
    assert affordable(budget=dollar, spent=dollar, leased=0, estimate=Decimal("0.1"), wanted=50) == 0
    assert affordable(budget=dollar, spent=Decimal(0), leased=0, estimate=Decimal(0), wanted=50) == 50


def test_without_an_estimate_one_at_a_time_is_judged_until_there_is_one() -> None:
    assert affordable(budget=Decimal(1), spent=Decimal(0), leased=0, estimate=None, wanted=50) == 1
    assert affordable(budget=Decimal(1), spent=Decimal(0), leased=1, estimate=None, wanted=50) == 0


@given(
    st.decimals(0, 10, places=4), st.decimals(0, 10, places=4), st.integers(0, 100), st.decimals(0, 1, places=4),
    st.integers(0, 100),
)  # fmt: skip
def test_what_is_handed_out_never_costs_more_than_the_budget_at_the_estimate(
    budget: Decimal, spent: Decimal, leased: int, estimate: Decimal, wanted: int
) -> None:
    given_out = affordable(budget=budget, spent=spent, leased=leased, estimate=estimate, wanted=wanted)
    assert given_out == 0 or spent + (leased + given_out) * estimate <= budget
    if is_exhausted(budget=budget, spent=spent, estimate=estimate):
        assert given_out == 0


def test_what_comes_free_one_by_one_waits_until_it_is_a_batch() -> None:
    most = 16 * HANDED_OUT_PER_SLOT
    for free, room in ((1, 0), (BATCH_SIZE - 1, 0), (BATCH_SIZE, BATCH_SIZE), (most, most)):
        assert allowance(ProviderLoad(leased=most - free), concurrency=16, calls_per_minute=0) == room
    for free, room in ((4, 0), (5, 5)):
        local = ProviderLoad(leased=HANDED_OUT_PER_SLOT - free)
        assert allowance(local, concurrency=1, calls_per_minute=0) == room
