"""Replies are read from the schema's fields only."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from evaluator.judging.reply import Unparsable, read_reply, reply_schema
from evaluator.model.verdict import CriterionLabel
from tests.judging.rubric_samples import SUPPORT

CRITERIA = SUPPORT.criteria


def reply(**changes: Any) -> dict[str, Any]:
    good: dict[str, Any] = {
        "solves": {"evidence": ["sent on 3 March"], "reasoning": "It says when.", "verdict": "pass"},
        "grounded": {"evidence": [], "reasoning": "It is.", "verdict": "unknown"},
        "tone": {"evidence": [], "reasoning": "Plain.", "verdict": "3"},
    }
    return good | changes


def test_a_good_reply_is_read_criterion_by_criterion() -> None:
    solves, grounded, tone = read_reply(json.dumps(reply()), CRITERIA)
    assert (solves.verdict, solves.evidence[0].text) == (CriterionLabel.PASS, "sent on 3 March")
    assert grounded.verdict is CriterionLabel.UNKNOWN
    assert (tone.verdict, tone.level) == (CriterionLabel.FAIL, 3.0)


def test_a_markdown_fence_around_the_whole_is_looked_through() -> None:
    assert read_reply(f"```json\n{json.dumps(reply())}\n```\n", CRITERIA)[0].verdict is CriterionLabel.PASS


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pass",
        "The verdict is pass.",
        "[]",
        "null",
        '"pass"',
        json.dumps(reply())[:-1],
        json.dumps(reply()) + json.dumps(reply()),
        f"Sure! {json.dumps(reply())}",
        f"{json.dumps(reply())}\nI hope this helps.",
        json.dumps(reply()).replace('"grounded"', '"solves"'),
        '{"solves": ' + json.dumps(reply()["solves"])[:-1] + ', "verdict": "fail"}}',
        json.dumps({k: v for k, v in reply().items() if k != "tone"}),
        json.dumps(reply(extra={"evidence": [], "reasoning": "", "verdict": "pass"})),
        json.dumps(reply(solves={"evidence": [], "reasoning": "", "verdict": "PASS"})),
        json.dumps(reply(solves={"evidence": [], "reasoning": "", "verdict": "3"})),
        json.dumps(reply(solves={"evidence": [], "reasoning": "", "verdict": True})),
        json.dumps(reply(solves={"evidence": [], "reasoning": "", "verdict": ["pass"]})),
        json.dumps(reply(solves={"evidence": "none", "reasoning": "", "verdict": "pass"})),
        json.dumps(reply(solves={"evidence": [], "verdict": "pass"})),
        json.dumps(reply(solves={"evidence": [], "reasoning": "", "verdict": "pass", "score": 1})),
        json.dumps(reply(solves={"evidence": [], "reasoning": float("nan"), "verdict": "pass"})),
        json.dumps(reply(tone={"evidence": [], "reasoning": "", "verdict": 4})),
        json.dumps(reply(tone={"evidence": [], "reasoning": "", "verdict": "6"})),
        json.dumps(reply(tone={"evidence": [], "reasoning": "", "verdict": "pass"})),
        "[" * 100_000,
    ],
)
def test_anything_else_is_unparsable(text: str) -> None:
    with pytest.raises(Unparsable):
        read_reply(text, CRITERIA)


def test_the_error_says_where_and_what_is_allowed_without_repeating_the_reply() -> None:
    bad = reply(solves={"evidence": [], "reasoning": "", "verdict": "s3cret"}, planted={"x": 1})
    with pytest.raises(Unparsable) as raised:
        read_reply(json.dumps(bad), CRITERIA)
    assert "solves.verdict" in str(raised.value)
    assert "'pass', 'fail', 'unknown' or 'not_applicable'" in str(raised.value)
    assert "s3cret" not in str(raised.value)
    assert "planted" not in str(raised.value)


def test_only_three_quotes_are_kept() -> None:
    many = reply(solves={"evidence": ["one", "two", "three", "four"], "reasoning": "", "verdict": "pass"})
    assert [q.text for q in read_reply(json.dumps(many), CRITERIA)[0].evidence] == ["one", "two", "three"]


@pytest.mark.parametrize("bounded", [True, False])
def test_the_schema_takes_what_the_reader_takes_and_orders_evidence_before_verdict(bounded: bool) -> None:
    schema = reply_schema(CRITERIA, bounded=bounded)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(reply(), schema)
    assert list(schema["properties"]["solves"]["properties"]) == ["evidence", "reasoning", "verdict"]
    assert schema["properties"]["tone"]["properties"]["verdict"]["enum"][:5] == ["1", "2", "3", "4", "5"]


def test_every_object_of_the_schema_is_strict() -> None:
    schema = reply_schema(CRITERIA)
    for each in (schema, *schema["properties"].values()):
        assert each["additionalProperties"] is False
        assert each["required"] == list(each["properties"])
