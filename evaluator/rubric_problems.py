"""A rubric problem: where in which file, what was found, what is allowed, and the nearest valid spelling."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from evaluator.errors import RubricInvalid
from evaluator.wording import visible


@dataclass(frozen=True, slots=True)
class RubricProblem:
    """One thing wrong with a rubric file; line and column count from 1."""

    file: str
    line: int
    column: int
    field: str
    """Dotted path within the rubric, such as criteria[0].scale; empty for the file as a whole."""
    message: str
    found: str = ""
    allowed: str = ""
    suggestion: str | None = None

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}: "
        parts = [f"{self.field}: {self.message}" if self.field else self.message]
        if self.found:
            parts.append(f"found {self.found}")
        if self.allowed:
            parts.append(f"allowed: {self.allowed}")
        if self.suggestion is not None:
            parts.append(f"did you mean '{self.suggestion}'?")
        return visible(where + "; ".join(parts))


class RubricProblems(RubricInvalid):
    """The rubric has errors."""

    def __init__(self, problems: Iterable[RubricProblem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda each: (each.file, each.line, each.column)))
        super().__init__("\n".join(map(str, self.problems)))


def nearest(found: str, allowed: Iterable[str]) -> str | None:
    """The allowed spelling closest to what was found, upper and lower case alike, or None."""
    by_folded = {each.casefold(): each for each in allowed}
    close = get_close_matches(found[:100].casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[close[0]] if close else None


def quoted(text: str) -> str:
    """The text in quotes on one line, cut where it is long."""
    return repr(text if len(text) <= 60 else text[:57] + "…")


def listed(names: Iterable[str]) -> str:
    return ", ".join(names)
