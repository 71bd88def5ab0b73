"""A rubric problem: where in which file, what was found, what is allowed, the nearest valid spelling, and a link."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from typing import Literal

from evaluator.errors import RubricInvalid
from evaluator.wording import visible

DOCS = "docs/rubrics.md"

Severity = Literal["error", "warning"]

SECTIONS = (
    *("applies_to", "sample", "content", "criteria", "verdict", "judges", "escalate", "rollup", "outcome"),
    *("combine", "review", "budget", "examples"),
)
"""Keys of a rubric that have a heading of their own in the docs."""
EXPRESSIONS, CHECKS, COMBINE = "what-expressions-see", "checks", "combine"
_EXPRESSION = re.compile(r"applies_to\.where|sample\.always\[.*|criteria\[\d+\]\.not_applicable_when")
_CHECK = re.compile(r"criteria\[\d+\]\.(check|of|value)")
_FIRST_KEY = re.compile(r"[^.\[]*")


@dataclass(frozen=True, slots=True)
class RubricProblem:
    """One thing wrong with a rubric file; line and column count from 1.

    An error makes the rubric invalid; a warning is about one that is valid and hardly meant so.
    """

    file: str
    line: int
    column: int
    field: str
    """Dotted path within the rubric, such as criteria[0].scale; empty for the file as a whole."""
    message: str
    found: str = ""
    allowed: str = ""
    suggestion: str | None = None
    severity: Severity = "error"
    about: str = ""
    """Heading of the docs that explains it, as an anchor; found by the field where it is left out."""

    @property
    def link(self) -> str:
        """Where the docs explain this: a file of the repository and a heading in it."""
        return f"{DOCS}#{self.about or anchor_of(self.field)}"

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}: {'warning: ' if self.severity == 'warning' else ''}"
        return visible(where) + self.told()

    def told(self) -> str:
        """The problem without its place."""
        parts = [f"{self.field}: {self.message}" if self.field else self.message]
        if self.found:
            parts.append(f"found {self.found}")
        if self.allowed:
            parts.append(f"allowed: {self.allowed}")
        if self.suggestion is not None:
            parts.append(f"did you mean '{self.suggestion}'?")
        return visible(f"{'; '.join(parts)} ({self.link})")


def anchor_of(field: str) -> str:
    """The anchor of the heading that explains a field, given by its dotted path; empty stands for the whole file."""
    if not field:
        return "files"
    if _EXPRESSION.fullmatch(field):
        return EXPRESSIONS
    if _CHECK.match(field):
        return CHECKS
    first = _FIRST_KEY.match(field)
    key = first.group() if first else ""
    return key if key in SECTIONS else {"k": "rollup", "version": "versions"}.get(key, "keys")


MOST_TOLD = 500
"""Problems of one text: whoever has more mends the first ones first."""


class RubricProblems(RubricInvalid):
    """The rubric has errors; warnings never raise."""

    def __init__(self, problems: Iterable[RubricProblem]) -> None:
        self.problems = _first(sorted(problems, key=lambda each: (each.file, each.line, each.column)))
        super().__init__("\n".join(map(str, self.problems)))


def _first(problems: list[RubricProblem]) -> tuple[RubricProblem, ...]:
    if len(problems) <= MOST_TOLD:
        return tuple(problems)
    at = problems[MOST_TOLD]
    more = RubricProblem(
        at.file, at.line, at.column, "", f"and {len(problems) - MOST_TOLD} more problems from here on"
    )
    return (*problems[:MOST_TOLD], more)


_MOST_COMPARED, _MOST_LISTED = 2000, 200
"""Names that one which is not known is compared with, and that are told instead of it."""


def nearest(found: str, allowed: Iterable[str]) -> str | None:
    """The allowed spelling closest to what was found, upper and lower case alike, or None."""
    by_folded = {each.casefold(): each for each in islice(allowed, _MOST_COMPARED)}
    close = get_close_matches(found[:100].casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[close[0]] if close else None


def quoted(text: str) -> str:
    """The text in quotes on one line, cut where it is long."""
    return repr(text if len(text) <= 60 else text[:57] + "…")


def listed(names: Iterable[str]) -> str:
    return ", ".join(islice(names, _MOST_LISTED))
