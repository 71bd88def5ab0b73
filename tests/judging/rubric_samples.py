"""Rubrics and content that the judging tests share."""

from __future__ import annotations

from typing import Any

from evaluator.model.rubric import Criterion, JudgeSpec, Rubric

SUPPORT = Rubric(
    id="support-resolution",
    title="Did we solve the customer's problem?",
    version="v1",
    criteria=(
        Criterion(id="solves", ask="Does the answer fix the stated problem?", critical=True, weight=3),
        Criterion(id="grounded", ask="Is every claim backed by the sources?"),
        Criterion(
            id="tone",
            ask="Is the tone right?",
            scale={1: "rude", 2: "cold", 3: "neutral", 4: "kind", 5: "warm and precise"},
            pass_at=4,
        ),
    ),
    judges=(JudgeSpec(model="default", max_tokens=512),),
)

REFUND: dict[str, Any] = {
    "question": "Where is my refund for order 4411? I returned it two weeks ago.",
    "answer": "Your refund of $39.90 for order 4411 was sent on 3 March and reaches your card within 5 working days.",
    "sources": ["Order 4411: returned, refund of $39.90 issued on 3 March.", "Refunds take up to 5 working days."],
}

SOLVES = Rubric(
    id="solves-only",
    title="Did we solve the customer's problem?",
    version="v2",
    criteria=SUPPORT.criteria[:1],
)
