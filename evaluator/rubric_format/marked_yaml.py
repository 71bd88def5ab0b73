"""Marked YAML: a YAML 1.2 document as plain values, each of which knows its line and column.

libyaml only splits the text; what a plain word means is decided here by the core schema of YAML 1.2.2
(https://yaml.org/spec/1.2.2/#103-core-schema), so `yes`, `no` and `on` are text, and no tag constructs anything.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from evaluator.rubric_format.rubric_problems import RubricProblem, RubricProblems, quoted

MAX_BYTES = 256 * 1024
MAX_VALUES = 10_000
MAX_DEPTH = 40

Scalar = str | int | float | bool | None

_NOT_PRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LINE_END = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


@dataclass(slots=True, eq=False)
class Node:
    """A value and where it stands: a scalar, a list of nodes, or a mapping of key text to (key, value)."""

    line: int
    column: int
    value: Scalar | list[Node] | dict[str, tuple[Node, Node]]
    source: str = ""
    """A scalar as it stands in the file, quotes included."""
    quoted: bool = False
    size: int = 1
    """Values in it, aliases expanded."""
    height: int = 0

    def __getitem__(self, key: str) -> Node | None:
        """The value under a key, or None where this is no mapping or the key is absent or null."""
        entry = self.entries.get(key)
        return None if entry is None or entry[1].value is None else entry[1]

    @property
    def entries(self) -> dict[str, tuple[Node, Node]]:
        return self.value if isinstance(self.value, dict) else {}

    @property
    def children(self) -> list[Node]:
        return self.value if isinstance(self.value, list) else []

    @property
    def text(self) -> str | None:
        return self.value if isinstance(self.value, str) else None

    @property
    def number(self) -> float | None:
        is_number = isinstance(self.value, int | float) and not isinstance(self.value, bool)
        return float(self.value) if is_number else None  # type: ignore[arg-type]

    def plain(self) -> Any:
        """The JSON value this stands for."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, (_, node) in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def described(self) -> str:
        """What was found here, for an error message."""
        match self.value:
            case None:
                return "nothing"
            case dict():
                return "a mapping"
            case list():
                return "a list"
            case str() as text:
                return quoted(text)
            case _:
                return self.source[:60]

    def place_of(self, offset: int) -> tuple[int, int]:
        """Line and column of the text's character at this offset, or the text's own where that cannot be told."""
        raw, value = self.source, self.value
        if not raw or not isinstance(value, str) or not value:
            return self.line, self.column
        if _LINE_END.search(raw):
            return self._place_in_lines(raw, value, offset)
        start = raw.rfind(value)
        if start >= 0:
            return self.line, self.column + start + offset
        inner = raw[1:-1]
        escapes = "''|." if raw[0] == "'" else r"\\x..|\\u.{4}|\\U.{8}|\\.|."
        return self.line, self.column + 1 + _nth(re.finditer(escapes, inner), offset, len(inner))

    def _place_in_lines(self, raw: str, value: str, offset: int) -> tuple[int, int]:
        """YAML folds and indents lines, but leaves the order of what is no space as it is."""
        text = _BLOCK_HEADER.sub(lambda header: " " * len(header.group()), raw)
        before = len("".join(value[:offset].split()))
        inked = [index for index, character in enumerate(text) if not character.isspace()]
        if text[:1] in ("'", '"') and text == raw:
            inked = inked[1:-1]
        if not inked or len(inked) != len("".join(value.split())):
            return self.line, self.column
        line, column = place(text, [*inked, inked[-1] + 1][before])
        return (self.line, self.column + column - 1) if line == 1 else (self.line + line - 1, column)


_BLOCK_HEADER = re.compile(r"\A[|>][-+0-9]*[ \t]*(#[^\n\r]*)?")


def _nth(pieces: Iterator[re.Match[str]], n: int, end: int) -> int:
    return next((piece.start() for index, piece in enumerate(pieces) if index == n), end)


def scalar(word: str) -> Scalar:
    """What a plain word means in the YAML 1.2 core schema; infinite and not-a-number stay text."""
    if word in _WORDS:
        return _WORDS[word]
    if word[0] not in "+-.0123456789":
        return word
    if _INT.fullmatch(word):
        # Beyond 18 digits JSON readers disagree about whole numbers; such a one is read as a float.
        return int(word, 0 if word[:2] in ("0o", "0x") else 10) if len(word) <= 18 else _finite(word)
    return _finite(word) if _FLOAT.fullmatch(word) else word


def _finite(word: str) -> float | str:
    try:
        number = float(word)
    except ValueError:
        return word
    return number if math.isfinite(number) else word


