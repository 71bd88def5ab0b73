"""Applicability: which runs a rubric is for, what of a run its judges are shown, and which criteria then apply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evaluator.model.capture import Capture
from evaluator.model.rubric import Criterion, Example, Rubric
from evaluator.model.run import Run
from evaluator.rubric_format.expressions import evaluate, is_true


def run_facts(run: Run, capture: Capture) -> dict[str, Any]:
    """The document a rubric's expressions look at; its names are those of expressions.RUN_FACTS, plain JSON types."""
    return {
        "run_id": run.run_id,
        "event_id": run.event_id,
        "workflow": run.workflow,
        "status": str(run.execution_status),
        "error_type": run.error_type,
        "attempt": run.attempt,
        "customer_id": run.customer_id,
        "tenant_id": run.tenant_id,
        "environment": run.environment,
        "service": run.service,
        "duration_ms": run.duration_ms,
        "diagnostics": run.diagnostics,
        "correlations": run.correlations,
        "evaluations": run.evaluations,
        "fidelity": str(run.fidelity),
        "llm_calls": run.llm_calls,
        "models": run.models,
        "input_tokens": run.input_tokens,
        "output_tokens": run.output_tokens,
        "cost_total_usd": None if run.cost_total_usd is None else float(run.cost_total_usd),
        "input": capture.input.value,
        "output": capture.output.value,
        "retrieval": capture.retrieval.value,
        "tools": capture.tools.value,
    }


def applies(rubric: Rubric, facts: Mapping[str, Any]) -> bool:
    """Whether the rubric is for a run with these facts; workflows are compared without regard to case."""
    named = {workflow.casefold() for workflow in rubric.applies_to.workflow}
    if named and str(facts.get("workflow") or "").casefold() not in named:
        return False
    where = rubric.applies_to.where
    return where is None or is_true(evaluate(where, facts))


def share_workflow(one: Rubric, other: Rubric) -> bool:
    """Whether both may be for runs of the same workflow."""
    ours, theirs = ({name.casefold() for name in each.applies_to.workflow} for each in (one, other))
    return not ours or not theirs or not ours.isdisjoint(theirs)


def always_rule_matched(rubric: Rubric, facts: Mapping[str, Any]) -> str | None:
    """The first of the rubric's always rules that is true of the run, as written, or None."""
    return next((rule for rule in rubric.sample.always if is_true(evaluate(rule, facts))), None)


def content_for(rubric: Rubric, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Name → value of what judges are shown of the run; None where there is nothing under a name."""
    return {name: evaluate(expression, facts) for name, expression in rubric.content.items()}


def example_content(rubric: Rubric, example: Example) -> dict[str, Any]:
    """Name → value of what judges are shown of a golden example; None under each name it leaves out."""
    given = example.model_extra or {}
    return {name: given.get(name) for name in rubric.content}


def applicable_criteria(rubric: Rubric, content: Mapping[str, Any]) -> tuple[Criterion, ...]:
    """The rubric's criteria without those whose not_applicable_when is true of the content."""
    return tuple(each for each in rubric.criteria if not _is_left_out(each, content))


def _is_left_out(criterion: Criterion, content: Mapping[str, Any]) -> bool:
    rule = criterion.not_applicable_when
    return rule is not None and is_true(evaluate(rule, content))
