"""Reviewing: 200 people claim and answer 10,000 items over the API; none twice, none lost, and how fast."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text

from benchmarks.figures import Figure
from benchmarks.load import empty_database, environment, run_to_judge, words_of
from benchmarks.reviewers import ANSWERS, Heard
from benchmarks.servers import adjudge, free_port, served
from evaluator import pipeline
from evaluator.capture.assembly import AssembledRun
from evaluator.deployment import Deployment
from evaluator.model.api_key import Scope
from evaluator.model.capture import Capture, Fidelity, Passage
from evaluator.model.columns import utc_now
from evaluator.model.judgement import Judgement
from evaluator.model.person import Person, PersonRole
from evaluator.model.rubric import Rubric
from evaluator.model.verdict import CriterionLabel, CriterionVerdict, Verdict, VerdictLabel
from evaluator.settings import Settings
from evaluator.store import judgements as queue
from evaluator.store.api_keys import issue_key
from evaluator.store.database import Connection
from evaluator.store.people import add_person, new_person_id

ITEMS = 10_000
REVIEWERS = 200
PANES = 60
"""Items with large panes, answered one after the other."""
PANE_CHARS = 32_000
ATTEMPTS = 3
AT_ONCE = 250
THINK_SECONDS = 10.0
"""What a person takes over an item on average, where they are not all as fast as they can be; 360 items an hour."""
PACED_SECONDS = 60.0
SERVERS = 2
"""Server processes that the reviewers are spread over; one alone is bound by one core."""
MOST_PACED_MS = 250
"""Of claim and answer each, at the pace of people: nobody waits for what they notice."""
LEAST_OF_BARE = 0.1
"""Of the bare handlers' rate, which keep no acts, signals and outcomes, show nothing and ask for no key."""

RUBRIC = """\
id: load
title: Does the answer help?
role: outcome
criteria:
  - {id: solves, ask: Does the answer solve the stated problem?, weight: 2}
  - {id: kind, ask: Is the answer kind?}
verdict: {pass_at: 0.75, partial_at: 0.5}
review: {audit_rate: 0.3, send: [near_threshold]}
"""


@dataclass(frozen=True)
class Counted:
    """What the database holds after all have answered."""

    reviews: int
    doubled: int
    """Items with more than one review."""
    undone: int
    """Items that are not done."""
    missing: int
    """Reviews that were acknowledged and are not there."""
    failed: int
    """Requests that were refused."""

    @property
    def lost(self) -> int:
        return self.undone + self.missing + self.failed


def measure(
    database_url: str,
    *,
    items: int = ITEMS,
    reviewers: int = REVIEWERS,
    paced_seconds: float = PACED_SECONDS,
    servers: int = SERVERS,
) -> list[Figure]:
    """Everybody at once, barely and as the service does; then one person alone with large panes. PostgreSQL only.

    The service's reviewers first work at the pace of people for a while, then all as fast as they can.
    """
    with tempfile.TemporaryDirectory() as folder:
        bare = _bare(database_url, items, reviewers)
        paced, heard, counted = _ours(Path(folder), database_url, items, reviewers, paced_seconds, servers)
        alone = _alone(Path(folder), database_url)
    per_second, bare_per_second = len(heard.items) / heard.seconds, len(bare.items) / bare.seconds
    name = f"reviewing, {reviewers} people"
    return [
        Figure(f"{name}: items reviewed twice", counted.doubled, "=", 0),
        Figure(f"{name}: items lost or left", counted.lost, "=", 0),
        Figure(f"{name}: reviews kept", counted.reviews, "=", items),
        Figure(f"{name}: items acknowledged", len({*paced.items, *heard.items}), "=", items),
        Figure(f"{name}: claims and answers a second", per_second),
        Figure(f"{name}: the same by bare handlers", bare_per_second),
        Figure(f"{name}: ÷ bare handlers", per_second / bare_per_second, "≥", LEAST_OF_BARE),
        *_latencies(f"{name} at {THINK_SECONDS:g} s an item", paced, MOST_PACED_MS),
        *_latencies(f"{name} as fast as they can", heard),
        Figure(f"{name}: bare claim p95, ms", percentile(bare.claims, 95)),
        Figure(f"{name}: bare answer p95, ms", percentile(bare.submits, 95)),
        Figure("reviewing, alone, 32 KB panes: answer + next item p50, ms", percentile(alone, 50)),
        Figure("reviewing, alone, 32 KB panes: answer + next item p95, ms", percentile(alone, 95), "≤", 40),
    ]


