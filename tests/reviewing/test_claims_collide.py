"""Many people at one desk at once, with real threads on both stores: no item twice, none lost."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest

from evaluator.deployment import Deployment
from evaluator.errors import ClaimLost, Conflict
from evaluator.model.columns import utc_now
from evaluator.model.person import Person
from evaluator.model.review import ReviewItem, SlotState, Stream, item_id_of
from evaluator.reviewing import review_desk
from evaluator.reviewing.review_desk import Claim, Empty, claim_item, next_item
from evaluator.store.review_claims import fill_slot, open_slots, slots_of_items
from evaluator.store.review_items import add_items
from tests.accounts.people_world import somebody
from tests.reviewing.review_world import item_in_queue


def line_of(deployment: Deployment, number: int, **changes: object) -> list[str]:
    """So many open items, the first in line first; only the desk's own tables are filled."""
    start = utc_now() - timedelta(days=1)
    items = [
        ReviewItem.model_validate(
            {
                "item_id": item_id_of(f"event-{one}", "support"),
                "event_id": f"event-{one}",
                "rubric_id": "support",
                "rubric_version": "v",
                "stream": Stream.AUDIT if one % 3 == 0 else Stream.TARGETED,
                "rank_at": start + timedelta(seconds=one),
                "entered_at": start + timedelta(seconds=one),
                **changes,
            }
        )
        for one in range(number)
    ]
    with deployment.database.write() as connection:
        add_items(connection, items)
        open_slots(connection, items)
    return [item.item_id for item in items]


def work(deployment: Deployment, person: Person, begin: Barrier) -> list[str]:
    """Claim and fill until nothing comes; the items, as they came."""
    done: list[str] = []
    begin.wait()
    while isinstance(claim := next_item(deployment, person), Claim):
        with deployment.database.write() as connection:
            assert fill_slot(connection, claim.item_id, person.person_id, claim.token) is not None
        done.append(claim.item_id)
    return done


@pytest.mark.parametrize("claimants", [2, 16])
def test_every_item_goes_to_one_person_and_none_is_lost(deployment: Deployment, claimants: int) -> None:
    items = line_of(deployment, 200)
    people = [somebody(deployment, f"Person {number}") for number in range(claimants)]
    begin = Barrier(claimants)
    with ThreadPoolExecutor(claimants) as pool:
        done = list(pool.map(lambda person: work(deployment, person, begin), people))
    assert Counter(one for each in done for one in each) == Counter(items)


def test_an_item_that_wants_two_reviews_goes_to_two_different_people(deployment: Deployment) -> None:
    items = line_of(deployment, 40, reviewers=2)
    people = [somebody(deployment, f"Person {number}") for number in range(4)]
    begin = Barrier(len(people))
    with ThreadPoolExecutor(len(people)) as pool:
        done = list(pool.map(lambda person: work(deployment, person, begin), people))
    assert all(len(set(each)) == len(each) for each in done)
    with deployment.database.read() as connection:
        slots = slots_of_items(connection, items)
    assert all(
        {slot.state for slot in of_item} == {SlotState.DONE} and len({slot.claimed_by for slot in of_item}) == 2
        for of_item in slots.values()
    )


def test_a_double_click_is_one_claim(deployment: Deployment) -> None:
    line_of(deployment, 50)
    ada = somebody(deployment)
    begin = Barrier(8)

    def click(_: int) -> Claim | Empty:
        begin.wait()
        return next_item(deployment, ada)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(click, range(8)))) == 1


def test_one_of_many_who_open_an_item_gets_it(deployment: Deployment) -> None:
    item = item_in_queue(deployment)
    people = [somebody(deployment, f"Person {number}") for number in range(8)]
    begin = Barrier(len(people))

    def open_it(person: Person) -> bool:
        begin.wait()
        try:
            claim_item(deployment, person, item.item_id)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(len(people)) as pool:
        assert sum(pool.map(open_it, people)) == 1


def test_a_claim_that_ran_out_goes_to_one_person_and_its_token_is_refused(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    (item,) = line_of(deployment, 1)
    ada = somebody(deployment)
    lost = next_item(deployment, ada)
    assert isinstance(lost, Claim)
    then = utc_now() + timedelta(minutes=11)
    monkeypatch.setattr("evaluator.reviewing.review_desk.utc_now", lambda: then)
    people = [somebody(deployment, f"Person {number}") for number in range(8)]
    begin = Barrier(len(people))

    def ask(person: Person) -> Claim | Empty:
        begin.wait()
        return next_item(deployment, person)

    with ThreadPoolExecutor(len(people)) as pool:
        answers = list(pool.map(ask, people))
    assert sum(isinstance(one, Claim) for one in answers) == 1
    assert {one for one in answers if isinstance(one, Empty)} <= {Empty.ALL_CLAIMED}
    with pytest.raises(ClaimLost, match="holds this item for another 10 min"):
        review_desk.renew(deployment, ada, item, lost.token)
    with deployment.database.write() as connection:
        assert fill_slot(connection, item, ada.person_id, lost.token) is None
