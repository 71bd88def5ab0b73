"""Agreement of real judges with real people, against the numbers their authors published."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from evaluator.model.verdict import VerdictLabel
from evaluator.statistics.agreement import Agreement, Pair, agreement, wilson

PASS, PARTIAL, FAIL = VerdictLabel.PASS, VerdictLabel.PARTIAL, VerdictLabel.FAIL
LABEL = {"0": PARTIAL, "1": PASS, "2": FAIL}
"""PandaLM's tie, first, second: three labels whose names do not matter here."""

EXACT = 1e-9


@pytest.fixture(scope="module")
def judges(shared: Path) -> Path:
    return shared / "data" / "judges"


@pytest.fixture(scope="module")
def golden(judges: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((judges / "golden.json").read_text())
    return read


def rows(path: Path) -> list[dict[str, str]]:
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return list(csv.DictReader(io.StringIO(raw.decode())))


def made(*counts: int) -> Agreement:
    kinds = ((PASS, PASS), (PASS, FAIL), (FAIL, PASS), (FAIL, FAIL))
    spread = [kind for kind, count in zip(kinds, counts, strict=True) for _ in range(count)]
    return agreement([Pair(str(event), *kind) for event, kind in enumerate(spread)])


def test_equal_agreement_can_be_a_good_or_a_bad_judge(golden: dict[str, Any]) -> None:
    for counts, expected in golden["kappa_paradox"].items():
        found = made(*map(int, counts.split("/")))
        assert found.agreement.value == pytest.approx(expected["po"], abs=EXACT)
        assert found.kappa.value == pytest.approx(expected["kappa"], abs=EXACT)
        assert found.ac1.value == pytest.approx(expected["ac1"], abs=EXACT)


def test_wilsons_interval_is_the_known_one(golden: dict[str, Any]) -> None:
    found = wilson(45, 50)
    assert [found.low, found.high] == pytest.approx(golden["intervals"]["wilson_45_50"], abs=EXACT)


def test_pandalm_annotators_agree_as_published(judges: Path, golden: dict[str, Any]) -> None:
    items = rows(judges / "pandalm" / "labels.csv")
    for (one, other), expected in zip(((1, 2), (1, 3), (2, 3)), golden["pandalm"]["kappa_12_13_23"], strict=True):
        found = agreement(
            Pair(item["idx"], LABEL[item[f"annotator{one}"]], LABEL[item[f"annotator{other}"]]) for item in items
        )
        assert found.n == golden["pandalm"]["n"]
        assert found.kappa.value == pytest.approx(expected, abs=EXACT)


@pytest.mark.parametrize(
    ("judge", "named"), [("gpt35", "gpt35_acc_macroP_macroR_macroF1 (garbage->0)"), ("pandalm7b", "pandalm7b")]
)
def test_pandalm_judges_are_as_accurate_as_published(
    judges: Path, golden: dict[str, Any], judge: str, named: str
) -> None:
    items = rows(judges / "pandalm" / "labels.csv")
    found = agreement(Pair(item["idx"], _majority(item), LABEL.get(item[judge], PARTIAL)) for item in items)
    assert found.agreement.value == pytest.approx(golden["pandalm"][named][0], abs=EXACT)


def _majority(item: dict[str, str]) -> VerdictLabel:
    votes = Counter(item[f"annotator{number}"] for number in (1, 2, 3))
    return LABEL[votes.most_common(1)[0][0]]


def test_devai_judges_agree_with_people_as_published(judges: Path, golden: dict[str, Any]) -> None:
    by_agent: dict[str, list[Pair]] = defaultdict(list)
    for item in rows(judges / "devai" / "requirements.csv"):
        human, judge = (PASS if item[f"{who}_satisfied"] == "True" else FAIL for who in ("human", "agent_judge"))
        by_agent[item["developer_agent"]].append(Pair(item["task"], human, judge))
    assert by_agent.keys() == golden["devai"].keys()
    for agent, expected in golden["devai"].items():
        found = agreement(by_agent[agent])
        bias = expected["requirements_met_judge"] - expected["requirements_met_human"]
        assert (found.n, found.events) == (expected["requirements"], 55)
        assert found.agreement.value == pytest.approx(expected["alignment"], abs=EXACT)
        assert found.kappa.value == pytest.approx(expected["kappa"], abs=EXACT)
        assert found.pass_rate_bias.value == pytest.approx(bias, abs=EXACT)


def test_realmistake_judges_find_what_was_published(judges: Path) -> None:
    folder = judges / "realmistake"
    published = json.loads((folder / "published_simple_prompt_baseline_performance.json").read_text())
    cells: dict[tuple[str, str, str, str], list[Pair]] = defaultdict(list)
    for item in rows(folder / "verdicts.csv.gz"):
        if item["kind"] == "simple_prompt_baseline":
            cell = (item["task"], item["response_model"], item["judge"], item["prompt"])
            cells[cell].append(Pair(item["item"], FOUND[item["gold"]], FOUND.get(item["prediction"])))
    assert len(cells) == 288
    assert sum(agreement(pairs).undecided for pairs in cells.values()) == 732
    for (task, model, judge, prompt), pairs in cells.items():
        by_judge = {name.split("/")[-1]: cell for name, cell in _ending_in(published[task], model).items()}
        expected = (by_judge.get(judge) or by_judge[f"baseline_model={judge}"])[f"prompt={prompt}"]
        found = agreement(pairs)
        assert found.n + found.undecided == expected["total_num"]
        # what could not be read counts as wrong there and apart here
        right = (found.agreement.value or 0) * found.n / expected["total_num"]
        assert right == pytest.approx(expected["metrics"]["accuracy"], abs=EXACT)
        recalled = (found.sensitivity.value or 0) * found.sensitivity.n / expected["gold_error_num"]
        assert recalled == pytest.approx(expected["metrics"]["recall"], abs=EXACT)


FOUND = {"error": PASS, "no_error": FAIL}
"""An error is what these judges look for, so it stands for pass."""


def _ending_in(published: dict[str, Any], model: str) -> dict[str, Any]:
    """The part of a response model, however its maker's name is put before it."""
    found: dict[str, Any] = next(part for name, part in published.items() if name.endswith(model))
    return found
