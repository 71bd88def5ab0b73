"""Reviewing as JSON: the queue, one item as its reviewer may see it, and everything that can be done about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from evaluator.api.access import DeploymentHere, Exporting, Reviewing
from evaluator.api.answers import json_answer
from evaluator.api.cursors import page_cursor, page_number
from evaluator.api.problems import Problem
from evaluator.api.request_json import parse_json, read_limited, validated
from evaluator.api.review_answers import (
    EMPTY_WORDS,
    ClaimAnswer,
    NextAnswer,
    ReviewAnswer,
    Sheet,
    ShownClaim,
    ShownItem,
    ShownReview,
    Story,
    shown_claim,
    shown_item,
    shown_review,
    shown_sheet,
    shown_story,
)
from evaluator.deployment import Deployment
from evaluator.errors import BadInput, ClaimLost, NotFound
from evaluator.model.api_key import ApiKey
from evaluator.model.columns import utc_now
from evaluator.model.person import Person, PersonRole
from evaluator.model.review import ItemState, ReviewBatch, SlotKind, Stream
from evaluator.model.verdict import VerdictLabel
from evaluator.reviewing import hand_picking, review_desk, review_submission
from evaluator.reviewing.adjudication import mark_gold
from evaluator.reviewing.item_story import item_story, reveal
from evaluator.reviewing.queue_filter import QueueFilter
from evaluator.reviewing.reason_chips import chips_of
from evaluator.reviewing.review_desk import Claim, Empty
from evaluator.reviewing.review_export import ExportFilter, audited_lines
from evaluator.reviewing.review_form import Answer, ReviewForm
from evaluator.reviewing.review_lists import ListCount, QueueRow, list_items, tab_counts
from evaluator.reviewing.review_submission import Submitted
from evaluator.reviewing.review_undo import undo
from evaluator.reviewing.sheet_reading import sheet_of
from evaluator.rubric_format.rubric_problems import quoted
from evaluator.store.database import Connection
from evaluator.store.queue_rows import QueueTab
from evaluator.store.review_batches import batch_progress, find_batch
from evaluator.store.review_items import acts_of_batch, acts_of_item
from evaluator.store.reviews import reviews_of_batch
from evaluator.store.waiting_reviews import waiting_reasons

router = APIRouter(tags=["review"])

MOST_BYTES = 64 * 1024
"""Of a request's body: a review's note is by far the longest part of it."""

T = TypeVar("T", bound=BaseModel)

_REFUSED: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem},
    401: {"model": Problem},
    403: {"model": Problem, "description": "The key is no person's own, or their role does not allow this."},
}
_UNKNOWN: dict[int | str, dict[str, Any]] = {**_REFUSED, 404: {"model": Problem}}
_CONTESTED: dict[int | str, dict[str, Any]] = {
    **_UNKNOWN,
    409: {"model": Problem, "description": "Somebody else holds or settled it; the hint says what to do."},
}

_NOT_KEPT = {"cache-control": "no-store"}

ItemId = Annotated[
    str, Path(description="20 hex digits; the same event under the same rubric has the same for ever.")
]
FormKey = Annotated[
    str | None, Header(alias="Idempotency-Key", description="Stands for `form_key` where the body has none.")
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class QueueWish(_Body):
    """What is wanted of the queue; what is left out does not restrict."""

    workflow: str = ""
    rubric: str = Field(default="", description="A rubric's id.")
    stream: str = Field(
        default="", description="audit, targeted or picked; the first two are one on tabs of open items."
    )
    reason: str = Field(default="", description="policy stands for all that would tell what judges said.")
    older_than_hours: int | None = None

    @property
    def filters(self) -> QueueFilter:
        """The same as a filter; raises BadInput naming what is allowed."""
        names = ("workflow", "rubric", "stream", "reason", "older_than_hours")
        return QueueFilter.from_mapping({name: str(getattr(self, name) or "") for name in names})


class BatchRequest(QueueWish):
    """A number of items to be reviewed in one go."""

    size: int = Field(default=25, ge=1, le=review_desk.LARGEST_BATCH)


class NextRequest(QueueWish):
    """Which item to hold next."""

    batch_id: str | None = Field(default=None, description="Yours; its own filter holds then.")


class ClaimRequest(_Body):
    """How to hold an item."""

    batch_id: str | None = None
    kind: SlotKind | None = Field(
        default=None,
        description="Left out: what fits. second_opinion has to be named: it is for items that are done.",
    )


class TokenRequest(_Body):
    """Under which claim."""

    token: str = Field(description="Of the claim.")


class SkipRequest(TokenRequest):
    """An item that this person will not review in this round."""

    note: str = ""


class EscalateRequest(TokenRequest):
    """An item for an author to settle."""

    note: str = Field(description="Why; whoever settles it starts from that.")


class VerdictRequest(_Body):
    """One review."""

    token: str = Field(default="", description="Of the claim; a second opinion and a revision need none.")
    form_key: str = Field(
        default="", description="Yours to make; the same key is the same review, however often it is sent."
    )
    rubric_version: str = Field(description="The version answered: `rubric.version` of the sheet.")
    shown: str = Field(description="What was looked at: `shown` of the sheet. 409 where that has changed since.")
    answers: dict[str, str | int] = Field(
        default_factory=dict, description="Criterion id → `value` of one of its options."
    )
    verdict: VerdictLabel | None = Field(
        default=None, description="Left out: what the answers come to. Another one needs a note."
    )
    note: str = ""
    cannot_judge: str | None = Field(default=None, description="Why not; without answers and verdict then.")
    active_ms: int = Field(default=0, ge=0, description="Time with the item visible and its reviewer active.")

    def form(self, item_id: str, header: str | None) -> ReviewForm:
        """The same as a form; raises BadInput where no key came with it."""
        key = self.form_key or header or ""
        if not key:
            raise BadInput(
                "form_key: this field is required, or the header Idempotency-Key.",
                hint="Send `form_key` of the sheet, or a UUID of your own, and the same again with every retry.",
            )
        return ReviewForm(
            item_id=item_id,
            token=self.token,
            form_key=key,
            rubric_version=self.rubric_version,
            answers=tuple(Answer(name, str(value)) for name, value in self.answers.items()),
            verdict=self.verdict,
            note=self.note,
            cannot_judge=self.cannot_judge,
            active_ms=self.active_ms,
            shown=self.shown,
        )


class SubmitRequest(VerdictRequest):
    """A review, and what comes after it."""

    next: bool = Field(default=False, description="Whether to hold the next item in the same transaction.")
    batch_id: str | None = Field(default=None, description="Of which batch the next item is to be.")


class UndoRequest(_Body):
    """Which review to take back."""

    review_id: str


class PickRequest(_Body):
    """An event to be reviewed whether or not anything else asks for it."""

    event_id: str
    rubric: str = Field(description="The rubric's id.")
    note: str = ""


class GoldRequest(_Body):
    """Whether reviewers are to be measured by an item."""

    gold: bool


class Listed(BaseModel):
    """One row of the queue."""

    item: ShownItem
    hidden: bool = Field(description="Whether something of it is left out.")
    since: datetime = Field(description="Since when it waits; when it was settled, where it is done.")
    overdue: bool
    holder: str = Field(description="Who holds it just now; empty where nobody does.")
    is_mine: bool
    lease_until: datetime | None


class Count(BaseModel):
    """How many items there are, as far as they were counted."""

    number: int
    or_more: bool


class Queue(BaseModel):
    """A page of one tab of the queue."""

    items: list[Listed]
    count: Count = Field(description="Of all pages.")
    next: str | None = Field(description="Pass it as `after`; null at the end.")


class ReasonCount(BaseModel):
    """How many open items wait for a reason, in a stream."""

    reason: str
    stream: Stream
    open: int


class Counts(BaseModel):
    """How many items each tab has for you."""

    for_me: Count
    in_progress: Count
    escalated: Count
    disagreements: Count
    done: Count
    reasons: list[ReasonCount] | None = Field(
        description="Open items of everybody by true reason and stream, for authors; an item with several counts for each."
    )


class Batch(BaseModel):
    """A batch and how far it is."""

    batch_id: str
    size: int
    filters: dict[str, str]
    started_at: datetime
    ended_at: datetime | None
    answered: int = 0
    declined: int = Field(default=0, description="Items skipped or escalated.")
    reviews: list[ShownReview] = Field(default_factory=list, description="Oldest first.")
    skipped: list[str] = Field(default_factory=list, description="Item ids, skipped or escalated.")


class Renewed(BaseModel):
    """A claim that goes on."""

    lease_until: datetime


class Done(BaseModel):
    """It is as was asked."""

    done: bool
    repeated: bool = Field(description="It was so already.")


class UndoAnswer(BaseModel):
    """A review that was taken back; the item is yours again."""

    claim: ShownClaim
    sheet: Sheet


class GoldAnswer(BaseModel):
    """Whether reviewers are measured by the item now."""

    item_id: str
    gold: bool


async def body_of(request: Request) -> Any:
    """The JSON body; nothing at all counts as an empty object."""
    body = await read_limited(request, MOST_BYTES)
    return parse_json(body, request.headers) if body.strip() else {}


Body = Annotated[Any, Depends(body_of)]


def _takes(model: type[BaseModel], example: dict[str, Any], *, required: bool = True) -> dict[str, Any]:
    """The description of a body that is read by hand."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    content = {"application/json": {"schema": _inlined(model, schema), "example": example}}
    return {"requestBody": {"required": required, "content": content}}


