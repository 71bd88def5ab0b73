"""Cassettes: what makes two calls the same, and what is kept of one."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from evaluator.errors import Malformed, Misconfigured
from evaluator.judging.cassette import Cassette, NotRecorded, call_key
from evaluator.judging.judge import Caller
from evaluator.judging.llm import LlmCall, LlmReply, Prices

CALL = LlmCall(
    model="openai/x",
    messages=({"role": "system", "content": "Grade."}, {"role": "user", "content": "Überall “so” <b>"}),
    schema={"type": "object"},
    temperature=0.0,
    max_tokens=100,
    timeout=60,
    seed=0,
    api_base="http://10.0.0.1/v1",
    api_key="sk-secret",
)
REPLY = LlmReply("{}", "stop", None, 10, 2, Decimal("0.0000012"), 5.0, "x-2026")


def called(caller: Caller, call: LlmCall) -> LlmReply:
    async def reply() -> LlmReply:
        return await caller(call)

    return asyncio.run(reply())


class Judge:
    """Answers each call with the next reply and counts them."""

    def __init__(self, *replies: LlmReply) -> None:
        self.replies = list(replies)
        self.calls = 0

    async def __call__(self, call: LlmCall) -> LlmReply:
        self.calls += 1
        return self.replies.pop(0)


def recorded(path: Path, *calls: tuple[str, LlmCall], replies: tuple[LlmReply, ...] = ()) -> Judge:
    judge = Judge(*(replies or [REPLY] * len(calls)))
    cassette = Cassette.read(path)
    for example, call in calls:
        called(cassette.recording("local/x", example=example, judge="default", caller=judge), call)
    cassette.save(["b", "a"], answered={example for example, _ in calls})
    return judge


def replayed(path: Path, call: LlmCall = CALL, label: str = "local/x") -> LlmReply:
    return called(Cassette.read(path).replaying(label), call)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tapes" / "r.jsonl"


def test_a_reply_comes_back_as_it_was_but_for_its_time(path: Path) -> None:
    recorded(path, ("a", CALL))
    assert replayed(path) == replace(REPLY, latency_ms=0.0, model="local/x")


def test_an_unknown_price_stays_unknown(path: Path) -> None:
    recorded(path, ("a", CALL), replies=(replace(REPLY, cost_usd=None),))
    assert replayed(path).cost_usd is None


@pytest.mark.parametrize(
    "change",
    [
        {"messages": (CALL.messages[0], {"role": "user", "content": "Other"})},
        {"schema": {"type": "array"}},
        {"temperature": 0.7},
        {"max_tokens": 101},
        {"seed": 1},
    ],
)
def test_whatever_a_reply_depends_on_makes_another_call(change: dict[str, Any], path: Path) -> None:
    recorded(path, ("a", CALL))
    with pytest.raises(NotRecorded):
        replayed(path, replace(CALL, **change))


def test_another_model_makes_another_call(path: Path) -> None:
    recorded(path, ("a", CALL))
    with pytest.raises(NotRecorded, match="other options"):
        replayed(path, label="openai/other")


def test_where_and_with_which_key_a_model_is_reached_does_not_count() -> None:
    elsewhere = replace(CALL, api_base=None, api_key=None, timeout=5, prices=Prices(Decimal(1), Decimal(2)))
    assert call_key(elsewhere, "local/x") == call_key(CALL, "local/x")


def test_neither_key_nor_address_is_kept_and_messages_can_be_read(path: Path) -> None:
    recorded(path, ("a", CALL))
    text = path.read_text(encoding="utf-8")
    assert "secret" not in text
    assert "10.0.0.1" not in text
    assert "Überall “so” <b>".replace('"', '\\"') in text


def test_equal_calls_are_made_once_and_paid_once(path: Path) -> None:
    judge = recorded(path, ("a", CALL), ("b", CALL))
    assert judge.calls == 1
    assert len(lines(path)) == 1


def test_lines_stand_in_the_order_of_the_examples(path: Path) -> None:
    second = replace(CALL, seed=1)
    other = replace(CALL, max_tokens=99)
    recorded(path, ("a", second), ("a", CALL), ("b", other))
    assert [(each["example"], each["seed"]) for each in lines(path)] == [("b", 0), ("a", 0), ("a", 1)]


def test_a_file_is_the_same_bytes_when_nothing_changed(path: Path) -> None:
    recorded(path, ("a", CALL), ("b", replace(CALL, seed=1)))
    before = path.read_bytes()
    recorded(path, ("b", replace(CALL, seed=1)), ("a", CALL))
    assert path.read_bytes() == before


def test_recording_with_another_model_leaves_nothing_of_the_first(path: Path) -> None:
    recorded(path, ("a", CALL), ("b", replace(CALL, seed=1)))
    cassette = Cassette.read(path)
    other = Judge(REPLY)
    called(cassette.recording("openai/other", example="a", judge="default", caller=other), CALL)
    cassette.save(["a", "b"], answered={"a"})
    assert [each["model"] for each in lines(path)] == ["openai/other"]
    assert Cassette.read(path).label_of("default") == "openai/other"


def test_half_a_character_pair_in_a_reply_is_no_obstacle(path: Path) -> None:
    recorded(path, ("a", CALL), replies=(replace(REPLY, text="a\ud800b\u2028c"),))
    assert replayed(path).text == "a?b\u2028c"


@pytest.mark.parametrize("line", ["{", "[]", '{"example": "a"}', '"x"', "\x00"])
def test_a_line_that_is_no_call_is_told_with_its_place(line: str, path: Path) -> None:
    recorded(path, ("a", CALL))
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    with pytest.raises(Malformed, match=r"r\.jsonl:2 is no recorded call"):
        Cassette.read(path)


def test_a_file_that_is_no_text_is_told(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(Malformed, match="cannot be read: it is not text in UTF-8"):
        Cassette.read(path)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cassette = Cassette.read(tmp_path / "tapes" / "r.jsonl")
    cassette.path = tmp_path / "file" / "r.jsonl"
    with pytest.raises(Misconfigured, match="cannot be written"):
        cassette.save([], answered=())


def test_a_cassette_whose_messages_say_nothing_can_be_recorded_over(path: Path) -> None:
    recorded(path, ("a", CALL))
    (line,) = lines(path)
    line |= {"messages": [{"role": "user"}], "key": "another"}
    path.write_text(json.dumps(line) + "\n")
    cassette = Cassette.read(path)
    assert cassette.save(["a"], answered=()) == 1
