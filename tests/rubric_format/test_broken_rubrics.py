"""Broken rubrics, each with the exact text its author is told: what is wrong, where, what instead, where it is explained."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from evaluator.rubric_format.expressions import RUN_FACTS
from evaluator.rubric_format.installed_checks import installed_checks
from evaluator.rubric_format.marked_yaml import MAX_BYTES
from evaluator.rubric_format.rubric_fields import key_names
from evaluator.rubric_format.rubric_files import RubricProblems, read_loaded, read_rubric
from evaluator.rubric_format.rubric_problems import SECTIONS, anchor_of
from tests.plugin_packages import Package, installed

DOCS = Path(__file__).parents[2] / "docs" / "rubrics.md"
HEAD = "id: a\ntitle: T\ncriteria:\n  - {id: c, ask: Is it so?}\n"
"""A valid rubric of four lines; what a case adds stands from line 5 on."""
FACTS = ", ".join(RUN_FACTS)
KEYS = ", ".join(key_names(()))
CHECKS = ", ".join(installed_checks())


def with_criterion(criterion: str) -> str:
    return f"id: a\ntitle: T\ncriteria:\n  - {criterion}\n"


def with_asked(question: str) -> str:
    return f"id: a\ntitle: T\ncriteria:\n  - id: c\n    ask: {question}\n"


def laughs() -> str:
    """A billion values by aliases of aliases."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    return "\n".join(lines)


