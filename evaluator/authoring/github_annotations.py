"""GitHub annotations: workflow commands that show a message beside a file's line.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

from evaluator.wording import visible


def annotation(severity: str, message: str, *, file: str, line: int, column: int | None = None) -> str:
    """One command; severity is error, warning or notice, line and column count from 1."""
    place = f"file={_property(file)},line={line}" + ("" if column is None else f",col={column}")
    return f"::{severity} {place}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(visible(text)).replace(":", "%3A").replace(",", "%2C")
