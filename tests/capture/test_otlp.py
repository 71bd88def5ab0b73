"""Requests as clients and attackers send them."""

from __future__ import annotations

import contextlib
import gzip
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.capture.otlp import Limits, assert_fast_protobuf, bounded_id, decode_logs, decode_traces, read_body
from evaluator.capture.redaction import Redactor
from evaluator.capture.span_facts import SpanFacts, span_facts
from evaluator.errors import Malformed, TooLarge, Unsupported
from evaluator.model.capture import Fidelity
from evaluator.model.span import Span, SpanContent, SpanLog
from tests.capture.telemetry import JSON, PROTOBUF, TRACE, Arrived, trace_request

MEGABYTE = 1_000_000


def arrived_span(**attributes: Any) -> SpanFacts:
    """The one span with these attributes, after storage."""
    arrived = Arrived()
    arrived.traces(trace_request({name.replace("__", "."): value for name, value in attributes.items()}))
    (facts,) = arrived.spans.values()
    return facts


def json_spans(*spans: Any) -> bytes:
    """An OTLP/JSON request with these spans."""
    return orjson.dumps({"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]})


def test_this_machine_has_the_fast_protobuf() -> None:
    assert_fast_protobuf()


class TestBody:
    def test_a_plain_body_is_read_as_it_is(self) -> None:
        assert read_body(b"abc", None, 10, 10) == b"abc"
        assert read_body(b"abc", "identity", 10, 10) == b"abc"

    @given(st.lists(st.binary(max_size=5000), min_size=1, max_size=3))
    def test_gzip_is_undone_member_by_member(self, members: list[bytes]) -> None:
        body = b"".join(map(gzip.compress, members))
        assert read_body(body, " GZIP ", MEGABYTE, MEGABYTE) == b"".join(members)

    def test_a_bomb_stops_at_the_limit(self) -> None:
        bomb = gzip.compress(bytes(50 * MEGABYTE))
        with pytest.raises(TooLarge, match="decodes to more than"):
            read_body(bomb, "gzip", MEGABYTE, MEGABYTE)

    def test_a_body_of_exactly_the_limit_passes(self) -> None:
        assert len(read_body(gzip.compress(bytes(1000)), "gzip", 1000, 1000)) == 1000

    @pytest.mark.parametrize("encoding", [None, "gzip"])
    def test_a_body_too_large_as_sent_is_refused(self, encoding: str | None) -> None:
        with pytest.raises(TooLarge):
            read_body(b"x" * 11, encoding, 10, 100)

    @pytest.mark.parametrize(
        "body", [b"no gzip at all", gzip.compress(b"x" * 500)[:20], gzip.compress(b"x")[:-4] + b"0000"]
    )
    def test_broken_gzip_is_malformed(self, body: bytes) -> None:
        with pytest.raises(Malformed):
            read_body(body, "gzip", MEGABYTE, MEGABYTE)

    @pytest.mark.parametrize("encoding", ["br", "zstd", "deflate", "gzip, gzip"])
    def test_another_encoding_is_unsupported(self, encoding: str) -> None:
        with pytest.raises(Unsupported):
            read_body(b"x", encoding, 10, 10)


class TestRefusal:
    @pytest.mark.parametrize("decode", [decode_traces, decode_logs])
    @pytest.mark.parametrize(
        ("body", "kind"), [(b"\xff\xfe", PROTOBUF), (b"{", JSON), (b"[]", JSON), (b"\xff", JSON)]
    )
    def test_a_broken_body_is_malformed(self, decode: Any, body: bytes, kind: str) -> None:
        with pytest.raises(Malformed):
            decode(body, kind, Redactor(), Limits())

    @pytest.mark.parametrize("kind", ["text/plain", "", "application/grpc"])
    def test_another_content_type_is_unsupported(self, kind: str) -> None:
        with pytest.raises(Unsupported):
            decode_traces(b"", kind, Redactor(), Limits())

    @pytest.mark.parametrize(
        "document",
        [
            {"resourceSpans": 1},
            {"resourceSpans": [1]},
            {"resourceSpans": [{"resource": 1}]},
            {"resourceSpans": [{"scopeSpans": [{"spans": {}}]}]},
            {"resourceSpans": [{"resource": {"attributes": [1]}}]},
        ],
    )
    def test_json_of_another_shape_is_malformed(self, document: Any) -> None:
        with pytest.raises(Malformed):
            decode_traces(orjson.dumps(document), JSON, Redactor(), Limits())

    @pytest.mark.parametrize(
        "span",
        [
            None,
            7,
            {},
            {"traceId": "zz" * 16, "spanId": "0102030405060708"},
            {"traceId": TRACE, "spanId": "0" * 16},
            {"traceId": TRACE, "spanId": "0102030405060708", "startTimeUnixNano": "noon"},
            {"traceId": TRACE, "spanId": "0102030405060708", "attributes": [{"value": {}}]},
            {"traceId": TRACE, "spanId": "0102030405060708", "events": [3]},
        ],
    )
    def test_a_bad_span_is_counted_and_the_good_one_kept(self, span: Any) -> None:
        good = {"traceId": TRACE.upper(), "spanId": "0102030405060709", "name": "chat", "madeUp": 1}
        batch = decode_traces(json_spans(span, good), "application/json; charset=utf-8", Redactor(), Limits())
        assert (batch.rejected, len(batch.spans)) == (1, 1)
        assert batch.rejection
        assert batch.spans[0]["trace_id"] == TRACE

    def test_an_empty_request_is_an_empty_batch(self) -> None:
        assert decode_traces(b"", PROTOBUF, Redactor(), Limits()).spans == []
        assert decode_logs(b"{}", JSON, Redactor(), Limits()).logs == []

    @given(st.binary(max_size=200))
    def test_no_bytes_raise_anything_but_malformed(self, body: bytes) -> None:
        for kind in (PROTOBUF, JSON):
            try:
                decode_traces(body, kind, Redactor(), Limits())
                decode_logs(body, kind, Redactor(), Limits())
            except Malformed:
                pass


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["key", "value", "stringValue", "values", "intValue", "traceId", "code"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(json_values, json_values, json_values)
def test_no_json_of_any_shape_raises_anything_but_malformed(attributes: Any, status: Any, spans: Any) -> None:
    good = {
        "traceId": TRACE,
        "spanId": "0102030405060709",
        "attributes": attributes,
        "status": status,
        "events": spans,
    }
    body = (
        orjson.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [good, spans]}]}, spans]}, default=str)
        if _fits(good, spans)
        else b"{}"
    )
    with contextlib.suppress(Malformed):
        decode_traces(body, JSON, Redactor(), Limits())


