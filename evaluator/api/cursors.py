"""Cursors: opaque marks of how far a feed or a list was read."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime

from evaluator.errors import BadInput
from evaluator.store.event_list import Place
from evaluator.store.outcomes import FeedName

_HINT = (
    "A cursor is the `next` of an earlier answer of this same path, passed on as it is; leave `after` out to start."
)


def feed_cursor(feed: FeedName, position: int) -> str:
    """The mark behind a position of a feed."""
    return _sealed(f"{feed}:{position}")


def feed_position(feed: FeedName, cursor: str | None, *, head: int) -> int:
    """The position a cursor marks, 0 without one; raises BadInput for a cursor that is not of this feed."""
    if not cursor:
        return 0
    kind, _, number = _opened(cursor).partition(":")
    if kind != feed or not (number.isascii() and number.isdigit()) or len(number) > 18:
        raise BadInput(f"`after` is not a cursor of the {feed} feed.", hint=_HINT)
    if int(number) > head:
        raise BadInput(
            "`after` is a cursor of another deployment, or of a time that this one's database was set back from.",
            hint="Leave `after` out to read the feed from its start; revisions tell what is known already.",
        )
    return int(number)


def list_cursor(place: Place) -> str:
    """The mark behind an event of the list."""
    at, event_id = place
    return _sealed(f"event:{at.isoformat()}:{event_id}".replace("+00:00", "Z", 1))


def list_place(cursor: str | None) -> Place | None:
    """The place a cursor marks; raises BadInput for a cursor that is not of the list of events."""
    if not cursor:
        return None
    kind, _, rest = _opened(cursor).partition(":")
    moment, found, event_id = rest.partition("Z:")
    try:
        at = datetime.fromisoformat(f"{moment}+00:00")
    except ValueError:
        at = None
    if kind != "event" or not found or at is None:
        raise BadInput("`after` is not a cursor of the list of events.", hint=_HINT)
    return at, event_id


def page_cursor(number: int) -> str:
    """The mark of a page of the review queue."""
    return _sealed(f"review:{number}")


def page_number(cursor: str | None) -> int:
    """The page a cursor marks, 1 without one; raises BadInput for a cursor that is not of the review queue."""
    if not cursor:
        return 1
    kind, _, number = _opened(cursor).partition(":")
    if kind != "review" or not (number.isascii() and number.isdigit()) or not 0 < len(number) < 6:
        raise BadInput("`after` is not a cursor of the review queue.", hint=_HINT)
    return int(number)


def _sealed(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _opened(cursor: str) -> str:
    try:
        return urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, UnicodeError, ValueError):
        raise BadInput("`after` is not a cursor.", hint=_HINT) from None
