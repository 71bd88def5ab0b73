"""docs/judging.md says what the code does."""

from __future__ import annotations

from pathlib import Path

from evaluator.judging.checks import CHECKS, PATTERN_SECONDS
from evaluator.judging.failures import failure_table
from evaluator.judging.judge import REPEAT_TEMPERATURE
from evaluator.judging.prompt import build_messages
from tests.judging.rubric_samples import REFUND, SUPPORT

PAGE = (Path(__file__).parents[2] / "docs" / "judging.md").read_text()


def test_the_page_shows_the_prompt_as_it_is_sent() -> None:
    prompt = build_messages(SUPPORT, SUPPORT.criteria, REFUND, max_content_chars=24_000, delimiter="R3f9ac21b77d0")
    for message in prompt.messages:
        assert message["content"] in PAGE


def test_the_page_shows_the_table_of_failures() -> None:
    assert failure_table() in PAGE


def test_the_page_lists_every_check() -> None:
    for name in CHECKS:
        assert f"| `{name}` |" in PAGE


def test_the_page_names_the_numbers_in_force() -> None:
    assert f"longer than {PATTERN_SECONDS} seconds" in PAGE
    assert f"temperature 0, {REPEAT_TEMPERATURE} is used" in PAGE
