"""Every setting, each an ADJUDGE_* variable or a line of the file that ADJUDGE_CONFIG names.

docs/settings.md lists them; a test keeps the two equal.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Annotated

import platformdirs
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What an operator may set."""

    model_config = SettingsConfigDict(
        env_prefix="ADJUDGE_",
        env_file=os.environ.get("ADJUDGE_CONFIG"),
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
    )

    data_dir: Path = Field(default=Path("adjudge-data"), description="Folder for the database and large bodies.")
    database_url: str = Field(
        default="",
        description="postgresql://… for several processes; empty for one SQLite file in the data folder.",
    )
    body_store_url: str = Field(
        default="",
        description="Where bodies over 64 KB go: s3://…, gs://…, az://… or file://…; empty: the data folder.",
    )
    rubrics_dir: Path = Field(default=Path("rubrics"), description="Folder of rubric YAML files.")
    config: Path | None = Field(default=None, description="A file of settings, one NAME=value a line.")

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        default=8700, description="Port to listen on; 0 picks a free one."
    )

    judge_model: str = Field(
        default="",
        description="The judge that `default` stands for, any litellm name; empty: the small local model.",
    )
    judge_api_base: str = Field(
        default="", description="Address of an OpenAI-compatible server for the default judge."
    )
    judge_api_key: SecretStr = Field(
        default=SecretStr(""), description="Key for the default judge; providers' own variables work as well."
    )
    judge_input_usd_per_mtok: float | None = Field(
        default=None,
        ge=0,
        description="Price of the default judge per million input tokens, where litellm has none.",
    )
    judge_output_usd_per_mtok: float | None = Field(
        default=None,
        ge=0,
        description="Price of the default judge per million output tokens, where litellm has none.",
    )
    judge_concurrency: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=16, description="Most calls to one provider at a time, all workers together."
    )
    judge_calls_per_minute: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Most calls to one provider in a minute, all workers together; 0: no limit."
    )
    judge_attempts: Annotated[int, Field(ge=1, le=50)] = Field(
        default=6, description="Times a judgement is tried while the provider fails in a way that may pass."
    )
    models_dir: Path = Field(
        default=Path(platformdirs.user_cache_dir("adjudge")) / "models",
        description="Folder of the local model's weights.",
    )

    lease_seconds: Annotated[float, Field(ge=2)] = Field(
        default=60,
        description="How long a worker that has gone silent keeps its judgements; then they are due again.",
    )
    idle_timeout_seconds: Annotated[float, Field(ge=0.1)] = Field(
        default=300,
        description="A run without a root span counts as ended after this long without a new span.",
    )
    max_body_mb: Annotated[float, Field(gt=0)] = Field(default=16, description="Largest request body, as sent.")
    max_decompressed_mb: Annotated[float, Field(gt=0)] = Field(
        default=64, description="Largest request body after decompression."
    )
    max_text_chars: Annotated[int, Field(ge=1000)] = Field(
        default=1_000_000, description="A captured text longer than this is cut, and marked truncated."
    )
    max_requests_in_flight: Annotated[int, Field(ge=1)] = Field(
        default=64, description="More ingest requests than this at once are answered 503 with Retry-After."
    )
    redact: bool = Field(
        default=True, description="Replace e-mail addresses, card numbers, keys and the like before storage."
    )
    redact_extra: str = Field(default="", description="A further regular expression to redact.")

    @cached_property
    def resolved_database_url(self) -> str:
        """The SQLAlchemy URL, with the driver named."""
        url = self.database_url or f"sqlite:///{(self.data_dir / 'adjudge.db').absolute()}"
        for plain in ("postgresql://", "postgres://"):
            if url.startswith(plain):
                return "postgresql+psycopg://" + url.removeprefix(plain)
        return url