def _inlined(model: type[BaseModel], schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with its definitions in their places: a body's schema has no components of its own."""
    definitions = model.model_json_schema().get("$defs", {})

    def put_in(value: Any) -> Any:
        if isinstance(value, dict):
            named = str(value.get("$ref", "")).rpartition("/")[2]
            return put_in(definitions[named]) if named in definitions else {k: put_in(v) for k, v in value.items()}
        return [put_in(one) for one in value] if isinstance(value, list) else value

    found: dict[str, Any] = put_in(schema)
    return found


def _wish(
    workflow: Annotated[str, Query(description="Only events of this workflow.")] = "",
    rubric: Annotated[str, Query(description="Only under this rubric.")] = "",
    stream: Annotated[
        str, Query(description="audit, targeted or picked; the first two are one on tabs of open items.")
    ] = "",
    reason: Annotated[
        str, Query(description="policy stands for all that would tell what judges said.", examples=["value_above"])
    ] = "",
    older_than_hours: Annotated[str, Query(description="Waiting at least so long.", examples=["24"])] = "",
) -> QueueFilter:
    named = {
        "workflow": workflow,
        "rubric": rubric,
        "stream": stream,
        "reason": reason,
        "older_than_hours": older_than_hours,
    }
    return QueueFilter.from_mapping(named)


Wish = Annotated[QueueFilter, Depends(_wish)]


@router.get("/v1/review/items", summary="The queue", responses={200: {"model": Queue}, **_REFUSED})
def read_queue(
    deployment: DeploymentHere,
    who: Reviewing,
    filters: Wish,
    tab: Annotated[QueueTab, Query(description="Which list.")] = QueueTab.FOR_ME,
    after: Annotated[str | None, Query(description="The `next` of the answer before.")] = None,
) -> Response:
    """25 items at most, as they stand in line; what is done, the last first. Of what you may still answer blind nothing
    tells what judges said, whatever your role."""
    number = page_number(after)
    found = list_items(deployment, who[1], tab, filters, number=number)
    answer = Queue(
        items=[_listed(row) for row in found.rows],
        count=_count(found.count),
        next=page_cursor(number + 1) if found.more else None,
    )
    return json_answer(answer, headers=_NOT_KEPT)


@router.get("/v1/review/counts", summary="How much waits", responses={200: {"model": Counts}, **_REFUSED})
def read_counts(deployment: DeploymentHere, who: Reviewing, filters: Wish) -> Response:
    """Per tab, each counted up to 1,000; for authors also why the open ones are here, whatever the filter."""
    person = who[1]
    found = tab_counts(deployment, person, filters)
    reasons = None
    if person.may(PersonRole.AUTHOR):
        with deployment.database.read() as connection:
            reasons = [
                ReasonCount(reason=one.reason, stream=Stream(one.stream), open=one.open)
                for one in waiting_reasons(connection)
            ]
    counts = {str(tab): _count(count) for tab, count in found.items()}
    return json_answer(Counts.model_validate({**counts, "reasons": reasons}))


@router.post(
    "/v1/review/batches",
    summary="Set out to review a number of items",
    status_code=201,
    responses={201: {"model": Batch}, **_REFUSED},
    openapi_extra=_takes(BatchRequest, {"size": 25, "workflow": "Support"}, required=False),
)
def begin(deployment: DeploymentHere, who: Reviewing, body: Body) -> Response:
    """A batch remembers its filter, and in which order its items came."""
    wanted = validated(BatchRequest, body)
    batch = review_desk.begin_batch(deployment, who[1], wanted.filters, wanted.size)
    return json_answer(_batch(batch), status=201)


@router.get(
    "/v1/review/batches/{batch_id}",
    summary="How far a batch is",
    responses={200: {"model": Batch}, **_UNKNOWN},
)
def read_batch(deployment: DeploymentHere, who: Reviewing, batch_id: str) -> Response:
    """Your own only."""
    with deployment.database.read() as connection:
        batch = _own_batch(connection, who[1], batch_id)
        progress = batch_progress(connection, batch)
        reviews = reviews_of_batch(connection, batch_id)
        acts = acts_of_batch(connection, batch_id)
    skipped = dict.fromkeys(one.item_id for one in acts if one.act in ("skipped", "escalated"))
    told = _batch(batch).model_copy(
        update={
            "answered": progress.answered,
            "declined": progress.declined,
            "reviews": [shown_review(one, who[1].person_id) for one in reviews],
            "skipped": list(skipped),
        }
    )
    return json_answer(told)


@router.post(
    "/v1/review/next",
    summary="Hold the next item",
    responses={200: {"model": NextAnswer}, **_UNKNOWN},
    openapi_extra=_takes(NextRequest, {"batch_id": "0f6c2a9be1d44f57"}, required=False),
)
def claim_the_next(deployment: DeploymentHere, who: Reviewing, body: Body) -> Response:
    """Nobody else is given it while you hold it. Asked again before you did anything about it, it is the same."""
    wanted = validated(NextRequest, body)
    found = review_desk.next_item(deployment, who[1], batch_id=wanted.batch_id, filters=wanted.filters)
    return json_answer(_next(deployment, who[1], found))


@router.get(
    "/v1/review/items/{item_id}",
    summary="One item as you may see it",
    responses={200: {"model": Sheet}, **_UNKNOWN},
)
def read_item(
    deployment: DeploymentHere,
    who: Reviewing,
    item_id: ItemId,
    batch_id: Annotated[str | None, Query(description="Yours, for your place in it.")] = None,
    capture: Annotated[bool, Query(description="true adds the captured content whole to each run.")] = False,
) -> Response:
    """Until you have answered a blind item nothing of what judges or others said is in it."""
    sheet = sheet_of(deployment, who[1], item_id, batch_id=batch_id)
    return json_answer(shown_sheet(sheet, who[1].person_id, capture=capture), headers=_NOT_KEPT)


@router.get(
    "/v1/review/items/{item_id}/story",
    summary="What happened to an item",
    responses={200: {"model": Story}, **_UNKNOWN},
)
def read_story(deployment: DeploymentHere, who: Reviewing, item_id: ItemId) -> Response:
    """Claims, reviews, verdicts and what else was done, oldest first; what is hidden from you is left out."""
    story = item_story(deployment, who[1], item_id)
    return json_answer(shown_story(story, who[1].person_id), headers=_NOT_KEPT)


@router.post(
    "/v1/review/items/{item_id}/reveal",
    summary="See what was said without having answered",
    responses={200: {"model": Sheet}, **_UNKNOWN},
)
def reveal_item(deployment: DeploymentHere, who: Reviewing, item_id: ItemId) -> Response:
    """For authors. It is recorded: a review of yours in this round is no longer blind."""
    sheet = reveal(deployment, who[1], item_id)
    return json_answer(shown_sheet(sheet, who[1].person_id), headers=_NOT_KEPT)


@router.post(
    "/v1/review/items/{item_id}/claim",
    summary="Hold this item",
    responses={200: {"model": ClaimAnswer}, **_CONTESTED},
    openapi_extra=_takes(ClaimRequest, {"kind": "second_opinion"}, required=False),
)
def claim(deployment: DeploymentHere, who: Reviewing, item_id: ItemId, body: Body) -> Response:
    """Your live claim where you have one. 409 names who holds it and how long."""
    wanted = validated(ClaimRequest, body)
    held = review_desk.claim_item(deployment, who[1], item_id, batch_id=wanted.batch_id, kind=wanted.kind)
    return json_answer(_claimed(deployment, who[1], held), headers=_NOT_KEPT)


@router.post(
    "/v1/review/items/{item_id}/renew",
    summary="Hold on to an item",
    responses={200: {"model": Renewed}, **_CONTESTED},
    openapi_extra=_takes(TokenRequest, {"token": "q1Zs0y…"}),
)
def renew(deployment: DeploymentHere, who: Reviewing, item_id: ItemId, body: Body) -> Response:
    """For another lease from now."""
    wanted = validated(TokenRequest, body)
    with _what_to_do(item_id):
        until = review_desk.renew(deployment, who[1], item_id, wanted.token)
    return json_answer(Renewed(lease_until=until))


@router.post(
    "/v1/review/items/{item_id}/release",
    summary="Let an item go",
    responses={200: {"model": Done}, **_CONTESTED},
    openapi_extra=_takes(TokenRequest, {"token": "q1Zs0y…"}),
)
def release(deployment: DeploymentHere, who: Reviewing, item_id: ItemId, body: Body) -> Response:
    """It may come to you again."""
    wanted = validated(TokenRequest, body)
    return _once(
        deployment,
        who[1],
        item_id,
        "released",
        lambda: review_desk.release(deployment, who[1], item_id, wanted.token),
    )


@router.post(
    "/v1/review/items/{item_id}/skip",
    summary="Skip an item",
    responses={200: {"model": Done}, **_CONTESTED},
    openapi_extra=_takes(SkipRequest, {"token": "q1Zs0y…", "note": "I know this customer."}),
)
def skip(deployment: DeploymentHere, who: Reviewing, item_id: ItemId, body: Body) -> Response:
    """It is not offered to you again in this round."""
    wanted = validated(SkipRequest, body)
    return _once(
        deployment,
        who[1],
        item_id,
        "skipped",
        lambda: review_desk.skip(deployment, who[1], item_id, wanted.token, wanted.note),
    )


@router.post(
    "/v1/review/items/{item_id}/escalate",
    summary="Pass an item on to an author",
    responses={200: {"model": Done}, **_CONTESTED},
    openapi_extra=_takes(EscalateRequest, {"token": "q1Zs0y…", "note": "The contract is not among the sources."}),
)
def escalate(deployment: DeploymentHere, who: Reviewing, item_id: ItemId, body: Body) -> Response:
    """With why; it is offered to nobody else until an author settled it."""
    wanted = validated(EscalateRequest, body)
    return _once(
        deployment,
        who[1],
        item_id,
        "escalated",
        lambda: review_desk.escalate(deployment, who[1], item_id, wanted.token, wanted.note),
    )


_EXAMPLE = {
    "token": "q1Zs0y…",
    "form_key": "0b7c9f52-6f0e-4c0b-9a53-5d1f0c6f1f7e",
    "rubric_version": "5f0c…",
    "shown": "8c1f2e90ab34-77d0c1e2f3a4",
    "answers": {"solves": "fail", "tone": 4},
    "active_ms": 21500,
}


@router.post(
    "/v1/review/items/{item_id}/verdict",
    summary="Give your verdict",
    responses={200: {"model": ReviewAnswer}, **_CONTESTED},
    openapi_extra=_takes(SubmitRequest, {**_EXAMPLE, "next": True}),
)
def give_verdict(
    deployment: DeploymentHere, who: Reviewing, item_id: ItemId, body: Body, key: FormKey = None
) -> Response:
    """Under a live claim: a first pass, a gold answer or the settlement of a disagreement, by the claim's kind.

    Sent again under the same form key it is the same review. After 409 the same body is good for second-opinion.
    """
    wanted = validated(SubmitRequest, body)
    form = wanted.form(item_id, key)
    person = who[1]

    def act(connection: Connection) -> tuple[Submitted, Claim | Empty | None]:
        now = utc_now()
        batch = _own_batch(connection, person, wanted.batch_id) if wanted.batch_id else None
        submitted = review_submission.submit_in(connection, deployment, person, form, now)
        following: Claim | Empty | None = None
        if wanted.next:
            following = review_desk.claim_next(
                connection, deployment, person, now, batch=batch, filters=QueueFilter()
            )
        return submitted, following

    with _what_to_do(item_id):
        submitted, following = deployment.database.transact(act)
    told = _reviewed(submitted, person)
    if following is not None:
        told = told.model_copy(update={"next": _next(deployment, person, following)})
    return json_answer(told, headers=_NOT_KEPT)


@router.post(
    "/v1/review/items/{item_id}/second-opinion",
    summary="Give a second opinion",
    responses={200: {"model": ReviewAnswer}, **_CONTESTED},
    openapi_extra=_takes(VerdictRequest, _EXAMPLE),
)
def give_second_opinion(
    deployment: DeploymentHere, who: Reviewing, item_id: ItemId, body: Body, key: FormKey = None
) -> Response:
    """On an item that somebody else settled while you had it open, or that is done: nothing you wrote is lost."""
    form = validated(VerdictRequest, body).form(item_id, key)
    return json_answer(
        _reviewed(review_submission.second_opinion(deployment, who[1], form), who[1]), headers=_NOT_KEPT
    )


@router.post(
    "/v1/review/items/{item_id}/revise",
    summary="Change your verdict after the reveal",
    responses={200: {"model": ReviewAnswer}, **_CONTESTED},
    openapi_extra=_takes(VerdictRequest, _EXAMPLE),
)
def revise(
    deployment: DeploymentHere, who: Reviewing, item_id: ItemId, body: Body, key: FormKey = None
) -> Response:
    """What you say now counts; agreement with judges goes on counting your first pass."""
    form = validated(VerdictRequest, body).form(item_id, key)
    return json_answer(_reviewed(review_submission.revise(deployment, who[1], form), who[1]), headers=_NOT_KEPT)


@router.post(
    "/v1/review/items/{item_id}/undo",
    summary="Take a review of yours back",
    responses={200: {"model": UndoAnswer}, **_CONTESTED},
    openapi_extra=_takes(UndoRequest, {"review_id": "f3a1…"}),
)
def take_back(deployment: DeploymentHere, who: Reviewing, item_id: ItemId, body: Body) -> Response:
    """The item is yours again; the review stays in its story as taken back."""
    wanted = validated(UndoRequest, body)
    held = undo(deployment, who[1], wanted.review_id)
    return json_answer(_claimed(deployment, who[1], held), headers=_NOT_KEPT)


@router.post(
    "/v1/review/items",
    summary="Pick an event by hand",
    status_code=201,
    responses={201: {"model": Sheet}, **_UNKNOWN},
    openapi_extra=_takes(PickRequest, {"event_id": "ticket-8213", "rubric": "support-resolution", "note": "VIP"}),
)
def pick(deployment: DeploymentHere, who: Reviewing, body: Body) -> Response:
    """For authors: into the queue, whether or not anything else asks for it; as a new round where it was done."""
    wanted = validated(PickRequest, body)
    item = hand_picking.pick(deployment, who[1], wanted.event_id, wanted.rubric, wanted.note)
    sheet = sheet_of(deployment, who[1], item.item_id)
    return json_answer(shown_sheet(sheet, who[1].person_id), status=201, headers=_NOT_KEPT)


@router.post(
    "/v1/review/items/{item_id}/gold",
    summary="Measure reviewers by an item",
    responses={200: {"model": GoldAnswer}, **_CONTESTED},
    openapi_extra=_takes(GoldRequest, {"gold": True}),
)
def set_gold(deployment: DeploymentHere, who: Reviewing, item_id: ItemId, body: Body) -> Response:
    """For authors, of items that are done; gold=false takes the mark away."""
    wanted = validated(GoldRequest, body)
    mark_gold(deployment, who[1], item_id, wanted.gold)
    return json_answer(GoldAnswer(item_id=item_id, gold=wanted.gold))


RubricQuery = Annotated[str | None, Query(description="Only under this rubric.")]
WorkflowQuery = Annotated[str | None, Query(description="Only events of this workflow.")]
Since = Annotated[AwareDatetime | None, Query(description="Given at this time or later (RFC 3339).")]
Until = Annotated[AwareDatetime | None, Query(description="Given before this time (RFC 3339).")]


@router.get(
    "/v1/review/verdicts.csv",
    summary="People's verdicts as CSV",
    responses={200: {"content": {"text/csv": {}}}, **_REFUSED},
    response_class=Response,
)
def export_csv(
    deployment: DeploymentHere,
    who: Exporting,
    rubric: RubricQuery = None,
    workflow: WorkflowQuery = None,
    since: Since = None,
    until: Until = None,
) -> Response:
    """One line for each review, oldest first, with what judges had said then. No cell is read as a formula."""
    lines = _lines(deployment, ExportFilter(rubric, workflow, since, until), "csv", who)
    return StreamingResponse(lines, headers=_file("csv"), media_type="text/csv; charset=utf-8")


@router.get(
    "/v1/review/verdicts.jsonl",
    summary="People's verdicts as JSON lines",
    responses={200: {"content": {"application/x-ndjson": {}}}, **_REFUSED},
    response_class=Response,
)
def export_json_lines(
    deployment: DeploymentHere,
    who: Exporting,
    rubric: RubricQuery = None,
    workflow: WorkflowQuery = None,
    since: Since = None,
    until: Until = None,
) -> Response:
    """The same as the CSV, one object a line, answers to criteria as a list."""
    lines = _lines(deployment, ExportFilter(rubric, workflow, since, until), "jsonl", who)
    return StreamingResponse(lines, headers=_file("jsonl"), media_type="application/x-ndjson")


def _lines(
    deployment: Deployment, wanted: ExportFilter, form: str, who: tuple[ApiKey, Person | None]
) -> Iterator[bytes]:
    """The export; without what a person, with a key of theirs, may still answer blind."""
    key, person = who
    actor = f"{key.name} ({key.hint}…)" if person is None else person.login
    wanted = replace(wanted, reader=person.person_id if person else "")
    return audited_lines(deployment, wanted, form, actor=actor)


def _file(ending: str) -> dict[str, str]:
    return {**_NOT_KEPT, "content-disposition": f'attachment; filename="verdicts.{ending}"'}


def _listed(row: QueueRow) -> Listed:
    return Listed(
        item=shown_item(row.item, chips_of(row.item, hidden=row.hidden), hidden=row.hidden),
        hidden=row.hidden,
        since=row.since,
        overdue=row.overdue,
        holder=row.holder,
        is_mine=row.is_mine,
        lease_until=row.lease_until,
    )


def _count(found: ListCount) -> Count:
    return Count(number=found.number, or_more=found.or_more)


def _batch(batch: ReviewBatch) -> Batch:
    return Batch(
        batch_id=batch.batch_id,
        size=batch.size,
        filters=batch.filters,
        started_at=batch.started_at,
        ended_at=batch.ended_at,
    )


def _own_batch(connection: Connection, person: Person, batch_id: str) -> ReviewBatch:
    batch = find_batch(connection, batch_id)
    if batch is None or batch.person_id != person.person_id:
        raise NotFound(f"You have no batch {quoted(batch_id)}.", hint="POST /v1/review/batches begins one.")
    return batch


def _next(deployment: Deployment, person: Person, found: Claim | Empty) -> NextAnswer:
    if isinstance(found, Empty):
        return NextAnswer(claim=None, sheet=None, empty=found, message=EMPTY_WORDS[found])
    held = _claimed(deployment, person, found)
    return NextAnswer(claim=held.claim, sheet=held.sheet, empty=None, message="")


def _claimed(deployment: Deployment, person: Person, held: Claim) -> ClaimAnswer:
    sheet = sheet_of(deployment, person, held.item_id, batch_id=held.batch_id)
    return ClaimAnswer(claim=shown_claim(held), sheet=shown_sheet(sheet, person.person_id))


def _reviewed(submitted: Submitted, person: Person) -> ReviewAnswer:
    return ReviewAnswer(
        review=shown_review(submitted.review, person.person_id),
        state=ItemState(submitted.state),
        repeated=submitted.repeated,
    )


@contextmanager
def _what_to_do(item_id: str) -> Iterator[None]:
    """Tell with a lost claim what a program does next."""
    try:
        yield
    except ClaimLost as lost:
        raise ClaimLost(
            lost.message,
            hint=f"POST /v1/review/items/{item_id}/second-opinion takes the same body; "
            f"POST /v1/review/items/{item_id}/claim holds the item again where it is free; "
            "POST /v1/review/next goes on.",
        ) from None


def _once(deployment: Deployment, person: Person, item_id: str, act: str, do: Callable[[], None]) -> Response:
    """Do what lets go of a claim; where that was this person's last act on the item, it was done already."""
    try:
        with _what_to_do(item_id):
            do()
    except ClaimLost:
        with deployment.database.read() as connection:
            mine = [one for one in acts_of_item(connection, item_id) if one.person_id == person.person_id]
        if not mine or mine[-1].act != act:
            raise
        return json_answer(Done(done=True, repeated=True))
    return json_answer(Done(done=True, repeated=False))
