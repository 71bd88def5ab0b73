"""Answers as JSON."""

from __future__ import annotations

from typing import Any

from fastapi.responses import Response

from evaluator.plain_json import json_bytes


def json_answer(value: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON response; nothing is validated or converted again on the way out."""
    return Response(json_bytes(value), status, headers, "application/json")
