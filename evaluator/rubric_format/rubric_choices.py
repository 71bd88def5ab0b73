"""Rubric choices: what each word an author may choose from means, as editors and docs/rubrics.md tell it."""

from __future__ import annotations

from typing import NamedTuple

ROLE = {
    "outcome": "Its verdict decides the event's final outcome, below a system of record and people.",
    "quality": "It is measured and shown, and decides nothing.",
}
ROLLUP = {
    "last_run": "The last run decides; an earlier success says nothing about a later failure.",
    "all": "Every run has to pass; one fail decides at once.",
    "any": "One pass is enough and decides at once.",
    "mean": "The mean score of the judged runs, against the thresholds; a critical fail in any of them fails.",
    "recency_weighted": "As mean, with later runs counting more; for conversations.",
    "k_of_n": "As many runs as k says have to pass.",
}
COMBINATION = {
    "worst": "The worst of the rubrics' outcomes counts; where one is open the event stays open, unless another fails.",
    "best": "The best of the rubrics' outcomes counts; where one is open the event stays open, unless another succeeds.",
}
OUTCOME = {
    "pending": "Not decided: leaves the event open.",
    "success": "What the event was for was achieved.",
    "partial": "It was achieved in part.",
    "failed": "It was not achieved.",
    "timeout": "It ran out of time.",
    "canceled": "It was called off.",
    "abandoned": "The customer gave up on it.",
}
OUTCOME_TYPE = {
    "CONVERTED": "It led to what was to be sold or done.",
    "DEFLECTED": "It was solved without a person.",
    "ESCALATED": "It was handed to a person.",
    "UNSUCCESSFUL": "It came to nothing.",
    "CUSTOM": "Any other kind.",
    "PENDING": "Not known yet.",
}
REASON = {
    "unknown": "The verdict is unknown.",
    "near_threshold": "The verdict rests on a score within 0.1 of verdict.pass_at or verdict.partial_at.",
    "critical_fail": "A critical criterion failed.",
    "panel_split": "Judges, or repeats of one judge, came to different verdicts, unknown aside.",
    "injection_suspected": "The content holds text that speaks to the judge.",
    "low_confidence": "The app's own diagnostics.confidence is below 0.5.",
}
VALUE_ABOVE = "The app's own diagnostics.value_amount is above this amount."
ANSWER = {
    "pass": "The criterion is met.",
    "fail": "It is not met.",
    "unknown": "The content is too garbled to tell.",
    "not_applicable": "The criterion makes no sense for this case.",
}


class CheckWords(NamedTuple):
    """What a built-in check compares with, and when it passes."""

    value: str
    passes: str


CHECK = {
    "contains_url": CheckWords(
        "a host or a list of hosts, or nothing", "holds a web address (at one of the hosts)"
    ),
    "json_valid": CheckWords("nothing", "is valid JSON"),
    "json_schema": CheckWords("a JSON schema of draft 2020-12; `$ref` only within itself", "fits the schema"),
    "regex": CheckWords("a regular expression", "holds a match"),
    "max_length": CheckWords("a whole number above 0", "has at most so many characters"),
    "contains": CheckWords("a text or a list of texts", "holds all of them"),
    "equals_reference": CheckWords("a name of content; `reference` unless set", "equals the content of that name"),
    "found_in": CheckWords(
        "a name of content",
        "has no text or number that does not stand in the content of that name, as a whole word or an equal number",
    ),
}
