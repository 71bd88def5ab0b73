"""python -m sdk.example_app --endpoint http://127.0.0.1:8700 --key KEY"""

from __future__ import annotations

import argparse
import sys

from sdk.example_app.app import NotSent, send


def main(arguments: list[str] | None = None) -> int:
    """Send the corpus; 0 when it arrived, 1 with one line on stderr when it did not."""
    parser = argparse.ArgumentParser(prog="python -m sdk.example_app", description="Send the demo corpus as OTLP.")
    parser.add_argument("--endpoint", default="http://127.0.0.1:8700", help="address of the server")
    parser.add_argument("--key", required=True, help="an API key with the scope ingest")
    chosen = parser.parse_args(arguments)
    try:
        send(chosen.endpoint, chosen.key, lambda sent, total: print(f"{sent} of {total} runs sent"))
    except NotSent as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
