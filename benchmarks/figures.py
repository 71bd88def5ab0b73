"""Measured figures beside the limit each is held to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """One figure; without a limit it is told, not judged."""

    name: str
    value: float
    relation: Literal["≤", "≥", "="] | None = None
    limit: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the figure keeps its limit."""
        if self.limit is None:
            return True
        if self.relation == "≤":
            return self.value <= self.limit
        return self.value >= self.limit if self.relation == "≥" else abs(self.value - self.limit) < 1e-9


def show(figures: list[Figure]) -> bool:
    """Print figures as a table; whether all hold."""
    table = Table(show_edge=False)
    for head, justify in (("figure", "left"), ("measured", "right"), ("limit", "right"), ("", "left")):
        table.add_column(head, justify=justify)  # type: ignore[arg-type]  # two of rich's five words
    for one in figures:
        limit = "" if one.limit is None else f"{one.relation} {one.limit:g}"
        verdict = "" if one.limit is None else "holds" if one.holds else "MISSED"
        table.add_row(one.name, f"{one.value:,.4g}" if one.value < 1000 else f"{one.value:,.0f}", limit, verdict)
    Console().print(table)
    return all(one.holds for one in figures)
