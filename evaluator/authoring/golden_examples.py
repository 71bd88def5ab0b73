"""Golden examples: the cases of a rubric with known answers, run through its judges or through a cassette."""

from __future__ import annotations

import asyncio
import os
import random
import shlex
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from math import ceil, inf
from pathlib import Path

from evaluator.applicability import example_content
from evaluator.authoring.named_rubrics import NamedRubric
from evaluator.authoring.rubric_history import yaml_of
from evaluator.errors import BadInput, NotFound
from evaluator.judging.cassette import EXAMPLES_SECRET, Cassette, NotRecorded
from evaluator.judging.endpoint import Endpoint, label_of, resolve_endpoint
from evaluator.judging.failures import Advice, back_off
from evaluator.judging.judge import Caller, JudgeResult, JudgeWork, caller_for, judge, prepare
from evaluator.judging.llm import close
from evaluator.model.judgement import NotEvaluable
from evaluator.model.local_judge import LOCAL_JUDGE
from evaluator.model.rubric import Criterion, Example, JudgeSpec, Rubric
from evaluator.model.verdict import CriterionLabel, CriterionVerdict
from evaluator.panel import answer_of
from evaluator.rubric_format.rubric_files import (
    LoadedRubric,
    RubricProblem,
    RubricProblems,
    is_file,
    read_files,
    read_folder,
    read_loaded,
)
from evaluator.rubric_format.rubric_problems import nearest
from evaluator.settings import Settings, load_settings
from evaluator.statistics.agreement import Interval, wilson

MOST_TRIES = 3
"""How often a call is made that fails in a way that may pass, such as a rate limit."""
LONGEST_WAIT_SECONDS = 60.0
"""A provider that asks for more is not waited for."""

Answer = CriterionLabel | int
"""What is expected of a criterion: a label, or a level of its scale."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How examples are run."""

    judge: str | None = None
    """A model instead of the rubric's own judges."""
    repeat: int | None = None
    """How often each example is run; None: once, each judge with the rubric's own samples."""
    example: str | None = None
    """Only examples of this name."""
    record: Path | None = None
    replay: Path | None = None


@dataclass(frozen=True, slots=True)
class Flips:
    """How often an answer was another than the most frequent one."""

    flipped: int
    answers: int

    def __add__(self, other: Flips) -> Flips:
        return Flips(self.flipped + other.flipped, self.answers + other.answers)

    @property
    def rate(self) -> float:
        return self.flipped / self.answers

    @property
    def interval(self) -> Interval:
        """Wilson's, at 95 %; it takes the answers for independent."""
        return wilson(self.flipped, self.answers)


@dataclass(frozen=True, slots=True)
class CriterionResult:
    """What an example's criterion came to, beside what was expected of it."""

    criterion: Criterion
    expected: Answer | None
    answer: Answer
    """The most frequent one where the example was run several times; a level where one is expected."""
    got: CriterionVerdict
    """The first that gave this answer."""
    matches: int
    """How many of the answers are as expected."""
    flips: Flips

    @property
    def as_expected(self) -> bool:
        """Whether more than half of the answers are; of one answer, whether it is."""
        return self.expected is None or 2 * self.matches > self.flips.answers


@dataclass(frozen=True, slots=True)
class ExampleResult:
    """How an example ended: with results, or with the reason why it could not be judged."""

    name: str
    line: int
    results: tuple[CriterionResult, ...] = ()
    failure: str | None = None

    @property
    def as_expected(self) -> bool:
        return self.failure is None and all(each.as_expected for each in self.results)

    @property
    def differences(self) -> tuple[CriterionResult, ...]:
        return tuple(each for each in self.results if not each.as_expected)


@dataclass
class Spent:
    """Calls that were made or replayed, and what the made ones cost."""

    calls: int = 0
    replayed: int = 0
    cost_usd: Decimal = Decimal(0)
    unpriced: int = 0
    """Calls without a known price."""

    def add(self, other: Spent) -> None:
        self.calls += other.calls
        self.replayed += other.replayed
        self.cost_usd += other.cost_usd
        self.unpriced += other.unpriced


