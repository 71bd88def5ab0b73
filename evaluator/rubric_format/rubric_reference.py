"""The tables of docs/rubrics.md, made from the rubric's schema."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from evaluator.errors import Malformed
from evaluator.rubric_format.expressions import RUN_FACTS
from evaluator.rubric_format.rubric_choices import (
    ANSWER,
    CHECK,
    COMBINATION,
    OUTCOME_TYPE,
    REASON,
    ROLE,
    ROLLUP,
    VALUE_ABOVE,
)
from evaluator.rubric_format.rubric_schema import Schema, default_of, rubric_schema

_TABLE = re.compile(r"(?<=<!-- table: )([a-z ._]+)( -->\n).*?(?=<!-- end -->)", re.DOTALL)

_SECTION_DEFAULTS = {"applies_to": "every run", "sample": "every event", "judges": "`model: default`"}
"""What stands for sections that are left out and whose keys do not say it."""


def with_reference(page: str) -> str:
    """The page with each table between `<!-- table: … -->` and `<!-- end -->` written anew.

    Raises Malformed for a page that has no such table, lacks one, or asks for one that does not exist.
    """
    tables = rubric_reference()
    asked = [found[1] for found in _TABLE.finditer(page)]
    if sorted(asked) != sorted(tables):
        wrong = sorted(set(asked) ^ set(tables)) or ["one stands twice"]
        raise Malformed(
            f"The page's tables are not those of the rubric reference: {', '.join(wrong)}.",
            hint="Each stands once, between <!-- table: its name --> and <!-- end -->.",
        )
    return _TABLE.sub(lambda found: f"{found[1]}{found[2]}{tables[found[1]]}", page)


def rubric_reference() -> dict[str, str]:
    """Each table of the reference by its name, as Markdown."""
    keys = rubric_schema(defaults_everywhere=True)["properties"]
    rule_rows = [(f"`{name}`", words) for name, words in REASON.items()]
    return {
        "keys": _keys(rubric_schema(defaults_everywhere=True)),
        **{name: _keys(keys[name]) for name in ("applies_to", "sample", "verdict", "escalate", "review", "budget")},
        **{name: _keys(keys[name]["items"]) for name in ("criteria", "judges", "examples")},
        "outcome": _keys(keys["outcome"]["properties"]["pass"]),
        "role": _choices(ROLE),
        "rollup": _choices(ROLLUP),
        "combine": _choices(COMBINATION),
        "outcome types": _choices(OUTCOME_TYPE),
        "answers": _choices(ANSWER),
        "reasons": _table(("reason", "holds where"), [*rule_rows, ("`value_above: 500`", VALUE_ABOVE)]),
        "checks": _table(
            ("check", "`value`", "passes when the content named in `of`"),
            [(f"`{name}`", told.value, told.passes) for name, told in CHECK.items()],
        ),
        "facts": _table(("name", "what it holds"), [(f"`{name}`", words) for name, words in RUN_FACTS.items()]),
    }


def _keys(schema: Schema) -> str:
    required = schema.get("required", ())
    return _table(
        ("key", "default", "what it says"),
        [
            (f"`{name}`", "required" if name in required else _default(name, each), each["description"])
            for name, each in schema["properties"].items()
        ],
    )


def _default(name: str, schema: Schema) -> str:
    return default_of(schema) or _SECTION_DEFAULTS.get(name) or _defaults_within(schema) or "none"


def _defaults_within(schema: Schema) -> str:
    """A section's defaults: those of its keys."""
    within: Mapping[str, Schema] = schema.get("properties", {})
    return ", ".join(f"`{name}: {told.strip('`')}`" for name, each in within.items() if (told := default_of(each)))


def _choices(words: Mapping[str, str]) -> str:
    return _table(("choice", "what it means"), [(f"`{name}`", told) for name, told in words.items()])


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    head, *lines = (
        f"| {' | '.join(each.replace('|', chr(92) + '|') for each in row)} |\n" for row in (heads, *rows)
    )
    return f"{head}{'|---' * len(heads)}|\n{''.join(lines)}"
