"""What an author names: a name that no file can have is looked up as any other."""

from __future__ import annotations

import pytest

from evaluator.authoring.golden_examples import targets
from evaluator.authoring.named_rubrics import NamedRubric, rubric_named
from evaluator.authoring.prompt_preview import named_in_files
from evaluator.deployment import Deployment
from evaluator.errors import NotFound

IMPOSSIBLE = ("a" * 5000, "a/" * 3000, "a" * 5000 + ".yaml", "a\x00b", "a\x00b.yaml", "a\udcffb", "a\udcffb@1")


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_a_name_no_file_can_have_is_not_found(deployment: Deployment, name: str) -> None:
    with pytest.raises(NotFound):
        rubric_named(name, deployment)
    assert named_in_files(name, deployment.settings) is None


def unknown(name: str) -> NamedRubric:
    raise NotFound(name)


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_no_examples_are_looked_for_under_such_a_name(name: str) -> None:
    with pytest.raises(NotFound):
        targets([name], unknown)
