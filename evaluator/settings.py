"""Every setting, each an ADJUDGE_* variable or a line of the file that ADJUDGE_CONFIG names.

docs/settings.md lists them; a test keeps the two equal.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from evaluator.errors import Misconfigured

PREFIX = "ADJUDGE_"

_URL_PASSWORD = re.compile(r"://\S*@")
_LONGEST_SHOWN = 60


def _models_dir() -> Path:
    return Path(platformdirs.user_cache_dir("adjudge")) / "models"


class Settings(BaseSettings):
    """What an operator may set."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
        allow_inf_nan=False,
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

    public_url: str = Field(
        default="",
        description="Address people reach this server by, such as https://adjudge.example; empty: this machine only.",
    )
    session_days: Annotated[float, Field(gt=0)] = Field(
        default=14, description="Days a browser stays signed in after it was last seen."
    )
    oidc_issuer: str = Field(
        default="", description="OpenID provider people sign in with, its issuer URL; empty: passwords only."
    )
    oidc_client_id: str = Field(default="", description="Client id this server has at the OpenID provider.")
    oidc_client_secret: SecretStr = Field(
        default=SecretStr(""), description="Client secret, where the OpenID provider gave one."
    )
    oidc_default_role: Literal["viewer", "reviewer", "author"] = Field(
        default="viewer", description="Role of people whom the OpenID provider brings for the first time."
    )
    oidc_allowed_domains: str = Field(
        default="",
        description="E-mail domains, separated by commas, whose people may come uninvited; empty: invited people only.",
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
        default_factory=_models_dir,
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

    audit_share: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.3, description="Share of a person's reviews that come from the audit stream while it has any."
    )
    gold_share: Annotated[float, Field(ge=0, le=0.5)] = Field(
        default=0.02, description="Share of a person's reviews that are gold items, whose verdict is known."
    )
    review_lease_minutes: Annotated[float, Field(ge=0.5, le=1440)] = Field(
        default=10, description="How long somebody who has gone silent keeps the item they review."
    )
    reviewer_usd_per_hour: Decimal | None = Field(
        default=None,
        ge=0,
        le=10_000,
        description="What an hour of reviewing costs, for people without a rate of their own; empty: unknown.",
    )
    review_sla_hours: Annotated[float, Field(gt=0)] = Field(
        default=24, description="A review item that waits longer than this is overdue."
    )
    review_webhook_url: str = Field(
        default="", description="Where to tell that reviews are overdue: an https address; empty: nowhere."
    )
    review_webhook_secret: SecretStr = Field(
        default=SecretStr(""), description="What webhooks are signed with: whsec_ and base64 of 24 to 64 bytes."
    )
    webhook_allow_private: bool = Field(
        default=False, description="Whether webhooks may go to private and local addresses, and over plain http."
    )
    smtp_url: str = Field(
        default="", description="Mail server: smtp://user:password@host:587 or smtps://…; empty: no e-mail."
    )
    mail_from: str = Field(default="", description="Sender of e-mails.")
    digest_to: str = Field(
        default="", description="Who gets the daily e-mail on what waits for review; several with commas."
    )
    digest_hour_utc: Annotated[int, Field(ge=0, le=23)] = Field(
        default=6, description="Hour from which the daily e-mail goes out."
    )

    @property
    def default_judge(self) -> str:
        """The model behind `default`, empty for the local one; raises Misconfigured for a server without a model."""
        if self.judge_api_base and not self.judge_model:
            raise Misconfigured(
                "ADJUDGE_JUDGE_API_BASE is set without ADJUDGE_JUDGE_MODEL.",
                hint="Name the model on that server, such as openai/qwen2.5-7b-instruct.",
            )
        return self.judge_model

    @cached_property
    def resolved_database_url(self) -> str:
        """The SQLAlchemy URL, with the driver named."""
        url = self.database_url or f"sqlite:///{(self.data_dir / 'adjudge.db').absolute()}"
        for plain in ("postgresql://", "postgres://"):
            if url.startswith(plain):
                return "postgresql+psycopg://" + url.removeprefix(plain)
        return url


def load_settings(**changes: Any) -> Settings:
    """The settings of this environment and of the file ADJUDGE_CONFIG names, with changes by field name.

    A change goes before the environment, the environment before the file. Raises Misconfigured: for a file that
    cannot be read, and for values that are not allowed, naming each variable, what was found and what it takes.
    """
    config = _config_file()
    try:
        return Settings(_env_file=config, **changes)
    except ValidationError as error:
        problems = [_problem(one, config, changes) for one in error.errors(include_url=False)]
        raise Misconfigured("; ".join(problems) + ".", hint="docs/settings.md describes every setting.") from None


def takes(name: str) -> str:
    """What a setting takes, in words; `name` is its field."""
    schema = Settings.model_json_schema()["properties"][name]
    schema = schema.get("anyOf", [schema])[0]
    if "enum" in schema:
        return " or ".join(schema["enum"])
    match schema["type"]:
        case "integer":
            return f"a whole number{_bounds(schema)}"
        case "number":
            return f"a number{_bounds(schema)}"
        case "boolean":
            return "true or false"
        case _:
            return "a path" if schema.get("format") == "path" else "text"


def shown(name: str, value: object) -> str:
    """A setting's value as it may be shown: secrets and passwords within URLs are masked."""
    if Settings.model_fields[name].annotation is SecretStr:
        return "**********" if value and str(value) else ""
    return _URL_PASSWORD.sub("://***@", str(value))


def _config_file() -> Path | None:
    named = os.environ.get(f"{PREFIX}CONFIG")
    if not named:
        return None
    path = Path(named).expanduser()
    if not path.is_file():
        raise Misconfigured(f"ADJUDGE_CONFIG names {named}, and there is no such file.")
    try:
        path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise Misconfigured(f"ADJUDGE_CONFIG names {named}, and that file is not UTF-8 text.") from None
    except OSError as error:
        raise Misconfigured(f"ADJUDGE_CONFIG names {named}, which cannot be read: {error.strerror}.") from None
    return path


def _problem(one: ErrorDetails, config: Path | None, changes: Mapping[str, object]) -> str:
    place = str(one["loc"][0])
    name = place.lower().removeprefix(PREFIX.lower())
    variable = f"{PREFIX}{name.upper()}"
    found = repr(shown(name, one["input"])[:_LONGEST_SHOWN])
    in_environment = any(known.upper() == variable for known in os.environ)
    where = "" if name in changes else " in the environment" if in_environment else f" in {config}"
    return f"{variable} takes {takes(name)}; found {found}{where}"


def _bounds(schema: Mapping[str, Any]) -> str:
    if "exclusiveMinimum" in schema:
        return f" above {schema['exclusiveMinimum']:g}"
    if "maximum" in schema:
        return f" from {schema['minimum']:g} to {schema['maximum']:g}"
    return f", {schema['minimum']:g} or more"
