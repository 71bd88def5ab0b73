"""The real functions beside a model of a few lines: whatever people do to an item in whatever order, both agree."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from evaluator.deployment import Deployment
from evaluator.errors import Conflict, WrongRole
from evaluator.model.columns import utc_now
from evaluator.model.person import Person, PersonRole
from evaluator.model.review import ItemState, ReviewItem, SlotKind
from evaluator.model.verdict import VerdictLabel
from evaluator.reviewing.hand_picking import pick
from evaluator.reviewing.review_desk import claim_item, escalate, release, skip
from evaluator.reviewing.review_submission import revise, submit
from evaluator.reviewing.review_undo import undo
from evaluator.store.review_claims import live_slots
from evaluator.store.review_items import find_item
from evaluator.store.reviews import reviews_of_person, standing_verdicts
from tests.accounts.people_world import somebody
from tests.reviewing.answering import form_of
from tests.reviewing.review_world import REVIEWED_RUBRIC, item_in_queue, reviewed_rubric
from tests.reviewing.test_review_submission import expire

AUTHOR = 2
"""The third of the people; the others are reviewers."""

WANTED = 2
"""Reviews of an item that was picked, by its rubric."""


class Said(NamedTuple):
    """What somebody says in one place, as it is by now."""

    who: int
    part: SlotKind
    verdict: VerdictLabel | None


@dataclass
class Model:
    """An item as docs/how-it-works.md tells of it."""

    wanted: int
    said: list[Said] = field(default_factory=list)
    """In this round, oldest first."""
    holds: list[tuple[int, SlotKind]] = field(default_factory=list)
    escalated: bool = False
    before: VerdictLabel | None = None
    """What stood when this round began."""

    def state(self) -> ItemState:
        verdicts = {one.verdict for one in self.said if one.verdict}
        if any(one.part == SlotKind.ADJUDICATION for one in self.said):
            return ItemState.DONE
        if self.escalated:
            return ItemState.ESCALATED
        if sum(one.part == SlotKind.REVIEW for one in self.said) < self.wanted:
            return ItemState.OPEN
        return ItemState.AWAITING_RESOLUTION if len(verdicts) > 1 else ItemState.DONE

    def stands(self) -> VerdictLabel | None:
        if self.state() == ItemState.AWAITING_RESOLUTION:
            return None
        if self.state() != ItemState.DONE:
            return self.before
        above = [one for one in self.said if one.part == SlotKind.ADJUDICATION]
        if above:
            return above[-1].verdict
        return next((one.verdict for one in self.said if one.verdict), None)

    def has_said(self, who: int) -> bool:
        return any(one.who == who for one in self.said)

    def place_for(self, who: int, kind: SlotKind | None) -> SlotKind | None:
        """For what the person would hold the item; None where they are refused."""
        own = [part for holder, part in self.holds if holder == who]
        if own and kind in (None, own[-1]):
            return own[-1]
        state = self.state()
        if kind == SlotKind.SECOND_OPINION:
            return kind if state == ItemState.DONE and not self.has_said(who) else None
        if state == ItemState.OPEN:
            taken = sum(one.part == SlotKind.REVIEW for one in self.said)
            taken += sum(part == SlotKind.REVIEW for holder, part in self.holds if holder != who)
            return SlotKind.REVIEW if taken < self.wanted and not self.has_said(who) else None
        if state == ItemState.DONE or who != AUTHOR:
            return None
        return SlotKind.ADJUDICATION

    def hold(self, who: int, part: SlotKind) -> None:
        if (who, part) not in self.holds:
            self.holds.append((who, part))

    def let_go(self, who: int, part: SlotKind) -> None:
        self.holds = [one for one in self.holds if one != (who, part)]

    def settled(self, was: ItemState) -> None:
        if self.state() == ItemState.DONE != was:  # nobody is asked any more
            self.holds = [one for one in self.holds if one[1] != SlotKind.REVIEW]


class Desk:
    """The real item beside its model."""

    def __init__(self, deployment: Deployment, people: list[Person], item: ReviewItem, wanted: int) -> None:
        self.deployment, self.people, self.item, self.model = deployment, people, item, Model(wanted)

    def claim(self, who: int, kind: SlotKind | None = None) -> tuple[str, SlotKind] | None:
        expected = self.model.place_for(who, kind)
        try:
            held = claim_item(self.deployment, self.people[who], self.item.item_id, kind=kind)
        except (Conflict, WrongRole):
            assert expected is None, "refused what was free"
            return None
        assert held.kind == expected
        self.model.hold(who, held.kind)
        return held.token, SlotKind(held.kind)

    def answer(self, who: int, verdict: VerdictLabel | None, kind: SlotKind | None = None) -> None:
        if (held := self.claim(who, kind)) is None:
            return
        token, part = held
        was = self.model.state()
        form = form_of(self.deployment, self.item.item_id, verdict, token)
        if part == SlotKind.REVIEW and was == ItemState.DONE:  # given back by an undo below an adjudication
            with pytest.raises(Conflict):
                submit(self.deployment, self.people[who], form)
            return
        submit(self.deployment, self.people[who], form)
        self.model.let_go(who, part)
        self.model.said.append(Said(who, part, verdict))
        self.model.settled(was)

    def second(self, who: int, verdict: VerdictLabel | None) -> None:
        self.answer(who, verdict, SlotKind.SECOND_OPINION)

    def _last(self, who: int) -> Said | None:
        return next((one for one in reversed(self.model.said) if one.who == who), None)

    def revise(self, who: int, verdict: VerdictLabel | None) -> None:
        last, was = self._last(who), self.model.state()
        form = form_of(self.deployment, self.item.item_id, verdict)
        if last is None:
            with pytest.raises(Conflict):
                revise(self.deployment, self.people[who], form)
            return
        revise(self.deployment, self.people[who], form)
        self.model.said.remove(last)
        self.model.said.append(Said(who, last.part, verdict))
        self.model.settled(was)

    def undo(self, who: int, _: VerdictLabel | None) -> None:
        last, was = self._last(who), self.model.state()
        if last is None:
            return
        with self.deployment.database.read() as connection:
            mine = reviews_of_person(connection, self.people[who].person_id, 1)
        undo(self.deployment, self.people[who], mine[0].review_id)
        self.model.said.remove(last)
        self.model.let_go(who, last.part)
        self.model.hold(who, last.part)
        self.model.settled(was)

    def escalate(self, who: int, _: VerdictLabel | None) -> None:
        if (held := self.claim(who)) is None:
            return
        if held[1] != SlotKind.REVIEW:
            with pytest.raises(Conflict):
                escalate(self.deployment, self.people[who], self.item.item_id, held[0], "Whose is it?")
            return
        escalate(self.deployment, self.people[who], self.item.item_id, held[0], "Whose is it?")
        self.model.let_go(who, held[1])
        self.model.escalated = True

    def skip(self, who: int, _: VerdictLabel | None) -> None:
        if (held := self.claim(who)) is not None:
            skip(self.deployment, self.people[who], self.item.item_id, held[0])
            self.model.let_go(who, held[1])

    def release(self, who: int, _: VerdictLabel | None) -> None:
        if (held := self.claim(who)) is not None:
            release(self.deployment, self.people[who], self.item.item_id, held[0])
            self.model.let_go(who, held[1])

    def wait(self, _who: int, _: VerdictLabel | None) -> None:
        expire(self.deployment)
        self.model.holds.clear()

    def pick(self, _who: int, _: VerdictLabel | None) -> None:
        done, stood = self.model.state() == ItemState.DONE, self.model.stands()
        pick(self.deployment, self.people[AUTHOR], self.item.event_id, "support")
        if done:
            before = stood if self.model.said else self.model.before
            self.model = Model(WANTED, before=before)

    def check(self) -> None:
        with self.deployment.database.read() as connection:
            item = find_item(connection, self.item.item_id)
            stands = standing_verdicts(connection, [self.item.event_id]).get((self.item.event_id, "support"))
            held = [
                (n, s.kind)
                for n, who in enumerate(self.people)
                for s in live_slots(connection, who.person_id, utc_now())
            ]
        assert item is not None
        assert item.state == self.model.state()
        assert (stands.verdict if stands else None) == self.model.stands()
        assert sorted(held) == sorted(self.model.holds)


ACTS = ["answer"] * 4 + ["second", "second", "revise", "revise", "undo", "undo", "escalate", "skip", "release"]
steps = st.lists(
    st.tuples(
        st.sampled_from([*ACTS, "wait", "pick"]),
        st.integers(0, AUTHOR),
        st.sampled_from([VerdictLabel.PASS, VerdictLabel.PASS, VerdictLabel.FAIL, None]),
    ),
    min_size=4,
    max_size=20,
)


@pytest.mark.slow
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps, st.integers(1, 2))
def test_whatever_people_do_the_item_is_where_the_model_says(
    deployment: Deployment, steps: list[tuple[str, int, VerdictLabel | None]], wanted: int
) -> None:
    reviewed_rubric(deployment, text=REVIEWED_RUBRIC + f"review: {{{{reviewers: {WANTED}}}}}\n")
    people = [somebody(deployment, name) for name in ("Ada", "Ben")]
    people.append(somebody(deployment, "Cleo", PersonRole.AUTHOR))
    event_id = f"ticket-{secrets.token_hex(4)}"
    item = item_in_queue(deployment, event_id=event_id, reviewers=wanted)
    desk = Desk(deployment, people, item, wanted)
    for name, who, verdict in steps:
        getattr(desk, name)(who, verdict)
        desk.check()
