"""Passwords: which are taken, how they are kept and checked.

After NIST SP 800-63B-4 §3.1.1: long rather than composed, none that everybody tries first. Kept as argon2id.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING
from unicodedata import normalize

from evaluator.errors import Overloaded

if TYPE_CHECKING:
    from argon2 import PasswordHasher  # loaded with the first password: no start needs it

SHORTEST = 12
LONGEST = 1_000

_AT_ONCE = 2
"""Hashes computed at a time: each takes 64 MiB."""
_MOST_WAITING = 16
_PATIENCE_SECONDS = 10

_TRIED_FIRST = """
000000000000 111111111111 112233445566 121212121212 123123123123 123321123321 1234512345123 123456123456
123456654321 1234567890 123456789000 123456789012 1234567890123 12345678901234 1234567891011 1234567899876543210
123456789abc 123456789qwerty 1234qwerasdf 1234qwerasdfzxcv 147258369147 159753159753 1q2w3e4r5t6y 1q2w3e4r5t6y7u
1q2w3e4r5t6y7u8i 1qaz2wsx3edc 1qaz2wsx3edc4rfv 1qazxsw23edc 987654321012 abc123abc123 abcd12345678 abcdefghijkl
abcdefghijklm administrator adminadminadmin admin1234567 admin12345678 adminpassword asdfasdfasdf asdfghjkl123
asdfghjklqwerty changeme1234 changemechangeme changemenow123 computer1234 correcthorsebatterystaple
football1234 iloveyou1234 iloveyouiloveyou letmein12345 letmeinletmein liverpool123 loveyou12345 monkey123456
mypassword12 mypassword123 newpassword1 newpassword123 p@ssw0rd1234 p@ssword1234 pa55word1234 passw0rd1234
passwd123456 password1234 password12345 password123456 password1234567 password12345678 password123456789
password2024 password2025 password2026 passwordpassword princess1234 q1w2e3r4t5y6 q1w2e3r4t5y6u7 qazwsxedc123
qazwsxedcrfv qazxswedcvfr qwerasdfzxcv qwerty123456 qwerty1234567 qwerty123456789 qwerty12345678 qwertyqwerty
qwertyuiop12 qwertyuiop123 qwertyuiopas qwertyuiopasdfgh qwertyuiopasdfghjkl secret123456 secretsecret
summer202500 sunshine1234 superman1234 test12345678 testtesttest trustno1trustno1 welcome12345 welcome123456
welcomewelcome whatever1234 zaq12wsxcde3 zaq1zaq1zaq1 zxcvbnm12345 zxcvbnm123456 zxcvbnmasdfghjkl
"""
_COMMON = frozenset(_TRIED_FIRST.split())

_turns = threading.BoundedSemaphore(_AT_ONCE)
_waiting = threading.BoundedSemaphore(_MOST_WAITING)


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher()


@cache
def _nobodys() -> str:
    return _hasher().hash("the password of nobody")


def problem_with(password: str, login: str) -> str | None:
    """What is wrong with a password somebody chose, in a sentence; None: it will do."""
    plain = _normal(password)
    if len(plain) < SHORTEST:
        return f"A password has at least {SHORTEST} characters; this one has {len(plain)}. Several words do well."
    if len(plain) > LONGEST:
        return f"A password has at most {LONGEST:,} characters; this one has {len(plain):,}."
    lower = plain.lower()
    name = login.strip().lower()
    if lower in {name, name * 2, name.partition("@")[0] * 2}:
        return "This is your login; take something nobody would try first."
    if lower in _COMMON or len(set(lower)) < 3:
        return "This is one of the passwords that are tried first; take something nobody would guess."
    return None


def hashed(password: str) -> str:
    """The argon2id hash that is kept; waits its turn, raises Overloaded where too many wait."""
    with _turn():
        return _hasher().hash(_normal(password))


def fits(password: str, kept: str | None) -> bool:
    """Whether a password is the one kept; without one kept it takes as long and is never so.

    Waits its turn, raises Overloaded where too many wait.
    """
    from argon2.exceptions import InvalidHashError, VerificationError

    given = _normal(password[: LONGEST * 4])
    with _turn():
        try:
            return _hasher().verify(kept or _nobodys(), given) and kept is not None
        except (VerificationError, InvalidHashError):
            return False


def is_outdated(kept: str) -> bool:
    """Whether a hash was made with other parameters than today's."""
    return _hasher().check_needs_rehash(kept)


def _normal(password: str) -> str:
    """One form for what looks the same, whichever keyboard typed it."""
    return normalize("NFKC", password)


@contextmanager
def _turn() -> Iterator[None]:
    if not _waiting.acquire(blocking=False):
        raise Overloaded("Too many people are signing in at this moment; try again in a few seconds.")
    try:
        if not _turns.acquire(timeout=_PATIENCE_SECONDS):
            raise Overloaded("Too many people are signing in at this moment; try again in a few seconds.")
        try:
            yield
        finally:
            _turns.release()
    finally:
        _waiting.release()
