"""The JSON schema of a rubric file, for editors: made from the rubric's shapes, finished where editors gain by it.

Draft-07, which YAML language servers know best; enumDescriptions, markdownDescription, defaultSnippets and
errorMessage are the additions that VS Code and yaml-language-server read. What JSON Schema cannot say (expressions,
names that have to occur elsewhere, partial_at below pass_at) is left to `adjudge rubrics lint`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import yaml
from pydantic.json_schema import GenerateJsonSchema

from evaluator.model.rubric import Rubric
from evaluator.rubric_format.expressions import RUN_FACTS
from evaluator.rubric_format.rubric_choices import (
    ANSWER,
    CHECK,
    COMBINATION,
    OUTCOME,
    OUTCOME_TYPE,
    REASON,
    ROLE,
    ROLLUP,
    VALUE_ABOVE,
)
from evaluator.rubric_format.rubric_rules import MAX_LEVELS

Schema = dict[str, Any]

SCHEMA_FILE = "rubric.schema.json"
"""The schema's name within the rubrics folder, as the first line of a rubric names it."""

_NAME = "^[a-z0-9][a-z0-9_-]{0,63}$"
_NAME_ERROR = "A short name: a-z, 0-9, - and _, at most 64 characters, the first a letter or digit."
_NOT_BLANK = {"pattern": r"\S", "patternErrorMessage": "The text is blank."}
_VERDICTS = {
    "pass": "The outcome where the verdict is pass; left out: success, CUSTOM.",
    "partial": "The outcome where the verdict is partial; left out: partial, CUSTOM.",
    "fail": "The outcome where the verdict is fail; left out: failed, UNSUCCESSFUL.",
}


def schema_text() -> str:
    """rubric.schema.json as it is checked in."""
    return json.dumps(rubric_schema(), indent=2, ensure_ascii=False) + "\n"


def rubric_schema(*, defaults_everywhere: bool = False) -> Schema:
    """The JSON schema of a rubric file; a fresh value with each call.

    Editors write out every default of a list's entry when they fill one in, so within lists and for content defaults
    stand in words only, unless they are asked for everywhere.
    """
    made = Rubric.model_json_schema(schema_generator=_AsWritten)
    root = _inlined(made, made["$defs"])
    del root["properties"]["version"]
    for section, finish in _FINISHES.items():
        finish(root["properties"][section])
    _finish_root(root)
    for path, each in properties_of(root):
        _finish_property(path, each)
        if not defaults_everywhere and ("[]" in path or path.startswith("outcome.") or path == "content"):
            each.pop("default", None)
    return {"$schema": "http://json-schema.org/draft-07/schema#"} | root


class _AsWritten(GenerateJsonSchema):
    """Keeps the keys of examples and defaults in the order in which an author would write them."""

    def sort(self, value: Any, parent_key: str | None = None) -> Any:
        return value