def _latencies(name: str, heard: Heard, most: float | None = None) -> list[Figure]:
    return [
        Figure(f"{name}: {act} p{percent}, ms", percentile(seconds, percent), "≤" if most else None, most)
        for act, seconds in (("claim", heard.claims), ("answer", heard.submits))
        for percent in (50, 95)
    ]


def percentile(seconds: Sequence[float], percent: int) -> float:
    """In milliseconds, by nearest rank."""
    ordered = sorted(seconds)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] * 1000


def _bare(database_url: str, items: int, reviewers: int) -> Heard:
    port = free_port()
    empty_database(database_url)
    url = Settings(database_url=database_url).resolved_database_url
    with served(["-m", "benchmarks.bare_reviews", url, str(items), str(port)], port, "/healthz") as server:
        return _everybody([server.url], [str(number) for number in range(reviewers)], bare=True)


def _everybody(
    urls: Sequence[str], keys: Sequence[str], *, bare: bool = False, think: float = 0.0, seconds: float = 3600.0
) -> Heard:
    """All reviewers in one process of their own, spread over the servers."""
    asked = {"urls": list(urls), "keys": list(keys), "bare": bare, "think": think, "seconds": seconds}
    task = json.dumps(asked) + "\n"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.reviewers"], input=task, stdout=subprocess.PIPE, text=True, check=True
    )
    return Heard(**json.loads(done.stdout.splitlines()[-1]))


def _ours(
    folder: Path, database_url: str, items: int, reviewers: int, paced_seconds: float, servers: int
) -> tuple[Heard, Heard, Counted]:
    deployment, variables = prepared(folder, database_url)
    try:
        bring_in(deployment, [run_to_judge(number, runs_per_event=1) for number in range(items)])
        keys = people(deployment, reviewers)
        with ExitStack() as stack:
            urls = []
            for _ in range(servers):
                port = free_port()
                command = adjudge(port, "--no-worker")
                urls.append(stack.enter_context(served(command, port, "/healthz", variables)).url)
            paced = _everybody(urls, keys, think=THINK_SECONDS, seconds=paced_seconds)
            heard = _everybody(urls, keys)
        return paced, heard, _counted(deployment, [paced, heard])
    finally:
        deployment.close()


def _alone(folder: Path, database_url: str) -> list[float]:
    """Seconds from sending an answer until the next item is there, over HTTP on loopback."""
    deployment, variables = prepared(folder, database_url)
    try:
        bring_in(deployment, [_attempt(event, attempt) for event in range(PANES) for attempt in range(ATTEMPTS)])
        [key] = people(deployment, 1)
        port = free_port()
        with served(adjudge(port, "--no-worker"), port, "/healthz", variables) as server:
            return _answered_one_by_one(server.url, key)
    finally:
        deployment.close()


def _answered_one_by_one(url: str, key: str) -> list[float]:
    took: list[float] = []
    held = _post(f"{url}/v1/review/next", {}, key)
    while held["claim"]:
        sheet = held["sheet"]
        body = {
            "token": held["claim"]["token"],
            "form_key": sheet["form_key"],
            "rubric_version": sheet["rubric"]["version"],
            "shown": sheet["shown"],
            "answers": ANSWERS,
            "next": True,
        }
        began = time.perf_counter()
        held = _post(f"{url}/v1/review/items/{sheet['item']['item_id']}/verdict", body, key)["next"]
        took.append(time.perf_counter() - began)
    return took[5:]


