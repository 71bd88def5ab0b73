"""Redaction: personal data and secrets are replaced before anything is stored or shown to a judge.

Clean text must cost next to nothing, as most text is clean: byte-level tests decide whether any regular
expression runs at all. Each expression is bounded or starts only where a run of characters starts, so no text makes it
quadratic.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson

from evaluator.errors import Misconfigured

_SEPARATORS = b" -.()/" + "\u00a0\u202f\u2009\u2010\u2011\u2012\u2013\u200b".encode()
_DIGIT, _LETTER, _SEPARATOR, _OTHER = b"0a ."
_CLASSES = bytes(
    _DIGIT
    if 48 <= code <= 57
    else _LETTER
    if code < 128 and (chr(code).isalnum() or code == 95)
    else _SEPARATOR
    if code in _SEPARATORS
    else _OTHER
    for code in range(256)
)
"""Text translated by this table shows its shape: these tests are the better part of what clean text costs."""
_NINE_DIGITS = re.compile(rb"0(?: {0,12}+0){8}")
"""The shortest thing with digits that is looked for is a social security number; separators as in _MANY_DIGITS."""
_LONG_WORD = b"a" * 20
"""Every key format that is looked for has an unbroken stretch of at least this many letters and digits."""
SMALLEST_NUMBER = 10**12
"""Whole numbers from here on are looked at as text: card numbers start at 13 digits."""
_MAX_DEPTH = 100
"""Content nested deeper than this is nobody's; it is replaced whole."""

_SEP = r"[ .\-()/\u00a0\u202f\u2009\u2010-\u2013\u200b]"
_START = r"(?<![0-9A-Za-z_])(?<![0-9][.])"
_END = r"(?![0-9A-Za-z_])(?![.][0-9])"

