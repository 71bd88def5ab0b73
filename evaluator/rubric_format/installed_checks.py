"""The checks a rubric may name: those built in, and those that installed packages bring along.

A package brings one along by an entry point in the group `adjudge.checks`, which names a callable

    check(value, *, argument, content) -> bool | tuple[bool, str]

`value` is the content that the criterion's `of` names, `argument` the criterion's `value`, `content` all content by
name. An attribute `fault` of it, fault(argument) -> str | None, says what is wrong with an argument. Only that, and
judging, load a package's code.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from threading import Thread
from types import TracebackType
from typing import Any, Self

from evaluator.model.rubric import CheckName
from evaluator.wording import visible

GROUP = "adjudge.checks"
LOADING_SECONDS = 30.0
"""How long a package may take to be imported, which happens once in a process."""
FAULT_SECONDS = 2.0
"""How long a package may look at an argument."""
_MOST_UNDER_WAY = 4
_LONGEST_FAULT = 200
_LONGEST_NAME = 80

PluginCheck = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class _Found:
    entry_point: EntryPoint
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


def installed_checks() -> tuple[str, ...]:
    """The names a criterion's `check` may have, built-in ones first; of packages nothing but metadata is read."""
    return (*(each.value for each in CheckName), *_plugins())


def check_version(name: str) -> str | None:
    """Distribution and version that bring the check along; None for a built-in one and one that is not installed."""
    found = _plugins().get(name)
    return None if found is None else str(found)


def check_clashes() -> dict[str, str]:
    """Check names that several bring along → who does, and whose is used."""
    told: dict[str, str] = {}
    for name, found in _all_found().items():
        built_in = name in set(CheckName)
        if built_in or len(found) > 1:
            bring = " and ".join(map(str, found))
            used = "the built-in one" if built_in else f"that of {found[0].distribution}"
            told[name] = f"check {visible(name)} is brought along by {bring}; {used} is used"
    return told


def plugin_fault(name: str, argument: Any) -> str | None:
    """What a package's check says is wrong with an argument, in a line; None for nothing and for built-in checks.

    This loads the package's code: what cannot be loaded, fails or takes longer than FAULT_SECONDS is told as well.
    """
    if name not in _plugins():
        return None
    if len(_under_way(name)) >= _MOST_UNDER_WAY:
        return "the check still looks at earlier values and is not asked for more"
    loading = _waited_for(name, lambda: load_check(name), LOADING_SECONDS)
    if loading.raised is not None:
        return f"the check cannot be loaded: {loading.raised}"
    looking = _waited_for(name, lambda: _fault(loading.value, argument), FAULT_SECONDS)
    if looking.raised is not None:
        return f"the check cannot say whether it takes this value: {looking.raised}"
    return looking.value or None


def _fault(check: PluginCheck, argument: Any) -> str | None:
    look = getattr(check, "fault", None)
    fault = None if look is None else look(deepcopy(argument))
    return None if fault is None else visible(" ".join(str(fault).split()))[:_LONGEST_FAULT]


@lru_cache(maxsize=256)
def load_check(name: str) -> PluginCheck:
    """The callable behind a package's check; raises whatever its import raises, TypeError where it is no callable.

    Call it aside: it runs a package's code. Raises KeyError for a check that no package brings along.
    """
    check = _plugins()[name].entry_point.load()
    if not callable(check):
        raise TypeError("a check is a callable")
    return check  # type: ignore[no-any-return]  # mypy cannot know a package's code


@dataclass(frozen=True, slots=True)
class Ended:
    """How a package's code ended: with a value, or with an exception of this class.

    Of an exception nothing else is kept: its text may hold captured content.
    """

    value: Any = None
    raised: str | None = None


def aside(work: Callable[[], Any]) -> Future[Ended]:
    """How work ends in a thread of its own, which nothing waits for when the process ends; the future never raises.

    A package's code may raise anything and never end; a thread cannot be stopped, but it can be left behind.
    """
    future: Future[Ended] = Future()
    future.set_running_or_notify_cancel()
    Thread(target=_fulfil, args=(future, work), name="adjudge-check", daemon=True).start()
    return future


def _fulfil(future: Future[Ended], work: Callable[[], Any]) -> None:
    ended = Ended()
    with _Guard() as guard:
        ended = Ended(work())
    future.set_result(ended if guard.raised is None else Ended(raised=guard.raised))


class _Guard:
    """Holds what is raised within it, SystemExit as well: no package's code ends the thread unheard."""

    raised: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> bool:
        self.raised = None if kind is None else visible(kind.__name__)[:_LONGEST_NAME]
        return True


_left_looking: dict[str, set[Future[Ended]]] = {}


def _under_way(name: str) -> set[Future[Ended]]:
    """Threads that a check's package has not given back yet: a text may name it a hundred times."""
    left = _left_looking.setdefault(name, set())
    left.difference_update([each for each in left if each.done()])
    return left


def _waited_for(name: str, work: Callable[[], Any], seconds: float) -> Ended:
    future = aside(work)
    _left_looking.setdefault(name, set()).add(future)
    try:
        return future.result(seconds)
    except TimeoutError:
        return Ended(raised=f"it takes longer than {seconds:g} s")


@lru_cache(maxsize=1)
def _all_found() -> dict[str, tuple[_Found, ...]]:
    """Name → who brings it along, in order of the distribution's name."""
    found: dict[str, list[_Found]] = {}
    for each in entry_points(group=GROUP):
        distribution = each.dist
        assert distribution is not None
        found.setdefault(each.name, []).append(_Found(each, distribution.name, distribution.version))
    return {name: tuple(sorted(several, key=str)) for name, several in sorted(found.items())}


@lru_cache(maxsize=1)
def _plugins() -> dict[str, _Found]:
    """Name → the check that is used; none that is built in."""
    return {name: found[0] for name, found in _all_found().items() if name not in set(CheckName)}