def _fits(*values: Any) -> bool:
    try:
        orjson.dumps(values)
    except TypeError:
        return False
    return True


class TestRows:
    def test_the_rows_have_the_columns_of_the_models(self) -> None:
        batch = decode_traces(trace_request({"input.value": "hello"}), PROTOBUF, Redactor(), Limits())
        assert set(batch.spans[0]) == set(Span.model_fields)
        assert set(batch.contents[0]) == set(SpanContent.model_fields)

    def test_log_rows_have_the_columns_of_the_model(self) -> None:
        record = {
            "traceId": TRACE,
            "spanId": "0102030405060708",
            "eventName": "gen_ai.user.message",
            "timeUnixNano": "5",
        }
        batch = decode_logs(log_request(record), JSON, Redactor(), Limits())
        assert set(batch.logs[0]) == set(SpanLog.model_fields)

    def test_content_lies_apart_from_detail(self) -> None:
        batch = decode_traces(
            trace_request({"input.value": "hello", "http.method": "GET"}), PROTOBUF, Redactor(), Limits()
        )
        (row,) = batch.spans
        assert span_facts(SimpleNamespace(**row)).attributes == {"http.method": "GET"}
        assert span_facts(SimpleNamespace(**row), batch.contents[0]["body"]).attributes["input.value"] == "hello"

    def test_arrivals_say_what_the_spans_said(self) -> None:
        request = trace_request({"botanu.run_id": "r1", "botanu.event_id": 42}, {}, {"botanu.run_id": "r1"})
        batch = decode_traces(request, PROTOBUF, Redactor(), Limits())
        assert batch.arrivals == {(TRACE, "r1", "42"), (TRACE, "", ""), (TRACE, "r1", "")}

    def test_values_of_every_kind_arrive(self) -> None:
        value = {"list": [1, 2.5, True, "x", b"\x00\xff"], "nested": {"empty": "", "deep": [[1]]}}
        facts = arrived_span(custom__value=value, whole=-3, yes=False, none="")
        assert facts.attributes["custom.value"] == {
            "list": [1, 2.5, True, "x", "AP8="],
            "nested": {"empty": "", "deep": [[1]]},
        }
        assert (facts.attributes["whole"], facts.attributes["yes"], facts.attributes["none"]) == (-3, False, "")

    def test_numbers_that_are_none_become_null(self) -> None:
        facts = arrived_span(a=float("nan"), b=float("inf"), c=1.5)
        assert (facts.attributes["a"], facts.attributes["b"], facts.attributes["c"]) == (None, None, 1.5)

    def test_nul_characters_are_removed_everywhere(self) -> None:
        facts = arrived_span(botanu__run_id="r\x001", input__value="a\x00b", note="c\x00d", session__id="\x00")
        assert facts.run_id == "r1"
        assert facts.attributes["input.value"] == "ab"
        assert "\x00" not in repr(facts)
        assert "\\x00" not in repr(facts)

    def test_lone_surrogates_are_removed(self) -> None:
        span = (
            b'{"traceId":"%s","spanId":"0102030405060708","name":"a\\ud800b","attributes":[{"key":"input.value",'
            % TRACE.encode()
        )
        body = (
            b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + span + b'"value":{"stringValue":"x\\udfffy"}}]}]}]}]}'
        )
        arrived = Arrived()
        arrived.traces(body, JSON)
        (facts,) = arrived.spans.values()
        assert (facts.name, facts.attributes["input.value"]) == ("ab", "xy")

    def test_a_text_over_the_limit_is_cut_and_named(self) -> None:
        arrived = Arrived()
        arrived.traces(
            trace_request({"input.value": "x" * 5000, "note": "y" * 5000}), limits=Limits(max_text_chars=1000)
        )
        (facts,) = arrived.spans.values()
        assert facts.cut == {"input.value", "note"}
        assert len(facts.attributes["input.value"]) == 1000

    @pytest.mark.parametrize("text", ["x" * 4096, "😀" * 2048])
    def test_a_text_as_long_as_the_clients_limit_counts_as_cut(self, text: str) -> None:
        assert arrived_span(**{"botanu.eval.input_content": text}).cut == {"botanu.eval.input_content"}

    def test_odd_times_are_kept_and_never_overflow(self) -> None:
        odd = {
            "traceId": TRACE,
            "spanId": "0102030405060708",
            "startTimeUnixNano": str(2**64 - 1),
            "endTimeUnixNano": 0,
        }
        (row,) = decode_traces(json_spans(odd), JSON, Redactor(), Limits()).spans
        assert (row["start_ns"], row["end_ns"]) == (2**63 - 1, 0)

    def test_enums_may_be_names(self) -> None:
        named = {
            "traceId": TRACE,
            "spanId": "0102030405060708",
            "kind": "SPAN_KIND_CLIENT",
            "status": {"code": "STATUS_CODE_ERROR"},
            "parentSpanId": "0" * 16,
        }
        (row,) = decode_traces(json_spans(named), JSON, Redactor(), Limits()).spans
        assert (row["kind"], row["status_code"], row["parent_span_id"]) == (3, 2, None)

    @pytest.mark.parametrize(("sent", "expected"), [(42, "42"), (42.0, "42"), ("a\x00b", "ab"), (True, "True")])
    def test_ids_become_text(self, sent: Any, expected: str) -> None:
        assert bounded_id(sent) == expected

    def test_over_long_ids_stay_distinct(self) -> None:
        first, second = bounded_id("x" * 5000 + "1"), bounded_id("x" * 5000 + "2")
        assert first != second
        assert len(first) < 500


