"""What an event cost and what came back: pure arithmetic on US dollars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class EventCost:
    """The cost of an event: all its runs, failed ones too; US dollars."""

    total: Decimal | None
    """None when any run is unpriced: a sum with a hole in it would pass for the whole."""
    priced_part: Decimal
    """The sum over the runs that have a price: what was spent at least."""
    unpriced_runs: int


def cost_of_event(costs: Sequence[Decimal | None]) -> EventCost:
    """The cost of an event from the cost of each of its runs, None for a run that is unpriced."""
    priced = [cost for cost in costs if cost is not None]
    unpriced_runs = len(costs) - len(priced)
    priced_part = sum(priced, Decimal(0))
    return EventCost(None if unpriced_runs else priced_part, priced_part, unpriced_runs)


def return_on_investment(value: Decimal | None, cost: Decimal | None) -> Decimal | None:
    """(value − cost) ÷ cost × 100, in percent and unrounded; both in US dollars.

    None where nothing was reported, where the cost is unknown, and where it is not above 0.
    """
    if value is None or cost is None or cost <= 0:
        return None
    return (value - cost) / cost * 100
