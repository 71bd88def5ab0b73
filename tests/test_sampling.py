"""Sampling is deterministic, uniform and nested."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.model.rubric import SampleRule
from evaluator.model.sample import SampleReason
from evaluator.sampling import Decision, decide, draw

event_ids = st.text(max_size=40)
rates = st.floats(0, 1)


@pytest.mark.parametrize(
    ("event_id", "expected"),
    [
        ("", 0.5443162670459624),
        ("ticket-1", 0.5924483097267256),
        ("ticket-2", 0.6783694169757634),
        ("order/4711", 0.21907244884818433),
        ("Bestellung-Ä-√", 0.3829213986532439),
        ("\ud800", 0.21546494042612319),
    ],
)
def test_a_draw_never_changes_between_releases(event_id: str, expected: float) -> None:
    assert draw(event_id) == expected


def test_draws_are_uniform() -> None:
    bins = [0] * 100
    for number in range(20_000):
        bins[int(draw(f"event-{number}") * 100)] += 1
    chi_square = sum((count - 200) ** 2 / 200 for count in bins)
    assert 61.1 < chi_square < 148.2, "outside the .001 and .999 quantiles of chi-square with 99 degrees of freedom"


@given(event_ids)
def test_a_draw_lies_in_the_half_open_unit_interval(event_id: str) -> None:
    assert 0 <= draw(event_id) < 1


@given(event_ids, rates, rates)
def test_samples_nest_as_the_rate_grows(event_id: str, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert decide(SampleRule(rate=low), event_id, always=False).taken <= (
        decide(SampleRule(rate=high), event_id, always=False).taken
    )


@given(event_ids)
def test_rate_zero_takes_nothing_and_rate_one_everything(event_id: str) -> None:
    assert not decide(SampleRule(rate=0), event_id, always=False).taken
    assert decide(SampleRule(rate=1), event_id, always=False).taken


@given(event_ids, rates, st.floats(0, 1, exclude_min=True))
def test_an_always_rule_takes_the_event_whatever_the_rate(event_id: str, rate: float, captured: float) -> None:
    rule = SampleRule(rate=rate, capture_probability=captured)
    assert decide(rule, event_id, always=True) == Decision(True, SampleReason.ALWAYS, captured)


def test_the_probability_is_sampling_times_capture_taken_or_not() -> None:
    rule = SampleRule(rate=0.5, capture_probability=0.1)
    decisions = [decide(rule, f"event-{number}", always=False) for number in range(20)]
    assert {decision.taken for decision in decisions} == {True, False}
    assert {(decision.reason, decision.probability) for decision in decisions} == {(SampleReason.RATE, 0.05)}
