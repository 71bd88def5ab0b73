"""Time zones to choose from, by area."""

from __future__ import annotations

from functools import cache
from zoneinfo import available_timezones

AREAS = (
    "Africa",
    "America",
    "Antarctica",
    "Arctic",
    "Asia",
    "Atlantic",
    "Australia",
    "Europe",
    "Indian",
    "Pacific",
)


@cache
def time_zones() -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    """Area → zones as value and words; UTC first."""
    by_area: dict[str, list[tuple[str, str]]] = {area: [] for area in AREAS}
    for name in sorted(available_timezones()):
        area, _, place = name.partition("/")
        if place and area in by_area:
            by_area[area].append((name, place.replace("_", " ").replace("/", ", ")))
    return (("Universal", (("UTC", "UTC"),)), *((area, tuple(names)) for area, names in by_area.items() if names))
