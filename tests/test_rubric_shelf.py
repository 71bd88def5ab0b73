"""The rubrics in force, whatever else lies in their folder."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from evaluator import rubric_shelf
from evaluator.rubric_format import rubric_files
from evaluator.rubric_shelf import RubricShelf

TEXT = "id: {}\ntitle: Is it good?\ncriteria: [{{id: c, ask: Is it good?}}]\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(rubric_shelf, "_LOOK_AGAIN_SECONDS", 0)
    (tmp_path / "good.yaml").write_text(TEXT.format("good"))
    return tmp_path


def ids(shelf: RubricShelf) -> list[str]:
    return [one.id for one in shelf.rubrics]


def test_what_is_no_file_is_passed_over(folder: Path) -> None:
    os.mkfifo(folder / "pipe.yaml")
    (folder / "folder.yaml").mkdir()
    (folder / "endless.yaml").symlink_to("/dev/zero")
    shelf = RubricShelf(folder)
    assert ids(shelf) == ["good"]
    assert shelf.problems == ()


def test_a_link_to_what_is_not_there_is_a_problem_and_no_more(folder: Path) -> None:
    (folder / "loop.yaml").symlink_to("loop.yaml")
    (folder / "nowhere.yaml").symlink_to("gone.yaml")
    shelf = RubricShelf(folder)
    assert ids(shelf) == ["good"]
    assert [Path(problem.file).name for problem in shelf.problems] == ["loop.yaml", "nowhere.yaml"]


def test_a_file_that_comes_and_goes_stops_nobody(folder: Path) -> None:
    path, ended = folder / "restless.yaml", threading.Event()

    def restless() -> None:
        while not ended.is_set():
            path.write_text(TEXT.format("restless"))
            path.unlink()

    thread = threading.Thread(target=restless)
    thread.start()
    try:
        shelf = RubricShelf(folder)
        for _ in range(300):
            assert "good" in ids(shelf)
    finally:
        ended.set()
        thread.join()


def test_a_folder_that_cannot_be_read_is_a_problem_and_no_more(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_folder: Path) -> list[Path]:
        raise PermissionError(13, "Permission denied")

    # root reads everything, so that a folder's mode would show nothing here
    monkeypatch.setattr(rubric_files, "files_of", refuse)
    monkeypatch.setattr(rubric_shelf, "files_of", refuse)
    (problem,) = RubricShelf(folder).problems
    assert problem.message == "the folder cannot be read: Permission denied"


def test_an_edit_of_a_file_with_a_shouted_ending_is_seen(folder: Path) -> None:
    path = folder / "loud.YAML"
    path.write_text(TEXT.format("loud"))
    shelf = RubricShelf(folder)
    assert ids(shelf) == ["good", "loud"]
    path.write_text(TEXT.format("louder"))
    assert ids(shelf) == ["good", "louder"]


def test_a_file_that_grew_while_it_was_read_is_read_no_further(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rubric_files, "MAX_BYTES", 40)
    (folder / "good.yaml").write_text("# a\n" * 5)
    size_then = os.stat_result([*(folder / "good.yaml").stat()])
    (folder / "good.yaml").write_text("# a\n" * 5000)
    monkeypatch.setattr(Path, "stat", lambda _path, **_options: size_then)
    assert len(rubric_files.text_of(folder / "good.yaml")) == 41
