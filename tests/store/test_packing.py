"""Packed JSON comes back as it was, from any codec this version knows."""

from __future__ import annotations

import threading
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.store.packing import pack, pack_json, pack_message, unpack, unpack_json, unpack_message

scalars = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
)
texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(scalars | texts, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=30)


@given(values)
def test_what_is_packed_comes_back_equal(value: Any) -> None:
    assert unpack(pack(value)) == value


@given(texts)
def test_the_json_text_itself_comes_back(text: str) -> None:
    data = orjson.dumps({"text": text})
    assert unpack_json(pack_json(data)) == data


def test_a_small_value_is_plain_json_and_a_longer_one_is_compressed() -> None:
    assert pack({"a": 1}) == b'\x00{"a":1}'
    chat = {"gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"Where is my order?"}]}]'}
    assert pack(chat)[0] == 1
    assert len(pack(chat)) < len(orjson.dumps(chat)) / 2


@given(st.binary())
def test_a_message_comes_back_as_it_was(data: bytes) -> None:
    assert unpack_message(pack_message(data)) == data


def test_a_longer_message_is_compressed() -> None:
    message = b"Where is my order? It arrives on Friday. " * 50
    assert pack_message(message)[0] == 2
    assert len(pack_message(message)) < len(message) / 4


def test_numbers_that_json_lacks_become_null() -> None:
    assert unpack(pack([float("nan"), float("inf")])) == [None, None]


@pytest.mark.parametrize("data", [b"", b"\x07whatever"])
def test_bytes_of_an_unknown_codec_are_refused_by_name(data: bytes) -> None:
    with pytest.raises(ValueError, match="codec"):
        unpack(data)


def test_threads_pack_at_the_same_time() -> None:
    sent = [{"text": f"number {number} " * 50} for number in range(200)]
    received: dict[int, list[Any]] = {}

    def work(name: int) -> None:
        received[name] = [unpack(pack(value)) for value in sent]

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(received[name] == sent for name in range(4))
