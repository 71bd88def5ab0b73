"""Personal data and secrets do not survive; all else does, quickly."""

from __future__ import annotations

import time

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.capture.redaction import Redactor
from evaluator.errors import Misconfigured

REPLACED = [
    ("mail bob.smith+x@example.co.uk today", "mail [REDACTED:email] today"),
    ("müller@bücher.de", "[REDACTED:email]"),
    ("say 'o'neil@example.com'", "say '[REDACTED:email]'"),
    ("call +49 30 1234567!", "call [REDACTED:phone]!"),
    ("(415) 555-0123 or 415.555.0123", "[REDACTED:phone] or [REDACTED:phone]"),
    ("1-800-555-0199, 020 7946 0958", "[REDACTED:phone], [REDACTED:phone]"),
    ("phone: 4155550123", "phone: [REDACTED:phone]"),
    ("pay with 4111 1111 1111 1111 123", "pay with [REDACTED:card] 123"),
    ("5555-5555-5555-4444; 378282246310005", "[REDACTED:card]; [REDACTED:card]"),
    ("SSN 078-05-1120.", "SSN [REDACTED:ssn]."),
    ("to DE89 3704 0044 0532 0130 00 IS FINE", "to [REDACTED:iban] IS FINE"),
    ("GB29NWBK60161331926819 or NL91 ABNA 0417 1643 00", "[REDACTED:iban] or [REDACTED:iban]"),
    ("sk-proj-abcdefghijklmnopqrstuvwx0123", "[REDACTED:key]"),
    ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "[REDACTED:key]"),
    ("AKIAIOSFODNN7EXAMPLE", "[REDACTED:key]"),
    ("xoxb-123456789012-1234567890123-AbCdEfGhIjKlMnOpQrStUvWx", "[REDACTED:key]"),
    ("Authorization: Bearer abcdef-abcdef-abcdef-12", "Authorization: Bearer [REDACTED:token]"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N", "[REDACTED:token]"),
    ("postgres://app:hunter2@db.example.com/x", "postgres://app:[REDACTED:password]@db.example.com/x"),
    (
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA0123456789abcdef\n-----END RSA PRIVATE KEY-----!",
        "[REDACTED:private_key]!",
    ),
    ("-----BEGIN PRIVATE KEY-----\nMIIEpAIBAAKCAQEA0123456789abcdef", "[REDACTED:private_key]"),
]

KEPT = [
    "Where is my order 1234567890? It was placed on 2026-11-20 04:05:06.",
    "span 01a1f720-eba0-7675-845d-c20d500a2fa6 at 1763611522256982000 ns, 0.4111111111111111 s",
    "at 01.02.2026 12:34, see 127.0.0.1:18998",
    "4111 1111 1111 1112 has a wrong check digit; DE89 3704 0044 0532 0130 01 too",
    "1,234,567,890 and 3.14159265358979",
    "the @ sign, a@b, [REDACTED], risk-free, a bearer of bad news",
    "",
]


@pytest.mark.parametrize(("text", "expected"), REPLACED)
def test_it_is_replaced(text: str, expected: str) -> None:
    redacted, counts = Redactor().redact(text)
    assert redacted == expected
    assert counts.total() == expected.count("[REDACTED:")


@pytest.mark.parametrize("text", [text for text, _ in REPLACED])
def test_one_text_among_many_is_enough_to_look(text: str) -> None:
    assert not Redactor().are_clean(["Where is my order?", text, "On its way."])
    assert not Redactor().are_clean(["NUL\x00"])
    assert Redactor().are_clean(["Where is my order?", "It is number 12345", "6789 is another."])


@given(st.lists(st.text(st.sampled_from("0123456789 .-()/+\u00a0\u2011\u200bab@"), max_size=60), max_size=4))
def test_texts_that_are_clean_together_have_nothing_to_redact(texts: list[str]) -> None:
    redactor = Redactor()
    if redactor.are_clean(texts):
        assert [redactor.redact(text)[0] for text in texts] == texts


@pytest.mark.parametrize("text", KEPT)
def test_it_is_kept(text: str) -> None:
    assert Redactor().redact(text) == (text, {})


@pytest.mark.parametrize(("text", "expected"), REPLACED)
def test_it_is_replaced_in_the_middle_of_long_text(text: str, expected: str) -> None:
    around = "the customer asked for a refund and " * 40
    assert Redactor().redact(f"{around}{text} {around}")[0] == f"{around}{expected} {around}"


