"""How well a judge agrees with people: rates, κ and AC1, each with an interval that counts events, not runs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import comb, fsum, pi, sqrt, tan
from statistics import NormalDist

from evaluator.model.verdict import VerdictLabel

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a value lies at the confidence asked for."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval; n is the number of pairs it rests on."""

    value: float | None
    """None where nothing could be compared, or where the value is not defined."""
    low: float | None
    high: float | None
    """None, as low is, where fewer than two events were seen."""
    n: int


@dataclass(frozen=True, slots=True)
class Difference(Estimate):
    """A paired difference: after minus before on the same items."""

    gained: int
    """Items right after and not before."""
    lost: int
    """Items right before and not after."""
    p_value: float
    """McNemar's exact two-sided p over events; an event whose gains equal its losses says nothing."""


@dataclass(frozen=True, slots=True)
class Pair:
    """What a person and a judge said of one run of an event."""

    event_id: str
    human: VerdictLabel
    judge: VerdictLabel | None
    """None: the judge's answer was not evaluable."""


@dataclass(frozen=True, slots=True)
class Table:
    """Pairs by whether human and judge said pass; partial is not pass."""

    both_pass: int = 0
    only_human: int = 0
    only_judge: int = 0
    neither: int = 0


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a judge's answers stand to people's; never one number alone."""

    n: int
    """Pairs compared: those where both sides decided."""
    events: int
    table: Table
    undecided: int
    """Pairs where the judge said unknown or nothing; in no other number here."""
    human_unknown: int
    """Pairs where the person could not tell; in no other number here."""
    agreement: Estimate
    """Share of equal labels, of pass, partial and fail."""
    sensitivity: Estimate
    """Share of the human passes that the judge passed."""
    specificity: Estimate
    """Share of what people did not pass that the judge did not pass either."""
    pass_rate_bias: Estimate
    """The judge's pass rate minus the human one, -1 to 1."""
    kappa: Estimate
    """Cohen's κ over the three labels; no value where both sides gave one and the same label throughout."""
    ac1: Estimate
    """Gwet's AC1 over the labels that occur, at least two."""


def agreement(pairs: Iterable[Pair], confidence: float = CONFIDENCE) -> Agreement:
    """How well the judge's labels agree with the human ones, runs of one event taken as a cluster."""
    given = list(pairs)
    human_unknown = sum(not _decided(pair.human) for pair in given)
    known = [pair for pair in given if _decided(pair.human)]
    compared = [pair for pair in known if _decided(pair.judge)]
    passes, others = (
        [pair for pair in compared if (pair.human is VerdictLabel.PASS) == passed] for passed in (True, False)
    )
    return Agreement(
        n=len(compared),
        events=len({pair.event_id for pair in compared}),
        table=_table(compared),
        undecided=len(known) - len(compared),
        human_unknown=human_unknown,
        agreement=_rate(_by_event(compared, _is_right), confidence),
        sensitivity=_rate(_by_event(passes, _judge_passes), confidence),
        specificity=_rate(_by_event(others, lambda pair: 1 - _judge_passes(pair)), confidence),
        pass_rate_bias=_mean_difference(_by_event(compared, _bias), confidence),
        kappa=_beyond_chance(compared, _cohen, confidence),
        ac1=_beyond_chance(compared, _gwet, confidence),
    )


def difference(before: Sequence[Pair], after: Sequence[Pair], confidence: float = CONFIDENCE) -> Difference:
    """The agreement after minus before, on items both decided; the two name the same items in the same order.

    Bonett and Price's interval (2012), on the effective sample size where events have several runs. Raises
    ValueError where the items differ.
    """
    changes: list[tuple[str, int]] = []
    for old, new in zip(before, after, strict=True):
        if (old.event_id, old.human) != (new.event_id, new.human):
            raise ValueError("before and after do not name the same items in the same order")
        if _decided(old.human) and _decided(old.judge) and _decided(new.judge):
            changes.append((old.event_id, _is_right(new) - _is_right(old)))
    clusters: dict[str, list[int]] = defaultdict(list)
    for event_id, change in changes:
        clusters[event_id].append(change)
    found = _mean_difference(clusters, confidence)
    net = [sum(values) for values in clusters.values()]
    return Difference(
        value=found.value,
        low=found.low,
        high=found.high,
        n=found.n,
        gained=sum(change > 0 for _, change in changes),
        lost=sum(change < 0 for _, change in changes),
        p_value=mcnemar(sum(each > 0 for each in net), sum(each < 0 for each in net)),
    )


def mcnemar(gained: int, lost: int) -> float:
    """McNemar's exact two-sided p for discordant counts."""
    n = gained + lost
    tail = sum(comb(n, number) for number in range(min(gained, lost) + 1))
    return min(1.0, 2 * tail / (1 << n))


