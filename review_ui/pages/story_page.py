"""GET /review/{item}/story: everything that happened to an item, in order; what would tell stays hidden until answered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from evaluator.deployment import Deployment
from evaluator.model.person import PersonRole
from evaluator.model.review import ItemState, Review, ReviewItem, ReviewKind, Stream
from evaluator.model.rubric import Rubric
from evaluator.model.verdict import CriterionVerdict
from evaluator.reviewing.adjudication import mark_gold
from evaluator.reviewing.item_story import JUDGED, ItemStory, StoryLine, item_story, reveal
from evaluator.reviewing.reason_chips import WORDS
from evaluator.reviewing.review_sheet import Chip
from evaluator.reviewing.sheet_mode import REVEALED
from evaluator.store.judges_heard import Heard
from review_ui.forms import FormHere
from review_ui.guard import needs, same_origin
from review_ui.presentation import page
from review_ui.review_words import STATE, STREAM, Said, answer_said, review_said, said, time_spent
from review_ui.rubric_words import short
from review_ui.visitor import Visitor

router = APIRouter(include_in_schema=False, dependencies=[Depends(same_origin)])

Reviewer = Annotated[Visitor, Depends(needs(PersonRole.REVIEWER))]
Author = Annotated[Visitor, Depends(needs(PersonRole.AUTHOR))]

_ACTS = {
    "entered": ("in", "put it in the queue"),
    "reopened": ("back", "opened it again"),
    "withdrawn": ("out", "took it out of the queue: nothing asks for it any more"),
    "picked": ("in", "picked it by hand"),
    "claimed": ("person", "claimed it"),
    "released": ("out", "gave it back"),
    "expired": ("clock", "lost the claim: its lease ran out"),
    "skipped": ("skip", "skipped it"),
    "escalated": ("up", "passed it on to an author"),
    REVEALED: ("eye", "looked at what judges said without having answered"),
    "marked_gold": ("star", "marked it as a gold item"),
    "unmarked_gold": ("star", "took the gold mark away"),
}
_KINDS = {
    ReviewKind.FIRST_PASS: ("check", "said"),
    ReviewKind.REVISED: ("check", "changed their verdict to"),
    ReviewKind.SECOND_OPINION: ("check", "gave a second opinion:"),
    ReviewKind.GOLD: ("star", "answered it as a gold item:"),
    ReviewKind.ADJUDICATION: ("scales", "settled it:"),
    ReviewKind.RETRACTION: ("back", "took their review back"),
}
_WHO = {"judge": "The judge", "policy": "The review policy", "lease": "The lease", "": "Adjudge"}


@dataclass(frozen=True)
class Answered:
    """One criterion's answer within an entry."""

    criterion: str
    said: Said


