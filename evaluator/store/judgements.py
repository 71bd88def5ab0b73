"""Samples and judgements: what is to be judged, who holds it, how it ended."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from secrets import token_hex

from sqlalchemy import Connection, and_, bindparam, func, select, update

from evaluator.dispatch import ProviderLoad
from evaluator.model.columns import utc_now
from evaluator.model.judgement import Judgement, JudgementState, NotEvaluable
from evaluator.model.sample import Sample
from evaluator.model.verdict import Verdict
from evaluator.store.database import as_row, insert_into, table_of
from evaluator.store.tables import JudgementRow, JudgePauseRow, SampleRow, SpendRow, VerdictRow

_sample, _judgement, _verdict = table_of(SampleRow), table_of(JudgementRow), table_of(VerdictRow)
_pause, _spend = table_of(JudgePauseRow), table_of(SpendRow)


@dataclass(frozen=True)
class Settlement:
    """How one leased judgement ended: a verdict, a reason for none, or a time to try again."""

    judgement: Judgement
    verdict: Verdict | None = None
    reason: NotEvaluable | None = None
    detail: str | None = None
    retry_at: datetime | None = None
    failed_call: bool = True
    """Whether a retry counts as an attempt; a pause of the judge does not."""
    cost_usd: Decimal | None = Decimal(0)
    calls: int = 0

    @property
    def state(self) -> JudgementState:
        if self.verdict is not None:
            return JudgementState.DONE
        return JudgementState.NOT_EVALUABLE if self.reason is not None else JudgementState.DUE


def samples_of_events(connection: Connection, event_ids: Collection[str]) -> list[Sample]:
    """Every sample decision about the runs of these events."""
    rows = connection.execute(select(_sample).where(_sample.c.event_id.in_(event_ids))).mappings()
    return [Sample.model_validate(dict(row)) for row in rows]


def store_samples(connection: Connection, samples: Sequence[Sample]) -> None:
    """Write sample decisions; a later decision about the same run and version replaces the earlier."""
    if not samples:
        return
    statement = insert_into(connection, _sample)
    kept = ("taken", "reason", "probability", "decided_at")
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["run_id", "rubric_version"], set_={name: statement.excluded[name] for name in kept}
        ),
        [as_row(sample) for sample in samples],
    )


def count_to_do(connection: Connection, event_ids: Collection[str]) -> int:
    """How many judgements of these events are due or under way."""
    to_do = _judgement.c.state.in_((JudgementState.DUE, JudgementState.LEASED))
    return connection.execute(select(func.count()).where(to_do, _judgement.c.event_id.in_(event_ids))).scalar_one()


def judgements_of_events(connection: Connection, event_ids: Collection[str]) -> list[Judgement]:
    """Every judgement about the runs of these events, superseded ones too."""
    rows = connection.execute(select(_judgement).where(_judgement.c.event_id.in_(event_ids))).mappings()
    return [Judgement.model_validate(dict(row)) for row in rows]


def versions_judged(connection: Connection, event_ids: Collection[str]) -> set[str]:
    """The rubric versions under which runs of these events are judged."""
    versions = (
        select(_judgement.c.rubric_version)
        .where(_judgement.c.event_id.in_(event_ids), _judgement.c.state != JudgementState.SUPERSEDED)
        .distinct()
    )
    return set(connection.execute(versions).scalars())


def add_judgements(connection: Connection, judgements: Sequence[Judgement]) -> None:
    """Put work in the queue; work that is known stays as it is, unless it had been superseded."""
    if not judgements:
        return
    statement = insert_into(connection, _judgement)
    connection.execute(
        statement.on_conflict_do_nothing(),
        [as_row(judgement) for judgement in sorted(judgements, key=lambda one: one.judgement_id)],
    )
    has_verdict = select(_verdict.c.verdict_id).where(_verdict.c.judgement_id == _judgement.c.judgement_id).exists()
    again = and_(
        _judgement.c.judgement_id.in_([one.judgement_id for one in judgements]),
        _judgement.c.state == JudgementState.SUPERSEDED,
    )
    connection.execute(update(_judgement).where(again, has_verdict).values(state=JudgementState.DONE))
    connection.execute(
        update(_judgement)
        .where(again, ~has_verdict)
        .values(
            state=JudgementState.DUE,
            due_at=judgements[0].due_at,
            reason=None,
            detail=None,
            settled_at=None,
            attempts=0,
            leases=0,
        )
    )


def supersede(connection: Connection, judgement_ids: Collection[str], now: datetime) -> None:
    """Take judgements out of force: their content changed or the rubric no longer applies."""
    if judgement_ids:
        connection.execute(
            update(_judgement)
            .where(_judgement.c.judgement_id.in_(judgement_ids))
            .values(state=JudgementState.SUPERSEDED, settled_at=now, lease_token=None, lease_until=None)
        )


def forget_runs(connection: Connection, run_ids: Collection[str], now: datetime) -> None:
    """Take everything about these runs out of force: they turned out to be parts of others."""
    connection.execute(_sample.delete().where(_sample.c.run_id.in_(run_ids)))
    connection.execute(
        update(_judgement)
        .where(_judgement.c.run_id.in_(run_ids))
        .values(state=JudgementState.SUPERSEDED, settled_at=now, lease_token=None, lease_until=None)
    )


def expire_leases(connection: Connection, now: datetime, *, most_leases: int) -> list[str]:
    """Make due what a worker held too long; the events of those that worker after worker lost."""
    expired = and_(_judgement.c.state == JudgementState.LEASED, _judgement.c.lease_until < now)
    lost = connection.execute(
        update(_judgement)
        .where(expired, _judgement.c.leases >= most_leases)
        .values(
            state=JudgementState.NOT_EVALUABLE,
            reason=NotEvaluable.WORKER_LOST,
            detail=f"{most_leases} workers in a row stopped while holding this judgement.",
            settled_at=now,
            lease_token=None,
            lease_until=None,
        )
        .returning(_judgement.c.event_id)
    ).scalars()
    events = list(lost)
    connection.execute(
        update(_judgement)
        .where(expired)
        .values(state=JudgementState.DUE, due_at=now, lease_token=None, lease_until=None)
    )
    return events


def waiting_by_provider(connection: Connection, now: datetime) -> dict[str, dict[str, int]]:
    """Provider → rubric → judgements that are due and whose judge is not paused."""
    rows = connection.execute(
        select(_judgement.c.provider, _judgement.c.rubric_id, func.count())
        .where(
            _judgement.c.state == JudgementState.DUE,
            _judgement.c.due_at <= now,
            _judgement.c.judge.not_in(_paused(now)),
        )
        .group_by(_judgement.c.provider, _judgement.c.rubric_id)
    )
    waiting: dict[str, dict[str, int]] = {}
    for provider, rubric_id, count in rows:
        waiting.setdefault(provider, {})[rubric_id] = count
    return waiting


def _paused(now: datetime):  # type: ignore[no-untyped-def]  # a SELECT has no short name
    return select(_pause.c.judge).where(_pause.c.until > now)


def provider_loads(connection: Connection, now: datetime) -> dict[str, ProviderLoad]:
    """What each provider is doing now."""
    leased: dict[str, int] = dict(
        connection.execute(
            select(_judgement.c.provider, func.count())
            .where(_judgement.c.state == JudgementState.LEASED)
            .group_by(_judgement.c.provider)
        ).all()
    )
    recent: dict[str, int] = dict(
        connection.execute(
            select(_judgement.c.provider, func.count())
            .where(_judgement.c.leased_at > now - timedelta(minutes=1))
            .group_by(_judgement.c.provider)
        ).all()
    )
    return {name: ProviderLoad(leased.get(name, 0), recent.get(name, 0)) for name in leased.keys() | recent.keys()}


def leased_of_rubric(connection: Connection, rubric_id: str) -> int:
    """How many judgements under this rubric are under lease."""
    return connection.execute(
        select(func.count()).where(_judgement.c.state == JudgementState.LEASED, _judgement.c.rubric_id == rubric_id)
    ).scalar_one()


def lease(
    connection: Connection,
    *,
    provider: str,
    rubric_id: str,
    limit: int,
    batch_size: int,
    now: datetime,
    until: datetime,
    at_random: bool,
) -> list[tuple[str, list[str]]]:
    """Hand out up to `limit` due judgements: a token and the ids under it per batch, for one worker each.

    At random: by their draw, else oldest first.
    """
    order = _judgement.c.draw if at_random else _judgement.c.due_at
    due = (
        select(_judgement.c.judgement_id)
        .where(
            _judgement.c.state == JudgementState.DUE,
            _judgement.c.provider == provider,
            _judgement.c.rubric_id == rubric_id,
            _judgement.c.due_at <= now,
            _judgement.c.judge.not_in(_paused(now)),
        )
        .order_by(order)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = list(connection.execute(due).scalars())
    batches = [(token_hex(8), ids[start : start + batch_size]) for start in range(0, len(ids), batch_size)]
    for token, of_batch in batches:
        connection.execute(
            update(_judgement)
            .where(_judgement.c.judgement_id.in_(of_batch))
            .values(state=JudgementState.LEASED, lease_token=token, leased_at=now, lease_until=until)
        )
    return batches


def take_up(connection: Connection, ids: Sequence[str], token: str, until: datetime) -> list[Judgement]:
    """Which of these judgements a worker that begins their batch still holds; its lease starts anew."""
    rows = connection.execute(
        update(_judgement)
        .where(
            _judgement.c.judgement_id.in_(ids),
            _judgement.c.lease_token == token,
            _judgement.c.state == JudgementState.LEASED,
        )
        .values(lease_until=until, leases=_judgement.c.leases + 1)
        .returning(_judgement)
    ).mappings()
    return [Judgement.model_validate(dict(row)) for row in rows]


def renew(connection: Connection, token: str, until: datetime) -> None:
    """Hold on to what is left of a batch."""
    connection.execute(
        update(_judgement)
        .where(_judgement.c.lease_token == token, _judgement.c.state == JudgementState.LEASED)
        .values(lease_until=until)
    )


def settle(connection: Connection, settlements: Sequence[Settlement], now: datetime) -> list[Settlement]:
    """Write how judgements ended, where their lease still stands; those that were written.

    A worker that lost its lease writes nothing but what it spent: who holds the token now will.
    """
    held = {
        row.judgement_id: (row.state, row.lease_token)
        for row in connection.execute(
            select(_judgement.c.judgement_id, _judgement.c.state, _judgement.c.lease_token)
            .where(_judgement.c.judgement_id.in_([one.judgement.judgement_id for one in settlements]))
            .order_by(_judgement.c.judgement_id)
            .with_for_update()
        )
    }
    standing = [(one, held.get(one.judgement.judgement_id, ("", None))) for one in settlements]
    ours = [one for one, at in standing if at == (JudgementState.LEASED, one.judgement.lease_token)]
    # ended or due is what a commit whose answer was lost leaves as well: that one has counted its calls
    taken_away = [
        one
        for one, (state, token) in standing
        if state == JudgementState.SUPERSEDED
        or (state == JudgementState.LEASED and token != one.judgement.lease_token)
    ]
    _add_spend(connection, [*ours, *taken_away], now)
    if not ours:
        return []
    verdicts = [as_row(one.verdict) for one in ours if one.verdict is not None]
    if verdicts:
        connection.execute(insert_into(connection, _verdict).on_conflict_do_nothing(), verdicts)
    connection.execute(
        update(_judgement)
        .where(_judgement.c.judgement_id == bindparam("of"))
        .values(
            state=bindparam("new_state"),
            reason=bindparam("new_reason"),
            detail=bindparam("new_detail"),
            due_at=bindparam("new_due_at"),
            attempts=bindparam("new_attempts"),
            leases=bindparam("new_leases"),
            settled_at=bindparam("new_settled_at"),
            lease_token=None,
            lease_until=None,
        ),
        [_settled_row(one, now) for one in ours],
    )
    return ours


def _settled_row(one: Settlement, now: datetime) -> dict[str, object]:
    retried = one.retry_at is not None
    return {
        "of": one.judgement.judgement_id,
        "new_state": one.state,
        "new_reason": one.reason,
        "new_detail": one.detail,
        "new_due_at": one.retry_at or one.judgement.due_at,
        "new_attempts": one.judgement.attempts + (1 if retried and one.failed_call else 0),
        # a worker that gave it back in order was not lost over it
        "new_leases": 0 if retried else one.judgement.leases,
        "new_settled_at": None if retried else now,
    }


def _add_spend(connection: Connection, settlements: Sequence[Settlement], now: datetime) -> None:
    totals: dict[str, tuple[Decimal, int, int]] = {}
    for one in settlements:
        if one.calls:
            usd, unpriced, calls = totals.get(one.judgement.rubric_id, (Decimal(0), 0, 0))
            priced = one.cost_usd is not None
            totals[one.judgement.rubric_id] = (
                usd + (one.cost_usd or Decimal(0)),
                unpriced + (0 if priced else one.calls),
                calls + one.calls,
            )
    if not totals:
        return
    statement = insert_into(connection, _spend)
    add = {name: _spend.c[name] + statement.excluded[name] for name in ("settled_usd", "unpriced_calls", "calls")}
    connection.execute(
        statement.on_conflict_do_update(index_elements=["rubric_id", "day"], set_=add),
        [
            {
                "rubric_id": rubric_id,
                "day": f"{now:%Y-%m-%d}",
                "settled_usd": usd,
                "unpriced_calls": unpriced,
                "calls": calls,
            }
            for rubric_id, (usd, unpriced, calls) in sorted(totals.items())
        ],
    )


def hold_back(connection: Connection, rubric_id: str, now: datetime, *, detail: str, limit: int) -> list[str]:
    """Mark up to `limit` that are due under a rubric as held back by its budget; the events concerned."""
    due = (
        select(_judgement.c.judgement_id)
        .where(
            _judgement.c.state == JudgementState.DUE,
            _judgement.c.rubric_id == rubric_id,
            _judgement.c.due_at <= now,
        )
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    held = connection.execute(
        update(_judgement)
        .where(_judgement.c.judgement_id.in_(due))
        .values(
            state=JudgementState.NOT_EVALUABLE,
            reason=NotEvaluable.BUDGET,
            detail=detail,
            settled_at=now,
        )
        .returning(_judgement.c.event_id)
    )
    return sorted(set(held.scalars()))


def take_up_held_back(connection: Connection, now: datetime) -> None:
    """Make due again what a budget held back on an earlier UTC day."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    connection.execute(
        update(_judgement)
        .where(
            _judgement.c.state == JudgementState.NOT_EVALUABLE,
            _judgement.c.reason == NotEvaluable.BUDGET,
            _judgement.c.settled_at < today,
        )
        .values(state=JudgementState.DUE, reason=None, detail=None, settled_at=None, due_at=now)
    )


