"""A rubric: what good is, as an author writes it in YAML, and how it is sampled, judged and rolled up.

Field descriptions here are the rubric reference: error messages, the schema and the docs print them.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Field as Column
from sqlmodel import SQLModel

from evaluator.model.columns import OrderedJson, UtcTime, utc_now
from evaluator.model.outcome import FinalOutcome, OutcomeType
from evaluator.model.rollup import RollupRule
from evaluator.model.verdict import CriterionLabel, VerdictLabel

Identifier = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Share = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Role(StrEnum):
    OUTCOME = "outcome"
    QUALITY = "quality"


class AppliesTo(_Part):
    workflow: tuple[str, ...] = Field(
        default=(),
        description="Workflows the rubric is for; none named means all.",
        examples=[["Support"], ["Support", "Returns"]],
    )
    where: str | None = Field(
        default=None,
        description="JMESPath over the run; only runs where it is true are judged.",
        examples=["status == 'success'", "environment == 'production' && llm_calls > `0`"],
    )


class SampleRule(_Part):
    rate: Share = Field(
        default=1.0,
        description="Share of events judged, 0 to 1; deterministic in event_id, nested as the rate grows.",
        examples=[0.05, 0.2],
    )
    always: tuple[str, ...] = Field(
        default=(),
        description="JMESPath rules; an event with a run that matches one is always judged.",
        examples=[["diagnostics.confidence < `0.6`"], ["status == 'failed'", "diagnostics.value_amount > `500`"]],
    )
    capture_probability: Annotated[float, Field(gt=0, le=1)] = Field(
        default=1.0,
        description="Share of runs whose content the client's own sampling lets through.",
        examples=[0.1, 0.5],
    )


class CheckName(StrEnum):
    CONTAINS_URL = "contains_url"
    JSON_VALID = "json_valid"
    JSON_SCHEMA = "json_schema"
    REGEX = "regex"
    MAX_LENGTH = "max_length"
    CONTAINS = "contains"
    EQUALS_REFERENCE = "equals_reference"
    FOUND_IN = "found_in"


class Criterion(_Part):
    """One thing a judge is asked, or that code checks."""

    id: Identifier = Field(description="Short name, unique in the rubric.", examples=["correct", "grounded"])
    ask: str | None = Field(
        default=None,
        min_length=3,
        description="The question, as judges and people read it; {name} stands for the content of that name.",
        examples=[
            "Does {answer} answer the question that was asked?",
            "Is every number in {answer} the number that {sources} gives?",
        ],
    )
    check: str | None = Field(
        default=None,
        description="A code check instead of a question: no LLM.",
        examples=["contains_url", "max_length"],
    )
    of: str = Field(
        default="answer", description="Name of the content a check looks at.", examples=["answer", "sources"]
    )
    value: Any = Field(
        default=None,
        description="What a check compares with: a pattern, a length, a schema, a text.",
        examples=[400, "order number"],
    )
    critical: bool = Field(
        default=False, description="If it fails, the whole verdict is fail.", examples=[True, False]
    )
    weight: Annotated[float, Field(gt=0)] = Field(
        default=1.0, description="Share of the score, relative to the other criteria.", examples=[2, 3]
    )
    scale: dict[int, str] | None = Field(
        default=None,
        description="At most 5 levels, each with an anchor text; without it the answer is pass or fail.",
        examples=[
            {1: "wrong", 2: "half right", 3: "right"},
            {1: "rude", 2: "cold", 3: "neutral", 4: "kind", 5: "warm and precise"},
        ],
    )
    pass_at: int | None = Field(default=None, description="Lowest level of the scale that passes.", examples=[3, 4])
    not_applicable_when: str | None = Field(
        default=None,
        description="JMESPath over the content; where true the criterion is left out.",
        examples=["!sources", "!question || !answer"],
    )


class Thresholds(_Part):
    pass_at: Share = Field(
        default=0.75,
        description="Weighted share of criteria from which the verdict is pass.",
        examples=[0.75, 1],
    )
    partial_at: Share = Field(
        default=0.5,
        description="Weighted share from which it is partial; below it is fail.",
        examples=[0.5, 0.75],
    )


class JudgeSpec(_Part):
    model: str = Field(
        min_length=1,
        description="A litellm model name, or `default` for the server's judge.",
        examples=["default", "openai/gpt-4.1-mini", "anthropic/claude-sonnet-4-5"],
    )
    samples: Annotated[int, Field(ge=1, le=20)] | None = Field(
        default=None,
        description="How often each run is judged by it; left out: 5 where a criterion has a scale, else 1.",
        examples=[1, 5],
    )
    temperature: Annotated[float, Field(ge=0, le=2)] = Field(
        default=0.0,
        description="Temperature of the model; with several samples 0 is taken as 0.7, since 0 repeats itself.",
        examples=[0, 0.7],
    )
    max_tokens: Annotated[int, Field(ge=64, le=16384)] = Field(
        default=1024, description="Longest reply, in tokens.", examples=[300, 1024]
    )
    max_content_chars: Annotated[int, Field(ge=500)] = Field(
        default=24_000,
        description="Content beyond this many characters is cut in the middle, and said so.",
        examples=[2500, 24_000],
    )
    timeout_seconds: Annotated[float, Field(gt=0, le=600)] = Field(
        default=60, description="Hard limit for one call, in seconds.", examples=[60, 120]
    )

    @property
    def repeats(self) -> int:
        """How often each run is judged by it; a rubric fills in what its author left out."""
        return self.samples or 1


EscalateWhen = Literal["unknown", "near_threshold", "critical_fail", "panel_split", "injection_suspected"]


class Escalate(_Part):
    """A stronger judge, asked once all others have judged a run; its answer then stands for theirs."""

    to: str = Field(
        min_length=1,
        description="The stronger judge's model.",
        examples=["anthropic/claude-sonnet-4-5", "openai/gpt-4.1"],
    )
    when: tuple[EscalateWhen | dict[Literal["value_above"], Decimal], ...] = Field(
        default=(),
        description="When to ask it: any of these is enough.",
        examples=[["unknown", "near_threshold"], ["critical_fail", {"value_above": 500}]],
    )


class OutcomeMapping(_Part):
    outcome: FinalOutcome = Field(
        description="The event's final outcome under this verdict.", examples=["success", "failed"]
    )
    type: OutcomeType = Field(
        default=OutcomeType.CUSTOM, description="Its outcome type.", examples=["DEFLECTED", "UNSUCCESSFUL"]
    )


ReviewReason = Literal[
    "unknown",
    "critical_fail",
    "panel_split",
    "injection_suspected",
    "low_confidence",
    "near_threshold",
]


class ReviewPolicy(_Part):
    """What people look at: each rollup carries the reasons why it wants a person."""

    audit_rate: Share = Field(
        default=0.0, description="Share of events shown to people at random.", examples=[0.02, 0.05]
    )
    send: tuple[ReviewReason | dict[Literal["value_above"], Decimal], ...] = Field(
        default=(),
        description="Which events go to people besides: any of these is enough.",
        examples=[["unknown", "critical_fail", "injection_suspected"], ["panel_split", {"value_above": 500}]],
    )
    reviewers: Annotated[int, Field(ge=1, le=9)] = Field(
        default=1, description="Reviews wanted per item.", examples=[1, 2]
    )
    blind: bool = Field(
        default=True,
        description="Whether the judge's verdict is hidden until the first pass.",
        examples=[True, False],
    )


class Budget(_Part):
    usd_per_day: Annotated[Decimal, Field(gt=0)] = Field(
        description="Most that judging may cost in a UTC day.", examples=[5, 0.5]
    )


class Example(BaseModel):
    """A golden case, run by `adjudge rubrics test`; content goes by the names of the rubric's content mapping."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str = Field(
        min_length=1, description="What the case shows.", examples=["dodges the question", "a digit lost"]
    )
    expect: dict[str, CriterionLabel | int] = Field(
        description="Criterion id → the right answer.",
        examples=[{"correct": "fail"}, {"correct": "pass", "tone": 4}],
    )