@dataclass(frozen=True)
class Entry:
    """One thing that happened."""

    at: datetime
    who: str
    did: str
    icon: str
    kind: str
    """act, or said where it holds a verdict."""
    said: Said | None = None
    facts: tuple[str, ...] = ()
    answers: tuple[Answered, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class StoryPage:
    """What the template shows."""

    item: ReviewItem
    rubric: str
    state: str
    chips: tuple[Chip, ...]
    hidden: bool
    asks: bool
    """Whether the person may have it revealed."""
    entries: tuple[Entry, ...]
    may_mark: bool
    """Whether the person may say that the verdict is settled beyond doubt, or no longer."""


@router.get("/review/{item_id}/story")
def show_story(request: Request, item_id: str, visitor: Reviewer) -> HTMLResponse:
    """The item's story as this person may see it; raises NotFound."""
    deployment: Deployment = request.app.state.deployment
    person = visitor.signed_in
    story = item_story(deployment, person, item_id)
    rubric = deployment.rubric_versions({story.item.rubric_version}).get(story.item.rubric_version)
    is_author = person.may(PersonRole.AUTHOR)
    context = StoryPage(
        item=story.item,
        rubric=rubric.title if rubric else story.item.rubric_id,
        state=state_in_words(story.item, hidden=story.hidden),
        chips=story.chips,
        hidden=story.hidden,
        asks=story.hidden and is_author,
        entries=tuple(entry_of(one, rubric, may_know_streams=is_author) for one in story.lines),
        may_mark=is_author and not story.hidden and (story.item.gold or _has_verdict(story)),
    )
    return page("story.html", context, visitor=visitor)


@router.post("/review/{item_id}/story")
def open_story(request: Request, item_id: str, visitor: Reviewer) -> RedirectResponse:
    """Reveal what was said to an author who has not answered: recorded, so that their review is no longer blind."""
    deployment: Deployment = request.app.state.deployment
    reveal(deployment, visitor.signed_in, item_id)
    return RedirectResponse(f"/review/{item_id}/story", 303)


@router.post("/review/{item_id}/gold")
def take_gold(request: Request, item_id: str, visitor: Author, form: FormHere) -> RedirectResponse:
    """Mark a done item as gold, or no longer; raises Conflict for one that has no verdict of people."""
    deployment: Deployment = request.app.state.deployment
    mark_gold(deployment, visitor.signed_in, item_id, form.get("gold") == "yes")
    return RedirectResponse(f"/review/{item_id}/story", 303)


def _has_verdict(story: ItemStory) -> bool:
    given = (one.review for one in story.lines)
    return story.item.state == ItemState.DONE and any(each and each.counts and each.verdict for each in given)


def state_in_words(item: ReviewItem, *, hidden: bool) -> str:
    """Where the item is; that reviewers disagree tells what was said."""
    state = ItemState(item.state)
    return "waits for an author" if hidden and state is ItemState.AWAITING_RESOLUTION else STATE[state]


def entry_of(line: StoryLine, rubric: Rubric | None, *, may_know_streams: bool) -> Entry:
    """One line of a story in words; streams are for authors alone."""
    if line.review is not None:
        return _of_review(line.review, rubric, may_know_streams=may_know_streams)
    if line.judge is not None:
        return _of_judge(line.judge, rubric)
    icon, did = _ACTS.get(line.act, ("in", line.act.replace("_", " ")))
    return Entry(
        at=line.at,
        who=_WHO.get(line.who, line.who),
        did=did,
        icon=icon,
        kind="act",
        facts=tuple(_facts(line.detail, may_know_streams)),
        note=str(line.detail.get("note", "")),
    )


def _facts(detail: dict[str, Any], may_know_streams: bool) -> Iterator[str]:
    for name, value in detail.items():
        if (
            name in ("note", "slot")
            or (name, value) == ("kind", "review")
            or value in ("", None, [], {})
            or isinstance(value, dict)
        ):
            continue
        if name in ("reasons", "reason"):
            reasons = value if isinstance(value, list) else [value]
            yield ", ".join(WORDS.get(str(one), str(one).replace("_", " ")) for one in reasons)
        elif name == "stream":
            yield from (STREAM[Stream(value)],) if may_know_streams and value in set(Stream) else ()
        elif name == "kind":
            yield f"for {str(value).replace('_', ' ')}"
        elif name != "probability" or may_know_streams:
            words = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            yield f"{name.replace('_', ' ')} {words}"


def _of_review(review: Review, rubric: Rubric | None, *, may_know_streams: bool) -> Entry:
    icon, did = _KINDS[ReviewKind(review.kind)]
    if review.kind == ReviewKind.RETRACTION:
        return Entry(review.created_at, review.reviewer, did, icon, "act", note=review.note)
    answers = [CriterionVerdict.model_validate(one) for one in review.criteria]
    return Entry(
        at=review.created_at,
        who=review.reviewer,
        did=did,
        icon=icon,
        kind="said",
        said=review_said(review),
        facts=tuple(_review_facts(review, may_know_streams)),
        answers=tuple(Answered(one.id, answer_said(one, rubric)) for one in answers),
        note="\n".join(filter(None, (review.cannot_judge, review.note))),
    )


def _review_facts(review: Review, may_know_streams: bool) -> Iterator[str]:
    yield "blind" if review.blind else "not blind"
    if review.seen_judge:
        yield "had seen the judge’s verdict"
    if review.agrees is not None:
        yield "agrees with the judge" if review.agrees else "overrules the judge"
    if review.proposed is not None and review.verdict is not None and review.proposed != review.verdict:
        yield f"the answers come to {review.proposed}"
    if review.active_ms >= 1000:
        yield f"{time_spent(review.active_ms)} on it"
    yield f"version {short(review.rubric_version)}"
    if may_know_streams:
        yield STREAM[Stream(review.stream)]
    if not review.counts:
        yield "no longer counts" if review.kind != ReviewKind.GOLD else "never counts"


def _of_judge(heard: Heard, rubric: Rubric | None) -> Entry:
    facts = [f"run {heard.run_id}", f"version {short(heard.rubric_version)}"]
    facts += ["as the stronger judge"] if heard.escalated else []
    facts += [f"sample {heard.repeat + 1}"] if heard.repeat else []
    facts += [flag.replace("_", " ") for flag in heard.flags]
    if heard.verdict is None:
        reason = str(heard.reason or "no reason kept").replace("_", " ")
        return Entry(heard.at, heard.judge, f"came to no verdict: {reason}", "scales", "act", facts=tuple(facts))
    return Entry(
        at=heard.at,
        who=heard.judge,
        did=JUDGED,
        icon="scales",
        kind="said",
        said=said(heard.verdict, heard.score),
        facts=tuple(facts),
        answers=tuple(Answered(one.id, answer_said(one, rubric)) for one in heard.criteria),
        note=heard.summary,
    )
