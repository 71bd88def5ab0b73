"""What sets two versions of a rubric apart: in the author's words, in what judges read, and in what stays comparable."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from enum import StrEnum
from itertools import count
from typing import Any, Literal

from evaluator.judging.judge import fingerprint
from evaluator.judging.prompt import build_messages
from evaluator.model.columns import canonical_json
from evaluator.model.rubric import JudgeSpec, Rubric
from evaluator.rubric_format.rubric_files import meaning_of

Kind = Literal["added", "removed", "changed", "renamed", "moved"]


class Reach(StrEnum):
    """What a change makes incomparable, from the judge's answer up to what people look at."""

    NAME = "name"
    VERDICTS = "verdicts"
    RUNS = "runs"
    EVENTS = "events"
    OUTCOMES = "outcomes"
    POPULATION = "population"
    SELECTION = "selection"
    REVIEW = "review"


SAYS = {
    Reach.NAME: "Another id is another rubric: its history, statistics and outcomes begin anew, the old ones stay.",
    Reach.VERDICTS: "The fingerprint changes: agreement, calibration and success rates from verdicts start anew, and "
    "cached verdicts are not reused.",
    Reach.RUNS: "A run's verdict is made of its judges' answers in another way: verdicts of runs mean something else. "
    "What one judge says stays comparable where its fingerprint does.",
    Reach.EVENTS: "Rollups and outcomes of events mean something else; agreement per run stays comparable.",
    Reach.OUTCOMES: "Outcomes, and the cost per outcome and ROI that rest on them, mean something else; verdicts stay "
    "comparable.",
    Reach.POPULATION: "Other runs are judged: rates are about another population.",
    Reach.SELECTION: "Inclusion probabilities differ: rates stay comparable when weighted by them, plain counts do not.",
    Reach.REVIEW: "People see other items, or see them differently: human rates before and after need their inclusion "
    "probabilities, and agreement is not pooled across blind and open review.",
}

REACH: Mapping[str, Reach | None] = {
    "id": Reach.NAME,
    "title": Reach.VERDICTS,
    "role": Reach.OUTCOMES,
    "applies_to": Reach.POPULATION,
    "sample": Reach.SELECTION,
    "content": Reach.VERDICTS,
    "criteria": Reach.VERDICTS,
    "verdict": Reach.VERDICTS,
    "escalate": Reach.RUNS,
    "rollup": Reach.EVENTS,
    "k": Reach.EVENTS,
    "outcome": Reach.OUTCOMES,
    "combine": Reach.OUTCOMES,
    "review": Reach.REVIEW,
    "budget": None,
    "examples": None,
}
"""Key of a rubric → what a change of it reaches; judges are looked at more closely."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs; values are as JSON, None where there was none."""

    kind: Kind
    field: str
    """Dotted path; criteria and examples go by their id and name, such as criteria.solves.ask."""
    before: Any = None
    after: Any = None


@dataclass(frozen=True, slots=True)
class JudgeFingerprint:
    """A judge's fingerprint in both versions; None where the version has no such judge."""

    judge: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Consequence:
    """What stops being comparable, and which changes are to blame."""

    reach: Reach
    fields: tuple[str, ...]
    says: str


@dataclass(frozen=True, slots=True)
class RubricDifference:
    """What sets two versions apart; without changes they mean the same."""

    before: Rubric
    after: Rubric
    changes: tuple[Change, ...]
    prompt: tuple[str, ...]
    """A unified diff of the judges' instructions, line by line; empty where they are equal."""
    fingerprints: tuple[JudgeFingerprint, ...]
    consequences: tuple[Consequence, ...]


def rubric_difference(before: Rubric, after: Rubric, *, label: Callable[[str], str] = str) -> RubricDifference:
    """Compare two rubrics; label gives a judge's model as fingerprints carry it."""
    return RubricDifference(
        before=before,
        after=after,
        changes=tuple(changes(before, after)),
        prompt=tuple(_prompt_difference(before, after)),
        fingerprints=_fingerprints(before, after, label),
        consequences=consequences(before, after),
    )


def changes(before: Rubric, after: Rubric) -> Iterator[Change]:
    """Everything that differs in meaning, in the order of the rubric's keys; none for equal versions."""
    return _mapping_changes("", meaning_of(before), meaning_of(after))


def consequences(before: Rubric, after: Rubric) -> tuple[Consequence, ...]:
    """Which statistics stop being comparable from one version to the next; none where all stay so."""
    blamed: dict[Reach, list[str]] = {}
    for change in changes(before, after):
        for reach in _reached(change.field, before, after):
            blamed.setdefault(reach, []).append(change.field)
    return tuple(
        Consequence(reach, tuple(dict.fromkeys(blamed[reach])), SAYS[reach]) for reach in Reach if reach in blamed
    )


def _reached(field: str, before: Rubric, after: Rubric) -> Iterator[Reach]:
    key = re.split(r"[.\[]", field, maxsplit=1)[0]
    if key == "judges":
        old, new = _judge_prints(before, before.judges), _judge_prints(before, after.judges)
        if old.keys() - new.keys() and new.keys() - old.keys():
            yield Reach.VERDICTS  # a judge that is only added or dropped leaves the statistics of the others alone
        if sorted(old.values()) != sorted(new.values()):
            yield Reach.RUNS
    elif (reach := REACH[key]) is not None:
        yield reach


