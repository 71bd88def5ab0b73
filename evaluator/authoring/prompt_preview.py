"""The exact prompt a judge gets for a run or an example, and what decides whether it is asked at all; no call is made."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from evaluator.applicability import always_rule_matched, applies, content_for, example_content, run_facts
from evaluator.authoring.named_rubrics import NamedRubric
from evaluator.capture.price_table import price_of_call
from evaluator.deployment import Deployment
from evaluator.errors import NotFound
from evaluator.judging.cassette import EXAMPLES_SECRET
from evaluator.judging.endpoint import label_of, resolve_endpoint
from evaluator.judging.judge import JudgeWork, Prepared, prepare, temperature_of
from evaluator.model.capture import Capture
from evaluator.model.columns import canonical_json
from evaluator.model.local_judge import LOCAL_JUDGE
from evaluator.model.rubric import Example, JudgeSpec, Rubric
from evaluator.model.run import Run, RunState
from evaluator.model.sample import SampleReason
from evaluator.model.verdict import CriterionLabel, CriterionVerdict
from evaluator.rubric_format.expressions import evaluate, is_true, names_in
from evaluator.rubric_format.rubric_files import is_file, read_folder, read_loaded
from evaluator.rubric_format.rubric_problems import listed, nearest
from evaluator.sampling import decide, draw
from evaluator.settings import Settings
from evaluator.store.database import Connection
from evaluator.store.recent_runs import ready_runs, workflows_seen
from evaluator.store.runs import load_captures, load_runs, runs_of_events
from evaluator.wording import plural

MOST_RUNS = 1000
"""Newest runs that are looked through for one the rubric applies to."""
CHARS_PER_TOKEN = 4
"""Of English text; other languages and data take more tokens."""
REPLY_TOKENS = 60
"""What a judge writes about one criterion: two short quotes, a sentence and a word."""
_LONGEST_VALUE = 100


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether something holds, and why."""

    holds: bool
    why: str


@dataclass(frozen=True, slots=True)
class ContentPart:
    """What a name of content holds."""

    name: str
    expression: str | None
    """None for an example, which gives content by name."""
    found: bool
    characters: int
    cut: bool
    """Whether the prompt shows it without its middle."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A criterion that does not apply."""

    id: str
    rule: str


@dataclass(frozen=True, slots=True)
class PreviewedJudge:
    """One of those who judge, and what asking costs."""

    model: str
    role: str
    """judge, panel, or escalation."""
    temperature: float
    samples: int
    max_tokens: int
    cost_usd: Decimal | None
    """Of one call, about; None where no price is known, 0 where nothing is asked."""


