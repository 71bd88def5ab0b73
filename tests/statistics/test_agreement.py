"""Agreement between judge and people: the rules, on made-up pairs."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.model.verdict import VerdictLabel
from evaluator.statistics.agreement import Agreement, Estimate, Pair, agreement, difference, mcnemar, wilson

PASS, PARTIAL, FAIL, UNKNOWN = VerdictLabel.PASS, VerdictLabel.PARTIAL, VerdictLabel.FAIL, VerdictLabel.UNKNOWN

RATES = ("agreement", "sensitivity", "specificity")
COEFFICIENTS = ("pass_rate_bias", "kappa", "ac1")

labels = st.sampled_from(list(VerdictLabel))
pairs = st.lists(st.builds(Pair, st.sampled_from("abcdef"), labels, st.none() | labels), max_size=40)


def table(both: int, only_human: int, only_judge: int, neither: int) -> list[Pair]:
    """One pair per event, so many of each kind."""
    kinds = [(PASS, PASS)] * both + [(PASS, FAIL)] * only_human + [(FAIL, PASS)] * only_judge
    return [Pair(str(n), *kind) for n, kind in enumerate([*kinds, *[(FAIL, FAIL)] * neither])]


def estimates(found: Agreement) -> dict[str, Estimate]:
    return {name: getattr(found, name) for name in (*RATES, *COEFFICIENTS)}


def width(estimate: Estimate) -> float:
    assert estimate.high is not None
    assert estimate.low is not None
    return estimate.high - estimate.low


def test_each_number_is_what_its_name_says() -> None:
    found = agreement(table(40, 10, 5, 45))
    assert (found.n, found.events, found.undecided) == (100, 100, 0)
    assert found.agreement.value == 0.85
    assert found.sensitivity.value == 0.8
    assert found.specificity.value == 0.9
    assert found.pass_rate_bias.value == -0.05
    assert found.sensitivity.n == found.specificity.n == 50


def test_partial_is_no_pass_and_no_fail() -> None:
    found = agreement([Pair("a", PARTIAL, FAIL), Pair("b", PARTIAL, PARTIAL), Pair("c", PASS, PASS)])
    assert found.agreement.value == pytest.approx(2 / 3)
    assert found.specificity.value == 1
    assert (found.table.both_pass, found.table.neither) == (1, 2)


def test_who_does_not_decide_does_not_agree() -> None:
    found = agreement(
        [Pair("a", PASS, PASS), Pair("b", PASS, UNKNOWN), Pair("c", FAIL, None), Pair("d", UNKNOWN, UNKNOWN)]
    )
    assert (found.n, found.undecided, found.human_unknown) == (1, 2, 1)
    assert found.agreement.n == 1


def test_no_pairs_give_no_numbers() -> None:
    assert set(estimates(agreement([])).values()) == {Estimate(None, None, None, 0)}


def test_one_event_gives_values_without_an_interval() -> None:
    found = agreement([Pair("a", PASS, PASS), Pair("a", FAIL, FAIL), Pair("a", FAIL, PASS)])
    assert found.agreement == Estimate(2 / 3, None, None, 3)
    assert all(each.low is None for each in estimates(found).values())


def test_one_run_per_event_has_wilsons_interval() -> None:
    found = agreement(table(40, 10, 5, 45)).agreement
    assert (found.low, found.high) == (wilson(85, 100).low, wilson(85, 100).high)


@pytest.mark.parametrize("pairs_", [table(20, 0, 0, 20), table(0, 20, 20, 0), table(40, 0, 0, 0)])
def test_extremes_have_an_interval_of_some_width(pairs_: list[Pair]) -> None:
    for estimate in estimates(agreement(pairs_)).values():
        assert estimate.value is None or width(estimate) > 0.05


def test_kappa_is_not_defined_where_all_say_the_same() -> None:
    found = agreement(table(40, 0, 0, 0))
    assert found.kappa.value is None
    assert found.ac1.value == 1


@given(pairs, st.randoms(use_true_random=False))
def test_order_never_matters(given_pairs: list[Pair], random: Random) -> None:
    shuffled = random.sample(given_pairs, len(given_pairs))
    assert agreement(shuffled) == agreement(given_pairs)


@given(pairs)
def test_a_value_lies_in_its_interval_and_both_where_they_may(given_pairs: list[Pair]) -> None:
    for name, estimate in estimates(agreement(given_pairs)).items():
        if estimate.low is not None and estimate.high is not None and estimate.value is not None:
            assert (0 if name in RATES else -1) <= estimate.low <= estimate.value <= estimate.high <= 1
            assert estimate.low < estimate.high


@given(st.lists(st.tuples(labels, labels), min_size=3, max_size=30), st.integers(2, 6))
def test_more_runs_that_say_the_same_do_not_narrow_an_interval(
    kinds: list[tuple[VerdictLabel, VerdictLabel]], runs: int
) -> None:
    once = [Pair(str(event), *kind) for event, kind in enumerate(kinds)]
    few, many = agreement(once), agreement(once * runs)
    for name, estimate in estimates(many).items():
        before = estimates(few)[name]
        assert estimate.value == pytest.approx(before.value)
        if before.low is not None and before.value is not None:
            assert width(estimate) >= width(before) - 1e-9


@given(pairs)
def test_a_judge_that_becomes_another_one_and_back_gains_what_it_loses(given_pairs: list[Pair]) -> None:
    other = [Pair(pair.event_id, pair.human, FAIL) for pair in given_pairs]
    there, back = difference(given_pairs, other), difference(other, given_pairs)
    assert (there.gained, there.lost, there.p_value) == (back.lost, back.gained, back.p_value)
    if there.value is not None:
        assert back.value == pytest.approx(-there.value)
    if there.low is not None and back.high is not None:
        assert there.low == pytest.approx(-back.high)


def test_a_difference_is_of_the_same_items() -> None:
    with pytest.raises(ValueError, match="same items"):
        difference([Pair("a", PASS, PASS)], [Pair("b", PASS, PASS)])


def test_a_judge_that_got_better_is_shown_to_be() -> None:
    before, after = table(40, 10, 5, 45), [Pair(str(n), PASS if n < 50 else FAIL, FAIL) for n in range(100)]
    better = [Pair(pair.event_id, pair.human, pair.human) for pair in before]
    found = difference(before, better)
    assert (found.value, found.gained, found.lost) == (0.15, 15, 0)
    assert found.low is not None
    assert found.low > 0
    assert found.p_value == pytest.approx(2 / 2**15)
    worse = difference(before, after)
    assert worse.high is not None
    assert worse.high < 0


def test_no_difference_still_has_an_interval_of_some_width() -> None:
    found = difference(table(20, 0, 0, 20), table(20, 0, 0, 20))
    assert found.value == 0
    assert width(found) > 0.05
    assert found.p_value == 1


@pytest.mark.parametrize(("gained", "lost", "p"), [(0, 0, 1), (5, 5, 1), (10, 0, 2 / 1024), (6, 1, 0.125)])
def test_mcnemars_p_is_exact(gained: int, lost: int, p: float) -> None:
    assert mcnemar(gained, lost) == pytest.approx(p)
    assert mcnemar(lost, gained) == mcnemar(gained, lost)


def reviewed(random: Random, *, events: int, runs: int, right: float, together: float) -> list[Pair]:
    """Reviews of a judge that is right with a chance of its own for each event; runs of one event go together."""
    size = (1 - together) / together if together else 0
    made = []
    for event in range(events):
        chance = random.betavariate(right * size, (1 - right) * size) if together else right
        human = PASS if random.random() < 0.6 else FAIL
        for _ in range(runs):
            is_right = random.random() < chance
            made.append(Pair(str(event), human, human if is_right else PASS if human is FAIL else FAIL))
    return made


def true_values(right: float) -> dict[str, float]:
    """What the numbers would be without chance, 60 % of events passing."""
    passed = 0.6 * right + 0.4 * (1 - right)
    by_chance, used = 0.6 * passed + 0.4 * (1 - passed), (0.6 + passed) / 2
    by_use = 2 * used * (1 - used)
    return {
        "agreement": right,
        "sensitivity": right,
        "pass_rate_bias": passed - 0.6,
        "kappa": (right - by_chance) / (1 - by_chance),
        "ac1": (right - by_use) / (1 - by_use),
    }


def covered(times: int, *, events: int, runs: int, right: float, together: float) -> dict[str, float]:
    """How often each interval held the true value."""
    random = Random(f"{events} {runs} {right} {together}")
    truth, hits = true_values(right), dict.fromkeys(true_values(right), 0)
    for _ in range(times):
        found = agreement(reviewed(random, events=events, runs=runs, right=right, together=together))
        for name, true in truth.items():
            estimate: Estimate = getattr(found, name)
            assert estimate.low is not None
            assert estimate.high is not None
            hits[name] += estimate.low <= true <= estimate.high
    return {name: number / times for name, number in hits.items()}


@pytest.mark.parametrize("right", [0.75, 0.9])
@pytest.mark.parametrize("together", [0.2, 0.7])
def test_intervals_over_four_runs_an_event_hold_what_they_claim(right: float, together: float) -> None:
    shares = covered(400, events=50, runs=4, right=right, together=together)
    assert min(shares.values()) >= 0.93, shares


@pytest.mark.parametrize(("right", "most"), [(0.75, 0.98), (0.9, 0.98)])
def test_intervals_over_one_run_an_event_hold_what_they_claim_and_little_more(right: float, most: float) -> None:
    shares = covered(600, events=100, runs=1, right=right, together=0)
    assert min(shares.values()) >= 0.93, shares
    assert shares["agreement"] <= most, shares


@pytest.mark.parametrize("together", [0.0, 0.6])
def test_the_interval_of_a_difference_holds_what_it_claims(together: float) -> None:
    random, hits, times = Random(f"difference {together}"), 0, 400
    for _ in range(times):
        before = reviewed(random, events=50, runs=3, right=0.75, together=together)
        after = [
            Pair(pair.event_id, pair.human, pair.human if random.random() < 0.4 else pair.judge) for pair in before
        ]
        found = difference(before, after)
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= 0.4 * 0.25 <= found.high
    assert hits / times >= 0.93
