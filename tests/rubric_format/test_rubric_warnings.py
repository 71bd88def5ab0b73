"""Warnings name what is valid and hardly meant so, and leave in peace what is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evaluator.model.rubric import Criterion, Thresholds
from evaluator.model.verdict import CriterionLabel, CriterionVerdict, VerdictLabel
from evaluator.rubric_format.marked_yaml import read_marked
from evaluator.rubric_format.reachability import idle_criteria, reachable_shares, verdicts
from evaluator.rubric_format.rubric_files import read_files, read_folder, read_rubric
from evaluator.rubric_format.rubric_warnings import combination_warnings, rubric_warnings
from evaluator.scoring import score
from tests.plugin_packages import Package, installed
from tests.rubric_format.test_rubric_files import WHOLE

ROOT = Path(__file__).parents[2]
HEAD = "id: a\ntitle: T\ncriteria:\n  - {id: c, ask: Is it so?}\n"
TWO = HEAD + "  - {id: d, ask: Is it?}\n"


def warned(text: str) -> str:
    """What an author is warned of, one line each, without the file's name."""
    rubric = read_rubric(text, name="x.yaml")
    root, _ = read_marked(text, "x.yaml")
    told = sorted(rubric_warnings(root, rubric, "x.yaml"), key=lambda each: (each.line, each.column))
    return "\n".join(str(problem).removeprefix("x.yaml:") for problem in told)


def with_criteria(*criteria: str) -> str:
    return "id: a\ntitle: T\ncriteria:\n" + "".join(f"  - {criterion}\n" for criterion in criteria)


def asked(question: str) -> str:
    return f"id: a\ntitle: T\ncriteria:\n  - id: c\n    ask: {question}\n"


