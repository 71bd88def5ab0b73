"""How many judgements may be handed out now: concurrency, rate and fairness between rubrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

HANDED_OUT_PER_SLOT = 10
"""Judgements under lease per call that may run at once: enough that no slot idles between two ticks."""

BATCH_SIZE = 50


@dataclass(frozen=True)
class ProviderLoad:
    """What a provider is doing: judgements under lease, and those leased in the last minute."""

    leased: int = 0
    leased_last_minute: int = 0


def allowance(load: ProviderLoad, *, concurrency: int, calls_per_minute: int) -> int:
    """How many more judgements a provider may be given now; 0 for calls_per_minute means no rate limit.

    None until a batch is worth it: handing out each one that comes free would fill the queue with batches of one.
    """
    most = concurrency * HANDED_OUT_PER_SLOT
    room = most - load.leased
    if room < min(BATCH_SIZE, most // 2):
        return 0
    if calls_per_minute:
        room = min(room, calls_per_minute - load.leased_last_minute)
    return max(room, 0)


def fair_shares(waiting: Mapping[str, int], room: int) -> dict[str, int]:
    """Split room over groups: equal shares, and what one does not need goes to the others.

    The sum is min(room, all that waits); no group gets more than it has waiting.
    """
    shares = dict.fromkeys(waiting, 0)
    open_groups = sorted(
        (group for group in waiting if waiting[group] > 0), key=lambda group: (waiting[group], group)
    )
    left = room
    for place, group in enumerate(open_groups):
        shares[group] = min(waiting[group], -(-left // (len(open_groups) - place)) if left > 0 else 0)
        left -= shares[group]
    return shares


def affordable(*, budget: Decimal, spent: Decimal, leased: int, estimate: Decimal | None, wanted: int) -> int:
    """How many of `wanted` judgements the rest of a day's budget pays for.

    Those under lease count as reserved at the estimate. Without an estimate (nothing judged yet) one
    at a time is handed out until there is one; an estimate of 0 (a free judge) is never held back.
    """
    if spent >= budget:
        return 0
    if estimate is None:
        return 0 if leased else min(wanted, 1)
    if estimate == 0:
        return wanted
    return max(0, min(wanted, int((budget - spent) / estimate) - leased))


def is_exhausted(*, budget: Decimal, spent: Decimal, estimate: Decimal | None) -> bool:
    """Whether the day's budget cannot pay for one more judgement, nothing being under lease."""
    return spent >= budget or (estimate is not None and estimate > 0 and budget - spent < estimate)
