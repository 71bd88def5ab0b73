"""What a review stands on: the item, held by the transaction, and all that is stored of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from evaluator.applicability import content_for, run_facts
from evaluator.deployment import Deployment
from evaluator.errors import BadInput, NotFound, Unseen
from evaluator.model.person import Person, PersonRole
from evaluator.model.review import (
    ItemState,
    Review,
    ReviewAct,
    ReviewItem,
    ReviewKind,
    SlotKind,
    Stream,
)
from evaluator.model.rollup import Rollup
from evaluator.model.rubric import Rubric
from evaluator.model.run import Run
from evaluator.model.verdict import CriterionVerdict
from evaluator.reviewing.code_answers import code_answers
from evaluator.reviewing.sheet_mode import REVEALED
from evaluator.reviewing.sheet_runs import chosen_runs, shown_mark
from evaluator.rubric_format.rubric_files import judged_hash
from evaluator.rubric_format.rubric_problems import quoted
from evaluator.store import outcomes, runs
from evaluator.store.database import Connection
from evaluator.store.judges_heard import judges_heard
from evaluator.store.review_items import acts_of_item, lock_event_of, lock_item
from evaluator.store.reviews import reviews_of_item, runs_with_content
from evaluator.store.rubric_versions import store_version

CLAIMED = "claimed"


@dataclass(frozen=True)
class Ground:
    """An item as it is while its event and itself are held."""

    item: ReviewItem
    workflow: str
    acts: Sequence[ReviewAct]
    reviews: Sequence[Review]
    """All that was ever said of it, oldest first."""
    rollups: Mapping[tuple[str, str], Rollup]
    """(event, rubric) → the rollup in force, of all rubrics of the event."""

    @property
    def rollup(self) -> Rollup | None:
        """The item's own."""
        return self.rollups.get((self.item.event_id, self.item.rubric_id))

    def said_by(self, person: Person) -> list[Review]:
        """What a person said in this round, oldest first; retractions and what they took back too."""
        return [one for one in self.reviews if one.person_id == person.person_id and one.round == self.item.round]

    def last_claim(self, person: Person) -> ReviewAct | None:
        """How a person last came to hold the item in this round; None where they never did."""
        theirs = [
            one
            for one in self.acts
            if one.act == CLAIMED and one.person_id == person.person_id and one.at >= self.item.entered_at
        ]
        return theirs[-1] if theirs else None

    def has_seen(self, person: Person, kind: SlotKind) -> bool:
        """Whether anything that judges or others said was shown to the person before they say something now.

        It is where nothing is hidden; to whoever settles what others said; and once they answered or had it shown to
        them, even if they took that back.
        """
        is_blind = self.item.blind or self.item.stream == Stream.AUDIT or kind == SlotKind.GOLD
        settles = kind == SlotKind.ADJUDICATION or (
            self.item.state in _TO_SETTLE and kind != SlotKind.REVIEW and person.may(PersonRole.AUTHOR)
        )
        return (
            not is_blind
            or settles
            or bool(self.said_by(person))
            or any(
                one.act == REVEALED and one.person_id == person.person_id and one.at >= self.item.entered_at
                for one in self.acts
            )
        )


_TO_SETTLE = (ItemState.ESCALATED, ItemState.AWAITING_RESOLUTION)


def hold(connection: Connection, item_id: str) -> Ground:
    """Hold an item and its event until the transaction ends, events first as judging does; raises NotFound."""
    workflow = lock_event_of(connection, item_id)
    item = lock_item(connection, item_id)
    if item is None or workflow is None:
        raise NotFound(
            f"No review item {quoted(item_id)} is known here.",
            hint="The queue lists those that wait; an item's id never changes.",
        )
    return Ground(
        item=item,
        workflow=workflow,
        acts=acts_of_item(connection, item_id),
        reviews=reviews_of_item(connection, item_id),
        rollups=outcomes.current_rollups(connection, [item.event_id]),
    )


def last_said(reviews: Sequence[Review]) -> Review | None:
    """The last of one person's reviews in a round that was not taken back; a gold answer too."""
    gone = {one.retracts for one in reviews if one.kind == ReviewKind.RETRACTION}
    return next(
        (one for one in reversed(reviews) if one.kind != ReviewKind.RETRACTION and one.review_id not in gone),
        None,
    )


def rubric_answered(
    connection: Connection, deployment: Deployment, item: ReviewItem, version: str, now: datetime
) -> Rubric:
    """The version of the item's rubric that a form answers, kept from now on; raises BadInput for any other."""
    known = deployment.rubric_versions({version}, connection).get(version)
    if known is None:
        loaded = next((one for one in deployment.shelf.loaded if one.rubric.version == version), None)
        if loaded is not None:
            store_version(connection, loaded.rubric, loaded.source, now, in_force=False)
            known = loaded.rubric
    if known is None or known.id != item.rubric_id:
        raise BadInput(
            f"rubric_version {quoted(version)} is no version of {item.rubric_id} that is known here.",
            hint="Send the version of the sheet that was answered; ask for the item anew if its rubric has changed.",
        )
    return known


@dataclass(frozen=True)
class Shown:
    """What of an event a person was shown first."""

    run_id: str | None
    by_code: Mapping[str, CriterionVerdict]
    """What code answers of it."""
    purged: bool
    """No content is there any more."""
    mark: str = ""
    """As on a sheet that shows this."""


def shown_of(connection: Connection, deployment: Deployment, item: ReviewItem, rubric: Rubric) -> Shown:
    """What a person was shown of an item's event, as its sheet shows it."""
    of_event = runs.runs_of_events(connection, [item.event_id])[item.event_id]
    numbered = chosen_runs(item, of_event)
    chosen = [run for _, run in numbered]
    there = runs_with_content(connection, [run.run_id for run in chosen])
    first = next((run for run in chosen if run.run_id in there), None)
    by_code: Mapping[str, CriterionVerdict] = {}
    if first is not None and any(each.check or each.not_applicable_when for each in rubric.criteria):
        by_code = _by_code(connection, deployment, item, rubric, first)
    return Shown(chosen[0].run_id if chosen else None, by_code, first is None, shown_mark(numbered))


def check_seen(seen: str, now: str) -> None:
    """Raise BadInput where a form does not say what was looked at, and Unseen where something else is shown by now."""
    if not seen and now:
        raise BadInput(
            "shown: this field is required; it says what was looked at.",
            hint="Send `shown` of the sheet that was answered.",
        )
    if seen == now:
        return
    same_run = seen.partition("-")[0] == now.partition("-")[0]
    news = "More content of this event has come" if same_run else "The event has a new attempt"
    raise Unseen(
        f"{news} since you opened it: look at it, your answers are kept.",
        hint="Open the item again and send them then.",
    )


def _by_code(
    connection: Connection, deployment: Deployment, item: ReviewItem, rubric: Rubric, run: Run
) -> dict[str, CriterionVerdict]:
    """What is stored of it counts where judges were asked the same; else it is found anew."""
    capture = runs.load_captures(connection, [run.run_id], deployment.bodies)[run.run_id]
    heard = [one for one in judges_heard(connection, item.event_id, item.rubric_id) if one.run_id == run.run_id]
    asked = deployment.rubric_versions({one.rubric_version for one in heard}, connection)
    same = {version for version, one in asked.items() if judged_hash(one) == judged_hash(rubric)}
    stored = [answer for one in heard if one.rubric_version in same for answer in one.criteria]
    return code_answers(rubric, content_for(rubric, run_facts(run, capture)), stored)
