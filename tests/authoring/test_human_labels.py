"""Labels from a file: what can be read is used, what cannot is told by its line; nothing ends in a traceback."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.authoring.human_labels import MOST_BAD_LINES, MOST_BYTES, HumanLabel, label_file, read_labels
from evaluator.errors import Malformed, NotFound
from evaluator.model.verdict import CriterionLabel, VerdictLabel


def lines(*rows: object) -> bytes:
    return "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows).encode()


def test_json_lines_are_read() -> None:
    read = read_labels(
        lines(
            {"run_id": "r1", "verdict": "pass", "criteria": {"solves": "fail"}, "reviewer": "Ann"},
            "",
            {"event_id": "e2", "verdict": " Partial "},
        )
    )
    assert read.problems == ()
    assert read.labels == (
        HumanLabel(VerdictLabel.PASS, "r1", None, {"solves": CriterionLabel.FAIL}, "Ann"),
        HumanLabel(VerdictLabel.PARTIAL, None, "e2"),
    )


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_csv_is_read_as_spreadsheets_write_it(mark: str, start: str) -> None:
    text = start + 'run_id,verdict,criteria.solves,note\r\nr1,pass,fail,"two\r\nlines"\r\nr2,fail,,\r\n'
    read = read_labels(text.replace(",", mark).encode())
    assert read.problems == ()
    assert read.labels == (
        HumanLabel(VerdictLabel.PASS, "r1", criteria={"solves": CriterionLabel.FAIL}),
        HumanLabel(VerdictLabel.FAIL, "r2"),
    )


def test_the_last_label_of_an_item_counts() -> None:
    read = read_labels(lines({"run_id": "r1", "verdict": "pass"}, {"run_id": "r1", "verdict": "fail"}))
    assert [label.verdict for label in read.labels] == [VerdictLabel.FAIL]
    assert read.replaced == 1


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{oops", "not JSON: "),
        ("[1]", "not an object with run_id or event_id, and verdict"),
        ({"runid": "r", "verdict": "pass"}, "neither run_id nor event_id; did 'runid' mean 'run_id'?"),
        ({"run_id": "r", "verdikt": "pass"}, "no verdict; did 'verdikt' mean 'verdict'?"),
        (
            {"run_id": "r", "verdict": "pas"},
            "verdict: 'pas' is none of pass, partial, fail, unknown; did you mean 'pass'?",
        ),
        ({"run_id": "r", "verdict": 1}, "verdict: 1 is none of pass, partial, fail, unknown"),
        ({"run_id": ["r"], "verdict": "pass"}, "run_id: not text"),
        ({"run_id": "\x00", "verdict": "pass"}, "run_id: holds a null character"),
        ({"run_id": "r", "verdict": "pass", "criteria": ["a"]}, "criteria: not an object of criterion ids"),
        ({"run_id": "r", "verdict": "pass", "criteria": {"a": "ok"}}, "criteria.a: 'ok' is none of pass, fail"),
    ],
)
def test_a_bad_line_is_told_by_number_and_the_others_are_used(line: object, told: str) -> None:
    read = read_labels(lines({"run_id": "good", "verdict": "pass"}, line))
    [(number, problem)] = read.problems
    assert number == 2
    assert problem.startswith(told)
    assert len(read.labels) == 1


def test_csv_without_the_columns_says_which_it_needs() -> None:
    with pytest.raises(
        Malformed, match=r"need a column verdict, and run_id or event_id .* Did you mean 'run-id': 'run_id'"
    ):
        read_labels(b"run-id,verdict\nr1,pass\n")


def test_what_is_no_text_is_told_with_its_line() -> None:
    with pytest.raises(Malformed, match="not text in UTF-8: line 2"):
        read_labels(b"run_id,verdict\nr\xff,pass\n")


names = st.sampled_from(["run_id", "event_id", "verdict", "criteria", "reviewer", "criteria.a", "x"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["pass", "fail"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(st.dictionaries(names, values, max_size=5) | st.text(), max_size=8))
def test_any_rows_are_read_or_told(rows: list[object]) -> None:
    read = read_labels(b"{}\n" + lines(*rows))
    assert all(label.item[1] for label in read.labels)
    assert read.problems[0][0] == 1


@given(st.binary() | st.text().map(str.encode) | st.text(alphabet='runevtidc_.,;"\n\r\t').map(str.encode))
def test_any_bytes_are_read_or_refused_in_words(data: bytes) -> None:
    for given_data in (data, b"run_id,verdict\n" + data):
        with suppress(Malformed):
            read = read_labels(given_data)
            assert all(number >= 1 for number, _ in read.problems)


def test_a_file_of_something_else_is_read_no_further() -> None:
    with pytest.raises(Malformed, match="More than 10,000 lines of this file are no labels; the first is line 2"):
        read_labels(b'{"run_id": "r", "verdict": "pass"}\n' + b"{}\n" * 10 * MOST_BAD_LINES)


def test_of_very_many_columns_only_the_first_are_compared() -> None:
    with pytest.raises(Malformed) as error:
        read_labels(b"runid," * 100_000 + b"x\n")
    assert len(str(error.value)) < 1000


def test_an_endless_file_is_refused_and_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(Malformed, match=f"may have {MOST_BYTES // 2**20} MB"):
        label_file(Path("/dev/zero"))
    for path in (tmp_path, tmp_path / "none.csv", tmp_path / ("x" * 5000)):
        with pytest.raises(NotFound, match="cannot be read"):
            label_file(path)
