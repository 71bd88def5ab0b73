"""Requests as clients and attackers send them."""

from __future__ import annotations

import contextlib
import gzip
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from evaluator.capture.otlp import Limits, assert_fast_protobuf, decode_logs, decode_traces, read_body
from evaluator.capture.redaction import Redactor
from evaluator.capture.span_facts import SpanFacts, chunk_spans
from evaluator.capture.span_intake import bounded_id
from evaluator.errors import Malformed, TooLarge, Unsupported
from evaluator.model.capture import Fidelity
from evaluator.model.span import SpanChunk, SpanLog
from evaluator.store.packing import unpack_message
from tests.capture.telemetry import JSON, PROTOBUF, TRACE, Arrived, as_json, trace_request

MEGABYTE = 1_000_000


def arrived_span(**attributes: Any) -> SpanFacts:
    """The one span with these attributes, after storage."""
    arrived = Arrived()
    arrived.traces(trace_request({name.replace("__", "."): value for name, value in attributes.items()}))
    (facts,) = arrived.spans.values()
    return facts


def stored_spans(data: bytes, kind: str) -> list[SpanFacts]:
    """The spans of this request, after storage."""
    return chunk_spans(chunk["body"] for chunk in decode_traces(data, kind, Redactor(), Limits()).chunks)


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
        "body",
        [b"no gzip at all", gzip.compress(b"x" * 500)[:20], gzip.compress(b"x")[:-4] + b"0000"],
        ids=[
            "none at all",
            "cut off",
            "wrong length",
        ],  # gzip holds the time: two workers would name it differently
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
        assert (batch.rejected, [chunk["spans"] for chunk in batch.chunks]) == (1, [1])
        assert batch.rejection
        assert batch.chunks[0]["trace_id"] == TRACE

    def test_an_empty_request_is_an_empty_batch(self) -> None:
        assert decode_traces(b"", PROTOBUF, Redactor(), Limits()).chunks == []
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
        assert set(batch.chunks[0]) == set(SpanChunk.model_fields) - {"received_us"}

    def test_log_rows_have_the_columns_of_the_model(self) -> None:
        record = {
            "traceId": TRACE,
            "spanId": "0102030405060708",
            "eventName": "gen_ai.user.message",
            "timeUnixNano": "5",
        }
        batch = decode_logs(log_request(record), JSON, Redactor(), Limits())
        assert set(batch.logs[0]) == set(SpanLog.model_fields)

    def test_a_request_is_one_row_for_each_trace(self) -> None:
        request = ExportTraceServiceRequest()
        for scope in ("first", "second"):
            scoped = request.resource_spans.add().scope_spans.add()
            scoped.scope.name = scope
            for trace in (1, 2):
                scoped.spans.add(
                    trace_id=trace.to_bytes(16, "big"), span_id=scope.encode()[:5].rjust(8), name="chat"
                )
        batch = decode_traces(request.SerializeToString(), PROTOBUF, Redactor(), Limits())
        assert [chunk["spans"] for chunk in batch.chunks] == [2, 2]
        assert [facts.scope for facts in chunk_spans([batch.chunks[0]["body"]])] == ["first", "second"]

    def test_the_same_spans_have_one_digest_in_any_order_and_others_another(self) -> None:
        spans = [{"traceId": TRACE, "spanId": f"{number:016x}"} for number in (1, 2, 3)]
        requests = (spans, spans[::-1], spans[:2])
        first, again, other = (
            decode_traces(json_spans(*sent), JSON, Redactor(), Limits()).chunks[0]["digest"] for sent in requests
        )
        assert first == again != other

    def test_of_a_span_that_came_twice_the_first_counts(self) -> None:
        bodies = [
            decode_traces(trace_request({"note": note}), PROTOBUF, Redactor(), Limits()).chunks[0]["body"]
            for note in ("first", "second")
        ]
        (facts,) = chunk_spans(bodies)
        assert facts.attributes == {"note": "first"}

    def test_the_encoding_makes_no_difference(self) -> None:
        request = trace_request(
            {"input.value": "hello", "tags": ["a", {"b": 1}], "share": 0.5, "botanu.run_id": "r"}
        )
        from_protobuf, from_json = Arrived(), Arrived()
        from_protobuf.traces(request)
        from_json.traces(as_json(request, logs=False), JSON)
        assert from_protobuf.spans == from_json.spans

    def test_what_nobody_has_looked_at_is_not_stored(self) -> None:
        request = ExportTraceServiceRequest.FromString(trace_request({"input.value": "hello"}))
        block = request.resource_spans[0]
        block.resource.attributes.add(key="host.name").value.string_value = "secret"
        block.scope_spans[0].scope.attributes.add(key="note").value.string_value = "secret"
        (span,) = block.scope_spans[0].spans
        span.trace_state = "secret=1"
        link = span.links.add(trace_id=b"t" * 16, span_id=b"s" * 8, trace_state="secret=1")
        link.attributes.add(key="note").value.string_value = "secret"
        unknown = b"\xfa\x07\x06secret"
        span.MergeFromString(unknown)
        span.attributes[0].MergeFromString(unknown)
        (chunk,) = decode_traces(request.SerializeToString(), PROTOBUF, Redactor(), Limits()).chunks
        stored = unpack_message(chunk["body"])
        assert b"hello" in stored
        assert b"secret" not in stored

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
        (facts,) = stored_spans(json_spans(odd), JSON)
        assert (facts.start_ns, facts.end_ns) == (2**63 - 1, 0)

    def test_enums_may_be_names(self) -> None:
        named = {
            "traceId": TRACE,
            "spanId": "0102030405060708",
            "kind": "SPAN_KIND_CLIENT",
            "status": {"code": "STATUS_CODE_ERROR"},
            "parentSpanId": "0" * 16,
        }
        (facts,) = stored_spans(json_spans(named), JSON)
        assert (facts.kind, facts.status_code, facts.parent_span_id) == (3, 2, None)

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

    def test_texts_at_any_depth_keys_and_long_numbers_are_redacted(self) -> None:
        facts = arrived_span(
            deep={"list": [{"a": ["bob@example.com"]}], "ann@example.com": 1},
            card=4111111111111111,
            gen_ai__output__messages=[{"content": "bob@example.com"}],
        )
        assert facts.attributes == {
            "deep": {"list": [{"a": ["[REDACTED:email]"]}], "[REDACTED:email]": 1},
            "card": "[REDACTED:card]",
            "gen_ai.output.messages": '[{"content":"[REDACTED:email]"}]',
        }

    def test_a_nul_does_not_hide_what_is_redacted(self) -> None:
        assert arrived_span(note="bob@exam\x00ple.com").attributes["note"] == "[REDACTED:email]"
        assert arrived_span(note="4111 1111\x00 1111 1111").attributes["note"] == "[REDACTED:card]"

    def test_one_span_that_holds_something_does_not_spare_its_neighbours(self) -> None:
        arrived = Arrived()
        arrived.traces(trace_request({"note": "clean"}, {"note": "bob@example.com"}, {"note": "+49 30 9018 20123"}))
        said = [facts.attributes["note"] for facts in arrived.spans.values()]
        assert said == ["clean", "[REDACTED:email]", "[REDACTED:phone]"]

    def test_an_expression_of_the_operators_own_is_asked_of_each_text_alone(self) -> None:
        arrived = Arrived(Redactor("^ticket [0-9]+$"))
        arrived.traces(trace_request({"note": "ticket 17", "other": "my ticket 17"}))
        (facts,) = arrived.spans.values()
        assert facts.attributes == {"note": "[REDACTED:extra]", "other": "my ticket 17"}

    def test_a_text_the_client_cut_counts_as_cut_although_redaction_shortens_it(self) -> None:
        facts = arrived_span(botanu__eval__input_content="bob@example.com" + " x" * 2040 + ".")
        assert facts.cut == {"botanu.eval.input_content"}
        assert len(facts.attributes["botanu.eval.input_content"]) != 4096

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


def test_a_number_beyond_any_double_spoils_its_span_only() -> None:
    def span(number: int, value: str) -> str:
        return (
            f'{{"traceId": "{number:032x}", "spanId": "{number:016x}", "name": "\\ud800", "attributes": {value}}}'
        )

    huge = f'[{{"key": "a", "value": {{"doubleValue": {"9" * 400}}}}}]'
    data = f'{{"resourceSpans": [{{"scopeSpans": [{{"spans": [{span(1, huge)}, {span(2, "[]")}]}}]}}]}}'
    batch = decode_traces(data.encode(), "application/json", Redactor(""), Limits())
    assert (len(batch.chunks), batch.rejected) == (1, 1)
