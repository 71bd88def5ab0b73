"""docs/rubrics.md: its tables are the schema's, its examples are true, and its advice is what lint says."""

from __future__ import annotations

import asyncio
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from evaluator.cli import app, run
from evaluator.errors import Malformed
from evaluator.judging.checks import run_checks
from evaluator.judging.judge import fingerprint
from evaluator.model.outcome import FinalOutcome, OutcomeType
from evaluator.model.rubric import JudgeSpec, OutcomeMapping, Rubric, Thresholds
from evaluator.model.verdict import VerdictLabel
from evaluator.rubric_format.expressions import RUN_FACTS, expression_fault
from evaluator.rubric_format.installed_checks import GROUP, plugin_fault
from evaluator.rubric_format.rubric_files import RubricProblems, read_loaded, read_rubric, version_of
from evaluator.rubric_format.rubric_problems import SECTIONS, RubricProblem
from evaluator.rubric_format.rubric_reference import rubric_reference, with_reference
from evaluator.rubric_format.rubric_schema import SCHEMA_FILE, properties_of, rubric_schema
from evaluator.rubric_format.rubric_warnings import rubric_warnings
from evaluator.scoring import label_of
from tests.plugin_packages import Package, installed

PAGE = Path(__file__).parents[2] / "docs" / "rubrics.md"
DOC = PAGE.read_text(encoding="utf-8")


def section(heading: str) -> str:
    """What stands under a heading, up to the next of its level or above."""
    level = len(heading) - len(heading.lstrip("#"))
    _, _, after = DOC.partition(f"\n{heading}\n")
    assert after, f"docs/rubrics.md has no heading {heading}"
    return re.split(rf"^#{{1,{level}}} ", after, maxsplit=1, flags=re.MULTILINE)[0]


def blocks(language: str, text: str = DOC) -> list[str]:
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return found


def rows(text: str) -> list[list[str]]:
    """The cells of every table in a text, heads and rules left out."""
    lines = re.findall(r"^\| (.+) \|$", text, re.MULTILINE)
    return [[cell.strip() for cell in re.split(r" (?<!\\)\| ", line)] for line in lines]


def anchor(heading: str) -> str:
    """The anchor GitHub gives a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


ANCHORS = {anchor(found) for found in re.findall(r"^#+ (.+)$", DOC, re.MULTILINE)}


def test_the_tables_are_those_of_the_schema() -> None:
    assert with_reference(DOC) == DOC, "`adjudge rubrics schema --docs docs/rubrics.md` rewrites them"


def test_every_key_at_every_level_stands_in_a_table_with_its_description() -> None:
    tables = "".join(rubric_reference().values())
    outcomes = {"outcome.pass", "outcome.partial", "outcome.fail"}
    told = {path: key for path, key in properties_of(rubric_schema()) if path not in outcomes}
    assert len(told) > 45
    for path, key in told.items():
        name = path.rpartition(".")[2]
        assert f"`{name}` |" in tables or f"`{name}: 500` |" in tables
        assert key["description"] in tables


def test_a_page_without_the_tables_is_not_rewritten() -> None:
    with pytest.raises(Malformed, match="checks"):
        with_reference(DOC.replace("<!-- table: checks -->", ""))


def test_the_command_rewrites_the_tables_of_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(DOC.replace("| `rate` |", "| `old` |"), encoding="utf-8")
    assert run(["rubrics", "schema", "--docs", str(page), "--check"]) == 1
    assert run(["rubrics", "schema", "--docs", str(page)]) == 0
    assert page.read_text(encoding="utf-8") == DOC


def test_every_heading_an_error_links_to_is_there() -> None:
    linked = {RubricProblem("x", 1, 1, each, "").link for each in ("", "id", "k", "version", *SECTIONS)}
    linked |= {
        RubricProblem("x", 1, 1, f"criteria[0].{each}", "").link for each in ("check", "not_applicable_when")
    }
    assert {link.partition("#")[2] for link in linked} <= ANCHORS


def test_every_link_within_the_page_leads_to_a_heading() -> None:
    assert set(re.findall(r"\]\(#([^)]+)\)", DOC)) <= ANCHORS


def test_nothing_takes_effect_later() -> None:
    assert not re.search(r"later release|takes effect", DOC, re.IGNORECASE)


(SHOWN,) = [text for text in blocks("yaml") if "id: refund-answers" in text]


def test_the_rubric_of_the_guide_has_neither_errors_nor_warnings(tmp_path: Path) -> None:
    file = tmp_path / "refund-answers.yaml"
    file.write_text(SHOWN, encoding="utf-8")
    assert SHOWN.startswith(f"# yaml-language-server: $schema={SCHEMA_FILE}\n")
    one = read_loaded(file)
    assert rubric_warnings(one.root, one.rubric, "x") == []


ADVICE = rows(section("## Questions that judges and people read the same way"))[1:]


def warned_of(cell: str, tmp_path: Path) -> list[str]:
    """What lint says of a criterion as it stands in the table of dos and don'ts."""
    file = tmp_path / "x.yaml"
    file.write_text(f"id: a\ntitle: Of answer, question and sources\ncriteria:\n  - {{id: c, {cell.strip('`')}}}\n")
    one = read_loaded(file)
    return [
        each.message for each in rubric_warnings(one.root, one.rubric, "x") if each.field.startswith("criteria")
    ]