@dataclass(frozen=True, slots=True)
class RubricResult:
    """How the examples of one rubric ended."""

    rubric: Rubric
    path: Path
    judges: tuple[str, ...]
    """Labels of the models, each once."""
    examples: tuple[ExampleResult, ...]
    rounds: int
    spent: Spent
    recorded: tuple[Path, int] | None = None
    """The cassette written, and how many calls it holds."""

    @property
    def as_expected(self) -> bool:
        return all(each.as_expected for each in self.examples)


@dataclass(frozen=True, slots=True)
class Step:
    """How far the running of examples is."""

    done: int
    total: int
    """Judgements: examples × judges × repeats."""
    spent: Spent


@dataclass(frozen=True, slots=True)
class Targets:
    """Rubrics to be tested, and what is wrong with files that cannot be."""

    loaded: tuple[LoadedRubric, ...]
    problems: tuple[RubricProblem, ...]


def targets(names: Sequence[str], kept: Callable[[str], NamedRubric]) -> Targets:
    """The rubrics that files, folders and ids name; none named means all of the rubrics folder.

    `kept` finds what id@version names.

    Raises RubricProblems for a named file with errors, NotFound where nothing has that name. Files of a folder
    that have errors are told as problems.
    """
    loaded: dict[Path, LoadedRubric] = {}
    problems: list[RubricProblem] = []
    for name in names or [str(load_settings().rubrics_dir)]:
        path = Path(name)
        if os.path.isdir(path) or not names:  # noqa: PTH112 - pathlib raises of an overlong name
            folder = read_folder(path)
            loaded |= {one.path: one for one in folder.loaded}
            problems += folder.problems
        elif path.suffix.lower() in (".yaml", ".yml") or is_file(path):
            loaded[path] = _read_file(path)
        elif "@" in name:
            one = _as_loaded(kept(name))
            loaded[one.path] = one
        else:
            one = _with_id(name)
            loaded[one.path] = one
    errors = tuple(each for each in problems if each.severity == "error")
    return Targets(tuple(loaded.values()), errors)


def only_example(loaded: Iterable[LoadedRubric], name: str) -> tuple[LoadedRubric, ...]:
    """The rubrics that have an example of this name; raises NotFound with the nearest name where none has."""
    loaded = tuple(loaded)
    fitting = tuple(one for one in loaded if any(each.name == name for each in one.rubric.examples))
    if fitting:
        return fitting
    known = {each.name for one in loaded for each in one.rubric.examples}
    close = nearest(name, known)
    raise NotFound(
        f"No example is called {name!r}." + (f" Did you mean {close!r}?" if close else ""),
        hint=f"There are: {', '.join(sorted(known)[:20])}." if known else "The rubrics named have no examples.",
    )


def run_examples(
    loaded: Sequence[LoadedRubric],
    plan: Plan,
    told: Callable[[Step], None],
    kept: Callable[[Path, int], None] = lambda path, calls: None,
) -> list[RubricResult]:
    """Run the examples of rubrics and compare; `told` hears of each judgement that ended.

    Where it is interrupted while it records, what was answered is written all the same: `kept` hears of each cassette
    and how many calls it holds.

    Neither database nor settings are needed for a replay. Raises Misconfigured where a judge is not set up, and
    Malformed for a cassette that cannot be read; whatever fails for one example is its result.
    """
    if plan.record is not None:
        twice = [name for name, count in Counter(one.rubric.id for one in loaded).items() if count > 1]
        if twice:
            raise BadInput(f"Two of the files have the id {twice[0]}, and a cassette is named by it.")
    return asyncio.run(_run_all(loaded, plan, told, kept))


def _as_loaded(named: NamedRubric) -> LoadedRubric:
    """A kept version as if its text stood in a file; raises RubricProblems where that is valid no more."""
    found = read_files([(Path(named.place), lambda: yaml_of(named))])
    if not found.loaded:
        raise RubricProblems(found.problems)
    return found.loaded[0]


def _read_file(path: Path) -> LoadedRubric:
    if not is_file(path):
        raise NotFound(
            f"There is no file {path}.", hint="Give rubric files, folders, or ids of the rubrics folder."
        )
    return read_loaded(path)


