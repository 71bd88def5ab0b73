"""Failures of a judge call: one table from what went wrong to what is done about it.

Only our own queue retries; a failing judge never yields a score.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from evaluator.errors import AdjudgeError
from evaluator.model.judgement import NotEvaluable


class Action(StrEnum):
    """What is done about a failed call."""

    RETRY_LATER = "retry_later"
    """The judgement is due again after a wait; its reason stands once the attempts are used up."""
    REASK = "reask"
    """The same judge is asked once more, with what was wrong; after that the judgement ends with the reason."""
    PAUSE = "pause"
    """No judgement of this judge is tried for a while: a person has to do something."""
    GIVE_UP = "give_up"
    """The judgement ends without a verdict, with the reason."""


class PauseReason(StrEnum):
    """Why a judge is not called for a while."""

    KEY_REJECTED = "key_rejected"
    PAYMENT_REQUIRED = "payment_required"
    FORBIDDEN = "forbidden"
    MODEL_NOT_FOUND = "model_not_found"
    QUOTA_EXHAUSTED = "quota_exhausted"


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do about a failure; detail is for people and holds no captured content and no key."""

    action: Action
    reason: NotEvaluable | PauseReason
    detail: str
    wait_seconds: float = 0.0
    """For retry_later before the first retry, for pause its length; 0 otherwise."""
    told_to_wait: bool = False
    """Whether the provider named the wait (Retry-After)."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A row of the table: what it is recognised by, and what is done."""

    name: str
    action: Action
    reason: NotEvaluable | PauseReason
    says: str
    classes: frozenset[str] = frozenset()
    """Class names: of the error, of its base classes or of what caused it."""
    statuses: frozenset[int] = frozenset()
    words: re.Pattern[str] | None = None
    """Looked for in the provider's message; nothing of the message is kept."""
    wait_seconds: float = 0.0


class CallFailed(AdjudgeError):
    """The judge could not be asked."""

    def __init__(self, advice: Advice) -> None:
        super().__init__(advice.detail)
        self.advice = advice
        self.retry_helps = advice.action is Action.RETRY_LATER


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


