"""Rubric warnings: what is valid in a rubric and hardly meant so."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from evaluator.model.rollup import RollupRule
from evaluator.model.rubric import CheckName, Criterion, Rubric
from evaluator.model.verdict import VerdictLabel
from evaluator.rubric_format.expressions import names_in, narrow_not
from evaluator.rubric_format.installed_checks import check_clashes
from evaluator.rubric_format.marked_yaml import Node
from evaluator.rubric_format.placeholders import answer_name, placeholders
from evaluator.rubric_format.reachability import idle_criteria, reachable_shares, verdicts
from evaluator.rubric_format.rubric_files import LoadedRubric, shared_workflows
from evaluator.rubric_format.rubric_problems import COMBINE, EXPRESSIONS, RubricProblem, quoted

Warnings = Iterator[RubricProblem]

MOST_WORDS, MOST_CHARACTERS = 60, 400
"""Of a question: small judges lose the thread of longer ones, and so do people."""
_MOST_SHARES_TOLD = 8

_QUOTED = re.compile(r"\"[^\"]*\"|“[^“”]*”|„[^„“”]*[“”]|«[^«»]*»|(?<!\w)'[^']*'(?!\w)")
_VERB = r"(?:is|are|was|were|does|do|did|has|have|can|could|will|would|should)"
_SUBJECT = r"(?:the|it|its|they|their|this|that|these|those|there|every|each|all|any|an?|no|he|she|\{[\w-]+\})"
_SECOND = re.compile(rf"\b(?:and|or|but)\s+{_VERB}\s+{_SUBJECT}(?!\w)|\band/or\b", re.IGNORECASE)
_QUESTION_MARK = re.compile(r"(?<!\?)\?++(?=\s|$|\))")

_BAD = "(?:wrong|incorrect|inaccurate|false|misleading|made up|rude|impolite|offensive|toxic|harmful|unsafe|biased)"
_FLAWS = "(?:errors?|mistakes?|hallucinations?|typos?|contradictions?|falsehoods?|insults?|inaccuracies)"
_YES_IS_BAD = re.compile(
    rf"^\s*(?:(?:is|are|was|were) [\w{{}}' -]{{1,40}} {_BAD}"
    rf"|(?:does|do|did|are there|is there)\b[\w{{}}' -]{{0,40}} (?:any |an? |some |factual )*{_FLAWS}(?: in [\w{{}} -]{{1,30}})?)\s*\?",
    re.IGNORECASE,
)
_TURNED = re.compile(
    r"\b(?:not|no|never|nothing|without|free|avoids?|refrains?|rather|admits?|corrects?|point(?:s|ed)? out|find"
    r"|explains?|pass(?:es)?|fails?)\b|n't\b",
    re.IGNORECASE,
)


def rubric_warnings(root: Node, rubric: Rubric, file: str) -> list[RubricProblem]:
    """What an author should look at again in a valid rubric, read from the document with this root."""
    of = _Warnings(root, rubric, file)
    parts = (
        of.title,
        of.expressions,
        of.content,
        of.questions,
        of.scales,
        of.checks,
        of.thresholds,
        of.weights,
        of.escalation,
        of.sampling,
    )
    return [problem for part in parts for problem in part()]


def combination_warnings(loaded: Sequence[LoadedRubric]) -> list[RubricProblem]:
    """Outcome rubrics that combine and sample differently: what one takes and the other does not stays open for ever."""
    combined = [one for one in loaded if one.rubric.combine]
    told = []
    for place, one in enumerate(combined):
        fitting = (other for other in combined[:place] if shared_workflows(one, other))
        other = next((each for each in fitting if _draw(each.rubric) != _draw(one.rubric)), None)
        if other is not None:
            told.append(_sampled_otherwise(one, other))
    return told


def _sampled_otherwise(one: LoadedRubric, other: LoadedRubric) -> RubricProblem:
    sample = one.root["sample"]
    is_rate = one.rubric.sample.rate != other.rubric.sample.rate
    key = "rate" if is_rate else "always"
    at = (sample[key] if sample else None) or sample or one.root["combine"] or one.root
    theirs = f"{key}: {other.rubric.sample.rate:g}" if is_rate else "other always: rules"
    ours = f"{one.rubric.sample.rate:g}" if is_rate else at.described() if sample and sample[key] else "none"
    message = (
        f"is not as in {other.path} ({theirs}), whose outcomes are combined with these: an event that only one of "
        "the two takes may stay pending for ever"
    )
    return RubricProblem(
        str(one.path),
        at.line,
        at.column,
        f"sample.{key}",
        message,
        ours,
        f"the same {key} in both files",
        severity="warning",
        about=COMBINE,
    )


def _draw(rubric: Rubric) -> tuple[float, frozenset[str]]:
    """Which events a rubric takes, as far as it says."""
    return rubric.sample.rate, frozenset(rubric.sample.always)


class _Warnings:
    def __init__(self, root: Node, rubric: Rubric, file: str) -> None:
        self.root = root
        self.rubric = rubric
        self.file = file
        criteria = root["criteria"]
        self.criteria = list(zip(rubric.criteria, criteria.children if criteria else (), strict=True))

    def told(
        self,
        at: Node | tuple[int, int],
        field: str,
        message: str,
        found: str,
        allowed: str,
        suggestion: str | None = None,
    ) -> RubricProblem:
        line, column = at if isinstance(at, tuple) else (at.line, at.column)
        return RubricProblem(
            self.file, line, column, field, message, found, allowed, suggestion, severity="warning"
        )

    def title(self) -> Warnings:
        node = self.root["title"] or self.root
        for name, offset in placeholders(self.rubric.title):
            message = "placeholders are filled in questions only, and a title is shown as it is written"
            yield self.told(node.place_of(offset), "title", message, f"'{{{name}}}'", f"the {name}, without braces")

    def expressions(self) -> Warnings:
        for field, node in self.each_expression():
            found = narrow_not(node.text or "")
            if found is not None:
                message = "! ends before what follows it, so this part is never true"
                allowed = "brackets around all that is negated"
                told = self.told(
                    node.place_of(found.offset), field, message, node.described(), allowed, found.suggestion
                )
                yield replace(told, about=EXPRESSIONS)

    def each_expression(self) -> Iterator[tuple[str, Node]]:
        """Every expression with its field."""
        applies_to, sample, content = self.root["applies_to"], self.root["sample"], self.root["content"]
        if applies_to and (where := applies_to["where"]):
            yield "applies_to.where", where
        always = sample["always"] if sample else None
        yield from (
            (f"sample.always[{place}]", rule) for place, rule in enumerate(always.children if always else ())
        )
        yield from ((f"content.{name}", node) for name, (_, node) in (content.entries if content else {}).items())
        for place, (_, node) in enumerate(self.criteria):
            if rule := node["not_applicable_when"]:
                yield f"criteria[{place}].not_applicable_when", rule

    def content(self) -> Warnings:
        """Content that no criterion speaks of, but for the answer, and for what went in: each question's context."""
        content = self.root["content"]
        if content is None or any(each.check and each.check not in set(CheckName) for each in self.rubric.criteria):
            return  # a package's check is given all content
        used = {name for criterion in self.rubric.criteria for name in _names_of(criterion)}
        texts = [self.rubric.title, *(text for each in self.rubric.criteria for text in _texts_of(each))]
        has_placeholders = any(each.ask and list(placeholders(each.ask)) for each in self.rubric.criteria)
        for name, (key, _) in content.entries.items():
            is_context = not has_placeholders and "input" in names_in(self.rubric.content[name])
            if name in used or name == answer_name(self.rubric.content) or is_context:
                continue
            if not any(_word(name).search(text) for text in texts):
                message = "no criterion refers to it, though each judge is shown it"
                allowed = f"{{{name}}} in a question, a criterion with of: {name}, or leave it out"
                yield self.told(key, f"content.{name}", message, quoted(name), allowed)

    def questions(self) -> Warnings:
        for place, (criterion, node) in enumerate(self.criteria):
            ask, field = node["ask"], f"criteria[{place}].ask"
            if ask is None or criterion.ask is None:
                continue
            words = len(criterion.ask.split())
            if words > MOST_WORDS or len(criterion.ask) > MOST_CHARACTERS:
                found = f"{words} words, {len(criterion.ask)} characters"
                allowed = f"at most {MOST_WORDS} words and {MOST_CHARACTERS} characters, or several criteria"
                yield self.told(ask, field, "is too long to be read the same way by all", found, allowed)
            yield from self.wording(ask, field, criterion)

    def wording(self, ask: Node, field: str, criterion: Criterion) -> Warnings:
        text = _QUOTED.sub(lambda quote: "x" * len(quote.group()), criterion.ask or "")
        second = _SECOND.search(text) or _second_mark(text)
        if second is not None:
            message, found = "asks two things, and one answer cannot tell which", quoted(text[second.start() :])
            allowed = "one question, and a criterion of its own for the other"
            yield self.told(ask.place_of(second.start()), field, message, found, allowed)
        if criterion.scale is None and _YES_IS_BAD.match(text) and not _TURNED.search(text):
            message = "a yes would be bad, so it is unclear which answer passes"
            yield self.told(ask, field, message, quoted(text.strip()), "a question whose yes is a pass")

    def scales(self) -> Warnings:
        for place, (criterion, node) in enumerate(self.criteria):
            pass_at = node["pass_at"]
            if criterion.scale and pass_at and criterion.pass_at == min(criterion.scale):
                levels = ", ".join(str(level) for level in sorted(criterion.scale)[1:])
                message = "is the lowest level, so that every level passes"
                yield self.told(pass_at, f"criteria[{place}].pass_at", message, pass_at.described(), levels)

    def checks(self) -> Warnings:
        for place, (criterion, node) in enumerate(self.criteria):
            clash, check = check_clashes().get(criterion.check or ""), node["check"]
            if clash and check:
                allowed = "a name that one installed package brings along"
                yield self.told(check, f"criteria[{place}].check", clash, check.described(), allowed)

    def thresholds(self) -> Warnings:
        verdict, limits = self.root["verdict"], self.rubric.verdict
        if verdict and not any(each.critical for each in self.rubric.criteria):
            for name, limit, message in (
                ("pass_at", limits.pass_at, "everything passes"),
                ("partial_at", limits.partial_at, "nothing fails"),
            ):
                if limit == 0 and (at := verdict[name]):
                    yield self.told(at, f"verdict.{name}", message, at.described(), "a share above 0")
                    return
        if not self.is_averaged:
            yield from self.partial()

    @property
    def is_averaged(self) -> bool:
        """Whether scores are averaged before they meet the thresholds: then any share may come up."""
        return len(self.rubric.judges) > 1 or self.rubric.rollup in (RollupRule.MEAN, RollupRule.RECENCY_WEIGHTED)

    def partial(self) -> Warnings:
        verdict, outcome, limits = self.root["verdict"], self.root["outcome"], self.rubric.verdict
        shares = reachable_shares(self.rubric.criteria)
        if shares is None or VerdictLabel.PARTIAL in verdicts(shares, limits):
            return
        told = ", ".join(f"{share:.2g}" for share in shares)
        which = f": passing weights come to {told}" if len(shares) <= _MOST_SHARES_TOLD else ""
        found = f"nothing from {limits.partial_at:g} to below {limits.pass_at:g}"
        partial_at = verdict["partial_at"] if verdict else None
        if partial_at and limits.partial_at < limits.pass_at:
            message = f"no answers come to partial{which}"
            between = "one of these" if which else "a share that is reached"
            allowed = f"thresholds with {between} from partial_at to below pass_at, or no partial_at"
            yield self.told(partial_at, "verdict.partial_at", message, found, allowed)
        if outcome and outcome["partial"]:
            message = f"no answers come to it{which}"
            key, _ = outcome.entries["partial"]
            yield self.told(key, "outcome.partial", message, found, "other thresholds under verdict, or no partial")

    def weights(self) -> Warnings:
        if self.is_averaged or self.rubric.verdict.pass_at == 0:
            return
        for place in idle_criteria(self.rubric.criteria, self.rubric.verdict):
            criterion, node = self.criteria[place]
            message = "weighs too little to change any verdict, whatever the other answers are"
            allowed = (
                "more weight, critical: true, other thresholds under verdict, or a rubric of role quality for it"
            )
            at = node["weight"] or node["id"] or node
            yield self.told(at, f"criteria[{place}].weight", message, f"{criterion.weight:g}", allowed)

    def escalation(self) -> Warnings:
        escalate = self.root["escalate"]
        if escalate and self.rubric.escalate and not self.rubric.escalate.when:
            message, allowed = "never happens without when", "when: [unknown, near_threshold], or no escalate"
            yield self.told(escalate["when"] or escalate, "escalate.when", message, "", allowed)

    def sampling(self) -> Warnings:
        sample, rule = self.root["sample"], self.rubric.sample
        rate = sample["rate"] if sample else None
        if rate and rule.rate == 0 and not rule.always:
            allowed = "a rate above 0, or always: rules beside it"
            yield self.told(rate, "sample.rate", "no run is ever judged", rate.described(), allowed)