def read_marked(text: str, file: str) -> tuple[Node, list[RubricProblem]]:
    """The document's root and the problems it can be read on with: duplicate keys, tags, unknown anchors.

    Raises RubricProblems where it cannot be read on with: too large, too deep, not YAML, not one document.
    """
    text = text.removeprefix("\ufeff")
    _check_characters(text, file)
    composer = _Composer(text, file)
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            composer.take(event)
    except yaml.MarkedYAMLError as error:
        raise RubricProblems([*composer.problems, _syntax_problem(error, text, file)]) from None
    if composer.root is None:
        composer.stop(1, 1, "the file holds no rubric", allowed="a mapping with id, title and criteria")
    return composer.root, composer.problems


def _check_characters(text: str, file: str) -> None:
    bad = _NOT_PRINTABLE.search(text)
    if bad is not None:
        line, column = place(text, bad.start())
        message = "a character that no text file holds"
        raise RubricProblems(
            [RubricProblem(file, line, column, "", message, f"U+{ord(bad.group()):04X}", "printable characters")]
        )
    size = len(text.encode())
    if size > MAX_BYTES:
        raise RubricProblems([too_large(size, file)])


def too_large(size: int, file: str) -> RubricProblem:
    return RubricProblem(file, 1, 1, "", "the file is too large", f"{size} bytes", f"at most {MAX_BYTES} bytes")


def place(text: str, index: int) -> tuple[int, int]:
    """Line and column, both from 1, of the character at this index."""
    ends = [found.end() for found in _LINE_END.finditer(text, 0, index)]
    return len(ends) + 1, index - (ends[-1] if ends else 0) + 1


@dataclass(slots=True)
class _Open:
    node: Node
    key: Node | None = None


@dataclass
class _Composer:
    """Builds nodes from libyaml's events without recursion, so that depth and size are checked on the way."""

    source: str
    file: str
    root: Node | None = None
    problems: list[RubricProblem] = field(default_factory=list)
    _open: list[_Open] = field(default_factory=list)
    _anchors: dict[str, Node] = field(default_factory=dict)
    _documents: int = 0
    _values: int = 0

    def take(self, event: yaml.Event) -> None:
        match event:
            case yaml.ScalarEvent():
                self._add(self._scalar(event), event)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                node = _node(event, {} if isinstance(event, yaml.MappingStartEvent) else [])
                self._refuse_tag(event, node)
                if event.anchor:
                    self._anchors[event.anchor] = node
                self._open.append(_Open(node))
                self._check_depth(len(self._open), node)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._add(self._open.pop().node, event)
            case yaml.AliasEvent():
                self._add(self._alias(event), event)
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self.stop(*_at(event), "a second document begins here", allowed="one rubric per file, no ---")
            case _:
                pass

    def stop(self, line: int, column: int, message: str, found: str = "", allowed: str = "") -> NoReturn:
        self._note(line, column, message, found, allowed)
        raise RubricProblems(self.problems)

    def _note(self, line: int, column: int, message: str, found: str = "", allowed: str = "") -> None:
        self.problems.append(RubricProblem(self.file, line, column, "", message, found, allowed))

    def _scalar(self, event: yaml.ScalarEvent) -> Node:
        is_quoted = bool(event.style)
        node = _node(event, event.value if is_quoted else scalar(event.value))
        node.quoted = is_quoted
        node.source = _between(self.source, event)
        if self._refuse_tag(event, node):
            node.value = event.value
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, event: yaml.AliasEvent) -> Node:
        node = self._anchors.get(event.anchor or "")
        if node is None:
            star = f"*{event.anchor}"
            self._note(*_at(event), "no anchor of this name; text that begins with * needs quotes", quoted(star))
            return Node(*_at(event), star, star)
        if any(frame.node is node for frame in self._open):
            self.stop(*_at(event), "the anchor contains itself", quoted(f"*{event.anchor}"))
        self._check_depth(len(self._open) + node.height, node)
        return node

    def _refuse_tag(self, event: Any, node: Node) -> bool:
        if event.tag is None:
            return False
        message = "tags are not read; text that begins with ! needs quotes"
        self._note(node.line, node.column, message, quoted(event.tag))
        return True

    def _check_depth(self, depth: int, node: Node) -> None:
        if depth > MAX_DEPTH:
            self.stop(node.line, node.column, "nested too deeply", allowed=f"at most {MAX_DEPTH} levels")

    def _add(self, node: Node, event: yaml.Event) -> None:
        self._values += node.size if isinstance(event, yaml.AliasEvent) else 1
        if self._values > MAX_VALUES:
            self.stop(*_at(event), "too many values, aliases expanded", allowed=f"at most {MAX_VALUES}")
        if not self._open:
            self.root = node
            return
        frame = self._open[-1]
        if isinstance(frame.node.value, dict) and frame.key is None:
            frame.key = node
            return
        frame.node.size += node.size
        frame.node.height = max(frame.node.height, node.height + 1)
        if isinstance(frame.node.value, dict):
            assert frame.key is not None
            self._enter(frame.node.value, frame.key, node)
            frame.key = None
        else:
            frame.node.children.append(node)

    def _enter(self, mapping: dict[str, tuple[Node, Node]], key: Node, node: Node) -> None:
        if isinstance(key.value, dict | list):
            self._note(key.line, key.column, "a key has to be a word", key.described())
            return
        is_whole = isinstance(key.value, int) and not isinstance(key.value, bool)
        name = key.value if isinstance(key.value, str) else str(key.value) if is_whole else key.source
        if name in mapping:
            message = f"the key stands here twice, first in line {mapping[name][0].line}"
            self._note(key.line, key.column, message, quoted(name))
            return
        mapping[name] = (key, node)


