"""The demo: a corpus sent as a real app sends it, judged the real way, in a data folder of its own."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from math import sqrt
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from evaluator.console import JudgingView, err, out, outcomes_table
from evaluator.deployment import Deployment
from evaluator.errors import AdjudgeError, Misconfigured
from evaluator.judging.endpoint import DEFAULT, model_named
from evaluator.model.api_key import Scope
from evaluator.model.columns import utc_now
from evaluator.model.rubric import Role
from evaluator.model.verdict import VerdictLabel
from evaluator.settings import Settings, load_settings
from evaluator.settlement import standing_of
from evaluator.situation import Situation, judge_label, situation_of
from evaluator.store.api_keys import issue_key, revoke_key
from evaluator.store.database import Connection
from evaluator.store.event_list import EventLine, list_events
from evaluator.store.outcomes import taken_runs
from evaluator.store.waiting_reviews import WaitingReviews, waiting_reviews
from evaluator.wording import DECIDED_BY, counts, judging_dollars, plural
from review_ui.demo_visit import open_for_a_person, visit_link
from review_ui.serving import Running, running

IDLE_SECONDS = 6.0
"""The corpus has a run whose process died; nobody wants to wait five minutes for it."""
MOST_EVENTS = 10_000


def run_demo(*, stay: bool, port: int, ending: threading.Event) -> None:
    """Fetch the judge where it is missing, send, judge, show; run again it changes nothing."""
    settings = demo_settings(port)
    if model_named(DEFAULT, settings) is None:
        fetch_weights(settings.models_dir)
    with running(settings, with_worker=True) as server:
        err.print(f"Adjudge is at {server.address}, its data in {settings.data_dir}", highlight=False)
        send_corpus(server)
        judge_and_show(server.deployment, ending)
        if stay and not ending.is_set():
            invite(server)
            server.wait(ending)


def invite(server: Running) -> None:
    """Where to see it and review, in the browser at once where there is one."""
    link = visit_link(server.deployment, server.address)
    out.print(
        "\nThe same as pages, and what waits for review, signed in as Demo; the link works once, on this machine:"
    )
    out.print(link, highlight=False, soft_wrap=True)
    if open_for_a_person(link):
        err.print("Opened in the browser.")
    err.print("Ctrl+C ends the demo; run again it prints a new link.")


def fetch_weights(folder: Path) -> None:
    """The local judge's weights, unless they are there."""
    from evaluator.judging.weights import find_weights, pull_with_progress

    try:
        find_weights(folder)
    except Misconfigured:
        pull_with_progress(folder)


def demo_settings(port: int) -> Settings:
    """The environment's settings with a data folder, a database and a port of the demo's own."""
    given = load_settings()
    rubrics = given.rubrics_dir
    if not rubrics.is_dir():
        rubrics = Path(__file__).resolve().parent.parent / "rubrics"
    return load_settings(
        data_dir=given.data_dir / "demo",
        database_url="",
        body_store_url="",
        rubrics_dir=rubrics,
        public_url="",
        oidc_issuer="",
        review_webhook_url="",  # nobody else is told of the demo's reviews
        smtp_url="",
        host="127.0.0.1",
        port=port,
        idle_timeout_seconds=IDLE_SECONDS,
    )


def send_corpus(server: Running) -> None:
    """Spans over OTLP and signals over the API, with a key that is revoked once they are sent."""
    try:
        from sdk.example_app.app import NotSent, send
    except ImportError as missing:
        raise Misconfigured(
            f"The demo's app needs {missing.name}.",
            hint="Install Adjudge with its extra: pip install 'adjudge[demo]'.",
        ) from None
    database = server.deployment.database
    key, stored = database.transact(
        lambda connection: issue_key(connection, name="demo", scopes=[Scope.INGEST, Scope.REPORT], actor="demo")
    )
    columns = (TextColumn("sending runs"), BarColumn(), MofNCompleteColumn())
    try:
        with Progress(*columns, console=err, disable=not err.is_terminal) as bars:
            task = bars.add_task("sending runs", total=None)
            send(server.address, key, lambda sent, total: bars.update(task, completed=sent, total=total))
        taken, known = _report_signals(server.address, key)
    except NotSent as problem:
        raise AdjudgeError(str(problem)) from None
    finally:
        database.transact(lambda connection: revoke_key(connection, stored.hint, utc_now()))
    err.print(f"Sent over OTLP; {taken} signals of systems of record reported, {known} known already.")


def _report_signals(address: str, key: str) -> tuple[int, int]:
    """Post what systems of record say; how many were taken, and how many an earlier day's demo reported already."""
    import httpx

    from sdk.example_app.corpus import signals

    told: Counter[int] = Counter()
    with httpx.Client(base_url=address, headers={"x-api-key": key}, trust_env=False, timeout=30) as client:
        for event_id, body in signals(utc_now()):
            answer = client.post(f"/v1/events/{event_id}/signals", json=body)
            if answer.status_code not in (HTTPStatus.OK, HTTPStatus.CONFLICT):
                raise AdjudgeError(
                    f"The signal for {event_id} was answered {answer.status_code}: {answer.text[:300]}"
                )
            told[answer.status_code] += 1
    return told[HTTPStatus.OK], told[HTTPStatus.CONFLICT]


