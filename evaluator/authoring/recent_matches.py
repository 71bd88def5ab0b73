"""Recent matches: what a rubric's rules and content find in the runs that came in last."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from evaluator.applicability import run_facts
from evaluator.deployment import Deployment
from evaluator.errors import Misconfigured
from evaluator.model.capture import Capture, Fidelity
from evaluator.model.rubric import Rubric
from evaluator.model.run import Run
from evaluator.rubric_format.expressions import evaluate, is_true
from evaluator.rubric_format.marked_yaml import Node
from evaluator.rubric_format.rubric_files import LoadedRubric
from evaluator.rubric_format.rubric_problems import EXPRESSIONS, RubricProblem, listed, nearest, quoted
from evaluator.store.database import Connection
from evaluator.store.recent_runs import ready_runs
from evaluator.store.runs import load_captures
from evaluator.store.schema import at_this_schema
from evaluator.wording import noun, plural

MOST_RUNS = 2000
"""Runs whose workflow is looked at."""
MOST_OF_RUBRIC = 200
"""Runs a rubric's expressions are tried on."""
_CHUNK = 100
_MOST_NAMED = 12

Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RecentRuns:
    """Ready runs, the newest first, and what expressions see of those that were asked for."""

    runs: tuple[Run, ...]
    facts: dict[str, Facts]
    """By run id."""

    @property
    def workflows(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(run.workflow for run in self.runs if run.workflow))


def recent_runs(deployment: Deployment, rubrics: Iterable[Rubric]) -> RecentRuns:
    """The last ready runs, with the facts of the last 200 of each rubric's workflows; the database stays as it is.

    Raises Misconfigured where the database or the body store is out of reach, or the schema is another release's.
    """
    with at_this_schema(deployment.database) as connection:
        runs = tuple(run for page in ready_runs(connection, most=MOST_RUNS) for run in page)
        wanted = list({run.run_id: run for rubric in rubrics for run in _of(rubric, runs)}.values())
        facts: dict[str, Facts] = {}
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            captures = _captures(connection, chunk, deployment)
            facts |= {run.run_id: run_facts(run, captures.get(run.run_id, Capture())) for run in chunk}
    return RecentRuns(runs, facts)


def _captures(connection: Connection, runs: Iterable[Run], deployment: Deployment) -> dict[str, Capture]:
    from obstore.exceptions import BaseError

    try:
        return load_captures(connection, [run.run_id for run in runs], deployment.bodies)
    except (BaseError, OSError) as error:
        raise Misconfigured("Captured content cannot be read from the body store.") from error


def run_warnings(one: LoadedRubric, recent: RecentRuns) -> Iterator[RubricProblem]:
    """What of a rubric matches nothing in recent runs; nothing where there are none."""
    if not recent.runs:
        return
    matches = _Matches(one, recent)
    yield from matches.workflows()
    yield from matches.expressions()


def _of(rubric: Rubric, runs: Iterable[Run]) -> list[Run]:
    named = {workflow.casefold() for workflow in rubric.applies_to.workflow}
    return [run for run in runs if not named or run.workflow.casefold() in named][:MOST_OF_RUBRIC]


class _Matches:
    def __init__(self, one: LoadedRubric, recent: RecentRuns) -> None:
        self.rubric, self.root, self.file = one.rubric, one.root, str(one.path)
        self.recent = recent
        self.facts = [recent.facts[run.run_id] for run in _of(one.rubric, recent.runs)]

    def told(
        self,
        at: Node,
        field: str,
        message: str,
        found: str,
        *,
        allowed: str,
        suggestion: str | None = None,
        about: str = "",
    ) -> RubricProblem:
        place = (self.file, at.line, at.column)
        return RubricProblem(*place, field, message, found, allowed, suggestion, severity="warning", about=about)

    def workflows(self) -> Iterator[RubricProblem]:
        seen = self.recent.workflows
        folded = {name.casefold() for name in seen}
        applies_to = self.root["applies_to"]
        workflows = applies_to["workflow"] if applies_to else None
        for place, node in enumerate(workflows.children if workflows else ()):
            if node.text is not None and node.text.casefold() not in folded:
                message = f"no run of this workflow is among the last {plural(len(self.recent.runs), 'run')}"
                named = listed(seen[:_MOST_NAMED]) + (", …" if len(seen) > _MOST_NAMED else "")
                field, close = f"applies_to.workflow[{place}]", nearest(node.text, seen)
                yield self.told(node, field, message, quoted(node.text), allowed=named, suggestion=close)

    def expressions(self) -> Iterator[RubricProblem]:
        """`where` is tried on the runs of the workflows, all else on those where it is true."""
        facts = self.facts
        applies_to, sample, content = self.root["applies_to"], self.root["sample"], self.root["content"]
        where, rule = applies_to["where"] if applies_to else None, self.rubric.applies_to.where
        if where and rule:
            facts = [each for each in facts if is_true(evaluate(rule, each))]
            if not facts:
                yield from self.unmatched(where, "applies_to.where", "is true of none", self.facts)
        always = sample["always"] if sample else None
        for place, node in enumerate(always.children if always else ()):
            if not _any(self.rubric.sample.always[place], facts, is_true):
                yield from self.unmatched(node, f"sample.always[{place}]", "is true of none", facts)
        captured = [each for each in facts if each["fidelity"] != Fidelity.MISSING]
        for name, (_, node) in (content.entries if content else {}).items():
            if not _any(self.rubric.content[name], captured, _is_there):
                yield from self.unmatched(node, f"content.{name}", "finds nothing in any", captured)

    def unmatched(self, at: Node, field: str, message: str, tried: Sequence[Facts]) -> Iterator[RubricProblem]:
        """Of no runs at all nothing is said: the workflow, or `where`, is told already."""
        if tried:
            runs = f"{listed(self.rubric.applies_to.workflow)} {noun(len(tried), 'run')}".strip()
            told = f"{message} of the last {len(tried)} {runs}"
            yield self.told(at, field, told, at.described(), allowed="what some of them hold", about=EXPRESSIONS)


def _any(expression: str, tried: Sequence[Facts], found: Callable[[Any], bool]) -> bool:
    return any(found(evaluate(expression, each)) for each in tried)


def _is_there(value: Any) -> bool:
    return value is not None
