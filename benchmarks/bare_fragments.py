"""The limit the focus screen is measured against: a handler that has every fragment ready, and a page that only swaps it.

`python -m benchmarks.bare_fragments FOLDER PORT` serves page.html of the folder at / and its fragments 0.html, 1.html …
in turn at POST /verdict.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response

from review_ui import assets
from review_ui.assets import asset_url

ON_ENTER = """\
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  event.preventDefault();
  htmx.ajax("POST", "/verdict", { target: "#item", swap: "outerHTML" });
});
"""
"""In the place of review.js."""


def make_app(folder: Path) -> FastAPI:
    """The focus screen's own page, styles and htmx; nothing is asked, stored, looked up or drawn."""
    shell = (folder / "page.html").read_text().replace(asset_url("review.js"), "/on-enter.js")
    drawn = [(folder / f"{place}.html").read_bytes() for place in range(len([*folder.glob("*.html")]) - 1)]
    in_turn = itertools.cycle(drawn)
    app = FastAPI()
    app.include_router(assets.router)

    @app.get("/")
    async def page() -> HTMLResponse:
        return HTMLResponse(shell)

    @app.get("/on-enter.js")
    async def script() -> Response:
        return Response(ON_ENTER, media_type="text/javascript")

    @app.post("/verdict")
    async def following() -> HTMLResponse:
        return HTMLResponse(next(in_turn))

    @app.get("/healthz")
    async def health() -> str:
        return "ok"

    return app


if __name__ == "__main__":
    uvicorn.run(
        make_app(Path(sys.argv[1])), host="127.0.0.1", port=int(sys.argv[2]), log_level="error", access_log=False
    )
