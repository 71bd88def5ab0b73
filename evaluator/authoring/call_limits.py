"""What holds a backtest's calls back: the money that may be spent, and the calls a minute may have."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import suppress
from decimal import Decimal


class Purse:
    """What may be spent: a call begins only where its most would still fit."""

    def __init__(self, most: Decimal | None, spent: Decimal) -> None:
        self.most = most
        self.spent = spent
        self._reserved = Decimal(0)

    async def reserve(self, amount: Decimal, stopping: asyncio.Event) -> bool:
        """Whether the amount fits, once other calls have settled for less than they might have cost."""
        if self.most is None:
            return True
        while self.spent + self._reserved + amount > self.most:
            if not self._reserved or stopping.is_set():
                return False
            await asyncio.sleep(0.02)
        self._reserved += amount
        return True

    def settle(self, amount: Decimal, cost: Decimal | None) -> None:
        """A call has ended and cost this much."""
        if self.most is not None:
            self._reserved -= amount
        self.spent += cost or Decimal(0)


class Pace:
    """At most so many calls in any minute; 0: no limit."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._begun: deque[float] = deque()

    async def wait(self, stopping: asyncio.Event) -> bool:
        """Whether the next call may begin; False where the backtest stops first."""
        while self._most and len(self._begun) >= self._most:
            left = self._begun[0] + 60 - time.monotonic()
            if left <= 0:
                self._begun.popleft()
                continue
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), left)
            if stopping.is_set():
                return False
        if self._most:
            self._begun.append(time.monotonic())
        return True
