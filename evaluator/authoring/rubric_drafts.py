"""Rubric drafts: the text of a new rubric from three answers, and from what the newest run of its workflow holds."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unicodedata import normalize

from evaluator.applicability import run_facts
from evaluator.deployment import Deployment
from evaluator.errors import BadInput, Conflict, Misconfigured
from evaluator.judging.shown import clean
from evaluator.model.capture import Capture
from evaluator.model.rubric import Role, Rubric
from evaluator.model.run import Run
from evaluator.rubric_format.expressions import evaluate
from evaluator.rubric_format.rubric_files import LoadedRubric, read_files, read_folder
from evaluator.rubric_format.rubric_problems import RubricProblem
from evaluator.rubric_format.rubric_warnings import rubric_warnings
from evaluator.store.recent_runs import ready_runs, workflows_seen
from evaluator.store.runs import load_captures

IDENTIFIER = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_RUNS_LOOKED_AT = 1000
_LONGEST_CONTENT = 300
_EMPTY_PHRASE = "empty phrase"
_OPENER = "announces an answer only"

_ANSWER = r"(?:it|(?:the|a good|an?|each|every|our) (?:answer|reply|response|agent|assistant|bot|output))"
_SUBJECT = re.compile(rf"{_ANSWER}\s+", re.IGNORECASE)
_MODAL = re.compile(r"(?:must|should|has to|needs to|ought to|shall|will)\s+", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"\{([a-z0-9][a-z0-9_-]{0,63})\}")
_SEVERAL = re.compile(r"[,;:]|\b(?:and|or|but|nor|while|who|which|that)\b", re.IGNORECASE)
"""A second verb may follow, which would have to change as well."""
_NEGATED = re.compile(r"\b(?:not|never|no|cannot|nothing|none)\b|n['’]t\b", re.IGNORECASE)
_OF_A_THING = re.compile(r"(?:an?|the|all|every|each|one|two|at least)\b", re.IGNORECASE)
_NO_VERB = re.compile(r"always|thus|it?s|this|is|does|was|has|perhaps|sometimes|besides|as|us|yes|un?less")
_IN_LY = re.compile("reply|apply|supply|comply|imply|rely|multiply")
_AUXILIARY = re.compile(r"\b(?:is|are|was|were|be|been|has|have|should|must|can|could|will|would|shall|may)\b")
_VERB = re.compile(
    "address|admit|answer|apologi[sz]e|ask|cite|confirm|contain|cover|describe|explain|fix|fulfill?|give|help|identify"
    "|include|inform|keep|link|list|mention|name|offer|point|provide|quote|recommend|refer|refuse|repeat|reply|resolve"
    "|say|show|solve|state|suggest|summari[sz]e|tell|use|warn"
)
"""Words that begin a sentence about what an answer does, and are hardly ever anything but verbs there."""

_MANNER = re.compile(
    r"\b(?:not|no|never|nothing|none|without|free|avoid\w*|refrain\w*|refus\w*|only|short\w*|brief\w*|concise\w*|long\w*"
    r"|polite\w*|friendl\w*|kind\w*|warm\w*|tone|rude\w*|calm\w*|professional\w*|empath\w*|thank\w*|greet\w*|appreciat\w*"
    r"|value[sd]?|style|voice|language|english|german|french|spanish|grammar|grammatical\w*|spell\w*|spelt|typos?|format"
    r"|plain|simple|simply|clear\w*|understandable|readable|safe\w*|harm\w*|honest\w*|neutral\w*|respectful\w*|courteous\w*"
    r"|contradict\w*|invent\w*|hallucinat\w*|true|false|consistent|wrong|mistakes?|errors?|less|fewer|most)\b|n['’]t\b",
    re.IGNORECASE,
)
"""Words of questions that a polite phrase without content may well pass."""

_FILLER = re.compile(
    "an?|the|is|are|was|does|do|did|has|have|can|of|to|in|for|on|its?|this|that|and|or|with|by|from|as|be|true|answer"
    "|reply|response|question|customer|user"
)

_INPUT_KEYS = ("question", "query", "prompt", "input", "request", "message", "text", "content", "task")
_OUTPUT_KEYS = ("answer", "output", "response", "reply", "result", "message", "text", "content", "completion")
_ANY_INPUT = "input.messages[-1].content || input.question || input"
_ANY_OUTPUT = "output.messages[-1].content || output.answer || output"


@dataclass(frozen=True, slots=True)
class Seen:
    """The newest run of a workflow."""

    run: Run
    capture: Capture


@dataclass(frozen=True, slots=True)
class Answers:
    """What an author said of a new rubric."""

    workflows: tuple[str, ...]
    """None named: every workflow."""
    ask: str
    role: Role
    rubric_id: str | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A new rubric's text, which is a valid rubric."""

    rubric_id: str
    question: str
    text: str
    example: str
    """Name of an example it has."""
    warnings: tuple[RubricProblem, ...]
    """What lint says of the author's own words."""


