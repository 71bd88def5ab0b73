"""Which passwords are taken, and how they are kept."""

from __future__ import annotations

import threading
import time

import pytest
from argon2 import PasswordHasher
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.accounts import passwords
from evaluator.accounts.passwords import LONGEST, SHORTEST, fits, hashed, is_outdated, problem_with
from evaluator.errors import Overloaded


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("elevenchars", "at least 12 characters"),
        ("x" * 1001, "at most 1,000"),
        ("Password1234", "tried first"),
        ("aaaaaaaaaaaa", "tried first"),
        ("Grace.Hopper@example.com", "your login"),
        ("grace.hoppergrace.hopper", "your login"),
    ],
)
def test_what_everybody_tries_first_is_refused(password: str, why: str) -> None:
    told = problem_with(password, "grace.hopper@example.com")
    assert told is not None
    assert why in told


@given(st.text(min_size=SHORTEST, max_size=LONGEST // 20).filter(lambda text: len(set(text.lower())) > 5))
def test_any_long_text_will_do_whatever_it_is_composed_of(text: str) -> None:
    assert problem_with("~ " + text, "somebody") is None


@settings(max_examples=5, deadline=None)
@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_a_password_fits_its_own_hash_alone(one: str, other: str) -> None:
    kept = hashed(one)
    assert kept.startswith("$argon2id$")
    assert one not in kept or len(one) < 8
    assert fits(one, kept)
    assert fits(other, kept) == (passwords._normal(one) == passwords._normal(other))


def test_the_same_letters_from_another_keyboard_fit() -> None:
    assert fits("cafe\u0301 au lait", hashed("caf\u00e9 au lait"))


def test_nobody_s_password_takes_as_long_and_never_fits() -> None:
    kept = hashed("three green bottles")
    fits("warm up", None)

    def seconds(against: str | None) -> float:
        began = time.perf_counter()
        assert not fits("the password of nobody", against)
        return time.perf_counter() - began

    known, unknown = (min(seconds(each) for _ in range(3)) for each in (kept, None))
    assert 0.3 < unknown / known < 3


def test_a_hash_with_other_parameters_is_outdated() -> None:
    assert is_outdated(PasswordHasher(time_cost=1, memory_cost=8192).hash("x"))
    assert not is_outdated(hashed("x"))


def test_broken_hashes_fit_nothing() -> None:
    assert not fits("x", "not a hash")


def test_at_most_two_are_computed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    running, most, turn = 0, 0, threading.Lock()

    class Slow:
        def hash(self, _password: str) -> str:
            nonlocal running, most
            with turn:
                running += 1
                most = max(most, running)
            time.sleep(0.02)
            with turn:
                running -= 1
            return ""

    monkeypatch.setattr(passwords, "_hasher", Slow)
    threads = [threading.Thread(target=hashed, args=("x",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 2


def test_who_comes_while_many_wait_is_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_waiting", threading.BoundedSemaphore(1))
    with passwords._turn(), pytest.raises(Overloaded):
        hashed("x")