def _with_id(name: str) -> LoadedRubric:
    folder = load_settings().rubrics_dir
    known = {one.rubric.id: one for one in read_folder(folder).loaded}
    if name in known:
        return known[name]
    close = nearest(name, known)
    raise NotFound(
        f"{folder} has no rubric {name!r}." + (f" Did you mean {close!r}?" if close else ""),
        hint="Give rubric files, folders, or ids of the rubrics folder; none means all of it.",
    )


async def _run_all(
    loaded: Sequence[LoadedRubric],
    plan: Plan,
    told: Callable[[Step], None],
    kept: Callable[[Path, int], None],
) -> list[RubricResult]:
    bench = _Bench(plan)
    trials = [_Trial(one, plan, bench) for one in loaded]
    total, spent, done = sum(len(trial.units) for trial in trials), Spent(), 0

    async def run(trial: _Trial, unit: _Unit) -> None:
        nonlocal done
        spent.add(await trial.run(unit))
        done += 1
        told(Step(done, total, spent))

    tasks = [asyncio.create_task(run(trial, unit)) for trial in trials for unit in trial.units]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if plan.replay is None:
            await close()
        if done < total:
            for trial in trials:
                trial.keep(kept)
    return [trial.result() for trial in trials]


class _Bench:
    """The judges, each set up at first need, and how many calls one takes at a time."""

    def __init__(self, plan: Plan) -> None:
        self._settings: Settings | None = None if plan.replay else load_settings()
        self._endpoints: dict[str, asyncio.Task[Endpoint]] = {}
        self._slots: dict[str, asyncio.Semaphore] = {}
        self.down: dict[str, str] = {}
        """Judges that a person has to do something about, with what they said."""

    def label(self, model: str, cassette: Cassette | None) -> str:
        if self._settings is None:
            return cassette.label_of(model) if cassette is not None else model
        return label_of(model, self._settings)

    async def endpoint(self, model: str, label: str) -> Endpoint:
        """Raises Misconfigured where the judge is not set up."""
        if self._settings is None:
            return Endpoint(model=label, label=label, local=label == LOCAL_JUDGE)
        if model not in self._endpoints:
            self._endpoints[model] = asyncio.create_task(resolve_endpoint(model, self._settings))
        return await asyncio.shield(self._endpoints[model])

    def slots(self, label: str) -> asyncio.Semaphore:
        if label not in self._slots:
            most = 1 if self._settings is None or label == LOCAL_JUDGE else self._settings.judge_concurrency
            self._slots[label] = asyncio.Semaphore(most)
        return self._slots[label]


@dataclass(frozen=True, slots=True)
class _Unit:
    """One judgement: example × round × judge × repeat."""

    place: int
    """The example's among the rubric's."""
    round: int
    spec: JudgeSpec
    seed: int

    @property
    def key(self) -> tuple[int, int, str, int]:
        return (self.place, self.round, self.spec.model, self.seed)