def judge_and_show(deployment: Deployment, ending: threading.Event) -> None:
    """Follow judging to its end, then the table of events and what it comes to."""
    settings = deployment.settings
    err.print(f"Judge: {judge_label(DEFAULT, settings)}", highlight=False)
    JudgingView(deployment, wait_for_open_runs=True, ending=ending).follow()
    with deployment.database.read() as connection:
        lines = list_events(connection, limit=MOST_EVENTS)
        verdicts = outcome_verdicts(connection, deployment, [line.event.event_id for line in lines])
        reviews = waiting_reviews(connection, overdue_before=utc_now() - timedelta(hours=settings.review_sla_hours))
    lines.sort(key=lambda line: (line.event.workflow, line.event.event_id))
    out.print()
    out.print(outcomes_table(lines))
    print_summary(lines, situation_of(deployment, utc_now()))
    print_agreement(verdicts)
    print_reviews(reviews)


def print_reviews(reviews: Sequence[WaitingReviews]) -> None:
    """How many events wait for people, by rubric."""
    by_rubric: Counter[str] = Counter()
    for one in reviews:
        by_rubric[one.rubric_id] += one.waiting
    told = ", ".join(f"{number} of {rubric}" for rubric, number in sorted(by_rubric.items()))
    waiting = plural(by_rubric.total(), "review")
    out.print(f"[bold]For people:[/] {waiting} waiting{f': {told}' if told else ''}", highlight=False)


def print_summary(lines: Sequence[EventLine], situation: Situation) -> None:
    """How the events came out, who decided, what could not be judged, and what judging cost."""
    outcomes = Counter(str(line.outcome.final_outcome) if line.outcome else "pending" for line in lines)
    deciders = Counter(DECIDED_BY[line.outcome.decided_by] if line.outcome else "—" for line in lines)
    pending = deciders.pop("—", 0)
    out.print(f"\n[bold]{len(lines)} events:[/] {counts(outcomes)}", highlight=False)
    out.print(f"[bold]Decided by:[/] {counts(deciders)}; {pending} still open", highlight=False)
    for line in situation.not_evaluable:
        out.print(f"[bold]Not evaluable:[/] {line.count} {line.what}: {line.why}", highlight=False)
    spent = judging_dollars(situation.spent_today_usd, situation.unpriced_calls_today)
    out.print(f"[bold]Spent on judging today:[/] {spent}, {plural(situation.calls_today, 'call')}", highlight=False)


def outcome_verdicts(
    connection: Connection, deployment: Deployment, event_ids: Sequence[str]
) -> dict[str, VerdictLabel]:
    """Run id → what the judge under the outcome rubric in force said of it."""
    deciding = {rubric.id for rubric in deployment.shelf.rubrics if rubric.role is Role.OUTCOME}
    taken = [one for one in taken_runs(connection, event_ids) if one.rubric_id in deciding]
    rubrics = deployment.rubric_versions({one.rubric_version for one in taken})
    said = {one.run_id: standing_of(one, rubrics[one.rubric_version])[0].verdict for one in taken}
    return {run_id: verdict for run_id, verdict in said.items() if verdict is not None}


@dataclass(frozen=True)
class Agreement:
    """How often a judge and a person said the same of a run."""

    agreed: int
    compared: int
    most_frequent: int
    """Runs that have the person's most frequent label: what always saying that one would have got right."""

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the rate of agreement (Wilson 1927)."""
        n, z = self.compared, 1.96
        rate = self.agreed / n
        middle = (rate + z * z / (2 * n)) / (1 + z * z / n)
        reach = z / (1 + z * z / n) * sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
        return middle - reach, middle + reach


def agreement(verdicts: Mapping[str, str], truths: Mapping[str, str]) -> Agreement | None:
    """Judge against person over the runs that both gave an answer to; None where there is none."""
    pairs = [(verdicts[run], truths[run]) for run in verdicts.keys() & truths.keys()]
    pairs = [pair for pair in pairs if VerdictLabel.UNKNOWN not in pair]
    if not pairs:
        return None
    (_, most_frequent), *_ = Counter(truth for _, truth in pairs).most_common(1)
    return Agreement(sum(said == truth for said, truth in pairs), len(pairs), most_frequent)


def print_agreement(verdicts: Mapping[str, str]) -> None:
    """How far this judge is to be trusted on this corpus, with its interval and what chance would give."""
    from sdk.example_app.corpus import truths

    found = agreement(verdicts, truths())
    if found is None:
        return
    low, high = found.interval
    out.print(
        f"[bold]Is the judge right?[/] It said what a careful person says on {found.agreed} of {found.compared} runs "
        f"({found.agreed / found.compared:.0%}; 95 % interval {low:.0%} to {high:.0%}). "
        f"Always giving the most frequent answer would be right on {found.most_frequent}.",
        highlight=False,
    )
