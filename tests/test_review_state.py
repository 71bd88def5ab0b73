"""What reviews come to, whatever their order; what may be told of an item."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.model.review import ItemState, ReviewItem, ReviewKind, Stream
from evaluator.model.verdict import VerdictLabel
from evaluator.review_state import (
    NEUTRAL,
    REASONS,
    TELLING,
    Given,
    Settled,
    reasons_meant,
    seen_item,
    settle,
    shown_reasons,
)

PASS, FAIL = VerdictLabel.PASS, VerdictLabel.FAIL
FIRST, REVISED = ReviewKind.FIRST_PASS, ReviewKind.REVISED
SECOND, ADJUDICATION = ReviewKind.SECOND_OPINION, ReviewKind.ADJUDICATION
START = datetime(2026, 1, 1, tzinfo=UTC)


def said(verdict: VerdictLabel | None, kind: ReviewKind = FIRST, *, at: int = 0, by: str = "") -> Given:
    return Given(by or f"{kind}-{verdict}-{at}", verdict, kind, START + timedelta(minutes=at))


@pytest.mark.parametrize(
    ("wanted", "reviews", "state", "stands"),
    [
        (1, [], ItemState.OPEN, None),
        (1, [said(PASS)], ItemState.DONE, "first_pass-pass-0"),
        (1, [said(None)], ItemState.DONE, None),
        (2, [said(PASS)], ItemState.OPEN, None),
        (2, [said(PASS, at=1), said(PASS, at=2)], ItemState.DONE, "first_pass-pass-2"),
        (2, [said(PASS, at=1), said(None, at=2)], ItemState.DONE, "first_pass-pass-1"),
        (2, [said(PASS, at=1), said(FAIL, at=2)], ItemState.AWAITING_RESOLUTION, None),
        (2, [said(PASS, at=1), said(PASS, REVISED, at=2)], ItemState.DONE, "revised-pass-2"),
        (1, [said(PASS), said(PASS, SECOND, at=1)], ItemState.DONE, "second_opinion-pass-1"),
        (1, [said(PASS), said(FAIL, SECOND)], ItemState.AWAITING_RESOLUTION, None),
        (1, [said(None), said(FAIL, SECOND)], ItemState.DONE, "second_opinion-fail-0"),
        (1, [said(FAIL, SECOND)], ItemState.OPEN, None),
        (2, [said(PASS), said(FAIL, ADJUDICATION)], ItemState.DONE, "adjudication-fail-0"),
        (1, [said(FAIL, ADJUDICATION), said(PASS, ADJUDICATION, at=1)], ItemState.DONE, "adjudication-pass-1"),
        (1, [said(PASS), said(None, ADJUDICATION)], ItemState.DONE, None),
        (1, [said(PASS, ReviewKind.GOLD)], ItemState.OPEN, None),
    ],
)
def test_reviews_come_to_a_state(wanted: int, reviews: list[Given], state: ItemState, stands: str | None) -> None:
    assert settle(wanted, reviews) == Settled(state, stands)


def test_an_escalated_item_waits_until_it_is_adjudicated() -> None:
    assert settle(1, [said(PASS)], escalated=True) == Settled(ItemState.ESCALATED)
    assert settle(1, [said(PASS, ADJUDICATION)], escalated=True).state == ItemState.DONE


def test_an_item_is_withdrawn_only_while_nobody_said_anything() -> None:
    assert settle(1, [], withdrawn=True) == Settled(ItemState.WITHDRAWN)
    assert settle(1, [said(PASS)], withdrawn=True).state == ItemState.DONE


reviews = st.lists(
    st.builds(
        said,
        st.sampled_from([*VerdictLabel, None]),
        st.sampled_from(list(ReviewKind)),
        at=st.integers(0, 9),
        by=st.uuids().map(str),
    ),
    max_size=6,
)


@given(st.integers(1, 4), reviews, st.booleans(), st.data())
def test_order_and_repetition_never_matter(
    wanted: int, of_item: list[Given], escalated: bool, data: st.DataObject
) -> None:
    again = data.draw(
        st.permutations([*of_item, *data.draw(st.lists(st.sampled_from(of_item)))] if of_item else [])
    )
    assert settle(wanted, again, escalated=escalated) == settle(wanted, of_item, escalated=escalated)


@given(st.integers(1, 4), reviews, st.booleans())
def test_what_stands_is_what_one_review_of_a_done_item_says(
    wanted: int, of_item: list[Given], escalated: bool
) -> None:
    settled = settle(wanted, of_item, escalated=escalated)
    if settled.authoritative_review_id is not None:
        (standing,) = [one for one in of_item if one.review_id == settled.authoritative_review_id]
        assert settled.state == ItemState.DONE
        assert standing.verdict is not None
        others = [one for one in of_item if one.kind not in (ReviewKind.GOLD, ReviewKind.RETRACTION)]
        if standing.kind != ADJUDICATION:
            assert {one.verdict for one in others} - {None} == {standing.verdict}


@given(st.integers(1, 4), reviews, reviews)
def test_gold_answers_and_retractions_are_as_if_never_said(
    wanted: int, of_item: list[Given], more: list[Given]
) -> None:
    never_counted = [one for one in more if one.kind in (ReviewKind.GOLD, ReviewKind.RETRACTION)]
    assert settle(wanted, [*of_item, *never_counted]) == settle(wanted, of_item)


def item(**changes: object) -> ReviewItem:
    fields = {"item_id": "i", "event_id": "e", "rubric_id": "r", "rubric_version": "v", "stream": Stream.TARGETED}
    return ReviewItem.model_validate(
        {**fields, **dict.fromkeys(("rank_at", "entered_at", "created_at"), START), **changes}
    )


@given(st.sets(st.sampled_from(TELLING), min_size=1), st.sets(st.sampled_from(NEUTRAL)))
def test_hidden_reasons_look_alike_whatever_they_are(telling: set[str], neutral: set[str]) -> None:
    for reasons in ([*telling, *sorted(neutral)], [*sorted(neutral), *telling], sorted(neutral)):
        assert shown_reasons(item(reasons=reasons), hidden=True) == ("policy", *sorted(neutral))
    assert shown_reasons(item(reasons=[*telling]), hidden=False) == (*telling,)


def test_a_reason_nobody_has_heard_of_is_hidden() -> None:
    assert shown_reasons(item(reasons=["new_signal"]), hidden=True) == ("policy",)


def test_an_audit_item_cannot_be_told_from_a_targeted_one() -> None:
    audit = item(stream=Stream.AUDIT, probability=0.05, reasons=["audit"], gold=True, rollup_revision=3)
    targeted = item(reasons=["critical_fail"], rank_at=START - timedelta(hours=9), note="Judges fail it.")
    assert seen_item(audit, hidden=True) == seen_item(targeted, hidden=True)
    assert seen_item(audit, hidden=False) == audit


def test_what_was_picked_says_so_and_nothing_else() -> None:
    alone = shown_reasons(item(stream=Stream.PICKED, reasons=["picked"]), hidden=True)
    assert alone == shown_reasons(item(stream=Stream.PICKED, reasons=["panel_split", "picked"]), hidden=True)
    assert alone == ("picked",)


@pytest.mark.parametrize("reason", REASONS)
def test_a_filter_means_the_reason_it_names_or_all_that_policy_stands_for(reason: str) -> None:
    assert set(reasons_meant(reason)) == (set(TELLING) if reason == "policy" else {reason})