def _names_of(criterion: Criterion) -> Iterator[str]:
    """Content a criterion names for the machine."""
    yield from (name for name, _ in placeholders(criterion.ask or ""))
    if criterion.not_applicable_when:
        yield from names_in(criterion.not_applicable_when)
    if criterion.check:
        yield criterion.of
    if criterion.check == CheckName.EQUALS_REFERENCE:
        yield criterion.value if isinstance(criterion.value, str) else "reference"
    if criterion.check == CheckName.FOUND_IN:
        yield criterion.value


def _texts_of(criterion: Criterion) -> Iterator[str]:
    yield criterion.ask or ""
    yield from (criterion.scale or {}).values()


def _word(name: str) -> re.Pattern[str]:
    """A name of content as it stands in a sentence: in singular or plural, with spaces for its dashes."""
    stem = "[ _-]".join(map(re.escape, re.split("[_-]", name.removesuffix("s"))))
    return re.compile(rf"(?<!\w){stem}(?:e?s|'s)?(?!\w)", re.IGNORECASE)


def _second_mark(text: str) -> re.Match[str] | None:
    """Where a second question begins: behind the first question mark, if another one follows."""
    marks = list(_QUESTION_MARK.finditer(text))
    return re.compile(r"\S").search(text, marks[0].end()) if len(marks) > 1 else None