def known_workflows(deployment: Deployment) -> list[str]:
    """Workflows of stored runs, the most frequent first."""
    with deployment.database.read() as connection:
        return workflows_seen(connection)


def newest_run(deployment: Deployment, workflows: Sequence[str]) -> Seen | None:
    """The newest ready run of one of the workflows, of any where none is named."""
    named = {each.casefold() for each in workflows}
    with deployment.database.read() as connection:
        for page in ready_runs(connection, most=_RUNS_LOOKED_AT):
            for run in page:
                if not named or run.workflow.casefold() in named:
                    captures = load_captures(connection, [run.run_id], deployment.bodies)
                    return Seen(run, captures.get(run.run_id, Capture()))
    return None


def id_for(answers: Answers) -> str:
    """The id an author gave, else one made of workflow and role; raises BadInput for one that is no id."""
    if answers.rubric_id is None:
        return f"{_slug(answers.workflows[0] if answers.workflows else '', words=4) or 'all'}-{answers.role}"
    if not IDENTIFIER.fullmatch(answers.rubric_id):
        allowed = "small letters, digits, - and _, at most 64, a letter or digit first"
        raise BadInput(f"{answers.rubric_id!r} is no id of a rubric.", hint=f"Allowed are {allowed}.")
    return answers.rubric_id


def deciding(folder: Path, workflows: Sequence[str], *, but: Path | None = None) -> list[LoadedRubric]:
    """Rubrics of a folder that decide the outcome of one of these workflows already; none named means all."""
    named = {each.casefold() for each in workflows}
    return [
        one
        for one in _beside(folder, but)
        if one.rubric.role is Role.OUTCOME
        and (not named or not one.rubric.applies_to.workflow or named & _folded(one.rubric.applies_to.workflow))
    ]


def draft(answers: Answers, path: Path, *, folder: Path, seen: Seen | None) -> Draft:
    """The text for a file at `path` beside the rubrics of a folder.

    Raises BadInput for answers that make no valid rubric, Conflict where another rubric has the id, or decides the
    same outcomes and does not say how they combine.
    """
    rubric_id = id_for(answers)
    other = next((one for one in _beside(folder, path) if one.rubric.id == rubric_id), None)
    if other is not None:
        raise Conflict(f"{other.path} has the id {rubric_id} already.", hint="Give another one with --id.")
    beside = _decided_with(answers, folder, path)
    sentence = _one_line(answers.ask).rstrip(".!… ")
    if len(re.findall(r"\w", sentence)) < 3:
        raise BadInput("The question has no words.", hint="Say in one sentence what a good answer does.")
    question = question_from(sentence)
    text = _text(answers, rubric_id, sentence, beside, seen)
    checked = read_files([(path, lambda: text)])
    if checked.problems:
        said = "; ".join(each.told() for each in checked.problems)
        raise BadInput(f"This makes no valid rubric: {said}", hint="Change the words that are named there.")
    loaded = checked.loaded[0]
    warnings = rubric_warnings(loaded.root, loaded.rubric, str(path))
    return Draft(rubric_id, question, text, loaded.rubric.examples[0].name, tuple(warnings))


def write(made: Draft, path: Path, *, force: bool) -> None:
    """Write the draft; raises Conflict where there is a file and force is not given, Misconfigured where it cannot be."""
    try:
        _make_folder(path.parent)
        with path.open("w" if force else "x", encoding="utf-8", newline="\n") as file:
            file.write(made.text)
    except FileExistsError:
        raise Conflict(
            f"{path} is there already.", hint="Give another --id or --output, or --force to write over it."
        ) from None
    except OSError as error:
        raise _unwritable(path, error) from None


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from None


