"""The prompt: unchanging words first, the run last and as data."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.judging.prompt import Prompt, ask_again, build_messages, content_key, delimiter_for
from evaluator.judging.shown import cut_middle, fair_shares
from tests.judging.rubric_samples import REFUND, SUPPORT

MARK = "Rfedcba987654"
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def prompt_for(content: dict[str, Any], *, max_chars: int = 24_000, mark: str = MARK) -> Prompt:
    return build_messages(SUPPORT, SUPPORT.criteria, content, max_content_chars=max_chars, delimiter=mark)


def data_of(prompt: Prompt, mark: str = MARK) -> str:
    """What stands between the two lines with the mark."""
    user = prompt.messages[1]["content"]
    assert user.startswith(f"{mark} BEGIN\n")
    return user.removeprefix(f"{mark} BEGIN\n").split(f"\n{mark} END\n")[0]


def test_the_rubrics_words_reach_the_judge_exactly_as_written() -> None:
    system = prompt_for(REFUND).messages[0]["content"]
    assert "- solves: Does the answer fix the stated problem? (pass | fail)" in system
    assert "(1 = rude, 2 = cold, 3 = neutral, 4 = kind, 5 = warm and precise)" in system
    assert SUPPORT.title in system


def test_the_first_message_does_not_depend_on_the_run() -> None:
    assert prompt_for(REFUND).messages[0] == prompt_for({**REFUND, "answer": "other"}, mark="Rother").messages[0]


def test_the_unchanging_part_for_three_criteria_stays_within_280_tokens() -> None:
    # English prose comes to about 4.2 characters a token with current tokenizers; see docs/judging.md
    assert len(prompt_for(REFUND).messages[0]["content"]) / 4.2 <= 280


def test_the_run_is_one_json_object_with_equal_content() -> None:
    assert json.loads(data_of(prompt_for(REFUND))) == REFUND


def test_the_answer_is_the_last_of_the_data() -> None:
    assert list(json.loads(data_of(prompt_for(REFUND)))) == ["question", "sources", "answer"]
    assert list(json.loads(data_of(prompt_for({"output": "a", "input": "b"})))) == ["input", "output"]


def test_instructions_come_after_the_data_too() -> None:
    assert prompt_for(REFUND).messages[1]["content"].splitlines()[-1].startswith("The data ends here.")


@given(st.dictionaries(st.sampled_from(["question", "answer", "sources"]), JSON_VALUES, min_size=1))
def test_any_content_gives_two_messages_with_parseable_data(content: dict[str, Any]) -> None:
    prompt = prompt_for(content)
    assert [each["role"] for each in prompt.messages] == ["system", "user"]
    assert json.loads(data_of(prompt)).keys() == content.keys()
    prompt.messages[1]["content"].encode()


@given(st.dictionaries(st.sampled_from(["question", "answer", "sources"]), JSON_VALUES, min_size=1))
def test_equal_content_gives_equal_bytes(content: dict[str, Any]) -> None:
    turned = dict(reversed(content.items()))
    assert delimiter_for(content, b"secret") == delimiter_for(turned, b"secret")
    assert content_key(content) == content_key(turned)


def test_the_mark_depends_on_content_and_secret() -> None:
    marks = {delimiter_for(c, s) for c in ({"a": "1"}, {"a": "2"}) for s in (b"one", b"two")}
    assert len(marks) == 4


def test_content_keys_differ_where_content_does() -> None:
    assert content_key({"answer": "a"}) != content_key({"answer": "a\u200b"})
    assert content_key({"answer": "\ud800"}) != content_key({"answer": "\ud801"})


@given(st.text(max_size=3000), st.integers(500, 2000))
def test_a_cut_text_keeps_its_ends_within_the_limit(text: str, limit: int) -> None:
    cut = cut_middle(text, limit)
    assert len(cut) <= limit
    assert cut == text or (cut[:200] == text[:200] and cut[-200:] == text[-200:] and "characters cut" in cut)


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=20), st.integers(0, 20_000))
def test_shares_are_fair(sizes: list[int], limit: int) -> None:
    shares = fair_shares(sizes, limit)
    assert sum(shares) <= limit
    smaller = [share for share, size in zip(shares, sizes, strict=True) if share < size]
    assert all(share <= size for share, size in zip(shares, sizes, strict=True))
    assert not smaller or max(shares) - min(smaller) <= 1


def test_long_content_is_cut_in_the_middle_item_by_item_and_said_so() -> None:
    long = {"question": "Where?", "answer": "a" * 5000 + "END", "sources": ["s" * 5000, "short"]}
    prompt = prompt_for(long, max_chars=2000)
    shown = json.loads(data_of(prompt))
    assert prompt.content_cut
    assert shown["question"] == "Where?"
    assert shown["answer"].endswith("END")
    assert "characters cut" in shown["answer"]
    assert shown["sources"][1] == "short"
    assert len(shown["answer"]) + sum(map(len, shown["sources"])) <= 2000
    assert "Parts were too long" in prompt.messages[1]["content"].splitlines()[-1]


def test_short_content_is_not_said_to_be_cut() -> None:
    prompt = prompt_for(REFUND)
    assert not prompt.content_cut
    assert "too long" not in prompt.messages[1]["content"]


@pytest.mark.parametrize("value", [["x"] * 5000, {"k": "v" * 9000}, [{"text": "t" * 9000}], [["y" * 9000]]])
def test_whatever_its_form_long_content_keeps_to_the_limit(value: Any) -> None:
    assert len(data_of(prompt_for({"sources": value}, max_chars=1000))) < 1200


def test_deep_nesting_is_shown_no_deeper_than_it_helps() -> None:
    deep: Any = "core"
    for _ in range(200):
        deep = [deep]
    assert "nested too deep" in data_of(prompt_for({"answer": deep}))


def test_asking_again_keeps_two_messages_and_the_unchanging_part() -> None:
    first = prompt_for(REFUND).messages
    again = ask_again(first, "solves.verdict: Input should be 'pass' or 'fail'.")
    assert [each["role"] for each in again] == ["system", "user"]
    assert again[0] == first[0]
    assert again[1]["content"].startswith(first[1]["content"])
    assert "solves.verdict" in again[1]["content"]