class TestRedaction:
    def test_every_text_is_redacted_but_the_join_keys_survive(self) -> None:
        request = trace_request(
            {
                "botanu.customer_id": "bob@example.com",
                "botanu.correlation.stripe": "4111111111111111",
                "session.id": "4111 1111 1111 1111",
                "gen_ai.request.model": "gpt-4o-2024-08-06",
                "input.value": "I am bob@example.com",
                "http.url": "https://x.example/?mail=bob@example.com",
                "tags": ["bob@example.com"],
            }
        )
        arrived = Arrived()
        arrived.traces(request)
        (facts,) = arrived.spans.values()
        assert facts.attributes == {
            "botanu.customer_id": "bob@example.com",
            "botanu.correlation.stripe": "4111111111111111",
            "session.id": "4111 1111 1111 1111",
            "gen_ai.request.model": "gpt-4o-2024-08-06",
            "input.value": "I am [REDACTED:email]",
            "http.url": "https://x.example/?mail=[REDACTED:email]",
            "tags": ["[REDACTED:email]"],
        }

    def test_names_status_messages_and_exceptions_are_redacted(self) -> None:
        said = {
            "traceId": TRACE,
            "spanId": "0102030405060708",
            "name": "mail bob@example.com",
            "status": {"code": 2, "message": "no bob@example.com"},
            "events": [
                {
                    "name": "exception",
                    "attributes": [{"key": "exception.message", "value": {"stringValue": "bob@example.com"}}],
                }
            ],
        }
        arrived = Arrived()
        arrived.traces(json_spans(said), JSON)
        (facts,) = arrived.spans.values()
        assert (facts.name, facts.status_message) == ("mail [REDACTED:email]", "no [REDACTED:email]")
        assert facts.span_events[0]["attributes"] == {"exception.message": "[REDACTED:email]"}

    def test_log_records_are_redacted(self) -> None:
        record = {
            "traceId": TRACE,
            "spanId": "0102030405060708",
            "attributes": [{"key": "event.name", "value": {"stringValue": "gen_ai.user.message"}}],
            "body": {"kvlistValue": {"values": [{"key": "content", "value": {"stringValue": "bob@example.com"}}]}},
        }
        arrived = Arrived()
        arrived.log_records(log_request(record), JSON)
        (facts,) = arrived.logs.values()
        assert facts.body == {"content": "[REDACTED:email]"}
        assert facts.name == "gen_ai.user.message"


