"""The paths of artifacts come from a server: whatever they are, nothing is written outside of the folder."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import raw
from support.artifact_server import Shelf, names, old_file, part, serving, untouched
from support.both import Both

from claude_code_client import errors
from claude_code_client._files.atomic_file import AtomicFile
from claude_code_client._files.directory import Directory
from claude_code_client._files.safe_path import path_segments

DATA = bytes(range(256)) * 40


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    with serving(DATA) as running:
        yield running


def download(both: Both, shelf: Shelf, to: Any, **options: Any) -> Any:
    client = both.client(shelf.base_url)
    return both.call(client.download_artifact("task_1", shelf.artifact, to, **options))


ATTACKS = [
    "../x",
    "..",
    "../../../../../../tmp/x",
    "a/../../x",
    "a/../x",
    "a//../b",
    "a/..",
    "/etc/x",
    "/",
    "//host/share/x",
    "///x",
    "C:\\x",
    "C:/x",
    "C:x",
    "c:",
    "\\\\host\\share",
    "\\\\?\\C:\\x",
    "\\x",
    "a\\..\\..\\x",
    "a/..\\x",
    "..\\x",
    "",
    ".",
    "./x",
    "a/./x",
    "a/.",
    "a/",
    "a//x",
    "a\0b",
    "\0",
    "x\n",
    "\rx",
    "a\x1b[2Jb",
    "x\x7f",
    "x\x85",
    "\ud800",
]


@pytest.mark.parametrize("path", ATTACKS, ids=repr)
def test_a_path_that_leads_out_of_the_folder(both: Both, tmp_path: Path, path: str) -> None:
    target = tmp_path / "target"
    target.mkdir()
    with serving(DATA, path=path) as shelf, untouched(tmp_path):
        for to in (target, f"{target}/new/"):
            with pytest.raises(errors.UnsafePathError) as caught:
                download(both, shelf, to)
            assert repr(path) in str(caught.value)
            assert caught.value.task_id == "task_1"
        # The same artifact, to a place that the user names.
        assert shelf.ranges == []
    with serving(DATA, path=path) as shelf:
        assert download(both, shelf, target / "mine").read_bytes() == DATA


@pytest.mark.parametrize(
    "path", ["x", "a/b/c.md", "..a", "a..b/...", ".hidden", "-rf", "~/x", "a\\b", "$HOME/x", "ab:c", "日本/ü", "a b/ c"]
)
def test_odd_names_are_only_names(both: Both, tmp_path: Path, path: str) -> None:
    with serving(DATA, path=path) as shelf:
        place = download(both, shelf, tmp_path)
    assert place == tmp_path.joinpath(*path.split("/"))
    assert [found.read_bytes() for found in tmp_path.rglob("*") if found.is_file()] == [DATA]


@pytest.mark.parametrize(
    "path",
    ["CON", "con.txt", "a/NUL", "nul .txt", "com1", "LPT9.md", "COM¹", "CONIN$", "x.", "a/.. ", "ab:c", "a?", "*"],
)
def test_names_with_a_meaning_on_windows_only_are_plain_names(path: str) -> None:
    assert path_segments(path) == tuple(path.split("/"))


def test_a_backslash_separates_no_names() -> None:
    assert path_segments("a\\b/c") == ("a\\b", "c")


@pytest.mark.parametrize("path", ["link/x", "link/a/b", "real/link/x", "dangling/x", "loop/x", "file/x"])
def test_links_below_the_folder_are_not_passed_through(both: Both, tmp_path: Path, path: str) -> None:
    target, outside = tmp_path / "target", tmp_path / "outside"
    (target / "real").mkdir(parents=True)
    (outside / "a").mkdir(parents=True)
    old_file(outside, "x")
    for link, to in (
        ("link", outside),
        ("real/link", "../../outside"),
        ("dangling", tmp_path / "nowhere"),
        ("loop", "loop"),
        ("file", outside / "x"),
    ):
        (target / link).symlink_to(to)
    with (
        serving(DATA, path=path) as shelf,
        untouched(tmp_path),
        pytest.raises(errors.UnsafePathError, match="link"),
    ):
        download(both, shelf, target)


def test_a_link_at_the_place_itself_is_replaced(both: Both, tmp_path: Path) -> None:
    target, outside = tmp_path / "target", tmp_path / "outside"
    target.mkdir()
    outside.mkdir()
    old = old_file(outside, "x")
    for name, to in (("to-file", old), ("to-folder", outside), ("dangling", outside / "new")):
        (target / name).symlink_to(to)
        with serving(DATA, path=name) as shelf, untouched(outside):
            place = download(both, shelf, target)
        assert place.read_bytes() == DATA
        assert not place.is_symlink()
    assert names(target) == ["dangling", "to-file", "to-folder"]


@pytest.mark.parametrize("moment", ["before its first byte", "before its end"])
@pytest.mark.parametrize("becomes", ["a link", "another folder"])
def test_a_folder_that_becomes_something_else_during_the_download(
    both: Both, tmp_path: Path, moment: str, becomes: str
) -> None:
    target, outside = tmp_path / "target", tmp_path / "outside"
    (target / "docs").mkdir(parents=True)
    outside.mkdir()
    old_file(outside)

    def swap() -> None:
        if (target / "moved").exists():
            return
        (target / "docs").rename(target / "moved")
        if becomes == "a link":
            (target / "docs").symlink_to(outside)
        else:
            (target / "docs").mkdir()

    def answer(shelf: Shelf, request: raw.Request) -> Iterator[bytes]:
        if moment == "before its first byte":
            swap()
        yield from part(shelf, request)

    with serving(DATA, answer) as shelf, untouched(outside):
        if moment == "before its first byte" and becomes == "another folder":
            assert download(both, shelf, target).read_bytes() == DATA
        else:
            with pytest.raises(errors.UnsafePathError, match="docs"):
                download(both, shelf, target, on_progress=lambda *_: swap())
    assert names(target / "moved") == []


def test_a_folder_that_another_download_takes_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It made the folder, and fails between the moments in which this one enters it and makes its file."""
    other = AtomicFile.locate(f"{tmp_path}/new/", "docs/other")
    other.begin()
    open_file = Directory.open_file

    def late(folder: Directory, *arguments: Any) -> int:
        other.discard()
        return open_file(folder, *arguments)

    monkeypatch.setattr(Directory, "open_file", late)
    mine = AtomicFile.locate(f"{tmp_path}/new/", "docs/mine")
    mine.begin()
    mine.write(DATA)
    assert mine.commit().read_bytes() == DATA
    mine.discard()
    assert names(tmp_path / "new" / "docs") == ["mine"]


