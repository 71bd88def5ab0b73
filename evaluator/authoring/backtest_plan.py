"""The judgements a backtest is made of, which of them were made before, and what the rest will cost: nothing is called."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from hashlib import sha256
from math import ceil
from statistics import fmean

from evaluator.applicability import content_for, run_facts
from evaluator.authoring.backtest_choice import Choice
from evaluator.capture.price_table import price_of_call
from evaluator.deployment import Deployment
from evaluator.judging.endpoint import Endpoint, label_of, model_named, provider_of, resolve_endpoint
from evaluator.judging.failures import Action, Advice, CallFailed
from evaluator.judging.judge import JudgeWork, content_key, fingerprint, judge
from evaluator.judging.llm import LlmCall, LlmReply
from evaluator.model.capture import Capture
from evaluator.model.columns import canonical_json
from evaluator.model.judgement import NotEvaluable
from evaluator.model.local_judge import LOCAL_PROVIDER
from evaluator.model.rubric import JudgeSpec, Rubric
from evaluator.settings import Settings
from evaluator.store.backtests import JudgeHabits, Key, habits_of, judged_before
from evaluator.store.runs import load_captures, load_runs

CHARS_PER_TOKEN = 4
TOKENS_PER_ANSWER = 80
"""Assumed length of a reply per criterion, where the judge has not been called before."""
_RUNS_AT_ONCE = 50

PriceOf = Callable[[int, int], Decimal | None]
"""Tokens in and out → US dollars; None where the price is not known."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One judgement of the backtest."""

    run_id: str
    version: str
    judge: str
    """The endpoint's label, by which rows tell judges apart."""
    spec: JudgeSpec
    repeat: int
    key: Key
    escalated: bool = False
    reused: bool = False
    """Equal content got its answer before."""
    prompt_chars: int = 0
    """0: no call is needed, for code answers all, or the answer is there."""
    questions: int = 0


@dataclass(frozen=True, slots=True)
class Unit:
    """All that one version asks about one run."""

    run_id: str
    event_id: str
    version: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class VersionEstimate:
    """What judging under one version takes."""

    version: str
    judgements: int
    reused: int
    """Judged before, or equal to another judgement of this backtest."""
    without_call: int
    """Answered by code alone."""
    calls: int
    input_tokens: int
    output_tokens: int
    usd: Decimal | None
    """None where a judge that is to be called has no known price."""


@dataclass(frozen=True, slots=True)
class Escalations:
    """What the stronger judge may cost on top: nobody knows beforehand how often it is asked."""

    judge: str
    most_calls: int
    most_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the backtest will take."""

    versions: tuple[VersionEstimate, ...]
    seconds: float | None
    """None where a judge was never called before, so that nobody knows how long it takes."""
    unpriced: tuple[str, ...]
    """Judges without a known price."""
    assumed: tuple[str, ...]
    """Judges whose length of reply is an assumption."""
    escalations: tuple[Escalations, ...]
    local: bool
    """Whether the small model on this machine is to judge."""

    @property
    def calls(self) -> int:
        return sum(one.calls for one in self.versions)

    @property
    def usd(self) -> Decimal | None:
        """None where any part is not known."""
        known = [one.usd for one in self.versions if one.usd is not None]
        return sum(known, Decimal(0)) if len(known) == len(self.versions) else None


@dataclass(frozen=True, slots=True)
class Plan:
    """A backtest before it begins."""

    rubrics: Mapping[str, Rubric]
    """Version → the rubric it is judged by; baseline first where there is one."""
    units: tuple[Unit, ...]
    """A run's versions side by side, so that a backtest that is stopped has compared what it judged."""
    judges: Mapping[str, tuple[str, ...]]
    """Version → labels of its judges."""
    prices: Mapping[str, PriceOf]
    """Label → what its calls cost, for judges that may be called."""
    estimate: Estimate

    @property
    def planned(self) -> int:
        return sum(len(unit.pieces) for unit in self.units)

    @property
    def notes(self) -> tuple[str, ...]:
        """What can be told of the comparison before anything is judged."""
        if not self._is_alike:
            return ()
        old, new = self.rubrics.values()
        said = "Both versions ask their judges the same and score it alike: what they say of a run cannot differ."
        if (old.rollup, old.k) != (new.rollup, new.k):
            said += " Events of several runs may come out differently, by their rules."
        return (said,)

    @property
    def _is_alike(self) -> bool:
        if len(self.rubrics) < 2:
            return False
        asked: dict[str, list[set[Key]]] = {}
        for unit in self.units:
            asked.setdefault(unit.run_id, []).append({piece.key for piece in unit.pieces})
        both = [keys for keys in asked.values() if len(keys) > 1]
        old, new = ((one.escalate, one.stronger_judge) for one in self.rubrics.values())
        return bool(both) and old == new and all(before == after for before, after in both)

    @property
    def fingerprint(self) -> str:
        """16 hex digits over what is judged by whom: the same backtest asked for again has the same."""
        parts = [
            [one.run_id, one.version, one.judge, one.repeat, *one.key] for unit in self.units for one in unit.pieces
        ]
        return sha256(canonical_json([sorted(parts), {k: list(v) for k, v in self.judges.items()}])).hexdigest()[
            :16
        ]


