from __future__ import annotations

import json
import time
from typing import Any

import pytest

from review_ui.rendering.content import rendered
from tests.review_ui.rendering.shown_html import Outline


def read(value: Any, **how: Any) -> list[str]:
    """What a reader sees, line by line."""
    html = str(rendered(value, **how).html)
    for tag in ("</p>", "</li>", "</div>", "</summary>", "<br>"):
        html = html.replace(tag, f"{tag}\n")
    return [line.strip() for line in Outline(html).text.split("\n") if line.strip()]


MESSAGES = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Where is my refund?"}]
TURNS = ["system", "Be kind.", "user", "Where is my refund?"]


@pytest.mark.parametrize(
    "value",
    [
        MESSAGES,
        {"messages": MESSAGES},
        [MESSAGES],
        {"choices": [{"index": at, "message": message} for at, message in enumerate(MESSAGES)]},
        json.dumps({"messages": MESSAGES}),
        [{"role": each["role"], "parts": [{"type": "text", "content": each["content"]}]} for each in MESSAGES],
        {"contents": [{"role": each["role"], "parts": [{"text": each["content"]}]} for each in MESSAGES]},
        [{"role": each["role"], "content": [{"type": "input_text", "text": each["content"]}]} for each in MESSAGES],
    ],
    ids=["list", "messages", "nested", "choices", "text", "gen_ai parts", "gemini", "responses"],
)
def test_a_chat_of_any_dialect_reads_the_same(value: Any) -> None:
    assert read(value) == TURNS


@pytest.mark.parametrize(
    "asked",
    [
        {"tool_calls": [{"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"q": "x"}'}}]},
        {"content": [{"type": "tool_use", "id": "c1", "name": "find", "input": {"q": "x"}}]},
        {"parts": [{"type": "tool_call", "id": "c1", "name": "find", "arguments": {"q": "x"}}]},
        {"parts": [{"functionCall": {"id": "c1", "name": "find", "args": {"q": "x"}}}]},
        {"content": [{"toolUse": {"toolUseId": "c1", "name": "find", "input": {"q": "x"}}}]},
        {"content": None, "function_call": {"id": "c1", "name": "find", "arguments": '{"q": "x"}'}},
    ],
)
def test_a_tool_call_of_any_dialect_reads_the_same(asked: dict[str, Any]) -> None:
    assert read([{"role": "assistant", "content": "", **asked}]) == [
        "assistant",
        "calls find c1",
        "object, 1 key",
        "q x",
    ]


@pytest.mark.parametrize(
    "answered",
    [
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "paid"}]},
        {"role": "user", "parts": [{"type": "tool_call_response", "id": "c1", "response": "paid"}]},
        {"role": "user", "content": [{"toolResult": {"toolUseId": "c1", "content": [{"text": "paid"}]}}]},
    ],
)
def test_a_tool_s_result_of_any_dialect_reads_the_same(answered: dict[str, Any]) -> None:
    assert read([answered]) == ["user", "result of a tool c1", "paid"]


def test_text_and_other_parts_keep_their_order() -> None:
    parts = [
        {"type": "text", "text": "one"},
        {"type": "tool_use", "name": "find", "input": {}},
        {"type": "text", "text": "two"},
    ]
    assert read([{"role": "assistant", "content": parts}]) == [
        "assistant",
        "one",
        "calls find",
        "empty object",
        "two",
    ]


def test_images_and_sounds_are_told_by_kind_and_size() -> None:
    data = "QUJD" * 125_000
    parts = [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}},
        {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{data}"}},
        {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}},
        {"inline_data": {"mime_type": "image/webp", "data": data}},
        {"type": "image_url", "image_url": {"url": "https://cdn.example/a.png"}},
    ]
    assert read([{"role": "user", "content": parts}]) == [
        "user",
        "image/png, 375 KB",
        "image at image/jpeg, 375 KB",
        "wav, 375 KB",
        "image/webp, 375 KB",
        "image at https://cdn.example/a.png",
    ]


def test_what_stands_beside_the_messages_is_shown_too() -> None:
    assert read({"messages": MESSAGES, "temperature": 0.2}) == [*TURNS, "object, 1 key", "temperature 0.2"]
    assert read([{"role": "tool", "tool_call_id": "c1", "content": "x"}]) == ["tool c1", "x"]
    assert read([{"role": "tool", "tool_call_id": 1, "content": "x"}])[2:] == ["object, 1 key", "tool_call_id 1"]


def test_reasoning_is_folded_beneath_its_name() -> None:
    shown = rendered([{"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm."}]}])
    assert "<summary>Reasoning</summary>" in shown.html
    assert "Hm." in shown.html


def test_a_long_chat_keeps_its_beginning_and_its_end() -> None:
    chat = [{"role": "user", "content": f"message {at} " + "x" * 500} for at in range(100)]
    shown = rendered(chat, limit=5_000)
    assert shown.folded
    assert "message 0 " in shown.html
    assert "message 99 " in shown.html
    assert "message 50 " not in shown.html
    assert " messages more …" in shown.html
    assert not rendered(chat, limit=None).folded


def test_a_long_message_does_not_push_the_others_out() -> None:
    shown = rendered([{"role": "user", "content": "x" * 50_000}, {"role": "assistant", "content": "the answer"}])
    assert shown.folded
    assert "the answer" in shown.html


def test_a_megabyte_of_chat_is_a_transcript_in_a_moment() -> None:
    began = time.process_time()
    shown = rendered([{"role": "user", "content": "# One\n\n- **two** `three`\n" * 400}] * 100, limit=None)
    assert time.process_time() - began < 1.5
    assert not shown.folded
    assert read([{"role": "user", "content": "x" * 450_000}], limit=None)[0] == "user:"


def test_a_list_that_is_no_chat_is_a_tree() -> None:
    assert "c-chat" not in rendered([{"role": "admin", "age": 3}]).html