def _post(url: str, body: dict[str, Any], key: str) -> dict[str, Any]:
    headers = {"x-api-key": key, "content-type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers)) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def prepared(folder: Path, database_url: str = "") -> tuple[Deployment, dict[str, str]]:
    """An empty deployment with a rubric, and the variables of a server on it; SQLite where no database is named."""
    if database_url:
        empty_database(database_url)
    variables = environment(folder, "http://127.0.0.1:9/v1", database_url=database_url)
    (folder / "rubrics" / "load.yaml").write_text(RUBRIC)
    settings = Settings(
        data_dir=folder / "data",
        rubrics_dir=folder / "rubrics",
        database_url=database_url,
        judge_model="openai/stub",
        judge_api_base="http://127.0.0.1:9/v1",
        judge_concurrency=AT_ONCE,
    )
    return Deployment(settings).migrate(), variables


def people(deployment: Deployment, number: int) -> list[str]:
    """So many reviewers' keys."""

    def act(connection: Connection) -> list[str]:
        keys = []
        for place in range(number):
            person = Person(
                person_id=new_person_id(),
                login=f"reviewer-{place}@example.com",
                name=f"Reviewer {place}",
                role=PersonRole.REVIEWER,
            )
            add_person(connection, person)
            key, _ = issue_key(
                connection,
                name=person.name,
                scopes=[Scope.REVIEW],
                actor="bench",
                person_id=person.person_id,
            )
            keys.append(key)
        return keys

    return deployment.database.transact(act)


def bring_in(deployment: Deployment, runs: Sequence[AssembledRun]) -> None:
    """Report the runs and settle each judgement with a verdict that the review policy sends to people."""
    for start in range(0, len(runs), AT_ONCE):
        pipeline.report_runs(deployment, list(runs[start : start + AT_ONCE]))
        while batches := pipeline.hand_out(deployment, utc_now()):
            for batch in batches:
                _settle(deployment, batch)


def _settle(deployment: Deployment, batch: pipeline.Batch) -> None:
    def take(connection: Connection) -> list[Judgement]:
        return queue.take_up(connection, batch.ids, batch.token, utc_now() + timedelta(minutes=1))

    taken = deployment.database.transact(take)
    rubrics = deployment.rubric_versions({one.rubric_version for one in taken})
    settled = [queue.Settlement(one, verdict=_verdict(one, rubrics[one.rubric_version])) for one in taken]
    pipeline.settle(deployment, settled)


def _verdict(judgement: Judgement, rubric: Rubric) -> Verdict:
    """Two thirds of the weight: near the threshold, so the policy sends it."""
    labels = (CriterionLabel.PASS, CriterionLabel.FAIL)
    answers = [
        CriterionVerdict(id=criterion.id, verdict=label, reasoning="It names the day.")
        for criterion, label in zip(rubric.criteria, labels, strict=True)
    ]
    return Verdict(
        verdict_id=f"v{judgement.judgement_id}",
        judgement_id=judgement.judgement_id,
        event_id=judgement.event_id,
        run_id=judgement.run_id,
        rubric_id=judgement.rubric_id,
        rubric_version=judgement.rubric_version,
        verdict=VerdictLabel.PARTIAL,
        score=2 / 3,
        criteria=[one.model_dump(mode="json") for one in answers],
        summary="pass: solves; fail: kind",
        judge=judgement.judge,
        fingerprint="f" * 16,
        content_hash=judgement.content_hash,
        repeat=judgement.repeat,
        calls=1,
    )


def _attempt(event: int, attempt: int) -> AssembledRun:
    """One of the attempts of an event, with 32 KB on each side."""
    number = 10**6 + event * ATTEMPTS + attempt
    one = run_to_judge(number, runs_per_event=ATTEMPTS)
    capture = Capture(
        input=Passage(value=words_of(number, PANE_CHARS), fidelity=Fidelity.FULL, dialect="report"),
        output=Passage(value=words_of(-number, PANE_CHARS), fidelity=Fidelity.FULL, dialect="report"),
    )
    run = one.run.model_copy(update={"event_id": f"panes-{event}", "content_hash": capture.content_hash})
    return AssembledRun(run=run, capture=capture)


def _counted(deployment: Deployment, everybody: Sequence[Heard]) -> Counted:
    with deployment.database.read() as connection:

        def one(query: str) -> int:
            return int(connection.execute(text(query)).scalar_one())

        kept = set(connection.execute(text("SELECT review_id FROM review")).scalars())
        return Counted(
            reviews=len(kept),
            doubled=one("SELECT count(*) FROM (SELECT item_id FROM review GROUP BY item_id HAVING count(*) > 1) t"),
            undone=one("SELECT count(*) FROM review_item WHERE state <> 'done'"),
            missing=len({review for heard in everybody for review in heard.reviews} - kept),
            failed=sum(len(heard.failed) for heard in everybody),
        )
