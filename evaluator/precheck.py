"""What can be said of captured content without a judge: answers that answer nothing, text aimed at the judge.

The openers and lone signs that fool judges are those of "One Token to Fool LLM-as-a-Judge" (2025).
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from operator import eq
from typing import Any
from unicodedata import category, normalize

from evaluator.model.verdict import VerdictLabel

PRECHECK_VERSION = "1"
"""Part of the fingerprint: raised with every change to what is found here."""

INJECTION_SUSPECTED = "injection_suspected"

_QUESTION_NAMES = ("question", "input", "prompt", "query")
_OTHER_SPEAKERS = frozenset({"assistant", "ai", "model", "tool", "function"})
_ENVELOPE = frozenset({"role", "type", "content", "text", "parts", "finish_reason", "index", "id", "name"})

_EQUAL_ECHO_CHARS = 12
_PREFIX_ECHO_CHARS = 20
_LOOP_WORDS = 20
_LOOP_SHARE = 0.6
_LOOP_UNIT_WORDS = 8
_LOOP_ROUNDS = 3
_OPENER_CHARS = 200
_LONGER_THAN_AN_ECHO = 3
"""A text this many times as long as what it could repeat or announce does neither, whatever is taken out of it."""


@dataclass(frozen=True, slots=True)
class Precheck:
    """What was found: a verdict or None for the judge to decide, why, and flags for the verdict.

    Flags are injection_suspected and precheck_empty, _punctuation, _opener, _echo or _loop.
    """

    verdict: VerdictLabel | None
    reason: str
    flags: tuple[str, ...]


def precheck(content: Mapping[str, Any], answer: str = "answer") -> Precheck:
    """What the content under its rubric names shows without a judge; linear in its length, never an error.

    Fail where nothing could be answered by such a text: it is empty, punctuation, or announces reasoning that never
    comes. Unknown where some task asks for exactly that: an echo (proof-reading what needs no change) or a loop
    ("write it fifty times"). An answer that is absent or structured data is left to the judge. Text aimed at the judge
    is only flagged, wherever in the content it stands: people look, since customers write such things as well.
    """
    found = _finding(_plain_text(content.get(answer)), content)
    suspected = (INJECTION_SUSPECTED,) if _is_aimed_at_the_judge(content) else ()
    if found is None:
        return Precheck(None, "", suspected)
    kind, verdict, reason = found
    return Precheck(verdict, reason, (f"precheck_{kind}", *suspected))


_Finding = tuple[str, VerdictLabel, str]


def _finding(text: str | None, content: Mapping[str, Any]) -> _Finding | None:
    if text is None or re.fullmatch(r"\s*(?:\[\s*\]|\{\s*\})\s*", text):
        return None
    if "<think" in text:
        text = re.sub(r"(?s)<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", " Thinking: ", text)
    visible = text.translate(_ASCII_INVISIBLE) if text.isascii() else _INVISIBLE.sub("", text)
    if not visible:
        return "empty", VerdictLabel.FAIL, "The answer is empty."
    if all(map(_is_punctuation, visible)):
        return "punctuation", VerdictLabel.FAIL, "The answer is nothing but punctuation."
    if _is_plainly_an_answer(text, content):
        return None
    words = _words(text)
    said = " ".join(words)
    if len(said) <= _OPENER_CHARS and _OPENERS.fullmatch(said + " "):
        return "opener", VerdictLabel.FAIL, "The answer announces reasoning or a solution, and nothing follows."
    if any(_echoes(said, question) for question in _questions(content)):
        return "echo", VerdictLabel.UNKNOWN, "The answer repeats the question."
    looks_like_json = visible[0] in "[{" and visible[-1] in "]}"
    if not looks_like_json and _loops(words):
        return "loop", VerdictLabel.UNKNOWN, "Most of the answer is one phrase over and over."
    return None


def _is_plainly_an_answer(text: str, content: Mapping[str, Any]) -> bool:
    """Whether the text is too long for an opener or an echo, and its pairs of words too many for a loop."""
    if len(text) <= _LONGER_THAN_AN_ECHO * (_OPENER_CHARS + sum(map(len, _asked(content)))):
        return False
    tokens = text.split()
    # a loop makes up most of the text without a break, so the middle of the text is all loop
    middle = tokens[len(tokens) * 9 // 20 : len(tokens) * 11 // 20]
    return len(middle) >= _LOOP_WORDS and len(set(pairwise(middle))) > 2 * _LOOP_UNIT_WORDS


def _plain_text(value: Any, depth: int = 8) -> str | None:
    """The text of a string or of chat messages that hold nothing but text; None for any other data."""
    if isinstance(value, str):
        return value
    if depth == 0:
        return None
    if isinstance(value, list) and value and all(isinstance(each, Mapping) for each in value):
        texts = [_plain_text(each, depth - 1) for each in value]
        return None if None in texts else "\n".join(text for text in texts if text is not None)
    if isinstance(value, Mapping) and not any(held for key, held in value.items() if key not in _ENVELOPE):
        return next(
            (_plain_text(value[key], depth - 1) for key in ("content", "text", "parts") if key in value), None
        )
    return None


_INVISIBLE = re.compile(
    "[\\s\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202f"
    "\u205f-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff]+"
)
_ASCII_INVISIBLE = dict.fromkeys([*range(0x21), 0x7F])
"""What of ASCII that expression takes out; translating is many times faster."""
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+")
"""A word, or a single character in scripts that put no spaces between words."""


class _Folding(dict[int, str]):
    """Character → what it is compared as: lower case, no accents, no invisible characters, plain quotes.

    Characters are folded one by one: normalising whole texts takes quadratic time on long runs of accents.
    """

    _ROOM = 65_536

    def __missing__(self, code: int) -> str:
        folded = self._fold(chr(code))
        # Content chooses what is kept here, so there is an end to it.
        if len(self) < self._ROOM:
            self[code] = folded
        return folded

    @staticmethod
    def _fold(char: str) -> str:
        if char.isspace():
            return "\n" if char in "\n\r\x0b\x0c\x85\u2028\u2029" else " "
        if char == "*" or _INVISIBLE.match(char):
            return ""
        plain = "".join(part for part in normalize("NFKD", char) if category(part) != "Mn").casefold()
        # A few characters stand for whole phrases; four letters of one are enough here.
        return normalize("NFC", plain[:4]).translate({0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"'})


_FOLDING = _Folding()


def _words(text: str) -> list[str]:
    return _WORD.findall(text.translate(_FOLDING))


def _is_punctuation(char: str) -> bool:
    return char in string.punctuation or category(char)[0] in "PZCM"


_OPENERS = re.compile(
    r"""(?x)(?:(?:
      (?:(?:okay|ok|alright|sure)\ )?let(?:\ ?s|\ us|\ me)\ (?:now\ )?(?:think|reason|solve|work|break|analy[sz]e)
        (?:\ (?:this|it|the|that|about|through|over|down|out|problem|question|task|request|carefully))*
        (?:\ step\ by\ step|\ one\ step\ at\ a\ time|\ systematically)?
    | (?:(?:the|my|here\ (?:is|s)(?:\ (?:the|my|a))?)\ )?
        (?:thoughts?|thinking|reasoning|analysis|chain\ of\ thought)(?:\ process|\ steps)?
    | (?:(?:the|my|here\ (?:is|s)(?:\ (?:the|my|a))?|step\ by\ step)\ )?(?:final\ )?
        (?:solution|answer|response|explanation)(?:\ is(?:\ as\ follows)?)?
    | step\ by\ step | step\ (?:1|one)
    | losung | antwort | gedankengang | denken\ wir\ schritt\ fur\ schritt
    | respuesta | solucion | pensemos\ paso\ a\ paso | resposta | solucao | risposta | soluzione
    | reponse | reflechissons\ etape\ par\ etape | решение | ответ
    | 解 | 解\ 答 | 答\ 案 | 思\ 考\ 过\ 程 | 让\ 我\ 们\ 一\ 步\ 一\ 步\ (?:地\ )?(?:来\ )?(?:思\ 考|解\ 决)
    | か\ い\ せ\ つ | 解\ 説
    )\ )+"""
)
"""Texts that announce an answer, as words each followed by a space, one after another."""


def _questions(content: Mapping[str, Any]) -> Iterator[str]:
    """What the user said, each text by itself, as words."""
    return (" ".join(_words(text)) for text in _asked(content))


def _asked(content: Mapping[str, Any]) -> Iterator[str]:
    """What the user said, each text by itself; not what assistants said before."""
    pending = [content.get(name) for name in _QUESTION_NAMES]
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            pending.extend(value)
        elif isinstance(value, Mapping) and str(value.get("role", "")).lower() not in _OTHER_SPEAKERS:
            pending.extend(value.values())


def _echoes(said: str, question: str) -> bool:
    if said == question:
        return len(said) > _EQUAL_ECHO_CHARS
    return len(said) >= _PREFIX_ECHO_CHARS and question.startswith(said)


def _loops(words: list[str]) -> bool:
    """Whether one sequence of a few words, repeated without a break, makes up most of the text.

    Sequences without a letter do not count: a table of zeros is data.
    """
    if len(words) < _LOOP_WORDS:
        return False
    # One sequence over more than the share leaves room for no more different pairs of words than these.
    if len(set(pairwise(words))) > _LOOP_UNIT_WORDS + (1 - _LOOP_SHARE) * len(words) + 2:
        return False
    for unit in range(1, _LOOP_UNIT_WORDS + 1):
        repeats = bytes(map(eq, words[unit:], words))
        longest = max(repeats.split(b"\0"), key=len)
        stretch = len(longest) + unit
        if stretch > _LOOP_SHARE * len(words) and stretch >= _LOOP_ROUNDS * unit:
            start = repeats.index(longest)
            return any(char.isalpha() for word in words[start : start + unit] for char in word)
    return False


_NO_SPACES = "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3000-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef"
_HIDDEN = re.compile(
    # Overrides show text in another order than the judge reads it.
    "[\u202d\u202e]"
    # Tag characters spell invisible ASCII; after a black flag they are a region's flag.
    "|(?<![\U0001f3f4\U000e0020-\U000e007f])[\U000e0000-\U000e007f]"
    # Variation selectors in a row carry bytes; a single one belongs to the character before it.
    "|[\ufe00-\ufe0f\U000e0100-\U000e01ef]{2}"
    "|[\u200b-\u200d\u2060-\u2064\ufeff]{3}"
    # Scripts without spaces use zero-width ones for line breaks.
    f"|(?<![{_NO_SPACES}])[\u180e\u200b\u2060-\u2064\ufeff](?![{_NO_SPACES}])"
    # Joiners build emoji, Persian and Indic words; between Latin letters they only split a word.
    "|(?<=[0-9A-Za-z])[\u200c\u200d](?=[0-9A-Za-z])"
)
_EMBEDDING = re.compile("[\u202a\u202b\u2066\u2067]")
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_EMBEDDED_NUMBER = re.compile("[\u202a\u2066]\\+?[\\d ()./\u00a0-]{3,25}[\u202c\u2069]")
"""A telephone number as contact lists copy it."""


def _hides_characters(text: str) -> bool:
    if text.isascii():
        return False
    if _HIDDEN.search(text.removeprefix("\ufeff")):
        return True
    return bool(_EMBEDDING.search(_EMBEDDED_NUMBER.sub("", text))) and not _RIGHT_TO_LEFT.search(text)


# Every repetition below is bounded, so that a search stays linear in the text. Patterns are folded as texts are.
_WORDS = r"(?:[\w'-]{1,24},? )"
_NOT_NEGATED = r"(?<!not )(?<!never )(?<!n't )"
_IGNORE = (
    rf"{_NOT_NEGATED}\b(?:ignor(?:e|ing)|disregard(?:ing)?|forget|overrid(?:e|ing)|bypass|neglect|do not follow) "
)
_EARLIER = r"(?:previous|prior|above|preceding|earlier|foregoing|original|initial|existing|all|your|system)"
_ORDERS = r"(?:instructions?|prompts?|directions|directives?|guidelines?|guidance|rules|commands|constraints)"
_JUDGE = r"(?:(?:ai |llm )?(?:judge|evaluator|grader|rater|scorer|assessor)|llm judge|grading (?:model|system|assistant))"
_WORK = (
    r"(?:answer|response|reply|output|submission|conversation|interaction|transcript|run|solution|criteri(?:on|a))"
)
_FULL_MARKS = (
    r"(?:10 ?/ ?10|100 ?/ ?100|5 ?/ ?5|10 out of 10|5 out of 5|100 ?%|full (?:marks|score|points|credit)"
    r"|(?:a |the )?(?:perfect|maximum|max|highest|top)(?: possible)? (?:score|rating|grade|marks?))"
)
_AS_PASSED = rf"(?:as |a |an |it |with |the ){{0,3}}(?:{_FULL_MARKS}|[\"']?pass(?:ed|ing)?\b|fully correct)"
_COMMAND = r"(?:^|[\x00.!?:;>\])\"] ?|\b(?:please|must|should|shall|just|always|simply) )"


def _folded(pattern: str) -> str:
    return "".join(char if char.isascii() else _FOLDING[ord(char)] for char in pattern)


def _phrases(needles: str, *patterns: str) -> tuple[tuple[str, ...], tuple[re.Pattern[str], ...]]:
    """Patterns, and the texts, separated by |, of which one stands in whatever they match: found far faster."""
    return tuple(_folded(needles).split("|")), tuple(re.compile(_folded(pattern)) for pattern in patterns)


_PHRASES = (
    # Instructions declared void
    _phrases(
        "ignor|disregard|forget|overrid|bypass|neglect|do not follow",
        rf"{_IGNORE}{_WORDS}{{0,3}}{_EARLIER} {_WORDS}{{0,3}}{_ORDERS}\b",
        rf"{_IGNORE}{_WORDS}{{0,3}}{_ORDERS} (?:(?:that )?(?:you )?(?:were|have been|had been|'ve been|are) )?"
        r"(?:above|before this|preceding|given|you were given|you (?:have )?received|prior to this)\b",
        rf"{_IGNORE}{_WORDS}{{0,3}}"
        r"(?:rubric|(?:grading|scoring|evaluation|judging) (?:criteria|instructions|guidelines))\b",
        rf"{_NOT_NEGATED}\b(?:ignore|disregard|forget) (?:everything|anything|all)(?: of)?(?: that)? ?"
        r"(?:above\b|before this|prior to this|you (?:were|have been|'ve been|had been) (?:told|instructed)|you know\b"
        r"|(?:came|comes|is written|was written) (?:before|above))",
        rf"{_NOT_NEGATED}\b(?:ignore|disregard) (?:the )?(?:above|previous|prior)(?: text)? and (?:instead )?"
        r"(?:say|output|print|mark|rate|grade|score|give (?:this|it|a|full))\b",
    ),
    # A new role, or the hidden one asked for
    _phrases(
        "you are now|from now on|system|hidden|initial",
        r"\byou are now (?:dan\b|in (?:developer|debug|god|admin|jailbreak|maintenance) mode|jailbroken"
        r"|(?:a |an )?(?:unrestricted|unfiltered|lenient|generous|different (?:ai|assistant|model)))",
        r"\bfrom now on,? you (?:must|should|will|are to) (?:only |always )?"
        r"(?:rate|grade|score|mark|judge|evaluate|output|ignore|obey|act as|answer with)\b",
        r"\b(?:reveal|print|show|repeat|output|leak|display)(?: me)? (?:your|the) (?:entire |full |hidden |initial )?"
        r"(?:system prompt|system message|hidden (?:instructions|prompt)|initial instructions)",
        r"[\[(<]{1,2} ?system (?:override|prompt|message|instruction|note)\b|\bsystem override ?:",
    ),
    # The judge addressed
    _phrases(
        "judge|evaluator|grader|rater|scorer|assessor|grading",
        rf"\bas (?:the|an?|our) {_JUDGE},? {_WORDS}{{0,4}}?"
        r"you (?:must|should|shall|need to|have to|are required|will|are to)\b",
        r"\b(?:attention|note (?:to|for)|message (?:to|for)|instructions? (?:to|for)|hey|hello|hi|dear|to)"
        r"(?: the| all| any)? (?:ai judge|llm judge|(?:(?:ai|llm) )?(?:evaluator|grader|rater)s?"
        r"|grading (?:model|system)|judges?(?= ?:)) ?[,:!.]",
        rf"\b(?:dear|hey|hello|attention) judges?[,:!] {_WORDS}{{0,4}}(?:rate|score|grade|mark|give|answer|response)\b",
        rf"\b{_JUDGE}[,:] (?:please |you must |you should )?"
        r"(?:mark|rate|score|grade|give|assign|return|output|award|ignore)\b",
    ),
    # Marks asked for
    _phrases(
        "score|grade|mark|rate|give|award|assign",
        rf"(?:{_COMMAND}|\b(?:and|then|now) )(?:score|grade|mark)(?: this| it| the| my)(?: {_WORK})? {_AS_PASSED}",
        rf"{_COMMAND}(?:rate|give|award|assign)(?: this| the| my| me)?(?: {_WORK})? (?:a |an |it )?{_FULL_MARKS}",
        r"\b(?:give|award|assign|rate|score|grade|mark) (?:this|the|my|every|each|all)(?: \w{1,12})? "
        rf"{_WORK}s? {_AS_PASSED}",
    ),
    _phrases(
        "pass|must |should |has to |criteria",
        r"\b(?:output|respond|reply|answer|return)(?: only)?(?: with)?(?: the)?(?: verdict| word| label)? ?:? ?"
        r"[\"'`]pass(?:ed)?[\"'`]",
        r"\b(?:this|the) (?:answer|response|output) (?:must|should|has to) "
        r"(?:be (?:graded|scored|rated|judged|marked)|pass|receive)\b",
        r"\ball (?:the )?criteria (?:must be|should be|are to be|have to be|pass(?:ed)?\b)",
    ),
    # A verdict or a rubric brought along
    _phrases(
        "verdict|judgment|judgement|rubric|judge|grad|evaluat|scoring|judging|system_prompt",
        r"\b(?:your|the) (?:final |correct |only )?verdict (?:must|should|has to|will|shall|needs to) be\b",
        r"\b(?:final |overall |correct )verdict ?(?:is )?[:=-] ?[\"']?(?:pass|success|correct)",
        r"[\"'](?:final_|overall_)?(?:verdict|judge?ment)\\{0,3}[\"'] ?: ?\\{0,3}[\"']"
        r"(?:pass|fail|partial|success|correct|true|excellent|10|1\.0)",
        r"</?(?:verdict|rubric|judge|grader|evaluator|judge_instructions|system_prompt|grading)\b[^<>]{0,80}>",
        r"\bthe rubric (?:has been|was|is) (?:now )?(?:updated|changed|replaced|superseded|revised|void|cancell?ed)",
        r"\b(?:updated|new|revised|corrected|replacement) (?:rubric|(?:grading|scoring|evaluation|judging) "
        r"(?:rubric|criteria|guide|rules|instructions|guidelines)) ?:",
    ),
    # Delimiters and chat templates
    _phrases(
        "---|===|###|<|inst]|[system|[developer",
        r"[-=#]{3} ?(?:begin|end|start)(?: of)?(?: the)? "
        r"(?:answer|rubric|system prompt|evaluation|untrusted (?:data|content))",
        r"### ?(?:system|assistant|human|instruction)(?: prompt| message)? ?:",
        r"<\|(?:im_(?:start|end|sep)|system|user|assistant|end_?of_?text|endofprompt|begin_of_text|eot_id|eom_id"
        r"|(?:start|end)_header_id|channel|message|start|end|return|(?:begin|end).of.sentence)\|>",
        r"\[/?inst\]|<</?sys>>|<(?:start|end)_of_turn>",
        r"\[(?:system|developer)(?: (?:prompt|message|note))?\](?:[ :(]|$)",
    ),
    # German, Dutch
    _phrases(
        "ignorier|vergiss|vergessen sie|missachte|negeer|vergeet",
        r"\b(?:ignorier(?:e|en sie|t)?|vergiss|vergessen sie|missachte(?:n sie)?) "
        rf"{_WORDS}{{0,3}}(?:vorherigen|bisherigen|vorigen|obigen|vorangegangenen|früheren) {_WORDS}{{0,2}}"
        r"(?:anweisungen|instruktionen|vorgaben|befehle|regeln|prompts?)",
        rf"\b(?:negeer|vergeet) {_WORDS}{{0,3}}(?:eerdere|vorige|voorgaande|bovenstaande) "
        r"(?:instructies|opdrachten|aanwijzingen|regels)",
    ),
    # French, Spanish, Portuguese, Italian
    _phrases(
        "ignor|oublie|pas compte|olvid|omit|descart|esque|desconsider|dimentica",
        rf"\b(?:ignor(?:e|es|ez|er)|oublie[zr]?|ne (?:tiens|tenez) pas compte) {_WORDS}{{0,4}}"
        r"(?:instructions|consignes|directives|règles) (?:précédentes|antérieures|ci-dessus|préalables|initiales)",
        rf"\b(?:ignor(?:a|e|ad|ar|en)|olvid(?:a|e|ar)|omit(?:a|e)|descart(?:a|e)) {_WORDS}{{0,4}}"
        r"(?:instrucciones|indicaciones|directrices|reglas) (?:anteriores|previas|precedentes|de arriba)",
        rf"\b(?:ignor(?:e|a|em)|esque(?:ça|ce)|desconsider(?:e|a)) {_WORDS}{{0,4}}"
        r"(?:instruções|orientações|diretrizes|regras) (?:anteriores|prévias|acima)",
        rf"\b(?:ignora(?:te)?|ignori|dimentica(?:te)?) {_WORDS}{{0,4}}(?:(?:istruzioni|indicazioni|direttive|regole) "
        r"(?:precedenti|sopra)|precedenti (?:istruzioni|indicazioni|regole))",
    ),
    # Polish, Russian, Turkish
    _phrases(
        "ignoruj|zapomnij o",
        rf"\b(?:zignoruj|ignoruj|zapomnij o) {_WORDS}{{0,3}}(?:poprzedni|wcześniejsz|powyższ)(?:e|ych|ch) "
        r"(?:instrukcj[ei]|polece(?:nia|ń)|zasad)",
    ),
    _phrases(
        "игнорируй|забудь",
        rf"\b(?:(?:про)?игнорируй|забудь)(?:те)? {_WORDS}{{0,3}}(?:предыдущие|прежние|вышеуказанные|прошлые|все) "
        rf"{_WORDS}{{0,2}}(?:инструкции|указания|команды|правила)",
    ),
    _phrases(
        "önceki",
        rf"\bönceki {_WORDS}{{0,2}}(?:talimatlar|yönergeler|komutlar)[ıi] (?:yok say|görmezden gel|unut|göz ard[ıi] et)",
    ),
    # Arabic, Hindi
    _phrases("تجاهل", r"تجاهل (?:جميع |كل )?(?:التعليمات|الأوامر|الإرشادات) (?:السابقة|أعلاه)"),
    _phrases("पिछले", r"पिछले (?:सभी )?(?:निर्देशों|आदेशों) को (?:अनदेखा|नज़रअंदाज़|भूल)"),
    # Chinese, Japanese, Korean
    _phrases(
        "忽略|無視|无视|忘记|忘記|忽視",
        r"(?:忽略|無視|无视|忘记|忘記|忽視)掉?你?(?:以上|之前|上面|先前|前面|此前|所有|一切)[^\x00。]{0,8}"
        r"(?:指令|指示|提示|说明|說明|规则|規則|要求)",
    ),
    _phrases("满分|滿分|最高分", r"(?:回答|答案|回复)[^\x00。]{0,6}(?:满分|滿分|最高分)"),
    _phrases(
        "無視|忘れ",
        r"(?:以前|これまで|上記|前|先|すべて|全て)の[^\x00。]{0,8}(?:指示|命令|プロンプト|指令)[^\x00。]{0,4}(?:無視|忘れ)",
    ),
    _phrases(
        "무시|잊",
        r"(?:이전|위의|앞의|모든|지금까지의)[^\x00.]{0,8}(?:지시|명령|지침|프롬프트)[^\x00.]{0,6}(?:무시|잊)",
    ),
)
_ROLE_LINES = re.compile(
    # Many applications write their own prompt as "System: …", so a role alone says nothing.
    r"(?m)^ ?(?:system|developer|assistant|ai|judge|evaluator|model)(?: prompt| message| note| instructions?)? ?: ?"
    r"[^\n]{0,240}?(?:verdict\b|\brubric\b|\bevaluator|\bgrader\b|full marks|perfect score|\b10/10|all criteria"
    r"|as (?:a )?pass(?:ed)?\b|as (?:fully )?correct\b"
    r"|(?<!not )(?<!never )\b(?:ignore|disregard|override) [^\n]{0,40}(?:instruction|criteria|prompt))"
    r"|^ ?(?:final |overall )?verdict ?[:=] ?[\"']?(?:pass|success|correct|10)"
)

_ROLE_NEEDLES = (
    "verdict", "rubric", "evaluator", "grader", "full marks", "perfect score", "10/10", "all criteria", "as a pass",
    "as pass", "as correct", "as fully correct", "as a correct", "as a fully correct", "ignore", "disregard", "override",
)  # fmt: skip
"""One of these stands in whatever those lines match."""
_ASCII_PHRASES = tuple(
    (tuple(filter(str.isascii, needles)), patterns)
    for needles, patterns in _PHRASES
    if any(map(str.isascii, needles))
)
"""What can match where the folded text is ASCII throughout."""

_SEPARATOR = "\n\x00\n"
"""Between two texts of the content: no phrase above spans it, and no folded text contains it."""


def _is_aimed_at_the_judge(content: Mapping[str, Any]) -> bool:
    texts = list(_texts(content))
    if any(map(_hides_characters, texts)):
        return True
    lines = _SEPARATOR.join([text.translate(_FOLDING) for text in texts])
    if "  " in lines:
        lines = re.sub(" {2,}", " ", lines)
    flat = " ".join(lines.split())
    if any(needle in lines for needle in _ROLE_NEEDLES) and _ROLE_LINES.search(lines):
        return True
    for needles, patterns in _ASCII_PHRASES if flat.isascii() else _PHRASES:
        for needle in needles:
            if needle in flat:
                if any(pattern.search(flat) for pattern in patterns):
                    return True
                break
    return False


def _texts(content: Mapping[str, Any]) -> Iterator[str]:
    """Every text at any depth, keys too, and short pairs as they read once they are JSON again."""
    pending: list[Any] = [content]
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, list | tuple):
            pending.extend(value)
        elif isinstance(value, Mapping):
            pending.extend(value.values())
            for key, held in value.items():
                yield f'"{key}": "{held}"' if isinstance(held, str) and len(held) < 20 else str(key)