BROKEN_SYNTAX = {
    "": ("1:1: the file holds no rubric; allowed: a mapping with id, title and criteria (docs/rubrics.md#files)"),
    "- a": (
        "1:1: the file is no rubric; found a list; allowed: a mapping with id, title and criteria "
        "(docs/rubrics.md#files)"
    ),
    HEAD + "\tk: 1": ("5:1: a tab cannot stand here: indent with spaces (docs/rubrics.md#files)"),
    HEAD + "role: `x`": ("5:7: text that begins with ` needs quotes; found '`' (docs/rubrics.md#files)"),
    HEAD + "content: {q: input.messages[-1].content, b: output}": (
        "5:28: not closed, or text with [ ] { } or a comma within { }, which needs quotes: expected ',' or "
        "'}'; found '[' (docs/rubrics.md#files)"
    ),
    HEAD + "judges: [{model: default}\nk: 1": (
        "5:9: not closed, or text with [ ] { } or a comma within [ ], which needs quotes: expected ',' or "
        "']'; found '[' (docs/rubrics.md#files)"
    ),
    HEAD + "title2: 'never closed": ('5:9: the quote is never closed; found "\'" (docs/rubrics.md#files)'),
    HEAD + "role: quality: x": (
        "5:14: a second ': ' in one line: put the text in quotes, or indent; found ':' (docs/rubrics.md#files)"
    ),
    HEAD + "role: 'a' == b": (
        "5:11: text goes on after its closing quote or bracket, or the indentation is off; found '=' "
        "(docs/rubrics.md#files)"
    ),
    HEAD + "role: !!python/object:os.system x": (
        "5:7: tags are not read; text that begins with ! needs quotes; found "
        "'tag:yaml.org,2002:python/object:os.system' (docs/rubrics.md#files)\n"
        "5:7: role: is not one of the choices; found 'x'; allowed: outcome, quality (docs/rubrics.md#keys)"
    ),
    with_criterion("{id: c, ask: Is it so?, not_applicable_when: !sources}"): (
        "4:50: text that begins with ! needs quotes; found '!' (docs/rubrics.md#files)"
    ),
    HEAD + "role: *r": (
        "5:7: no anchor of this name; text that begins with * needs quotes; found '*r' "
        "(docs/rubrics.md#files)\n"
        "5:7: role: is not one of the choices; found '*r'; allowed: outcome, quality (docs/rubrics.md#keys)"
    ),
    HEAD + "judges: &j [*j]": ("5:13: the anchor contains itself; found '*j' (docs/rubrics.md#files)"),
    HEAD + "---\nid: b": (
        "5:1: a second document begins here; allowed: one rubric per file, no --- (docs/rubrics.md#files)"
    ),
    HEAD + "title: twice": (
        "5:1: the key stands here twice, first in line 2; found 'title' (docs/rubrics.md#files)"
    ),
    HEAD + "? [a]\n: b": ("5:3: a key has to be a word; found a list (docs/rubrics.md#files)"),
    HEAD + "role: \x07": (
        "5:7: a character that no text file holds; found U+0007; allowed: printable characters "
        "(docs/rubrics.md#files)"
    ),
    "[" * 50: ("1:41: nested too deeply; allowed: at most 40 levels (docs/rubrics.md#files)"),
    "a" * (MAX_BYTES + 1): (
        "1:1: the file is too large; found 262145 bytes; allowed: at most 262144 bytes (docs/rubrics.md#files)"
    ),
    "# nothing but a comment\n": (
        "1:1: the file holds no rubric; allowed: a mapping with id, title and criteria (docs/rubrics.md#files)"
    ),
    "just some words": (
        "1:1: the file is no rubric; found 'just some words'; allowed: a mapping with id, title and criteria "
        "(docs/rubrics.md#files)"
    ),
    "\ufeff- a": (
        "1:1: the file is no rubric; found a list; allowed: a mapping with id, title and criteria "
        "(docs/rubrics.md#files)"
    ),
    HEAD + "role: \x00": (
        "5:7: a character that no text file holds; found U+0000; allowed: printable characters "
        "(docs/rubrics.md#files)"
    ),
    HEAD.replace("title: T", "title: \ufffe"): (
        "2:8: a character that no text file holds; found U+FFFE; allowed: printable characters "
        "(docs/rubrics.md#files)"
    ),
    HEAD + "title: 'again'\nrole: !tag x": (
        "5:1: the key stands here twice, first in line 2; found 'title' (docs/rubrics.md#files)\n"
        "6:7: tags are not read; text that begins with ! needs quotes; found '!tag' (docs/rubrics.md#files)\n"
        "6:7: role: is not one of the choices; found 'x'; allowed: outcome, quality (docs/rubrics.md#keys)"
    ),
    HEAD + "sample: {rate: 1": (
        "5:9: not closed, or text with [ ] { } or a comma within { }, which needs quotes: expected ',' or "
        "'}'; found '{' (docs/rubrics.md#files)"
    ),
    "id: a\ntitle: [": (
        "2:9: a value is missing here, or text that begins with a sign needs quotes (docs/rubrics.md#files)"
    ),
    HEAD + "role: @outcome": ("5:7: text that begins with @ needs quotes; found '@' (docs/rubrics.md#files)"),
    HEAD + "role: %outcome": ("5:7: text that begins with % needs quotes; found '%' (docs/rubrics.md#files)"),
    HEAD + "review: &r\n  blind: false\nbudget:\n  <<: *r\n  usd_per_day: 1": (
        "8:3: budget.<<: merge keys are not read; found '<<'; allowed: the keys written out, or an alias for "
        "a whole value (docs/rubrics.md#budget)"
    ),
    HEAD + "...\n---\nid: b\ntitle: U": (
        "6:1: a second document begins here; allowed: one rubric per file, no --- (docs/rubrics.md#files)"
    ),
    HEAD + "examples: [&e {name: x, more: *e}]": (
        "5:31: the anchor contains itself; found '*e' (docs/rubrics.md#files)"
    ),
    laughs(): ("4:45: too many values, aliases expanded; allowed: at most 10000 (docs/rubrics.md#files)"),
    HEAD + " role: quality": (
        "5:2: text goes on after its closing quote or bracket, or the indentation is off; found 'r' "
        "(docs/rubrics.md#files)"
    ),
    HEAD + "role quality\nk: 1": ("5:1: a key needs ': ' and a value after it; found 'r' (docs/rubrics.md#files)"),
    HEAD + "key: [" * 30: ("5:121: nested too deeply; allowed: at most 40 levels (docs/rubrics.md#files)"),
    HEAD.replace("  - {id", "\t- {id"): (
        "4:1: a tab cannot stand here: indent with spaces (docs/rubrics.md#files)"
    ),
    HEAD + "{a: b}: c": ("5:1: a key has to be a word; found a mapping (docs/rubrics.md#files)"),
    HEAD + 'title: "\\q"': (
        "5:9: a \\ in double quotes begins an escape: use single quotes, or \\\\ for one; found '\\\\' "
        "(docs/rubrics.md#files)"
    ),
    "id: a\n\ttitle: T\n": ("2:1: a tab cannot stand here: indent with spaces (docs/rubrics.md#files)"),
    HEAD + "examples: - a": (
        "5:11: a list begins on a line of its own, or is written [a, b]; found '-' (docs/rubrics.md#files)"
    ),
    HEAD + "judges:\n  - {model: a/b}\n  model: c/d": (
        "7:3: each entry of the list begins with '- ' at one indentation; found 'm' (docs/rubrics.md#files)"
    ),
    HEAD + "title: | text": (
        "5:10: behind | or > the text begins on the next line; found 't' (docs/rubrics.md#files)"
    ),
    HEAD + "role: & x": ("5:7: text that begins with & needs quotes; found '&' (docs/rubrics.md#files)"),
    HEAD + "role: *": ("5:7: text that begins with * needs quotes; found '*' (docs/rubrics.md#files)"),
    HEAD + "examples: ? a": (
        "5:11: a key cannot stand here: text that begins with ? needs quotes; found '?' (docs/rubrics.md#files)"
    ),
    HEAD + "role: [a]]": (
        "5:10: text goes on after its closing quote or bracket, or the indentation is off; found ']' "
        "(docs/rubrics.md#files)"
    ),
    "%YAML 3.0\n---\n" + HEAD: ("1:1: no %YAML line is read: leave it out; found '%' (docs/rubrics.md#files)"),
    HEAD + 'role: "\\u12"': (
        "5:10: an escape in double quotes is not whole: use single quotes; found '1' (docs/rubrics.md#files)"
    ),
    HEAD + 'title: "a\n---\n"': (
        "6:1: the quote is never closed before the document ends; found '-' (docs/rubrics.md#files)"
    ),
    HEAD + "review:\n   blind: true\n  reviewers: 1": (
        "7:3: text goes on after its closing quote or bracket, or the indentation is off; found 'r' "
        "(docs/rubrics.md#files)"
    ),
}
BROKEN_FIELDS = {
    "{}": (
        "1:1: id: is missing; allowed: Short name, unique among all rubrics. (docs/rubrics.md#keys)\n"
        "1:1: title: is missing; allowed: What the rubric asks, in a line. (docs/rubrics.md#keys)\n"
        "1:1: criteria: is missing; allowed: What is asked or checked. (docs/rubrics.md#criteria)"
    ),
    HEAD + "rol: outcome": (
        f"5:1: rol: there is no such key; found 'rol'; allowed: {KEYS}; did you mean 'role'? (docs/rubrics.md#keys)"
    ),
    HEAD + "version: abc": (
        "5:1: version: there is no such key; found 'version'; allowed: nothing: the version follows from the "
        "content (docs/rubrics.md#versions)"
    ),
    HEAD + "role: Outcom": (
        "5:7: role: is not one of the choices; found 'Outcom'; allowed: outcome, quality; did you mean "
        "'outcome'? (docs/rubrics.md#keys)"
    ),
    HEAD + "sample: {rate: 1.5}": (
        "5:16: sample.rate: is out of range; found 1.5; allowed: at least 0 and at most 1 (docs/rubrics.md#sample)"
    ),
    HEAD + "sample: {rate: .nan}": (
        "5:16: sample.rate: is the wrong kind of value; found '.nan'; allowed: a number, without quotes "
        "(docs/rubrics.md#sample)"
    ),
    HEAD + "sample:": (
        "5:8: sample: is the wrong kind of value; found nothing; allowed: a mapping of names to values "
        "(docs/rubrics.md#sample)"
    ),
    HEAD + "applies_to: {workflow: Support}": (
        "5:24: applies_to.workflow: is the wrong kind of value; found 'Support'; allowed: a list, such as [a, "
        "b]; did you mean '[Support]'? (docs/rubrics.md#applies_to)"
    ),
    HEAD + "review:\n  blind: yes": (
        "6:10: review.blind: is the wrong kind of value; found 'yes'; allowed: true or false; did you mean "
        "'true'? (docs/rubrics.md#review)"
    ),
    HEAD + "review: {send: [critical-fail]}": (
        "5:17: review.send[0]: is not one of the choices; found 'critical-fail'; allowed: unknown, "
        "critical_fail, panel_split, injection_suspected, low_confidence, near_threshold; did you mean "
        "'critical_fail'? (docs/rubrics.md#review)"
    ),
    HEAD + "escalate: {to: a/b, when: [value_above: x]}": (
        "5:41: escalate.when[0].value_above: is the wrong kind of value; found 'x'; allowed: a number, "
        "without quotes (docs/rubrics.md#escalate)"
    ),
    HEAD + "escalate: {when: [unknown]}": (
        "5:11: escalate.to: is missing; allowed: The stronger judge's model. (docs/rubrics.md#escalate)"
    ),
    HEAD + "judges: []": (
        "5:9: judges: is too short; found a list; allowed: 1 or more entries (docs/rubrics.md#judges)"
    ),
    HEAD + "judges: [{model: a/b, samples: 99}]": (
        "5:32: judges[0].samples: is out of range; found 99; allowed: at most 20 (docs/rubrics.md#judges)"
    ),
    HEAD + "budget: {usd_per_day: 0}": (
        "5:23: budget.usd_per_day: is out of range; found 0; allowed: above 0 (docs/rubrics.md#budget)"
    ),
    HEAD + "content: {The answer: output}": (
        "5:11: content.The answer: is not a short name; found 'The answer'; allowed: a-z, 0-9, - and _, at "
        "most 64 characters, the first a letter or digit; did you mean 'the-answer'? "
        "(docs/rubrics.md#content)"
    ),
    HEAD + "role: outcome\noutcome: {passed: {outcome: success}}": (
        "6:11: outcome.passed: is not one of the choices; found 'passed'; allowed: pass, partial, fail; did "
        "you mean 'pass'? (docs/rubrics.md#outcome)"
    ),
    HEAD + "role: outcome\noutcome: {pass: {outcome: success, type: deflected}}": (
        "6:42: outcome.pass.type: is not one of the choices; found 'deflected'; allowed: CONVERTED, "
        "DEFLECTED, ESCALATED, UNSUCCESSFUL, CUSTOM, PENDING; did you mean 'DEFLECTED'? "
        "(docs/rubrics.md#outcome)"
    ),
    with_criterion("{id: c, ask: Is it so?, scale: {1: a, low: b}, pass_at: 1}"): (
        "4:43: criteria[0].scale.low: is the wrong kind of value; found 'low'; allowed: a whole number "
        "(docs/rubrics.md#criteria)"
    ),
    HEAD + "yes: 1": (f"5:1: yes: there is no such key; found 'yes'; allowed: {KEYS} (docs/rubrics.md#keys)"),
    HEAD.replace("title: T", "title: 2026"): (
        "2:8: title: is the wrong kind of value; found 2026; allowed: text, in quotes where it looks like a "
        "number (docs/rubrics.md#keys)"
    ),
    HEAD.replace("title: T", "title: [a, b]"): (
        "2:8: title: is the wrong kind of value; found a list; allowed: text, in quotes where it looks like a "
        "number (docs/rubrics.md#keys)"
    ),
    HEAD.replace("id: a", "id: Support Rubric"): (
        "1:5: id: is not a short name; found 'Support Rubric'; allowed: a-z, 0-9, - and _, at most 64 "
        "characters, the first a letter or digit; did you mean 'support-rubric'? (docs/rubrics.md#keys)"
    ),
    HEAD + "combine: most\nrole: outcome": (
        "5:10: combine: is not one of the choices; found 'most'; allowed: worst, best; did you mean 'worst'? "
        "(docs/rubrics.md#combine)"
    ),
    HEAD + "judges: [{model: a/b, samples: 1.5}]": (
        "5:32: judges[0].samples: is the wrong kind of value; found 1.5; allowed: a whole number "
        "(docs/rubrics.md#judges)"
    ),
    HEAD + "judges: [{model: a/b, samples: " + "9" * 400 + "}]": (
        "5:32: judges[0].samples: is the wrong kind of value; found "
        "'999999999999999999999999999999999999999999999999999999999…'; allowed: a whole number "
        "(docs/rubrics.md#judges)"
    ),
    HEAD + "budget: {usd_per_day: -1}": (
        "5:23: budget.usd_per_day: is out of range; found -1; allowed: above 0 (docs/rubrics.md#budget)"
    ),
    HEAD + "sample: {capture_probability: 0}": (
        "5:31: sample.capture_probability: is out of range; found 0; allowed: above 0 and at most 1 "
        "(docs/rubrics.md#sample)"
    ),
    HEAD + "judges: default": (
        "5:9: judges: is the wrong kind of value; found 'default'; allowed: a list, such as [a, b]; did you "
        "mean '[{model: default}]'? (docs/rubrics.md#judges)"
    ),
    HEAD + "judges: [default]": (
        "5:10: judges[0]: is the wrong kind of value; found 'default'; allowed: a mapping of names to values; "
        "did you mean '{model: default}'? (docs/rubrics.md#judges)"
    ),
    HEAD + "rollup: last run": (
        "5:9: rollup: is not one of the choices; found 'last run'; allowed: last_run, all, any, mean, "
        "recency_weighted, k_of_n; did you mean 'last_run'? (docs/rubrics.md#rollup)"
    ),
    HEAD + "k: 0\nrollup: k_of_n": (
        "5:4: k: is out of range; found 0; allowed: at least 1 (docs/rubrics.md#rollup)"
    ),
    HEAD + "budget: {usd_per_day: $5}": (
        "5:23: budget.usd_per_day: is the wrong kind of value; found '$5'; allowed: a number, without quotes "
        "(docs/rubrics.md#budget)"
    ),
    HEAD + "escalate: {to: a/b, when: [value_abov: 5]}": (
        "5:28: escalate.when[0].value_abov: is not one of the choices; found 'value_abov'; allowed: "
        "value_above; did you mean 'value_above'? (docs/rubrics.md#escalate)"
    ),
    with_criterion("{id: c, ask: Is it so?, weight: 0}"): (
        "4:37: criteria[0].weight: is out of range; found 0; allowed: above 0 (docs/rubrics.md#criteria)"
    ),
    with_criterion("{id: c, ask: Is it so?, critical: yes}"): (
        "4:39: criteria[0].critical: is the wrong kind of value; found 'yes'; allowed: true or false; did you "
        "mean 'true'? (docs/rubrics.md#criteria)"
    ),
    with_criterion("{id: c, ask: ab}"): (
        "4:18: criteria[0].ask: is too short; found 'ab'; allowed: 3 or more characters (docs/rubrics.md#criteria)"
    ),
    with_criterion("{id: c, ask: Is it so?, wieght: 2}"): (
        "4:29: criteria[0].wieght: there is no such key; found 'wieght'; allowed: id, ask, check, of, value, "
        "critical, weight, scale, pass_at, not_applicable_when; did you mean 'weight'? "
        "(docs/rubrics.md#criteria)"
    ),
    with_criterion("Is the answer right?"): (
        "4:5: criteria[0]: is the wrong kind of value; found 'Is the answer right?'; allowed: a mapping of "
        "names to values; did you mean '{id: a-short-name, ask: Is the answer right?}'? "
        "(docs/rubrics.md#criteria)"
    ),
    "id: a\ntitle: T\ncriteria: []\n": (
        "3:11: criteria: is too short; found a list; allowed: 1 or more entries (docs/rubrics.md#criteria)"
    ),
    "id: a\ntitle: T\ncriteria: {c: Is it so?}\n": (
        "3:11: criteria: is the wrong kind of value; found a mapping; allowed: a list, such as [a, b] "
        "(docs/rubrics.md#criteria)"
    ),
    HEAD + "examples: [{name: x, answer: y, expect: {c: passed}}]": (
        "5:45: examples[0].expect.c: is not one of the choices; found 'passed'; allowed: pass, fail, unknown, "
        "not_applicable; did you mean 'pass'? (docs/rubrics.md#examples)"
    ),
    HEAD + "examples: [{answer: y, expect: {c: pass}}]": (
        "5:12: examples[0].name: is missing; allowed: What the case shows. (docs/rubrics.md#examples)"
    ),
}
BROKEN_EXPRESSIONS = {
    HEAD + "applies_to: {where: \"status = 'success'\"}": (
        "5:29: applies_to.where: not a JMESPath expression from here on; found \"= 'success'\"; did you mean "
        "'=='? (docs/rubrics.md#what-expressions-see)"
    ),
    HEAD + "applies_to: {where: \"staus == 'success'\"}": (
        f"5:22: applies_to.where: there is no such name here; found 'staus'; allowed: {FACTS}; did you mean "
        "'status'? (docs/rubrics.md#what-expressions-see)"
    ),
    HEAD + "applies_to: {where: 'status == \"success\"'}": (
        "5:33: applies_to.where: there is no such name here (a text to compare with stands in single quotes); "
        f"found 'success'; allowed: {FACTS} (docs/rubrics.md#what-expressions-see)"
    ),
    HEAD + "sample:\n  always: ['diagnostics.confidence < 0.6']": (
        "6:38: sample.always[0]: not a JMESPath expression from here on; found '0.6'; did you mean '`0.6`'? "
        "(docs/rubrics.md#what-expressions-see)"
    ),
    HEAD + "sample: {always: ['''x'' = status']}": (
        "5:26: sample.always[0]: not a JMESPath expression from here on; found '= status'; did you mean '=='? "
        "(docs/rubrics.md#what-expressions-see)"
    ),
    HEAD + "content: {q: 'input.messages[-1'}": (
        "5:32: content.q: the expression ends too early (docs/rubrics.md#what-expressions-see)"
    ),
    HEAD + "content: {q: 'length(models, input)'}": (
        "5:15: content.q: length() has another number of arguments; found 2 arguments; allowed: 1 "
        "(docs/rubrics.md#what-expressions-see)"
    ),
    HEAD + "content: {q: ''}": ("5:14: content.q: the expression is empty (docs/rubrics.md#what-expressions-see)"),
    HEAD + "content: {}": ("5:10: content: names nothing, so there is nothing to judge (docs/rubrics.md#content)"),
    with_criterion("{id: c, ask: Is it so?, not_applicable_when: '!source'}"): (
        "4:52: criteria[0].not_applicable_when: there is no such name here; found 'source'; allowed: "
        "question, answer, sources; did you mean 'sources'? (docs/rubrics.md#what-expressions-see)"
    ),
    HEAD + "applies_to: {where: lenght(output) > `3`}": (
        "5:21: applies_to.where: JMESPath has no such function; found 'lenght'; allowed: abs, avg, ceil, "
        "contains, ends_with, floor, join, keys, length, map, max, max_by, merge, min, min_by, not_null, "
        "reverse, sort, sort_by, starts_with, sum, to_array, to_number, to_string, type, values; did you mean "
        "'length'? (docs/rubrics.md#what-expressions-see)"
    ),
    HEAD + "sample:\n  always:\n    - >-\n      status == 'failed'\n      && confidence < `0.6`\n": (
        f"9:10: sample.always[0]: there is no such name here; found 'confidence'; allowed: {FACTS} "
        "(docs/rubrics.md#what-expressions-see)"
    ),
    HEAD + "applies_to: {where: status == true}": (
        f"5:31: applies_to.where: there is no such name here; found 'true'; allowed: {FACTS}; did you mean '`true`'? "
        "(docs/rubrics.md#what-expressions-see)"
    ),
}
BROKEN_CRITERIA = {
    with_criterion("{id: c}"): (
        "4:5: criteria[0]: has neither ask nor check; allowed: exactly one of them (docs/rubrics.md#criteria)"
    ),
    with_criterion("{id: c, ask: Is it so?, check: json_valid}"): (
        "4:29: criteria[0]: has both ask and check; allowed: exactly one of them (docs/rubrics.md#criteria)"
    ),
    with_criterion("{id: c, ask: Is it so?}\n  - {id: c, ask: Is it?}"): (
        "5:10: criteria[1].id: is used twice, first in line 4; found 'c'; allowed: an id of its own "
        "(docs/rubrics.md#criteria)"
    ),
    with_criterion("{id: c, ask: Is it so?, pass_at: 2}"): (
        "4:29: criteria[0].pass_at: needs a scale beside it (docs/rubrics.md#criteria)"
    ),
    with_criterion("{id: c, ask: Is it so?, scale: {1: a, 2: b}}"): (
        "4:29: criteria[0].pass_at: is missing; allowed: a level of the scale: 1, 2 (docs/rubrics.md#criteria)"
    ),
    with_criterion("{id: c, ask: Is it so?, pass_at: 1, scale: {1: a}}"): (
        "4:48: criteria[0].scale: has too few or too many levels; found 1 levels; allowed: 2 to 5 "
        "(docs/rubrics.md#criteria)"
    ),
    with_criterion("{id: c, ask: Is it so?, pass_at: 1, scale: {1: a, 2: b, 3: c, 4: d, 5: e, 6: f}}"): (
        "4:48: criteria[0].scale: has too few or too many levels; found 6 levels; allowed: 2 to 5 "
        "(docs/rubrics.md#criteria)"
    ),
    with_criterion("{id: c, ask: Is it so?, pass_at: 3, scale: {1: a, 2: b}}"): (
        "4:38: criteria[0].pass_at: is not a level of the scale; found 3; allowed: 1, 2 (docs/rubrics.md#criteria)"
    ),
    with_criterion("{id: c, ask: Is it so?, pass_at: 2, scale: {1: ' ', 2: b}}"): (
        "4:49: criteria[0].scale.1: has no anchor text; allowed: what this level means (docs/rubrics.md#criteria)"
    ),
    with_criterion("{id: c, check: regexp, value: x}"): (
        "4:20: criteria[0].check: is not one of the choices; found 'regexp'; "
        f"allowed: {CHECKS}; did you mean 'regex'? "
        "(docs/rubrics.md#checks)"
    ),
    with_criterion("{id: c, check: regex, value: 'a('}"): (
        "4:34: criteria[0].value: is no regular expression: missing ) at its character 3; found 'a('; "
        "allowed: a regular expression, for regex (docs/rubrics.md#checks)"
    ),
    with_criterion("{id: c, check: regex, value: '((a{1000}){1000}){1000}'}"): (
        "4:34: criteria[0].value: repeats too often: its counts in braces multiply to more than 10000; found "
        "'((a{1000}){1000}){1000}'; allowed: a regular expression, for regex (docs/rubrics.md#checks)"
    ),
    with_criterion("{id: c, check: regex}"): (
        "4:20: criteria[0].value: is missing; allowed: a regular expression, for regex (docs/rubrics.md#checks)"
    ),
    with_criterion("{id: c, check: max_length, value: 0}"): (
        "4:39: criteria[0].value: is no length; found 0; allowed: a whole number of characters above 0, for "
        "max_length (docs/rubrics.md#checks)"
    ),
    with_criterion("{id: c, check: contains, value: [a, '']}"): (
        "4:37: criteria[0].value: is no text to look for; found a list; allowed: a text or a list of texts, "
        "for contains (docs/rubrics.md#checks)"
    ),
    with_criterion("{id: c, check: json_schema, value: {type: strin}}"): (
        "4:40: criteria[0].value: is no JSON schema: at $.type: 'strin' is not valid under any of the given "
        "schemas; found a mapping; allowed: a JSON schema of draft 2020-12, for json_schema "
        "(docs/rubrics.md#checks)"
    ),
    with_criterion("{id: c, check: json_schema, value: {$ref: 'http://example.com/s'}}"): (
        "4:40: criteria[0].value: refers outside itself, to 'http://example.com/s'; only #… is followed; "
        "found a mapping; allowed: a JSON schema of draft 2020-12, for json_schema (docs/rubrics.md#checks)"
    ),
    with_criterion("{id: c, check: json_valid, value: 3}"): (
        "4:39: criteria[0].value: json_valid compares with nothing; found 3; allowed: no value "
        "(docs/rubrics.md#checks)"
    ),
    with_criterion("{id: c, check: json_valid, of: anser}"): (
        "4:36: criteria[0].of: is not a name of content; found 'anser'; allowed: question, answer, sources; "
        "did you mean 'answer'? (docs/rubrics.md#checks)"
    ),
    with_criterion("{id: c, check: equals_reference}"): (
        "4:20: criteria[0].value: is not a name of content; found 'reference'; allowed: question, answer, "
        "sources (docs/rubrics.md#checks)"
    ),
    with_criterion("{id: c, check: json_valid}\ncontent: {a: output}"): (
        "4:20: criteria[0].check: looks at 'answer', which content does not name: say which with of:; "
        "allowed: a (docs/rubrics.md#checks)"
    ),
    with_criterion("{id: c, check: equals_reference, value: [answer]}"): (
        "4:45: criteria[0].value: is the wrong kind of value; found a list; allowed: a name of content, "
        "for equals_reference (docs/rubrics.md#checks)"
    ),
    with_criterion("{id: c, check: found_in}"): (
        "4:20: criteria[0].value: is missing; allowed: a name of content, for found_in (docs/rubrics.md#checks)"
    ),
    with_criterion("{id: c, check: found_in, value: sorces}"): (
        "4:37: criteria[0].value: is not a name of content; found 'sorces'; allowed: question, answer, sources; "
        "did you mean 'sources'? (docs/rubrics.md#checks)"
    ),
    with_criterion("{id: c, ask: Is it so?, value: 3}"): (
        "4:29: criteria[0].value: only a check has this; allowed: with check: (docs/rubrics.md#checks)"
    ),
    with_asked("Is every claim of {answr} backed by {sources}?"): (
        "5:28: criteria[0].ask: there is no content of this name; found '{answr}'; allowed: question, answer, "
        "sources; did you mean '{answer}'? (docs/rubrics.md#criteria)"
    ),
    with_asked(">-\n      Is every claim\n      backed by {source}?"): (
        "7:17: criteria[0].ask: there is no content of this name; found '{source}'; allowed: question, "
        "answer, sources; did you mean '{sources}'? (docs/rubrics.md#criteria)"
    ),
    with_asked("'Does it name {the_price}?'"): (
        "5:24: criteria[0].ask: there is no content of this name; found '{the_price}'; allowed: question, "
        "answer, sources (docs/rubrics.md#criteria)"
    ),
    with_criterion("{id: c, check: has_link}"): (
        "4:20: criteria[0].check: is not one of the choices; found 'has_link'; "
        f"allowed: {CHECKS} (docs/rubrics.md#checks)"
    ),
    with_criterion("{id: c, check: max_length, value: many}"): (
        "4:39: criteria[0].value: is no length; found 'many'; allowed: a whole number of characters above 0, "
        "for max_length (docs/rubrics.md#checks)"
    ),
    with_criterion("{id: c, check: contains_url, scale: {1: a, 2: b}}"): (
        "4:34: criteria[0].scale: only a question has this; allowed: with ask: (docs/rubrics.md#criteria)\n"
        "4:34: criteria[0].pass_at: is missing; allowed: a level of the scale: 1, 2 "
        "(docs/rubrics.md#criteria)"
    ),
    with_criterion("{id: c, check: regex, value: 3}"): (
        "4:34: criteria[0].value: is the wrong kind of value; found 3; allowed: a regular expression, for "
        "regex (docs/rubrics.md#checks)"
    ),
    with_criterion("{id: c, check: json_schema, value: text}"): (
        "4:40: criteria[0].value: is the wrong kind of value; found 'text'; allowed: a JSON schema of draft "
        "2020-12, for json_schema (docs/rubrics.md#checks)"
    ),
}
BROKEN_RULES = {
    HEAD + "verdict: {pass_at: 0.4}": (
        "5:20: verdict.partial_at: is above pass_at; found partial_at 0.5 (its default), pass_at 0.4; "
        "allowed: at most 0.4 (docs/rubrics.md#verdict)"
    ),
    HEAD + "k: 2": (
        "5:1: k: needs another rollup; found rollup last_run, its default; allowed: rollup: k_of_n "
        "(docs/rubrics.md#rollup)"
    ),
    HEAD + "rollup: k_of_n": (
        "5:9: k: is missing; allowed: how many runs have to pass, such as k: 2 (docs/rubrics.md#rollup)"
    ),
    HEAD + "outcome: {pass: {outcome: success}}": (
        "5:1: outcome: feeds nothing under this role; found role quality, its default; allowed: role: outcome "
        "(docs/rubrics.md#outcome)"
    ),
    HEAD + "role: outcome\noutcome: {unknown: {outcome: success}}": (
        "6:11: outcome.unknown: an unknown verdict leaves the event pending; found 'unknown'; allowed: pass, "
        "partial, fail (docs/rubrics.md#outcome)"
    ),
    HEAD + "judges: [{model: Default}]": (
        "5:18: judges[0].model: is no model; found 'Default'; allowed: default, or a litellm name; did you "
        "mean 'default'? (docs/rubrics.md#judges)"
    ),
    HEAD + "judges: [{model: a/b}, {model: a/b}]": (
        "5:32: judges[1].model: judges twice; found 'a/b'; allowed: one entry each; samples: asks it again "
        "(docs/rubrics.md#judges)"
    ),
    HEAD + "examples:\n  - {name: x, answr: y, expect: {c: pass}}": (
        "6:15: examples[0].answr: is not a name of content; found 'answr'; allowed: name, expect, question, "
        "answer, sources; did you mean 'answer'? (docs/rubrics.md#examples)"
    ),
    HEAD + "examples:\n  - {name: x, answer: y, expect: {d: pass}}": (
        "6:35: examples[0].expect.d: is not a criterion; found 'd'; allowed: c (docs/rubrics.md#examples)"
    ),
    HEAD + "examples:\n  - {name: x, answer: y, expect: {c: 3}}": (
        "6:38: examples[0].expect.c: is not an answer to this criterion; found 3; allowed: pass, fail, "
        "unknown, not_applicable (docs/rubrics.md#examples)"
    ),
    "id: a\ntitle: ' '\ncriteria:\n  - {id: c, ask: Is it so?}\n": ("2:8: title: is blank (docs/rubrics.md#keys)"),
    HEAD + "combine: worst": (
        "5:1: combine: combines nothing under this role; found role quality, its default; allowed: role: "
        "outcome (docs/rubrics.md#combine)"
    ),
    HEAD + "role: quality\ncombine: best": (
        "6:1: combine: combines nothing under this role; found role quality; allowed: role: outcome "
        "(docs/rubrics.md#combine)"
    ),
    HEAD + "escalate: {to: default, when: [unknown]}": (
        "5:16: escalate.to: judges already, so it would be asked the same again; found 'default'; allowed: a "
        "stronger model than those under judges (docs/rubrics.md#escalate)"
    ),
    HEAD + "judges: [{model: a/b}]\nescalate: {to: a/b, when: [unknown]}": (
        "6:16: escalate.to: judges already, so it would be asked the same again; found 'a/b'; allowed: a "
        "stronger model than those under judges (docs/rubrics.md#escalate)"
    ),
    HEAD + "examples:\n  - {name: x, expect: {c: pass}}": (
        "6:5: examples[0]: has no content, so there is nothing to judge; allowed: any of question, answer, "
        "sources (docs/rubrics.md#examples)"
    ),
    HEAD + "examples:\n  - {name: x, answer: y, expect: {}}": (
        "6:34: examples[0].expect: expects nothing, so nothing is tried; allowed: c (docs/rubrics.md#examples)"
    ),
    HEAD + "examples:\n  - {name: x, answer: y, expect: {c: pass}}\n  - {name: x, answer: z, expect: {c: fail}}": (
        "7:12: examples[1].name: is used twice, first in line 6; found 'x'; allowed: a name of its own "
        "(docs/rubrics.md#examples)"
    ),
    HEAD + "applies_to: {workflow: [' ']}": ("5:25: applies_to.workflow[0]: is blank (docs/rubrics.md#applies_to)"),
    with_asked("'    '"): ("5:10: criteria[0].ask: is blank (docs/rubrics.md#criteria)"),
}
BROKEN_BYTES = {
    HEAD.encode() + "# Grüße".encode("latin-1"): (
        "5:5: the file is not text in UTF-8; found byte 0xFC; allowed: UTF-8 (docs/rubrics.md#files)"
    ),
    "# Grüße\n# à\n".encode() + b"title: \xff": (
        "3:8: the file is not text in UTF-8; found byte 0xFF; allowed: UTF-8 (docs/rubrics.md#files)"
    ),
    HEAD.encode("utf-16"): (
        "1:1: the file is not text in UTF-8; found byte 0xFF; allowed: UTF-8 (docs/rubrics.md#files)"
    ),
    b"\xef\xbb\xbf" + HEAD.encode() + b"role: \x1b": (
        "5:7: a character that no text file holds; found U+001B; allowed: printable characters "
        "(docs/rubrics.md#files)"
    ),
}
TEXTS = {**BROKEN_SYNTAX, **BROKEN_FIELDS, **BROKEN_EXPRESSIONS, **BROKEN_CRITERIA, **BROKEN_RULES}
BROKEN: list[tuple[str | bytes, str]] = [*TEXTS.items(), *BROKEN_BYTES.items()]


