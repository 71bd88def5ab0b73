"""An event's signals → its outcome: system of record before human before judge, the newest within each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from evaluator.model.outcome import (
    DecidedBy,
    FinalOutcome,
    OutcomeType,
    Resolution,
    Signal,
    SignalSource,
)
from evaluator.model.rollup import RollupVerdict
from evaluator.model.rubric import Rubric
from evaluator.model.verdict import VerdictLabel

_STRONGEST_FIRST = (SignalSource.SOR, SignalSource.HUMAN, SignalSource.JUDGE)


def resolve(signals: Sequence[Signal]) -> Resolution:
    """What all signals of one event resolve to, whatever their order and however often each is given.

    Within a source the newest standing signal decides, by when it occurred, then by when it was recorded. Each
    origin (a system, a person, a rubric) speaks by its newest signal; one of pending takes back what that origin
    said, and nothing that another said.
    """
    for source in _STRONGEST_FIRST:
        newest = max(_standing(signals, source), key=_age, default=None)
        if newest is not None:
            return Resolution(
                final_outcome=newest.outcome,
                outcome_type=newest.outcome_type,
                decided_by=DecidedBy(source.value),
                signal_id=newest.signal_id,
                value_amount=newest.value_amount,
                value_currency=newest.value_currency,
                reason=_reason(newest),
            )
    return Resolution(
        reason="What was reported has been taken back." if signals else "Nothing has been reported yet."
    )


def resolve_as_known_at(signals: Sequence[Signal], at: datetime) -> Resolution:
    """What the signals recorded up to and including that time resolve to; the time is aware."""
    return resolve([signal for signal in signals if signal.recorded_at <= at])


def judge_signal(rollup: RollupVerdict, rubric: Rubric) -> tuple[FinalOutcome, OutcomeType] | None:
    """What a rollup says of the event's outcome, or None where it says nothing.

    That is: unknown, without coverage, or under a rubric of role quality. Where an earlier rollup did say something,
    None does not take it back; a signal of pending does.
    """
    if rollup.coverage == 0:
        return None
    # Out of the database the verdict is a plain string.
    mapping = rubric.mapping_for(VerdictLabel(rollup.verdict))
    return None if mapping is None else (mapping.outcome, mapping.type)


def _standing(signals: Sequence[Signal], source: SignalSource) -> list[Signal]:
    by_origin: dict[str, Signal] = {}
    for signal in sorted((each for each in signals if each.source == source), key=_age):
        by_origin[signal.origin] = signal
    return [signal for signal in by_origin.values() if signal.outcome != FinalOutcome.PENDING]


def _age(signal: Signal) -> tuple[datetime, datetime, str]:
    return signal.occurred_at, signal.recorded_at, signal.signal_id


def _reason(signal: Signal) -> str:
    day = signal.occurred_at.astimezone(UTC).date()
    match signal.source:
        case SignalSource.SOR:
            # Connectors are named in lower case; in a sentence they are names.
            who = signal.origin[:1].upper() + signal.origin[1:] or "A system of record"
            return f"{who} reported {signal.outcome} on {day}."
        case SignalSource.HUMAN:
            return f"{signal.reported_by or signal.origin or 'A reviewer'} decided {signal.outcome} on {day}."
        case SignalSource.JUDGE:
            who = f"The judge under {signal.origin}" if signal.origin else "The judge"
            return f"{who} found {signal.outcome} on {day}."
