"""What code says of a rubric's criteria, so that nobody is asked: checks, and what does not apply."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from evaluator.applicability import applicable_criteria
from evaluator.model.rubric import CheckName, Criterion, Rubric
from evaluator.model.verdict import CriterionLabel, CriterionVerdict

CHECK = "check"
"""Who decided an answer that code gave."""


def code_answers(
    rubric: Rubric, content: Mapping[str, Any], judged: Iterable[CriterionVerdict] = ()
) -> dict[str, CriterionVerdict]:
    """Criterion id → what code says of the content, for the criteria that no judge and no person is asked.

    `content` is by the names of the rubric's mapping. `judged` are the answers stored with a judge's verdict on this
    content under criteria of the same meaning: what code said then is taken as it is, and else found as judging does.
    """
    known = {each.id: each for each in judged if each.decided_by == CHECK}
    applicable = {each.id for each in applicable_criteria(rubric, content)}
    answers = {
        each.id: CriterionVerdict(id=each.id, verdict=CriterionLabel.NOT_APPLICABLE, decided_by=CHECK)
        for each in rubric.criteria
        if each.id not in applicable
    }
    checked = [each for each in rubric.criteria if each.check and each.id in applicable]
    answers |= {each.id: known[each.id] for each in checked if each.id in known}
    answers |= {each.id: each for each in _checked([one for one in checked if one.id not in known], content)}
    return answers


def _checked(criteria: Sequence[Criterion], content: Mapping[str, Any]) -> list[CriterionVerdict]:
    if not criteria:
        return []
    # brings schema and pattern libraries along, which most pages need not wait for
    from evaluator.judging.checks import run_check, run_checks

    if all(each.check in set(CheckName) for each in criteria):
        return [run_check(each, content) for each in criteria]
    with ThreadPoolExecutor(1) as aside:  # packages' checks want an event loop, and this thread may be running one
        return aside.submit(asyncio.run, run_checks(criteria, content)).result()