@pytest.mark.parametrize(("text", "told"), [pytest.param(*pair, id=pair[1][:60]) for pair in BROKEN])
def test_a_broken_rubric_is_told_what_is_wrong_where_and_what_instead(
    text: str | bytes, told: str, tmp_path: Path
) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    started = time.process_time()
    with pytest.raises(RubricProblems) as raised:
        read_loaded(file)
    assert str(raised.value).replace(f"{file}:", "") == told
    assert time.process_time() - started < 2


def test_a_text_is_told_what_a_file_is_told() -> None:
    for text, told in TEXTS.items():
        with pytest.raises(RubricProblems) as raised:
            read_rubric(text, name="x.yaml")
        assert str(raised.value).replace("x.yaml:", "") == told


def test_what_a_package_says_of_a_value_is_told_in_its_place(tmp_path: Path) -> None:
    source = """
        def digits(value, *, argument, content):
            return True

        digits.fault = lambda argument: None if isinstance(argument, int) else "a number of digits is wanted"
    """
    with installed(tmp_path, Package("shop-checks", source, {"digits": "digits"})):
        assert read_rubric(with_criterion("{id: c, check: digits, value: 6}")).criteria[0].check == "digits"
        for criterion, told in (
            (
                "{id: c, check: digits, value: six}",
                "4:35: criteria[0].value: digits does not take it: {}; found 'six'",
            ),
            ("{id: c, check: digits}", "4:20: criteria[0].value: digits does not take it: {}; found no value"),
            ("{id: c, check: digit}", "4:20: criteria[0].check: is not one of the choices; found 'digit'"),
        ):
            with pytest.raises(RubricProblems) as raised:
                read_rubric(with_criterion(criterion), name="x.yaml")
            expected = told.format("a number of digits is wanted")
            assert str(raised.value).startswith(f"x.yaml:{expected}")
        assert str(raised.value).endswith("digits; did you mean 'digits'? (docs/rubrics.md#checks)")


