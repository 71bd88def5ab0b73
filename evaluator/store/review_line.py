"""What stands first in line for review: looked at, not claimed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, or_, select, text

from evaluator.store.database import table_of
from evaluator.store.tables import ReviewSlotRow

_slot = table_of(ReviewSlotRow)
_OPEN = text("review_slot.state = 'open' AND review_slot.kind = 'review'")
_STREAMS = (text("review_slot.stream = 'audit'"), text("review_slot.stream <> 'audit'"))


def first_in_line(
    connection: Connection, *, person_id: str, workflow: str = "", rubric_id: str = "", now: datetime, most: int
) -> list[str]:
    """Items of the first free slots of the audit stream and of the others, `most` of each, not held by this person.

    A guess at what the person is given next: whether they had or declined an item before is not looked at.
    """
    asked = [
        column == value for column, value in ((_slot.c.workflow, workflow), (_slot.c.rubric_id, rubric_id)) if value
    ]
    free = or_(_slot.c.lease_until.is_(None), _slot.c.lease_until <= now)
    of_others = or_(_slot.c.claimed_by.is_(None), _slot.c.claimed_by != person_id)
    found: list[str] = []
    for of_stream in _STREAMS:
        line = select(_slot.c.item_id).where(_OPEN, of_stream, free, of_others, *asked)
        found += connection.execute(line.order_by(_slot.c.rank_at).limit(most)).scalars()
    return list(dict.fromkeys(found))
