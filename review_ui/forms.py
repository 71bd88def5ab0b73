"""Forms as pages send them: read with a limit, as text by name."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, Request

from evaluator.api.request_json import read_limited
from evaluator.errors import BadInput, Unsupported
from evaluator.rubric_format.rubric_problems import quoted

MAX_BYTES = 1_000_000
MAX_FIELDS = 500
MEDIA_TYPE = "application/x-www-form-urlencoded"


async def form_of(request: Request) -> dict[str, str]:
    """Name → text of a form; of a name that comes twice the last.

    Line ends are plain, null characters are left out: PostgreSQL stores none. Raises TooLarge, Unsupported, BadInput.
    """
    media = request.headers.get("content-type", MEDIA_TYPE).partition(";")[0].strip().lower()
    if media != MEDIA_TYPE:
        raise Unsupported(f"The content type is {quoted(media)}.", hint=f"Send {MEDIA_TYPE}.")
    body = await read_limited(request, MAX_BYTES)
    try:
        pairs = parse_qsl(
            body.decode("latin-1"), keep_blank_values=True, errors="replace", max_num_fields=MAX_FIELDS
        )
    except ValueError:
        raise BadInput(f"The form has more than the {MAX_FIELDS} fields that are read here.") from None
    return {name: _plain(value) for name, value in pairs}


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\x00", "")


FormHere = Annotated[dict[str, str], Depends(form_of)]
