"""JSON for people and programs: money as exact decimal text, times in UTC."""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from decimal import Decimal
from typing import Any

import orjson
from pydantic import BaseModel


def json_bytes(value: Any, *, indented: bool = False) -> bytes:
    """JSON with decimals written out in full, as text, so that no cent is lost to floating point."""
    layout = orjson.OPT_INDENT_2 if indented else 0
    return orjson.dumps(value, default=_plain, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS | layout)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return decimal_text(value)
    if isinstance(value, BaseModel):
        return dict(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form here")


def decimal_text(value: Decimal) -> str:
    """A decimal without exponent or trailing zeros: 0.0042, 12.5, 3."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