def log_request(*records: Any, scope: str = "app") -> bytes:
    """An OTLP/JSON log request."""
    return orjson.dumps(
        {"resourceLogs": [{"scopeLogs": [{"scope": {"name": scope}, "logRecords": list(records)}]}]}
    )


class TestLogs:
    def test_a_log_text_over_the_limit_is_cut_and_the_content_truncated(self) -> None:
        arrived = Arrived()
        arrived.traces(trace_request({"gen_ai.operation.name": "chat"}))
        record = {"traceId": TRACE, "spanId": "0000000000000001", "eventName": "gen_ai.user.message"}
        body = {"kvlistValue": {"values": [{"key": "content", "value": {"stringValue": "x" * 1_000_001}}]}}
        arrived.log_records(log_request({**record, "body": body}), JSON)
        (found,) = arrived.runs()
        assert found.capture.input.fidelity is Fidelity.TRUNCATED
        assert len(found.capture.input.value["messages"][0]["content"]) == 1_000_000

    def test_a_record_without_a_trace_is_rejected(self) -> None:
        batch = decode_logs(log_request({"eventName": "gen_ai.choice"}), JSON, Redactor(), Limits())
        assert (batch.rejected, batch.discarded, batch.logs) == (1, 0, [])

    def test_other_records_are_discarded(self) -> None:
        batch = decode_logs(
            log_request({"traceId": TRACE, "body": {"stringValue": "hi"}}), JSON, Redactor(), Limits()
        )
        assert (batch.discarded, batch.rejected, batch.logs) == (1, 0, [])

    def test_a_claimed_outcome_names_its_event(self) -> None:
        record = {"traceId": TRACE, "attributes": [{"key": "botanu.event_id", "value": {"intValue": "7"}}]}
        batch = decode_logs(log_request(record, scope="botanu.outcome"), JSON, Redactor(), Limits())
        assert batch.arrivals == {(TRACE, "", "7")}

    def test_the_same_record_twice_has_one_digest_and_another_one_another(self) -> None:
        record = {"traceId": TRACE, "eventName": "gen_ai.choice", "timeUnixNano": "5"}
        batch = decode_logs(
            log_request(record, record, {**record, "timeUnixNano": "6"}), JSON, Redactor(), Limits()
        )
        first, second, third = (row["digest"] for row in batch.logs)
        assert first == second != third
