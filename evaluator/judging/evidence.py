"""Evidence: a quote counts only where it stands in the content word for word."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from evaluator.model.verdict import CriterionLabel, CriterionVerdict, Quote

NOT_FOUND = "None of the quotes given stands in the content."
"""The note on an answer that became unknown for its evidence."""

_SHORTEST = 3
_LONG_ENOUGH_TO_BE_COPIED = 20
"""A shared word or two with the rubric is chance; a shared stretch of this length is the rubric's own text."""

_LIKE = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′`´ʼ", "'"),
        **dict.fromkeys("“”„‟″«»", '"'),
        **dict.fromkeys("‐‑‒–—―−﹘﹣", "-"),
    }
)
_ESCAPED = re.compile(r"\\+([nrt\"/])")
_AROUND = " \"'.…"


def check_evidence(
    answers: Sequence[CriterionVerdict], texts: Iterable[str], instructions: Iterable[str] = ()
) -> tuple[CriterionVerdict, ...]:
    """The answers with each quote marked found or not; unfounded ones become unknown.

    An answer of pass or fail (a scale's level as well) whose quotes are all not found becomes unknown with a note.
    One that gave no quote keeps its verdict: what is absent cannot be quoted. A quote of fewer than 3 characters
    counts as none, and one that repeats the rubric's own words at length as not found.
    """
    if not any(answer.evidence for answer in answers):
        return tuple(answers)
    content = normalised("\x00".join(texts))
    rubric = normalised("\x00".join(instructions))
    return tuple(_checked(answer, content, rubric) for answer in answers)


def normalised(text: str) -> str:
    """The text in NFKC, with one kind of quote, dash and space, and without JSON escapes; case is kept."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).translate(_LIKE)
    if "\\" in text:
        text = _ESCAPED.sub(lambda found: found[1] if found[1] in '"/' else " ", text)
    return " ".join(text.replace("`", "'").split())


def _checked(answer: CriterionVerdict, content: str, rubric: str) -> CriterionVerdict:
    if not answer.evidence:
        return answer
    quotes = tuple(Quote(text=each.text, found=_stands(each.text, content, rubric)) for each in answer.evidence)
    counted = [each for each in quotes if len(each.text.strip()) >= _SHORTEST]
    decided = answer.verdict in (CriterionLabel.PASS, CriterionLabel.FAIL)
    if decided and counted and not any(each.found for each in counted):
        changed = {"evidence": quotes, "verdict": CriterionLabel.UNKNOWN, "level": None, "note": NOT_FOUND}
        return answer.model_copy(update=changed)
    return answer.model_copy(update={"evidence": quotes})


def _stands(quote: str, content: str, rubric: str) -> bool:
    words = normalised(quote).strip(_AROUND)
    if len(words) < _SHORTEST or words not in content:
        return False
    return len(words) < _LONG_ENOUGH_TO_BE_COPIED or words not in rubric
