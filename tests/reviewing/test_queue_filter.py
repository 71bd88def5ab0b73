"""A filter is the same in a URL, in a batch and in the code."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.errors import BadInput
from evaluator.model.columns import utc_now
from evaluator.model.review import Stream
from evaluator.review_state import NEUTRAL, REASONS, TELLING
from evaluator.reviewing.queue_filter import LONGEST_AGE_HOURS, QueueFilter, wanted_by

names = st.text(max_size=50).map(str.strip)
filters = st.builds(
    QueueFilter,
    workflow=names,
    rubric=names,
    stream=st.sampled_from(["", *Stream]),
    reason=st.sampled_from(["", *REASONS]),
    older_than_hours=st.none() | st.integers(1, LONGEST_AGE_HOURS),
)


@given(filters)
def test_a_filter_comes_back_from_its_own_words(one: QueueFilter) -> None:
    assert QueueFilter.from_mapping(one.as_dict()) == one
    assert one.restricts == bool(one.as_dict())


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("stream", "gold", "stream is 'gold'; it takes audit, targeted, picked, or nothing"),
        ("reason", "because", "reason is 'because'; it takes policy, unknown, "),
        ("older_than_hours", "-1", "older_than_hours is '-1'; it takes a whole number from 1 to 8760"),
        ("older_than_hours", "9" * 5000, "older_than_hours is '999"),
        ("older_than_hours", "٣", "older_than_hours is '٣'"),
        ("workflow", "x" * 401, "workflow is longer than 400 characters"),
    ],
)
def test_what_is_not_allowed_is_named(field: str, value: str, told: str) -> None:
    with pytest.raises(BadInput) as raised:
        QueueFilter.from_mapping({field: value})
    assert told in raised.value.message
    assert len(raised.value.message) < 300


NOW = utc_now()


@given(filters)
def test_nothing_that_is_to_be_reviewed_blind_is_told_apart(one: QueueFilter) -> None:
    told = wanted_by(one, NOW, hidden=True)
    assert set(told.reasons) <= set(NEUTRAL)
    assert told.streams in ((), ("audit", "targeted"), ("picked",))
    neutral = one.neutral
    assert neutral.neutral == neutral
    assert neutral.reason not in TELLING
    assert neutral.stream in ("", "picked")
    assert neutral.restricts == one.restricts or one.reason in NEUTRAL or one.stream


@given(filters)
def test_a_filter_asks_for_what_it_names_where_nothing_is_hidden(one: QueueFilter) -> None:
    told = wanted_by(one, NOW, hidden=False)
    assert told.streams == ((one.stream,) if one.stream else ())
    assert set(told.reasons) == (set(TELLING) if one.reason == "policy" else {one.reason} - {""})


def test_other_names_of_a_form_are_left_alone() -> None:
    assert QueueFilter.from_mapping({"page": "2", "tab": "done"}) == QueueFilter()
