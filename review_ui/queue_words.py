"""What a filter of the queue asks for, in words."""

from __future__ import annotations

from collections.abc import Mapping

from evaluator.model.review import Stream
from evaluator.reviewing.queue_filter import QueueFilter
from evaluator.reviewing.reason_chips import WORDS
from review_ui.review_words import STREAM

AGES = (
    ("1", "over 1 hour"),
    ("4", "over 4 hours"),
    ("24", "over a day"),
    ("72", "over 3 days"),
    ("168", "over a week"),
)
"""Hours a reviewer may ask for, and how they are said."""


def filter_words(filters: QueueFilter, titles: Mapping[str, str]) -> list[str]:
    """What is asked for, each in a few words; `titles` are rubrics' by id. Empty where nothing is."""
    hours = filters.older_than_hours
    age = dict(AGES).get(str(hours), f"over {hours} hours") if hours else ""
    return [
        *([f"workflow {filters.workflow}"] if filters.workflow else []),
        *([f"rubric {titles.get(filters.rubric, filters.rubric)}"] if filters.rubric else []),
        *([f"waiting {age}"] if age else []),
        *([WORDS.get(filters.reason, filters.reason)] if filters.reason else []),
        *([STREAM[Stream(filters.stream)]] if filters.stream else []),
    ]