def _unwritable(path: Path, error: OSError) -> Misconfigured:
    return Misconfigured(f"{path} cannot be written: {error.strerror}.", hint="Give another --output.")


def question_from(sentence: str) -> str:
    """A sentence, without its full stop, as a question whose yes is a pass; a question stays as it is.

    It is turned only where that is safe, else asked about as a whole.
    """
    if sentence.endswith("?"):
        return sentence
    return _turned(sentence) or f"Is this true of {{answer}} to {{question}}: {sentence}?"


def _turned(sentence: str) -> str | None:
    """`It names the date` → `Does the answer name the date?`; None where that could go wrong."""
    if _SEVERAL.search(sentence) or _NEGATED.search(sentence):
        return None
    subject = _SUBJECT.match(sentence)
    rest = sentence[subject.end() :] if subject else sentence
    if subject and (modal := _MODAL.match(rest)):
        base, _, after = rest[modal.end() :].partition(" ")
        return _asked(base.lower(), after)
    first, _, after = rest.partition(" ")
    word = first.lower()
    if subject and word == "is":
        return f"Is the answer {after}?" if after else None
    if subject and word == "has":
        return f"Does the answer have {after}?" if _OF_A_THING.match(after) else None
    base = _base(word)
    if not subject:
        if _AUXILIARY.search(after):
            return None
        return next((_asked(each, after) for each in (word, base) if _VERB.fullmatch(each)), None)
    return _asked(base, after) if base != word and not _NO_VERB.fullmatch(word) else None


def _asked(base: str, after: str) -> str | None:
    if (
        not base.isalpha()
        or not base.isascii()
        or _NO_VERB.fullmatch(base)
        or (base.endswith("ly") and not _IN_LY.fullmatch(base))
    ):
        return None
    if base == "be":
        return f"Is the answer {after}?" if after else None
    return f"Does the answer {base}{f' {after}' if after else ''}?"


def _base(verb: str) -> str:
    """`names` → `name`, `replies` → `reply`, `fixes` → `fix`; a word that does not end like one stays."""
    if verb == "focuses":
        return "focus"
    for ending, rule in ((r"[^aeiou]ies$", (3, "y")), (r"(?:ss|sh|ch|x|zz|o)es$", (2, "")), (r"[^s]s$", (1, ""))):
        if len(verb) > 3 and re.search(ending, verb):
            return verb[: -rule[0]] + rule[1]
    return verb


def _decided_with(answers: Answers, folder: Path, path: Path) -> Rubric | None:
    """One of the rubrics that decide the same outcomes already, which all combine them in the same way."""
    others = deciding(folder, answers.workflows, but=path) if answers.role is Role.OUTCOME else []
    if not others:
        return None
    ways = {one.rubric.combine for one in others}
    way = ways.pop() if len(ways) == 1 else None
    if way is None:
        raise Conflict(
            f"{others[0].path} decides the outcome of {_told(answers.workflows)} already.",
            hint="Take --role quality, or write `combine: worst` (or best) into that file, and say it again.",
        )
    return others[0].rubric


def _beside(folder: Path, path: Path | None) -> list[LoadedRubric]:
    if not folder.is_dir():
        return []
    same = path.resolve() if path is not None else None
    return [one for one in read_folder(folder).loaded if one.path.resolve() != same]


def _folded(names: Sequence[str]) -> set[str]:
    return {each.casefold() for each in names}


def _told(workflows: Sequence[str]) -> str:
    return ", ".join(workflows) or "every workflow"


