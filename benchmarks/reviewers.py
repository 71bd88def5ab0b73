"""Simulated reviewers in one process: each claims, thinks and answers until nothing is left or the time is up.

`python -m benchmarks.reviewers` reads one JSON task from stdin and writes one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import random
import ssl
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx

ANSWERS = {"solves": "fail", "kind": "pass"}


@dataclass
class Heard:
    """What all reviewers of this process did."""

    claims: list[float] = field(default_factory=list)
    """Seconds each claim took."""
    submits: list[float] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    """Of each acknowledged review, the item."""
    reviews: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    seconds: float = 0.0


async def _timed(client: httpx.AsyncClient, path: str, body: Any, key: str, into: list[float]) -> httpx.Response:
    """The answer; a request whose connection the server had just let go is sent again, as any may be."""
    began = time.perf_counter()
    while True:
        try:
            answer = await client.post(path, json=body, headers={"x-api-key": key})
        except (httpx.ReadError, httpx.RemoteProtocolError):
            continue
        into.append(time.perf_counter() - began)
        return answer


async def _review(client: httpx.AsyncClient, key: str, heard: Heard, think: float, until: float) -> None:
    await asyncio.sleep(random.uniform(0, think))
    while time.perf_counter() < until:
        found = await _timed(client, "/v1/review/next", {}, key, heard.claims)
        if found.status_code == 503:
            await asyncio.sleep(0.2)
            continue
        held = found.json()
        if found.status_code != 200 or held["claim"] is None:
            heard.claims.pop()
            if found.status_code != 200:
                heard.failed.append(found.text[:300])
            return
        await asyncio.sleep(random.uniform(0, 2 * think))
        sheet = held["sheet"]
        body = {
            "token": held["claim"]["token"],
            "form_key": sheet["form_key"],
            "rubric_version": sheet["rubric"]["version"],
            "shown": sheet["shown"],
            "answers": ANSWERS,
            "active_ms": 5,
        }
        item = held["claim"]["item_id"]
        while True:
            told = await _timed(client, f"/v1/review/items/{item}/verdict", body, key, heard.submits)
            if told.status_code != 503:
                break
            await asyncio.sleep(0.2)
        if told.status_code != 200:
            heard.failed.append(told.text[:300])
            return
        heard.items.append(item)
        heard.reviews.append(told.json()["review"]["review_id"])


async def _bare(client: httpx.AsyncClient, holder: str, heard: Heard, _think: float, until: float) -> None:
    while time.perf_counter() < until:
        found = await _timed(client, "/next", {"holder": holder}, holder, heard.claims)
        slot = found.json()["slot"]
        if slot is None:
            heard.claims.pop()
            return
        body = {"slot": slot, "holder": holder, "note": "solves=fail; kind=pass"}
        await _timed(client, "/verdict", body, holder, heard.submits)
        heard.items.append(str(slot))


async def _all(task: dict[str, Any]) -> Heard:
    heard = Heard()
    each = _bare if task["bare"] else _review
    until = time.perf_counter() + task["seconds"]
    context = ssl.create_default_context()

    async def one(place: int, key: str) -> None:
        url = task["urls"][place % len(task["urls"])]
        # a client each: one with 200 connections looks through all of them at every request
        async with httpx.AsyncClient(base_url=url, timeout=120, verify=context) as client:
            await each(client, key, heard, task["think"], until)

    began = time.perf_counter()
    await asyncio.gather(*(one(place, key) for place, key in enumerate(task["keys"])))
    heard.seconds = time.perf_counter() - began
    return heard


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(_all(json.loads(sys.stdin.readline()))))))