def _at(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _between(text: str, event: Any) -> str:
    return text[event.start_mark.index : event.end_mark.index]


def _node(event: Any, value: Any) -> Node:
    return Node(event.start_mark.line + 1, event.start_mark.column + 1, value)


_TAB = "a tab cannot stand here: indent with spaces"
_HINTS = {
    "\t": _TAB,
    "`": "text that begins with ` needs quotes",
    "@": "text that begins with @ needs quotes",
    "%": "text that begins with % needs quotes",
}
_SIGNS = {"while scanning a tag": "!", "while scanning an anchor": "&", "while scanning an alias": "*"}
_UNCLOSED = {
    "did not find expected ',' or '}'",
    "did not find expected ',' or ']'",
    "found unexpected end of stream",
    "could not find expected ':'",
}
_TAUGHT = {
    "found a tab character that violates indentation": _TAB,
    "found a tab character where an indentation space is expected": _TAB,
    "block sequence entries are not allowed in this context": "a list begins on a line of its own, or is written [a, b]",
    "mapping keys are not allowed in this context": "a key cannot stand here: text that begins with ? needs quotes",
    "did not find expected '-' indicator": "each entry of the list begins with '- ' at one indentation",
    "did not find expected comment or line break": "behind | or > the text begins on the next line",
    "found unexpected document indicator": "the quote is never closed before the document ends",
    "did not find expected <document start>": "nothing may stand behind the end of the document",
    "mapping values are not allowed in this context": "a second ': ' in one line: put the text in quotes, or indent",
    "did not find expected ',' or '}'": (
        "not closed, or text with [ ] { } or a comma within { }, which needs quotes: expected ',' or '}'"
    ),
    "did not find expected ',' or ']'": (
        "not closed, or text with [ ] { } or a comma within [ ], which needs quotes: expected ',' or ']'"
    ),
    "did not find expected node content": "a value is missing here, or text that begins with a sign needs quotes",
    "did not find expected key": "text goes on after its closing quote or bracket, or the indentation is off",
    "found unexpected end of stream": "the quote is never closed",
    "could not find expected ':'": "a key needs ': ' and a value after it",
    "found incompatible YAML document": "no %YAML line is read: leave it out",
    "did not find expected hexdecimal number": "an escape in double quotes is not whole: use single quotes",
    "found unknown escape character": "a \\ in double quotes begins an escape: use single quotes, or \\\\ for one",
}


def _syntax_problem(error: yaml.MarkedYAMLError, text: str, file: str) -> RubricProblem:
    mark, opening, told = error.problem_mark, error.context_mark, error.problem or "not YAML"
    assert mark is not None, "libyaml marks each of its errors"
    character = text[mark.index : mark.index + 1]
    taught = _TAUGHT.get(told, told)
    if told == "found character that cannot start any token":
        taught = _HINTS.get(character, told)
    if error.context in _SIGNS and opening is not None:
        mark, character = opening, _SIGNS[error.context]
        taught = f"text that begins with {character} needs quotes"
    # What is never closed is noticed far behind it; its opening is what the author has to look at.
    if told in _UNCLOSED and opening is not None and (opening.line != mark.line or not character):
        mark, character = opening, text[opening.index : opening.index + 1]
    found = quoted(character) if character.strip() else ""
    # libyaml ends a text without a line break at the end in a line of its own.
    line, column = place(text, len(text)) if mark.index >= len(text) else (mark.line + 1, mark.column + 1)
    return RubricProblem(file, line, column, "", taught, found)
