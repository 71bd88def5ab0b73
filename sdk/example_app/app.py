"""The example app: sends the corpus as OTLP the way a real app would, spans ending in the past three days."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import urlsplit

import requests
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from sdk.example_app.botanu_client import open_botanu_run
from sdk.example_app.corpus import CorpusEvent, CorpusRun, Form, day_of, read_corpus, started_at
from sdk.example_app.other_clients import open_gen_ai_run, open_openinference_run
from sdk.example_app.run_spans import CorpusIds, RunSpans

RUNS_PER_WAVE = 12
SERVICES = {"Support": "support-svc", "Fulfillment": "orders", "Extraction": "doc-intake"}
_TIMEOUT_SECONDS = 10


class NotSent(Exception):
    """The corpus did not reach the server; the message says in one line why and what to do."""


def send(endpoint: str, key: str, progress: Callable[[int, int], None], *, now: datetime | None = None) -> None:
    """Send the corpus, calling progress(runs sent, runs in all) after each wave.

    Children arrive before their roots, one request arrives twice and one span late. Ids follow from the corpus:
    sent again, it changes nothing. Raises NotSent.
    """
    url = f"{endpoint.rstrip('/')}/v1/traces"
    _knock(url, key)
    day = day_of(now or datetime.now(UTC))
    runs = list(_oldest_first(day))
    app = _App(url, key)
    try:
        for first in range(0, len(runs), RUNS_PER_WAVE):
            app.send_wave(runs[first : first + RUNS_PER_WAVE], day)
            progress(min(first + RUNS_PER_WAVE, len(runs)), len(runs))
        app.send_stragglers()
    finally:
        app.shutdown()


def _oldest_first(day: datetime) -> Iterator[tuple[CorpusEvent, CorpusRun]]:
    """Every run, oldest first; a sub-agent's run directly after the run that called it."""
    pairs = [(event, run) for event in read_corpus() for run in event.runs]
    called = {run.parent: (event, run) for event, run in pairs if run.parent}
    for event, run in sorted(pairs, key=lambda pair: started_at(pair[0], pair[1], day)):
        if run.parent is None:
            yield event, run
            if run.id in called:
                yield called[run.id]


def _open_run(
    provider: TracerProvider, event: CorpusEvent, run: CorpusRun, start: datetime, caller: RunSpans | None
) -> RunSpans:
    """Start every span of a run at its own past time; nothing is sent before they end."""
    if run.form is Form.OPENINFERENCE:
        return open_openinference_run(
            provider.get_tracer("openinference.instrumentation.langchain"), event, run, start
        )
    if run.form is Form.GEN_AI:
        return open_gen_ai_run(provider.get_tracer("opentelemetry.util.genai.handler"), event, run, start)
    return open_botanu_run(provider, event, run, start, caller)


class _Delivery(OTLPSpanExporter):
    """The OTLP exporter, which also remembers batches that did not arrive and can deliver one twice."""

    def __init__(self, url: str, key: str) -> None:
        super().__init__(
            endpoint=url,
            headers={"x-api-key": key},
            compression=Compression.Gzip,
            timeout=_TIMEOUT_SECONDS,
            session=_session(url),
        )
        self.refused = 0
        self._repeat_next = False

    def repeat_next(self) -> None:
        """Deliver the next batch twice, as a client does whose first answer got lost."""
        self._repeat_next = True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        times = 2 if self._repeat_next else 1
        self._repeat_next = False
        results = [super(_Delivery, self).export(spans) for _ in range(times)]
        self.refused += sum(result is not SpanExportResult.SUCCESS for result in results)
        return results[-1]


class _App:
    """Three services, each with an OpenTelemetry pipeline of its own, on one clock and one id sequence."""

    def __init__(self, url: str, key: str) -> None:
        self._ids = CorpusIds()
        self._deliveries = {workflow: _Delivery(url, key) for workflow in SERVICES}
        self._providers = {workflow: self._provider(workflow) for workflow in SERVICES}
        self._open: dict[str, RunSpans] = {}
        self._deliveries["Support"].repeat_next()

    def _provider(self, workflow: str) -> TracerProvider:
        resource = Resource.create(
            {"service.name": SERVICES[workflow], "telemetry.sdk.name": "botanu", "telemetry.sdk.language": "python"}
        )
        provider = TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False, id_generator=self._ids)
        provider.add_span_processor(BatchSpanProcessor(self._deliveries[workflow]))
        return provider

    def send_wave(self, runs: Sequence[tuple[CorpusEvent, CorpusRun]], day: datetime) -> None:
        """Two requests per service: first what ended inside the runs, then the runs themselves."""
        wave = [self._start(event, run, day) for event, run in runs]
        for spans in wave:
            spans.end_children()
        self._flush()
        for spans in reversed(wave):
            spans.end_root()
        self._flush()

    def send_stragglers(self) -> None:
        """Spans that were still on their way when their root had long arrived."""
        for spans in self._open.values():
            spans.end_late()
        self._flush()

    def shutdown(self) -> None:
        for provider in self._providers.values():
            provider.shutdown()

    def _start(self, event: CorpusEvent, run: CorpusRun, day: datetime) -> RunSpans:
        self._ids.begin(run)
        caller = self._open[run.parent] if run.parent else None
        provider = self._providers[event.workflow]
        self._open[run.id] = _open_run(provider, event, run, started_at(event, run, day), caller)
        return self._open[run.id]

    def _flush(self) -> None:
        for provider in self._providers.values():
            provider.force_flush()
        refused = sum(delivery.refused for delivery in self._deliveries.values())
        if refused:
            raise NotSent("The server stopped taking spans; its log says why. Sending again doubles nothing.")


def _session(url: str) -> requests.Session:
    """A session that ignores the environment's proxy for addresses of this machine."""
    session = requests.Session()
    session.trust_env = urlsplit(url).hostname not in ("127.0.0.1", "::1", "localhost")
    return session


def _knock(url: str, key: str) -> None:
    """One empty request, so that a wrong address or key is said at once and not after retries. Raises NotSent."""
    headers = {"x-api-key": key, "content-type": "application/x-protobuf"}
    try:
        with _session(url) as session:
            status = session.post(url, data=b"", headers=headers, timeout=_TIMEOUT_SECONDS).status_code
    except (requests.ConnectionError, requests.Timeout):
        raise NotSent(f"No server answers at {url}; start one with `adjudge serve`.") from None
    except requests.RequestException as error:
        raise NotSent(f"{url} cannot be used ({type(error).__name__}); try http://127.0.0.1:8700.") from None
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        raise NotSent(f"The server refuses this key (HTTP {status}): it has to be active, with the scope ingest.")
    if status != HTTPStatus.OK:
        raise NotSent(f"{url} answers HTTP {status}; is this an Adjudge server?")
