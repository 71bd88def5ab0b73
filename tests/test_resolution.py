"""The strongest standing signal decides, however signals arrive."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.model.outcome import DecidedBy, FinalOutcome, OutcomeType, Resolution, Signal, SignalSource
from evaluator.model.rollup import RollupRule, RollupVerdict
from evaluator.model.rubric import Criterion, OutcomeMapping, Role, Rubric
from evaluator.model.verdict import VerdictLabel
from evaluator.resolution import judge_signal, resolve, resolve_as_known_at

START = datetime(2026, 3, 1, tzinfo=UTC)
SOR, HUMAN, JUDGE = SignalSource.SOR, SignalSource.HUMAN, SignalSource.JUDGE
SUCCESS, FAILED, PENDING = FinalOutcome.SUCCESS, FinalOutcome.FAILED, FinalOutcome.PENDING

sources = st.sampled_from(SignalSource)
outcomes = st.sampled_from(FinalOutcome)
hours = st.integers(0, 5)


def signal(
    source: SignalSource,
    outcome: FinalOutcome,
    hour: int = 0,
    *,
    recorded: int | None = None,
    origin: str = "",
    signal_id: str | None = None,
) -> Signal:
    recorded = hour if recorded is None else recorded
    return Signal(
        signal_id=signal_id or f"{source}-{outcome}-{hour}-{recorded}",
        event_id="ticket-1",
        source=source,
        outcome=outcome,
        origin=origin,
        occurred_at=START + timedelta(hours=hour),
        recorded_at=START + timedelta(hours=recorded),
    )


signals = st.lists(
    st.builds(
        lambda source, outcome, hour, recorded: signal(source, outcome, hour, recorded=recorded),
        sources,
        outcomes,
        hours,
        hours,
    ),
    max_size=8,
)


def decided(*given_signals: Signal) -> tuple[FinalOutcome, DecidedBy]:
    resolution = resolve(given_signals)
    return resolution.final_outcome, resolution.decided_by


def test_without_signals_the_outcome_is_pending_and_nobody_decided() -> None:
    assert resolve([]) == Resolution(reason="Nothing has been reported yet.")
    assert decided() == (PENDING, DecidedBy.NONE)


def test_a_human_outranks_the_judge_and_a_system_of_record_outranks_both_however_old() -> None:
    judge, human, sor = signal(JUDGE, FAILED, 5), signal(HUMAN, FinalOutcome.PARTIAL, 3), signal(SOR, SUCCESS, 0)
    assert decided(judge) == (FAILED, DecidedBy.JUDGE)
    assert decided(judge, human) == (FinalOutcome.PARTIAL, DecidedBy.HUMAN)
    assert decided(judge, human, sor) == (SUCCESS, DecidedBy.SOR)


def test_a_reopened_ticket_reverses_the_success_by_a_newer_signal() -> None:
    assert decided(signal(SOR, SUCCESS, 1), signal(SOR, FAILED, 2)) == (FAILED, DecidedBy.SOR)


def test_a_late_delivery_of_something_older_reverses_nothing() -> None:
    assert decided(signal(SOR, SUCCESS, 2), signal(SOR, FAILED, 1, recorded=3)) == (SUCCESS, DecidedBy.SOR)


def test_of_two_that_occurred_at_once_the_later_recorded_speaks() -> None:
    assert decided(signal(SOR, SUCCESS, 1, recorded=3), signal(SOR, FAILED, 1, recorded=2)) == (
        SUCCESS,
        DecidedBy.SOR,
    )


def test_of_two_at_the_same_moment_the_id_decides() -> None:
    one, other = signal(SOR, SUCCESS, signal_id="b"), signal(SOR, FAILED, signal_id="a")
    assert resolve([one, other]).signal_id == resolve([other, one]).signal_id == "b"


def test_a_source_that_takes_back_what_it_said_stands_aside() -> None:
    judge, success, withdrawn = signal(JUDGE, FAILED), signal(SOR, SUCCESS, 1), signal(SOR, PENDING, 2)
    assert decided(judge, success, withdrawn) == (FAILED, DecidedBy.JUDGE)
    assert decided(success, withdrawn) == (PENDING, DecidedBy.NONE)
    assert resolve([success, withdrawn]).reason == "What was reported has been taken back."
    assert decided(success, withdrawn, signal(SOR, FAILED, 3)) == (FAILED, DecidedBy.SOR)


def test_what_one_system_takes_back_leaves_standing_what_another_said() -> None:
    paid = signal(SOR, SUCCESS, 1, origin="stripe")
    solved, reopened = signal(SOR, SUCCESS, 2, origin="zendesk"), signal(SOR, PENDING, 3, origin="zendesk")
    assert resolve([paid, solved, reopened]).signal_id == paid.signal_id
    refunded = signal(SOR, FAILED, 4, origin="stripe")
    assert decided(paid, solved, reopened, refunded) == (FAILED, DecidedBy.SOR)


def test_type_value_and_currency_are_the_deciding_signals() -> None:
    sale = Signal(
        signal_id="s1",
        event_id="order-1",
        source=SOR,
        outcome=SUCCESS,
        outcome_type=OutcomeType.CUSTOM,
        value_amount=Decimal("12.50"),
        value_currency="EUR",
    )
    resolution = resolve([signal(JUDGE, FAILED), sale])
    assert (resolution.outcome_type, resolution.value_amount, resolution.value_currency, resolution.signal_id) == (
        OutcomeType.CUSTOM,
        Decimal("12.50"),
        "EUR",
        "s1",
    )
    assert resolve([signal(JUDGE, SUCCESS)]).outcome_type is OutcomeType.PENDING


@pytest.mark.parametrize(
    ("source", "origin", "reason"),
    [
        (SOR, "zendesk", "Zendesk reported success on 2026-03-01."),
        (SOR, "", "A system of record reported success on 2026-03-01."),
        (HUMAN, "alice@example.org", "alice@example.org decided success on 2026-03-01."),
        (HUMAN, "", "A reviewer decided success on 2026-03-01."),
        (JUDGE, "support-resolution", "The judge under support-resolution found success on 2026-03-01."),
        (JUDGE, "", "The judge found success on 2026-03-01."),
    ],
)
def test_the_reason_says_who_said_what_and_when(source: SignalSource, origin: str, reason: str) -> None:
    assert resolve([signal(source, SUCCESS, origin=origin)]).reason == reason


def test_what_was_known_at_a_time_goes_by_when_signals_were_recorded() -> None:
    history = [signal(JUDGE, FAILED, 1), signal(SOR, SUCCESS, 0, recorded=4)]
    known = [resolve_as_known_at(history, START + timedelta(hours=hour)).final_outcome for hour in (0, 1, 3, 4)]
    assert known == [PENDING, FAILED, FAILED, SUCCESS]


@given(signals.flatmap(lambda some: st.tuples(st.just(some), st.permutations(some + some[:3]))))
def test_neither_order_nor_duplicates_matter(case: tuple[list[Signal], list[Signal]]) -> None:
    once, shuffled_and_doubled = case
    assert resolve(shuffled_and_doubled) == resolve(once)


@given(signals)
def test_only_signals_of_the_deciding_source_matter(some: list[Signal]) -> None:
    resolution = resolve(some)
    deciding = [each for each in some if each.source.value == resolution.decided_by.value]
    if deciding:
        assert resolve(deciding) == resolution


@given(signals, outcomes.filter(lambda outcome: outcome is not PENDING))
def test_a_newer_signal_of_a_system_of_record_always_decides(some: list[Signal], outcome: FinalOutcome) -> None:
    assert decided(*some, signal(SOR, outcome, 6)) == (outcome, DecidedBy.SOR)


@given(signals, sources)
def test_a_source_that_took_everything_back_might_as_well_have_said_nothing(
    some: list[Signal], source: SignalSource
) -> None:
    others = [each for each in some if each.source is not source]
    assert decided(*some, signal(source, PENDING, 6)) == decided(*others)


@given(signals)
def test_at_the_end_everything_is_known(some: list[Signal]) -> None:
    assert resolve_as_known_at(some, START + timedelta(hours=5)) == resolve(some)


def rubric(role: Role, outcome: dict[VerdictLabel, OutcomeMapping] | None = None) -> Rubric:
    return Rubric(
        id="r", title="Solved?", role=role, criteria=(Criterion(id="c", ask="Solved?"),), outcome=outcome or {}
    )


def rollup(verdict: VerdictLabel, coverage: float = 1.0) -> RollupVerdict:
    return RollupVerdict(rule=RollupRule.LAST_RUN, verdict=verdict, coverage=coverage)


def test_a_rollup_speaks_as_its_rubric_maps_it() -> None:
    deflected = OutcomeMapping(outcome=SUCCESS, type=OutcomeType.DEFLECTED)
    mapped = rubric(Role.OUTCOME, {VerdictLabel.PASS: deflected})
    assert judge_signal(rollup(VerdictLabel.PASS), mapped) == (SUCCESS, OutcomeType.DEFLECTED)
    assert judge_signal(rollup(VerdictLabel.FAIL), mapped) == (FAILED, OutcomeType.UNSUCCESSFUL)


@pytest.mark.parametrize("verdict", VerdictLabel)
def test_a_quality_rubric_says_nothing_of_the_outcome(verdict: VerdictLabel) -> None:
    assert judge_signal(rollup(verdict), rubric(Role.QUALITY)) is None


def test_unknown_and_uncovered_rollups_say_nothing() -> None:
    assert judge_signal(rollup(VerdictLabel.UNKNOWN), rubric(Role.OUTCOME)) is None
    assert judge_signal(rollup(VerdictLabel.PASS, coverage=0), rubric(Role.OUTCOME)) is None