@dataclass
class _Trial:
    """The running of one rubric's examples."""

    loaded: LoadedRubric
    plan: Plan
    bench: _Bench
    cassette: Cassette | None = None
    units: list[_Unit] = field(default_factory=list)
    ended: dict[tuple[int, int, str, int], JudgeResult | str] = field(default_factory=dict)
    spent: Spent = field(default_factory=Spent)

    def __post_init__(self) -> None:
        folder = self.plan.record or self.plan.replay
        if folder is not None:
            self.cassette = Cassette.read(folder / f"{self.loaded.rubric.id}.jsonl")
        self.units = [
            _Unit(place, number, spec, seed)
            for place, example in enumerate(self.loaded.rubric.examples)
            if self.plan.example in (None, example.name)
            for number in range(self.rounds)
            for spec in self.specs
            for seed in ([number] if self.plan.repeat else range(spec.repeats))
        ]

    @property
    def rounds(self) -> int:
        return self.plan.repeat or 1

    def example(self, unit: _Unit) -> Example:
        return self.loaded.rubric.examples[unit.place]

    @property
    def specs(self) -> tuple[JudgeSpec, ...]:
        specs = self.loaded.rubric.judges
        if self.plan.judge is not None:
            specs = (specs[0].model_copy(update={"model": self.plan.judge}),)
        if self.plan.repeat is None:
            return specs
        return tuple(spec.model_copy(update={"samples": self.plan.repeat}) for spec in specs)

    async def run(self, unit: _Unit) -> Spent:
        """Judge one example once; what that spent."""
        content = example_content(self.loaded.rubric, self.example(unit))
        work = JudgeWork(self.loaded.rubric, unit.spec, content, unit.seed)
        label = self.bench.label(unit.spec.model, self.cassette)
        prepared = await prepare(work, secret=EXAMPLES_SECRET)
        if prepared.prompt is None:
            spent, ended = Spent(), await self._judged(work, Endpoint(model=label, label=label), unit)
        else:
            endpoint = await self.bench.endpoint(unit.spec.model, label)
            async with self.bench.slots(label):
                spent, ended = await self._asked(work, endpoint, unit)
        self.ended[unit.key] = ended
        self.spent.add(spent)
        return spent

    async def _asked(self, work: JudgeWork, endpoint: Endpoint, unit: _Unit) -> tuple[Spent, JudgeResult | str]:
        """The judge's answer, asked again a few times where it fails in a way that may pass soon."""
        spent, tried = Spent(), 0
        while endpoint.label not in self.bench.down:
            tried += 1
            ended = await self._judged(work, endpoint, unit)
            if isinstance(ended, str):
                return spent, ended
            spent.add(self._spent(ended))
            if ended.verdict is not None:
                return spent, ended
            if ended.pause is not None:
                self.bench.down[endpoint.label] = _failure(ended)
            wait = back_off(ended.retry, tried, random.random) if ended.retry and _may_pass(ended.retry) else inf
            if tried == MOST_TRIES or wait > LONGEST_WAIT_SECONDS:
                return spent, _failure(ended)
            await asyncio.sleep(wait)
        return spent, self.bench.down[endpoint.label]

    async def _judged(self, work: JudgeWork, endpoint: Endpoint, unit: _Unit) -> JudgeResult | str:
        try:
            result = await judge(work, endpoint, secret=EXAMPLES_SECRET, caller=self._caller(endpoint, unit))
        except NotRecorded as missing:
            return f"{missing.message}; run `{self._record_command()}`"
        return result if result.not_evaluable is not NotEvaluable.NO_CONTENT else _failure(result)

    def _record_command(self) -> str:
        words = ["adjudge", "rubrics", "test", str(self.loaded.path), "--record", str(self.plan.replay)]
        words += ["--judge", self.plan.judge] if self.plan.judge else []
        words += ["--repeat", str(self.plan.repeat)] if self.plan.repeat else []
        return shlex.join(words)

    def _caller(self, endpoint: Endpoint, unit: _Unit) -> Caller | None:
        if self.cassette is None:
            return None
        if self.plan.record is None:
            return self.cassette.replaying(endpoint.label)
        return self.cassette.recording(
            endpoint.label, example=self.example(unit).name, judge=unit.spec.model, caller=caller_for(endpoint)
        )

    def _spent(self, result: JudgeResult) -> Spent:
        if self.plan.replay is not None:
            return Spent(replayed=result.calls)
        return Spent(
            calls=result.calls, cost_usd=result.cost_usd or Decimal(0), unpriced=result.calls * result.unpriced
        )

    def keep(self, kept: Callable[[Path, int], None]) -> None:
        """Write what was recorded before an interruption; calls of examples without an answer stay as they were."""
        if self.cassette is None or self.plan.record is None or not self.cassette.has_news:
            return
        waiting = {unit.place for unit in self.units if not isinstance(self.ended.get(unit.key), JudgeResult)}
        examples = self.loaded.rubric.examples
        answered = {examples[unit.place].name for unit in self.units if unit.place not in waiting}
        kept(self.cassette.path, self.cassette.save([each.name for each in examples], answered=answered))

    def result(self) -> RubricResult:
        """What the units came to; writes the cassette where one is recorded."""
        places = dict.fromkeys(unit.place for unit in self.units)
        examples = tuple(map(self._example_result, places))
        recorded = None
        if self.cassette is not None and self.plan.record is not None and self.units:
            names = [each.name for each in self.loaded.rubric.examples]
            answered = {each.name for each in examples if each.failure is None}
            recorded = (self.cassette.path, self.cassette.save(names, answered=answered))
        labels = (self.bench.label(spec.model, self.cassette) for spec in self.specs)
        return RubricResult(
            rubric=self.loaded.rubric,
            path=self.loaded.path,
            judges=tuple(dict.fromkeys(labels)),
            examples=examples,
            rounds=self.rounds,
            spent=self.spent,
            recorded=recorded,
        )

    def _example_result(self, place: int) -> ExampleResult:
        example, nodes = self.loaded.rubric.examples[place], self.loaded.root["examples"]
        line = nodes.children[place].line if nodes else 1
        rounds: defaultdict[int, list[tuple[_Unit, JudgeResult]]] = defaultdict(list)
        failures: Counter[str] = Counter()
        for unit in (each for each in self.units if each.place == place):
            ended = self.ended[unit.key]
            if isinstance(ended, str):
                failures[ended] += 1
            else:
                rounds[unit.round].append((unit, ended))
        if failures:
            failure, count = failures.most_common(1)[0]
            made = failures.total() + sum(map(len, rounds.values()))
            said = failure if count == made else f"{count} of {made} judgements: {failure}"
            return ExampleResult(example.name, line, failure=said)
        results = (
            compared(each, example.expect.get(each.id), [_answer(each, one) for one in rounds.values()])
            for each in self.loaded.rubric.criteria
        )
        return ExampleResult(example.name, line, tuple(results))


