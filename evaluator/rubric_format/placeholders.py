"""Placeholders: {name} in a question stands for the content of that name, for judges and people alike.

And what that content is called where no placeholder says it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

_PLACEHOLDER = re.compile(r"\{([a-z0-9][a-z0-9_-]{0,63})\}")


def placeholders(text: str) -> Iterator[tuple[str, int]]:
    """Each placeholder's name and the index of its opening brace; other braces are text."""
    return ((found[1], found.start()) for found in _PLACEHOLDER.finditer(text))


def filled(text: str, names: Collection[str]) -> str:
    """The question as judges and people read it: a placeholder of content becomes its name in quotes."""
    return _PLACEHOLDER.sub(lambda found: f'"{found[1]}"' if found[1] in names else found[0], text)


def answer_name(names: Collection[str]) -> str:
    """Which of a rubric's content is the AI system's answer: answer, else output, else the last; names in order."""
    return next((name for name in ("answer", "output") if name in names), list(names)[-1])
