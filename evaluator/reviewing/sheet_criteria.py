"""Criteria as a person answers them: the words the judge read, the options in scale order."""

from __future__ import annotations

from collections.abc import Mapping

from evaluator.judging.prompt import question_of
from evaluator.model.rubric import Criterion, Rubric
from evaluator.model.verdict import CriterionLabel, CriterionVerdict
from evaluator.reviewing.review_sheet import Option, SheetCriterion, SheetOption
from evaluator.scoring import level_passes

OPTION_WORDS = {
    Option.PASS: "Pass",
    Option.FAIL: "Fail",
    Option.UNKNOWN: "Unknown",
    Option.NOT_APPLICABLE: "Not applicable",
}
_ABSTAIN = (Option.UNKNOWN, Option.NOT_APPLICABLE)


def sheet_criteria(rubric: Rubric, by_code: Mapping[str, CriterionVerdict]) -> tuple[SheetCriterion, ...]:
    """Every criterion in the rubric's order; `by_code` is what code says of them, by id (see code_answers)."""
    return tuple(_sheet_criterion(each, rubric, by_code.get(each.id)) for each in rubric.criteria)


def _sheet_criterion(criterion: Criterion, rubric: Rubric, found: CriterionVerdict | None) -> SheetCriterion:
    return SheetCriterion(
        criterion_id=criterion.id,
        question=question_of(criterion, rubric.content),
        check=criterion.check or "",
        critical=criterion.critical,
        weight=criterion.weight,
        options=() if found is not None or criterion.check else options_of(criterion),
        not_applicable=found is not None and found.verdict is CriterionLabel.NOT_APPLICABLE,
        by_code=found.verdict if found is not None else None,
    )


def options_of(criterion: Criterion) -> tuple[SheetOption, ...]:
    """What a criterion may be answered with: the scale's levels upwards, or pass and fail; then what is neither."""
    if criterion.scale is None:
        return tuple(_option(each) for each in Option)
    levels = (
        SheetOption(str(level), anchor, "pass" if level_passes(criterion, level) else "fail")
        for level, anchor in sorted(criterion.scale.items())
    )
    return (*levels, *(_option(each) for each in _ABSTAIN))


def _option(option: Option) -> SheetOption:
    return SheetOption(option, OPTION_WORDS[option], option if option not in _ABSTAIN else "unknown")