def plan_of(deployment: Deployment, rubrics: Sequence[Rubric], choice: Choice) -> Plan:
    """The judgements of a backtest over the chosen runs, what is there already and what the rest will take."""
    by_version = {rubric.version: rubric for rubric in rubrics}
    judges = {version: _labels_of(rubric, deployment.settings) for version, rubric in by_version.items()}
    prices = asyncio.run(_prices(rubrics, deployment.settings))
    units: list[Unit] = []
    for start in range(0, len(choice.runs), _RUNS_AT_ONCE):
        some = choice.runs[start : start + _RUNS_AT_ONCE]
        wanted = [
            (run.run_id, rubric)
            for run in some
            for rubric in rubrics
            if run.run_id in choice.applies_to[rubric.version]
        ]
        units += _units(deployment, wanted)
    labels = {label for of_version in judges.values() for label in of_version}
    with deployment.database.read() as connection:
        habits = habits_of(connection, labels)
    estimate = _estimate(by_version, units, prices, habits, deployment.settings)
    return Plan(by_version, tuple(units), judges, prices, estimate)


def _labels_of(rubric: Rubric, settings: Settings) -> tuple[str, ...]:
    models = [spec.model for spec in rubric.judges]
    if rubric.stronger_judge is not None:
        models.append(rubric.stronger_judge.model)
    return tuple(dict.fromkeys(label_of(model, settings) for model in models))


async def _prices(rubrics: Iterable[Rubric], settings: Settings) -> dict[str, PriceOf]:
    found: dict[str, PriceOf] = {}
    for rubric in rubrics:
        for spec in (*rubric.judges, *([rubric.stronger_judge] if rubric.stronger_judge else ())):
            label = label_of(spec.model, settings)
            if model_named(spec.model, settings) is None:  # reaching for the local judge would start it
                found[label] = _nothing
            else:
                found[label] = price_at(await resolve_endpoint(spec.model, settings))
    return found


def _nothing(_input_tokens: int, _output_tokens: int) -> Decimal:
    return Decimal(0)


def price_at(endpoint: Endpoint) -> PriceOf:
    """What calls of an endpoint cost: by its settings, else by the table of known prices."""
    prices = endpoint.prices
    if prices is not None:
        return prices.cost_of
    return lambda given, written: price_of_call(endpoint.model, None, given, written, 0)


def _units(deployment: Deployment, wanted: Sequence[tuple[str, Rubric]]) -> list[Unit]:
    """The units of some runs; those that are still to be judged know the length of their prompts."""
    run_ids = {run_id for run_id, _ in wanted}
    with deployment.database.read() as connection:
        runs = load_runs(connection, run_ids)
        captures = load_captures(connection, run_ids, deployment.bodies)
    works: dict[tuple[str, str], JudgeWork] = {}
    units: list[Unit] = []
    for run_id, rubric in wanted:
        run = runs[run_id]
        content = content_for(rubric, run_facts(run, captures.get(run_id, Capture())))
        works[run_id, rubric.version] = JudgeWork(rubric, rubric.judges[0], content, fidelity=run.fidelity)
        pieces = pieces_of(rubric, run_id, content_key(content), deployment.settings)
        units.append(Unit(run_id, run.event_id, rubric.version, pieces))
    with deployment.database.read() as connection:
        known = judged_before(connection, {piece.key for unit in units for piece in unit.pieces})
    return asyncio.run(_measured(units, works, known, deployment.secret))