def _text(answers: Answers, rubric_id: str, sentence: str, beside: Rubric | None, seen: Seen | None) -> str:
    criterion, question = _slug(sentence, words=3) or "good", question_from(sentence)
    title = _PLACEHOLDER.sub(r"the \1", sentence if question.endswith(f": {sentence}?") else question)
    parts = [
        "# yaml-language-server: $schema=rubric.schema.json",
        f"id: {_scalar(rubric_id)}",
        f"title: {_scalar(title)}",
        _role(answers.role),
        *(
            ["applies_to:", f"  workflow: [{', '.join(map(_word, answers.workflows))}]"]
            if answers.workflows
            else []
        ),
        *(
            [f"combine: {beside.combine}                 # as in the other rubric of this workflow"]
            if beside
            else []
        ),
        "",
        *_sample(beside),
        *_content(question, seen),
        "criteria:                          # each question is answered on its own: a yes has to be good",
        f"  - id: {_scalar(criterion)}",
        f"    ask: {_scalar(question)}",
        "    critical: true                 # a fail here fails the whole",
        *_more_criteria(question, seen),
        "",
        *(_outcome() if answers.role is Role.OUTCOME else []),
        *_review(),
        *_examples(sentence, criterion, seen),
    ]
    return "\n".join(parts) + "\n"


def _role(role: Role) -> str:
    if role is Role.OUTCOME:
        return "role: outcome                      # its verdicts decide the events' outcomes"
    return "role: quality                      # measured only; outcome would decide the events' outcomes"


def _sample(beside: Rubric | None) -> list[str]:
    if beside is not None:
        rate, always = beside.sample.rate, ", ".join(map(_quoted, beside.sample.always))
        return [
            "sample:                            # as in the other rubric: an event that only one takes stays pending",
            f"  rate: {rate}",
            *([f"  always: [{always}]"] if always else []),
            "",
        ]
    return [
        "sample:",
        "  rate: 1.0                        # share of events judged; less once you trust it, such as 0.1",
        "  # always: [\"status == 'failed'\"]  # judged whatever the rate",
        "",
    ]


def _content(question: str, seen: Seen | None) -> list[str]:
    about = f"as in run {_comment(seen.run.run_id)}" if seen else "whatever the runs look like"
    lines = [f"content:                           # what the judge is shown, by name; {about}"]
    lines += [f"  {name}: {_scalar(expression)}" for name, expression in mapping(seen).items()]
    for name, expression, what in _extra(seen):
        told = f"{'' if _speaks_of(question, name) else '# '}{name}: {expression}"
        lines.append(f"  {told:<31}  # {what}")
    return [*lines, ""]


def _extra(seen: Seen | None) -> list[tuple[str, str, str]]:
    """Further content that a run holds: name, expression, and what it is."""
    capture = seen.capture if seen else Capture()
    found = []
    if capture.retrieval.value:
        found.append(("sources", "retrieval", "what was retrieved; show it where a question speaks of it"))
    if capture.tools.value:
        found.append(("tools", "tools", "which tools were called, how, and with what result"))
    return found


def _more_criteria(question: str, seen: Seen | None) -> list[str]:
    asks = {
        "sources": "Is every claim backed by the sources?",
        "tools": "Did the tools succeed that the answer relies on?",
    }
    ids = {"sources": "grounded", "tools": "tools-worked"}
    return [
        f'  # - {{id: {ids[name]}, ask: "{asks[name]}", not_applicable_when: "!{name}"}}'
        for name, _, _ in _extra(seen)
        if not _speaks_of(question, name)
    ]


def _speaks_of(question: str, name: str) -> bool:
    return re.search(rf"\b{name.removesuffix('s')}s?\b", question, re.IGNORECASE) is not None


def _outcome() -> list[str]:
    return [
        "outcome:                           # types: CONVERTED, DEFLECTED, ESCALATED, UNSUCCESSFUL, CUSTOM",
        "  pass: {outcome: success, type: CUSTOM}",
        "  fail: {outcome: failed, type: UNSUCCESSFUL}",
        "",
    ]


def _review() -> list[str]:
    return [
        "review:                            # what people look at",
        "  audit_rate: 0.1                  # share of judged events, at random: these tell how good the judge is",
        "  send: [unknown, critical_fail, injection_suspected]",
        "",
    ]