TABLE: tuple[Failure, ...] = (
    Failure(
        "length",
        Action.GIVE_UP,
        NotEvaluable.CUT_OFF,
        "The reply hit the length limit; raise max_tokens of this judge in the rubric.",
        words=_words(r"\Alength\Z"),
    ),
    Failure(
        "refusal",
        Action.GIVE_UP,
        NotEvaluable.REFUSED,
        "The model refused to judge.",
        words=_words(r"\Arefusal\Z"),
    ),
    Failure(
        "content_filter",
        Action.GIVE_UP,
        NotEvaluable.FILTERED,
        "The provider's content filter stopped the call.",
        classes=frozenset({"ContentPolicyViolationError", "GuardrailRaisedException", "BlockedPiiEntityError"}),
        words=_words(r"\Acontent_filter\Z|content[ _]management policy|content_policy_violation"),
    ),
    Failure(
        "empty",
        Action.REASK,
        NotEvaluable.UNPARSABLE,
        "The reply was empty.",
        words=_words(r"\Aempty\Z"),
    ),
    Failure(
        "unparsable",
        Action.REASK,
        NotEvaluable.UNPARSABLE,
        "The reply was not what the schema asks for, also when asked again.",
        classes=frozenset({"Unparsable", "JSONSchemaValidationError"}),
        words=_words(r"\Aunparsable\Z"),
    ),
    Failure(
        "context_too_long",
        Action.GIVE_UP,
        NotEvaluable.CONTEXT_TOO_LONG,
        "The prompt is longer than the model takes; lower max_content_chars of this judge in the rubric.",
        classes=frozenset({"ContextWindowExceededError"}),
        words=_words(
            r"context[_ ]length[_ ]exceeded|maximum context length|exceed_context_size"
            r"|exceeds the available context size|prompt is too long"
        ),
    ),
    Failure(
        "quota_exhausted",
        Action.PAUSE,
        PauseReason.QUOTA_EXHAUSTED,
        "The account's quota or credit is used up; top it up or raise the limit.",
        classes=frozenset({"BudgetExceededError"}),
        words=_words(
            r"insufficient_quota|exceeded your current quota|credit balance is too low|billing_hard_limit"
        ),
        wait_seconds=3600,
    ),
    Failure(
        "key_rejected",
        Action.PAUSE,
        PauseReason.KEY_REJECTED,
        "The provider does not accept the API key, or there is none; set ADJUDGE_JUDGE_API_KEY or the provider's "
        "own variable.",
        classes=frozenset({"AuthenticationError"}),
        statuses=frozenset({401}),
        wait_seconds=900,
    ),
    Failure(
        "payment_required",
        Action.PAUSE,
        PauseReason.PAYMENT_REQUIRED,
        "The provider asks for payment.",
        classes=frozenset({"PaymentRequiredError"}),
        statuses=frozenset({402}),
        wait_seconds=3600,
    ),
    Failure(
        "forbidden",
        Action.PAUSE,
        PauseReason.FORBIDDEN,
        "The API key may not use this model.",
        classes=frozenset({"PermissionDeniedError"}),
        statuses=frozenset({403}),
        wait_seconds=900,
    ),
    Failure(
        "model_not_found",
        Action.PAUSE,
        PauseReason.MODEL_NOT_FOUND,
        "The provider does not know this model, or litellm not this provider; check the name in the rubric or "
        "ADJUDGE_JUDGE_MODEL.",
        classes=frozenset({"NotFoundError", "LiteLLMUnknownProvider"}),
        statuses=frozenset({404}),
        words=_words(r"LLM Provider NOT provided"),
        wait_seconds=900,
    ),
    Failure(
        "unreachable",
        Action.RETRY_LATER,
        NotEvaluable.UNREACHABLE,
        "Nothing answers there: is the server running? ADJUDGE_JUDGE_API_BASE names its address.",
        classes=frozenset(
            {"ConnectionRefusedError", "ConnectError", "ClientConnectorError", "ConnectTimeout", "gaierror"}
        ),
        wait_seconds=10,
    ),
    Failure(
        "timeout",
        Action.RETRY_LATER,
        NotEvaluable.TIMEOUT,
        "No reply came within timeout_seconds of this judge.",
        classes=frozenset({"TimeoutError", "Timeout", "APITimeoutError", "TimeoutException"}),
        statuses=frozenset({408, 504}),
        wait_seconds=10,
    ),
    Failure(
        "rate_limited",
        Action.RETRY_LATER,
        NotEvaluable.PROVIDER_ERROR,
        "The provider limits the rate of calls.",
        classes=frozenset({"RateLimitError"}),
        statuses=frozenset({429}),
        wait_seconds=15,
    ),
    Failure(
        "overloaded",
        Action.RETRY_LATER,
        NotEvaluable.PROVIDER_ERROR,
        "The provider is overloaded or down.",
        classes=frozenset({"ServiceUnavailableError", "BadGatewayError", "MidStreamFallbackError"}),
        statuses=frozenset({502, 503, 529}),
        wait_seconds=15,
    ),
    Failure(
        "conflict",
        Action.RETRY_LATER,
        NotEvaluable.PROVIDER_ERROR,
        "The provider asks to try again.",
        classes=frozenset({"ConflictError"}),
        statuses=frozenset({409, 425}),
        wait_seconds=10,
    ),
    Failure(
        "bad_request",
        Action.GIVE_UP,
        NotEvaluable.BAD_REQUEST,
        "The provider does not take the request as it is.",
        classes=frozenset({"BadRequestError", "UnprocessableEntityError", "ModelNotMappedError"}),
        statuses=frozenset({400, 405, 406, 413, 415, 422}),
        words=_words(r"\Aunprocessable\Z"),
    ),
    Failure(
        "provider_error",
        Action.RETRY_LATER,
        NotEvaluable.PROVIDER_ERROR,
        "The call failed at the provider or on the way.",
        wait_seconds=15,
    ),
)
"""First match wins: by words, then by class, then by status; finer rows come first, the last matches everything."""

LONGEST_BACK_OFF_SECONDS = 900.0
_LONGEST_RETRY_AFTER_SECONDS = 86_400.0
_JITTER = 0.2
_SERVER_FAILURE = 500


