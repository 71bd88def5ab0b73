"""Where in a long list a page is, and the links to its neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from evaluator.reviewing.review_lists import A_PAGE, QueuePage

LAST_PAGE = 100_000
"""Further than anybody turns pages; databases refuse numbers beyond 64 bits."""


@dataclass(frozen=True)
class Pager:
    """`51–75 of 128`, and where the pages before and after are; empty links where there is none."""

    words: str = ""
    """Empty where there is nothing to page through."""
    previous: str = ""
    following: str = ""


def pager(path: str, query: Mapping[str, str], shown: QueuePage) -> Pager:
    """The place of a page of a list."""
    before = (shown.number - 1) * A_PAGE
    words = f"{before + 1:,}–{before + len(shown.rows):,} of {shown.count.words}" if shown.rows else ""
    return Pager(
        words=words,
        previous=address(path, query, shown.number - 1) if shown.number > 1 else "",
        following=address(path, query, shown.number + 1) if shown.more else "",
    )


def address(path: str, query: Mapping[str, str], number: int = 1) -> str:
    """A page of a list by its URL; the first one has no number."""
    given = {name: value for name, value in query.items() if value}
    if number > 1:
        given["page"] = str(number)
    return f"{path}?{urlencode(given)}" if given else path
