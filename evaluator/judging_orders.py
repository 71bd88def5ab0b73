"""What an operator may order before judging: lift pauses, try again, take in what is stored; each act is audited."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import timedelta
from functools import partial

from evaluator import pipeline
from evaluator.deployment import Deployment
from evaluator.enrolment import enrol_events
from evaluator.errors import NotFound
from evaluator.model.columns import utc_now
from evaluator.model.judgement import NotEvaluable
from evaluator.store import judgements as queue
from evaluator.store.api_keys import audit
from evaluator.store.database import Connection
from evaluator.store.event_list import newest_events
from evaluator.store.runs import load_event, lock_events
from evaluator.wording import plural

EVENTS_AT_ONCE = 100
"""Stored events that one transaction samples: a long one would hold up what comes in."""
TELL_AFTER = 5000
"""Events after which it is told how far the sampling has come."""
MOST_EVENTS = 10**9
"""More than any store holds; databases refuse numbers beyond 64 bits."""


def give_orders(
    deployment: Deployment,
    *,
    actor: str,
    event_id: str | None = None,
    last: int = 0,
    again: Collection[NotEvaluable] = (),
    resume: bool = False,
) -> Iterator[str]:
    """Carry the orders out; one line for each says what it did. Raises NotFound for an unknown event."""
    if resume:
        lifted = deployment.database.transact(lambda connection: _resume(connection, actor))
        yield f"{lifted} pauses lifted."
    if again:
        due = deployment.database.transact(lambda connection: _try_again(connection, again, actor))
        yield f"{due} judgements are due again."
    if last:
        yield from _sample_stored(deployment, last, actor)
    if event_id is not None:
        while pipeline.assemble_runs(deployment, event_id=event_id, quiet=timedelta(0)):
            pass
        deployment.database.transact(lambda connection: _request(connection, deployment, event_id, actor))
        yield f"Every run of {event_id!r} is to be judged."


def _sample_stored(deployment: Deployment, last: int, actor: str) -> Iterator[str]:
    """Sample stored events, newest first; told as it goes on, and audited first: it may be broken off."""
    with deployment.database.read() as connection:
        events = newest_events(connection, min(last, MOST_EVENTS))
    deployment.database.transact(
        lambda connection: audit(
            connection,
            actor=actor,
            act="sample_stored",
            subject=f"last {last} events",
            detail={"events": len(events)},
        )
    )
    enrolled = 0
    for start in range(0, len(events), EVENTS_AT_ONCE):
        if start and start % TELL_AFTER == 0:
            yield f"{start} of {len(events)} events sampled: {plural(enrolled, 'judgement')} to do so far."
        chunk = set(events[start : start + EVENTS_AT_ONCE])
        enrolled += deployment.database.transact(partial(_enrol, deployment=deployment, events=chunk))
    yield f"{plural(enrolled, 'judgement')} of the last {last} events to do under the rubrics in force."


def _enrol(connection: Connection, deployment: Deployment, events: set[str]) -> int:
    lock_events(connection, events)
    before = queue.count_to_do(connection, events)
    enrol_events(connection, deployment, events, utc_now())
    return max(0, queue.count_to_do(connection, events) - before)


def _resume(connection: Connection, actor: str) -> int:
    lifted = queue.resume_judges(connection)
    audit(connection, actor=actor, act="resume_judges", subject="all judges", detail={"pauses": lifted})
    return lifted


def _try_again(connection: Connection, reasons: Collection[NotEvaluable], actor: str) -> int:
    due = queue.retry_not_evaluable(connection, reasons, utc_now())
    audit(
        connection, actor=actor, act="judge_again", subject=", ".join(sorted(reasons)), detail={"judgements": due}
    )
    return due


def _request(connection: Connection, deployment: Deployment, event_id: str, actor: str) -> None:
    if load_event(connection, event_id) is None:
        raise NotFound(f"No event {event_id!r} is known here.", hint="`adjudge outcomes` lists events.")
    lock_events(connection, [event_id])
    enrol_events(connection, deployment, {event_id}, utc_now(), requested=True)
    audit(connection, actor=actor, act="request_judging", subject=event_id)
