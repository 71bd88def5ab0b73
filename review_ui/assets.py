"""Static files, named by their content, so that browsers keep them until they change."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib.resources import files

from fastapi import APIRouter
from fastapi.responses import Response

from evaluator.errors import NotFound

MEDIA_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

router = APIRouter(include_in_schema=False)


@cache
def _assets() -> dict[str, tuple[str, bytes]]:
    """File name → (hash, content)."""
    found = {}
    for file in files("review_ui").joinpath("static").iterdir():
        if any(file.name.endswith(ending) for ending in MEDIA_TYPES):
            content = file.read_bytes()
            found[file.name] = (sha256(content).hexdigest()[:12], content)
    return found


def asset_url(name: str) -> str:
    """Where a static file is served, its content's hash in the path."""
    return f"/static/{_assets()[name][0]}/{name}"


@router.get("/static/{digest}/{name}")
async def serve_asset(digest: str, name: str) -> Response:
    """One static file; a hash of other content is not found, lest it be kept under a wrong name."""
    known, content = _assets().get(name, ("", b""))
    if not known or digest != known:
        raise NotFound("There is no such file.")
    media_type = next(media for ending, media in MEDIA_TYPES.items() if name.endswith(ending))
    headers = {"cache-control": "public, max-age=31536000, immutable", "x-content-type-options": "nosniff"}
    return Response(content, media_type=media_type, headers=headers)