@pytest.mark.parametrize(("text", "expected"), REPLACED)
def test_json_stays_json(text: str, expected: str) -> None:
    inner = orjson.dumps({"line": f"first\n{text}", text: [1, None]}).decode()
    redacted, _ = Redactor().redact(orjson.dumps({"inner": inner, "list": [text]}).decode())
    found = orjson.loads(redacted)
    assert found["list"] == [expected]
    assert orjson.loads(found["inner"]) == {"line": f"first\n{expected}", expected: [1, None]}


def test_a_card_number_that_is_a_json_number_is_found_as_well() -> None:
    redacted, counts = Redactor().redact('{"card": 4111111111111111, "at": 1763611522256982000}')
    assert orjson.loads(redacted) == {"card": "[REDACTED:card]", "at": 1763611522256982000}
    assert counts == {"card": 1}


def test_json_that_broke_off_is_searched_behind_its_escapes() -> None:
    redacted, counts = Redactor().redact('{"a": "line\\n4111111111111111 and\\tbob@example.com and mo')
    assert redacted == '{"a": "line\\n[REDACTED:card] and\\t[REDACTED:email] and mo'
    assert counts == {"card": 1, "email": 1}


def test_deeply_nested_json_is_redacted_too() -> None:
    text = "[" * 300 + '"bob@example.com"' + "]" * 300
    assert "bob@" not in Redactor().redact(text)[0]
    assert "bob@" not in str(Redactor().redact_value(orjson.loads(text))[0])


def test_structured_values_are_redacted_within() -> None:
    value, counts = Redactor().redact_value({"to": ["bob@example.com"], "n": 3, "ok": True})
    assert value == {"to": ["[REDACTED:email]"], "n": 3, "ok": True}
    assert counts == {"email": 1}


def test_redacting_twice_changes_nothing_more() -> None:
    for text, _ in REPLACED:
        once, _ = Redactor().redact(text)
        assert Redactor().redact(once)[0] == once


@given(st.text(max_size=300))
def test_text_that_counts_as_clean_is_returned_as_it_is(text: str) -> None:
    redactor = Redactor()
    redacted, counts = redactor.redact(text)
    assert redactor.is_clean(text) <= (redacted == text)
    assert (redacted == text) or counts.total() > 0 or text[:1].isspace() or text[:1] in '{["'


def test_a_further_expression_may_be_set() -> None:
    assert Redactor(r"PRJ-\d+").redact("see PRJ-42")[0] == "see [REDACTED:extra]"


def test_an_expression_that_is_none_is_refused() -> None:
    with pytest.raises(Misconfigured, match="redact_extra"):
        Redactor("(")


def test_redaction_can_be_turned_off() -> None:
    assert Redactor(enabled=False).redact("bob@example.com")[0] == "bob@example.com"


SIZE = 1_000_000
HOSTILE = [
    "a" * SIZE + "@",
    "a@" * (SIZE // 2),
    "@" + "a-" * (SIZE // 2),
    "a@" + "b." * (SIZE // 2),
    "ab1@b1.b1.b1." * (SIZE // 13),
    "1" * SIZE,
    "1 " * (SIZE // 2),
    "+1" * (SIZE // 2),
    "415-555-" * (SIZE // 8),
    "4111 1111 1111 1112 " * (SIZE // 20),
    "DE89 " * (SIZE // 5),
    "tel. " * (SIZE // 5) + "123456789",
    "-eyJ" * (SIZE // 4) + "a" * 20,
    "eyJaaaaaaaaaaaaaaaaaaaa." * (SIZE // 24),
    "sk-" * (SIZE // 3),
    "bearer " * (SIZE // 7),
    "://a:" * (SIZE // 5) + "@",
    "-----BEGIN PRIVATE KEY-----" * (SIZE // 27) + "a" * 20,
    "\\n" * (SIZE // 2) + "@",
    "[" * SIZE + "@",
    '"' + "\\u0041" * (SIZE // 6) + "@",
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:12])
def test_no_text_makes_it_slow(text: str) -> None:
    redactor = Redactor()
    started = time.process_time()
    redactor.redact(text)
    assert time.process_time() - started < 1


def test_clean_text_costs_microseconds() -> None:
    redactor = Redactor()
    text = ("the customer asked about a refund for her order and we replied " * 33)[:2048]
    started = time.process_time()
    for _ in range(2000):
        assert redactor.is_clean(text)
    assert (time.process_time() - started) / 2000 < 50e-6
