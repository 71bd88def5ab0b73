"""Rubric rules: what holds between the fields of a rubric, checked on the marked file itself.

They look at nodes and not at the validated model, so that they still run where a field is wrong.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from evaluator.model.rubric import MOST_PARTS, CheckName, Rubric, Thresholds
from evaluator.model.verdict import CriterionLabel
from evaluator.rubric_format.expressions import RUN_FACTS, expression_fault
from evaluator.rubric_format.installed_checks import installed_checks, plugin_fault
from evaluator.rubric_format.marked_yaml import Node
from evaluator.rubric_format.placeholders import placeholders
from evaluator.rubric_format.rubric_problems import EXPRESSIONS, RubricProblem, listed, nearest, quoted

Problems = Iterator[RubricProblem]

MAX_LEVELS = 5
MAX_REPEATS = 10_000
MAX_PATTERN, MAX_EXPRESSION = 2000, 2000
"""Characters."""
MOST_OF_ONE_QUESTION = 20
"""Unknown names told of one question."""
MOST_PROBLEMS = 200
"""Told of one file by these rules: for each, the nearest spelling is looked for."""


def rule_problems(root: Node, file: str) -> list[RubricProblem]:
    """Everything that is wrong between the fields of one rubric."""
    if any(
        part and len(part.children or part.entries) > MOST_PARTS for part in (root["criteria"], root["content"])
    ):
        return []  # told by the field itself; what is looked up in the other grows with both
    rules = _Rules(root, file)
    parts = (rules.expressions, rules.criteria, rules.thresholds, rules.rollup, rules.outcome, rules.combine)
    more = (rules.judges, rules.escalate, rules.examples, rules.blanks)
    return list(islice((problem for part in (*parts, *more) for problem in part()), MOST_PROBLEMS))


class _Rules:
    def __init__(self, root: Node, file: str) -> None:
        self.root = root
        self.file = file
        content = root["content"]
        self.names = tuple(content.entries) if content else tuple(Rubric.model_fields["content"].default)

    def told(
        self, at: Node, field: str, message: str, found: str = "", allowed: str = "", suggestion: str | None = None
    ) -> RubricProblem:
        return RubricProblem(self.file, at.line, at.column, field, message, found, allowed, suggestion)

    def expressions(self) -> Problems:
        applies_to, sample, content = self.root["applies_to"], self.root["sample"], self.root["content"]
        if applies_to and (where := applies_to["where"]):
            yield from self.expression(where, "applies_to.where", RUN_FACTS)
        always = sample["always"] if sample else None
        for index, rule in enumerate(always.children if always else ()):
            yield from self.expression(rule, f"sample.always[{index}]", RUN_FACTS)
        for name, (_, node) in (content.entries if content else {}).items():
            yield from self.expression(node, f"content.{name}", RUN_FACTS)
        if content and content.value == {}:
            yield self.told(content, "content", "names nothing, so there is nothing to judge")

    def expression(self, node: Node, field: str, names: dict[str, str] | tuple[str, ...]) -> Problems:
        if node.text is None:
            return
        if len(node.text) > MAX_EXPRESSION:
            found, allowed = f"{len(node.text)} characters", f"at most {MAX_EXPRESSION} characters"
            yield replace(self.told(node, field, "the expression is too long", found, allowed), about=EXPRESSIONS)
            return
        fault = expression_fault(node.text, names)
        if fault is not None:
            at = Node(*node.place_of(fault.offset), None)
            told = self.told(at, field, fault.message, fault.found, fault.allowed, fault.suggestion)
            yield replace(told, about=EXPRESSIONS)

    def each_criterion(self) -> Iterator[tuple[str, Node]]:
        criteria = self.root["criteria"]
        for index, node in enumerate(criteria.children if criteria else ()):
            if node.entries:
                yield f"criteria[{index}]", node

    def criteria(self) -> Problems:
        first: dict[str, int] = {}
        for field, node in self.each_criterion():
            name = node["id"]
            if name and name.text is not None:
                if name.text in first:
                    message = f"is used twice, first in line {first[name.text]}"
                    yield self.told(name, f"{field}.id", message, quoted(name.text), "an id of its own")
                first.setdefault(name.text, name.line)
            yield from self.kind(field, node)
            yield from self.scale(field, node)
            if rule := node["not_applicable_when"]:
                yield from self.expression(rule, f"{field}.not_applicable_when", self.names)

    def kind(self, field: str, node: Node) -> Problems:
        ask, check = node["ask"], node["check"]
        if ask and check:
            yield self.told(_key(node, "check"), field, "has both ask and check", allowed="exactly one of them")
        if not ask and not check:
            yield self.told(node, field, "has neither ask nor check", allowed="exactly one of them")
        if ask and ask.text is not None:
            yield from self.placeholders(ask, ask.text, f"{field}.ask")
        if check:
            yield from self.check(field, node, check)
            return
        for name in ("of", "value"):
            if node[name]:
                yield self.told(_key(node, name), f"{field}.{name}", "only a check has this", allowed="with check:")

    def placeholders(self, ask: Node, text: str, field: str) -> Problems:
        unknown: dict[str, int] = {}
        for name, offset in placeholders(text):
            if name not in self.names:
                unknown.setdefault(name, offset)
        for name, offset in islice(unknown.items(), MOST_OF_ONE_QUESTION):
            at = Node(*ask.place_of(offset), None)
            message, found = "there is no content of this name", quoted(f"{{{name}}}")
            yield self.told(at, field, message, found, listed(self.names), _in_braces(name, self.names))

    def check(self, field: str, node: Node, check: Node) -> Problems:
        for name in ("scale", "pass_at"):
            if node[name]:
                yield self.told(
                    _key(node, name), f"{field}.{name}", "only a question has this", allowed="with ask:"
                )
        of = node["of"]
        if of and of.text is not None:
            yield from self.content_name(of, of.text, f"{field}.of")
        elif not of and "answer" not in self.names:
            message = "looks at 'answer', which content does not name: say which with of:"
            yield self.told(check, f"{field}.check", message, allowed=listed(self.names))
        if check.text is None:
            return
        if check.text in set(CheckName):
            yield from self.check_value(field, node, check, CheckName(check.text))
        elif check.text in (known := installed_checks()):
            yield from self.plugin_value(field, node, check, check.text)
        else:
            suggestion = nearest(check.text, known)
            message = "is not one of the choices"
            yield self.told(check, f"{field}.check", message, quoted(check.text), listed(known), suggestion)

    def plugin_value(self, field: str, node: Node, check: Node, name: str) -> Problems:
        value = node["value"]
        fault = plugin_fault(name, value.plain() if value else None)
        if fault is not None:
            found = value.described() if value else "no value"
            yield self.told(value or check, f"{field}.value", f"{name} does not take it: {fault}", found)

    def check_value(self, field: str, node: Node, check: Node, name: CheckName) -> Problems:
        value = node["value"]
        if name is CheckName.JSON_VALID:
            if value:
                yield self.told(
                    value, f"{field}.value", f"{name} compares with nothing", value.described(), "no value"
                )
            return
        if name is CheckName.EQUALS_REFERENCE and value is None:
            yield from self.content_name(check, "reference", f"{field}.value")
            return
        if name in _OF_CONTENT and value is not None and value.text is not None:
            yield from self.content_name(value, value.text, f"{field}.value")
            return
        if value is None:
            if name is not CheckName.CONTAINS_URL:
                yield self.told(check, f"{field}.value", "is missing", allowed=f"{_VALUES[name]}, for {name}")
            return
        fault = _value_fault(name, value)
        if fault is not None:
            yield self.told(value, f"{field}.value", fault, value.described(), f"{_VALUES[name]}, for {name}")

    def content_name(self, at: Node, name: str, field: str) -> Problems:
        if name not in self.names:
            message = "is not a name of content"
            yield self.told(at, field, message, quoted(name), listed(self.names), nearest(name, self.names))

    def scale(self, field: str, node: Node) -> Problems:
        scale, pass_at = node["scale"], node["pass_at"]
        if not scale:
            if pass_at and node["ask"]:
                yield self.told(_key(node, "pass_at"), f"{field}.pass_at", "needs a scale beside it")
            return
        levels = scale.entries
        if not 2 <= len(levels) <= MAX_LEVELS and isinstance(scale.value, dict):
            found = f"{len(levels)} levels"
            yield self.told(scale, f"{field}.scale", "has too few or too many levels", found, f"2 to {MAX_LEVELS}")
        for level, (key, anchor) in levels.items():
            if anchor.value is None or (anchor.text is not None and not anchor.text.strip()):
                yield self.told(
                    key, f"{field}.scale.{level}", "has no anchor text", allowed="what this level means"
                )
        if not pass_at:
            at = _key(node, "scale")
            yield self.told(at, f"{field}.pass_at", "is missing", allowed=f"a level of the scale: {listed(levels)}")
        elif str(pass_at.value) not in levels:
            found = pass_at.described()
            yield self.told(pass_at, f"{field}.pass_at", "is not a level of the scale", found, listed(levels))

    def thresholds(self) -> Problems:
        verdict = self.root["verdict"]
        if not verdict:
            return
        limits = {name: _number(verdict[name], Thresholds.model_fields[name].default) for name in _THRESHOLDS}
        if limits["partial_at"] <= limits["pass_at"]:
            return
        at = verdict["partial_at"] or verdict["pass_at"] or verdict
        note = "" if verdict["partial_at"] else " (its default)"
        found = f"partial_at {limits['partial_at']}{note}, pass_at {limits['pass_at']}"
        yield self.told(at, "verdict.partial_at", "is above pass_at", found, f"at most {limits['pass_at']}")

    def rollup(self) -> Problems:
        k, rollup = self.root["k"], self.root["rollup"]
        is_k_of_n = rollup is not None and rollup.text == "k_of_n"
        if k and not is_k_of_n:
            found = rollup.described() if rollup else "rollup last_run, its default"
            yield self.told(_key(self.root, "k"), "k", "needs another rollup", found, "rollup: k_of_n")
        if rollup and is_k_of_n and not k:
            yield self.told(rollup, "k", "is missing", allowed="how many runs have to pass, such as k: 2")

    def outcome(self) -> Problems:
        outcome, role = self.root["outcome"], self.root["role"]
        if not outcome:
            return
        if role is None or role.text == "quality":
            found = f"role {role.text}" if role else "role quality, its default"
            at = _key(self.root, "outcome")
            yield self.told(at, "outcome", "feeds nothing under this role", found, "role: outcome")
        if "unknown" in outcome.entries:
            key = outcome.entries["unknown"][0]
            message = "an unknown verdict leaves the event pending"
            yield self.told(key, "outcome.unknown", message, "'unknown'", "pass, partial, fail")

    def combine(self) -> Problems:
        combine, role = self.root["combine"], self.root["role"]
        if combine and (role is None or role.text == "quality"):
            found = f"role {role.text}" if role else "role quality, its default"
            at = _key(self.root, "combine")
            yield self.told(at, "combine", "combines nothing under this role", found, "role: outcome")

    def escalate(self) -> Problems:
        escalate, judges = self.root["escalate"], self.root["judges"]
        to = escalate["to"] if escalate else None
        models = [judge["model"] for judge in judges.children] if judges else []
        if to and to.text is not None and to.text in ([model.text for model in models if model] or ["default"]):
            message = "judges already, so it would be asked the same again"
            yield self.told(to, "escalate.to", message, quoted(to.text), "a stronger model than those under judges")

    def judges(self) -> Problems:
        judges, seen = self.root["judges"], set[str]()
        for index, judge in enumerate(judges.children if judges else ()):
            model = judge["model"]
            if not model or model.text is None:
                continue
            field, name = f"judges[{index}].model", model.text
            if name != "default" and "/" not in name and nearest(name, ("default",)):
                yield self.told(model, field, "is no model", quoted(name), "default, or a litellm name", "default")
            if name in seen:
                yield self.told(
                    model, field, "judges twice", quoted(name), "one entry each; samples: asks it again"
                )
            seen.add(name)

    def examples(self) -> Problems:
        examples = self.root["examples"]
        criteria = {named.text: node for _, node in self.each_criterion() if (named := node["id"]) and named.text}
        first: dict[str, int] = {}
        for index, example in enumerate(examples.children if examples else ()):
            field = f"examples[{index}]"
            name = example["name"]
            if name and name.text is not None:
                if name.text in first:
                    message = f"is used twice, first in line {first[name.text]}"
                    yield self.told(name, f"{field}.name", message, quoted(name.text), "a name of its own")
                first.setdefault(name.text, name.line)
            yield from self.example_content(field, example)
            yield from self.expectations(f"{field}.expect", example["expect"], criteria)

    def example_content(self, field: str, example: Node) -> Problems:
        known = ("name", "expect", *self.names)
        others = [(name, key) for name, (key, _) in example.entries.items() if name not in ("name", "expect")]
        for name, key in others:
            if name not in known:
                message, suggestion = "is not a name of content", nearest(name, known)
                yield self.told(key, f"{field}.{name}", message, quoted(name), listed(known), suggestion)
        if example.entries and not others:
            message = "has no content, so there is nothing to judge"
            yield self.told(example, field, message, allowed=f"any of {listed(self.names)}")

    def expectations(self, field: str, expect: Node | None, criteria: dict[str, Node]) -> Problems:
        known = tuple(criteria)
        if expect and expect.value == {}:
            yield self.told(expect, field, "expects nothing, so nothing is tried", allowed=listed(known))
        for name, (key, answer) in (expect.entries if expect else {}).items():
            at = f"{field}.{name}"
            if name not in criteria:
                yield self.told(key, at, "is not a criterion", quoted(name), listed(known), nearest(name, known))
            elif not isinstance(answer.value, bool | None | dict | list):
                yield from self.answer(at, answer, criteria[name])

    def answer(self, field: str, answer: Node, criterion: Node) -> Problems:
        scale = criterion["scale"]
        if isinstance(answer.value, int) and (scale is None or str(answer.value) not in scale.entries):
            labels = [*(scale.entries if scale else ()), *CriterionLabel]
            yield self.told(answer, field, "is not an answer to this criterion", answer.described(), listed(labels))

    def blanks(self) -> Problems:
        texts = [("title", self.root["title"])]
        texts += [(f"{field}.ask", node["ask"]) for field, node in self.each_criterion()]
        applies_to = self.root["applies_to"]
        workflows = applies_to["workflow"] if applies_to else None
        for index, workflow in enumerate(workflows.children if workflows else ()):
            texts.append((f"applies_to.workflow[{index}]", workflow))
        for field, node in texts:
            if node and node.text is not None and node.text and not node.text.strip():
                yield self.told(node, field, "is blank")


_THRESHOLDS = ("pass_at", "partial_at")
_OF_ANOTHER_KIND = "is the wrong kind of value"
_VALUES = {
    CheckName.CONTAINS_URL: "a host or a list of hosts, or nothing",
    CheckName.REGEX: "a regular expression",
    CheckName.MAX_LENGTH: "a whole number of characters above 0",
    CheckName.CONTAINS: "a text or a list of texts",
    CheckName.JSON_SCHEMA: "a JSON schema of draft 2020-12",
    CheckName.FOUND_IN: "a name of content",
    CheckName.EQUALS_REFERENCE: "a name of content",
}
_OF_CONTENT = (CheckName.FOUND_IN, CheckName.EQUALS_REFERENCE)
"""Checks whose value names other content."""


def _key(mapping: Node, name: str) -> Node:
    return mapping.entries[name][0]


def _in_braces(name: str, names: tuple[str, ...]) -> str | None:
    close = nearest(name, names)
    return None if close is None else f"{{{close}}}"


def _number(node: Node | None, default: float) -> float:
    return default if node is None or node.number is None else node.number


def _value_fault(name: CheckName, value: Node) -> str | None:
    """What is wrong with the value of a check, or None."""
    match name:
        case CheckName.MAX_LENGTH:
            is_length = isinstance(value.value, int) and not isinstance(value.value, bool) and value.value > 0
            return None if is_length else "is no length"
        case CheckName.CONTAINS | CheckName.CONTAINS_URL:
            texts = value.children or [value]
            return None if all(node.text and node.text.strip() for node in texts) else "is no text to look for"
        case CheckName.REGEX:
            return _pattern_fault(value.text)
        case CheckName.JSON_SCHEMA:
            return _schema_fault(value.plain())
        case CheckName.FOUND_IN | CheckName.EQUALS_REFERENCE:
            return _OF_ANOTHER_KIND
        case _:
            return None


_COUNT = re.compile(r"\{(\d{1,9})")
"""In a pattern without its spaces, which in verbose mode may stand within a number."""


def _pattern_fault(pattern: str | None) -> str | None:
    # The engine that runs the check; it takes long to import, and few rubrics need it.
    import regex

    if pattern is None:
        return _OF_ANOTHER_KIND
    # A counted repeat is unrolled when it is compiled: (a{1000}){1000} takes 275 MB, a third level all there is.
    if len(pattern) > MAX_PATTERN:
        return f"is too long: {len(pattern)} characters, where at most {MAX_PATTERN} are read"
    if math.prod(max(1, int(count)) for count in _COUNT.findall("".join(pattern.split()))) > MAX_REPEATS:
        return f"repeats too often: its counts in braces multiply to more than {MAX_REPEATS}"
    try:
        # what is checked only must not stay in memory as long as what is used
        regex.compile(pattern, cache_pattern=False)
    except regex.error as error:
        at = "" if error.pos is None else f" at its character {error.pos + 1}"
        return f"is no regular expression: {error.msg}{at}"
    except (OverflowError, RecursionError):
        return "is no regular expression: a number in it or its nesting is too large"
    return None


def _schema_fault(schema: Any) -> str | None:
    # jsonschema takes longer to import than 200 rubrics to read, and few rubrics need it.
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    if not isinstance(schema, dict):
        return _OF_ANOTHER_KIND
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return f"is no JSON schema: at {error.json_path}: {error.message[:120]}"
    except (RecursionError, OverflowError, re.error):
        return "is no JSON schema: its nesting or a number or pattern in it cannot be read"
    outside = next((ref for ref in _references(schema) if not ref.startswith("#")), None)
    if outside is not None:
        return f"refers outside itself, to {quoted(outside)}; only #… is followed"
    faults = ((pattern, _pattern_fault(pattern)) for pattern in _patterns(schema))
    return next(
        (
            f"is no JSON schema: it has the pattern {quoted(pattern)}, which {fault}"
            for pattern, fault in faults
            if fault
        ),
        None,
    )


def _references(schema: Any) -> Iterator[str]:
    for part in _objects(schema):
        yield from (part[key] for key in ("$ref", "$dynamicRef") if isinstance(part.get(key), str))


def _patterns(schema: Any) -> Iterator[str]:
    for part in _objects(schema):
        if isinstance(pattern := part.get("pattern"), str):
            yield pattern
        if isinstance(patterns := part.get("patternProperties"), dict):
            yield from patterns


def _objects(schema: Any) -> Iterator[dict[str, Any]]:
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)