_EMAIL = re.compile(r"(?<![\w.%+\-])[\w.%+\-]{1,128}(?:'[\w.%+\-]{1,64})?@(?:[\w\-]{1,63}\.){1,8}[^\W\d_]{2,24}")
_URL_PASSWORD = re.compile(r"(://[^\s/@:\"'<>]{0,128}:)[^\s/@\"'<>]{1,256}(?=@)")
_IBAN = re.compile(r"(?<![0-9A-Za-z])[A-Za-z]{2}[0-9]{2}(?:[ \-\u00a0]?[0-9A-Za-z]){11,30}")
_CARD = re.compile(
    rf"{_START}(?:[2-6][0-9]{{3}}(?:{_SEP}{{1,2}}[0-9]{{4}}){{2}}{_SEP}{{1,2}}[0-9]{{1,7}}"
    rf"|3[0-9]{{3}}{_SEP}{{1,2}}[0-9]{{6}}{_SEP}{{1,2}}[0-9]{{4,5}}|[2-6][0-9]{{12,18}}){_END}"
)
_SSN = re.compile(
    r"(?<![0-9A-Za-z_\-])(?!000|666|9)[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4}(?![0-9A-Za-z_]|-[0-9])"
)
_PHONE = re.compile(
    rf"(?<![0-9A-Za-z_+])(?:"
    rf"\+[1-9](?:{_SEP}{{0,3}}[0-9]){{7,14}}"
    rf"|(?<![0-9][.\-])(?:1{_SEP})?(?:\([2-9][0-9]{{2}}\)[ ]?|[2-9][0-9]{{2}}[\-. \u00a0])[2-9][0-9]{{2}}[\-. \u00a0][0-9]{{4}}"
    rf"|(?<![0-9][.:/\- ])\(?0[0-9]{{1,4}}\)?(?:[ /\-.\u00a0]{{1,2}}[0-9]{{2,8}}){{1,5}}"
    rf"){_END}"
)
_PHONE_NAMED = re.compile(
    r"((?i:tel|phone|mobile|cell|fax|whatsapp)[a-z]{0,6}\.?[\"':=# ]{1,4})(\(?[0-9](?:[ .\-()/]{0,2}[0-9]){8,14})(?![0-9])"
)
_DATE = re.compile(r"[0-9]{1,4}([./\-])[0-9]{1,2}\1[0-9]{2,4}(?![0-9])")
_DECIMAL = re.compile(r"\+[0-9]+\.[0-9]+")
_KEY = re.compile(
    r"(?<![0-9A-Za-z_\-])(?:sk-[\w\-]{16,}|[srp]k_(?:live|test)_\w{10,}|whsec_[\w+/=]{16,}|gh[opsur]_\w{20,}|github_pat_\w{20,}"
    r"|glpat-[\w\-]{16,}|A(?:KIA|SIA)[0-9A-Z]{16}|AIza[\w\-]{30,}|xox[a-z]-[\w\-]{10,}|xapp-[\w\-]{10,}|hf_\w{20,}|npm_\w{30,}"
    r"|pypi-[\w\-]{20,}|dop_v1_\w{30,}|SG\.[\w\-]{16,}\.[\w\-]{16,})",
    re.ASCII,
)
_JWT = re.compile(r"(?<![0-9A-Za-z_\-])eyJ[\w\-]{8,}\.[\w\-]{8,}(?:\.[\w\-]*)?", re.ASCII)
_BEARER = re.compile(r"(?<![0-9A-Za-z_])([Bb]earer[ \t]{1,4})[\w.~+/=\-]{16,}", re.ASCII)
_MANY_DIGITS = re.compile(rf"[0-9](?:{_SEP}{{0,4}}[0-9]){{8,}}")
_REACH = 40
"""Characters around a run of digits that can belong to the same number: an IBAN's letters, "phone:"."""
_KEY_BLOCK = re.compile(r"-----BEGIN [0-9A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_KEY_BLOCK_END = re.compile(r"-----END [0-9A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_KEY_BLOCK_BODY = re.compile(
    r"(?:(?:\s|\\[nr]){0,8}[0-9A-Za-z+/=]{20,}+)*+(?:(?:\s|\\[nr]){0,8}[0-9A-Za-z+/=]{1,19}\Z)?"
)
_ESCAPES = re.compile(r"(\\(?:u[0-9A-Fa-f]{4}|.))", re.DOTALL)

_IBAN_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FI FK FO GL NL SD",
        19: "MK SI",
        20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA",
        23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HU LB NI PL",
        29: "BR EG PS QA UA",
        30: "JO KW MU",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
    for country in countries.split()
}
"""Length of an IBAN by country, from the SWIFT IBAN registry."""


class Redactor:
    """Replaces e-mail addresses, phone, card and account numbers, keys and passwords by `[REDACTED:kind]`.

    `extra` is a further regular expression, counted as kind `extra`; raises Misconfigured where it is none.
    """

    def __init__(self, extra: str = "", *, enabled: bool = True) -> None:
        self.enabled = enabled
        try:
            self._extra = re.compile(extra) if extra else None
        except re.error as error:
            raise Misconfigured(f"redact_extra is not a regular expression: {error}.") from error

    def is_clean(self, text: str) -> bool:
        """Whether the text certainly holds nothing to redact; False only means that it has to be looked at."""
        if not self.enabled:
            return True
        return self._is_clean_of_known(text) and (self._extra is None or self._extra.search(text) is None)

    def are_clean(self, texts: Sequence[str]) -> bool:
        """Whether none of the texts holds anything to redact, or a NUL, which could hide it; as `is_clean`."""
        if not self.enabled:
            return True
        joined = "\n".join(texts)
        if "\x00" in joined or not self._is_clean_of_known(joined):
            return False
        return self._extra is None or not any(map(self._extra.search, texts))

    def redact(self, text: str) -> tuple[str, Counter[str]]:
        """The text without what must not be stored, and how many stretches of each kind were replaced.

        Text that is JSON is still JSON afterwards.
        """
        counts: Counter[str] = Counter()
        return self._redacted(text, counts, 0), counts

    def redact_value(self, value: Any) -> tuple[Any, Counter[str]]:
        """A JSON value with every text in it redacted, keys included."""
        counts: Counter[str] = Counter()
        return self._redacted_value(value, counts, 0), counts

    def _is_clean_of_known(self, text: str) -> bool:
        return not ("@" in text or "earer " in text or any(_shape(text)))

    def _redacted(self, text: str, counts: Counter[str], depth: int) -> str:
        if self.is_clean(text):
            return text
        if text.lstrip()[:1] in ("{", "[", '"') and depth < _MAX_DEPTH:
            try:
                value = orjson.loads(text)
            except ValueError:
                pass
            else:
                return self._redacted_json(text, value, counts, depth)
        text = self._without_key_blocks(text, counts)
        if "\\" not in text:
            return self._substituted(text, counts)
        # An escape such as \n ends in a letter, which would hide that a number starts after it.
        parts = _ESCAPES.split(text)
        parts[::2] = [self._substituted(part, counts) for part in parts[::2]]
        return "".join(parts)

    def _redacted_json(self, text: str, value: Any, counts: Counter[str], depth: int) -> str:
        before = counts.total()
        redacted = self._redacted_value(value, counts, depth + 1)
        return text if counts.total() == before else orjson.dumps(redacted).decode()

    def _redacted_value(self, value: Any, counts: Counter[str], depth: int) -> Any:
        if isinstance(value, str):
            return self._redacted(value, counts, depth)
        if isinstance(value, int) and abs(value) >= SMALLEST_NUMBER:
            text = str(value)
            redacted = self._redacted(text, counts, depth)
            return value if redacted == text else redacted
        if not isinstance(value, (dict, list)):
            return value
        if depth >= _MAX_DEPTH:
            counts["depth"] += 1
            return "[REDACTED:depth]"
        if isinstance(value, list):
            return [self._redacted_value(item, counts, depth + 1) for item in value]
        return {
            self._redacted(name, counts, _MAX_DEPTH): self._redacted_value(item, counts, depth + 1)
            for name, item in value.items()
        }

    def _substituted(self, text: str, counts: Counter[str]) -> str:
        has_digits, has_word = _shape(text)
        if has_word:
            text = _replaced(text, _KEY, "key", counts)
            text = _replaced(text, _JWT, "token", counts)
        if "earer " in text:
            text = _replaced(text, _BEARER, "token", counts, keep=1)
        if "@" in text:
            text = _within(text, _around_ats(text), _without_addresses, counts)
        if has_digits:
            text = _within(text, _around_digits(text), _without_numbers, counts)
        return text if self._extra is None else _replaced(text, self._extra, "extra", counts)

    def _without_key_blocks(self, text: str, counts: Counter[str]) -> str:
        if "PRIVATE KEY" not in text:
            return text
        kept, position = [], 0
        closed = True
        while (begin := _KEY_BLOCK.search(text, position)) is not None:
            end = _KEY_BLOCK_END.search(text, begin.end()) if closed else None
            closed = end is not None
            end = end or _KEY_BLOCK_BODY.match(text, begin.end())
            assert end is not None
            kept.append(text[position : begin.start()])
            counts["private_key"] += 1
            position = end.end()
        kept.append(text[position:])
        return "[REDACTED:private_key]".join(kept)


def _shape(text: str) -> tuple[bool, bool]:
    """Whether the text has nine digits in a row, separators aside, and whether it has a long word."""
    classes = text.encode("utf-8", "replace").translate(_CLASSES)
    return _NINE_DIGITS.search(classes) is not None, _LONG_WORD in classes.replace(b"0", b"a")


def _replaced(text: str, pattern: re.Pattern[str], kind: str, counts: Counter[str], keep: int = 0) -> str:
    """The text with each match replaced; group number `keep`, where given, stays in front."""
    marker = f"[REDACTED:{kind}]"
    result, found = pattern.subn(rf"\g<{keep}>{marker}" if keep else marker, text)
    if found:
        counts[kind] += found
    return result


def _within(
    text: str, windows: list[tuple[int, int]], redact: Callable[[str, Counter[str]], str], counts: Counter[str]
) -> str:
    """The text, redacted in the windows only: the expressions cost far more than finding where to look."""
    kept, position = [], 0
    for start, end in windows:
        kept += [text[position:start], redact(text[start:end], counts)]
        position = end
    return "".join([*kept, text[position:]])


def _around_digits(text: str) -> list[tuple[int, int]]:
    """Stretches around long runs of digits."""
    found = _MANY_DIGITS.finditer(text)
    return _whole_words(text, ((match.start() - _REACH, match.end() + _REACH) for match in found))


def _around_ats(text: str) -> list[tuple[int, int]]:
    """Stretches around each @, as far as an address or a URL with a password reaches."""
    return _whole_words(text, ((at.start() - 450, at.start() + 600) for at in re.finditer("@", text)))


def _whole_words(text: str, windows: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The windows, widened to where no word goes on, unless that is far off; none overlap."""
    size = len(text)
    widened = []
    for start, end in _merged(windows):
        start, end = max(start, 0), min(end, size)
        start = next((at for at in range(start, max(start - _REACH, 0), -1) if text[at - 1].isspace()), start)
        end = next((at for at in range(end, min(end + _REACH, size)) if text[at].isspace()), end)
        widened.append((start, end))
    return _merged(widened)


def _merged(windows: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in windows:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _without_addresses(text: str, counts: Counter[str]) -> str:
    text = _replaced(text, _URL_PASSWORD, "password", counts, keep=1)
    return _replaced(text, _EMAIL, "email", counts)


def _without_numbers(text: str, counts: Counter[str]) -> str:
    text = _without_ibans(text, counts)
    text = _CARD.sub(_if_so(_is_card, "card", counts), text)
    text = _replaced(text, _SSN, "ssn", counts)
    text = _replaced(text, _PHONE_NAMED, "phone", counts, keep=1)
    return _PHONE.sub(_if_so(_is_phone, "phone", counts), text)


def _if_so(holds: Callable[[str], bool], kind: str, counts: Counter[str]) -> Callable[[re.Match[str]], str]:
    """A replacement for the matches for which a condition holds."""

    def replace(match: re.Match[str]) -> str:
        if not holds(match[0]):
            return match[0]
        counts[kind] += 1
        return f"[REDACTED:{kind}]"

    return replace


def _without_ibans(text: str, counts: Counter[str]) -> str:
    kept, position, search_from = [], 0, 0
    while (found := _IBAN.search(text, search_from)) is not None:
        length = _iban_end(found[0])
        search_from = found.start() + (length or 2)
        if length:
            counts["iban"] += 1
            kept += [text[position : found.start()], "[REDACTED:iban]"]
            position = search_from
    return "".join([*kept, text[position:]])


def _iban_end(text: str) -> int:
    """Where the IBAN at the start of the text ends; 0 where the checksum of ISO 13616 does not hold."""
    length = _IBAN_LENGTHS.get(text[:2].upper(), 99)
    seen = 0
    for end, character in enumerate(text, 1):
        seen += character.isalnum()
        if seen == length:
            plain = "".join(filter(str.isalnum, text[:end]))
            number = "".join(str(int(letter, 36)) for letter in plain[4:] + plain[:4])
            return end if int(number) % 97 == 1 else 0
    return 0


def _is_card(text: str) -> bool:
    """Whether the digits are a payment card number by Luhn's checksum (ISO/IEC 7812)."""
    digits = [int(character) for character in reversed(text) if character.isdigit()]
    doubled = sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return 13 <= len(digits) <= 19 and (doubled + sum(digits[::2])) % 10 == 0


def _is_phone(text: str) -> bool:
    """Whether this can be a telephone number rather than a date or a decimal."""
    digits = sum(character.isdigit() for character in text)
    return 9 <= digits <= 15 and not _DATE.match(text) and not _DECIMAL.fullmatch(text)
