"""The tables: each extends its shape in `model/` and adds only what a database needs."""

from __future__ import annotations

from sqlalchemy import Index, text
from sqlmodel import BigInteger, Field, LargeBinary, SQLModel

from evaluator.model.api_key import ApiKey, AuditEntry
from evaluator.model.backtest import Backtest, BacktestVerdict
from evaluator.model.delivery import Delivery
from evaluator.model.event import Event
from evaluator.model.judgement import Judgement
from evaluator.model.operation import Failure, JudgePause, Spend, WorkerBeat
from evaluator.model.outcome import Outcome, Signal
from evaluator.model.person import Person, PersonSession, Ticket
from evaluator.model.review import Review, ReviewAct, ReviewBatch, ReviewItem, ReviewSlot
from evaluator.model.rollup import Rollup
from evaluator.model.rubric import RubricVersion
from evaluator.model.run import Run
from evaluator.model.sample import Sample
from evaluator.model.span import Arrival, SpanChunk, SpanLog
from evaluator.model.verdict import Verdict


class EventRow(Event, table=True):
    __tablename__ = "event"


class RunRow(Run, table=True):
    __tablename__ = "run"
    __table_args__ = (
        Index(
            "ix_run_open",
            "last_arrival_at",
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
    )


class CaptureRow(SQLModel, table=True):
    """A run's capture, packed."""

    __tablename__ = "capture"
    run_id: str = Field(primary_key=True)
    body: bytes = Field(sa_type=LargeBinary)


class SpanChunkRow(SpanChunk, table=True):
    __tablename__ = "span_chunk"


class SpanLogRow(SpanLog, table=True):
    __tablename__ = "span_log"


class ArrivalRow(Arrival, table=True):
    __tablename__ = "arrival"
    __table_args__ = (
        Index("ix_arrival_run", "run_id"),
        Index("ix_arrival_event", "event_id"),
        Index(
            "ix_arrival_dirty",
            "last_arrival_us",
            sqlite_where=text("dirty"),
            postgresql_where=text("dirty"),
        ),
    )


class RubricVersionRow(RubricVersion, table=True):
    __tablename__ = "rubric_version"


class BacktestRow(Backtest, table=True):
    __tablename__ = "backtest"


class BacktestVerdictRow(BacktestVerdict, table=True):
    __tablename__ = "backtest_verdict"
    __table_args__ = (Index("ix_backtest_verdict_cache", "content_hash", "fingerprint", "repeat"),)


class SampleRow(Sample, table=True):
    __tablename__ = "sample"


class JudgementRow(Judgement, table=True):
    __tablename__ = "judgement"
    __table_args__ = (
        Index("ix_judgement_queue", "state", "provider", "rubric_id", "due_at"),
        Index("ix_judgement_lease", "lease_token"),
        Index("ix_judgement_provider_leased", "provider", "leased_at"),
    )


class VerdictRow(Verdict, table=True):
    __tablename__ = "verdict"
    __table_args__ = (
        Index("ix_verdict_cache", "content_hash", "fingerprint", "repeat"),
        # counts per rubric version are read from it alone, whatever verdicts hold besides
        Index("ix_verdict_version", "rubric_version", "created_at", "source", "verdict", "cost_usd"),
        # one authoritative verdict of people
        Index(
            "ix_verdict_standing",
            "event_id",
            "rubric_id",
            unique=True,
            sqlite_where=text("source = 'human' AND stands"),
            postgresql_where=text("source = 'human' AND stands"),
        ),
    )


class RollupRow(Rollup, table=True):
    __tablename__ = "rollup"


class SignalRow(Signal, table=True):
    __tablename__ = "signal"


class OutcomeRow(Outcome, table=True):
    __tablename__ = "outcome"


class FeedRow(SQLModel, table=True):
    """The last position given out in a feed; taken under a row lock, so positions follow commits."""

    __tablename__ = "feed"
    feed: str = Field(primary_key=True)
    position: int = Field(default=0, sa_type=BigInteger)


class SpendRow(Spend, table=True):
    __tablename__ = "spend"


class JudgePauseRow(JudgePause, table=True):
    __tablename__ = "judge_pause"


class WorkerBeatRow(WorkerBeat, table=True):
    __tablename__ = "worker_beat"


class FailureRow(Failure, table=True):
    __tablename__ = "failure"


class ApiKeyRow(ApiKey, table=True):
    __tablename__ = "api_key"


class AuditEntryRow(AuditEntry, table=True):
    __tablename__ = "audit_entry"


class PersonRow(Person, table=True):
    __tablename__ = "person"


class PersonSessionRow(PersonSession, table=True):
    __tablename__ = "person_session"


class TicketRow(Ticket, table=True):
    __tablename__ = "ticket"


class ReviewItemRow(ReviewItem, table=True):
    __tablename__ = "review_item"
    __table_args__ = (
        Index("ix_review_item_queue", "state", "rank_at"),
        Index(
            "ix_review_item_done",
            "settled_at",
            sqlite_where=text("state = 'done'"),
            postgresql_where=text("state = 'done'"),
        ),
        Index("ix_review_item_gold", "created_at", sqlite_where=text("gold"), postgresql_where=text("gold")),
    )


class ReviewSlotRow(ReviewSlot, table=True):
    __tablename__ = "review_slot"
    __table_args__ = (
        # two lines that people are called from in turn, each an index of its own: a claim reads its head
        Index(
            "ix_review_slot_audit",
            "rank_at",
            sqlite_where=text("state = 'open' AND kind = 'review' AND stream = 'audit'"),
            postgresql_where=text("state = 'open' AND kind = 'review' AND stream = 'audit'"),
        ),
        Index(
            "ix_review_slot_queue",
            "rank_at",
            sqlite_where=text("state = 'open' AND kind = 'review' AND stream <> 'audit'"),
            postgresql_where=text("state = 'open' AND kind = 'review' AND stream <> 'audit'"),
        ),
        Index("ix_review_slot_person", "claimed_by", "claimed_at"),
        Index(
            "ix_review_slot_held",
            "claimed_by",
            "lease_until",
            sqlite_where=text("state = 'open' AND claimed_by IS NOT NULL"),
            postgresql_where=text("state = 'open' AND claimed_by IS NOT NULL"),
        ),
        # nobody holds or fills two slots of one kind at once
        Index(
            "ix_review_slot_one_each",
            "item_id",
            "round",
            "kind",
            "claimed_by",
            unique=True,
            sqlite_where=text("claimed_by IS NOT NULL AND state <> 'cancelled'"),
            postgresql_where=text("claimed_by IS NOT NULL AND state <> 'cancelled'"),
        ),
    )


class ReviewRow(Review, table=True):
    __tablename__ = "review"
    __table_args__ = (
        Index("ix_review_form", "person_id", "form_key", unique=True),
        # the last ten of a person, to be undone, however many they gave
        Index("ix_review_person", "person_id", "created_at"),
    )


class ReviewActRow(ReviewAct, table=True):
    __tablename__ = "review_act"
    __table_args__ = (
        Index("ix_review_act_item", "item_id", "person_id"),
        # in which order a batch's items came
        Index(
            "ix_review_act_batch",
            "batch_id",
            sqlite_where=text("batch_id IS NOT NULL"),
            postgresql_where=text("batch_id IS NOT NULL"),
        ),
    )


class ReviewBatchRow(ReviewBatch, table=True):
    __tablename__ = "review_batch"


class DeliveryRow(Delivery, table=True):
    __tablename__ = "delivery"
    __table_args__ = (
        Index(
            "ix_delivery_due",
            "due_at",
            sqlite_where=text("state = 'due'"),
            postgresql_where=text("state = 'due'"),
        ),
    )
