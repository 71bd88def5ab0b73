"""`adjudge people`: accounts from the command line, for who has the machine and no admin at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from evaluator.model.person import PersonRole
from evaluator.terminal import actor, opened

if TYPE_CHECKING:
    from evaluator.accounts.people_directory import Invited
    from evaluator.settings import Settings

people_app = typer.Typer(no_args_is_help=True, help="Make, list and change the accounts of people.")

Login = Annotated[str, typer.Argument(help="What they sign in as.")]


@people_app.command("add")
def add(
    login: Login,
    name: Annotated[str, typer.Option(help="As others see it; left out: the login.")] = "",
    role: Annotated[PersonRole, typer.Option(help="What they may do.")] = PersonRole.REVIEWER,
) -> None:
    """Make an account; prints the link they choose a password with."""
    from evaluator.accounts.people_directory import invite
    from evaluator.model.columns import utc_now

    with opened() as deployment:
        invited = deployment.database.transact(
            lambda connection: invite(
                connection, actor=actor(), name=name or login, login=login, role=role, now=utc_now()
            )
        )
        _print_link(invited, deployment.settings)


@people_app.command("list")
def show() -> None:
    """Everybody with their role, and when they were last seen."""
    from rich.table import Table

    from evaluator.console import out, plain
    from evaluator.store.people import last_seen, list_people

    with opened() as deployment, deployment.database.read() as connection:
        people, seen = list_people(connection), last_seen(connection)
    if not people:
        out.print("Nobody yet: open /set-up in a browser, or `adjudge people add LOGIN --role admin`.")
        return
    table = Table(header_style="bold", box=None, pad_edge=False)
    for column in ("signs in as", "name", "role", "last seen"):
        table.add_column(column)
    for person in people:
        at = seen.get(person.person_id)
        role = "deactivated" if person.deactivated_at else str(person.role)
        table.add_row(plain(person.login), plain(person.name), role, f"{at:%Y-%m-%d %H:%M}" if at else "—")
    out.print(table)


@people_app.command("role")
def give_role(
    login: Login, role: Annotated[PersonRole, typer.Argument(help="What they may do from now on.")]
) -> None:
    """Give somebody another role."""
    from evaluator.accounts.people_directory import by_login, change_role

    with opened() as deployment:
        deployment.database.transact(
            lambda connection: change_role(
                connection, deployment, by_login(connection, login).person_id, role, actor=actor()
            )
        )
    typer.echo(f"{login} is {role}.", err=True)


@people_app.command("password-link")
def make_password_link(login: Login) -> None:
    """Print a link to choose a new password with; earlier ones end."""
    from evaluator.accounts.people_directory import by_login, password_link
    from evaluator.model.columns import utc_now

    with opened() as deployment:
        invited = deployment.database.transact(
            lambda connection: password_link(
                connection, by_login(connection, login).person_id, actor=actor(), now=utc_now()
            )
        )
        _print_link(invited, deployment.settings)


@people_app.command("deactivate")
def end(login: Login) -> None:
    """End somebody's account: sessions, links and keys stop working within seconds."""
    from evaluator.accounts.people_directory import by_login, deactivate
    from evaluator.model.columns import utc_now

    with opened() as deployment:
        deployment.database.transact(
            lambda connection: deactivate(
                connection, deployment, by_login(connection, login).person_id, actor=actor(), now=utc_now()
            )
        )
    typer.echo(f"{login} is deactivated.", err=True)


def _print_link(invited: Invited, settings: Settings) -> None:
    base = settings.public_url.rstrip("/") or f"http://localhost:{settings.port}"
    typer.echo(f"{base}/sign-in/ticket/{invited.secret}")
    typer.echo("The link works once, for seven days.", err=True)