def spent_today(connection: Connection, rubric_id: str, now: datetime) -> Decimal:
    """US dollars that judging under a rubric has cost on this UTC day."""
    spent = connection.execute(
        select(_spend.c.settled_usd).where(_spend.c.rubric_id == rubric_id, _spend.c.day == f"{now:%Y-%m-%d}")
    ).scalar_one_or_none()
    return spent if spent is not None else Decimal(0)


def cost_estimate(connection: Connection, rubric_id: str, *, last: int = 50) -> Decimal | None:
    """Mean cost in US dollars of the rubric's last judged runs; None before there are any."""
    recent = (
        select(_verdict.c.cost_usd)
        .where(_verdict.c.rubric_id == rubric_id, _verdict.c.cost_usd.is_not(None), _verdict.c.calls > 0)
        .order_by(_verdict.c.created_at.desc())
        .limit(last)
    )
    costs = list(connection.execute(recent).scalars())
    return sum(costs, Decimal(0)) / len(costs) if costs else None


def cached_verdicts(
    connection: Connection, keys: Collection[tuple[str, str, int]]
) -> dict[tuple[str, str, int], Verdict]:
    """Verdicts by (content hash, fingerprint, repeat): equal content is not judged twice."""
    hashes = {content_hash for content_hash, _, _ in keys}
    fingerprints = {fingerprint for _, fingerprint, _ in keys}
    rows = connection.execute(
        select(_verdict).where(_verdict.c.content_hash.in_(hashes), _verdict.c.fingerprint.in_(fingerprints))
    ).mappings()
    found = {(row["content_hash"], row["fingerprint"], row["repeat"]): row for row in rows}
    return {key: Verdict.model_validate(dict(row)) for key, row in found.items() if key in keys}


