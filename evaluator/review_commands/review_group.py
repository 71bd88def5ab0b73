"""The group `adjudge review`: what waits for people, and what they said."""

from __future__ import annotations

import typer

from evaluator.review_commands.export_command import export
from evaluator.review_commands.list_command import show_items
from evaluator.review_commands.pick_command import pick_events
from evaluator.review_commands.waiting_command import show_waiting

review_app = typer.Typer(no_args_is_help=True, help="What waits for people, and what they said.")

for name, command in (
    ("status", show_waiting),
    ("list", show_items),
    ("pick", pick_events),
    ("export", export),
):
    review_app.command(name)(command)
