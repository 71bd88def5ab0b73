"""One call of a tool, and when two tellings of a call are the same one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from evaluator.capture.captured_text import LOST
from evaluator.model.capture import Fidelity

LOOKED_AT = 200
"""Calls of one id or name among which the same one is looked for: it is nearly always the first that is left."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call as one span or message tells it; what it does not tell is None, and a result may come without its name."""

    name: str = ""
    call_id: str = ""
    arguments: Any = None
    result: Any = None
    error: str | None = None
    at_ns: int = 0
    """Nanoseconds since 1970."""
    span_id: str | None = None
    dialect: str | None = None
    fidelity: Fidelity = Fidelity.FULL

    def plain(self) -> dict[str, Any]:
        """Name, arguments, result and error, without those that were not told."""
        parts = {"name": self.name, "arguments": self.arguments, "result": self.result, "error": self.error}
        return {part: value for part, value in parts.items() if value is not None}


def is_same(one: ToolCall, other: ToolCall) -> bool:
    """Whether both tell of one call: equal ids, else equal names; and arguments that do not differ.

    Ids alone do not do: some models number the calls of each answer anew.
    """
    if one.call_id and other.call_id:
        named = one.call_id == other.call_id and (one.name == other.name or not one.name or not other.name)
    else:
        named = bool(one.name) and one.name == other.name
    return named and (
        one.arguments is None
        or other.arguments is None
        or one.arguments == other.arguments
        or Fidelity.TRUNCATED in (one.fidelity, other.fidelity)
    )


def completed(call: ToolCall, other: ToolCall) -> ToolCall:
    """The call with what it lacks from another telling of it."""
    lacking: dict[str, Any] = {}
    for part in ("name", "call_id"):
        if not getattr(call, part):
            lacking[part] = getattr(other, part)
    if call.arguments is None:
        lacking["arguments"] = other.arguments
    if call.result is None and call.error is None:
        lacking |= {"result": other.result, "error": other.error}
    taken = {part: value for part, value in lacking.items() if value is not None and value != ""}
    if not taken:
        return call
    return replace(call, **taken, fidelity=max(call.fidelity, other.fidelity, key=LOST.__getitem__))


def told_again(known: Sequence[ToolCall], again: Iterable[ToolCall]) -> list[ToolCall]:
    """The known calls, completed by a telling that repeats them in order, and then the ones it adds."""
    merged = list(known)
    left = _Left(known)
    for call in again:
        place = left.take_same(call)
        if place is None:
            merged.append(call)
        else:
            merged[place] = completed(merged[place], call)
    return merged


def joined(executed: Sequence[ToolCall], asked_for: Iterable[ToolCall]) -> list[ToolCall]:
    """Calls as they were executed, completed by what models asked for, and then those that only a model tells of.

    What is not told alike on both sides is matched by name, in order: frameworks wrap arguments and leave out ids.
    """
    merged = list(executed)
    left = _Left(executed)
    rest: list[ToolCall] = []
    for call in asked_for:
        place = left.take_same(call)
        if place is None:
            rest.append(call)
        else:
            merged[place] = completed(merged[place], call)
    for call in rest:
        place = left.take_named(call)
        if place is None:
            merged.append(call)
        else:
            merged[place] = completed(merged[place], call)
    return merged


class _Left:
    """Which calls of a list have not been matched yet, found by id or name without looking at all of them."""

    def __init__(self, calls: Sequence[ToolCall]) -> None:
        self._calls = calls
        self._by_id: dict[str, dict[int, None]] = {}
        self._by_name: dict[str, dict[int, None]] = {}
        for place, call in enumerate(calls):
            self._by_name.setdefault(call.name, {})[place] = None
            if call.call_id:
                self._by_id.setdefault(call.call_id, {})[place] = None

    def take_same(self, call: ToolCall) -> int | None:
        """The place of the first one left that is the same call."""
        if call.call_id:
            for place in islice(self._by_id.get(call.call_id, ()), LOOKED_AT):
                if is_same(self._calls[place], call):
                    return self._taken(place)
        for place in islice(self._by_name.get(call.name, ()), LOOKED_AT):
            if not (call.call_id and self._calls[place].call_id) and is_same(self._calls[place], call):
                return self._taken(place)
        return None

    def take_named(self, call: ToolCall) -> int | None:
        """The place of the first one left of this name whose id does not contradict."""
        for place in islice(self._by_name.get(call.name, ()), LOOKED_AT) if call.name else ():
            if not (call.call_id and self._calls[place].call_id):
                return self._taken(place)
        return None

    def _taken(self, place: int) -> int:
        call = self._calls[place]
        del self._by_name[call.name][place]
        if call.call_id:
            del self._by_id[call.call_id][place]
        return place