def pause_judge(
    connection: Connection, *, judge: str, reason: str, detail: str, now: datetime, until: datetime
) -> None:
    """Stop handing out work for a judge until a time."""
    statement = insert_into(connection, _pause)
    fresh = {name: statement.excluded[name] for name in ("reason", "detail", "until")}
    connection.execute(
        statement.on_conflict_do_update(index_elements=["judge"], set_=fresh),
        {"judge": judge, "reason": reason, "detail": detail, "since": now, "until": until},
    )


def resume_judges(connection: Connection, judges: Collection[str] | None = None) -> int:
    """Lift pauses (all, or of these judges); how many there were. What waited for their end is due at once."""
    paused = select(_pause.c.judge)
    if judges is not None:
        paused = paused.where(_pause.c.judge.in_(judges))
    lifted = list(connection.execute(paused).scalars())
    connection.execute(
        update(_judgement)
        .where(_judgement.c.state == JudgementState.DUE, _judgement.c.judge.in_(lifted))
        .values(due_at=utc_now())
    )
    return connection.execute(_pause.delete().where(_pause.c.judge.in_(lifted))).rowcount


def retry_not_evaluable(connection: Connection, reasons: Collection[NotEvaluable], now: datetime) -> int:
    """Make due again what ended for one of these reasons; how many."""
    return connection.execute(
        update(_judgement)
        .where(
            _judgement.c.state == JudgementState.NOT_EVALUABLE,
            _judgement.c.reason.in_(reasons),
        )
        .values(
            state=JudgementState.DUE, reason=None, detail=None, settled_at=None, attempts=0, leases=0, due_at=now
        )
    ).rowcount


def release_all(connection: Connection, now: datetime, *, tokens: Collection[str] | None = None) -> int:
    """Make due what is under lease (all of it, or under these tokens); how many."""
    held = _judgement.c.state == JudgementState.LEASED
    if tokens is not None:
        held = and_(held, _judgement.c.lease_token.in_(tokens))
    return connection.execute(
        update(_judgement)
        .where(held)
        .values(state=JudgementState.DUE, due_at=now, lease_token=None, lease_until=None)
    ).rowcount
