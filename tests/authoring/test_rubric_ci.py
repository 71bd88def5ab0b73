"""The pre-commit hook and the GitHub step do what they say: their own commands are run on good and bad rubrics."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from evaluator.cli import run

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
(HOOK,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
ACTION_FOLDER = ROOT / ".github" / "actions" / "rubrics"
ACTION = yaml.safe_load((ACTION_FOLDER / "action.yml").read_text(encoding="utf-8"))
STEPS = {step.get("name", "set up"): step for step in ACTION["runs"]["steps"]}
DOC = (ROOT / "docs" / "rubrics.md").read_text(encoding="utf-8")
IN_CI = DOC.split("\n## In CI\n")[1].split("\n## ")[0]

GOOD = """id: short-answers
title: Is the answer short?
criteria:
  - {id: short, check: max_length, value: 20}
examples:
  - {name: short, answer: Yes., expect: {short: pass}}
  - {name: long, answer: It depends on what you would call an answer., expect: {short: EXPECTED}}
"""
BAD = "id: b\ntitle: Is it?\nrol: outcome\ncriteria:\n  - {id: c, ask: Is it so?}\n"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with rubrics of which one is broken, and no database that could be opened."""
    (tmp_path / "rubrics").mkdir()
    (tmp_path / "cassettes").mkdir()
    (tmp_path / "rubrics" / "good.yaml").write_text(GOOD.replace("EXPECTED", "fail"))
    (tmp_path / "rubrics" / "bad.yaml").write_text(BAD)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ADJUDGE_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    return tmp_path


def in_shell(script: str, **inputs: str) -> subprocess.CompletedProcess[str]:
    """A script as GitHub runs one in bash, with this environment's commands."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    environment = {**os.environ, "PATH": path, **inputs}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def of_step(name: str, **inputs: str) -> subprocess.CompletedProcess[str]:
    """A step of the action, run with the inputs it takes from its environment."""
    assert set(STEPS[name]["env"]) == set(inputs)
    return in_shell(STEPS[name]["run"], **inputs)


def test_the_hook_runs_a_command_that_this_package_installs() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    assert shlex.split(HOOK["entry"])[0] in scripts
    assert (HOOK["id"], HOOK["language"], HOOK["types"]) == ("adjudge-rubrics", "python", ["yaml"])


@pytest.mark.parametrize(
    ("path", "is_looked_at"),
    [
        ("rubrics/a.yaml", True),
        ("rubrics/shop/a.yml", True),
        ("compose.yaml", False),
        ("docs/rubrics/a.yaml", False),
    ],
)
def test_the_hook_looks_at_rubrics_only(path: str, is_looked_at: bool) -> None:
    assert bool(re.search(HOOK["files"], path)) == is_looked_at


def test_the_hook_lets_good_rubrics_pass_and_holds_up_bad_ones(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, *arguments = shlex.split(HOOK["entry"])
    assert run([*arguments, "rubrics/good.yaml"]) == 0
    capsys.readouterr()
    assert run([*arguments, "rubrics/good.yaml", "rubrics/bad.yaml"]) == 1
    assert "rubrics/bad.yaml:3:1: rol: there is no such key" in capsys.readouterr().out


def test_the_step_shows_a_bad_rubric_beside_its_line(repository: Path) -> None:
    ended = of_step("Lint rubrics", RUBRICS="rubrics")
    assert ended.returncode == 1
    assert "::error file=rubrics/bad.yaml,line=3,col=1" in ended.stdout


def test_the_step_passes_good_rubrics_and_their_examples(repository: Path) -> None:
    assert of_step("Lint rubrics", RUBRICS="rubrics/good.yaml").returncode == 0
    ended = of_step("Run golden examples", RUBRICS="rubrics/good.yaml", CASSETTES="cassettes")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_step_fails_where_an_example_comes_out_otherwise(repository: Path) -> None:
    (repository / "rubrics" / "good.yaml").write_text(GOOD.replace("EXPECTED", "pass"))
    ended = of_step("Run golden examples", RUBRICS="rubrics/good.yaml", CASSETTES="cassettes")
    assert ended.returncode == 1
    assert "::error file=rubrics/good.yaml,line=7" in ended.stdout


def test_what_an_input_holds_is_no_shell(repository: Path) -> None:
    of_step("Lint rubrics", RUBRICS="rubrics; touch taken $(touch taken)")
    assert not (repository / "taken").exists()
    assert [name for name, step in STEPS.items() if "${{" in step.get("run", "")] == []


def test_the_step_installs_this_package() -> None:
    here = os.path.normpath(ACTION_FOLDER / "../../..")
    assert '"$HERE/../../.."' in STEPS["Install Adjudge"]["run"]
    assert Path(here, "pyproject.toml").is_file()


def test_every_input_of_the_step_is_described_and_used() -> None:
    used = " ".join(str(step) for step in ACTION["runs"]["steps"])
    for name, given in ACTION["inputs"].items():
        assert given["description"]
        assert f"inputs.{name}" in used


def test_the_page_shows_the_hook_and_the_step_as_they_are() -> None:
    hooks, workflow = (yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", IN_CI, re.DOTALL))
    (repo,) = hooks["repos"]
    (hook,) = repo["hooks"]
    assert hook["id"] == HOOK["id"]
    assert re.search(hook["files"], "rubrics/a.yaml")
    _, step = workflow["jobs"]["rubrics"]["steps"]
    folder: Any = step["uses"].partition("@")[0].split("/", 2)[2]
    assert ROOT / folder == ACTION_FOLDER
    assert step["with"].keys() <= ACTION["inputs"].keys()


def test_the_plain_commands_of_the_page_find_what_is_wrong(repository: Path) -> None:
    (script,) = re.findall(r"```sh\n(.*?)```", IN_CI, re.DOTALL)
    assert in_shell(script).returncode == 1
    (repository / "rubrics" / "bad.yaml").unlink()
    assert in_shell(script).returncode == 0
