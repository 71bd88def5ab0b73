"""The limit ingestion is measured against: FastAPI, protobuf, one SQLite table, nothing else.

`python -m benchmarks.bare_writer FILE PORT` answers POST /v1/traces once the spans are committed.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import threading

import uvicorn
from fastapi import FastAPI, Request, Response
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def make_app(path: str) -> FastAPI:
    """The bare writer on one SQLite file with the pragmas the service has."""
    app = FastAPI()
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    for pragma in ("page_size=16384", "journal_mode=WAL", "synchronous=NORMAL"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute(
        "CREATE TABLE span (trace_id TEXT, span_id TEXT, name TEXT, body TEXT, PRIMARY KEY (trace_id, span_id))"
    )
    turn = threading.Lock()

    def store(data: bytes) -> None:
        rows = []
        for resource in ExportTraceServiceRequest.FromString(data).resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    attributes = {one.key: one.value.string_value or one.value.int_value for one in span.attributes}
                    rows.append((span.trace_id.hex(), span.span_id.hex(), span.name, json.dumps(attributes)))
        with turn:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT OR IGNORE INTO span VALUES (?, ?, ?, ?)", rows)
            connection.execute("COMMIT")

    @app.post("/v1/traces")
    async def traces(request: Request) -> Response:
        await asyncio.to_thread(store, await request.body())
        return Response(b"", media_type="application/x-protobuf")

    @app.get("/healthz")
    def health() -> str:
        return "ok"

    return app


if __name__ == "__main__":
    uvicorn.run(make_app(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2]), log_level="error", access_log=False)
