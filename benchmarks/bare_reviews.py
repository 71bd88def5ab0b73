"""The limit reviewing is measured against: one UPDATE … RETURNING to claim, one INSERT to submit, nothing else.

`python -m benchmarks.bare_reviews DATABASE_URL ITEMS PORT` makes two tables and answers POST /next and POST /verdict.
"""

from __future__ import annotations

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI
from sqlalchemy import text

from evaluator.store.database import open_engine

_CLAIM = text(
    "UPDATE bare_slot SET holder = :holder WHERE slot = "
    "(SELECT slot FROM bare_slot WHERE holder IS NULL ORDER BY slot LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING slot"
)
_SUBMIT = text("INSERT INTO bare_review (slot, holder, body) VALUES (:slot, :holder, :body)")


def make_app(database_url: str, items: int) -> FastAPI:
    """The bare handlers on two tables of their own."""
    engine = open_engine(database_url)
    with engine.begin() as connection:
        for table in ("bare_slot", "bare_review"):
            connection.execute(text(f"DROP TABLE IF EXISTS {table}"))
        connection.execute(text("CREATE TABLE bare_slot (slot integer PRIMARY KEY, holder text)"))
        connection.execute(text("CREATE INDEX ON bare_slot (slot) WHERE holder IS NULL"))
        connection.execute(text("CREATE TABLE bare_review (slot integer PRIMARY KEY, holder text, body text)"))
        connection.execute(text("INSERT INTO bare_slot SELECT generate_series(1, :items)"), {"items": items})
    app = FastAPI()

    @app.post("/next")
    def claim(body: dict[str, Any]) -> dict[str, Any]:
        with engine.begin() as connection:
            slot = connection.execute(_CLAIM, {"holder": body["holder"]}).scalar_one_or_none()
        return {"slot": slot}

    @app.post("/verdict")
    def submit(body: dict[str, Any]) -> dict[str, Any]:
        with engine.begin() as connection:
            connection.execute(_SUBMIT, {"slot": body["slot"], "holder": body["holder"], "body": body["note"]})
        return {"slot": body["slot"]}

    @app.get("/healthz")
    def health() -> str:
        return "ok"

    return app


if __name__ == "__main__":
    uvicorn.run(
        make_app(sys.argv[1], int(sys.argv[2])),
        host="127.0.0.1",
        port=int(sys.argv[3]),
        log_level="error",
        access_log=False,
        timeout_keep_alive=600,  # its requests must not be sent twice
    )