def _examples(sentence: str, criterion: str, seen: Seen | None) -> list[str]:
    phrase = [
        f"- name: {_EMPTY_PHRASE}",
        "  question: When will my order 4411 arrive?",
        "  answer: We value you as a customer.",
        f"  expect: {{{_scalar(criterion)}: fail}}",
    ]
    opener = [
        f"- name: {_OPENER}",
        "  question: When will my order 4411 arrive?",
        "  answer: Let me think about this step by step.",
        f"  expect: {{{_scalar(criterion)}: fail}}",
    ]
    if _MANNER.search(sentence):
        # what has no content may well be polite, short or free of faults: that is for the author to say
        phrase = [f"# {line}" for line in phrase]
        phrase.insert(0, "# whether this is a fail under your question is for you to say:")
    own = ["# add a few of your own; the most useful are cases that people disagree about:", *_own(criterion, seen)]
    lines = [*opener, *phrase, *own] if phrase[0].startswith("#") else [*phrase, *opener, *own]
    return [
        "examples:                          # `adjudge rubrics test` runs them",
        *(f"  {line}" for line in lines),
    ]


def _own(criterion: str, seen: Seen | None) -> list[str]:
    """A template that is filled with the run's own content."""
    question, answer = "What a customer asked", "What a good answer says"
    name = "a good answer"
    if seen is not None:
        facts = run_facts(seen.run, seen.capture)
        shown = {key: evaluate(expression, facts) for key, expression in mapping(seen).items()}
        question, answer = _excerpt(shown["question"]), _excerpt(shown["answer"])
        name = f"run {seen.run.run_id}"
    return [
        f"# - name: {_quoted(name)}",
        f"#   question: {_quoted(question)}",
        f"#   answer: {_quoted(answer)}",
        f"#   expect: {{{_scalar(criterion)}: pass}}",
    ]


def mapping(seen: Seen | None) -> dict[str, str]:
    """Where question and answer stand in runs such as this one; without one, wherever they usually do."""
    if seen is None:
        return {"question": _ANY_INPUT, "answer": _ANY_OUTPUT}
    return {
        "question": _path("input", seen.capture.input.value, _INPUT_KEYS, role="user"),
        "answer": _path("output", seen.capture.output.value, _OUTPUT_KEYS, role="assistant"),
    }


def _path(side: str, value: Any, keys: Sequence[str], *, role: str) -> str:
    if value is None:
        return _ANY_INPUT if side == "input" else _ANY_OUTPUT
    if not isinstance(value, dict):
        return side
    messages = value.get("messages")
    if isinstance(messages, list) and messages and all(isinstance(each, dict) for each in messages):
        roles = [each.get("role") for each in messages]
        last = (
            "messages[-1].content"
            if roles[-1] == role or role not in roles
            else f"messages[?role=='{role}'].content | [-1]"
        )
        # a pipe would take the whole of what stands before it
        return f"({side}.{last}) || {side}" if "|" in last else f"{side}.{last} || {side}"
    key = next((each for each in keys if isinstance(value.get(each), str) and value[each].strip()), None)
    return side if key is None else f"{side}.{key} || {side}"


def _excerpt(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_CONTENT else text[: _LONGEST_CONTENT - 1] + "…"


def _one_line(text: str) -> str:
    return " ".join(str(clean(text)).split())


def _slug(text: str, *, words: int) -> str:
    """Up to so many telling words of a text as an identifier; empty where it has none."""
    plain = normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    telling = [word for word in re.findall(r"[a-z0-9]+", plain) if not _FILLER.fullmatch(word)]
    return "-".join(telling[:words])[:40].strip("-")


_PLAIN = re.compile(r"[^\W\d_][\w .,'’!?()|\[\]/=-]*[\w.!?)\]]")
_NO_TEXT = re.compile("true|false|yes|no|on|off|null|y|n", re.IGNORECASE)


def _scalar(text: str) -> str:
    """A text as YAML, without quotes where it needs none."""
    is_plain = _PLAIN.fullmatch(text) and not _NO_TEXT.fullmatch(text)
    return text if is_plain else _quoted(text)


def _word(text: str) -> str:
    """A text within brackets, without quotes where it is one plain word."""
    return text if re.fullmatch(r"[A-Za-z][\w-]*", text) and not _NO_TEXT.fullmatch(text) else _quoted(text)


def _quoted(text: str) -> str:
    """A text in double quotes, on one line, whatever it holds."""
    cleaned = str(clean(text))
    marked = json.dumps(cleaned, ensure_ascii=False)
    return "".join(each if each.isprintable() else _escaped(each) for each in marked)


def _escaped(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) <= 0xFFFF else f"\\U{ord(char):08x}"


def _comment(text: str) -> str:
    return _quoted(text)[1:-1]
