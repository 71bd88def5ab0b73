"""How a deployment stands, for people: counts per stage, what waits and why, who judges, what it cost today."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from evaluator.deployment import Deployment
from evaluator.judging.endpoint import DEFAULT, model_named
from evaluator.model.judgement import NotEvaluable
from evaluator.model.local_judge import LOCAL_JUDGE_LABEL
from evaluator.model.operation import JudgePause
from evaluator.model.rubric import Rubric
from evaluator.pipeline import WORKER_SILENCE
from evaluator.rubric_format.installed_checks import check_clashes
from evaluator.settings import Settings
from evaluator.store.operations import Overview, overview
from evaluator.store.progress import Progress, judging_progress
from evaluator.store.waiting_reviews import WaitingTotal, total_of, waiting_reviews
from evaluator.wording import moment, noun

IN_WORDS: dict[NotEvaluable, str] = {
    NotEvaluable.NO_CONTENT: "nothing was captured that could be judged",
    NotEvaluable.UNPARSABLE: "the judge's reply could not be read, asked twice",
    NotEvaluable.REFUSED: "the judge refused to answer",
    NotEvaluable.CUT_OFF: "the judge's reply was longer than max_tokens allows",
    NotEvaluable.FILTERED: "the provider's content filter stopped the call",
    NotEvaluable.CONTEXT_TOO_LONG: "the content is longer than the judge can read",
    NotEvaluable.TIMEOUT: "the judge did not answer in time, attempt after attempt",
    NotEvaluable.PROVIDER_ERROR: "the provider failed, attempt after attempt",
    NotEvaluable.UNREACHABLE: "the provider could not be reached, attempt after attempt",
    NotEvaluable.BAD_REQUEST: "the provider does not take such a call",
    NotEvaluable.BUDGET: "the rubric's budget for the day is spent; taken up again tomorrow (UTC)",
    NotEvaluable.UNPRICED: "the judge has no known price, so the rubric's budget could not be kept",
    NotEvaluable.WORKER_LOST: "worker after worker stopped while judging it",
    NotEvaluable.INTERNAL_ERROR: "this server failed over it, attempt after attempt; its log says where",
}
"""Why there is no verdict, as every page and table says it."""


@dataclass(frozen=True)
class Waiting:
    """Something that is not done yet: how many, of what, and why."""

    count: int
    what: str
    why: str


@dataclass(frozen=True)
class RubricInForce:
    """A rubric as the status shows it."""

    id: str
    title: str
    role: str
    version: str
    workflows: tuple[str, ...]
    sample_rate: float
    judges: tuple[str, ...]


@dataclass(frozen=True)
class Situation:
    """How a deployment stands at one moment."""

    at: datetime
    overview: Overview
    progress: Progress
    waiting: tuple[Waiting, ...]
    judge: str
    """What `default` stands for in rubrics."""
    rubrics: tuple[RubricInForce, ...] = ()
    rubric_problems: tuple[str, ...] = ()
    """Each as file:line:column and what is wrong there; then checks that several packages bring along."""
    spent_today_usd: Decimal = Decimal(0)
    """On judging, this UTC day; never part of the product's cost."""
    unpriced_calls_today: int = 0
    calls_today: int = 0
    not_evaluable: tuple[Waiting, ...] = field(default=())
    """Reasons with their counts, in words, the most frequent first."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing has arrived yet."""
        return not (self.overview.events or self.overview.spans)


def situation_of(deployment: Deployment, now: datetime) -> Situation:
    """Look at everything once; a few short reads of the database and one of the rubric folder."""
    with deployment.database.read() as connection:
        seen = overview(connection, now=now, worker_seen_after=now - WORKER_SILENCE)
        progress = judging_progress(connection, now=now)
        sla = timedelta(hours=deployment.settings.review_sla_hours)
        reviews = total_of(waiting_reviews(connection, overdue_before=now - sla))
    settings = deployment.settings
    reasons = sorted(seen.not_evaluable.items(), key=lambda pair: (-pair[1], pair[0]))
    return Situation(
        at=now,
        overview=seen,
        progress=progress,
        waiting=(*_waiting(seen, progress, settings, now), *reviews_waiting(reviews, settings)),
        judge=judge_label(DEFAULT, settings),
        rubrics=tuple(_in_force(rubric, settings) for rubric in deployment.shelf.rubrics),
        rubric_problems=(*map(str, deployment.shelf.problems), *check_clashes().values()),
        spent_today_usd=sum((day.settled_usd for day in seen.spend_today), Decimal(0)),
        unpriced_calls_today=sum(day.unpriced_calls for day in seen.spend_today),
        calls_today=sum(day.calls for day in seen.spend_today),
        not_evaluable=tuple(
            Waiting(n, reason.replace("_", " "), IN_WORDS[NotEvaluable(reason)]) for reason, n in reasons
        ),
    )


def judge_label(model: str, settings: Settings) -> str:
    """A rubric's model name as people read it."""
    return model_named(model, settings) or LOCAL_JUDGE_LABEL


def _in_force(rubric: Rubric, settings: Settings) -> RubricInForce:
    return RubricInForce(
        id=rubric.id,
        title=rubric.title,
        role=rubric.role,
        version=rubric.version,
        workflows=rubric.applies_to.workflow,
        sample_rate=rubric.sample.rate,
        judges=tuple(dict.fromkeys(judge_label(spec.model, settings) for spec in rubric.judges)),
    )


def _waiting(seen: Overview, progress: Progress, settings: Settings, now: datetime) -> list[Waiting]:
    nobody = "" if seen.workers else "no worker is running; start `adjudge worker`"
    fresh = max(0, progress.due - seen.retrying)
    idle = (
        f"their root span has not come; {settings.idle_timeout_seconds:g} s after the last span they count as ended"
    )
    lines = (
        (seen.traces_waiting, "arrival", "to be put together", nobody or "taken up within seconds"),
        (progress.open_runs, "open run", "", idle),
        (progress.leased, "judgement", "being judged", "handed to a worker"),
        (fresh, "judgement", "due", nobody or "waiting for a free slot of the judge"),
        (seen.retrying, "judgement", "to be tried again", "the judge failed in a way that may pass"),
        (progress.paused, "judgement", "on hold", _pauses_in_words(seen.pauses, now)),
    )
    return [Waiting(n, f"{noun(n, what)} {more}".strip(), why) for n, what, more, why in lines if n > 0]


def reviews_waiting(reviews: WaitingTotal, settings: Settings) -> list[Waiting]:
    """What waits for people: what is overdue by itself."""
    fresh = reviews.waiting - reviews.overdue
    late = f"longer than {settings.review_sla_hours:g} h"
    if reviews.oldest_at is not None:
        late += f", the oldest since {reviews.oldest_at:%Y-%m-%d %H:%M} UTC"
    lines = (
        (reviews.overdue, "overdue", f"waiting {late}"),
        (fresh, "to be done", "waiting for people"),
    )
    return [Waiting(n, f"{noun(n, 'review')} {more}", why) for n, more, why in lines if n > 0]


def _pauses_in_words(pauses: list[JudgePause], now: datetime) -> str:
    return "; ".join(
        f"judge {one.judge} is paused until {moment(one.until, now)}: {one.reason.replace('_', ' ')}"
        for one in pauses
    )
