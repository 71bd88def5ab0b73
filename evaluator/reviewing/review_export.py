"""Verdicts of people as CSV and JSON lines, each with all that a statistic has to know of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from evaluator.deployment import Deployment
from evaluator.plain_json import decimal_text, json_bytes
from evaluator.store.api_keys import audit
from evaluator.store.review_claims import Wanted
from evaluator.store.reviews_told import ToldReview, reviews_told

COLUMNS = (
    "review_id",
    "item_id",
    "event_id",
    "run_id",
    "workflow",
    "rubric_id",
    "rubric_version",
    "stream",
    "probability",
    "round",
    "kind",
    "counts",
    "retracted",
    "blind",
    "seen_judge",
    "verdict",
    "proposed",
    "cannot_judge",
    "criteria",
    "note",
    "judge_verdict",
    "judge_score",
    "rollup_revision",
    "agrees",
    "reviewer",
    "person_id",
    "batch_id",
    "active_ms",
    "elapsed_ms",
    "cost_usd",
    "created_at",
)
"""In a CSV's order, and the names in JSON lines."""

_STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_PIECE = 200


@dataclass(frozen=True)
class ExportFilter:
    """Which reviews are told; None does not restrict."""

    rubric_id: str | None = None
    workflow: str | None = None
    since: datetime | None = None
    """Given at this time or later."""
    until: datetime | None = None
    """Given before this time."""
    streams: tuple[str, ...] = ()
    """Given in one of these."""
    of_items: Wanted = field(default_factory=Wanted)
    """Of items that a list with this filter shows."""
    reader: str = ""
    """The person who reads it: without what others and judges said of items that they may still answer blind."""

    @property
    def told(self) -> dict[str, str]:
        """What restricts it, as the audit log keeps it."""
        given = {
            "rubric": self.rubric_id or self.of_items.rubric_id,
            "workflow": self.workflow or self.of_items.workflow,
            "since": self.since and self.since.isoformat(),
            "until": self.until and self.until.isoformat(),
            "streams": ", ".join(self.streams),
            "reasons": ", ".join(self.of_items.reasons),
        }
        return {name: text for name, text in given.items() if text}


def audited_lines(deployment: Deployment, wanted: ExportFilter, form: str, *, actor: str) -> Iterator[bytes]:
    """An export as `csv` or `jsonl`, once the audit log says who took it and of what."""
    detail = {"format": form, **wanted.told}
    deployment.database.transact(
        lambda connection: audit(
            connection, actor=actor, act="export_reviews", subject="verdicts of people", detail=detail
        )
    )
    return (csv_lines if form == "csv" else json_lines)(deployment, wanted)


def json_lines(deployment: Deployment, wanted: ExportFilter) -> Iterator[bytes]:
    """One JSON object a line, oldest review first, in pieces of some lines."""
    for piece in _pieces(_records(deployment, wanted)):
        yield b"".join(json_bytes(record) + b"\n" for record in piece)


def csv_lines(deployment: Deployment, wanted: ExportFilter) -> Iterator[bytes]:
    """RFC 4180 CSV in UTF-8 with a head line, in pieces of some lines; no cell is read as a formula by a spreadsheet."""
    yield _csv([COLUMNS])
    for piece in _pieces(_records(deployment, wanted)):
        yield _csv([tuple(cell(record[name]) for name in COLUMNS) for record in piece])


def cell(value: Any) -> str:
    """A value as a CSV cell: nothing for None, criteria as `solves=fail; tone=4`; a text that looks like a formula is
    told with an apostrophe before it."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case list():
            return "; ".join(f"{one['id']}={_answer(one)}" for one in value)
        case int() | float():
            return repr(value)
        case _:
            text = str(value)
            return f"'{text}" if text.startswith(_STARTS_A_FORMULA) else text


def _answer(told: dict[str, Any]) -> str:
    level = told.get("level")
    return str(told["verdict"]) if level is None else f"{level:g}"


def _records(deployment: Deployment, wanted: ExportFilter) -> Iterator[dict[str, Any]]:
    with deployment.database.read() as connection:
        for told in reviews_told(
            connection,
            rubric_id=wanted.rubric_id,
            workflow=wanted.workflow,
            since=wanted.since,
            until=wanted.until,
            streams=wanted.streams,
            of_items=wanted.of_items,
            reader=wanted.reader,
        ):
            yield _record(told)


def _record(told: ToldReview) -> dict[str, Any]:
    review = told.review
    record: dict[str, Any] = {
        **{name: getattr(review, name) for name in COLUMNS if name in type(review).model_fields},
        "workflow": told.workflow,
        "retracted": told.retracted,
        "cost_usd": None if review.cost_usd is None else decimal_text(review.cost_usd),
        "criteria": [
            {name: one.get(name) for name in ("id", "verdict", "level", "decided_by")} for one in review.criteria
        ],
    }
    return {name: record[name] for name in COLUMNS}


def _pieces(records: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    piece: list[dict[str, Any]] = []
    for record in records:
        piece.append(record)
        if len(piece) == _PIECE:
            yield piece
            piece = []
    if piece:
        yield piece


def _csv(rows: Iterable[tuple[str, ...]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode("utf-8", "replace")
