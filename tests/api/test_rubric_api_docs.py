"""docs/rubric-api.md: its paths, words and numbers are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

from evaluator.api.app import create_app
from evaluator.api.rubric_api import LintAnswer, ListedProblem
from evaluator.api.rubric_catalogue import Standing
from evaluator.deployment import Deployment
from evaluator.rubric_format.marked_yaml import MAX_BYTES
from evaluator.store.rubric_figures import RECENT

DOC = (Path(__file__).parents[2] / "docs" / "rubric-api.md").read_text(encoding="utf-8")


def test_each_path_stands_in_the_table_and_no_other(deployment: Deployment) -> None:
    paths = create_app(deployment).openapi()["paths"]
    known = {
        f"{method.upper()} {path}"
        for path, methods in paths.items()
        if path.startswith("/v1/rubrics")
        for method in methods
    }
    assert set(re.findall(r"^\| `((?:GET|POST) [^`]+)` \|", DOC, re.MULTILINE)) == known


def test_each_standing_is_explained() -> None:
    table = DOC.split("| standing |")[1].split("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(Standing)


def test_each_field_of_a_check_s_answer_is_named() -> None:
    named = set(re.findall(r"`(\w+)`", DOC.split("## Check a text")[1]))
    assert {*LintAnswer.model_fields, *ListedProblem.model_fields} - {"file"} <= named


def test_the_numbers_are_those_of_the_code() -> None:
    assert f"at most {RECENT:,}" in DOC
    assert f"above {MAX_BYTES // 1024} KiB" in DOC
