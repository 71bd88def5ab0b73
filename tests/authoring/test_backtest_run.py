"""Backtests through the real pipeline on both stores: chosen, estimated, judged, stopped, gone on with, reported."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from evaluator.authoring.backtest_choice import LOOKED_AT_MOST, Choice, Versions, choose, judged_by, versions_for
from evaluator.authoring.backtest_judging import Moved
from evaluator.authoring.backtest_plan import Plan, plan_of
from evaluator.authoring.backtest_report import BacktestReport
from evaluator.authoring.backtest_run import _only_one, run_backtest
from evaluator.authoring.call_limits import Pace
from evaluator.authoring.human_labels import HumanLabel, LabelFile
from evaluator.deployment import Deployment
from evaluator.errors import BadInput, Conflict
from evaluator.model.backtest import BacktestState
from evaluator.model.verdict import Verdict, VerdictLabel, VerdictSource
from evaluator.settings import Settings
from evaluator.store import backtests
from evaluator.store.api_keys import audit, audit_trail
from evaluator.store.database import as_row
from evaluator.store.rubric_versions import PROMOTED, store_version, versions_of
from evaluator.store.tables import AuditEntryRow, VerdictRow
from tests.test_batches import model_that
from tests.test_pipeline import count, judge_all, report
from tests.world import CHECKED_RUBRIC, RUBRIC

pytestmark = pytest.mark.slow

LINK, NO_LINK = "See https://shop.example/track/9", "We value your feedback."


@dataclass
class Watched:
    """What a backtest told on its way."""

    moves: list[Moved] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def moved(self, seen: Moved) -> None:
        self.moves.append(seen)

    def told(self, line: str) -> None:
        self.lines.append(line)


@dataclass
class Tried:
    """A backtest as a test runs it."""

    deployment: Deployment
    versions: Versions
    choice: Choice
    plan: Plan

    def run(self, watch: Watched | None = None, max_usd: str | None = None) -> BacktestReport:
        return run_backtest(
            self.deployment,
            self.versions,
            self.choice,
            self.plan,
            started_by="tests",
            watch=watch or Watched(),
            max_usd=None if max_usd is None else Decimal(max_usd),
        )


def backtest(
    deployment: Deployment,
    candidate: str | Path = "links",
    against: str | None = None,
    *,
    labels: LabelFile | None = None,
    judge: str | None = None,
    **choosing: Any,
) -> Tried:
    versions = versions_for(deployment, str(candidate), against)
    rubrics = [one.rubric if judge is None else judged_by(one.rubric, judge) for one in versions.named]
    choice = choose(deployment, rubrics, labels or LabelFile(), **{"last": 50, **choosing})
    return Tried(deployment, versions, choice, plan_of(deployment, rubrics, choice))


def write(deployment: Deployment, body: str, *, name: str = "links", rubric_id: str = "links") -> Path:
    path = deployment.settings.rubrics_dir / f"{name}.yaml"
    path.write_text(body.format(id=rubric_id, role="outcome", workflow="Support"), encoding="utf-8")
    deployment.shelf._looked_at = 0.0
    return path


def labelled(**verdicts: str) -> LabelFile:
    return LabelFile(tuple(HumanLabel(VerdictLabel(said), run_id) for run_id, said in verdicts.items()))


STRICTER = CHECKED_RUBRIC.replace("check: contains_url", "check: regex, value: 'https://shop'")


@pytest.fixture
def links(deployment: Deployment) -> Deployment:
    """Three tickets judged by a rubric that wants a link, in force."""
    write(deployment, CHECKED_RUBRIC)
    report(deployment, event_id="t1", run_id="r1", output=LINK)
    report(deployment, event_id="t2", run_id="r2", output="See https://other.example/")
    report(deployment, event_id="t3", run_id="r3", output=NO_LINK)
    judge_all(deployment)
    return deployment


def test_an_edited_file_is_compared_with_what_was_in_force_before(links: Deployment) -> None:
    before = links.shelf.rubrics[0].version
    write(links, STRICTER)
    tried = backtest(links, labels=labelled(r1="pass", r2="fail", r3="fail"))
    assert tried.versions.baseline is not None
    assert tried.versions.baseline.rubric.version == before
    found = tried.run()
    assert found.state == BacktestState.DONE
    assert [(flip.run_id, flip.kind) for flip in found.flips] == [("r2", "gained")]
    assert found.baseline is not None
    assert found.baseline.run_agreement is not None
    assert found.candidate.run_agreement is not None
    assert found.baseline.run_agreement.agreement.value == pytest.approx(2 / 3)
    assert found.candidate.run_agreement.agreement.value == 1


def test_a_file_beside_the_one_in_force_is_compared_with_that(links: Deployment, tmp_path: Path) -> None:
    path = tmp_path / "candidate.yaml"
    path.write_text(STRICTER.format(id="links", role="outcome", workflow="Support"))
    tried = backtest(links, path)
    assert tried.versions.baseline is not None
    assert tried.versions.baseline.rubric.version == links.shelf.rubrics[0].version
    tried.run()
    with links.database.read() as connection:
        standing = {one.version: one.in_force_since for one in versions_of(connection, "links")}
    assert standing[tried.versions.candidate.rubric.version] is None, "tried only"


def test_the_version_before_is_the_one_in_force_last(links: Deployment) -> None:
    first = links.shelf.rubrics[0]
    later, now = datetime(2030, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)
    write(links, STRICTER)
    second = links.shelf.rubrics[0]
    with links.database.write() as connection:
        store_version(connection, second, "", later)
        audit(
            connection,
            actor="tests",
            act=PROMOTED,
            subject="links",
            detail={"before": second.version, "after": first.version},
        )
        connection.execute(AuditEntryRow.__table__.update().values(at=now))  # type: ignore[attr-defined]
    write(links, CHECKED_RUBRIC + "rollup: any\n")
    tried = versions_for(links, "links")
    assert tried.baseline is not None
    assert tried.baseline.rubric.version == first.version


def test_versions_that_are_judged_alike_are_said_to_be(links: Deployment) -> None:
    write(links, CHECKED_RUBRIC + "rollup: any\n")
    [note] = backtest(links).run().notes
    assert note.startswith("Both versions ask their judges the same and score it alike")
    assert note.endswith("by their rules.")
    write(links, STRICTER)
    assert not any("alike" in note for note in backtest(links).run().notes)


def test_that_older_events_were_not_looked_at_is_said(links: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    write(links, STRICTER)
    assert backtest(links).choice.notes == ()
    monkeypatch.setattr("evaluator.authoring.backtest_choice.MOST_LOOKED_AT", 2)
    assert backtest(links, last=2).choice.notes == (), "as many as were asked for"
    tried = backtest(links)
    assert tried.choice.notes == (LOOKED_AT_MOST,)
    assert LOOKED_AT_MOST in tried.run().notes


def test_an_event_with_a_run_that_is_not_compared_is_not_that_of_one_run(links: Deployment) -> None:
    report(links, event_id="t1", run_id="r1b", workflow="Elsewhere")
    write(links, STRICTER)
    assert {run.run_id: run.sole for run in backtest(links).choice.runs} == {"r1": False, "r2": True, "r3": True}


def test_where_code_answers_all_no_judge_is_named(links: Deployment) -> None:
    assert backtest(links).run().candidate.judges == []


def test_a_new_rubric_is_shown_alone(deployment: Deployment) -> None:
    write(deployment, CHECKED_RUBRIC)
    report(deployment, run_id="r1", output=LINK)
    tried = backtest(deployment)
    assert tried.versions.baseline is None
    assert "no other version of links was ever in force" in tried.versions.why
    found = tried.run()
    assert found.baseline is None
    assert found.candidate.run_verdicts[VerdictLabel.PASS] == 1


def test_a_version_is_not_compared_with_itself(links: Deployment) -> None:
    with pytest.raises(BadInput, match="are the same version"):
        versions_for(links, "links", "links")


def test_nothing_of_production_changes(links: Deployment) -> None:
    tables = ("judgement", "verdict", "rollup", "signal", "outcome", "spend", "sample")
    before = {table: rows(links, table) for table in tables}
    write(links, STRICTER)
    backtest(links).run()
    assert {table: rows(links, table) for table in tables} == before


def rows(deployment: Deployment, table: str) -> list[Any]:
    with deployment.database.read() as connection:
        return sorted(map(str, connection.execute(text(f"SELECT * FROM {table}")).all()))


def test_what_was_judged_is_taken_over_and_the_start_is_audited(links: Deployment) -> None:
    write(links, STRICTER)
    tried = backtest(links)
    old, new = tried.plan.estimate.versions
    assert (old.judgements, old.reused) == (3, 3)
    assert (new.judgements, new.reused, new.without_call) == (3, 0, 3)
    tried.run()
    again = backtest(links)
    assert again.plan.fingerprint == tried.plan.fingerprint
    assert [one.reused for one in again.plan.estimate.versions] == [3, 3]
    again.run()
    assert count(links, "backtest") == 1
    with links.database.read() as connection:
        [last, first] = audit_trail(connection)
    assert (last.act, last.subject, last.actor) == ("backtest", "links", "tests")
    assert last.detail["backtest_id"] == first.detail["backtest_id"] == tried.plan.fingerprint


def test_whole_events_are_chosen_labelled_ones_first_then_the_newest(links: Deployment) -> None:
    report(links, event_id="t1", run_id="r1b", output=NO_LINK)
    write(links, STRICTER)
    chosen = backtest(links, last=2, labels=labelled(r2="pass")).choice
    assert [run.run_id for run in chosen.runs] == ["r2", "r1", "r1b"]
    assert chosen.labels.labelled_first == 1
    only = backtest(links, labels=labelled(r2="pass", nowhere="fail"), labelled_only=True).choice
    assert [run.run_id for run in only.runs] == ["r2"]
    assert only.labels.unknown_items == 1


def test_reviews_kept_here_are_compared_with_and_a_file_goes_before_them(links: Deployment) -> None:
    keep_review(links, "v0", "t3", None, VerdictLabel.PASS, stands=False)
    keep_review(links, "v1", "t3", None, VerdictLabel.FAIL)
    keep_review(links, "v9", "t1", "r1", VerdictLabel.FAIL)
    write(links, STRICTER)
    chosen = backtest(links, labels=labelled(r1="pass")).choice
    heard = {item: label.verdict for item, label in chosen.labels.by_item.items()}
    assert heard == {("event", "t3"): VerdictLabel.FAIL, ("run", "r1"): VerdictLabel.PASS}, "what stands counts"
    assert chosen.labels.filed == {("run", "r1")}


def keep_review(
    deployment: Deployment, name: str, event_id: str, run_id: str | None, said: VerdictLabel, *, stands: bool = True
) -> None:
    review = Verdict(
        verdict_id=name,
        event_id=event_id,
        run_id=run_id,
        rubric_id="links",
        rubric_version="x",
        source=VerdictSource.HUMAN,
        verdict=said,
        judge="Ann",
        stands=stands,
    )
    deployment.database.transact(
        lambda connection: connection.execute(VerdictRow.__table__.insert(), as_row(review))  # type: ignore[attr-defined]
    )


def test_runs_a_version_is_not_for_are_left_out_of_it(links: Deployment) -> None:
    write(links, STRICTER.replace("applies_to: {{", "applies_to: {{where: \"run_id != 'r3'\", "))
    found = backtest(links).run()
    assert found.baseline is not None
    assert (found.baseline.runs, found.candidate.runs, found.compared_runs) == (3, 2, 2)


def test_a_run_without_content_is_counted_and_never_a_fail(links: Deployment) -> None:
    report(links, event_id="t3", run_id="r3b", input=None, output=None)
    write(links, STRICTER)
    found = backtest(links).run()
    assert found.candidate.not_evaluable == {"no_content": 1}
    assert found.candidate.event_verdicts[VerdictLabel.UNKNOWN] == 1, "its last run says nothing"


def test_the_local_judge_costs_nothing_and_is_not_started_for_an_estimate(deployment: Deployment) -> None:
    write(deployment, RUBRIC)
    report(deployment, run_id="r1")
    estimate = backtest(deployment).plan.estimate
    assert (estimate.calls, estimate.usd, estimate.local, estimate.unpriced) == (1, Decimal(0), True, ())


def test_calls_are_paced_and_a_stop_ends_the_wait() -> None:
    async def begin() -> list[bool]:
        stopping, pace = asyncio.Event(), Pace(2)
        asyncio.get_running_loop().call_later(0.05, stopping.set)
        return [await pace.wait(stopping) for _ in range(3)]

    assert asyncio.run(begin()) == [True, True, False]


# with a model that is asked


@contextmanager
def asking(
    deployment: Deployment, tmp_path: Path, answers: Callable[[], tuple[int, str]], **changes: Any
) -> Iterator[Deployment]:
    """A deployment whose default judge is a server that answers so, with two tickets."""
    with model_that(answers) as address:
        other = Deployment(
            Settings(
                **{
                    **deployment.settings.model_dump(),
                    "judge_model": "openai/stub",
                    "judge_api_base": address,
                    **changes,
                }
            )
        )
        write(other, RUBRIC)
        for number in (1, 2):
            report(other, event_id=f"t{number}", run_id=f"r{number}", input=f"item-{number}")
        try:
            yield other
        finally:
            other.close()


@dataclass
class Counted:
    """Answers that are counted."""

    replies: list[tuple[int, str]]
    calls: int = 0

    def __call__(self) -> tuple[int, str]:
        self.calls += 1
        return self.replies[min(self.calls, len(self.replies)) - 1]


def graded(said: str = "pass") -> tuple[int, str]:
    return 200, json.dumps({"answers": {"evidence": [], "reasoning": "So it is.", "verdict": said}})


PRICES = {"judge_input_usd_per_mtok": 1_000_000.0, "judge_output_usd_per_mtok": 0.0}


def test_the_second_time_nothing_is_asked(deployment: Deployment, tmp_path: Path) -> None:
    model = Counted([graded()])
    with asking(deployment, tmp_path, model) as other:
        found = backtest(other).run()
        assert model.calls == 2
        assert backtest(other).plan.estimate.calls == 0
        again = backtest(other).run()
        assert model.calls == 2
        assert again.candidate.reused_judgements == 2
        assert again.candidate.run_verdicts == found.candidate.run_verdicts


def test_equal_content_is_asked_about_once(deployment: Deployment, tmp_path: Path) -> None:
    model = Counted([graded()])
    with asking(deployment, tmp_path, model, judge_concurrency=1) as other:
        report(other, event_id="t3", run_id="r3", input="item-1")
        tried = backtest(other)
        assert tried.plan.estimate.calls == 2
        assert tried.run().candidate.verdicts == 3
        assert model.calls == 2


def test_the_estimate_is_of_the_real_prompts_and_says_what_it_assumes(
    deployment: Deployment, tmp_path: Path
) -> None:
    with asking(deployment, tmp_path, Counted([graded()])) as other:
        estimate = backtest(other).plan.estimate
        [one] = estimate.versions
        assert one.calls == 2
        assert 200 < one.input_tokens < 1000
        assert one.output_tokens == 2 * 80
        assert (estimate.usd, estimate.unpriced) == (None, ("openai/stub",)), "unpriced is never $0"
        assert estimate.assumed == ("openai/stub",)
        assert estimate.seconds is None, "nobody has called it yet"
        backtest(other).run()
        write(other, RUBRIC.replace("asked for", "wanted"))
        later = backtest(other, "links").plan.estimate
        assert later.assumed == ()
        assert later.seconds is not None


def test_the_price_is_known_from_the_settings(deployment: Deployment, tmp_path: Path) -> None:
    with asking(deployment, tmp_path, Counted([graded()]), **PRICES) as other:
        tried = backtest(other)
        assert tried.plan.estimate.usd == tried.plan.estimate.versions[0].input_tokens
        found = tried.run()
        assert found.cost_usd == 2, "a dollar a token, and one token a call"
        assert found.candidate.cost_per_verdict_usd == 1
        with other.database.read() as connection:
            [kept] = backtests.backtests_of(connection, "links")
        assert (kept.cost_usd, kept.done, kept.planned) == (Decimal(2), 2, 2)


def test_it_stops_before_more_is_spent_than_allowed(deployment: Deployment, tmp_path: Path) -> None:
    model = Counted([graded()])
    with asking(deployment, tmp_path, model, **PRICES) as other:
        found = backtest(other).run(max_usd="1")
        assert model.calls == 0, "the most that one call can cost does not fit"
        assert found.state == BacktestState.STOPPED
        assert "--max-usd 1" in (found.stopped_because or "")
        assert found.candidate.unfinished == 2
        assert backtest(other).run(max_usd="100000").state == BacktestState.DONE


def test_without_a_price_a_limit_is_refused(deployment: Deployment, tmp_path: Path) -> None:
    with (
        asking(deployment, tmp_path, Counted([graded()])) as other,
        pytest.raises(BadInput, match="openai/stub has no known price, so --max-usd cannot be kept"),
    ):
        backtest(other).run(max_usd="1")


def test_a_key_that_is_refused_stops_it_with_the_reason_and_asking_again_goes_on(
    deployment: Deployment, tmp_path: Path
) -> None:
    model = Counted([graded(), (401, "no"), graded()])
    with asking(deployment, tmp_path, model, judge_concurrency=1) as other:
        stopped = backtest(other).run()
        assert stopped.state == BacktestState.STOPPED
        assert "does not accept the API key" in (stopped.stopped_because or "")
        assert (stopped.candidate.verdicts, stopped.candidate.unfinished) == (1, 1)
        found = backtest(other).run()
        assert (found.state, found.candidate.verdicts, model.calls) == (BacktestState.DONE, 2, 3)
        assert count(other, "backtest") == 1, "the same backtest went on"


def test_a_failure_is_a_row_with_its_reason_and_tried_again_when_asked(
    deployment: Deployment, tmp_path: Path
) -> None:
    model = Counted([(503, "busy"), graded()])
    with asking(deployment, tmp_path, model, judge_attempts=1, judge_concurrency=1) as other:
        watch = Watched()
        found = backtest(other).run(watch)
        assert found.state == BacktestState.DONE
        assert found.candidate.not_evaluable == {"provider_error": 1}
        assert found.candidate.run_verdicts[VerdictLabel.FAIL] == 0
        assert any("overloaded or down" in line for line in watch.lines)
        again = backtest(other).run()
        assert (again.candidate.verdicts, model.calls) == (2, 3)


def test_a_judge_that_never_answers_stops_it(deployment: Deployment, tmp_path: Path) -> None:
    with asking(deployment, tmp_path, Counted([(503, "busy")]), judge_attempts=1, judge_concurrency=1) as other:
        for number in range(3, 9):
            report(other, event_id=f"t{number}", run_id=f"r{number}", input=f"item-{number}")
        found = backtest(other).run()
        assert found.state == BacktestState.STOPPED
        assert "overloaded" in (found.stopped_because or "")
        assert found.candidate.not_evaluable == {"provider_error": 3}


def test_a_reply_nobody_can_read_is_not_asked_for_again(deployment: Deployment, tmp_path: Path) -> None:
    model = Counted([(200, "no JSON")])
    with asking(deployment, tmp_path, model) as other:
        assert backtest(other).run().candidate.not_evaluable == {"unparsable": 2}
        asked = model.calls
        assert backtest(other).run().candidate.not_evaluable == {"unparsable": 2}
        assert model.calls == asked


def test_a_failed_critical_criterion_goes_to_the_stronger_judge_whose_word_stands(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Counted([graded("fail"), graded("pass")])
    with asking(deployment, tmp_path, model, judge_concurrency=1) as other:
        monkeypatch.setenv("OPENAI_BASE_URL", other.settings.judge_api_base)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        write(other, RUBRIC + "escalate: {{to: openai/strong, when: [critical_fail]}}\n")
        tried = backtest(other, last=1)
        assert [(one.judge, one.most_calls) for one in tried.plan.estimate.escalations] == [("openai/strong", 1)]
        watch = Watched()
        found = tried.run(watch)
        assert found.candidate.run_verdicts[VerdictLabel.PASS] == 1
        assert (watch.moves[-1].done, watch.moves[-1].planned) == (3, 3)
        with other.database.read() as connection:
            kept = backtests.verdicts_of(connection, found.backtest_id)
            [whole] = backtests.backtests_of(connection)
        assert sorted((row.judge, row.escalated) for row in kept) == [
            ("openai/strong", True),
            ("openai/stub", False),
            ("openai/stub", False),
        ]
        assert (whole.done, whole.planned) == (3, 3)
        backtest(other, last=1).run()
        assert model.calls == 2, "neither is asked again"


def test_the_purse_knows_what_the_stronger_judge_would_be_sent(deployment: Deployment, tmp_path: Path) -> None:
    with asking(
        deployment, tmp_path, Counted([graded("fail")]), judge_input_usd_per_mtok=0, judge_output_usd_per_mtok=0
    ) as other:
        report(other, event_id="t3", run_id="r3", input="words " * 2_000)
        backtest(other).run()
        write(other, RUBRIC + "escalate: {{to: openai/gpt-4.1, when: [critical_fail]}}\n")
        tried = backtest(other, last=1)
        assert tried.plan.estimate.calls == 0, "the rubric's own judge has answered"
        spec = tried.versions.candidate.rubric.stronger_judge
        assert spec is not None
        of_the_reply = tried.plan.prices["openai/gpt-4.1"](100, spec.max_tokens)
        assert of_the_reply is not None
        found = tried.run(max_usd=str(2 * of_the_reply))
        assert found.stopped_because is not None
        assert found.stopped_because.startswith("The next call could exceed --max-usd")


def test_another_judge_may_stand_in_for_both(deployment: Deployment, tmp_path: Path) -> None:
    with asking(deployment, tmp_path, Counted([graded()])) as other:
        tried = backtest(other, judge="openai/other")
        assert tried.plan.judges == {tried.versions.candidate.rubric.version: ("openai/other",)}
        assert tried.plan.fingerprint != backtest(other).plan.fingerprint


def test_the_same_backtest_does_not_run_twice_at_once(links: Deployment) -> None:
    tried, second = backtest(links), backtest(links)

    class Other(Watched):
        def moved(self, seen: Moved) -> None:
            with ThreadPoolExecutor(1) as elsewhere, pytest.raises(Conflict, match="running already"):
                elsewhere.submit(second.run).result()
            super().moved(seen)

    watch = Other()
    tried.run(watch)
    assert len(watch.moves) == 3


def test_progress_counts_to_the_end(links: Deployment) -> None:
    write(links, STRICTER)
    watch = Watched()
    backtest(links).run(watch)
    assert [(seen.done, seen.planned) for seen in watch.moves] == [(number, 6) for number in range(1, 7)]


def test_who_opened_the_lock_before_it_was_given_back_holds_the_same_one(deployment: Deployment) -> None:
    with _only_one(deployment, "b1"):
        (path,) = (deployment.settings.data_dir / "backtests").iterdir()
        early = path.open()
    with early:
        flock(early, LOCK_EX | LOCK_NB)
        with pytest.raises(Conflict, match="running already"), _only_one(deployment, "b1"):
            pass
