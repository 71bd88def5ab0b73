"""Whether a text is markdown: told by its signs, without what lays it out."""

from __future__ import annotations

import re

_EVIDENCE = re.compile(
    r"^ {0,3}(?:#{1,6} \S|```|~~~|> |(?:[-*+]|\d{1,9}[.)]) +\S|\|.+\||(?:-{3,}|={3,}|\*{3,})[ \t]*$)"
    r"|\*\*[^\s*][^*\n]{0,300}\*\*|`[^`\n]{1,300}`"
    r"|\[[^\[\]\n]{0,300}\]\([^()\n]{0,2000}\)|<https?://",
    re.MULTILINE,
)
"""Each alternative looks ahead no further than it says, so that no text takes long."""


def reads_as_markdown(text: str) -> bool:
    """Whether a text has signs of markdown: fences, headings, lists, quotes, tables, emphasis, code or links."""
    return _EVIDENCE.search(text) is not None