WARNED = {
    HEAD.replace("title: T", "title: Is {answer} right?"): (
        "2:11: warning: title: placeholders are filled in questions only, and a title is shown as it is written; "
        "found '{answer}'; allowed: the answer, without braces (docs/rubrics.md#keys)"
    ),
    HEAD + "applies_to: {where: '!diagnostics.free'}": (
        "5:22: warning: applies_to.where: ! ends before what follows it, so this part is never true; found "
        "'!diagnostics.free'; allowed: brackets around all that is negated; did you mean '!(diagnostics.free)'? "
        "(docs/rubrics.md#what-expressions-see)"
    ),
    HEAD + "sample: {always: [\"workflow == 'a' && !status == 'failed'\"]}": (
        "5:39: warning: sample.always[0]: ! ends before what follows it, so this part is never true; found "
        "\"workflow == 'a' && !status == 'failed'\"; allowed: brackets around all that is negated; did you mean "
        "'workflow == 'a' && !(status == 'failed')'? (docs/rubrics.md#what-expressions-see)"
    ),
    HEAD + "content: {answer: 'output[?!error.code] | [0]'}": (
        "5:28: warning: content.answer: ! ends before what follows it, so this part is never true; found "
        "'output[?!error.code] | [0]'; allowed: brackets around all that is negated; did you mean "
        "'output[?!(error.code)] | [0]'? (docs/rubrics.md#what-expressions-see)"
    ),
    with_criteria("{id: c, ask: Is it so?, not_applicable_when: '!(sources).title'}"): (
        "4:51: warning: criteria[0].not_applicable_when: ! ends before what follows it, so this part is never true; "
        "found '!(sources).title'; allowed: brackets around all that is negated "
        "(docs/rubrics.md#what-expressions-see)"
    ),
    HEAD + "content: {answer: output, policy: retrieval}": (
        "5:27: warning: content.policy: no criterion refers to it, though each judge is shown it; found 'policy'; "
        "allowed: {policy} in a question, a criterion with of: policy, or leave it out (docs/rubrics.md#content)"
    ),
    asked("Does {answer} greet?") + "content: {question: input, answer: output}": (
        "6:11: warning: content.question: no criterion refers to it, though each judge is shown it; "
        "found 'question'; allowed: {question} in a question, a criterion with of: question, or leave it out "
        "(docs/rubrics.md#content)"
    ),
    asked("word " * 60 + "word?"): (
        "5:10: warning: criteria[0].ask: is too long to be read the same way by all; found 61 words, "
        "305 characters; allowed: at most 60 words and 400 characters, or several criteria (docs/rubrics.md#criteria)"
    ),
    asked("Is it so " + "a" * 400 + "?"): (
        "5:10: warning: criteria[0].ask: is too long to be read the same way by all; found 4 words, "
        "410 characters; allowed: at most 60 words and 400 characters, or several criteria (docs/rubrics.md#criteria)"
    ),
    asked("Is it polite and is the price right?"): (
        "5:23: warning: criteria[0].ask: asks two things, and one answer cannot tell which; "
        "found 'and is the price right?'; allowed: one question, and a criterion of its own for the other "
        "(docs/rubrics.md#criteria)"
    ),
    asked(">-\n      Is the price right?\n      Is the date?"): (
        "7:7: warning: criteria[0].ask: asks two things, and one answer cannot tell which; found 'Is the date?'; "
        "allowed: one question, and a criterion of its own for the other (docs/rubrics.md#criteria)"
    ),
    asked("Does it name the price and/or the date?"): (
        "5:33: warning: criteria[0].ask: asks two things, and one answer cannot tell which; "
        "found 'and/or the date?'; allowed: one question, and a criterion of its own for the other "
        "(docs/rubrics.md#criteria)"
    ),
    asked("Is the answer wrong?"): (
        "5:10: warning: criteria[0].ask: a yes would be bad, so it is unclear which answer passes; "
        "found 'Is the answer wrong?'; allowed: a question whose yes is a pass (docs/rubrics.md#criteria)"
    ),
    with_criteria("{id: c, ask: Is it kind?, scale: {1: rude, 2: cold, 3: kind}, pass_at: 1}"): (
        "4:76: warning: criteria[0].pass_at: is the lowest level, so that every level passes; found 1; allowed: 2, 3 "
        "(docs/rubrics.md#criteria)"
    ),
    HEAD + "verdict: {pass_at: 0, partial_at: 0}": (
        "5:20: warning: verdict.pass_at: everything passes; found 0; allowed: a share above 0 "
        "(docs/rubrics.md#verdict)"
    ),
    TWO + "verdict: {pass_at: 0.5, partial_at: 0}": (
        "6:37: warning: verdict.partial_at: nothing fails; found 0; allowed: a share above 0 (docs/rubrics.md#verdict)"
    ),
    TWO + "verdict: {pass_at: 0.5, partial_at: 0.25}": (
        "6:37: warning: verdict.partial_at: no answers come to partial: passing weights come to 0, 0.5, 1; "
        "found nothing from 0.25 to below 0.5; allowed: thresholds with one of these from partial_at to below "
        "pass_at, or no partial_at (docs/rubrics.md#verdict)"
    ),
    HEAD + "role: outcome\noutcome: {partial: {outcome: partial}}": (
        "6:11: warning: outcome.partial: no answers come to it: passing weights come to 0, 1; "
        "found nothing from 0.5 to below 0.75; allowed: other thresholds under verdict, or no partial "
        "(docs/rubrics.md#outcome)"
    ),
    with_criteria("{id: c, ask: Is it so?, weight: 9}", "{id: d, ask: Is it?, weight: 0.5}"): (
        "5:34: warning: criteria[1].weight: weighs too little to change any verdict, whatever the other answers are; "
        "found 0.5; allowed: more weight, critical: true, other thresholds under verdict, or a rubric of role "
        "quality for it (docs/rubrics.md#criteria)"
    ),
    HEAD + "escalate: {to: a/b}": (
        "5:11: warning: escalate.when: never happens without when; allowed: when: [unknown, near_threshold], "
        "or no escalate (docs/rubrics.md#escalate)"
    ),
    HEAD + "sample: {rate: 0}": (
        "5:16: warning: sample.rate: no run is ever judged; found 0; allowed: a rate above 0, or always: rules "
        "beside it (docs/rubrics.md#sample)"
    ),
}


@pytest.mark.parametrize(("text", "told"), [pytest.param(*pair, id=pair[1][:60]) for pair in WARNED.items()])
def test_what_is_hardly_meant_so_is_told_with_what_instead(text: str, told: str) -> None:
    assert warned(text) == told


