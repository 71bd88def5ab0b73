"""What follows from the reviews of an item: its state, the verdict that stands, signals and outcome; in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from evaluator.model.review import ItemState, Review, ReviewAct, ReviewItem, SlotKind
from evaluator.model.rollup import Rollup
from evaluator.model.rubric import Rubric
from evaluator.review_intake import bring_in, is_outdated
from evaluator.reviewing.counted_reviews import item_says
from evaluator.settlement import hear_people
from evaluator.store import outcomes
from evaluator.store.database import Connection
from evaluator.store.review_items import find_item, set_state
from evaluator.store.reviews import let_stand, reviews_of_item, set_counts
from evaluator.store.rubric_versions import load_versions

ESCALATED = "escalated"


def settle_item(
    connection: Connection,
    item: ReviewItem,
    workflow: str,
    acts: Iterable[ReviewAct],
    rubrics: Mapping[str, Rubric],
    now: datetime,
    *,
    reviews: Sequence[Review] | None = None,
    rollups: Mapping[tuple[str, str], Rollup] | None = None,
) -> ItemState:
    """Bring an item, its event held by the transaction, up to date with its reviews; the state it is in then.

    Nothing is changed where nothing differs. `acts` are the item's; `rubrics` are versions known already, others are
    read. `reviews`, all of the item and oldest first, and `rollups`, all of the event in force, are read where they
    are left out.
    """
    reviews = reviews_of_item(connection, item.item_id) if reviews is None else reviews
    says = item_says(item, reviews, escalated=is_escalated(item, acts))
    set_counts(
        connection,
        {one.review_id: not one.counts for one in reviews if one.counts != (one.review_id in says.counting)},
    )
    if says.state != item.state:
        set_state(connection, item.item_id, says.state, now)
    if let_stand(connection, item.event_id, item.rubric_id, says.standing):
        hear_people(connection, {item.event_id: workflow}, rubrics, now, rollups=rollups)
    if says.state == ItemState.DONE != item.state:
        return _opened_again(connection, item, now, rollups)
    return says.state


def is_escalated(item: ReviewItem, acts: Iterable[ReviewAct]) -> bool:
    """Whether a reviewer passed the item on to an author in this round; of gold, whose verdict is known, nothing waits."""
    return any(
        one.act == ESCALATED and one.at >= item.entered_at and one.detail.get("kind") != SlotKind.GOLD
        for one in acts
    )


def _opened_again(
    connection: Connection, item: ReviewItem, now: datetime, rollups: Mapping[tuple[str, str], Rollup] | None
) -> ItemState:
    """Where another attempt came to decide while people looked at this one, it is not held back any longer."""
    if rollups is None:
        rollups = outcomes.current_rollups(connection, [item.event_id])
    rollup = rollups.get((item.event_id, item.rubric_id))
    if rollup is None or not is_outdated(item, rollup):
        return ItemState.DONE
    bring_in(connection, [rollup], load_versions(connection, {rollup.rubric_version}), now)
    again = find_item(connection, item.item_id)
    return ItemState.DONE if again is None else ItemState(again.state)