def _judge_prints(rubric: Rubric, judges: Sequence[JudgeSpec]) -> Counter[str]:
    """Fingerprint → how often a run is judged under it, were these the rubric's judges."""
    prints = Counter[str]()
    for spec in judges:
        prints[fingerprint(rubric, spec, spec.model)] += spec.repeats
    return prints


def _mapping_changes(path: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for name in dict.fromkeys([*before, *after]):
        field = f"{path}.{name}" if path else str(name)
        if name not in after:
            yield Change("removed", field, before=before[name])
        elif name not in before:
            yield Change("added", field, after=after[name])
        else:
            yield from _value_changes(field, before[name], after[name])


def _value_changes(field: str, before: Any, after: Any) -> Iterator[Change]:
    if _is_equal(before, after):
        return
    if field in ("criteria", "examples"):
        yield from _entry_changes(field, before, after, "id" if field == "criteria" else "name")
    elif field == "judges":
        yield from _judge_changes(before, after)
    elif isinstance(before, dict) and isinstance(after, dict):
        yield from _mapping_changes(field, before, after)
    elif before is None or after is None:
        yield Change("added" if before is None else "removed", field, before, after)
    else:
        yield Change("changed", field, before, after)


def _is_equal(one: Any, other: Any) -> bool:
    return canonical_json(one) == canonical_json(other)


def _judge_changes(before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]]) -> Iterator[Change]:
    """Judge by judge in their places where there are as many as before, else by model."""
    if len(before) != len(after):
        yield from _entry_changes("judges", before, after, "model")
        return
    for place, (old, new) in enumerate(zip(before, after, strict=True)):
        yield from _mapping_changes(f"judges[{place}]", old, new)


def _entry_changes(
    field: str, before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]], key: str
) -> Iterator[Change]:
    old, new = _by_name(before, key), _by_name(after, key)
    renamed = dict(_renamed(old, new, key))
    yield from (Change("renamed", field, *names) for names in renamed.items())
    for name, entry in old.items():
        if name in new:
            yield from _mapping_changes(f"{field}.{name}", entry, new[name])
        elif name not in renamed:
            yield Change("removed", f"{field}.{name}", before=entry)
    for name, entry in new.items():
        if name not in old and name not in renamed.values():
            yield Change("added", f"{field}.{name}", after=entry)
    was = [renamed.get(name, name) for name in old if renamed.get(name, name) in new]
    now = [name for name in new if name in set(was)]
    if was != now:
        yield Change("moved", field, was, now)


def _by_name(entries: Sequence[dict[str, Any]], key: str) -> dict[str, dict[str, Any]]:
    """Entries by their name; the second of equal ones is called `name #2`."""
    named: dict[str, dict[str, Any]] = {}
    for entry in entries:
        spellings = (f"{entry[key]} #{number}" if number > 1 else str(entry[key]) for number in count(1))
        named[next(name for name in spellings if name not in named)] = entry
    return named


def _renamed(
    old: Mapping[str, dict[str, Any]], new: Mapping[str, dict[str, Any]], key: str
) -> Iterator[tuple[str, str]]:
    """(old name, new name) of entries that are equal but for their name."""
    gone = [name for name in old if name not in new]
    fresh = [name for name in new if name not in old]
    for name in gone:
        twin = next((one for one in fresh if _is_equal({**old[name], key: ""}, {**new[one], key: ""})), None)
        if twin is not None:
            fresh.remove(twin)
            yield name, twin


def system_prompt(rubric: Rubric) -> str:
    """The judges' instructions where every question applies; empty where code checks everything."""
    asked = [each for each in rubric.criteria if not each.check]
    if not asked:
        return ""
    content = dict.fromkeys(rubric.content, "")
    return build_messages(rubric, asked, content, max_content_chars=500, delimiter="R").messages[0]["content"]


def _prompt_difference(before: Rubric, after: Rubric) -> Iterator[str]:
    old, new = (system_prompt(rubric).splitlines() for rubric in (before, after))
    return unified_diff(old, new, name_of(before), name_of(after), lineterm="", n=1)


def name_of(rubric: Rubric) -> str:
    """id@version, as every command takes it."""
    return f"{rubric.id}@{rubric.version}"


def _fingerprints(before: Rubric, after: Rubric, label: Callable[[str], str]) -> tuple[JudgeFingerprint, ...]:
    old, new = _prints_by_judge(before, label), _prints_by_judge(after, label)
    return tuple(JudgeFingerprint(judge, old.get(judge), new.get(judge)) for judge in {**old, **new})


def _prints_by_judge(rubric: Rubric, label: Callable[[str], str]) -> dict[str, str]:
    named = _by_name([{"judge": label(spec.model), "spec": spec} for spec in rubric.judges], "judge")
    if rubric.stronger_judge is not None:
        stronger = {"judge": label(rubric.stronger_judge.model), "spec": rubric.stronger_judge}
        named[f"{stronger['judge']} (stronger judge)"] = stronger
    return {name: fingerprint(rubric, each["spec"], each["judge"]) for name, each in named.items()}


def as_json(found: RubricDifference) -> dict[str, Any]:
    """The same facts as JSON values."""
    return {
        "before": {"id": found.before.id, "version": found.before.version},
        "after": {"id": found.after.id, "version": found.after.version},
        "equal": not found.changes,
        "changes": found.changes,
        "prompt": found.prompt,
        "fingerprints": found.fingerprints,
        "consequences": found.consequences,
    }