@pytest.mark.parametrize("do", [row[2] for row in ADVICE])
def test_what_the_guide_says_to_do_is_a_criterion_without_a_warning(do: str, tmp_path: Path) -> None:
    assert warned_of(do, tmp_path) == []


def test_lint_warns_of_the_first_two_donts_as_the_guide_says(tmp_path: Path) -> None:
    assert len(ADVICE) == 8
    double, turned, *others = [warned_of(row[1], tmp_path) for row in ADVICE]
    assert double == ["asks two things, and one answer cannot tell which"]
    assert turned == ["a yes would be bad, so it is unclear which answer passes"]
    assert others == [[]] * 6


@pytest.mark.parametrize("row", rows(section("## What the answers amount to"))[1:], ids=lambda row: f"of {row[0]}")
def test_the_shares_that_reach_the_thresholds_are_as_the_guide_says(row: list[str]) -> None:
    number, passing, partial = map(int, row)
    verdicts = [label_of(passed / number, Thresholds()) for passed in range(number + 1)]
    assert verdicts.index(VerdictLabel.PASS) == passing
    assert next(index for index, each in enumerate(verdicts) if each != VerdictLabel.FAIL) == partial


def test_a_rate_has_the_interval_the_guide_says() -> None:
    told = {100: 10, 400: 5, 1000: 3}
    text = " ".join(section("## What the answers amount to").split())
    assert "± 10 points after 100 judged events, ± 5 after 400 and ± 3 after 1,000" in text
    assert {n: round(100 * 1.96 * 0.5 / n**0.5) for n in told} == told


BASE: dict[str, Any] = {
    "id": "a",
    "title": "T",
    "role": "outcome",
    "criteria": [{"id": "c", "ask": "Is it so?"}],
    "judges": [{"model": "x/y"}],
}
OTHERWISE: dict[str, dict[str, Any]] = {
    "role": {"role": "quality"},
    "applies_to": {"applies_to": {"workflow": ["S"]}},
    "sample": {"sample": {"rate": 0.5}},
    "rollup": {"rollup": "all"},
    "k": {"rollup": "k_of_n", "k": 2},
    "outcome": {"outcome": {"pass": {"outcome": "partial"}}},
    "combine": {"combine": "worst"},
    "review": {"review": {"audit_rate": 0.1}},
    "budget": {"budget": {"usd_per_day": 5}},
    "examples": {"examples": [{"name": "n", "answer": "x", "expect": {"c": "pass"}}]},
    "escalate": {"escalate": {"to": "z/z", "when": ["unknown"]}},
    "title": {"title": "U"},
    "content": {"content": {"answer": "output"}},
    "criteria": {"criteria": [{"id": "c", "ask": "Is it so"}]},
    "verdict": {"verdict": {"pass_at": 0.8}},
    "model": {"judges": [{"model": "x/z"}]},
    "temperature": {"judges": [{"model": "x/y", "temperature": 0.5}]},
    "max_tokens": {"judges": [{"model": "x/y", "max_tokens": 300}]},
    "max_content_chars": {"judges": [{"model": "x/y", "max_content_chars": 900}]},
    "timeout_seconds": {"judges": [{"model": "x/y", "timeout_seconds": 9}]},
}
CHANGES = rows(section("## Changing a rubric"))[2:]


def test_every_key_stands_in_the_table_of_changes() -> None:
    named = [key for row in CHANGES for key in re.findall(r"`(\w+)`", row[0])]
    of_judges = set(JudgeSpec.model_fields) - {"samples"}
    assert sorted(named) == sorted((Rubric.model_fields.keys() - {"id", "judges", "version"}) | of_judges)
    assert sorted(named) == sorted(OTHERWISE)


@pytest.mark.parametrize(
    ("key", "row"),
    [(key, row) for row in CHANGES for key in re.findall(r"`(\w+)`", row[0])],
    ids=lambda each: str(each),
)
def test_a_change_makes_a_version_and_new_statistics_as_the_guide_says(key: str, row: list[str]) -> None:
    before, after = Rubric.model_validate(BASE), Rubric.model_validate(BASE | OTHERWISE[key])
    told = ["yes" if one != other else "no" for one, other in zip(rests_on(before), rests_on(after), strict=True)]
    assert told == row[1:]