def properties_of(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Every property of a schema at every level, with its path, such as criteria[].scale."""
    for name, each in schema.get("properties", {}).items():
        yield f"{path}{name}", each
        yield from properties_of(each, f"{path}{name}.")
    if "items" in schema:
        yield from properties_of(schema["items"], f"{path.removesuffix('.')}[].")
    for choice in schema.get("anyOf", ()):
        yield from properties_of(choice, path)


def _inlined(schema: Schema, shapes: dict[str, Schema]) -> Schema:
    """The schema without references, generated titles and defaults that say nothing; own words before the shape's."""
    shape = shapes[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else {}
    own = {key: value for key, value in {**shape, **schema}.items() if key not in ("$ref", "$defs", "title")}
    for key in ("items", "additionalProperties"):
        if isinstance(own.get(key), dict):
            own[key] = _inlined(own[key], shapes)
    if "properties" in own:
        own["properties"] = {name: _inlined(each, shapes) for name, each in own["properties"].items()}
    if "anyOf" in own:
        own = _of_kinds(own, [_inlined(each, shapes) for each in own.pop("anyOf")])
    if "default" in own and (own["default"] in (None, []) or "properties" in own):
        del own["default"]
    for key in ("default", "examples"):
        if key in own:
            own[key] = _whole(own[key])
    return own


def _of_kinds(own: Schema, kinds: list[Schema]) -> Schema:
    """A schema of several kinds: null becomes one of its types, and a number need not be allowed as text too."""
    nullable = {"type": "null"} in kinds
    kinds = [kind for kind in kinds if kind != {"type": "null"}]
    if [kind["type"] for kind in kinds] == ["number", "string"] and "enum" not in kinds[1]:
        kinds = kinds[:1]
    if len(kinds) > 1:
        return own | {"anyOf": kinds}
    merged = kinds[0] | own
    if nullable:
        merged["type"] = [merged["type"], "null"]
        if "enum" in merged:
            merged["enum"] = [*merged["enum"], None]
    return merged


def _whole(value: Any) -> Any:
    """1.0 as 1, as an author writes it."""
    if isinstance(value, list):
        return [_whole(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _finish_property(path: str, schema: Schema) -> None:
    """What every property gets: its name for a title, default and larger examples in words, and what a list is.

    Hovers show no default. Examples with mappings in them are offered as [object Object] where they stand as such.
    """
    schema["title"] = path.rpartition(".")[2]
    told = str(schema.get("markdownDescription", schema["description"]))
    if schema.get("type") == "array":
        schema["errorMessage"] = "A list, such as [a, b]."
    if "default" in schema:
        told += f"\n\nDefault: {default_of(schema)}."
    if any(map(_holds_mapping, schema.get("examples", ()))):
        told += "".join(f"\n\n```yaml\n{_as_yaml(each)}```" for each in schema.pop("examples"))
    if told != schema["description"]:
        schema["markdownDescription"] = told


def _holds_mapping(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(map(_holds_mapping, value)))


def _as_yaml(value: Any) -> str:
    levels = {int(key): text for key, text in value.items()} if isinstance(value, dict) and "1" in value else value
    is_nested = any(
        isinstance(each, dict | list) for each in (value.values() if isinstance(value, dict) else value)
    )
    inner = None if is_nested else False  # None puts what is innermost on one line
    return yaml.safe_dump(levels, sort_keys=False, allow_unicode=True, default_flow_style=inner, width=100)


def default_of(schema: Schema) -> str:
    """A property's default as an author would write it, in backticks; empty where it has none."""
    match schema.get("default"):
        case None:
            return ""
        case dict() as entries:
            return ", ".join(f"`{name}: {value}`" for name, value in entries.items())
        case bool() as truth:
            return f"`{str(truth).lower()}`"
        case value:
            return f"`{value}`"


def _choose(schema: Schema, words: dict[str, str]) -> None:
    """Gives each choice of an enum its words."""
    schema["enumDescriptions"] = [words[each] if each is not None else "As if left out." for each in schema["enum"]]
    schema.pop("examples", None)


def _over_run(schema: Schema) -> None:
    """Marks an expression over the run; editors show which names it may begin with."""
    names = "\n".join(f"* `{name}`: {meaning}" for name, meaning in RUN_FACTS.items())
    schema["minLength"] = 1
    schema.setdefault("description", "JMESPath over the run.")
    schema["markdownDescription"] = f"{schema['description']}\n\nNames it may begin with:\n\n{names}"


def _finish_head(schema: Schema) -> None:
    schema["patternErrorMessage"] = _NAME_ERROR


def _finish_title(schema: Schema) -> None:
    schema.update(_NOT_BLANK)


def _finish_role(schema: Schema) -> None:
    _choose(schema, ROLE)


def _finish_applies_to(schema: Schema) -> None:
    keys = schema["properties"]
    keys["workflow"]["items"] |= {
        "description": "A workflow as the client sends it, upper and lower case alike.",
        "pattern": r"^$|\S",
        "patternErrorMessage": "The text is blank.",
    }
    _over_run(keys["where"])


def _finish_sample(schema: Schema) -> None:
    _over_run(schema["properties"]["always"]["items"])


def _finish_content(schema: Schema) -> None:
    (expression,) = schema.pop("patternProperties").values()
    schema["additionalProperties"] = expression
    expression["description"] = "JMESPath over the run: what stands under this name."
    expression["examples"] = ["input", "output", "retrieval", "input.messages[-1].content", "output.text || output"]
    _over_run(expression)
    schema["minProperties"] = 1
    schema["propertyNames"] = {"pattern": _NAME, "patternErrorMessage": _NAME_ERROR}
    schema["defaultSnippets"] = [_CONTENT_SNIPPET]


def _finish_criteria(schema: Schema) -> None:
    criterion = schema["items"]
    criterion["title"] = "criterion"
    criterion["description"] = "One thing a judge is asked, or that code checks."
    criterion["allOf"] = [*_KINDS, *map(_value_rule, _VALUES)]
    schema["defaultSnippets"] = _CRITERION_SNIPPETS
    keys = criterion["properties"]
    keys["id"]["patternErrorMessage"] = _NAME_ERROR
    keys["ask"].update(_NOT_BLANK)
    _finish_check(keys["check"])
    del keys["value"]["examples"]
    _finish_scale(keys["scale"])
    keys["not_applicable_when"]["minLength"] = 1
    keys["not_applicable_when"]["markdownDescription"] = (
        f"{keys['not_applicable_when']['description']}\n\nIt begins with names of `content`: "
        "`!sources` leaves the criterion out where there are none."
    )


def _finish_check(check: Schema) -> None:
    words = [f"Passes where the content {told.passes}. Its value: {told.value}." for told in CHECK.values()]
    plain = [each.replace("`", "") for each in words]
    builtin = {"enum": list(CHECK), "enumDescriptions": plain, "markdownEnumDescriptions": words}
    del check["type"], check["examples"]
    check["anyOf"] = [builtin, {"type": ["string", "null"]}]
    check["markdownDescription"] = f"{check['description']} An installed package may bring further checks."


def _finish_scale(scale: Schema) -> None:
    scale["minProperties"], scale["maxProperties"] = 2, MAX_LEVELS
    scale["propertyNames"] = {
        "pattern": r"^-?(0|[1-9][0-9]*)$",
        "patternErrorMessage": "A level is a whole number, such as 1.",
    }
    scale["additionalProperties"] |= {"description": "What this level means, in a few words.", **_NOT_BLANK}
    scale["defaultSnippets"] = [_SCALE_SNIPPET]


def _present(name: str) -> Schema:
    """Whether a key stands there with a value: null counts as left out, as the reader has it."""
    return {"type": "object", "required": [name], "properties": {name: {"not": {"type": "null"}}}}


def _absent(why: str) -> Schema:
    return {"type": "null", "errorMessage": why, "doNotSuggest": True}


_KINDS: list[Schema] = [
    {
        "if": _present("ask"),
        "then": {"properties": {"check": _absent("Has ask as well: exactly one of ask and check.")}},
        "else": {
            "required": ["check"],
            "errorMessage": "Needs ask, a question for judges, or check, which code answers.",
            "properties": {
                "check": {"type": "string", "errorMessage": "Needs ask or check.", "doNotSuggest": True}
            },
        },
    },
    {
        "if": _present("check"),
        "then": {
            "properties": {
                name: _absent("Only a question has this: it goes with ask.") for name in ("scale", "pass_at")
            },
        },
        "else": {
            "properties": {name: _absent("Only a check has this: it goes with check.") for name in ("of", "value")}
        },
    },
    {
        "if": _present("scale"),
        "then": {
            "required": ["pass_at"],
            "errorMessage": "Needs pass_at, the lowest level that passes.",
            "properties": {"pass_at": {"type": "integer", "doNotSuggest": True}},
        },
        "else": {"properties": {"pass_at": _absent("Needs a scale beside it.")}},
    },
]
"""What holds between the keys of a criterion."""

_TEXT: Schema = {"type": "string", **_NOT_BLANK}
_TEXTS: Schema = {"type": "array", "items": _TEXT, "minItems": 1}
_VALUES: dict[str, tuple[bool, Schema]] = {
    "contains_url": (False, {"anyOf": [_TEXT, _TEXTS, {"type": "null"}], "examples": ["example.com"]}),
    "json_valid": (False, {"type": "null", "errorMessage": "json_valid compares with nothing: leave value out."}),
    "json_schema": (True, {"type": "object", "examples": [{"type": "object", "required": ["id"]}]}),
    "regex": (True, {"type": "string", "examples": [r"\bTICKET-[0-9]+\b", r"(?i)\Adear "]}),
    "max_length": (True, {"type": "integer", "minimum": 1, "examples": [400, 1200]}),
    "contains": (True, {"anyOf": [_TEXT, _TEXTS], "examples": ["order number", ["order", "date"]]}),
    "equals_reference": (False, {"type": ["string", "null"], "pattern": _NAME, "examples": ["reference"]}),
    "found_in": (True, {"type": "string", "pattern": _NAME, "examples": ["sources", "document"]}),
}
"""Built-in check → whether it needs a value, and which; an installed check takes any."""


def _value_rule(name: str) -> Schema:
    needs, value = _VALUES[name]
    words = CHECK[name].value.replace("`", "")
    told = {"description": f"For {name}: {words}.", "errorMessage": f"{name} takes {words}."}
    then: Schema = {"properties": {"value": told | value}}
    if needs:
        then["allOf"] = [{"required": ["value"], "errorMessage": f"{name} needs value: {words}."}]
    is_this = {"type": "object", "required": ["check"], "properties": {"check": {"const": name}}}
    return {"if": is_this, "then": then}


def _finish_judges(schema: Schema) -> None:
    del schema["default"]
    schema["items"] |= {"title": "judge", "description": "One judge: a model and how it is asked."}


def _finish_reasons(schema: Schema) -> None:
    word, above = schema["items"]["anyOf"]
    schema["items"]["description"] = schema["description"]
    _choose(word, REASON)
    word["errorMessage"] = f"One of {', '.join(word['enum'])}, or value_above: an amount."
    amount = {"type": "number", "description": VALUE_ABOVE, "examples": [100, 500]}
    above.clear()
    above.update(
        type="object",
        description=VALUE_ABOVE,
        properties={"value_above": amount},
        additionalProperties=False,
    )


def _finish_escalate(schema: Schema) -> None:
    _finish_reasons(schema["properties"]["when"])


def _finish_review(schema: Schema) -> None:
    _finish_reasons(schema["properties"]["send"])


def _finish_rollup(schema: Schema) -> None:
    _choose(schema, ROLLUP)


def _finish_outcome(schema: Schema) -> None:
    mapping = schema.pop("additionalProperties")
    del schema["propertyNames"]
    _choose(mapping["properties"]["outcome"], OUTCOME)
    _choose(mapping["properties"]["type"], OUTCOME_TYPE)
    schema["properties"] = {name: mapping | {"description": words} for name, words in _VERDICTS.items()}
    schema["additionalProperties"] = False


def _finish_combine(schema: Schema) -> None:
    _choose(schema, COMBINATION)


def _finish_examples(schema: Schema) -> None:
    case = schema["items"]
    case["title"] = "golden case"
    case["additionalProperties"] = {"description": "What the case holds under this name of content: text or JSON."}
    schema["defaultSnippets"] = [_EXAMPLE_SNIPPET]
    case["minProperties"] = 3  # name, expect, and something to judge
    case["properties"]["expect"]["minProperties"] = 1
    answer = case["properties"]["expect"]["additionalProperties"]
    answer["description"] = "The right answer: a word, or a level where the criterion has a scale."
    _choose(answer["anyOf"][0], ANSWER)


def _finish_root(root: Schema) -> None:
    root["title"] = "rubric"
    root["description"] = (
        "What good is for one or more workflows; `adjudge rubrics lint` checks what an editor cannot."
    )
    root["defaultSnippets"] = [_RUBRIC_SNIPPET]
    is_k_of_n = {"required": ["rollup"], "properties": {"rollup": {"const": "k_of_n"}}}
    is_outcome = {"required": ["role"], "properties": {"role": {"const": "outcome"}}}
    feeds_nothing = _absent("Feeds nothing under this role: it goes with role: outcome.")
    combines_nothing = _absent("Combines nothing under this role: it goes with role: outcome.")
    root["allOf"] = [
        {
            "if": is_k_of_n,
            "then": {
                "required": ["k"],
                "errorMessage": "k_of_n needs k: how many runs have to pass.",
                "properties": {"k": {"type": "integer", "doNotSuggest": True}},
            },
            "else": {"properties": {"k": _absent("Goes with rollup: k_of_n.")}},
        },
        {"if": is_outcome, "else": {"properties": {"outcome": feeds_nothing, "combine": combines_nothing}}},
    ]


_FINISHES = {
    "id": _finish_head,
    "title": _finish_title,
    "role": _finish_role,
    "applies_to": _finish_applies_to,
    "sample": _finish_sample,
    "content": _finish_content,
    "criteria": _finish_criteria,
    "judges": _finish_judges,
    "escalate": _finish_escalate,
    "rollup": _finish_rollup,
    "outcome": _finish_outcome,
    "combine": _finish_combine,
    "review": _finish_review,
    "examples": _finish_examples,
}

_CONTENT_SNIPPET = {
    "label": "question, answer and sources",
    "description": "What judges are shown, by names; the one called answer is what they grade.",
    "body": {"question": "${1:input}", "answer": "${2:output}", "sources": "${3:retrieval}"},
}
_SCALE_SNIPPET = {
    "label": "scale of 3 levels",
    "description": "Each level with what it means; pass_at says from which one it passes.",
    "body": {"1": "${1:wrong}", "2": "${2:half right}", "3": "${3:right}"},
}
_CRITERION_SNIPPETS = [
    {
        "label": "question",
        "description": "A yes/no question for the judge, where yes passes.",
        "body": {"id": "${1:correct}", "ask": "${2:Does {answer\\} answer the question that was asked?}"},
    },
    {
        "label": "question with a scale",
        "description": "A question answered by a level, each with its anchor text.",
        "body": {
            "id": "${1:tone}",
            "ask": "${2:How does {answer\\} speak to the customer?}",
            "scale": {"1": "${3:rude}", "2": "${4:neutral}", "3": "${5:kind}"},
            "pass_at": "^${6:2}",
        },
    },
    {
        "label": "code check",
        "description": "Answered by code, without a model.",
        "body": {"id": "${1:short}", "check": "${2:max_length}", "of": "${3:answer}", "value": "^${4:400}"},
    },
]
_EXAMPLE_SNIPPET = {
    "label": "golden case",
    "description": "Content by the names of the rubric's content, and the right answer per criterion.",
    "body": {
        "name": "${1:what the case shows}",
        "question": "${2:Where is my refund?}",
        "answer": "${3:It reached your card on 3 March.}",
        "expect": {"${4:correct}": "${5:pass}"},
    },
}
_RUBRIC_SNIPPET = {
    "label": "new rubric",
    "description": "A rubric with one question, ready to be filled in.",
    "body": {
        "id": "${1:my-rubric}",
        "title": "${2:Did it do what was asked?}",
        "applies_to": {"workflow": ["${3:Support}"]},
        "criteria": [{"id": "${4:correct}", "ask": "${5:Does {answer\\} answer the question that was asked?}"}],
    },
}
