"""How pages are made of templates: everything escaped, the same words and numbers as everywhere."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from jinja2_fragments import render_block
from markupsafe import Markup, escape

from evaluator.model.columns import utc_now
from evaluator.wording import ago, dollars, judging_dollars, moment, plural, visible
from review_ui.assets import asset_url
from review_ui.guard import PAGE_HEADERS
from review_ui.visitor import ANONYMOUS, Visitor

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("review_ui"),
        autoescape=True,
        auto_reload=False,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(asset_url=asset_url, judging_dollars=judging_dollars, moment=moment, plural=plural)
    environment.filters.update(dollars=dollars, time=time_tag, waited=waited_tag, number=grouped, prose=prose)
    return environment


def _shown(value: Any) -> Any:
    """Texts without anything that turns or hides what stands beside them; markup made here stays."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def page(
    template: str,
    context: DataclassInstance,
    *,
    visitor: Visitor | None = None,
    headers: dict[str, str] | None = None,
    status: int = 200,
    block: str | None = None,
) -> HTMLResponse:
    """A template filled with the fields of its context and its visitor, under the headers every page has.

    `block`: only that block of it, for what replaces a part of a page.
    """
    values: dict[str, Any] = {field.name: getattr(context, field.name) for field in fields(context)}
    values["visitor"] = visitor or ANONYMOUS
    if block is None:
        text = _environment().get_template(template).render(values)
    else:
        text = render_block(_environment(), template, block, values)
    return HTMLResponse(text, status, headers={**PAGE_HEADERS, **(headers or {})})


@pass_context
def time_tag(context: Context, at: datetime) -> Markup:
    """A relative time with the absolute one beside it, in the visitor's time zone."""
    return _time(context, at, ago(at, utc_now()))


@pass_context
def waited_tag(context: Context, since: datetime) -> Markup:
    """How long it has been since then, such as `6 min`, with that time beside it."""
    return _time(context, since, ago(since, utc_now()).removesuffix(" ago"))


def _time(context: Context, at: datetime, words: str) -> Markup:
    visitor: Visitor = context.get("visitor") or ANONYMOUS
    absolute = f"{at.astimezone(visitor.time_zone):%Y-%m-%d %H:%M:%S %Z}"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        at.isoformat(timespec="seconds"), absolute, escape(words)
    )


def prose(text: str) -> Markup:
    """Text with its line breaks and tabs kept, everything else as `visible` shows it."""
    lines = ("\t".join(map(visible, line.split("\t"))) for line in text.split("\n"))
    return escape("\n".join(line.removesuffix("\\r") for line in lines))


def grouped(number: int) -> str:
    """12,345."""
    return f"{number:,}"