def _may_pass(advice: Advice) -> bool:
    """Whether the provider may answer soon: it limits the rate, or is overloaded."""
    return advice.reason is NotEvaluable.PROVIDER_ERROR


def _failure(result: JudgeResult) -> str:
    advice = result.pause or result.retry
    reason = result.not_evaluable or (advice.reason if advice is not None else NotEvaluable.PROVIDER_ERROR)
    detail = f": {result.detail}" if result.detail else ""
    return f"not evaluable: {reason.replace('_', ' ')}{detail}"


def _answer(criterion: Criterion, of_round: Sequence[tuple[_Unit, JudgeResult]]) -> CriterionVerdict:
    """One answer of a round: first of each judge's repeats, then of the judges."""
    by_judge: defaultdict[str, list[CriterionVerdict]] = defaultdict(list)
    for unit, result in of_round:
        by_judge[unit.spec.model] += [each for each in result.criteria if each.id == criterion.id]
    said = [_combined(criterion, answers) for answers in by_judge.values()]
    return _combined(criterion, said)


def _combined(criterion: Criterion, answers: Sequence[CriterionVerdict]) -> CriterionVerdict:
    """The panel's answer, with the words of the first who gave it."""
    if len(answers) == 1:
        return answers[0]
    answer = answer_of(criterion, answers)
    spoken = next((each for each in answers if each.verdict is answer.verdict), None)
    if spoken is None:
        votes = Counter(each.verdict for each in answers)
        told = ", ".join(f"{count} {label.replace('_', ' ')}" for label, count in votes.most_common())
        return answer.model_copy(update={"note": f"The judges' answers: {told}."})
    return spoken.model_copy(update={"level": answer.level})


def compared(criterion: Criterion, expected: Answer | None, answers: Sequence[CriterionVerdict]) -> CriterionResult:
    """What a criterion came to over the rounds, at least one, of an example."""
    said = [_told(expected, each) for each in answers]
    counts = Counter(said)
    # of two equally frequent answers the one that is not expected is the news
    most = max(counts, key=lambda one: (counts[one], one != expected))
    return CriterionResult(
        criterion=criterion,
        expected=expected,
        answer=most,
        got=answers[said.index(most)],
        matches=counts[expected] if expected is not None else 0,
        flips=Flips(len(said) - counts[most], len(said)),
    )


def _told(expected: Answer | None, answer: CriterionVerdict) -> Answer:
    """An answer in the terms of what is expected: the nearest level where that is a level, else the label."""
    if isinstance(expected, int) and answer.level is not None:
        # a mean half-way between two levels has not reached the upper one
        return ceil(answer.level - 0.5)
    return answer.verdict
