"""The group `adjudge rubrics`: which commands it has, in the order an author comes to need them."""

from __future__ import annotations

import typer

from evaluator.rubric_commands.backtest_command import backtest
from evaluator.rubric_commands.diff_command import diff
from evaluator.rubric_commands.examples_command import run_golden
from evaluator.rubric_commands.lint_command import lint
from evaluator.rubric_commands.new_command import new
from evaluator.rubric_commands.promote_command import promote
from evaluator.rubric_commands.schema_command import schema
from evaluator.rubric_commands.show_command import show
from evaluator.rubric_commands.versions_command import versions

rubrics_app = typer.Typer(no_args_is_help=True, help="Write, check, try and compare rubrics.")

for name, command in (
    ("new", new),
    ("lint", lint),
    ("show", show),
    ("test", run_golden),
    ("schema", schema),
    ("diff", diff),
    ("backtest", backtest),
    ("versions", versions),
    ("promote", promote),
):
    rubrics_app.command(name)(command)