@dataclass(frozen=True, slots=True)
class Preview:
    """All that is known of a judgement before its judge is called."""

    rubric: Rubric
    place: str
    subject: str
    applies: Finding | None
    """None for an example."""
    sampled: Finding | None
    content: tuple[ContentPart, ...]
    left_out: tuple[LeftOut, ...]
    answered: tuple[CriterionVerdict, ...]
    """By code: checks, and the pre-check."""
    flags: tuple[str, ...]
    asked: tuple[str, ...]
    not_asked: str | None
    """Why no judge is called, or None."""
    judges: tuple[PreviewedJudge, ...]
    messages: tuple[dict[str, str], ...]

    @property
    def characters(self) -> int:
        return sum(len(each["content"]) for each in self.messages)

    @property
    def tokens(self) -> int:
        """About."""
        return -(-self.characters // CHARS_PER_TOKEN)


def named_in_files(name: str, settings: Settings) -> NamedRubric | None:
    """The rubric of a file or of the rubrics folder that `name` means, or None where only the database may know it.

    Raises RubricProblems for a named file with errors.
    """
    path = Path(name)
    if is_file(path):
        loaded = read_loaded(path)
    else:
        known = {one.rubric.id: one for one in read_folder(settings.rubrics_dir).loaded}
        if name not in known:
            return None
        loaded = known[name]
    return NamedRubric(loaded.rubric, loaded.source, str(loaded.path))


def preview_example(named: NamedRubric, name: str, settings: Settings, *, judge: str | None = None) -> Preview:
    """What a judge gets for a golden example, as `adjudge rubrics test` sends it; needs no runs."""
    example = _example(named.rubric, name)
    content = example_content(named.rubric, example)
    work = JudgeWork(named.rubric, _spec(named.rubric, judge), content)
    return _preview(named, f"example {name!r}", work, settings, secret=EXAMPLES_SECRET, is_run=False)


def preview_run(
    named: NamedRubric,
    deployment: Deployment,
    *,
    run_id: str | None = None,
    event_id: str | None = None,
    judge: str | None = None,
) -> Preview:
    """What a judge gets for a run: the given one, the newest of an event, or the newest the rubric applies to.

    Raises NotFound where there is no such run, with what to do instead.
    """
    with deployment.database.read() as connection:
        run = _chosen(connection, deployment, named.rubric, run_id, event_id)
        of_event = [one for one in runs_of_events(connection, {run.event_id})[run.event_id] if _is_ready(one)]
        wanted = {run.run_id, *(one.run_id for one in of_event)}
        captures = load_captures(connection, wanted, deployment.bodies)
    facts = run_facts(run, captures.get(run.run_id, Capture()))
    others = [run_facts(one, captures.get(one.run_id, Capture())) for one in of_event]
    work = JudgeWork(
        named.rubric, _spec(named.rubric, judge), content_for(named.rubric, facts), fidelity=run.fidelity
    )
    state = "" if _is_ready(run) else ", still open: it is judged once it has ended"
    subject = f"run {run.run_id} of event {run.event_id}, workflow {run.workflow}{state}"
    return _preview(
        named,
        subject,
        work,
        deployment.settings,
        secret=deployment.secret,
        is_run=True,
        applied=_applied(named.rubric, facts),
        sampled=_sampled(named.rubric, facts, others),
    )


def _is_ready(run: Run) -> bool:
    return run.state == RunState.READY


def _chosen(
    connection: Connection, deployment: Deployment, rubric: Rubric, run_id: str | None, event_id: str | None
) -> Run:
    if run_id is not None:
        found = load_runs(connection, [run_id]).get(run_id)
        if found is None:
            raise NotFound(f"There is no run {run_id!r}.", hint="Leave --run out for the newest one.")
        return found
    if event_id is not None:
        return _of_event(connection, deployment, rubric, event_id)
    seen = 0
    for page in ready_runs(connection, most=MOST_RUNS):
        seen += len(page)
        fitting = _first_fitting(connection, deployment, rubric, page)
        if fitting is not None:
            return fitting
    if not seen:
        raise no_runs(rubric)
    seen_workflows = listed(workflows_seen(connection)[:5])
    raise NotFound(
        f"{rubric.id} applies to none of the {plural(seen, 'newest run')}.",
        hint=f"Newest workflows: {seen_workflows}. `--run RUN_ID` shows any run and why the rubric does not apply.",
    )


def no_runs(rubric: Rubric) -> NotFound:
    """No run is stored: what to do instead."""
    some = f"`--example {rubric.examples[0].name!r}`" if rubric.examples else "`--example NAME`"
    return NotFound(
        "No run is stored yet.",
        hint=f"{some} shows the prompt of one of the rubric's examples; `adjudge import FILE` stores runs.",
    )


def _of_event(connection: Connection, deployment: Deployment, rubric: Rubric, event_id: str) -> Run:
    """The event's newest run that the rubric applies to, else its newest."""
    runs = runs_of_events(connection, {event_id})[event_id]
    if not runs:
        raise NotFound(f"There is no run of an event {event_id!r}.", hint="`adjudge outcomes` lists events.")
    newest_first = sorted(runs, key=lambda one: (_is_ready(one), one.started_at), reverse=True)
    return _first_fitting(connection, deployment, rubric, newest_first) or newest_first[0]


def _first_fitting(
    connection: Connection, deployment: Deployment, rubric: Rubric, runs: Sequence[Run]
) -> Run | None:
    named = {workflow.casefold() for workflow in rubric.applies_to.workflow}
    runs = [run for run in runs if not named or run.workflow.casefold() in named]
    captures = load_captures(connection, [run.run_id for run in runs], deployment.bodies)
    return next((run for run in runs if applies(rubric, run_facts(run, captures.get(run.run_id, Capture())))), None)


def _example(rubric: Rubric, name: str) -> Example:
    names = [each.name for each in rubric.examples]
    if name in names:
        return rubric.examples[names.index(name)]
    close = nearest(name, names)
    raise NotFound(
        f"{rubric.id} has no example {name!r}." + (f" Did you mean {close!r}?" if close else ""),
        hint=f"It has: {listed(names)}." if names else "It has no examples; add some under examples:.",
    )


def _spec(rubric: Rubric, judge: str | None) -> JudgeSpec:
    """The rubric's judge of this model; its first, asked for that model, where it has none such."""
    first = rubric.judges[0]
    if judge is None:
        return first
    return next((spec for spec in rubric.judges if spec.model == judge), first.model_copy(update={"model": judge}))


def _preview(
    named: NamedRubric,
    subject: str,
    work: JudgeWork,
    settings: Settings,
    *,
    secret: bytes,
    is_run: bool,
    applied: Finding | None = None,
    sampled: Finding | None = None,
) -> Preview:
    prepared = asyncio.run(prepare(work, secret=secret))
    rubric, prompt = named.rubric, prepared.prompt
    messages = prompt.messages if prompt is not None else ()
    size = sum(len(each["content"]) for each in messages)
    rules = {each.id: each.not_applicable_when for each in rubric.criteria}
    out = [each.id for each in prepared.answers if each.verdict is CriterionLabel.NOT_APPLICABLE]
    return Preview(
        rubric=rubric,
        place=named.place,
        subject=subject,
        applies=applied,
        sampled=sampled,
        content=tuple(
            ContentPart(
                name=name,
                expression=rubric.content[name] if is_run else None,
                found=is_true(value) or value == 0,
                characters=_size(value),
                cut=prompt is not None and name in prompt.cut,
            )
            for name, value in work.content.items()
        ),
        left_out=tuple(LeftOut(each, rules[each] or "") for each in out if rules[each]),
        answered=tuple(each for each in prepared.answers if each.id not in out),
        flags=prepared.flags,
        asked=tuple(each.id for each in prepared.asked),
        not_asked=_not_asked(prepared),
        judges=asyncio.run(_judges(rubric, work.spec, settings, size, len(prepared.asked))),
        messages=messages,
    )


def _not_asked(prepared: Prepared) -> str | None:
    if prepared.prompt is not None:
        return None
    if prepared.not_evaluable is not None:
        return f"not evaluable: {prepared.not_evaluable.replace('_', ' ')}. {prepared.detail or ''}".strip()
    if any(each.decided_by == "precheck" for each in prepared.answers):
        return "the pre-check has answered every question: see above"
    if any(each.verdict is not CriterionLabel.NOT_APPLICABLE for each in prepared.answers):
        return "code has answered every criterion that applies"
    return "no criterion applies, so the verdict is unknown"


def _applied(rubric: Rubric, facts: Mapping[str, Any]) -> Finding:
    named, workflow = rubric.applies_to.workflow, str(facts.get("workflow") or "")
    if not named:
        told = "it is for every workflow"
    elif workflow.casefold() in {each.casefold() for each in named}:
        told = f"it is for workflow {workflow}"
    else:
        return Finding(False, f"it is for {listed(named)}, and the run's workflow is {workflow or 'not named'}")
    where = rubric.applies_to.where
    if where is None:
        return Finding(True, told)
    is_so = is_true(evaluate(where, facts))
    values = "; ".join(f"{name} is {_short(facts.get(name))}" for name in names_in(where))
    seen = f" ({values})" if values else ""
    return Finding(is_so, f"{told}; where {where} is {'true' if is_so else 'not true'}{seen}")


def _sampled(rubric: Rubric, facts: Mapping[str, Any], of_event: Sequence[Mapping[str, Any]]) -> Finding:
    fitting = [each for each in of_event if applies(rubric, each)]
    matched = {
        str(each["run_id"]): rule for each in (facts, *fitting) if (rule := always_rule_matched(rubric, each))
    }
    decision = decide(rubric.sample, str(facts["event_id"]), always=bool(matched))
    if decision.reason is SampleReason.ALWAYS:
        run_id, rule = next(iter(matched.items()))
        whose = "this run" if run_id == facts["run_id"] else f"run {run_id} of the event"
        return Finding(True, f"always: {rule} is true of {whose}")
    place = f"the event's draw {draw(str(facts['event_id'])):.4f}, fixed by its id,"
    return Finding(
        decision.taken, f"{place} is {'below' if decision.taken else 'not below'} the rate {rubric.sample.rate:g}"
    )


async def _judges(
    rubric: Rubric, shown: JudgeSpec, settings: Settings, characters: int, asked: int
) -> tuple[PreviewedJudge, ...]:
    """Whose prompt is shown comes first, then who else is asked."""
    others = [spec for spec in rubric.judges if spec is not shown] if shown in rubric.judges else []
    stronger = rubric.stronger_judge
    roles = [(shown, "panel" if others else "judge"), *((spec, "panel") for spec in others)]
    roles += [(stronger, "escalation")] if stronger is not None else []
    tokens = (-(-characters // CHARS_PER_TOKEN), asked * REPLY_TOKENS)
    return tuple(
        [
            PreviewedJudge(
                model=label_of(spec.model, settings),
                role=role,
                temperature=temperature_of(spec),
                samples=spec.repeats,
                max_tokens=spec.max_tokens,
                cost_usd=await _cost(spec.model, settings, *tokens) if asked else Decimal(0),
            )
            for spec, role in roles
        ]
    )


async def _cost(model: str, settings: Settings, input_tokens: int, output_tokens: int) -> Decimal | None:
    if label_of(model, settings) == LOCAL_JUDGE:
        return Decimal(0)
    endpoint = await resolve_endpoint(model, settings)
    if endpoint.prices is not None:
        return endpoint.prices.cost_of(input_tokens, output_tokens)
    return price_of_call(endpoint.model, None, input_tokens, output_tokens, 0)


def _size(value: Any) -> int:
    if value is None:
        return 0
    return len(value) if isinstance(value, str) else len(_json(value))


def _short(value: Any) -> str:
    text = _json(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def _json(value: Any) -> str:
    try:
        return canonical_json(value).decode()
    except TypeError:
        # half character pairs and whole numbers beyond 64 bits
        return repr(value)
