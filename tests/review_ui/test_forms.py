"""Forms as they arrive, and the word on the next page."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi.testclient import TestClient

from evaluator.api.problems import install_problems
from evaluator.deployment import Deployment
from review_ui.forms import MAX_BYTES, MAX_FIELDS, FormHere
from review_ui.notices import Notice, notice_of, see_other, shown_once


def echo() -> TestClient:
    app = FastAPI()
    install_problems(app)

    @app.post("/form")
    def form(form: FormHere) -> dict[str, str]:
        return form

    return TestClient(app)


def test_text_arrives_as_it_was_typed() -> None:
    typed = {"note": "één\r\ntwee\n& = +", "empty": ""}
    assert echo().post("/form", data=typed).json() == {"note": "één\ntwee\n& = +", "empty": ""}


def test_null_characters_are_left_out_and_broken_utf_8_is_marked() -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert echo().post("/form", content=b"a=x%00y&b=%ff&b=%ed%a0%80", headers=headers).json() == {
        "a": "xy",
        "b": "\ufffd\ufffd\ufffd",
    }


def test_what_is_no_form_or_too_large_is_refused() -> None:
    client = echo()
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert client.post("/form", json={}).status_code == 415
    assert client.post("/form", content=b"a=" + b"x" * MAX_BYTES, headers=headers).status_code == 413
    assert client.post("/form", content=b"a&" * (MAX_FIELDS + 1), headers=headers).status_code == 400


def test_a_notice_is_shown_once_and_only_one_of_ours(deployment: Deployment) -> None:
    app = FastAPI()
    app.state.deployment = deployment

    @app.post("/act")
    def act(request: Request) -> Response:
        return see_other(request, "/seen", Notice("Done.", secret="adj_x", kind="key"))

    @app.get("/seen")
    def seen(request: Request) -> Response:
        notice = notice_of(request)
        return shown_once(request, Response(f"{notice.words} {notice.secret}" if notice else "nothing"))

    client = TestClient(app, base_url="http://localhost")
    assert client.post("/act").text == "Done. adj_x"
    assert client.get("/seen").text == "nothing"
    made = client.post("/act", follow_redirects=False).cookies["adjudge-notice"]
    assert client.get("/seen", headers={"cookie": f"adjudge-notice=X{made}"}).text == "nothing"
    assert client.get("/seen", headers={"cookie": b"adjudge-notice=%ff.\xe9"}).text == "nothing"