def test_there_are_broken_rubrics_of_every_kind() -> None:
    assert len(BROKEN) >= 140
    linked = {re.findall(r"docs/rubrics\.md#([\w-]+)\)", told)[0] for _, told in BROKEN}
    assert linked == {*SECTIONS, "keys", "files", "versions", "checks", "what-expressions-see"}


def test_every_link_leads_to_a_heading_of_the_docs() -> None:
    headings = re.findall(r"^#+ (.+)$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.casefold()).replace(" ", "-") for heading in headings}
    assert {*SECTIONS, "keys", "files", "versions", "checks", "what-expressions-see"} <= anchors


@pytest.mark.parametrize(
    ("field", "anchor"),
    [
        ("", "files"),
        ("rol", "keys"),
        ("id", "keys"),
        ("k", "rollup"),
        ("version", "versions"),
        ("applies_to.workflow[0]", "applies_to"),
        ("applies_to.where", "what-expressions-see"),
        ("sample.always[2]", "what-expressions-see"),
        ("sample.always", "sample"),
        ("criteria[0].scale.1", "criteria"),
        ("criteria[3].not_applicable_when", "what-expressions-see"),
        ("criteria[3].value", "checks"),
        ("examples[0].expect.value", "examples"),
    ],
)
def test_a_link_follows_from_the_field(field: str, anchor: str) -> None:
    assert anchor_of(field) == anchor
