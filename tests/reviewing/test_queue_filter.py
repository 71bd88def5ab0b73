"""A filter is the same in a URL, in a batch and in the code."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.errors import BadInput
from evaluator.model.review import Stream
from evaluator.review_state import REASONS
from evaluator.reviewing.queue_filter import LONGEST_AGE_HOURS, QueueFilter

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


def test_other_names_of_a_form_are_left_alone() -> None:
    assert QueueFilter.from_mapping({"page": "2", "tab": "done"}) == QueueFilter()