def classify(error: BaseException | str, *, model: str = "", api_base: str | None = None) -> Advice:
    """What to do about an error, or about a reply that ended with the given reason.

    An error is known by the names of its class and bases, by those of its causes, and by its status_code, so that
    no client library is needed. Strings: length, refusal, content_filter, empty, unparsable, unprocessable;
    any other is a provider_error.
    """
    if isinstance(error, str):
        return _advice(_row_for(error, frozenset(), None), model=model or "The judge")
    causes = list(_causes(error))
    status = next((code for each in causes if (code := _status(each)) is not None), None)
    names = frozenset(kind.__name__ for each in causes for kind in type(each).__mro__)
    # a server's own failure may echo what it was sent: captured words must not choose a row
    message = str(error) if status is None or status < _SERVER_FAILURE else ""
    row = _row_for(message, names, status)
    where = f" at {_address(api_base)}" if api_base else ""
    told = next((wait for each in causes if (wait := _retry_after(each)) is not None), None)
    known_by = next((kind for each in causes if (kind := _class_in(row.classes, each))), type(error).__name__)
    # what the status of an error that is known by its cause adds may be an invention of the client library's
    facts = [known_by, *([f"status {status}"] if status in row.statuses or (not row.classes and status) else [])]
    return _advice(
        row,
        model=(model or str(getattr(error, "model", "") or "The judge")) + where,
        facts=", ".join(facts),
        told=told if row.action is Action.RETRY_LATER else None,
    )


def back_off(advice: Advice, attempts: int, draw: Callable[[], float]) -> float:
    """Seconds to wait before the next try, after so many attempts (1 or more).

    Doubles with each attempt up to 15 minutes, ± 20 %; a wait the provider named is a lower bound instead.
    draw gives a uniform number in [0, 1).
    """
    if advice.told_to_wait:
        return advice.wait_seconds * (1 + _JITTER * draw())
    doubled = advice.wait_seconds * 2.0 ** min(max(attempts - 1, 0), 16)
    return min(doubled, LONGEST_BACK_OFF_SECONDS) * (1 - _JITTER + 2 * _JITTER * draw())


def failure_table() -> str:
    """The table as Markdown, as docs/judging.md shows it."""
    rows = [
        f"| {row.name} | {_recognised_by(row)} | {row.action} | `{row.reason}` | {row.wait_seconds or '–'} |"
        for row in TABLE
    ]
    head = "| failure | recognised by | what is done | reason | wait, s |\n|---|---|---|---|---|"
    return "\n".join([head, *rows])


def _row_for(message: str, classes: frozenset[str], status: int | None) -> Failure:
    tests: tuple[Callable[[Failure], bool], ...] = (
        lambda row: row.words is not None and row.words.search(message) is not None,
        lambda row: bool(row.classes & classes),
        lambda row: status in row.statuses,
    )
    return next((row for matches in tests for row in TABLE if matches(row)), TABLE[-1])


def _advice(row: Failure, *, model: str, facts: str = "", told: float | None = None) -> Advice:
    detail = f"{model}: {row.says}" + (f" ({facts})" if facts else "")
    if told is not None:
        return Advice(row.action, row.reason, detail, told, told_to_wait=True)
    return Advice(row.action, row.reason, detail, row.wait_seconds)


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _class_in(classes: frozenset[str], error: BaseException) -> str | None:
    """The error's own class name, where the class or a base is among these."""
    names = [kind.__name__ for kind in type(error).__mro__]
    return names[0] if classes.intersection(names) else None


def _status(error: BaseException) -> int | None:
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) else None


def _retry_after(error: BaseException) -> float | None:
    headers: Any = getattr(getattr(error, "response", None), "headers", None) or getattr(error, "headers", None)
    text = headers.get("retry-after") if hasattr(headers, "get") else None
    if not isinstance(text, str):
        return None
    seconds = _seconds(text.strip())
    return None if seconds is None else min(max(seconds, 0.0), _LONGEST_RETRY_AFTER_SECONDS)


def _seconds(text: str) -> float | None:
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text):
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return (at - datetime.now(UTC)).total_seconds() if at.tzinfo else None


def _address(api_base: str) -> str:
    """The address without user, password and query."""
    try:
        parts = urlsplit(api_base)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an address that is no URL"
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"


def _recognised_by(row: Failure) -> str:
    known = [
        *(f"`{name}`" for name in sorted(row.classes)),
        *map(str, sorted(row.statuses)),
        *(["its words"] if row.words else []),
    ]
    return ", ".join(known) or "anything else"
