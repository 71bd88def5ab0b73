"""docs/accounts.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from typer.main import get_command

from evaluator.accounts.passwords import LONGEST, SHORTEST
from evaluator.accounts.sign_in import A_MINUTE, FIRST_LOCK, FREE_FAILURES, LONGEST_LOCK
from evaluator.model.person import PersonRole, TicketPurpose
from evaluator.people_commands import people_app
from evaluator.store.people import TICKET_LIFE
from review_ui.guard import LOCAL_NAMES, PLAIN_COOKIE, SECURE_COOKIE
from review_ui.pages.provider_page import BACK

ROOT = Path(__file__).parent.parent.parent
DOC = (ROOT / "docs" / "accounts.md").read_text(encoding="utf-8")
TEXT = " ".join(DOC.split())


def test_every_role_and_command_stands_there() -> None:
    assert re.findall(r"^\| `(\w+)` \| ", DOC.split("## From other")[0], re.MULTILINE) == list(PersonRole)
    commands = set(get_command(people_app).commands)  # type: ignore[attr-defined]  # a group, as it has commands
    assert set(re.findall(r"^\| `adjudge people ([\w-]+)", DOC, re.MULTILINE)) == commands


def test_numbers_and_names_are_the_code_s() -> None:
    assert f"{SHORTEST} to {LONGEST:,} characters" in TEXT
    assert FREE_FAILURES + 1 == 5
    assert "After five failures" in TEXT
    assert f"{FIRST_LOCK.seconds} seconds, then doubling" in TEXT
    assert f"up to {LONGEST_LOCK.seconds // 60} minutes" in TEXT
    assert f"try {A_MINUTE} times a minute" in TEXT
    assert TICKET_LIFE[TicketPurpose.CHOOSE_PASSWORD].days == 7
    for name in (*LOCAL_NAMES, SECURE_COOKIE, PLAIN_COOKIE):
        assert f"`{name}`" in DOC
    assert BACK in DOC


def test_every_act_about_accounts_stands_there() -> None:
    sources = [*(ROOT / "evaluator" / "accounts").glob("*.py"), ROOT / "evaluator" / "store" / "api_keys.py"]
    recorded = {act for file in sources for act in re.findall(r'act="(\w+)"', file.read_text(encoding="utf-8"))}
    assert recorded - set(re.findall(r"`(\w+)`", DOC.split("## Audit log")[1])) == set()
