"""/audit: who did what to what, when; also as CSV. For admins."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from evaluator.deployment import Deployment
from evaluator.model.api_key import AuditEntry
from evaluator.model.person import PersonRole
from evaluator.plain_json import json_bytes
from evaluator.store.api_keys import audit_trail, audited_acts
from review_ui.guard import PAGE_HEADERS, needs
from review_ui.presentation import page
from review_ui.visitor import Visitor

router = APIRouter(include_in_schema=False)

Admin = Annotated[Visitor, Depends(needs(PersonRole.ADMIN))]

A_PAGE = 50
MOST_IN_CSV = 100_000
_BEGINS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class AuditFilter:
    """Which entries are wanted; empty: all."""

    actor: str = ""
    act: str = ""
    subject: str = ""

    def query(self, **more: object) -> str:
        """The filter as a query string, with what is added."""
        given = {"actor": self.actor, "act": self.act, "subject": self.subject, **more}
        return urlencode({name: value for name, value in given.items() if value not in ("", None)})


@dataclass(frozen=True)
class AuditPage:
    """What the template shows."""

    entries: tuple[tuple[AuditEntry, str], ...]
    """Each with its detail in words."""
    wanted: AuditFilter
    acts: tuple[str, ...]
    older: str
    newest: str
    """Paths; empty where there is nothing to go to."""
    csv: str


def filter_of(
    actor: Annotated[str, Query(max_length=300)] = "",
    act: Annotated[str, Query(max_length=100)] = "",
    subject: Annotated[str, Query(max_length=300)] = "",
) -> AuditFilter:
    return AuditFilter(actor.strip(), act.strip(), subject.strip())


FilterHere = Annotated[AuditFilter, Depends(filter_of)]


@router.get("/audit")
def show_audit(
    request: Request,
    visitor: Admin,
    wanted: FilterHere,
    before: Annotated[int | None, Query(ge=1, le=2**62, description="Only entries earlier than this one.")] = None,
) -> Response:
    """A page of entries, newest first."""
    deployment: Deployment = request.app.state.deployment
    with deployment.database.read() as connection:
        entries = audit_trail(
            connection, limit=A_PAGE + 1, actor=wanted.actor, act=wanted.act, subject=wanted.subject, before=before
        )
        acts = audited_acts(connection)
    shown = entries[:A_PAGE]
    context = AuditPage(
        entries=tuple((entry, in_words(entry)) for entry in shown),
        wanted=wanted,
        acts=tuple(acts),
        older=f"/audit?{wanted.query(before=shown[-1].audit_id)}" if len(entries) > A_PAGE else "",
        newest=f"/audit?{wanted.query()}" if before else "",
        csv=f"/audit.csv?{wanted.query()}",
    )
    return page("audit.html", context, visitor=visitor)


def in_words(entry: AuditEntry) -> str:
    """An entry's detail: `role reviewer, name Ada`."""
    return ", ".join(
        f"{name.replace('_', ' ')} {value if isinstance(value, str) else json_bytes(value).decode()}"
        for name, value in entry.detail.items()
    )


@router.get("/audit.csv")
def download_audit(request: Request, _visitor: Admin, wanted: FilterHere) -> Response:
    """The entries of exactly this filter as CSV, newest first."""
    deployment: Deployment = request.app.state.deployment
    with deployment.database.read() as connection:
        entries = audit_trail(
            connection, limit=MOST_IN_CSV, actor=wanted.actor, act=wanted.act, subject=wanted.subject
        )
    headers = {**PAGE_HEADERS, "content-disposition": 'attachment; filename="audit.csv"'}
    return Response(as_csv(entries), headers=headers, media_type="text/csv; charset=utf-8")


def as_csv(entries: Iterable[AuditEntry]) -> str:
    """CSV after RFC 4180; what a spreadsheet would take for a formula begins with an apostrophe."""
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow(("at", "actor", "act", "subject", "detail"))
    for entry in entries:
        detail = json_bytes(entry.detail).decode() if entry.detail else ""
        cells = (entry.at.isoformat(), entry.actor, entry.act, entry.subject, detail)
        lines.writerow([f"'{cell}" if cell.startswith(_BEGINS_A_FORMULA) else cell for cell in cells])
    return text.getvalue()
