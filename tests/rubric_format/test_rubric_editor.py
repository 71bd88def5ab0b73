"""A real YAML language server reads rubric.schema.json as an author's editor would; only where one is installed.

`npm install yaml-language-server` in any folder, with its node_modules/.bin on PATH, is enough.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evaluator.rubric_format.rubric_schema import SCHEMA_FILE, schema_text

SERVER = shutil.which("yaml-language-server")
pytestmark = pytest.mark.skipif(SERVER is None, reason="There is no yaml-language-server on PATH.")

FIRST_LINE = f"# yaml-language-server: $schema={SCHEMA_FILE}\n"
HERE = "█"
HEAD = "id: a\ntitle: T\n"


class Editor:
    """Speaks the language server protocol over a server's standard input and output."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: dict[str, list[dict[str, Any]]] = {}
        self._sent = 0
        self.server = subprocess.Popen([str(SERVER), "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        completion = {"completionItem": {"snippetSupport": True, "documentationFormat": ["markdown"]}}
        about = {"completion": completion, "hover": {"contentFormat": ["markdown"]}}
        self._ask("initialize", processId=None, rootUri=folder.as_uri(), capabilities={"textDocument": about})
        self._tell("initialized")

    def completions(self, text: str) -> dict[str, str]:
        """Label → documentation of what is offered at the mark."""
        answer = self._at_mark("completion", text)
        return {one["label"]: str(one.get("documentation", "")) for one in answer["items"]}

    def hover(self, text: str) -> str:
        return str(self._at_mark("hover", text)["contents"]["value"])

    def underlined(self, text: str) -> list[str]:
        """What the server says is wrong with a text."""
        uri, _ = self._open(text)
        while uri not in self.problems:
            self._take(self._read())
        return [one["message"] for one in self.problems[uri]]

    def _at_mark(self, what: str, text: str) -> Any:
        uri, position = self._open(text)
        return self._ask(f"textDocument/{what}", textDocument={"uri": uri}, position=position)

    def _open(self, text: str) -> tuple[str, dict[str, int]]:
        self._sent += 1
        uri = (self.folder / f"{self._sent}.yaml").as_uri()
        before = (FIRST_LINE + text).partition(HERE)[0]
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": FIRST_LINE + text.replace(HERE, "")}
        self._tell("textDocument/didOpen", textDocument=document)
        return uri, {"line": before.count("\n"), "character": len(before) - before.rfind("\n") - 1}

    def _tell(self, method: str, **params: Any) -> None:
        self._write({"method": method, "params": params})

    def _ask(self, method: str, **params: Any) -> Any:
        self._sent += 1
        number = self._sent
        self._write({"id": number, "method": method, "params": params})
        while True:
            message = self._read()
            if message.get("id") == number and "method" not in message:
                return message["result"]
            self._take(message)

    def _take(self, message: dict[str, Any]) -> None:
        if message.get("method") == "textDocument/publishDiagnostics":
            self.problems[message["params"]["uri"]] = message["params"]["diagnostics"]
        elif "id" in message and "method" in message:
            self._write({"id": message["id"], "result": None})

    def _write(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.server.stdin is not None
        self.server.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.server.stdin.flush()

    def _read(self) -> dict[str, Any]:
        assert self.server.stdout is not None
        length = 0
        while line := self.server.stdout.readline().strip():
            if line.lower().startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        message: dict[str, Any] = json.loads(self.server.stdout.read(length))
        return message


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    folder = tmp_path_factory.mktemp("rubrics")
    (folder / SCHEMA_FILE).write_text(schema_text(), encoding="utf-8")
    editor = Editor(folder)
    yield editor
    editor.server.kill()
    editor.server.communicate()


def test_keys_are_offered_with_what_they_say(editor: Editor) -> None:
    offered = editor.completions(f"{HEAD}{HERE}")
    assert "How verdicts of several runs become one." in offered["rollup"]


def test_choices_are_offered_with_what_each_means(editor: Editor) -> None:
    offered = editor.completions(f"{HEAD}rollup: {HERE}")
    assert list(offered) == ["last_run", "all", "any", "mean", "recency_weighted", "k_of_n"]
    assert offered["all"] == "Every run has to pass; one fail decides at once."


def test_a_whole_question_is_offered_for_a_list_of_criteria(editor: Editor) -> None:
    for text in (f"{HEAD}criteria: {HERE}", f"{HEAD}criteria:\n  - {HERE}"):
        assert {"question", "question with a scale", "code check"} <= set(editor.completions(text))


def test_values_are_offered_that_fit_the_check(editor: Editor) -> None:
    offered = editor.completions(f"{HEAD}criteria:\n  - id: x\n    check: max_length\n    value: {HERE}")
    assert list(offered) == ["400", "1200"]


def test_a_hover_explains_a_key_its_default_and_an_example(editor: Editor) -> None:
    told = editor.hover(f"{HEAD}con{HERE}tent: {{answer: output}}\n")
    assert told.startswith("#### content\n")
    assert "Default: `question: input`, `answer: output`, `sources: retrieval`." in told
    assert "question: input.messages[-1].content" in told


def test_nothing_of_a_good_rubric_is_underlined(editor: Editor) -> None:
    assert editor.underlined(f"{HEAD}criteria:\n  - {{id: c, ask: Is it so?}}\n") == []


@pytest.mark.parametrize(
    ("criterion", "told"),
    [
        ("{id: c}", "Needs ask, a question for judges, or check, which code answers."),
        ("{id: c, ask: Is it so?, check: json_valid}", "Has ask as well: exactly one of ask and check."),
        ("{id: c, ask: Is it so?, weigth: 2}", "Property weigth is not allowed."),
        ("{id: c, check: max_length, value: long}", "max_length takes a whole number above 0."),
        ("{id: c, ask: Is it so?, scale: {1: a, 2: b}}", "Needs pass_at, the lowest level that passes."),
    ],
)
def test_what_is_wrong_is_underlined_in_words_an_author_understands(
    editor: Editor, criterion: str, told: str
) -> None:
    assert editor.underlined(f"{HEAD}criteria:\n  - {criterion}\n") == [told]
