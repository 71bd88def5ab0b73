"""What `adjudge rubrics show` prints: what decides about a judgement, then the prompt as it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from rich.table import Table

from evaluator.authoring.prompt_preview import ContentPart, Finding, Preview, PreviewedJudge
from evaluator.console import out, plain
from evaluator.model.verdict import CriterionVerdict
from evaluator.plain_json import json_bytes
from evaluator.wording import dollars, plural


def print_preview(preview: Preview) -> None:
    """Facts in two columns, then the two messages, line by line."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in _lines(preview):
        table.add_row(name, plain(text))
    out.print(table)
    for message in preview.messages:
        out.print(f"\n[bold]── {message['role']} ──[/]", highlight=False)
        for line in message["content"].split("\n"):
            out.print(plain(line), highlight=False, soft_wrap=True)


def preview_json(preview: Preview) -> str:
    """Everything, for programs; the messages character by character."""
    whole = {
        "rubric": {"id": preview.rubric.id, "version": preview.rubric.version, "place": preview.place},
        "subject": preview.subject,
        "applies": preview.applies,
        "sampled": preview.sampled,
        "content": preview.content,
        "left_out": preview.left_out,
        "answered": preview.answered,
        "flags": preview.flags,
        "asked": preview.asked,
        "not_asked": preview.not_asked,
        "judges": preview.judges,
        "characters": preview.characters,
        "tokens": preview.tokens,
        "messages": preview.messages,
    }
    return json_bytes(whole, indented=True).decode()


def _lines(preview: Preview) -> Iterator[tuple[str, str]]:
    yield "rubric", f"{preview.rubric.id}, version {preview.rubric.version[:8]} ({preview.place})"
    yield "shown", preview.subject
    if preview.applies is not None:
        yield "applies", _told(preview.applies)
    if preview.sampled is not None:
        yield "sampled", _told(preview.sampled)
    for place, part in enumerate(preview.content):
        yield "" if place else "content", _part(part)
    for left in preview.left_out:
        yield "left out", f"{left.id}: {left.rule} is true"
    for answer in preview.answered:
        yield "by code", _answer(answer)
    for flag in preview.flags:
        yield "flag", flag.replace("_", " ")
    if preview.not_asked is not None:
        yield "asks", f"nothing: {preview.not_asked}"
    else:
        yield "asks", ", ".join(preview.asked)
        yield "prompt", f"{preview.characters:,} characters, about {plural(preview.tokens, 'token')}"
    for judge in preview.judges:
        yield judge.role, _judge(judge)
    if preview.not_asked is None:
        yield "cost", _cost(preview)


def _told(finding: Finding) -> str:
    return f"{'yes' if finding.holds else 'no'}: {finding.why}"


def _part(part: ContentPart) -> str:
    where = f" at {part.expression}" if part.expression is not None else ""
    if not part.found:
        return f"{part.name}: nothing found{where}"
    cut = ", its middle cut out" if part.cut else ""
    return f"{part.name}: {plural(part.characters, 'character')}{where}{cut}"


def _answer(answer: CriterionVerdict) -> str:
    by = "the pre-check" if answer.decided_by == "precheck" else "its check"
    why = answer.reasoning or answer.note or ""
    return f"{answer.id}: {answer.verdict} by {by}{f' ({why})' if why else ''}"


def _judge(judge: PreviewedJudge) -> str:
    times = "once" if judge.samples == 1 else f"{judge.samples} times"
    return f"{judge.model}, {times}, temperature {judge.temperature:g}, at most {judge.max_tokens} tokens of reply"


def _cost(preview: Preview) -> str:
    """One judgement of the judge that is shown; one run by all of them, without escalation."""
    judges = [each for each in preview.judges if each.role != "escalation"]
    told = f"about {dollars(judges[0].cost_usd)} a judgement" if judges[0].cost_usd else dollars(judges[0].cost_usd)
    costs = [each.cost_usd * each.samples for each in judges if each.cost_usd is not None]
    calls = sum(each.samples for each in judges)
    if calls == 1:
        return told
    more = " and what has no known price" if len(costs) < len(judges) else ""
    return f"{told}; a run takes {plural(calls, 'judgement')}, {dollars(sum(costs, Decimal(0)))}{more}"
