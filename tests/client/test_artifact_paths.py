"""Artifact paths from the server: nothing is written outside the target directory."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.clients.client_kinds import ClientKind
from support.files import assert_untouched, file_names, old_file
from support.servers import raw_http
from support.servers.scripted_downloads import DownloadScript, requested_part, scripted_downloads

from claude_code_client import errors
from claude_code_client._files.atomic_file import AtomicFile
from claude_code_client._files.descriptor import Descriptor
from claude_code_client._files.directory import Directory
from claude_code_client._files.safe_path import path_segments

DATA = bytes(range(256)) * 40


@pytest.fixture
def script() -> Iterator[DownloadScript]:
    with scripted_downloads(DATA) as running:
        yield running


def download(both: ClientKind, script: DownloadScript, to: Any, **options: Any) -> Any:
    client = both.client(script.base_url)
    return both.call(client.download_artifact("task_1", script.artifact, to, **options))


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
def test_path_outside_the_directory_is_rejected(both: ClientKind, tmp_path: Path, path: str) -> None:
    target = tmp_path / "target"
    target.mkdir()
    with scripted_downloads(DATA, path=path) as script, assert_untouched(tmp_path):
        for to in (target, f"{target}/new/"):
            with pytest.raises(errors.UnsafePathError) as caught:
                download(both, script, to)
            assert repr(path) in str(caught.value)
            assert caught.value.task_id == "task_1"
        # The same artifact, to a place that the user names.
        assert script.ranges == []
    with scripted_downloads(DATA, path=path) as script:
        assert download(both, script, target / "mine").read_bytes() == DATA


@pytest.mark.parametrize(
    "path", ["x", "a/b/c.md", "..a", "a..b/...", ".hidden", "-rf", "~/x", "a\\b", "$HOME/x", "ab:c", "日本/ü", "a b/ c"]
)
def test_unusual_names_are_plain_names(both: ClientKind, tmp_path: Path, path: str) -> None:
    with scripted_downloads(DATA, path=path) as script:
        place = download(both, script, tmp_path)
    assert place == tmp_path.joinpath(*path.split("/"))
    assert [found.read_bytes() for found in tmp_path.rglob("*") if found.is_file()] == [DATA]


@pytest.mark.parametrize(
    "path",
    ["CON", "con.txt", "a/NUL", "nul .txt", "com1", "LPT9.md", "COM¹", "CONIN$", "x.", "a/.. ", "ab:c", "a?", "*"],
)
def test_reserved_windows_names_are_plain_names(path: str) -> None:
    assert path_segments(path) == tuple(path.split("/"))


def test_backslash_is_not_a_separator() -> None:
    assert path_segments("a\\b/c") == ("a\\b", "c")


@pytest.mark.parametrize("path", ["link/x", "link/a/b", "real/link/x", "dangling/x", "loop/x", "file/x"])
def test_symlinks_below_the_directory_are_not_followed(both: ClientKind, tmp_path: Path, path: str) -> None:
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
        scripted_downloads(DATA, path=path) as script,
        assert_untouched(tmp_path),
        pytest.raises(errors.UnsafePathError, match="link"),
    ):
        download(both, script, target)


def test_symlink_at_the_target_is_replaced(both: ClientKind, tmp_path: Path) -> None:
    target, outside = tmp_path / "target", tmp_path / "outside"
    target.mkdir()
    outside.mkdir()
    old = old_file(outside, "x")
    for name, to in (("to-file", old), ("to-folder", outside), ("dangling", outside / "new")):
        (target / name).symlink_to(to)
        with scripted_downloads(DATA, path=name) as script, assert_untouched(outside):
            place = download(both, script, target)
        assert place.read_bytes() == DATA
        assert not place.is_symlink()
    assert file_names(target) == ["dangling", "to-file", "to-folder"]


@pytest.mark.parametrize("moment", ["before its first byte", "before its end"])
@pytest.mark.parametrize("becomes", ["a link", "another folder"])
def test_directory_replaced_during_the_download(both: ClientKind, tmp_path: Path, moment: str, becomes: str) -> None:
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

    def respond(script: DownloadScript, request: raw_http.Request) -> Iterator[bytes]:
        if moment == "before its first byte":
            swap()
        yield from requested_part(script, request)

    with scripted_downloads(DATA, respond) as script, assert_untouched(outside):
        if moment == "before its first byte" and becomes == "another folder":
            assert download(both, script, target).read_bytes() == DATA
        else:
            with pytest.raises(errors.UnsafePathError, match="docs"):
                download(both, script, target, on_progress=lambda *_: swap())
    assert file_names(target / "moved") == []


def test_directory_removed_by_another_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other download created the directory and fails before this one creates its file in it."""
    other = AtomicFile.locate(f"{tmp_path}/new/", "docs/other")
    other.begin()
    open_file = Directory.open_file

    def late(folder: Directory, *arguments: Any) -> Descriptor:
        other.discard()
        return open_file(folder, *arguments)

    monkeypatch.setattr(Directory, "open_file", late)
    mine = AtomicFile.locate(f"{tmp_path}/new/", "docs/mine")
    mine.begin()
    mine.write(DATA)
    assert mine.commit().read_bytes() == DATA
    mine.discard()
    assert file_names(tmp_path / "new" / "docs") == ["mine"]


@pytest.mark.parametrize("moment", ["before", "during"])
def test_directory_at_the_target(both: ClientKind, script: DownloadScript, tmp_path: Path, moment: str) -> None:
    place = tmp_path / "docs" / "report.bin"
    if moment == "before":
        place.mkdir(parents=True)
    with pytest.raises(errors.StorageError, match="directory") as caught:
        download(both, script, tmp_path, on_progress=lambda *_: place.mkdir(exist_ok=True))
    assert isinstance(caught.value, OSError)
    assert caught.value.errno in (errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY)
    assert file_names(tmp_path / "docs") == ["report.bin"]
    assert file_names(place) == []


def test_file_in_place_of_a_directory(both: ClientKind, script: DownloadScript, tmp_path: Path) -> None:
    old_file(tmp_path, "docs")
    with assert_untouched(tmp_path):
        for to in (tmp_path, tmp_path / "docs" / "x", f"{tmp_path}/docs/", f"{tmp_path}/docs/x/"):
            with pytest.raises(errors.StorageError, match="is a file") as caught:
                download(both, script, to)
            assert caught.value.errno == errno.ENOTDIR


def test_special_file_is_not_replaced(both: ClientKind, script: DownloadScript, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with assert_untouched(tmp_path), pytest.raises(errors.StorageError, match="pipe") as caught:
        download(both, script, tmp_path / "pipe")
    assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize("to", ["nowhere/x.bin", "x" * 300, "x/" * 2100 + "y/", "x" * 300 + "/"])
def test_unusable_target(both: ClientKind, script: DownloadScript, tmp_path: Path, to: str) -> None:
    with assert_untouched(tmp_path), pytest.raises(errors.StorageError) as caught:
        download(both, script, f"{tmp_path}/{to}")
    assert caught.value.errno == (errno.ENOENT if to.startswith("nowhere") else errno.ENAMETOOLONG)
    assert caught.value.task_id == "task_1"


@pytest.mark.skipif(sys.platform == "darwin", reason="names are always Unicode there")
def test_name_unsupported_by_the_system(tmp_path: Path) -> None:
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
    assert file_names(tmp_path) == []