LEFT_IN_PEACE = {
    "braces in a title that are no placeholder": HEAD.replace("title: T", "title: 'Is {it, them} right?'"),
    "a negation that reaches far enough": HEAD
    + "sample: {always: ['!(diagnostics.free)', '!tools[0]', '!length(tools)', '!status', '!!tools[0]',"
    " '!diagnostics || input.a.b', '!models == `true`', 'status != input.a']}",
    "the design's own example": WHOLE,
    "the shortest rubric": HEAD,
    "content a question names": HEAD.replace("it so", "every source named")
    + "content: {sources: retrieval, answer: output}",
    "content a question names in words": HEAD.replace("it so", "each tool call needed")
    + "content: {tool_calls: output.calls, answer: output}",
    "content an anchor names": with_criteria(
        "{id: c, ask: Is it so?, scale: {1: no, 2: as the policy says}, pass_at: 2}"
    )
    + "content: {policy: retrieval, answer: output}",
    "content a rule names": with_criteria("{id: c, ask: Is it so?, not_applicable_when: '!policy'}")
    + "content: {policy: retrieval, answer: output}",
    "content a check compares with": with_criteria("{id: c, check: equals_reference}")
    + "content: {reference: retrieval, answer: output}",
    "content values are looked up in": with_criteria("{id: c, check: found_in, value: document}")
    + "content: {document: retrieval, answer: output}",
    "what went in, where no question has a placeholder": HEAD + "content: {ticket: input.ticket, answer: output}",
    "two yeses of one thing": asked("Is the order paid and in stock?"),
    "a quoted question": asked("'Does it offer help, as \"Can I help? Is the order there?\" does?'"),
    "an instruction behind the question": asked(
        "Is it true? Quote the words and compare, fail if a number differs."
    ),
    "a yes that is good": asked("Is the answer free of errors?"),
    "a yes that is said to fail": asked("Does it contain errors? Fail if it does."),
    "errors that are looked for": asked("Does the reply explain what is wrong?"),
    "a scale of faults": with_criteria("{id: c, ask: Is it wrong?, scale: {1: all, 2: none}, pass_at: 2}"),
    "no partial on purpose": TWO + "verdict: {pass_at: 0.75, partial_at: 0.75}",
    "partial that a mean comes to": HEAD + "role: outcome\nrollup: mean\noutcome: {partial: {outcome: partial}}",
    "partial that a panel comes to": HEAD + "verdict: {partial_at: 0.6}\njudges: [{model: a/b}, {model: c/d}]",
    "nothing fails but what is critical": with_criteria(
        "{id: c, ask: Is it so?, critical: true}", "{id: d, ask: Is it?}"
    )
    + "verdict: {partial_at: 0}",
    "a light criterion that counts where others do not apply": with_criteria(
        "{id: c, ask: Is it so?, weight: 9, not_applicable_when: '!sources'}", "{id: d, ask: Is it?, weight: 0.5}"
    ),
    "no rate but rules": HEAD + "sample: {rate: 0, always: [\"status == 'failed'\"]}",
}


@pytest.mark.parametrize("text", LEFT_IN_PEACE.values(), ids=LEFT_IN_PEACE)
def test_what_is_meant_so_is_left_in_peace(text: str) -> None:
    assert warned(text) == ""


def test_a_check_that_two_packages_bring_along_is_told(tmp_path: Path) -> None:
    source = "def counts(value, *, argument, content):\n    return True\n"
    packages = [Package(name, source, {"counts": "counts"}) for name in ("one-checks", "two-checks")]
    with installed(tmp_path, *packages):
        assert warned(with_criteria("{id: c, check: counts}")) == (
            "4:20: warning: criteria[0].check: check counts is brought along by one-checks 1.0 and two-checks 1.0; "
            "that of one-checks is used; found 'counts'; allowed: a name that one installed package brings along "
            "(docs/rubrics.md#checks)"
        )


def test_content_is_left_in_peace_where_a_package_looks_at_all_of_it(tmp_path: Path) -> None:
    source = "def counts(value, *, argument, content):\n    return True\n"
    with installed(tmp_path, Package("one-checks", source, {"counts": "counts"})):
        assert (
            warned(with_criteria("{id: c, check: counts}") + "content: {policy: retrieval, answer: output}") == ""
        )


def test_the_rubrics_that_are_shipped_warn_of_nothing() -> None:
    for one in read_folder(ROOT / "rubrics").loaded:
        assert rubric_warnings(one.root, one.rubric, str(one.path)) == []


def test_the_rubric_in_the_docs_warns_of_nothing() -> None:
    docs = (ROOT / "docs" / "rubrics.md").read_text(encoding="utf-8")
    whole = max(re.findall(r"```yaml\n(.*?)```", docs, re.DOTALL), key=len)
    assert warned(whole) == ""


def a_criterion(place: int, weight: float, critical: bool, may_be_left_out: bool) -> Criterion:
    rule = "!sources" if may_be_left_out else None
    return Criterion(id=f"c{place}", ask="Is it?", weight=weight, critical=critical, not_applicable_when=rule)


