"""The example app sends real OTLP to a real server."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from sdk.example_app.__main__ import main
from sdk.example_app.app import NotSent, send
from sdk.example_app.corpus import CorpusRun, read_corpus

NOW = datetime(2026, 3, 4, 15, 30, tzinfo=UTC)
RUNS = {run.id: run for event in read_corpus() for run in event.runs}
KEY = "adj_test"


@dataclass
class Collector:
    """An OTLP server that keeps what it was sent."""

    url: str = ""
    status_for_spans: int = 200
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def take(self, headers: dict[str, str], body: bytes) -> int:
        if headers.get("x-api-key") != KEY:
            return 401
        if not body:
            return 200
        self.requests.append((headers, body))
        return self.status_for_spans

    @property
    def arrivals(self) -> list[dict[str, Any]]:
        """Every span in the order it came in."""
        return [span for number, (_, body) in enumerate(self.requests) for span in _spans(number, body)]


def _spans(number: int, body: bytes) -> Iterator[dict[str, Any]]:
    request = ExportTraceServiceRequest.FromString(gzip.decompress(body))
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield {
                    "request": number,
                    "name": span.name,
                    "key": (span.trace_id.hex(), span.span_id.hex()),
                    "trace": span.trace_id.hex(),
                    "parent": span.parent_span_id.hex(),
                    "start": span.start_time_unix_nano,
                    "end": span.end_time_unix_nano,
                    "status": span.status.code,
                    "span_events": [each.name for each in span.events],
                    "said": {each.key: _plain(each.value) for each in span.attributes},
                }


def _plain(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value"))


@contextmanager
def collecting(status_for_spans: int = 200) -> Iterator[Collector]:
    collector = Collector(status_for_spans=status_for_spans)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"] or 0))
            self.send_response(collector.take({k.lower(): v for k, v in self.headers.items()}, body))
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    collector.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def sent() -> Collector:
    with collecting() as collector:
        send(collector.url, KEY, lambda done, total: None, now=NOW)
    return collector


def _root(sent: Collector, run: CorpusRun) -> dict[str, Any]:
    return next(s for s in _of(sent, run) if s["name"].startswith("botanu.run/"))


def _of(sent: Collector, run: CorpusRun) -> list[dict[str, Any]]:
    return [span for span in sent.arrivals if span["said"].get("botanu.run_id") == run.run_id]


def test_every_request_carries_the_key_and_is_gzipped_protobuf(sent: Collector) -> None:
    for headers, body in sent.requests:
        assert headers["x-api-key"] == KEY
        assert headers["content-encoding"] == "gzip"
        assert headers["content-type"] == "application/x-protobuf"
        assert body.startswith(b"\x1f\x8b")


def test_children_arrive_in_an_earlier_request_than_their_root(sent: Collector) -> None:
    first = {span["key"][1]: span["request"] for span in reversed(sent.arrivals)}
    late = {span["key"] for span in _of(sent, RUNS["s20"])}
    children = [s for s in sent.arrivals if s["parent"] in first and s["key"] not in late]
    roots = [s for s in children if not _is_root_of_its_own(s)]
    assert len(roots) > 100
    for span in roots:
        outermost = _outermost(sent, span)
        if outermost is not None:
            assert span["request"] < outermost["request"]


def _is_root_of_its_own(span: dict[str, Any]) -> bool:
    return str(span["name"]).startswith("botanu.run/")


def _outermost(sent: Collector, span: dict[str, Any]) -> dict[str, Any] | None:
    """The last-arriving copy of the trace's root, or None where the process died before sending it."""
    return next((s for s in reversed(sent.arrivals) if s["trace"] == span["trace"] and not s["parent"]), None)


def test_every_run_arrives_and_only_crashed_ones_lack_their_root(sent: Collector) -> None:
    for run in (run for run in RUNS.values() if run.speaks_botanu):
        has_root = any(_is_root_of_its_own(span) for span in _of(sent, run))
        assert has_root is not run.crashed
        assert _of(sent, run), run.id


def test_one_request_arrives_twice_and_nothing_else_does(sent: Collector) -> None:
    bodies = Counter(gzip.decompress(body) for _, body in sent.requests)
    assert sorted(bodies.values())[-2:] == [1, 2]
    repeated = Counter(span["key"] for span in sent.arrivals)
    twice = next(body for body, times in bodies.items() if times == 2)
    assert sum(times > 1 for times in repeated.values()) == len(list(_spans(0, gzip.compress(twice))))


