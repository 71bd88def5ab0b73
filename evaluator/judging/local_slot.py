"""The local server's one slot: it keeps a rubric's unchanging instructions read, so each run costs only its own text.

Reading a prompt is half of what a judgement costs on a small machine, and most of a prompt is the rubric. A server
that reuses whatever prompt it happens to hold answers differently in the last digits, because the reused part ends
elsewhere each time. So before each call the slot is brought to hold exactly the system message: the boundary
then lies always at the same token, and equal calls get equal replies whatever was judged in between.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from weakref import WeakKeyDictionary

from evaluator.judging.llm import LlmCall, LlmReply, complete

_NEXT_USER_MESSAGE = "."
"""Begins with a token that no judged run begins with: runs begin with the letter of a delimiter."""

_slots: WeakKeyDictionary[asyncio.AbstractEventLoop, LocalSlot] = WeakKeyDictionary()


class LocalSlot:
    """What the server at one address holds, as this process left it; one call at a time."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._held: tuple[str | None, str] | None = None

    async def complete(self, call: LlmCall) -> LlmReply:
        """The reply to a call, from a slot that holds its system message and nothing else."""
        async with self._turn:
            system = call.messages[0]
            await self._hold(call, system)
            return await complete(replace(call, extra_body={"cache_prompt": True}))

    async def _hold(self, call: LlmCall, system: dict[str, str]) -> None:
        wanted = (call.api_base, system["content"])
        known, self._held = self._held == wanted, None
        await complete(
            replace(
                call,
                messages=(system, {"role": "user", "content": _NEXT_USER_MESSAGE}),
                max_tokens=1,
                # another rubric's instructions may begin alike: the first reading is always a whole one
                extra_body={"cache_prompt": known},
            )
        )
        self._held = wanted


def local_slot() -> LocalSlot:
    """This event loop's slot."""
    loop = asyncio.get_running_loop()
    slot = _slots.get(loop)
    if slot is None:
        slot = _slots[loop] = LocalSlot()
    return slot