def pieces_of(rubric: Rubric, run_id: str, content_hash: str, settings: Settings) -> tuple[Piece, ...]:
    """One judgement per judge and repeat; a judge that a rubric names twice says the same twice and is asked once."""
    pieces: dict[tuple[str, int], Piece] = {}
    for spec in rubric.judges:
        label = label_of(spec.model, settings)
        for repeat in range(spec.repeats):
            key = (content_hash, fingerprint(rubric, spec, label), repeat)
            pieces.setdefault((label, repeat), Piece(run_id, rubric.version, label, spec, repeat, key))
    return tuple(pieces.values())


def stronger_piece(rubric: Rubric, run_id: str, content_hash: str, settings: Settings) -> Piece | None:
    """The judgement above a rubric's own judges, where it has one."""
    spec = rubric.stronger_judge
    if spec is None:
        return None
    label = label_of(spec.model, settings)
    key = (content_hash, fingerprint(rubric, spec, label), 0)
    own = {label_of(one.model, settings) for one in rubric.judges}
    name = f"{label} (escalated)" if label in own else label
    return Piece(run_id, rubric.version, name, spec, 0, key, escalated=True)


async def _measured(
    units: Sequence[Unit],
    works: Mapping[tuple[str, str], JudgeWork],
    known: Collection[Key],
    secret: bytes,
) -> list[Unit]:
    measured = []
    for unit in units:
        pieces: list[Piece] = []
        lengths: dict[JudgeSpec, tuple[int, int]] = {}
        for piece in unit.pieces:
            if piece.key in known:
                pieces.append(replace(piece, reused=True))
                continue
            if piece.spec not in lengths:
                work = works[unit.run_id, unit.version]
                lengths[piece.spec] = await prompt_size(replace(work, spec=piece.spec), secret)
            chars, questions = lengths[piece.spec]
            pieces.append(replace(piece, prompt_chars=chars, questions=questions))
        measured.append(Unit(unit.run_id, unit.event_id, unit.version, tuple(pieces)))
    return measured


async def prompt_size(work: JudgeWork, secret: bytes) -> tuple[int, int]:
    """Characters and questions of the very prompt that would be sent; zeros where code answers all."""
    asked: list[LlmCall] = []

    async def look(call: LlmCall) -> LlmReply:
        asked.append(call)
        raise CallFailed(Advice(Action.GIVE_UP, NotEvaluable.BAD_REQUEST, "looked at only"))

    await judge(work, Endpoint(model=work.spec.model, label=work.spec.model), secret=secret, caller=look)
    if not asked:
        return 0, 0
    chars = sum(len(message["content"]) for message in asked[0].messages)
    return chars, len(asked[0].schema.get("properties", {}))


@dataclass
class _Sum:
    """Calls of one judge, added up."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: Decimal | None = Decimal(0)

    def add(self, tokens: tuple[int, int], price: PriceOf) -> None:
        usd = price(*tokens)
        self.calls += 1
        self.input_tokens += tokens[0]
        self.output_tokens += tokens[1]
        self.usd = None if usd is None or self.usd is None else self.usd + usd


@dataclass
class _Tally:
    """One version's judgements, added up by judge."""

    reused: int = 0
    without_call: int = 0
    judgements: int = 0
    by_judge: dict[str, _Sum] = field(default_factory=dict)