def rests_on(rubric: Rubric) -> tuple[str, str]:
    """The version, and the fingerprint of the first judge."""
    return version_of(rubric), fingerprint(rubric, rubric.judges[0], rubric.judges[0].model)


def test_the_expressions_in_the_reference_are_valid() -> None:
    found = re.findall(r"^\| `(?:question|answer|sources|order): (.+?)` \|", section("### content"), re.MULTILINE)
    assert len(found) == 6
    expressions = [row.strip('"').replace("\\|", "|") for row in found]
    assert [expression_fault(expression, RUN_FACTS) for expression in expressions] == [None] * 6


def test_the_errors_in_the_reference_are_what_an_author_is_told() -> None:
    (told,) = blocks("text", section("## Files"))
    text = "id: a\ntitle: T\ncriteria:\n  - {id: c, ask: Is it so?}\nrole: outcom\n"
    with pytest.raises(RubricProblems) as raised:
        read_rubric(text + "sample: {always: ['diagnostics.confidence < 0.6']}", name="rubrics/support.yaml")
    assert str(raised.value) == told.strip()


def test_what_a_verdict_means_where_the_rubric_does_not_say_is_as_the_reference_says() -> None:
    rubric = read_rubric("id: a\ntitle: T\nrole: outcome\ncriteria:\n  - {id: c, ask: Is it so?}\n")
    assert [rubric.mapping_for(verdict) for verdict in VerdictLabel] == [
        OutcomeMapping(outcome=FinalOutcome.SUCCESS, type=OutcomeType.CUSTOM),
        OutcomeMapping(outcome=FinalOutcome.PARTIAL, type=OutcomeType.CUSTOM),
        OutcomeMapping(outcome=FinalOutcome.FAILED, type=OutcomeType.UNSUCCESSFUL),
        None,
    ]


def test_every_command_and_option_of_the_page_exists() -> None:
    group = get_command(app).commands["rubrics"]  # type: ignore[attr-defined]  # a group, as it has commands
    named = re.findall(r"adjudge rubrics ([a-z]+)((?: [^`\n]*)?)", DOC)
    assert {name for name, _ in named} <= set(group.commands)
    for name, rest in named:
        options = {option for each in group.commands[name].params for option in each.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= options


def test_the_check_of_the_page_works_as_an_installed_package(tmp_path: Path) -> None:
    text = section("### checks")
    (source,), (project,), (rubric,) = blocks("python", text), blocks("toml", text), blocks("yaml", text)
    (name, target), *others = tomllib.loads(project)["project"]["entry-points"][GROUP].items()
    module, _, function = target.partition(":")
    assert not others
    with pytest.raises(RubricProblems, match="is not one of the choices"):
        read_rubric(rubric)
    with installed(tmp_path, Package(module.replace("_", "-"), source, {name: function})):
        (criterion,) = read_rubric(rubric).criteria
        (good,) = asyncio.run(run_checks([criterion], {"answer": "Order #123456 left today."}))
        (bad,) = asyncio.run(run_checks([criterion], {"answer": "Order #12 left today."}))
        fault = plugin_fault(name, "six")
    assert (good.verdict, bad.verdict) == ("pass", "fail")
    assert bad.reasoning == "0 of 1 order numbers have 6 digits."
    assert fault == "the number of digits, such as 6"


WALK = section("## From a blank file to a trusted rubric")


def test_lint_says_of_the_walks_mistake_what_the_page_shows(tmp_path: Path) -> None:
    (fragment,) = blocks("yaml", WALK)
    head = "id: support-outcome\ntitle: T\n"
    with pytest.raises(RubricProblems) as raised:
        read_rubric(head + fragment)
    (problem,) = raised.value.problems
    assert (problem.field, problem.found, problem.suggestion) == ("criteria[1].check", "'regx'", "regex")
    assert (
        f"{problem.field}: {problem.message}; found {problem.found}; allowed: contains_url, … regex, …;\n" in WALK
    )
    assert read_rubric(head + fragment.replace("regx", "regex")).id == "support-outcome"


def test_the_walks_pattern_tells_its_answers_apart() -> None:
    (fragment,) = blocks("yaml", WALK)
    rubric = read_rubric("id: a\ntitle: T\n" + fragment.replace("regx", "regex"))
    said = {
        answer: asyncio.run(run_checks(rubric.criteria[1:], {"answer": answer}))[0].verdict
        for answer in (
            "Your refund of 20 EUR is on its way.",
            "It reaches your card within 5 working days.",
            "By Friday.",
        )
    }
    assert [str(each) for each in said.values()] == ["fail", "pass", "pass"]
