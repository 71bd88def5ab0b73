"""`adjudge notifications`: try the channels, list what was sent."""

from __future__ import annotations

import pytest
from standardwebhooks import Webhook

from evaluator import cli
from evaluator.deployment import Deployment
from evaluator.model.columns import utc_now
from evaluator.notifications.delivery_round import channels_of, notify
from evaluator.settings import load_settings
from tests.notifications.receivers import SECRET, item_waits, mail_server, web_server


@pytest.fixture
def of_this_deployment(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    for name in ("data_dir", "database_url", "rubrics_dir"):
        monkeypatch.setenv(f"ADJUDGE_{name.upper()}", str(getattr(deployment.settings, name)))
    return deployment


def set_up(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("ADJUDGE_REVIEW_WEBHOOK_URL", url)
    monkeypatch.setenv("ADJUDGE_REVIEW_WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("ADJUDGE_WEBHOOK_ALLOW_PRIVATE", "true")


@pytest.mark.usefixtures("of_this_deployment")
def test_a_test_goes_over_every_channel_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with web_server(204) as web, mail_server() as mail:
        set_up(monkeypatch, web.url)
        monkeypatch.setenv("ADJUDGE_SMTP_URL", f"smtp://127.0.0.1:{mail.port}")
        monkeypatch.setenv("ADJUDGE_MAIL_FROM", "reviews@example.com")
        monkeypatch.setenv("ADJUDGE_DIGEST_TO", "ada@example.com")
        assert cli.run(["notifications", "test"]) == 0
    assert Webhook(SECRET).verify(web.got[0].body, web.got[0].headers)["type"] == "test"
    assert [each["subject"] for each in mail.mails] == ["Adjudge: test"]
    assert capsys.readouterr().out.splitlines() == [
        "✓ webhook to 127.0.0.1: answered 204",
        "✓ e-mail by 127.0.0.1: taken by the mail server",
    ]


@pytest.mark.usefixtures("of_this_deployment")
def test_a_test_that_does_not_arrive_ends_in_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with web_server(500) as web:
        set_up(monkeypatch, web.url)
        assert cli.run(["notifications", "test"]) == 1
    assert capsys.readouterr().out == "✗ webhook to 127.0.0.1: answered 500\n"


@pytest.mark.usefixtures("of_this_deployment")
def test_without_a_channel_the_settings_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["notifications", "test"]) == 1
    assert "ADJUDGE_REVIEW_WEBHOOK_URL or ADJUDGE_SMTP_URL" in capsys.readouterr().err


def test_the_list_says_how_each_message_went(
    of_this_deployment: Deployment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["notifications", "list"]) == 0
    assert capsys.readouterr().out == "No message was sent or queued yet.\n"
    item_waits(of_this_deployment, hours=30, now=utc_now())
    with web_server(410) as web:
        set_up(monkeypatch, web.url)
        notify(of_this_deployment, channels_of(load_settings()), ends=lambda: False)
    assert cli.run(["notifications", "list"]) == 0
    (_, line) = capsys.readouterr().out.splitlines()
    assert line.split()[2:6] == ["review.overdue", "webhook", "given", "up"]
    assert line.endswith("answered 410: the receiver wants no more; given up after 1 attempt")


def test_the_status_counts_what_is_overdue_and_what_is_not(
    of_this_deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    item_waits(of_this_deployment, "t-1", hours=30, now=utc_now())
    item_waits(of_this_deployment, "t-2", hours=1, now=utc_now())
    item_waits(of_this_deployment, "t-3", hours=1, now=utc_now())
    assert cli.run(["status"]) == 0
    told = capsys.readouterr().out
    assert "review overdue" in told
    assert "waiting longer than 24 h, the oldest since" in told
    assert "reviews to be done" in told
