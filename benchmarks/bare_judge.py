"""The limit judging is measured against: a bare `litellm.acompletion` loop, nothing stored.

Reads one JSON line {"api_base", "messages": […], "schema", "concurrency"} and prints seconds and CPU seconds.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm

litellm.telemetry = False
litellm.suppress_debug_info = True


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def run(task: dict[str, Any]) -> dict[str, float]:
    """Every message list once, `concurrency` at a time; wall and CPU seconds after a warm-up call."""
    slots = asyncio.Semaphore(task["concurrency"])

    async def call(messages: list[dict[str, str]]) -> None:
        async with slots:
            response = await litellm.acompletion(
                model="openai/stub",
                api_base=task["api_base"],
                api_key="none",
                messages=messages,
                temperature=0.0,
                max_tokens=1024,
                num_retries=0,
                response_format={
                    "type": "json_schema",
                    "json_schema": {"name": "verdict", "schema": task["schema"], "strict": True},
                },
            )
            json.loads(response.choices[0].message.content)

    await call(task["messages"][0])
    wall, cpu = time.perf_counter(), cpu_seconds()
    await asyncio.gather(*[call(messages) for messages in task["messages"]])
    return {"seconds": time.perf_counter() - wall, "cpu_seconds": cpu_seconds() - cpu}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(json.loads(sys.stdin.readline())))), flush=True)
