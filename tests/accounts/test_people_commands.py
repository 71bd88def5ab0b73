"""`adjudge people`, run as an operator runs it."""

from __future__ import annotations

import pytest

from evaluator.accounts.people_directory import choose_password
from evaluator.accounts.sign_in import sign_in
from evaluator.cli import run
from evaluator.deployment import Deployment
from evaluator.model.person import PersonRole
from evaluator.settings import Settings
from evaluator.store.api_keys import audit_trail
from tests.accounts.people_world import somebody

Printed = pytest.CaptureFixture[str]
PASSWORD = "three green bottles"


@pytest.fixture(autouse=True)
def _environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands see the test's own deployment."""
    for name in ("data_dir", "database_url", "rubrics_dir"):
        monkeypatch.setenv(f"ADJUDGE_{name.upper()}", str(getattr(settings, name)))
    monkeypatch.setenv("ADJUDGE_PUBLIC_URL", "https://adjudge.example/")


def test_who_is_added_chooses_a_password_by_the_link_that_is_printed(
    deployment: Deployment, capsys: Printed
) -> None:
    assert run(["people", "list"]) == 0
    assert "Nobody yet" in capsys.readouterr().out
    assert run(["people", "add", "Boss@example.com", "--name", "The Boss", "--role", "admin"]) == 0
    link = capsys.readouterr().out.strip()
    assert link.startswith("https://adjudge.example/sign-in/ticket/")
    choose_password(deployment, link.rpartition("/")[2], PASSWORD)
    assert sign_in(deployment, "boss@example.com", PASSWORD).person.role == PersonRole.ADMIN
    assert run(["people", "list"]) == 0
    listed = capsys.readouterr().out
    assert "The Boss" in listed
    assert "admin" in listed


def test_roles_links_and_ends_are_given_by_login_and_audited(deployment: Deployment, capsys: Printed) -> None:
    somebody(deployment, "Boss", PersonRole.ADMIN, login="boss")
    somebody(deployment, "Ada", login="ada")
    for arguments in (["role", "Ada", "author"], ["password-link", "ada"], ["deactivate", "ada"]):
        assert run(["people", *arguments]) == 0
    with deployment.database.read() as connection:
        trail = audit_trail(connection)
    assert [entry.act for entry in trail] == ["deactivate_person", "password_link", "change_role"]
    assert all("command line" in entry.actor for entry in trail)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["role", "nobody", "admin"], "Nobody signs in as 'nobody'"),
        (["deactivate", "boss"], "last admin"),
        (["add", "boss"], "already"),
        (["add", "a b"], "no spaces"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    deployment: Deployment, capsys: Printed, arguments: list[str], told: str
) -> None:
    somebody(deployment, "Boss", PersonRole.ADMIN, login="boss")
    assert run(["people", *arguments]) == 1
    assert told in capsys.readouterr().err
