"""Recorded judge calls: replayed by default, recorded anew from the local judge on request.

    python -m pytest tests/judging --record-cassettes

needs the local model's weights (`adjudge models pull`). Requests are matched on method, path and body: for a judge
the prompt is the behaviour, so a changed prompt has to be recorded anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import vcr
from vcr.cassette import Cassette
from vcr.request import Request

from evaluator.judging.endpoint import Endpoint, resolve_endpoint
from evaluator.judging.judge import JudgeResult, JudgeWork, judge
from evaluator.judging.llm import Prices, close
from evaluator.model.local_judge import LOCAL_JUDGE, LOCAL_JUDGE_FILE
from evaluator.settings import Settings

CASSETTES = Path(__file__).parents[1] / "cassettes" / "judging"
SECRET = b"the secret of the recorded prompts"
_recorded: set[str] = set()
_MODEL = LOCAL_JUDGE_FILE.removesuffix(".gguf")
REPLAYED = Endpoint(
    model=f"openai/{_MODEL}",
    label=LOCAL_JUDGE,
    api_base="http://127.0.0.1:9/v1",  # where nobody listens
    api_key="none",
    prices=Prices(Decimal(0), Decimal(0)),
    local=True,
)

JudgedFromCassette = Callable[[str, JudgeWork], tuple[JudgeResult, Cassette]]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record-cassettes", action="store_true", help="Record judge calls from the local judge.")


def _without_machine(request: Request) -> Request:
    """The port differs from start to start, and headers name the machine and the client library."""
    request.headers = {name: value for name, value in request.headers.items() if name.lower() == "content-type"}
    request.uri = f"http://judge/{request.uri.split('/', 3)[3]}"
    return request


def _without_noise(response: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in response["headers"].items() if name.lower() == "content-type"}
    return {**response, "headers": kept}


RECORDER = vcr.VCR(
    cassette_library_dir=str(CASSETTES),
    path_transformer=vcr.VCR.ensure_suffix(".yaml"),
    match_on=["method", "path", "body"],
    before_record_request=_without_machine,
    before_record_response=_without_noise,
)


@pytest.fixture
def is_recording(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--record-cassettes", default=False))


@pytest.fixture
def from_cassette(is_recording: bool) -> JudgedFromCassette:
    """Judges against a cassette; while recording, against the local judge."""

    def judged(name: str, work: JudgeWork) -> tuple[JudgeResult, Cassette]:
        if is_recording and name not in _recorded:
            _recorded.add(name)
            (CASSETTES / f"{name}.yaml").unlink(missing_ok=True)
            local = asyncio.run(resolve_endpoint("default", Settings()))
            with RECORDER.use_cassette(name, record_mode="once"):
                asyncio.run(_judged(work, local))
        with RECORDER.use_cassette(name, record_mode="none") as cassette:
            return asyncio.run(_judged(work, REPLAYED)), cassette

    return judged


async def _judged(work: JudgeWork, endpoint: Endpoint) -> JudgeResult:
    try:
        return await judge(work, endpoint, secret=SECRET)
    finally:
        await close()
