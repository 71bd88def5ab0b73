"""Microseconds per span of decoding, redacting and packing, on one core.

`python -m benchmarks.intake_speed`: 512 spans a request, about 2 KB and 11 attributes each.
"""

from __future__ import annotations

import random
import time
import timeit
from collections.abc import Callable

import orjson
from isal import isal_zlib
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.train_dictionary import messages, paragraph
from evaluator.capture import otlp_protobuf
from evaluator.capture.otlp import Limits, decode_traces, read_body
from evaluator.capture.redaction import Redactor
from evaluator.store.packing import pack_message

SPANS = 512


def request(seed: int = 1, email_share: float = 0.0) -> bytes:
    """One trace request of SPANS chat spans."""
    rng = random.Random(seed)
    built = ExportTraceServiceRequest()
    resource = built.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "support-svc"
    scope = resource.scope_spans.add()
    scope.scope.name = "botanu.gen_ai"
    for number in range(SPANS):
        span = scope.spans.add(
            trace_id=rng.randbytes(16),
            span_id=rng.randbytes(8),
            parent_span_id=rng.randbytes(8),
            name="chat gpt-4o",
        )
        span.start_time_unix_nano = 1_763_611_522_256_982_000 + number
        span.end_time_unix_nano = 1_763_611_522_356_982_000 + number
        reply = paragraph(rng, 9, 11) + (" Write to bob@example.com." if rng.random() < email_share else "")
        for name, value in {
            "botanu.run_id": f"01a1f720-eba0-7675-845d-{rng.getrandbits(48):012x}",
            "botanu.event_id": f"ticket-{number}",
            "botanu.workflow": "Support",
            "botanu.customer_id": "acme",
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.response.id": f"chatcmpl-{rng.getrandbits(80):020x}",
            "gen_ai.input.messages": orjson.dumps(messages(rng)).decode(),
            "gen_ai.output.messages": orjson.dumps(
                [{"role": "assistant", "parts": [{"type": "text", "content": reply}]}]
            ).decode(),
        }.items():
            span.attributes.add(key=name).value.string_value = value
        span.attributes.add(key="gen_ai.usage.input_tokens").value.int_value = rng.randint(1, 5000)
        span.attributes.add(key="gen_ai.usage.output_tokens").value.int_value = rng.randint(1, 500)
    return built.SerializeToString()


def microseconds(work: Callable[[], object], rounds: int = 10) -> float:
    """Best CPU time of one span's share of the work."""
    work()
    return min(timeit.repeat(work, timer=time.process_time, number=1, repeat=rounds)) / SPANS * 1e6


def main() -> None:
    """Print the table."""
    data = request()
    mailed = request(email_share=0.2)
    redactor, off, limits = Redactor(), Redactor(enabled=False), Limits()
    protobuf = "application/x-protobuf"
    spans = [span for block in otlp_protobuf.span_blocks(data) for span in block.spans if span]
    joined = ["\x00".join(str(value) for value in span.attributes.values()) for span in spans]
    zipped = isal_zlib.compress(data, wbits=31)
    print(f"bytes per span            {len(data) / SPANS:8.0f}")
    rows = {
        "gunzip": lambda: read_body(zipped, "gzip", 1 << 28, 1 << 28),
        "protobuf → plain values": lambda: [list(block.spans) for block in otlp_protobuf.span_blocks(data)],
        "is it clean": lambda: [redactor.is_clean(text) for text in joined],
        "pack": lambda: pack_message(data),
        "decode, redaction off": lambda: decode_traces(data, protobuf, off, limits),
        "decode": lambda: decode_traces(data, protobuf, redactor, limits),
        "decode, e-mail in a fifth": lambda: decode_traces(mailed, protobuf, redactor, limits),
    }
    for name, work in rows.items():
        print(f"{name:25} {microseconds(work):8.1f} µs")


if __name__ == "__main__":
    main()
