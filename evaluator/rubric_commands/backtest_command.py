"""`adjudge rubrics backtest`: judge stored runs again under another version of a rubric, and compare."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated

import typer

from evaluator.terminal import actor, opened

if TYPE_CHECKING:
    from evaluator.authoring.human_labels import LabelFile
    from evaluator.deployment import Deployment


def backtest(
    candidate: Annotated[str, typer.Argument(help="A rubric file, an id, or id@version.")],
    against: Annotated[
        str | None,
        typer.Option(help="Compare with this one; left out: the version in force, or the one before it."),
    ] = None,
    last: Annotated[int, typer.Option(min=1, help="Events to judge, newest first.")] = 50,
    since: Annotated[datetime | None, typer.Option(help="Only events with activity since then (UTC).")] = None,
    labels: Annotated[
        str | None, typer.Option(help="What people said: JSON lines or CSV with run_id or event_id, and verdict.")
    ] = None,
    labelled_only: Annotated[bool, typer.Option(help="Only events that people have judged.")] = False,
    judge: Annotated[
        str | None, typer.Option(help="Let this model judge in place of the rubrics' own judges.")
    ] = None,
    max_usd: Annotated[
        str | None, typer.Option(help="Stop before the backtest costs more than this, all its runs together.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Begin without asking.")] = False,
    form: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
) -> None:
    """Judge stored runs under another version: estimate, verdicts, agreement with people, flips."""
    from evaluator.authoring.backtest_choice import choose, judged_by, versions_for
    from evaluator.authoring.backtest_plan import plan_of
    from evaluator.authoring.backtest_run import run_backtest
    from evaluator.console import err
    from evaluator.errors import NotFound
    from evaluator.plain_json import json_bytes
    from evaluator.rubric_commands import backtest_view as view

    if form not in ("text", "json"):
        raise typer.BadParameter(f"{form!r} is none of text, json.", param_hint="--format")
    most = _dollars(max_usd)
    with opened() as deployment:
        versions = versions_for(deployment, candidate, against)
        given = _labels(labels)
        rubrics = [one.rubric if judge is None else judged_by(one.rubric, judge) for one in versions.named]
        choice = choose(deployment, rubrics, given, last=last, since=_utc(since), labelled_only=labelled_only)
        if not choice.runs:
            raise NotFound(
                "No stored run fits: ready, with content, and one that the rubric applies to"
                + (", of an event that people have judged." if labelled_only else "."),
                hint="`adjudge status` shows what is stored, `adjudge import FILE` stores runs, and `adjudge rubrics lint` "
                "warns where `where` matches nothing.",
            )
        plan = plan_of(deployment, rubrics, choice)
        view.print_estimate(
            versions, choice, plan, deployment.settings.judge_concurrency, served=_is_served(deployment)
        )
        may_cost = bool(plan.estimate.calls or plan.estimate.escalations)
        if may_cost and not yes and not _agreed(interactive=err.is_terminal):
            raise typer.Exit(1)
        notes = () if judge is None else (f"Judged by {judge} in place of the rubrics' own judges.",)
        with view.BacktestProgress() as progress:
            report = run_backtest(
                deployment,
                versions,
                choice,
                plan,
                started_by=actor(),
                watch=progress,
                max_usd=most,
                notes=notes,
            )
        in_force = any(one.version == versions.candidate.rubric.version for one in deployment.shelf.rubrics)
    if form == "json":
        typer.echo(json_bytes(report.model_dump(mode="json"), indented=True))
    else:
        view.print_report(report, view.next_step(report, versions, in_force=in_force))
    if report.stopped_because is not None:
        raise typer.Exit(1)


def _agreed(*, interactive: bool) -> bool:
    import sys

    from evaluator.console import err

    if interactive and sys.stdin.isatty():
        agreed = typer.confirm("Go on?", default=None, err=True)
        if not agreed:
            err.print("Nothing was judged.")
        return agreed
    err.print("Nothing was judged. With --yes it begins.", highlight=False)
    return False


def _dollars(given: str | None) -> Decimal | None:
    if given is None:
        return None
    try:
        amount = Decimal(given.removeprefix("$"))
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or amount < 0:
        raise typer.BadParameter(f"{given!r} is no amount in US dollars, such as 2.50.", param_hint="--max-usd")
    return amount


def _utc(at: datetime | None) -> datetime | None:
    from datetime import UTC

    return None if at is None else at.replace(tzinfo=UTC)


def _labels(file: str | None) -> LabelFile:
    from pathlib import Path

    from evaluator.authoring.human_labels import LabelFile, label_file
    from evaluator.rubric_commands.backtest_view import print_bad_labels

    if file is None:
        return LabelFile()
    given = label_file(Path(file))
    print_bad_labels(given, file)
    return given


def _is_served(deployment: Deployment) -> bool:
    """Whether a worker is alive, and with it perhaps a local judge of its own."""
    from evaluator.model.columns import utc_now
    from evaluator.pipeline import WORKER_SILENCE
    from evaluator.store.operations import overview

    now = utc_now()
    with deployment.database.read() as connection:
        return bool(overview(connection, now=now, worker_seen_after=now - WORKER_SILENCE).workers)