criteria_lists = st.lists(
    st.tuples(st.sampled_from([0.5, 1, 1.5, 3, 7]), st.booleans(), st.booleans()), min_size=1, max_size=4
).map(lambda parts: [a_criterion(place, *part) for place, part in enumerate(parts)])
limits = st.tuples(st.sampled_from([0, 0.2, 0.5, 0.6, 0.75, 1]), st.sampled_from([0, 0.2, 0.5, 0.6, 0.75, 1])).map(
    lambda pair: Thresholds(pass_at=max(pair), partial_at=min(pair))
)


def all_answers(criteria: list[Criterion]) -> list[list[CriterionLabel]]:
    answers: list[list[CriterionLabel]] = [[]]
    for criterion in criteria:
        ways = [CriterionLabel.PASS, CriterionLabel.FAIL]
        ways += [CriterionLabel.NOT_APPLICABLE] if criterion.not_applicable_when else []
        answers = [[*before, way] for before in answers for way in ways]
    return answers


def verdict_of(criteria: list[Criterion], labels: list[CriterionLabel], thresholds: Thresholds) -> VerdictLabel:
    answers = [CriterionVerdict(id=each.id, verdict=label) for each, label in zip(criteria, labels, strict=True)]
    return score(criteria, answers, thresholds).verdict


@given(criteria_lists, limits)
def test_a_verdict_is_reachable_exactly_where_some_answers_come_to_it(
    criteria: list[Criterion], thresholds: Thresholds
) -> None:
    shares = reachable_shares(criteria)
    assert shares is not None
    can_be_partial = VerdictLabel.PARTIAL in verdicts(shares, thresholds)
    assert can_be_partial == any(
        verdict_of(criteria, labels, thresholds) is VerdictLabel.PARTIAL for labels in all_answers(criteria)
    )


@given(criteria_lists, limits)
@example(
    [a_criterion(0, 0.5, False, False), a_criterion(1, 0.5, True, False), a_criterion(2, 7, False, True)],
    Thresholds(pass_at=0.5, partial_at=0),
)
def test_a_criterion_is_idle_exactly_where_no_verdict_hangs_on_it(
    criteria: list[Criterion], thresholds: Thresholds
) -> None:
    idle = idle_criteria(criteria, thresholds)
    for place, criterion in enumerate(criteria):
        if criterion.critical:
            continue
        flips = [
            (labels, [*labels[:place], CriterionLabel.FAIL, *labels[place + 1 :]])
            for labels in all_answers(criteria)
            if labels[place] is CriterionLabel.PASS
        ]
        changes = any(
            verdict_of(criteria, passed, thresholds) is not verdict_of(criteria, failed, thresholds)
            for passed, failed in flips
        )
        assert (place in idle) != changes


def test_a_rubric_of_very_many_criteria_is_looked_at_no_further() -> None:
    criteria = [a_criterion(place, 1 + place / 7, False, False) for place in range(40)]
    assert reachable_shares(criteria) is None
    assert idle_criteria(criteria, Thresholds()) == ()


BOTH = "role: outcome\ncombine: worst\n"


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        (
            "sample: {rate: 0.2}",
            "sample: {rate: 1}",
            "b.yaml:7:16: warning: sample.rate: is not as in a.yaml (rate: 0.2), whose outcomes are combined with "
            "these: an event that only one of the two takes may stay pending for ever; found 1; "
            "allowed: the same rate in both files (docs/rubrics.md#combine)",
        ),
        (
            "sample: {rate: 0.2, always: [input]}",
            "sample: {rate: 0.2}",
            "b.yaml:7:9: warning: sample.always: is not as in a.yaml (other always: rules), whose outcomes are "
            "combined with these: an event that only one of the two takes may stay pending for ever; found none; "
            "allowed: the same always in both files (docs/rubrics.md#combine)",
        ),
        ("sample: {rate: 0.2, always: [input, output]}", "sample: {rate: 0.20, always: [output, input]}", ""),
        ("sample: {rate: 0.2}\napplies_to: {workflow: [A]}", "applies_to: {workflow: [B]}", ""),
    ],
)
def test_outcomes_that_combine_want_the_same_sample(one: str, other: str, told: str) -> None:
    texts = {name: HEAD.replace("id: a", f"id: {name}") + BOTH for name in ("a", "b")}
    files = [
        (Path("a.yaml"), lambda: texts["a"] + one),
        (Path("b.yaml"), lambda: texts["b"] + other),
    ]
    folder = read_files(files)
    assert not folder.problems
    assert "\n".join(map(str, combination_warnings(folder.loaded))) == told
