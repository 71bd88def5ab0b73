"""What the daily e-mail says of the queue."""

from __future__ import annotations

from html.parser import HTMLParser

from evaluator.deployment import Deployment
from evaluator.model.delivery import DeliveryState
from evaluator.model.review import ItemState
from evaluator.notifications.mail_digest import digest_message, digest_of
from evaluator.notifications.queue_figures import queue_figures
from tests.notifications.receivers import NOW, item_waits


def parts(deployment: Deployment) -> tuple[str, str, str]:
    """Subject, text and HTML of a digest made now."""
    with deployment.database.read() as connection:
        delivery = digest_of(queue_figures(connection, deployment.settings, NOW), NOW)
    message = digest_message(delivery.payload)
    text, html = message.get_body(["plain"]), message.get_body(["html"])
    assert text is not None
    assert html is not None
    return str(message["subject"]), str(text.get_content()), str(html.get_content())


def test_it_says_how_many_wait_since_when_and_what_an_author_has_to_settle(deployment: Deployment) -> None:
    item_waits(deployment, "t-1", hours=40)
    item_waits(deployment, "t-2", hours=1)
    item_waits(deployment, "t-3", hours=2, state=ItemState.ESCALATED, rubric_id="refunds", workflow="Refunds")
    item_waits(deployment, "t-4", hours=3, state=ItemState.AWAITING_RESOLUTION)
    item_waits(deployment, "t-5", hours=90, state=ItemState.DONE)
    subject, text, _ = parts(deployment)
    assert subject == "4 reviews waiting, 1 overdue"
    assert text.splitlines() == [
        "4 reviews waiting, the oldest since 2026-02-28 17:00 UTC.",
        "1 overdue: waiting for more than 24 h.",
        "1 disagreement of reviewers to be settled by an author.",
        "1 escalated to an author.",
        "",
        "* Support / support: 3 waiting, 1 overdue, oldest since 2026-02-28 17:00 UTC",
        "* Refunds / refunds: 1 waiting, oldest since 2026-03-02 07:00 UTC",
        "",
        "http://127.0.0.1:8700/review",
    ]


class Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)


def test_names_that_apps_send_are_text_in_the_html_and_stay_out_of_the_headers(deployment: Deployment) -> None:
    item_waits(deployment, hours=2, workflow='<img src=x onerror="alert(1)">\r\nBcc: everybody@example.com\u202e')
    subject, text, html = parts(deployment)
    seen = Seen()
    seen.feed(html)
    assert subject == "1 review waiting"
    assert seen.tags <= {"html", "body", "p", "a", "table", "tr", "th", "td"}
    assert "&lt;img src=x" in html
    assert all(not line.startswith("Bcc") for line in text.splitlines())
    assert "\u202e" not in text + html


def test_a_day_on_which_nothing_waits_is_done_without_a_mail(deployment: Deployment) -> None:
    with deployment.database.read() as connection:
        delivery = digest_of(queue_figures(connection, deployment.settings, NOW), NOW)
    assert (delivery.state, delivery.payload, delivery.settled_at) == (DeliveryState.DELIVERED, {}, NOW)


def test_many_rubrics_are_cut_and_counted(deployment: Deployment) -> None:
    for number in range(53):
        item_waits(deployment, "t-1", hours=2, rubric_id=f"rubric-{number}")
    _, text, html = parts(deployment)
    assert text.count("* Support") == 50
    assert "and 3 more" in text
    assert "and 3 more" in html
