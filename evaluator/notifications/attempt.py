"""How one attempt to deliver a message went."""

from __future__ import annotations

from dataclasses import dataclass

SECONDS = 10.0
"""How long one attempt may take."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Whether the message arrived; if not, why, and whether another attempt makes sense."""

    arrived: bool
    detail: str
    """For people: a status or the kind of error, never what the other side wrote."""
    may_try_again: bool = True