def wilson(successes: float, n: float, confidence: float = CONFIDENCE) -> Interval:
    """Wilson's score interval (1927) for a rate; n may be an effective sample size, above 0."""
    z = _z(confidence)
    share = successes / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(max(0.0, share * (1 - share) / n + z * z / (4 * n * n)))
    return Interval(max(0.0, min(middle - half, share)), min(1.0, max(middle + half, share)))


def _decided(label: VerdictLabel | None) -> bool:
    return label is not None and label is not VerdictLabel.UNKNOWN


def _is_right(pair: Pair) -> int:
    return int(pair.human is pair.judge)


def _judge_passes(pair: Pair) -> int:
    return int(pair.judge is VerdictLabel.PASS)


def _bias(pair: Pair) -> int:
    return _judge_passes(pair) - int(pair.human is VerdictLabel.PASS)


def _table(pairs: Sequence[Pair]) -> Table:
    cells = Counter((pair.human is VerdictLabel.PASS, pair.judge is VerdictLabel.PASS) for pair in pairs)
    return Table(cells[True, True], cells[True, False], cells[False, True], cells[False, False])


Clusters = Mapping[str, Sequence[int]]
"""Event → one value for each of its pairs."""


def _by_event(pairs: Iterable[Pair], value: Callable[[Pair], int]) -> Clusters:
    clusters: dict[str, list[int]] = defaultdict(list)
    for pair in pairs:
        clusters[pair.event_id].append(value(pair))
    return clusters


def _rate(clusters: Clusters, confidence: float) -> Estimate:
    """The share of ones: Wilson on the effective sample size."""
    n = sum(map(len, clusters.values()))
    if not n:
        return Estimate(None, None, None, 0)
    share = sum(map(sum, clusters.values())) / n
    if len(clusters) < 2:
        return Estimate(share, None, None, n)
    size = _effective_size(clusters, confidence)
    found = wilson(share * size, size, confidence)
    return Estimate(share, found.low, found.high, n)


def _mean_difference(clusters: Clusters, confidence: float) -> Estimate:
    """The mean of values -1, 0 and 1: Bonett and Price's interval on the effective sample size."""
    n = sum(map(len, clusters.values()))
    if not n:
        return Estimate(None, None, None, 0)
    values = [value for cluster in clusters.values() for value in cluster]
    up, down = (sum(value == sign for value in values) / n for sign in (1, -1))
    mean = sum(values) / n
    if len(clusters) < 2:
        return Estimate(mean, None, None, n)
    size = _effective_size(clusters, confidence)
    more, less = (size * up + 1) / (size + 2), (size * down + 1) / (size + 2)
    middle = more - less
    half = _z(confidence) * sqrt((more + less - middle**2) / (size + 2))
    return Estimate(mean, max(-1.0, min(middle - half, mean)), min(1.0, max(middle + half, mean)), n)


PSEUDO_EVENT = 0.5
"""Weight, in the design effect only, of one more event whose pairs all have the value farthest from the mean: where
errors are rare, those seen say too little of how they cluster (.90 covered at 95 % without it, .97 with it)."""


def _effective_size(clusters: Clusters, confidence: float) -> float:
    """How many independent pairs say as much as these: pairs ÷ the design effect of the observed clustering.

    Lowered further to allow for few events, as Korn and Graubard (1998) do with (z ÷ t)². Where every value is the
    same, no clustering can be seen and whole events are counted (Kish).
    """
    sizes = [len(values) for values in clusters.values()]
    n, events = sum(sizes), len(sizes)
    if n == events:
        return n
    mean = sum(map(sum, clusters.values())) / n
    deviations = [value - mean for values in clusters.values() for value in values]
    within = fsum(each**2 for each in deviations)
    for_few = (_z(confidence) / _t(confidence, events - 1)) ** 2
    usual = sum(size * size for size in sizes) / n
    if not within:
        return for_few * n / usual
    farthest = max(map(abs, deviations))
    between = fsum((sum(values) - mean * len(values)) ** 2 for values in clusters.values())
    between += PSEUDO_EVENT * (farthest * usual) ** 2
    within += PSEUDO_EVENT * farthest**2 * usual
    return for_few * n / max(1.0, between / within * events / (events - 1))


Label = VerdictLabel
Shares = Mapping[tuple[Label, Label], float]
"""(human, judge) → share of the pairs; the shares make 1."""
Chance = Callable[[Shares, Sequence[Label]], tuple[float, Callable[[Label, Label], float]]]
"""Shares and labels → the agreement expected by chance, and how much of it one pair brings about."""


