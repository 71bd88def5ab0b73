"""OTLP over HTTP, as clients send it and as they are answered."""

from __future__ import annotations

import gzip

import orjson
import pytest
from fastapi.testclient import TestClient
from google.protobuf.json_format import MessageToDict
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from evaluator.api.app import create_app
from evaluator.deployment import Deployment
from evaluator.model.columns import utc_now
from evaluator.settings import Settings
from evaluator.store.operations import overview
from tests.world import PROTOBUF, Actor, trace_request


def stored_spans(deployment: Deployment) -> int:
    with deployment.database.read() as connection:
        return overview(connection, now=utc_now(), worker_seen_after=utc_now()).spans


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_protobuf_spans_are_stored_before_they_are_answered(
    api: TestClient, deployment: Deployment, app_of_the_product: Actor, encoding: str
) -> None:
    body = trace_request(children=3).SerializeToString()
    headers = {**PROTOBUF, **app_of_the_product.headers, "content-encoding": encoding}
    answer = api.post("/v1/traces", content=gzip.compress(body) if encoding == "gzip" else body, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-protobuf"
    assert not ExportTraceServiceResponse.FromString(answer.content).HasField("partial_success")
    assert stored_spans(deployment) == 4


def test_json_spans_are_answered_in_json(
    api: TestClient, deployment: Deployment, app_of_the_product: Actor
) -> None:
    body = MessageToDict(trace_request())
    for span in body["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        span["traceId"], span["spanId"] = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"
        span.pop("parentSpanId", None)
    answer = api.post(
        "/v1/traces",
        content=orjson.dumps(body),
        headers={"x-api-key": app_of_the_product.key, "content-type": "application/json"},
    )
    assert (answer.status_code, answer.json()) == (200, {})
    assert stored_spans(deployment) == 1


def test_the_same_spans_twice_are_stored_once(
    api: TestClient, deployment: Deployment, app_of_the_product: Actor
) -> None:
    body = trace_request(children=2).SerializeToString()
    for _ in range(2):
        assert api.post("/v1/traces", content=body, headers={**PROTOBUF, **app_of_the_product.headers}).is_success
    assert stored_spans(deployment) == 3


def test_spans_without_ids_are_refused_one_by_one(
    api: TestClient, deployment: Deployment, app_of_the_product: Actor
) -> None:
    request = trace_request(children=2)
    request.resource_spans[0].scope_spans[0].spans[0].trace_id = b""
    answer = api.post(
        "/v1/traces", content=request.SerializeToString(), headers={**PROTOBUF, **app_of_the_product.headers}
    )
    told = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert answer.status_code == 200
    assert told.rejected_spans == 1
    assert "trace id" in told.error_message
    assert stored_spans(deployment) == 2


def test_a_broken_body_is_400_with_a_status_message(
    api: TestClient, deployment: Deployment, app_of_the_product: Actor
) -> None:
    answer = api.post("/v1/traces", content=b"\xff\xff\xff", headers={**PROTOBUF, **app_of_the_product.headers})
    assert answer.status_code == 400
    assert Status.FromString(answer.content).code == 3
    assert stored_spans(deployment) == 0


def test_a_broken_json_body_is_told_in_json(api: TestClient, app_of_the_product: Actor) -> None:
    headers = {"content-type": "application/json", **app_of_the_product.headers}
    answer = api.post("/v1/traces", content=b"{", headers=headers)
    assert answer.status_code == 400
    assert answer.json()["code"] == 3


def test_another_content_type_is_415(api: TestClient, app_of_the_product: Actor) -> None:
    headers = {"content-type": "text/plain", **app_of_the_product.headers}
    answer = api.post("/v1/traces", content=b"hello", headers=headers)
    assert answer.status_code == 415
    assert "'text/plain'" in answer.json()["message"]
    assert "Send application/x-protobuf or application/json." in answer.json()["message"]


def test_no_key_is_401_and_the_wrong_scope_is_403(api: TestClient, resolver: Actor) -> None:
    body = trace_request().SerializeToString()
    nobody = api.post("/v1/traces", content=body, headers=PROTOBUF)
    assert nobody.status_code == 401
    assert "keys create" in Status.FromString(nobody.content).message
    assert api.post("/v1/traces", content=body, headers={**PROTOBUF, **resolver.headers}).status_code == 403


def test_logs_sent_below_the_traces_path_are_taken_as_logs(api: TestClient, app_of_the_product: Actor) -> None:
    body = ExportLogsServiceRequest().SerializeToString()
    for path in ("/v1/logs", "/v1/traces/v1/logs"):
        assert api.post(path, content=body, headers={**PROTOBUF, **app_of_the_product.headers}).status_code == 200


def small(settings: Settings, **changes: float) -> Deployment:
    return Deployment(settings.model_copy(update=changes))


def test_a_body_above_the_limit_is_413_and_nothing_is_stored(settings: Settings, app_of_the_product: Actor) -> None:
    deployment = small(settings, max_body_mb=0.001)
    with TestClient(create_app(deployment)) as api:
        body = trace_request(children=40).SerializeToString()
        headers = {**PROTOBUF, **app_of_the_product.headers}
        by_its_length = api.post("/v1/traces", content=body, headers=headers)
        while_it_streams = api.post("/v1/traces", content=iter([body[:900], body[900:]]), headers=headers)
    assert (by_its_length.status_code, while_it_streams.status_code) == (413, 413)
    assert stored_spans(deployment) == 0
    deployment.close()


def test_a_bomb_is_413(settings: Settings, app_of_the_product: Actor) -> None:
    deployment = small(settings, max_decompressed_mb=1)
    headers = {**PROTOBUF, **app_of_the_product.headers, "content-encoding": "gzip"}
    with TestClient(create_app(deployment)) as api:
        answer = api.post("/v1/traces", content=gzip.compress(bytes(20_000_000)), headers=headers)
    assert answer.status_code == 413
    deployment.close()


def test_too_much_at_once_is_503_and_never_429(settings: Settings, app_of_the_product: Actor) -> None:
    deployment = small(settings, max_requests_in_flight=0)
    with TestClient(create_app(deployment)) as api:
        answer = api.post(
            "/v1/traces",
            content=trace_request().SerializeToString(),
            headers={**PROTOBUF, **app_of_the_product.headers},
        )
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    deployment.close()


def test_without_its_database_nothing_is_taken_and_the_client_is_told_to_come_back(settings: Settings) -> None:
    gone = Deployment(Settings(database_url="postgresql://nobody@127.0.0.1:1/none", data_dir=settings.data_dir))
    with TestClient(create_app(gone)) as api:
        body = trace_request().SerializeToString()
        answer = api.post("/v1/traces", content=body, headers={**PROTOBUF, "x-api-key": "adj_any"})
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert Status.FromString(answer.content).code == 14
