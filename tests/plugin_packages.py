"""Packages that bring checks along, as pip leaves them in a folder of sys.path."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from evaluator.judging import checks
from evaluator.rubric_format import installed_checks


@dataclass(frozen=True)
class Package:
    """A distribution of one module; `checks` maps the names of its checks to functions of the module."""

    name: str
    source: str
    checks: dict[str, str]
    version: str = "1.0"


@contextmanager
def installed(folder: Path, *packages: Package) -> Iterator[None]:
    """The packages stand in a folder at the head of sys.path, as in a process that found them there from its start."""
    for package in packages:
        module = package.name.replace("-", "_")
        (folder / f"{module}.py").write_text(dedent(package.source))
        info = folder / f"{module}-{package.version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package.name}\nVersion: {package.version}\n")
        lines = [f"{check} = {module}:{function}" for check, function in package.checks.items()]
        (info / "entry_points.txt").write_text("\n".join(["[adjudge.checks]", *lines, ""]))
    sys.path.insert(0, str(folder))
    _forget()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for package in packages:
            sys.modules.pop(package.name.replace("-", "_"), None)
        _forget()


def _forget() -> None:
    for known in (installed_checks._all_found, installed_checks._plugins, installed_checks.load_check):
        known.cache_clear()
    checks._left_behind.clear()
    installed_checks._left_looking.clear()