def _estimate(
    rubrics: Mapping[str, Rubric],
    units: Sequence[Unit],
    prices: Mapping[str, PriceOf],
    habits: Mapping[str, JudgeHabits],
    settings: Settings,
) -> Estimate:
    tallies = {version: _Tally() for version in rubrics}
    seen: set[Key] = set()
    for unit in units:
        tally = tallies[unit.version]
        for piece in unit.pieces:
            tally.judgements += 1
            if piece.reused or piece.key in seen:
                tally.reused += 1
            elif not piece.prompt_chars:
                tally.without_call += 1
            else:
                of_judge = tally.by_judge.setdefault(piece.judge, _Sum())
                of_judge.add(tokens_of(piece, habits.get(piece.judge)), prices[piece.judge])
            seen.add(piece.key)
    called = {judge: one.calls for tally in tallies.values() for judge, one in tally.by_judge.items()}
    stronger = tuple(
        found for rubric in rubrics.values() if (found := _escalations(rubric, units, prices, habits, settings))
    )
    may_be_called = called.keys() | {one.judge for one in stronger}
    providers = {provider_of(spec.model, settings) for rubric in rubrics.values() for spec in rubric.judges}
    return Estimate(
        versions=tuple(_of_version(version, tally) for version, tally in tallies.items()),
        seconds=_seconds(tallies.values(), units, habits, settings),
        unpriced=tuple(sorted(judge for judge in may_be_called if prices[judge](1000, 1000) is None)),
        assumed=tuple(sorted(judge for judge in called if _written(habits.get(judge)) is None)),
        escalations=stronger,
        local=bool(called) and LOCAL_PROVIDER in providers,
    )


def _of_version(version: str, tally: _Tally) -> VersionEstimate:
    sums = list(tally.by_judge.values())
    known = [one.usd for one in sums if one.usd is not None]
    return VersionEstimate(
        version=version,
        judgements=tally.judgements,
        reused=tally.reused,
        without_call=tally.without_call,
        calls=sum(one.calls for one in sums),
        input_tokens=sum(one.input_tokens for one in sums),
        output_tokens=sum(one.output_tokens for one in sums),
        usd=sum(known, Decimal(0)) if len(known) == len(sums) else None,
    )


def tokens_of(piece: Piece, habits: JudgeHabits | None) -> tuple[int, int]:
    """Tokens in and out that a call is expected to take."""
    written = _written(habits)
    assumed = piece.questions * TOKENS_PER_ANSWER if written is None else written
    return ceil(piece.prompt_chars / CHARS_PER_TOKEN), ceil(min(assumed, piece.spec.max_tokens))


def _written(habits: JudgeHabits | None) -> float | None:
    return habits.output_tokens if habits is not None else None


def _escalations(
    rubric: Rubric,
    units: Sequence[Unit],
    prices: Mapping[str, PriceOf],
    habits: Mapping[str, JudgeHabits],
    settings: Settings,
) -> Escalations | None:
    spec = rubric.stronger_judge
    ours = [unit for unit in units if unit.version == rubric.version]
    if spec is None or rubric.escalate is None or not rubric.escalate.when or not ours:
        return None
    label = label_of(spec.model, settings)
    lengths = [piece for unit in ours for piece in unit.pieces if piece.prompt_chars]
    if not lengths:
        return Escalations(label, len(ours), None)
    given = ceil(fmean(piece.prompt_chars for piece in lengths) / CHARS_PER_TOKEN)
    written = tokens_of(lengths[0], habits.get(label))[1]
    usd = prices[label](given, written)
    return Escalations(label, len(ours), None if usd is None else usd * len(ours))


def _seconds(
    tallies: Iterable[_Tally],
    units: Sequence[Unit],
    habits: Mapping[str, JudgeHabits],
    settings: Settings,
) -> float | None:
    """Providers work side by side, each with so many calls at a time; None where one is not known."""
    providers = {piece.judge: provider_of(piece.spec.model, settings) for unit in units for piece in unit.pieces}
    needed: dict[str, float] = {}
    calls: dict[str, int] = {}
    for tally in tallies:
        for judge_label, one in tally.by_judge.items():
            known = habits.get(judge_label)
            if known is None or known.latency_ms is None:
                return None
            provider = providers[judge_label]
            needed[provider] = needed.get(provider, 0.0) + one.calls * known.latency_ms / 1000
            calls[provider] = calls.get(provider, 0) + one.calls
    slowest = 0.0
    for provider, seconds in needed.items():
        seconds /= min(slots_of(provider, settings), max(1, calls[provider]))
        if provider != LOCAL_PROVIDER and settings.judge_calls_per_minute:
            seconds = max(seconds, calls[provider] * 60 / settings.judge_calls_per_minute)
        slowest = max(slowest, seconds)
    return slowest


def slots_of(provider: str, settings: Settings) -> int:
    """Calls to one provider at a time; the local judge takes one after the other."""
    return 1 if provider == LOCAL_PROVIDER else settings.judge_concurrency
