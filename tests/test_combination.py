"""Several outcome rubrics speak with one voice, in whatever order they come to say what they say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.combination import WORST_FIRST, RubricSays, Word, all_words, judge_words
from evaluator.deployment import Deployment
from evaluator.judging_orders import give_orders
from evaluator.model.columns import utc_now
from evaluator.model.outcome import FinalOutcome, OutcomeType, Signal
from evaluator.model.rubric import Combination
from evaluator.settlement import roll_up_events
from evaluator.store import outcomes, runs
from tests.test_batches import execute
from tests.test_pipeline import LINK, NO_LINK, count, judge_all, outcome, report
from tests.world import CHECKED_RUBRIC

WORST, BEST = Combination
SUCCESS, PARTIAL, FAILED, PENDING = (
    FinalOutcome.SUCCESS,
    FinalOutcome.PARTIAL,
    FinalOutcome.FAILED,
    FinalOutcome.PENDING,
)
BY_LETTER = {"s": SUCCESS, "p": PARTIAL, "f": FAILED, "t": FinalOutcome.TIMEOUT, "-": None}


def says(letters: str, combine: Combination | None) -> list[RubricSays]:
    """Rubrics a, b, c …, each with what it says: s, p, f, t, or - for nothing."""
    return [
        RubricSays(name, combine, BY_LETTER[letter], OutcomeType.CUSTOM, letter, f"{name} alone")
        for name, letter in zip("abcdefgh", letters, strict=False)
    ]


def outcomes_of(words: Sequence[Word]) -> list[FinalOutcome]:
    return [word.outcome for word in words]


@pytest.mark.parametrize(
    ("letters", "worst", "best"),
    [
        ("ss", SUCCESS, SUCCESS),
        ("sp", PARTIAL, SUCCESS),
        ("sf", FAILED, SUCCESS),
        ("pf", FAILED, PARTIAL),
        ("tf", FAILED, FinalOutcome.TIMEOUT),
        ("ff", FAILED, FAILED),
        ("s-", PENDING, SUCCESS),
        ("p-", PENDING, PENDING),
        ("f-", FAILED, PENDING),
        ("t-", FinalOutcome.TIMEOUT, PENDING),
        ("--", PENDING, PENDING),
        ("ssp-", PENDING, SUCCESS),
        ("sspf", FAILED, SUCCESS),
    ],
)
def test_the_worst_or_the_best_of_what_is_said_counts(
    letters: str, worst: FinalOutcome, best: FinalOutcome
) -> None:
    for combine, expected in ((WORST, worst), (BEST, best)):
        for order in permutations(says(letters, combine)):
            assert outcomes_of(judge_words(order)) == [expected]


def test_the_word_names_which_rubric_said_what_and_carries_the_type_of_the_one_that_decides() -> None:
    escalated = replace(
        says("f", WORST)[0], rubric_id="policy-safe", told="fail", outcome_type=OutcomeType.ESCALATED
    )
    resolved = replace(says("s", WORST)[0], rubric_id="resolved", told="pass", outcome_type=OutcomeType.DEFLECTED)
    [word] = judge_words([resolved, escalated])
    assert word.origin == "rubrics policy-safe, resolved (worst)"
    assert word.reason == "worst of 2 rubrics: policy-safe fail, resolved pass"
    assert (word.outcome, word.outcome_type) == (FAILED, OutcomeType.ESCALATED)
    assert word.facts["deciding"] == "policy-safe"


def test_a_rubric_without_others_to_combine_with_speaks_for_itself() -> None:
    [word] = judge_words(says("s", WORST))
    assert (word.origin, word.outcome, word.reason) == ("rubric a", SUCCESS, "a alone")
    assert [word.origin for word in judge_words(says("sf", None))] == ["rubric a", "rubric b"]


def test_where_rubrics_disagree_on_how_to_combine_the_worst_counts() -> None:
    [strict, _], [_, kind] = says("sf", WORST), says("sf", BEST)
    assert outcomes_of(judge_words([strict, kind])) == [FAILED]


def test_an_outcome_mapped_to_pending_is_no_word_at_all() -> None:
    undecided = replace(says("s", WORST)[0], outcome=PENDING)
    assert outcomes_of(judge_words([undecided])) == [PENDING]
    assert outcomes_of(judge_words([undecided, *says("ss", WORST)[1:]])) == [PENDING]


whole_sets = st.lists(st.tuples(st.sampled_from("spft-"), st.sampled_from([None, WORST, BEST])), max_size=6).map(
    lambda drawn: [_one(number, *each) for number, each in enumerate(drawn)]
)


def _one(number: int, letter: str, combine: Combination | None) -> RubricSays:
    return RubricSays(f"r{number}", combine, BY_LETTER[letter], OutcomeType.CUSTOM, letter, "alone")


@given(whole_sets.flatmap(lambda some: st.tuples(st.just(some), st.permutations(some))))
def test_the_order_rubrics_come_in_never_matters(case: tuple[list[RubricSays], list[RubricSays]]) -> None:
    assert judge_words(case[0]) == judge_words(case[1])


@given(whole_sets)
def test_each_origin_speaks_once_and_every_rubric_is_heard(rubrics: list[RubricSays]) -> None:
    words = judge_words(rubrics)
    origins = [word.origin for word in words]
    assert len(set(origins)) == len(origins)
    assert all(any(rubric.rubric_id in origin for origin in origins) for rubric in rubrics)


@given(st.text("spf", min_size=2, max_size=6))
def test_worst_is_never_kinder_than_best(letters: str) -> None:
    [worst], [best] = judge_words(says(letters, WORST)), judge_words(says(letters, BEST))
    assert WORST_FIRST.index(worst.outcome) <= WORST_FIRST.index(best.outcome)


@given(st.text("spf-", min_size=2, max_size=6), st.data())
def test_what_is_settled_at_once_no_late_word_overturns(letters: str, data: st.DataObject) -> None:
    later = "".join(data.draw(st.sampled_from("spf")) if each == "-" else each for each in letters)
    for combine in Combination:
        [early], [late] = judge_words(says(letters, combine)), judge_words(says(later, combine))
        assert early.outcome in (PENDING, late.outcome)


# where people say something of some rubrics


def people_say(letters: str, combine: Combination | None) -> list[RubricSays]:
    """As `says`, each by a person of her own; of - nobody says anything."""
    return [
        replace(one, by_person=f"Ada {one.rubric_id}", review_id=f"review {one.rubric_id}")
        for one in says(letters, combine)
        if one.outcome is not None
    ]


@pytest.mark.parametrize(
    ("judges", "people", "rule", "expected", "by"),
    [
        ("ss", "f-", WORST, FAILED, "Ada a"),
        ("sf", "s-", WORST, FAILED, ""),
        ("ff", "-f", WORST, FAILED, "Ada b"),
        ("ft", "-t", WORST, FAILED, ""),
        ("ss", "s-", WORST, SUCCESS, ""),
        ("fs", "ss", WORST, SUCCESS, "Ada a, Ada b"),
        ("s-", "-p", WORST, PARTIAL, ""),
        ("ff", "s-", BEST, SUCCESS, "Ada a"),
        ("ss", "f-", BEST, SUCCESS, ""),
        ("ss", "ff", BEST, FAILED, "Ada a, Ada b"),
        ("f-", "--", BEST, PENDING, ""),
        ("--", "f-", BEST, PENDING, ""),
    ],
)
def test_the_common_word_is_peoples_where_they_decide_it(
    judges: str, people: str, rule: Combination, expected: FinalOutcome, by: str
) -> None:
    common, *alone = all_words(says(judges, rule), people_say(people, rule))
    assert (common.outcome, common.by_person) == (expected, by)
    assert common.origin == f"{'reviews of ' if by else ''}rubrics a, b ({rule})"
    assert [word.origin for word in alone] == ([f"rubrics a, b ({rule})"] if by else [])
    assert alone == (judge_words(says(judges, rule)) if by else [])


def test_a_person_speaks_beside_the_judges_of_a_rubric_that_is_not_combined() -> None:
    [judge, person] = all_words(says("s", None), people_say("f", None))
    assert (judge.origin, judge.outcome, judge.source) == ("rubric a", SUCCESS, "judge")
    assert (person.origin, person.outcome, person.source) == ("review of a", FAILED, "human")
    assert (person.by_person, person.rests_on) == ("Ada a", ("review a",))


def test_people_may_speak_of_a_rubric_that_no_judge_spoke_under() -> None:
    [common, alone] = all_words(says("s", WORST), people_say("sf", WORST)[1:])
    assert (common.outcome, common.by_person, common.rests_on) == (FAILED, "Ada b", ("review b",))
    assert (alone.origin, alone.outcome) == ("rubrics a, b (worst)", PENDING)


@given(st.text("spft-", min_size=2, max_size=5), st.sampled_from(list(Combination)), st.data())
def test_people_count_in_place_of_judges_and_decide_only_what_rests_on_them(
    letters: str, rule: Combination, data: st.DataObject
) -> None:
    people = data.draw(st.text("spf-", min_size=len(letters), max_size=len(letters)))
    mixed = "".join(judge if person == "-" else person for judge, person in zip(letters, people, strict=True))
    common = all_words(says(letters, rule), people_say(people, rule))[0]
    assert common.outcome == judge_words(says(mixed, rule))[0].outcome
    if common.by_person:  # whatever the judges said of the others, it would be the same, or people said it all
        others = data.draw(st.text("spf", min_size=len(letters), max_size=len(letters)))
        changed = "".join(judge if person == "-" else person for judge, person in zip(others, people, strict=True))
        assert judge_words(says(changed, rule))[0].outcome == common.outcome or not _ends(common.outcome, rule)
    else:
        assert "-" in people or common.outcome == PENDING


def _ends(outcome: FinalOutcome, rule: Combination) -> bool:
    """Whether nothing outdoes it."""
    return outcome == (FAILED if rule == WORST else SUCCESS)


# through the pipeline

LONG = CHECKED_RUBRIC.replace("check: contains_url", "check: contains, value: thanks")
OUTPUT = {"pp": f"{LINK} thanks", "pf": LINK, "fp": f"{NO_LINK} thanks", "ff": NO_LINK}


def put(deployment: Deployment, rubric_id: str, text: str, more: str = "") -> None:
    """A rubric file as it now is; it is seen at once."""
    file = deployment.settings.rubrics_dir / f"{rubric_id}.yaml"
    file.write_text((text + more).format(id=rubric_id, role="outcome", workflow="Support"), encoding="utf-8")
    deployment.shelf._looked_at = 0.0


@pytest.fixture
def both(deployment: Deployment) -> Deployment:
    """Two outcome rubrics, the worst of which counts: is there a link, are there thanks."""
    put(deployment, "links", CHECKED_RUBRIC, "combine: worst\n")
    put(deployment, "thanks", LONG, "combine: worst\n")
    return deployment


def final(deployment: Deployment) -> FinalOutcome:
    found = outcome(deployment)
    return PENDING if found is None else FinalOutcome(found.final_outcome)


def signals(deployment: Deployment) -> list[Signal]:
    with deployment.database.read() as connection:
        return outcomes.signals_of_events(connection, ["ticket-1"])["ticket-1"]


def standing(deployment: Deployment) -> dict[str, str]:
    """Origin → what it said last, pending ones aside."""
    last = {one.origin: one.outcome for one in sorted(signals(deployment), key=lambda one: one.occurred_at)}
    return {origin: said for origin, said in last.items() if said != PENDING}


def assert_rebuilt_equal(deployment: Deployment) -> None:
    tables = ("rollup", "signal", "outcome")
    before = [count(deployment, table) for table in tables]
    deployment.database.transact(
        lambda connection: roll_up_events(connection, runs.lock_events(connection, ["ticket-1"]), {}, utc_now())
    )
    assert [count(deployment, table) for table in tables] == before


@pytest.mark.parametrize(
    ("combine", "results", "expected"),
    [
        ("worst", "pp", SUCCESS),
        ("worst", "pf", FAILED),
        ("worst", "fp", FAILED),
        ("best", "fp", SUCCESS),
        ("best", "ff", FAILED),
    ],
)
def test_two_outcome_rubrics_make_one_outcome(
    deployment: Deployment, combine: str, results: str, expected: FinalOutcome
) -> None:
    put(deployment, "links", CHECKED_RUBRIC, f"combine: {combine}\n")
    put(deployment, "thanks", LONG, f"combine: {combine}\n")
    report(deployment, run_id="r1", output=OUTPUT[results])
    judge_all(deployment)
    assert final(deployment) == expected
    assert list(standing(deployment)) == [f"rubrics links, thanks ({combine})"]
    assert_rebuilt_equal(deployment)


@pytest.mark.parametrize(
    ("results", "first", "then"), [("pp", PENDING, SUCCESS), ("pf", PENDING, FAILED), ("fp", FAILED, FAILED)]
)
def test_a_success_waits_for_all_and_a_failure_for_nobody(
    both: Deployment, results: str, first: FinalOutcome, then: FinalOutcome
) -> None:
    report(both, run_id="r1", output=OUTPUT[results])
    hold(both, "thanks", True)
    judge_all(both)
    assert final(both) == first
    hold(both, "thanks", False)
    judge_all(both)
    assert final(both) == then
    assert_rebuilt_equal(both)


def hold(deployment: Deployment, rubric_id: str, held: bool) -> None:
    hour = 3_600_000_000 if held else -3_600_000_000
    execute(deployment, f"UPDATE judgement SET due_at = due_at + {hour} WHERE rubric_id = '{rubric_id}'")


def test_the_reason_names_which_rubric_said_what(both: Deployment) -> None:
    report(both, output=OUTPUT["pf"])
    judge_all(both)
    assert signals(both)[-1].reason == "worst of 2 rubrics: links pass, thanks fail"
    assert outcome(both).reason.startswith(  # type: ignore[union-attr]
        "The judge under rubrics links, thanks (worst) found failed on"
    )


def test_what_was_not_sampled_cannot_be_known_and_a_failure_needs_it_not(deployment: Deployment) -> None:
    put(deployment, "links", CHECKED_RUBRIC, "combine: worst\n")
    put(deployment, "thanks", LONG, "combine: worst\nsample: {{rate: 0}}\n")
    report(deployment, run_id="r1", output=OUTPUT["pp"])
    judge_all(deployment)
    assert final(deployment) == PENDING
    assert_rebuilt_equal(deployment)
    report(deployment, run_id="r1", output=OUTPUT["fp"])
    judge_all(deployment)
    assert final(deployment) == FAILED
    assert signals(deployment)[-1].reason == "worst of 2 rubrics: links fail, thanks not sampled"


def test_a_rubric_that_does_not_apply_does_not_count_and_one_that_no_longer_does_neither(
    both: Deployment,
) -> None:
    only_paid = LONG.replace("applies_to: {{", 'applies_to: {{where: "diagnostics.paid == `true`", ')
    put(both, "thanks", only_paid, "combine: worst\n")
    report(both, run_id="r1", output=LINK)
    judge_all(both)
    assert standing(both) == {"rubric links": SUCCESS}
    report(both, run_id="r1", output=LINK, diagnostics={"paid": True})
    assert final(both) == PENDING, "from now on it counts"
    judge_all(both)
    assert standing(both) == {"rubrics links, thanks (worst)": FAILED}
    report(both, run_id="r1", output=LINK, diagnostics={"paid": False})
    judge_all(both)
    assert standing(both) == {"rubric links": SUCCESS}
    assert_rebuilt_equal(both)


def test_not_sampled_and_then_not_applicable_no_longer_counts(deployment: Deployment) -> None:
    put(deployment, "links", CHECKED_RUBRIC, "combine: worst\n")
    sometimes = LONG.replace("applies_to: {{", 'applies_to: {{where: "!(diagnostics.free)", ')
    put(deployment, "thanks", sometimes, "combine: worst\nsample: {{rate: 0}}\n")
    report(deployment, run_id="r1", output=LINK)
    judge_all(deployment)
    assert final(deployment) == PENDING
    report(deployment, run_id="r1", output=LINK, diagnostics={"free": True})
    judge_all(deployment)
    assert standing(deployment) == {"rubric links": SUCCESS}


@pytest.mark.parametrize(("first", "second"), [(NO_LINK, OUTPUT["pp"]), (OUTPUT["pp"], OUTPUT["pf"])])
def test_when_a_rubric_joins_what_it_said_before_by_itself_is_taken_back(
    deployment: Deployment, first: str, second: str
) -> None:
    put(deployment, "links", CHECKED_RUBRIC)
    report(deployment, run_id="r1", output=first, started_at="2026-01-01T10:00:00Z")
    judge_all(deployment)
    assert list(standing(deployment)) == ["rubric links"]
    put(deployment, "links", CHECKED_RUBRIC, "combine: worst\n")
    put(deployment, "thanks", LONG, "combine: worst\n")
    report(deployment, run_id="r2", output=second, started_at="2026-01-01T10:05:00Z")
    judge_all(deployment)
    assert list(standing(deployment)) == ["rubrics links, thanks (worst)"]
    assert final(deployment) == (SUCCESS if second == OUTPUT["pp"] else FAILED)
    assert_rebuilt_equal(deployment)


@pytest.mark.parametrize("output", [OUTPUT["fp"], OUTPUT["pf"]])
def test_a_stored_event_that_a_new_rubric_takes_in_combines_with_what_was_judged_before_there_was_another(
    deployment: Deployment, output: str
) -> None:
    put(deployment, "links", CHECKED_RUBRIC)
    report(deployment, run_id="r1", output=output)
    judge_all(deployment)
    put(deployment, "links", CHECKED_RUBRIC, "combine: worst\n")
    put(deployment, "thanks", LONG, "combine: worst\n")
    list(give_orders(deployment, actor="tests", last=1))
    judge_all(deployment)
    assert standing(deployment) == {"rubrics links, thanks (worst)": FAILED}
    assert_rebuilt_equal(deployment)


def test_rubrics_of_other_workflows_do_not_combine_with_it(deployment: Deployment) -> None:
    put(deployment, "links", CHECKED_RUBRIC, "combine: worst\n")
    put(deployment, "thanks", LONG.replace("[{workflow}]", "[Returns]"))
    report(deployment, run_id="r1", output=OUTPUT["pf"], started_at="2026-01-01T10:00:00Z")
    report(deployment, run_id="r2", output=OUTPUT["pf"], workflow="returns")
    judge_all(deployment)
    assert standing(deployment) == {"rubric links": SUCCESS, "rubric thanks": FAILED}


def test_when_combination_ends_its_word_is_taken_back(both: Deployment) -> None:
    report(both, run_id="r1", output=OUTPUT["pf"])
    judge_all(both)
    assert final(both) == FAILED
    put(both, "links", CHECKED_RUBRIC)
    put(both, "thanks", LONG.replace("role: {role}", "role: quality"))
    report(both, run_id="r1", output=OUTPUT["pf"] + " and more")
    judge_all(both)
    assert standing(both) == {"rubric links": SUCCESS}
    assert final(both) == SUCCESS
    assert_rebuilt_equal(both)


def test_a_rubric_that_no_longer_feeds_outcomes_takes_its_word_back(deployment: Deployment) -> None:
    put(deployment, "links", CHECKED_RUBRIC)
    report(deployment, run_id="r1", output=LINK)
    judge_all(deployment)
    put(deployment, "links", CHECKED_RUBRIC.replace("role: {role}", "role: quality"))
    report(deployment, run_id="r1", output=LINK + " and more")
    judge_all(deployment)
    assert final(deployment) == PENDING


def test_a_signal_that_is_said_again_is_never_taken_for_the_one_before(both: Deployment) -> None:
    said: list[FinalOutcome] = []
    for results in ("pf", "pp", "pf", "pp"):
        report(both, run_id="r1", output=OUTPUT[results])
        judge_all(both)
        said.append(final(both))
    assert said == [FAILED, SUCCESS, FAILED, SUCCESS]
    assert len({one.signal_id for one in signals(both)}) == len(signals(both))
