"""Putting events into the queue by hand, whether or not anything else asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from evaluator.deployment import Deployment
from evaluator.errors import BadInput, NotFound, WrongRole
from evaluator.model.columns import utc_now
from evaluator.model.person import Person, PersonRole
from evaluator.model.review import ItemState, ReviewItem, Stream, item_id_of
from evaluator.model.rollup import Rollup
from evaluator.model.rubric import Rubric
from evaluator.model.run import Run
from evaluator.review_intake import currency_in, value_in
from evaluator.review_priority import head_start
from evaluator.reviewing.review_form import LONGEST_NOTE, storable
from evaluator.rubric_format.rubric_problems import quoted
from evaluator.store.api_keys import audit
from evaluator.store.database import Connection
from evaluator.store.outcomes import current_rollups
from evaluator.store.review_claims import open_slots
from evaluator.store.review_items import WAITING, add_act, add_items, find_item, lock_item, reopen_item, set_state
from evaluator.store.reviews import end_rounds_before
from evaluator.store.rubric_versions import load_versions, store_version
from evaluator.store.runs import lock_events, runs_of_events

MOST_EVENTS = 500
"""Events picked in one go."""
PICKED = "picked"
"""Reason and act of an item that somebody chose."""
_AT_ONCE = 50
"""Events that one transaction takes: a long one would hold up what comes in."""


@dataclass(frozen=True)
class NotPicked:
    """An event that could not be put into the queue, and why."""

    event_id: str
    why: str


@dataclass(frozen=True)
class Picked:
    """What became of a list of events, each in the order given."""

    items: tuple[ReviewItem, ...] = ()
    failed: tuple[NotPicked, ...] = ()


@dataclass(frozen=True)
class Picker:
    """Who picks: a person, or the operator of the command line."""

    name: str
    """As the audit log keeps it."""
    person: Person | None = None


def pick(deployment: Deployment, person: Person, event_id: str, rubric_id: str, note: str = "") -> ReviewItem:
    """Put an event into the queue under a rubric; the item as it then is.

    It needs a run, though neither a verdict nor a sample. An item that waits already gains the reason and the note;
    one that is done or withdrawn is opened again as its next round. Raises WrongRole, NotFound, and BadInput where the
    rubric is for other workflows.
    """
    picker = picker_of(person)
    return deployment.database.transact(
        lambda connection: _pick(connection, deployment, picker, event_id, rubric_id, _note(note), utc_now())
    )


def picker_of(person: Person) -> Picker:
    """The person as one who picks; raises WrongRole unless they are an author."""
    if not person.may(PersonRole.AUTHOR):
        raise WrongRole(
            f"Picking items by hand needs the role author; yours is {person.role}.",
            hint="Ask an author to add the event.",
        )
    return Picker(person.login, person)


def pick_all(
    deployment: Deployment, picker: Picker, event_ids: Sequence[str], rubric_id: str, note: str = ""
) -> Picked:
    """Put many events into the queue; what is wrong with one keeps none of the others out.

    Raises BadInput for none, or more than MOST_EVENTS.
    """
    wanted = list(dict.fromkeys(filter(None, (storable(one).strip() for one in event_ids))))
    if not wanted or len(wanted) > MOST_EVENTS:
        raise BadInput(f"{len(wanted):,} events are given; from 1 to {MOST_EVENTS} are taken at once.")
    told = _note(note)
    found: list[ReviewItem] = []
    failed: list[NotPicked] = []
    for start in range(0, len(wanted), _AT_ONCE):
        some = wanted[start : start + _AT_ONCE]

        def act(connection: Connection, some: Sequence[str] = some) -> Picked:
            return _pick_some(connection, deployment, picker, some, rubric_id, told)

        done = deployment.database.transact(act)
        found += done.items
        failed += done.failed
    return Picked(tuple(found), tuple(failed))


def _pick_some(
    connection: Connection,
    deployment: Deployment,
    picker: Picker,
    event_ids: Sequence[str],
    rubric_id: str,
    note: str,
) -> Picked:
    lock_events(
        connection, event_ids
    )  # all at once, in one order: two lists with the same events must not wait in a ring
    items: list[ReviewItem] = []
    failed: list[NotPicked] = []
    now = utc_now()
    for event_id in event_ids:
        try:
            items.append(_pick(connection, deployment, picker, event_id, rubric_id, note, now))
        except (NotFound, BadInput) as refused:  # raised before anything of the event is written
            failed.append(NotPicked(event_id, refused.message))
    return Picked(tuple(items), tuple(failed))


def _pick(
    connection: Connection,
    deployment: Deployment,
    picker: Picker,
    event_id: str,
    rubric_id: str,
    note: str,
    now: datetime,
) -> ReviewItem:
    found = _chosen(connection, deployment, event_id, rubric_id)
    known = lock_item(connection, item_id_of(event_id, rubric_id))  # whoever escalates it just now holds it alone
    if known is not None and known.state in WAITING:
        _mark(connection, known, note, now)
    else:
        fresh = _item(found, rubric_id, note, now, known)
        store_version(connection, found.rubric, deployment.shelf.source_of(found.rubric.version), now)
        if known is None:
            add_items(connection, [fresh])
        else:
            fresh = reopen_item(connection, fresh, now)
            end_rounds_before(connection, fresh.item_id, fresh.round)
            add_act(
                connection,
                fresh.item_id,
                "reopened",
                person=picker.person,
                who=picker.name,
                detail={"reason": PICKED, "round": fresh.round},
                now=now,
            )
        open_slots(connection, [fresh])
    item_id = item_id_of(event_id, rubric_id)
    add_act(connection, item_id, PICKED, person=picker.person, who=picker.name, detail=_told(note), now=now)
    audit(
        connection,
        actor=picker.name,
        act="pick_item",
        subject=event_id,
        detail={"rubric": rubric_id, "item": item_id, **_told(note)},
    )
    item = find_item(connection, item_id)
    assert item is not None
    return item


def _told(note: str) -> dict[str, str]:
    return {"note": note} if note else {}


@dataclass(frozen=True)
class _Chosen:
    """An event that can be picked: what judges say of it, if anything, and the run people look at first."""

    event_id: str
    workflow: str
    run: Run
    rollup: Rollup | None
    rubric: Rubric


def _chosen(connection: Connection, deployment: Deployment, event_id: str, rubric_id: str) -> _Chosen:
    workflow = lock_events(connection, [event_id]).get(event_id)
    runs = runs_of_events(connection, [event_id])[event_id] if workflow is not None else []
    if workflow is None:
        raise NotFound(f"No event {quoted(event_id)} is known here.", hint="Its runs have to be captured first.")
    if not runs:
        raise BadInput(f"Event {quoted(event_id)} has no run, so there is nothing to look at.")
    rollup = current_rollups(connection, [event_id]).get((event_id, rubric_id))
    rubric = _rubric(connection, deployment, rubric_id, rollup)
    named = {one.casefold() for one in rubric.applies_to.workflow}
    if rollup is None and named and workflow.casefold() not in named:
        raise BadInput(
            f"Rubric {rubric_id} is for {', '.join(rubric.applies_to.workflow)}; "
            f"event {quoted(event_id)} is of workflow {quoted(workflow)}.",
            hint="Take a rubric for its workflow.",
        )
    decider = rollup.deciding_run_id if rollup else None
    run = next((one for one in runs if one.run_id == decider), runs[-1])
    return _Chosen(event_id, workflow, run, rollup, rubric)


def _rubric(connection: Connection, deployment: Deployment, rubric_id: str, rollup: Rollup | None) -> Rubric:
    """The version the judges spoke under, else the one in force."""
    if rollup is not None:
        judged = load_versions(connection, {rollup.rubric_version}).get(rollup.rubric_version)
        if judged is not None:
            return judged
    in_force = {one.id: one for one in deployment.shelf.rubrics}
    if rubric_id not in in_force:
        known = ", ".join(sorted(in_force)) or "none"
        raise NotFound(f"No rubric {quoted(rubric_id)} is in force; in force are: {known}.")
    return in_force[rubric_id]


def _item(found: _Chosen, rubric_id: str, note: str, now: datetime, known: ReviewItem | None) -> ReviewItem:
    """The item as it is opened; of earlier reasons those stay that are true of a picked one."""
    earlier = [one for one in (known.reasons if known else ()) if one not in ("audit", PICKED)]
    reasons = [*earlier, PICKED]
    value = value_in(found.run.diagnostics)
    verdict = found.rollup.verdict if found.rollup else None
    return ReviewItem(
        item_id=item_id_of(found.event_id, rubric_id),
        event_id=found.event_id,
        rubric_id=rubric_id,
        rubric_version=found.rubric.version,
        workflow=found.workflow,
        deciding_run_id=found.run.run_id,
        rollup_revision=found.rollup.revision if found.rollup else 0,
        stream=Stream.PICKED,
        reasons=reasons,
        blind=found.rubric.review.blind,
        reviewers=found.rubric.review.reviewers,
        value_amount=value,
        value_currency=currency_in(found.run.diagnostics) if value is not None else None,
        note=note,
        rank_at=now - head_start(reasons, verdict, value=value),
        entered_at=now,
        created_at=now,
    )


def _mark(connection: Connection, known: ReviewItem, note: str, now: datetime) -> None:
    """Add the reason and the note to an item that waits; its place in line stays.

    What the policy sent becomes picked, so that it stays when the policy's reasons vanish; the audit stays the audit.
    """
    if PICKED not in known.reasons:
        stream = Stream.AUDIT if known.stream == Stream.AUDIT else Stream.PICKED
        marked = known.model_copy(update={"reasons": [*known.reasons, PICKED], "stream": stream})
        add_items(connection, [marked])
        open_slots(connection, [marked])
    if note:
        set_state(connection, known.item_id, ItemState(known.state), now, note=note)


def _note(note: str) -> str:
    told = storable(note).strip()
    if len(told) > LONGEST_NOTE:
        raise BadInput(f"The note has {len(told):,} characters; at most {LONGEST_NOTE:,} are kept.")
    return told
