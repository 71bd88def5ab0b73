"""Which of the waiting items somebody wants to see, as it stands in a URL, a batch and a command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta

from evaluator.errors import BadInput
from evaluator.model.person import Person, PersonRole
from evaluator.model.review import Stream
from evaluator.review_state import POLICY, REASONS, TELLING, reasons_meant
from evaluator.store.review_claims import Wanted

LONGEST_NAME = 400
"""Characters of a workflow's name or rubric's id: what captures and rubrics may have at most."""
LONGEST_AGE_HOURS = 24 * 365


@dataclass(frozen=True)
class QueueFilter:
    """What is left empty does not restrict; all that is given must hold."""

    workflow: str = ""
    rubric: str = ""
    """A rubric's id."""
    stream: str = ""
    reason: str = ""
    """One of `review_state.REASONS`: `policy` for all that would tell what the judge said."""
    older_than_hours: int | None = None
    """Waiting at least so long."""

    @property
    def neutral(self) -> QueueFilter:
        """The same without what would tell items apart that are to be reviewed blind: all of it means `policy`."""
        is_told = self.stream in _ALIKE or self.reason in TELLING
        reason = POLICY if is_told and (not self.reason or self.reason in TELLING) else self.reason
        return replace(self, stream="" if self.stream in _ALIKE else self.stream, reason=reason)

    @property
    def restricts(self) -> bool:
        """Whether anything is left out by it."""
        return self != QueueFilter()

    def as_dict(self) -> dict[str, str]:
        """What is given, by name: for URLs and `ReviewBatch.filters`."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: str(value) for name, value in given.items() if value not in ("", None)}

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, str]) -> QueueFilter:
        """The filter in a form or URL; other names there are not its affair.

        Raises BadInput naming field, value and what is allowed.
        """
        given = {field.name: mapping.get(field.name, "").strip() for field in fields(cls)}
        for name in ("workflow", "rubric"):
            if len(given[name]) > LONGEST_NAME:
                raise BadInput(f"{name} is longer than {LONGEST_NAME} characters.")
        _one_of("stream", given["stream"], [str(each) for each in Stream])
        _one_of("reason", given["reason"], list(REASONS))
        return cls(
            workflow=given["workflow"],
            rubric=given["rubric"],
            stream=given["stream"],
            reason=given["reason"],
            older_than_hours=_hours(given["older_than_hours"]),
        )


def knows_reasons(person: Person) -> bool:
    """Whether a person may tell by lists and filters what the judges said of items that nobody reviews blind any more."""
    return person.may(PersonRole.AUTHOR)


def wanted_by(filters: QueueFilter, now: datetime, *, hidden: bool) -> Wanted:
    """What a filter asks of the store; with `hidden` it tells nothing apart that is to be reviewed blind."""
    age = filters.older_than_hours
    wanted = Wanted(
        workflow=filters.workflow,
        rubric_id=filters.rubric,
        streams=(filters.stream,) if filters.stream else (),
        reasons=tuple(reasons_meant(filters.reason)) if filters.reason else (),
        entered_before=None if age is None else now - timedelta(hours=age),
    )
    if not hidden:
        return wanted
    if filters.stream in _ALIKE or (not filters.stream and filters.neutral.reason == POLICY):
        wanted = replace(wanted, streams=_ALIKE)
    return replace(wanted, reasons=()) if filters.neutral.reason == POLICY else wanted


_ALIKE = (str(Stream.AUDIT), str(Stream.TARGETED))
"""Streams that nobody who is to stay blind can tell apart."""


def _one_of(name: str, value: str, allowed: list[str]) -> None:
    if value and value not in allowed:
        raise BadInput(f"{name} is {value[:60]!r}; it takes {', '.join(allowed)}, or nothing.")


def _hours(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or not 0 < int(text[:9]) <= LONGEST_AGE_HOURS or len(text) > 9:
        raise BadInput(
            f"older_than_hours is {text[:60]!r}; it takes a whole number from 1 to {LONGEST_AGE_HOURS}, or nothing."
        )
    return int(text)