def test_the_late_span_comes_after_every_root(sent: Collector) -> None:
    last = sent.arrivals[-1]
    assert last["said"]["botanu.run_id"] == RUNS["s20"].run_id
    assert last["name"] == "db.postgresql.select"
    assert last["request"] > _root(sent, RUNS["s20"])["request"]


def test_sending_again_the_same_day_sends_the_same_spans(sent: Collector) -> None:
    with collecting() as again:
        send(again.url, KEY, lambda done, total: None, now=NOW.replace(hour=22))
    before = {span["key"]: {k: v for k, v in span.items() if k != "request"} for span in sent.arrivals}
    after = {span["key"]: {k: v for k, v in span.items() if k != "request"} for span in again.arrivals}
    assert before == after


def test_spans_end_after_they_start_and_in_the_past(sent: Collector) -> None:
    now = int(NOW.timestamp()) * 10**9
    assert all(now - 4 * 86_400 * 10**9 < s["start"] <= s["end"] < now for s in sent.arrivals)


def test_a_decorated_run_carries_its_content_on_the_root(sent: Collector) -> None:
    said = _root(sent, RUNS["s01"])["said"]
    assert said["botanu.workflow"] == "Support"
    assert said["botanu.event_id"] == "ZD-48201"
    assert said["botanu.correlation.zendesk_ticket_id"] == "48201"
    assert said["botanu.outcome.confidence"] == 0.93
    assert re.match(r'\{"question": "Hi, the zipper', said["botanu.eval.input_content"])


def test_a_half_pair_arrives_as_half(sent: Collector) -> None:
    model = next(s for s in _of(sent, RUNS["s10"]) if s["name"].startswith("chat "))
    assert "botanu.eval.input_content" in model["said"]
    assert "botanu.eval.output_content" not in model["said"]
    assert not any("botanu.eval.input_content" in s["said"] for s in _of(sent, RUNS["s14"]))


def test_long_content_is_cut_where_the_client_cuts_it(sent: Collector) -> None:
    assert len(_root(sent, RUNS["s15"])["said"]["botanu.eval.input_content"]) == 4096
    assert len(_root(sent, RUNS["x06"])["said"]["botanu.eval.output_content"]) == 4096


def test_a_failed_run_says_so_as_clients_do(sent: Collector) -> None:
    root = _root(sent, RUNS["s13a"])
    assert root["status"] == 2
    assert root["span_events"] == [
        "botanu.run.started",
        "botanu.outcome_emitted",
        "exception",
        "botanu.run.completed",
    ]


def test_a_sub_agents_run_hangs_below_its_callers(sent: Collector) -> None:
    caller, called = _root(sent, RUNS["s21"]), _root(sent, RUNS["x13"])
    assert called["parent"] == caller["key"][1]
    assert called["trace"] == caller["trace"]
    assert called["said"]["botanu.parent_run_id"] == RUNS["s21"].run_id


def test_one_event_id_is_a_number_on_the_wire(sent: Collector) -> None:
    assert _root(sent, RUNS["f04"])["said"]["botanu.event_id"] == 300417


def test_the_truth_and_the_corpus_ids_never_leave(sent: Collector) -> None:
    for span in sent.arrivals:
        assert not any("truth" in name or "shows" in name for name in span["said"])


def test_progress_ends_at_all_runs() -> None:
    seen: list[tuple[int, int]] = []
    with collecting() as collector:
        send(collector.url, KEY, lambda done, total: seen.append((done, total)), now=NOW)
    assert seen[-1] == (len(RUNS), len(RUNS))
    assert seen == sorted(seen)


def test_a_wrong_key_is_said_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with collecting() as collector:
        assert main(["--endpoint", collector.url, "--key", "adj_wrong"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "The server refuses this key (HTTP 401): it has to be active, with the scope ingest."
    ]


def test_no_server_is_said_in_one_line() -> None:
    command = [sys.executable, "-m", "sdk.example_app", "--endpoint", "http://127.0.0.1:1", "--key", KEY]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        "No server answers at http://127.0.0.1:1/v1/traces; start one with `adjudge serve`."
    ]


def test_an_address_that_is_none_is_said_in_one_line() -> None:
    with pytest.raises(NotSent, match="cannot be used"):
        send("localhost:8700", KEY, lambda done, total: None)


def test_a_server_that_stops_taking_spans_is_said() -> None:
    with collecting(status_for_spans=400) as collector, pytest.raises(NotSent, match="stopped taking spans"):
        send(collector.url, KEY, lambda done, total: None)
