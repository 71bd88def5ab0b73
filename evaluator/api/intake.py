"""OTLP intake over HTTP: what is answered 200 is stored; of what is refused nothing is.

Clients drop what is answered 4xx, 429 among them, and send again what is answered 503: pushing back is
always 503 with Retry-After.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from starlette.requests import ClientDisconnect

from evaluator import pipeline
from evaluator.api.access import KeyRing
from evaluator.api.problems import as_adjudge_error, headers_of, note_unexpected, status_of
from evaluator.api.request_json import read_limited
from evaluator.capture.otlp import Limits, decode_logs, decode_traces, read_body
from evaluator.capture.redaction import Redactor
from evaluator.deployment import Deployment
from evaluator.errors import AdjudgeError, Overloaded
from evaluator.model.api_key import Scope

PROTOBUF = "application/x-protobuf"
PROTOBUFS = (PROTOBUF, "application/protobuf")
JSON = "application/json"
STORING_THREADS = min(8, 2 * (os.cpu_count() or 1))
"""Few: decoding holds the interpreter and SQLite takes one writer, so more would only wait for each other."""

_MEGABYTE = 1_000_000
_GRPC_CODE = {
    HTTPStatus.BAD_REQUEST: 3,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: 3,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: 3,
    HTTPStatus.FORBIDDEN: 7,
    HTTPStatus.SERVICE_UNAVAILABLE: 14,
    HTTPStatus.UNAUTHORIZED: 16,
}
_INTERNAL = 13


@dataclass(frozen=True)
class Refusal:
    """How many records of a request were not taken, and why."""

    count: int = 0
    reason: str = ""


class Intake:
    """Takes OTLP requests in: as many at once as settings allow, stored on a few threads."""

    def __init__(self, deployment: Deployment, keys: KeyRing) -> None:
        settings = deployment.settings
        self.deployment = deployment
        self._keys = keys
        self._redactor = Redactor(settings.redact_extra, enabled=settings.redact)
        self._limits = Limits(max_text_chars=settings.max_text_chars)
        self._max_body = int(settings.max_body_mb * _MEGABYTE)
        self._max_decompressed = int(settings.max_decompressed_mb * _MEGABYTE)
        self._threads = ThreadPoolExecutor(STORING_THREADS, "adjudge-intake")
        self._in_flight = 0

    async def take(self, request: Request, store: Callable[[bytes, str], Refusal], answer: Answer) -> Response:
        """Store one request and answer it in its own content type."""
        content_type = request.headers.get("content-type", PROTOBUF)
        try:
            await self._keys.admit(request.headers, Scope.INGEST)
            refused = await self._stored(request, content_type, store)
        except ClientDisconnect:
            raise
        except Exception as error:  # noqa: BLE001 - the edge: an OTLP client understands only an OTLP answer
            return self._answer_error(error, content_type)
        return answer(refused, content_type)

    async def _stored(self, request: Request, content_type: str, store: Callable[[bytes, str], Refusal]) -> Refusal:
        if self._in_flight >= self.deployment.settings.max_requests_in_flight:
            raise Overloaded
        self._in_flight += 1
        try:
            body = await read_limited(request, self._max_body)
            encoding = request.headers.get("content-encoding")
            return await asyncio.get_running_loop().run_in_executor(
                self._threads, self._decode_and_store, body, encoding, content_type, store
            )
        finally:
            self._in_flight -= 1

    def _decode_and_store(
        self, body: bytes, encoding: str | None, content_type: str, store: Callable[[bytes, str], Refusal]
    ) -> Refusal:
        return store(read_body(body, encoding, self._max_body, self._max_decompressed), content_type)

    def store_traces(self, data: bytes, content_type: str) -> Refusal:
        batch = decode_traces(data, content_type, self._redactor, self._limits)
        if batch.chunks:
            pipeline.capture_spans(self.deployment, batch)
        return Refusal(batch.rejected, batch.rejection)

    def store_logs(self, data: bytes, content_type: str) -> Refusal:
        batch = decode_logs(data, content_type, self._redactor, self._limits)
        if batch.logs:
            pipeline.capture_logs(self.deployment, batch)
        return Refusal(batch.rejected, batch.rejection)

    def _answer_error(self, error: Exception, content_type: str) -> Response:
        """A google.rpc.Status: protobuf to who sends protobuf, else JSON."""
        expected = as_adjudge_error(error)
        if expected is None:
            request_id = note_unexpected(self.deployment, error)
            expected = AdjudgeError(f"Nothing was stored: an unexpected failure, request {request_id}.")
        status = status_of(expected)
        code, message = _GRPC_CODE.get(status, _INTERNAL), str(expected)
        if _media_of(content_type) in PROTOBUFS:
            body, media = Status(code=code, message=message).SerializeToString(), PROTOBUF
        else:  # who sends neither is rather a person at a command line than an exporter
            body, media = orjson.dumps({"code": code, "message": message}), JSON
        return Response(body, status, headers_of(expected), media)

    def close(self) -> None:
        """Let what is being stored finish."""
        self._threads.shutdown(wait=True)


Answer = Callable[[Refusal, str], Response]


def _is_json(content_type: str) -> bool:
    return _media_of(content_type) == JSON


def _media_of(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _answer_traces(refused: Refusal, content_type: str) -> Response:
    if _is_json(content_type):
        return _json_success("rejectedSpans", refused)
    answer = ExportTraceServiceResponse()
    if refused.count:
        answer.partial_success.rejected_spans = refused.count
        answer.partial_success.error_message = refused.reason
    return Response(answer.SerializeToString(), media_type=PROTOBUF)


def _answer_logs(refused: Refusal, content_type: str) -> Response:
    if _is_json(content_type):
        return _json_success("rejectedLogRecords", refused)
    answer = ExportLogsServiceResponse()
    if refused.count:
        answer.partial_success.rejected_log_records = refused.count
        answer.partial_success.error_message = refused.reason
    return Response(answer.SerializeToString(), media_type=PROTOBUF)


def _json_success(counted_as: str, refused: Refusal) -> Response:
    """OTLP/JSON: 64-bit integers are text, and an empty partial success is left out."""
    partial = {counted_as: str(refused.count), "errorMessage": refused.reason}
    return Response(orjson.dumps({"partialSuccess": partial} if refused.count else {}), media_type=JSON)


router = APIRouter(tags=["intake"])

_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            PROTOBUF: {"schema": {"type": "string", "format": "binary"}},
            JSON: {"schema": {"type": "object"}, "example": {"resourceSpans": []}},
        },
    },
    "security": [{"bearer": []}, {"x-api-key": []}],
}
_ANSWERS: dict[int | str, dict[str, object]] = {
    200: {"description": "Stored. `partial_success` names how many records were not taken, and why."},
    400: {"description": "The body is not OTLP; sending it again does not help."},
    401: {"description": "No API key that is known and active."},
    403: {"description": "The API key lacks the scope `ingest`."},
    413: {"description": "The body is larger than ADJUDGE_MAX_BODY_MB or ADJUDGE_MAX_DECOMPRESSED_MB."},
    415: {"description": "Neither protobuf nor JSON, or an encoding other than gzip."},
    503: {"description": "Too much at once, or the database is away: send it again after Retry-After."},
}


@router.post("/v1/traces", summary="Take in spans (OTLP)", openapi_extra=_BODY, responses=_ANSWERS)
async def take_traces(request: Request) -> Response:
    """An OTLP trace request as protobuf or JSON, plain or gzip; stored before it is answered.

    Sending the same spans twice changes nothing.
    """
    intake: Intake = request.app.state.intake
    return await intake.take(request, intake.store_traces, _answer_traces)


@router.post("/v1/logs", summary="Take in log records (OTLP)", openapi_extra=_BODY, responses=_ANSWERS)
@router.post("/v1/traces/v1/logs", include_in_schema=False)  # where a client with one endpoint set sends its logs
async def take_logs(request: Request) -> Response:
    """An OTLP log request; records that carry content, evaluations or outcomes of spans are kept, others discarded."""
    intake: Intake = request.app.state.intake
    return await intake.take(request, intake.store_logs, _answer_logs)