class Combination(StrEnum):
    """How several outcome rubrics of one workflow make one outcome."""

    WORST = "worst"
    BEST = "best"


MOST_PARTS = 100
"""Criteria, and names of content: no judge and no person keeps more apart, and what is checked grows with both."""
SCALE_REPEATS = 5
"""How often a rubric with a scale is judged unless it says otherwise: 5 samples give 65–80 % of what 20 give."""


class Rubric(_Part):
    """What good is for one or more workflows."""

    id: Identifier = Field(
        description="Short name, unique among all rubrics.", examples=["support-resolution", "grounded-answer"]
    )
    title: str = Field(
        min_length=1,
        description="What the rubric asks, in a line.",
        examples=["Did we solve the customer's problem?", "Find wrong answers to customers"],
    )
    role: Role = Field(
        default=Role.QUALITY,
        description="outcome feeds final_outcome; quality is measured only.",
        examples=["outcome", "quality"],
    )
    applies_to: AppliesTo = Field(
        default=AppliesTo(), description="Which runs the rubric is for.", examples=[{"workflow": ["Support"]}]
    )
    sample: SampleRule = Field(
        default=SampleRule(),
        description="Which of those runs are judged.",
        examples=[{"rate": 0.2, "always": ["diagnostics.confidence < `0.6`"]}],
    )
    content: dict[Identifier, str] = Field(
        default={"question": "input", "answer": "output", "sources": "retrieval"},
        max_length=MOST_PARTS,
        description="Name → JMESPath over the run: what the judge is shown, and under which name.",
        examples=[{"question": "input.messages[-1].content", "answer": "output", "sources": "retrieval[].text"}],
    )
    criteria: tuple[Criterion, ...] = Field(
        min_length=1,
        max_length=MOST_PARTS,
        description="What is asked or checked.",
        examples=[[{"id": "solves", "ask": "Does {answer} fix the problem in {question}?", "critical": True}]],
    )
    verdict: Thresholds = Field(
        default=Thresholds(),
        description="From which score the verdict is pass or partial.",
        examples=[{"pass_at": 0.75, "partial_at": 0.5}],
    )
    judges: tuple[JudgeSpec, ...] = Field(
        default=(JudgeSpec(model="default"),),
        min_length=1,
        description="Who judges; several make a panel.",
        examples=[
            [{"model": "default"}],
            [{"model": "openai/gpt-4.1-mini"}, {"model": "anthropic/claude-haiku-4-5"}],
        ],
    )
    escalate: Escalate | None = Field(
        default=None,
        description="When a stronger judge is asked as well.",
        examples=[{"to": "anthropic/claude-sonnet-4-5", "when": ["unknown", "near_threshold"]}],
    )
    rollup: RollupRule = Field(
        default=RollupRule.LAST_RUN,
        description="How verdicts of several runs become one.",
        examples=["last_run", "all"],
    )
    k: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="For k_of_n: how many runs have to pass.", examples=[2, 3]
    )
    outcome: dict[VerdictLabel, OutcomeMapping] = Field(
        default_factory=dict,
        description="Verdict → outcome; for role outcome only.",
        examples=[{"pass": {"outcome": "success", "type": "DEFLECTED"}, "fail": {"outcome": "failed"}}],
    )
    combine: Combination | None = Field(
        default=None,
        description="Where several outcome rubrics share a workflow: the worst or the best of their outcomes counts.",
        examples=["worst", "best"],
    )
    review: ReviewPolicy = Field(
        default=ReviewPolicy(),
        description="What people look at.",
        examples=[{"audit_rate": 0.05, "send": ["unknown", "critical_fail", "injection_suspected"]}],
    )
    budget: Budget | None = Field(
        default=None,
        description="Most that judging under this rubric may cost.",
        examples=[{"usd_per_day": 5}],
    )
    examples: tuple[Example, ...] = Field(
        default=(),
        description="Golden cases with the right answers.",
        examples=[
            [
                {
                    "name": "dodges",
                    "question": "Where is my refund?",
                    "answer": "We value you.",
                    "expect": {"solves": "fail"},
                }
            ]
        ],
    )
    version: str = Field(default="", description="Set by the loader: hash of the rubric's meaning.")

    def model_post_init(self, _context: Any, /) -> None:
        """Fill in how often each judge is asked, which depends on the criteria."""
        repeats = SCALE_REPEATS if any(each.scale for each in self.criteria) else 1
        filled = tuple(
            spec if spec.samples else spec.model_copy(update={"samples": repeats}) for spec in self.judges
        )
        object.__setattr__(self, "judges", filled)

    @property
    def stronger_judge(self) -> JudgeSpec | None:
        """Who is asked on escalation: as the first judge is, once, with the stronger model."""
        if self.escalate is None:
            return None
        return self.judges[0].model_copy(update={"model": self.escalate.to, "samples": 1})

    def mapping_for(self, verdict: VerdictLabel) -> OutcomeMapping | None:
        """The outcome a verdict of this rubric stands for, or None where it says nothing.

        What the author leaves out is pass → success, partial → partial, fail → failed.
        """
        if self.role is not Role.OUTCOME or verdict is VerdictLabel.UNKNOWN:
            return None
        return self.outcome.get(verdict) or _DEFAULT_MAPPING[verdict]


_DEFAULT_MAPPING = {
    VerdictLabel.PASS: OutcomeMapping(outcome=FinalOutcome.SUCCESS),
    VerdictLabel.PARTIAL: OutcomeMapping(outcome=FinalOutcome.PARTIAL),
    VerdictLabel.FAIL: OutcomeMapping(outcome=FinalOutcome.FAILED, type=OutcomeType.UNSUCCESSFUL),
}


class RubricVersion(SQLModel):
    """One version of a rubric as first used: immutable, so that history keeps its meaning."""

    version: str = Column(primary_key=True)
    rubric_id: str = Column(index=True)
    title: str
    body: dict[str, Any] = Column(sa_type=OrderedJson)
    """The rubric as JSON."""
    source: str = ""
    """The YAML text as read."""
    in_force_since: Any = Column(default=None, sa_type=UtcTime, nullable=True)
    """When it first judged runs for their outcome or quality; None while it was only tried on stored runs."""
    first_used_at: Any = Column(default_factory=utc_now, sa_type=UtcTime)
