"""A capture: the input, output and retrieval content and the tool calls of a run, and how much of it came through."""

from __future__ import annotations

from enum import StrEnum
from hashlib import sha256
from typing import Any

from pydantic import BaseModel, ConfigDict

from evaluator.model.columns import canonical_json


class Fidelity(StrEnum):
    """How much of the content came through."""

    FULL = "full"
    TRUNCATED = "truncated"
    """Cut by the client or by a limit here."""
    PARTIAL = "partial"
    """One side of a pair is missing, or only a description of an object came."""
    MISSING = "missing"


class Passage(BaseModel):
    """One piece of captured content: text or parsed JSON, where it came from, how whole it is."""

    model_config = ConfigDict(frozen=True)

    value: Any = None
    fidelity: Fidelity = Fidelity.MISSING
    dialect: str | None = None
    """Which attribute family won, such as botanu.eval or gen_ai."""
    span_id: str | None = None


class Capture(BaseModel):
    """Input, output and retrieval content and the tool calls of one run, after redaction."""

    model_config = ConfigDict(frozen=True)

    input: Passage = Passage()
    output: Passage = Passage()
    retrieval: Passage = Passage()
    """Its value is a list of retrieved texts or documents."""
    tools: Passage = Passage()
    """Its value is a list of tool calls in time order, each with name, arguments, result and, where it failed, error."""
    redactions: dict[str, int] = {}
    """How many stretches of text were replaced, by kind."""

    @property
    def fidelity(self) -> Fidelity:
        """The whole capture's fidelity; retrieval and tools are optional and only count when they were cut."""
        sides = (self.input.fidelity, self.output.fidelity)
        if all(side is Fidelity.MISSING for side in sides):
            return Fidelity.MISSING
        if Fidelity.MISSING in sides or Fidelity.PARTIAL in sides:
            return Fidelity.PARTIAL
        if Fidelity.TRUNCATED in (*sides, self.retrieval.fidelity, self.tools.fidelity):
            return Fidelity.TRUNCATED
        return Fidelity.FULL

    @property
    def content_hash(self) -> str:
        """SHA-256 hex over the values: equal content has an equal hash, wherever it came from.

        Tool calls count where there are any.
        """
        values = [self.input.value, self.output.value, self.retrieval.value]
        if self.tools.value is not None:
            values.append(self.tools.value)
        return sha256(canonical_json(values)).hexdigest()