def _cohen(shares: Shares, labels: Sequence[Label]) -> tuple[float, Callable[[Label, Label], float]]:
    human, judge = _margins(shares, labels)
    expected = fsum(human[label] * judge[label] for label in labels)
    return expected, lambda said, judged: judge[said] + human[judged] - 2 * expected


def _gwet(shares: Shares, labels: Sequence[Label]) -> tuple[float, Callable[[Label, Label], float]]:
    human, judge = _margins(shares, labels)
    q = max(2, len(labels))
    used = {label: (human[label] + judge[label]) / 2 for label in labels}
    expected = fsum(share * (1 - share) for share in used.values()) / (q - 1)
    slope = {label: (1 - 2 * share) / (q - 1) for label, share in used.items()}
    centre = fsum(slope[label] * used[label] for label in labels)
    return expected, lambda said, judged: (slope[said] + slope[judged]) / 2 - centre


def _margins(shares: Shares, labels: Sequence[Label]) -> tuple[dict[Label, float], dict[Label, float]]:
    human = {label: fsum(shares.get((label, other), 0.0) for other in labels) for label in labels}
    judge = {label: fsum(shares.get((other, label), 0.0) for other in labels) for label in labels}
    return human, judge


PSEUDO_PAIRS = 4.0
"""Added, evenly over the cells, to the events an interval of κ or AC1 is worked out from, as Agresti and Coull (1998)
do for a rate: without them full agreement would have an interval of no width."""


def _beyond_chance(pairs: Sequence[Pair], chance: Chance, confidence: float) -> Estimate:
    """Agreement beyond chance: (observed - expected) ÷ (1 - expected), with a cluster-robust interval."""
    n = len(pairs)
    if not n:
        return Estimate(None, None, None, 0)
    clusters: dict[str, Counter[tuple[Label, Label]]] = defaultdict(Counter)
    for pair in pairs:
        if pair.judge is not None:
            clusters[pair.event_id][pair.human, pair.judge] += 1
    cells = sum(clusters.values(), Counter[tuple[Label, Label]]())
    labels = sorted({label for cell in cells for label in cell})
    observed, expected, _ = _parts({cell: count / n for cell, count in cells.items()}, labels, chance)
    if expected == 1:
        return Estimate(None, None, None, n)
    value = (observed - expected) / (1 - expected)
    if len(clusters) < 2:
        return Estimate(value, None, None, n)
    found = _robust_interval(list(clusters.values()), labels, chance, confidence)
    return Estimate(value, max(-1.0, min(found.low, value)), min(1.0, max(found.high, value)), n)


def _parts(
    shares: Shares, labels: Sequence[Label], chance: Chance
) -> tuple[float, float, Callable[[Label, Label], float]]:
    observed = fsum(shares.get((label, label), 0.0) for label in labels)
    return observed, *chance(shares, labels)


def _robust_interval(
    events: Sequence[Mapping[tuple[Label, Label], float]],
    labels: Sequence[Label],
    chance: Chance,
    confidence: float,
) -> Interval:
    """By the delta method: each event's influence on the coefficient, squared and summed."""
    used = [*labels] if len(labels) > 1 else [*labels, *(each for each in VerdictLabel if each not in labels)][:2]
    size = sum(sum(event.values()) for event in events) / len(events)
    weight = size * PSEUDO_PAIRS / len(used) ** 2
    padded = [*events, *({cell: weight} for cell in product(used, used))]
    n = fsum(fsum(event.values()) for event in padded)
    shares = {cell: fsum(event.get(cell, 0) for event in padded) / n for cell in product(used, used)}
    observed, expected, brought = _parts(shares, used, chance)
    value = (observed - expected) / (1 - expected)

    def influence(said: Label, judged: Label) -> float:
        return ((said is judged) - observed - (1 - value) * brought(said, judged)) / (1 - expected)

    pulls = [fsum(count * influence(*cell) for cell, count in event.items()) for event in padded]
    deviation = sqrt(fsum(pull * pull for pull in pulls) * len(events) / (len(events) - 1)) / n
    half = _t(confidence, len(events) - 1) * deviation
    return Interval(value - half, value + half)


def _z(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _t(confidence: float, degrees: int) -> float:
    """Student's t quantile, two-sided: exact for 1 and 2 degrees of freedom, else Cornish and Fisher's expansion
    (Abramowitz and Stegun 26.7.5), within 0.1 % at 95 %."""
    if degrees == 1:
        return tan(pi * confidence / 2)
    if degrees == 2:
        return confidence * sqrt(2 / (1 - confidence**2))
    z = _z(confidence)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return fsum(term / degrees**power for power, term in enumerate(terms))
