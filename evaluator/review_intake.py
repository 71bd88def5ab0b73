"""What of the judges' rollups people are to look at: items come in, are withdrawn, or opened again."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum, auto
from typing import Any

from evaluator.model.review import ItemState, ReviewAct, ReviewItem, SlotState, Stream, item_id_of
from evaluator.model.rollup import Rollup
from evaluator.model.rubric import Rubric
from evaluator.model.run import Run
from evaluator.model.verdict import Verdict, VerdictLabel
from evaluator.review_priority import head_start
from evaluator.review_reasons import AUDIT, number_in
from evaluator.review_state import mark_of
from evaluator.store.database import Connection
from evaluator.store.review_claims import open_slots, slots_of_items
from evaluator.store.review_items import add_acts, add_items, items_by_id, reopen_item, withdraw_item
from evaluator.store.reviews import end_rounds_before, last_taken_runs, shown_to_reviewers, standing_verdicts
from evaluator.store.runs import load_runs

NEW_ATTEMPT = "new_attempt"
"""The reason of an item that is opened again: another run decides than the one people saw, or more content came to it."""
POLICY, JUDGE = "policy", "judge"
"""Who brings items in and out, and who opens them again."""

_MOST_VALUE = Decimal(900_000_000)
"""More than this fits no column, and is no value of one event."""
_CURRENCY = re.compile(r"[A-Za-z]{3}")
_MONEY = re.compile(r"revenue|value|sav(?:ing|ed)|price|amount|cost|refund|usd|eur", re.IGNORECASE)
"""As in revenue_generated and order_value; tickets_resolved and items_processed are counts."""


class Step(Enum):
    """What a rollup means for an item."""

    NOTHING = auto()
    ENTER = auto()
    RENEW = auto()
    """It waits still; what judges say of it has changed."""
    WITHDRAW = auto()
    REOPEN = auto()


@dataclass(frozen=True, slots=True)
class Known:
    """An item, and what people did with it in its round."""

    item: ReviewItem
    touched: bool
    """Somebody holds or reviewed it."""
    said: VerdictLabel | None
    """What people say of the event, in an earlier round where they have not spoken in this one; None where nothing."""
    outdated: bool = False
    """More content came since to the run that they saw."""


def step(rollup: Rollup, known: Known | None) -> Step:
    """What a rollup's newest revision means for its item, where there is one.

    A rollup with reasons that waits for nothing brings an item in, or a withdrawn one back. An item that nobody holds
    or reviewed follows its rollup, and is withdrawn once no reason is left, unless somebody picked it. One that is
    done is opened again where another run decides than the one people saw, or more content came to that, and the judges
    say something else; it is withdrawn again where they come to say what people said.
    """
    if rollup.waiting:
        return Step.NOTHING
    if known is None:
        return Step.ENTER if rollup.review_reasons else Step.NOTHING
    # people's word is asked for again where judges say something else; without one, where the policy asks
    wanted = bool(rollup.review_reasons) if known.said is None else rollup.verdict != known.said
    match known.item.state:
        case ItemState.WITHDRAWN:
            return Step.REOPEN if wanted else Step.NOTHING
        case ItemState.OPEN if not known.touched:
            return Step.RENEW if wanted or known.item.stream == Stream.PICKED else Step.WITHDRAW
        case ItemState.DONE if known.outdated or is_outdated(known.item, rollup):
            return Step.REOPEN if wanted else Step.NOTHING
    return Step.NOTHING


def is_outdated(item: ReviewItem, rollup: Rollup) -> bool:
    """Whether another run decides the event than the one its item is about."""
    return None not in (rollup.deciding_run_id, item.deciding_run_id) and (
        rollup.deciding_run_id != item.deciding_run_id
    )


def bring_in(
    connection: Connection,
    rollups: Sequence[Rollup],
    rubrics: Mapping[str, Rubric],
    now: datetime,
    *,
    unchanged: Collection[Rollup] = (),
) -> None:
    """Let items follow fresh revisions of rollups, their events held by the transaction; `rubrics` by version.

    `unchanged` are rollups that say the same of what was judged again: they matter to who judged other content.
    """
    of_item = {item_id_of(one.event_id, one.rubric_id): one for one in rollups if one.rubric_version in rubrics}
    if not any(one.review_reasons or one.revision > 1 for one in rollups):
        of_item = {}  # nothing asks for people and, at first revisions, nothing ever did
    again = {item_id_of(one.event_id, one.rubric_id): one for one in unchanged if one.rubric_version in rubrics}
    if not of_item and not again:
        return
    known = _known(connection, {**again, **of_item}, now)
    of_item |= {item_id: one for item_id, one in again.items() if item_id in known and known[item_id].outdated}
    steps = {item_id: step(rollup, known.get(item_id)) for item_id, rollup in of_item.items()}
    for item_id in _having(steps, Step.WITHDRAW):
        if withdraw_item(connection, item_id, now):
            add_acts(connection, [_act(item_id, "withdrawn", POLICY, [], now)])
    coming = {item_id: of_item[item_id] for item_id in _having(steps, Step.ENTER, Step.RENEW, Step.REOPEN)}
    if not coming:
        return
    taken = last_taken_runs(connection, {(one.event_id, one.rubric_id) for one in coming.values()})
    fresh = {
        item_id: _item(one, rubrics[one.rubric_version], _shown(one, taken), now) for item_id, one in coming.items()
    }
    _enter(connection, [fresh[item_id] for item_id in _having(steps, Step.ENTER)], now)
    renewed = [_renewed(known[item_id], fresh[item_id]) for item_id in _having(steps, Step.RENEW)]
    add_items(connection, renewed)
    open_slots(connection, renewed)
    for item_id in _having(steps, Step.REOPEN):
        _reopen(connection, known[item_id], fresh[item_id], now)


def _having(steps: Mapping[str, Step], *wanted: Step) -> list[str]:
    return sorted(item_id for item_id, each in steps.items() if each in wanted)


def _known(connection: Connection, rollups: Mapping[str, Rollup], now: datetime) -> dict[str, Known]:
    items = items_by_id(connection, rollups.keys())
    waiting = [item_id for item_id, one in items.items() if one.state == ItemState.OPEN]
    touched = _touched(connection, items, waiting, now) if waiting else set()
    outdated = _with_more_content(connection, items)
    spoken = [
        one
        for item_id, one in items.items()
        if one.round > 1
        or item_id in outdated
        or (one.state == ItemState.DONE and is_outdated(one, rollups[item_id]))
    ]
    said = standing_verdicts(connection, {one.event_id for one in spoken})
    return {
        item_id: Known(
            one, item_id in touched, _label(said.get((one.event_id, one.rubric_id))), item_id in outdated
        )
        for item_id, one in items.items()
    }


def _with_more_content(connection: Connection, items: Mapping[str, ReviewItem]) -> set[str]:
    """Those done items of whose run nobody, whose review counts, was shown what is there of it by now."""
    done = {item_id: one.deciding_run_id for item_id, one in items.items() if one.state == ItemState.DONE}
    shown = shown_to_reviewers(connection, done) if done else {}
    runs = load_runs(connection, {run_id for item_id in shown if (run_id := done[item_id]) is not None})
    return {
        item_id
        for item_id, marks in shown.items()
        if (run := runs.get(done[item_id] or "")) is not None and mark_of(run) not in marks
    }


def _label(verdict: Verdict | None) -> VerdictLabel | None:
    return None if verdict is None else VerdictLabel(verdict.verdict)


def _touched(
    connection: Connection, items: Mapping[str, ReviewItem], item_ids: Collection[str], now: datetime
) -> set[str]:
    return {
        item_id
        for item_id, slots in slots_of_items(connection, item_ids).items()
        for slot in slots
        if slot.round == items[item_id].round
        and (slot.state == SlotState.DONE or (slot.lease_until is not None and slot.lease_until > now))
    }


def _shown(rollup: Rollup, taken: Mapping[tuple[str, str], Sequence[Run]]) -> Run | None:
    """The run people are shown first: the one that decides, else the last that was taken."""
    runs = taken.get((rollup.event_id, rollup.rubric_id), ())
    return next((run for run in runs if run.run_id == rollup.deciding_run_id), runs[-1] if runs else None)


def _item(rollup: Rollup, rubric: Rubric, run: Run | None, now: datetime) -> ReviewItem:
    is_audit = AUDIT in rollup.review_reasons
    told: Mapping[str, Any] = run.diagnostics if run is not None else {}
    value = value_in(told)
    judged = VerdictLabel(rollup.verdict) if rollup.runs else None
    audited = None if rollup.probability is None else rollup.probability * rubric.review.audit_rate
    return ReviewItem(
        item_id=item_id_of(rollup.event_id, rollup.rubric_id),
        event_id=rollup.event_id,
        rubric_id=rollup.rubric_id,
        rubric_version=rollup.rubric_version,
        workflow=rollup.workflow,
        deciding_run_id=run.run_id if run is not None else rollup.deciding_run_id,
        rollup_revision=rollup.revision,
        stream=Stream.AUDIT if is_audit else Stream.TARGETED,
        probability=audited if is_audit else None,
        reasons=list(rollup.review_reasons),
        blind=rubric.review.blind or is_audit,
        reviewers=rubric.review.reviewers,
        value_amount=value,
        value_currency=currency_in(told) if value is not None else None,
        # of the audit all that came in before a time has to be done before what came after it
        rank_at=now if is_audit else now - head_start(rollup.review_reasons, judged, value=value),
        entered_at=now,
        created_at=now,
    )


def value_in(diagnostics: Mapping[str, Any]) -> Decimal | None:
    """What the app said a run is worth in money; None where that is no number, none that could be meant, or a count.

    Clients count tickets, items and records in the same field: it is money where they name a currency, name no type,
    or the type's own words say so.
    """
    named = diagnostics.get("value_type")
    if isinstance(named, str) and currency_in(diagnostics) is None and not _MONEY.search(named):
        return None
    value = number_in(diagnostics.get("value_amount"))
    return value if value is not None and abs(value) <= _MOST_VALUE else None


def currency_in(diagnostics: Mapping[str, Any]) -> str | None:
    """The currency the app named, as three capital letters; None where it named none."""
    named = diagnostics.get("value_currency") or diagnostics.get("currency")
    return named.upper() if isinstance(named, str) and _CURRENCY.fullmatch(named) else None


def _enter(connection: Connection, items: Sequence[ReviewItem], now: datetime) -> None:
    add_items(connection, items)
    open_slots(connection, items)
    add_acts(connection, [_act(item.item_id, "entered", POLICY, item.reasons, now) for item in items])


def _renewed(known: Known, fresh: ReviewItem) -> ReviewItem:
    """What waits, as judges now speak of it, at its place by when it came in.

    What somebody picked stays picked, unless it is in the audit: that draw does not ask what people chose.
    """
    before, now = known.item, _for_another_attempt(known, fresh)
    head = fresh.entered_at - fresh.rank_at
    changed: dict[str, Any] = {"entered_at": before.entered_at, "rank_at": before.entered_at - head}
    if before.stream == Stream.PICKED:
        changed["reasons"] = list(dict.fromkeys([*before.reasons, *now.reasons]))
        if now.stream != Stream.AUDIT:
            changed |= {"stream": Stream.PICKED, "blind": before.blind, "rank_at": before.rank_at}
    return now.model_copy(update=changed)


def _for_another_attempt(known: Known, fresh: ReviewItem) -> ReviewItem:
    """An item as it comes in, where people spoke of an earlier attempt: for the new one.

    That judges say something else of another attempt is no uniform draw: such a round is never of the audit.
    """
    if known.said is None and known.item.state != ItemState.DONE:
        return fresh
    changed = {
        "reasons": [NEW_ATTEMPT, *(reason for reason in fresh.reasons if reason != AUDIT)],
        "stream": Stream.TARGETED,
        "probability": None,
        "blind": known.item.blind or fresh.blind,
    }
    return fresh.model_copy(update=changed)


def _reopen(connection: Connection, known: Known, fresh: ReviewItem, now: datetime) -> None:
    item = _for_another_attempt(known, fresh)
    again = reopen_item(connection, item, now)
    open_slots(connection, [again])
    end_rounds_before(connection, again.item_id, again.round)
    who = JUDGE if NEW_ATTEMPT in again.reasons else POLICY
    add_acts(connection, [_act(again.item_id, "reopened", who, again.reasons, now)])


def _act(item_id: str, act: str, who: str, reasons: Sequence[str], now: datetime) -> ReviewAct:
    return ReviewAct(
        item_id=item_id, who=who, act=act, detail={"reasons": list(reasons)} if reasons else {}, at=now
    )