@pytest.mark.parametrize("moment", ["before", "during"])
def test_a_folder_at_the_place(both: Both, shelf: Shelf, tmp_path: Path, moment: str) -> None:
    place = tmp_path / "docs" / "report.bin"
    if moment == "before":
        place.mkdir(parents=True)
    with pytest.raises(errors.StorageError, match="directory") as caught:
        download(both, shelf, tmp_path, on_progress=lambda *_: place.mkdir(exist_ok=True))
    assert isinstance(caught.value, OSError)
    assert caught.value.errno in (errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY)
    assert names(tmp_path / "docs") == ["report.bin"]
    assert names(place) == []


def test_a_file_where_a_folder_should_be(both: Both, shelf: Shelf, tmp_path: Path) -> None:
    old_file(tmp_path, "docs")
    with untouched(tmp_path):
        for to in (tmp_path, tmp_path / "docs" / "x", f"{tmp_path}/docs/", f"{tmp_path}/docs/x/"):
            with pytest.raises(errors.StorageError, match="is a file") as caught:
                download(both, shelf, to)
            assert caught.value.errno == errno.ENOTDIR


def test_what_is_no_file_is_not_replaced(both: Both, shelf: Shelf, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with untouched(tmp_path), pytest.raises(errors.StorageError, match="pipe") as caught:
        download(both, shelf, tmp_path / "pipe")
    assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize("to", ["nowhere/x.bin", "x" * 300, "x/" * 2100 + "y/", "x" * 300 + "/"])
def test_a_place_that_cannot_be(both: Both, shelf: Shelf, tmp_path: Path, to: str) -> None:
    with untouched(tmp_path), pytest.raises(errors.StorageError) as caught:
        download(both, shelf, f"{tmp_path}/{to}")
    assert caught.value.errno == (errno.ENOENT if to.startswith("nowhere") else errno.ENAMETOOLONG)
    assert caught.value.task_id == "task_1"


@pytest.mark.skipif(sys.platform == "darwin", reason="names are always Unicode there")
def test_a_name_that_the_system_cannot_have(tmp_path: Path) -> None:
    code = """
import sys
from claude_code_client._files.atomic_file import AtomicFile
from claude_code_client.errors import StorageError
assert sys.getfilesystemencoding() == "ascii"
target = AtomicFile.locate(sys.argv[1], "docs/\\u00fc")
try:
    target.begin()
except StorageError as error:
    print(error.errno, "characters" in str(error))
target.discard()
"""
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=plain, capture_output=True, text=True)
    assert ran.stdout.split() == [str(errno.EILSEQ), "True"], ran.stderr
    assert names(tmp_path) == []
