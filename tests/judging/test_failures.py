"""What is done about each way a judge call fails."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.judging.failures import (
    LONGEST_BACK_OFF_SECONDS,
    TABLE,
    Action,
    Advice,
    PauseReason,
    back_off,
    classify,
)
from evaluator.judging.llm import _litellm
from evaluator.judging.reply import Unparsable
from evaluator.model.judgement import NotEvaluable

lit: Any = _litellm().exceptions  # the real classes, of litellm as it is configured here

RETRY, REASK, PAUSE, GIVE_UP = Action.RETRY_LATER, Action.REASK, Action.PAUSE, Action.GIVE_UP
ABOUT: dict[str, Any] = {"model": "gpt-x", "llm_provider": "openai"}
RESPONSE = httpx.Response(400, request=httpx.Request("POST", "https://example.com"))
KEY = "sk-verysecret"


def refused() -> Any:
    """As litellm reports a server that is not there."""
    error = lit.InternalServerError("Connection error.", **ABOUT)
    error.__cause__ = ConnectionRefusedError(111, "Connect call failed")
    return error


CASES: list[tuple[BaseException | str, Action, NotEvaluable | PauseReason]] = [
    (lit.AuthenticationError(f"bad key {KEY}", **ABOUT), PAUSE, PauseReason.KEY_REJECTED),
    (lit.PaymentRequiredError("pay", **ABOUT), PAUSE, PauseReason.PAYMENT_REQUIRED),
    (lit.PermissionDeniedError("no", response=RESPONSE, **ABOUT), PAUSE, PauseReason.FORBIDDEN),
    (lit.NotFoundError("no model", **ABOUT), PAUSE, PauseReason.MODEL_NOT_FOUND),
    (lit.LiteLLMUnknownProvider("gpt-x"), PAUSE, PauseReason.MODEL_NOT_FOUND),
    (lit.BudgetExceededError(1.0, 1.0), PAUSE, PauseReason.QUOTA_EXHAUSTED),
    (lit.RateLimitError("insufficient_quota", **ABOUT), PAUSE, PauseReason.QUOTA_EXHAUSTED),
    (lit.BadRequestError("Your credit balance is too low", **ABOUT), PAUSE, PauseReason.QUOTA_EXHAUSTED),
    (lit.RateLimitError("slow down", **ABOUT), RETRY, NotEvaluable.PROVIDER_ERROR),
    (lit.ServiceUnavailableError("down", **ABOUT), RETRY, NotEvaluable.PROVIDER_ERROR),
    (lit.BadGatewayError("down", **ABOUT), RETRY, NotEvaluable.PROVIDER_ERROR),
    (lit.InternalServerError("oops", **ABOUT), RETRY, NotEvaluable.PROVIDER_ERROR),
    (
        lit.InternalServerError("insufficient_quota, said the echoed run", **ABOUT),
        RETRY,
        NotEvaluable.PROVIDER_ERROR,
    ),
    (lit.APIError(529, "overloaded", **ABOUT), RETRY, NotEvaluable.PROVIDER_ERROR),
    (lit.APIError(409, "conflict", **ABOUT), RETRY, NotEvaluable.PROVIDER_ERROR),
    (lit.APIConnectionError("odd", **ABOUT), RETRY, NotEvaluable.PROVIDER_ERROR),
    (lit.APIResponseValidationError("odd", **ABOUT), RETRY, NotEvaluable.PROVIDER_ERROR),
    (lit.MidStreamFallbackError("cut", **ABOUT), RETRY, NotEvaluable.PROVIDER_ERROR),
    (lit.Timeout("slow", **ABOUT), RETRY, NotEvaluable.TIMEOUT),
    (TimeoutError(), RETRY, NotEvaluable.TIMEOUT),
    (httpx.ReadTimeout("slow"), RETRY, NotEvaluable.TIMEOUT),
    (refused(), RETRY, NotEvaluable.UNREACHABLE),
    (httpx.ConnectError("refused"), RETRY, NotEvaluable.UNREACHABLE),
    (httpx.ConnectTimeout("silent"), RETRY, NotEvaluable.UNREACHABLE),
    (ConnectionRefusedError(), RETRY, NotEvaluable.UNREACHABLE),
    (lit.ContextWindowExceededError("long", **ABOUT), GIVE_UP, NotEvaluable.CONTEXT_TOO_LONG),
    (lit.BadRequestError("maximum context length is 8192", **ABOUT), GIVE_UP, NotEvaluable.CONTEXT_TOO_LONG),
    (lit.ContentPolicyViolationError("no", **ABOUT), GIVE_UP, NotEvaluable.FILTERED),
    (lit.GuardrailRaisedException("guard", "no"), GIVE_UP, NotEvaluable.FILTERED),
    (lit.BlockedPiiEntityError("EMAIL"), GIVE_UP, NotEvaluable.FILTERED),
    (lit.BadRequestError("what?", **ABOUT), GIVE_UP, NotEvaluable.BAD_REQUEST),
    (lit.UnprocessableEntityError("what?", response=RESPONSE, **ABOUT), GIVE_UP, NotEvaluable.BAD_REQUEST),
    (lit.UnsupportedParamsError("what?", **ABOUT), GIVE_UP, NotEvaluable.BAD_REQUEST),
    (lit.InvalidRequestError("what?", **ABOUT), GIVE_UP, NotEvaluable.BAD_REQUEST),
    (lit.ModelNotMappedError(), GIVE_UP, NotEvaluable.BAD_REQUEST),
    (lit.RejectedRequestError("what?", request_data={}, **ABOUT), GIVE_UP, NotEvaluable.BAD_REQUEST),
    (lit.ImageFetchError("what?", **ABOUT), GIVE_UP, NotEvaluable.BAD_REQUEST),
    (lit.JSONSchemaValidationError(raw_response="{}", schema="{}", **ABOUT), REASK, NotEvaluable.UNPARSABLE),
    (Unparsable("not JSON"), REASK, NotEvaluable.UNPARSABLE),
    (RuntimeError("anything"), RETRY, NotEvaluable.PROVIDER_ERROR),
    ("length", GIVE_UP, NotEvaluable.CUT_OFF),
    ("refusal", GIVE_UP, NotEvaluable.REFUSED),
    ("content_filter", GIVE_UP, NotEvaluable.FILTERED),
    ("empty", REASK, NotEvaluable.UNPARSABLE),
    ("unparsable", REASK, NotEvaluable.UNPARSABLE),
    ("unprocessable", GIVE_UP, NotEvaluable.BAD_REQUEST),
]


@pytest.mark.parametrize(
    ("error", "action", "reason"), CASES, ids=[e if isinstance(e, str) else type(e).__name__ for e, _, _ in CASES]
)
def test_a_failure_has_an_action_and_a_reason(
    error: BaseException | str, action: Action, reason: NotEvaluable | PauseReason
) -> None:
    advice = classify(error, model="openai/gpt-x")
    assert (advice.action, advice.reason) == (action, reason)
    assert (advice.wait_seconds > 0) is (action in (RETRY, PAUSE))


def test_every_row_of_the_table_is_reached() -> None:
    reached = {classify(error).detail.split(": ", 1)[1].split(" (")[0] for error, _, _ in CASES}
    assert {row.says.split(" (")[0] for row in TABLE} <= reached


def test_every_error_class_of_litellm_that_is_a_failure_of_a_call_is_tried_above() -> None:
    errors = {name for name, each in vars(lit).items() if isinstance(each, type) and issubclass(each, Exception)}
    not_of_a_call = {
        "MockException",
        "ModifyResponseException",
        "OpenAIError",
        "SensitiveDataRouteException",
        "VectorStoreSearchError",
    }
    tried = {type(error).__name__ for error, _, _ in CASES}
    assert {name for name in errors if vars(lit)[name].__module__ == lit.__name__} - not_of_a_call <= tried


def test_the_detail_names_model_status_and_address_but_no_key_and_no_message() -> None:
    error = lit.AuthenticationError(f"bad key {KEY}; the run said: dear customer", **ABOUT)
    detail = classify(
        error, model="openai/gpt-x", api_base=f"https://user:{KEY}@llm.example:8443/v1?key={KEY}"
    ).detail
    assert "openai/gpt-x at https://llm.example:8443/v1: " in detail
    assert "status 401" in detail
    assert KEY not in detail
    assert "customer" not in detail


def test_a_server_that_is_not_there_makes_the_advice_ask_whether_it_runs() -> None:
    detail = classify(refused(), model="openai/gpt-x", api_base="http://127.0.0.1:9/v1").detail
    assert "http://127.0.0.1:9/v1: Nothing answers there: is the server running? ADJUDGE_JUDGE_API_BASE" in detail


def rate_limited(retry_after: str) -> Advice:
    response = httpx.Response(429, headers={"Retry-After": retry_after}, request=RESPONSE.request)
    return classify(lit.RateLimitError("slow", response=response, **ABOUT))


def test_retry_after_is_honoured_in_seconds_and_as_a_date() -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert rate_limited("7").wait_seconds == 7
    assert 85 < rate_limited(at).wait_seconds <= 90


@pytest.mark.parametrize("nonsense", ["soon", "-5", "1e9", "inf", "9" * 400])
def test_a_retry_after_that_makes_no_sense_is_ignored(nonsense: str) -> None:
    assert rate_limited(nonsense).wait_seconds == rate_limited("soon").wait_seconds


def test_a_retry_after_of_years_is_taken_for_a_day() -> None:
    assert rate_limited("999999999").wait_seconds == 86_400


@given(st.integers(1, 1000), st.floats(0, 1, exclude_max=True))
def test_back_off_doubles_within_its_bounds(attempts: int, drawn: float) -> None:
    advice = Advice(RETRY, NotEvaluable.PROVIDER_ERROR, "", 15.0)
    wait = back_off(advice, attempts, lambda: drawn)
    assert 0.8 * 15 <= wait <= 1.2 * LONGEST_BACK_OFF_SECONDS
    middle = (
        min(15 * 2.0 ** (attempts - 1), LONGEST_BACK_OFF_SECONDS) if attempts < 50 else LONGEST_BACK_OFF_SECONDS
    )
    assert abs(wait - middle) <= 0.2 * middle + 1e-9


@given(st.integers(1, 20), st.floats(0, 1, exclude_max=True))
def test_back_off_never_waits_less_than_the_provider_asks(attempts: int, drawn: float) -> None:
    advice = Advice(RETRY, NotEvaluable.PROVIDER_ERROR, "", 30.0, told_to_wait=True)
    assert 30 <= back_off(advice, attempts, lambda: drawn) <= 36
