"""Files from the network: whole and checked, or not there at all. The network is a server on this machine."""

import errno
import hashlib
import socket
import subprocess
import sys
from collections import namedtuple
from dataclasses import replace

import pytest
from web import CONTENT, serving

from kinbench.downloads import Download, fetch, in_bytes, pinned_hash
from kinbench.errors import DataError

SHA256 = hashlib.sha256(CONTENT).hexdigest()
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    with serving() as running:
        yield running


@pytest.fixture
def download(server):
    return Download("set/data.zip", server.url(), f"sha256:{SHA256}", len(CONTENT))


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def refused(download, folder, **options):
    with pytest.raises(DataError) as caught:
        fetch(download, folder, **options)
    told = str(caught.value)
    assert "\n" not in told
    assert " object at 0x" not in told
    return told


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_a_file_comes_whole_and_is_not_fetched_twice(server, download, tmp_path, algorithm):
    download = replace(download, known_hash=f"{algorithm}:{hashlib.new(algorithm, CONTENT).hexdigest()}")
    seen = []
    fetch(download, tmp_path, on_progress=lambda *told: seen.append(told))
    assert files(tmp_path) == ["set/data.zip"]
    assert (tmp_path / "set/data.zip").read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT), "data.zip")
    assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)
    fetch(download, tmp_path)
    assert len(server.asked) == 1


def test_a_file_that_is_there_and_is_another_one_is_replaced(download, tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set/data.zip").write_bytes(b"another")
    fetch(download, tmp_path)
    assert (tmp_path / "set/data.zip").read_bytes() == CONTENT


def test_a_wrong_hash_is_one_sentence_and_leaves_nothing(server, download, tmp_path):
    server.content = CONTENT[:-1] + b"x"
    told = refused(download, tmp_path)
    for word in (SHA256, hashlib.sha256(server.content).hexdigest(), server.url(), "data.zip"):
        assert word in told
    assert files(tmp_path) == []


def test_a_wrong_hash_leaves_the_file_that_was_there(server, download, tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set/data.zip").write_bytes(b"an older release")
    server.content = CONTENT[::-1]
    refused(download, tmp_path)
    assert files(tmp_path) == ["set/data.zip"]
    assert (tmp_path / "set/data.zip").read_bytes() == b"an older release"


@pytest.mark.parametrize("known", [f"sha256:{SHA256}", None])
def test_a_login_page_in_place_of_the_file_is_told_as_one(server, download, tmp_path, known):
    told = refused(replace(download, url=server.url("/login"), known_hash=known), tmp_path, unpinned=True)
    assert "text/html" in told
    assert files(tmp_path) == []


def test_a_file_that_moved_is_followed(server, download, tmp_path):
    fetch(replace(download, url=server.url("/moved")), tmp_path)
    assert (tmp_path / "set/data.zip").read_bytes() == CONTENT


def test_a_connection_that_breaks_is_taken_up_where_it_ended(server, download, tmp_path):
    server.cuts, server.cut_after = 2, 1_200_000
    fetch(download, tmp_path)
    assert (tmp_path / "set/data.zip").read_bytes() == CONTENT
    first, second, third = (asked for _, asked in server.asked)
    assert (first, second) == (None, f"bytes={2**20}-"), "what had come of the piece under way comes again"
    assert third == f"bytes={2**21}-"


@pytest.mark.parametrize("path", ["/file", "/moved"])
def test_a_download_that_was_stopped_goes_on(server, download, tmp_path, path):
    def stop(done, *_):
        if done > 1_000_000:
            raise KeyboardInterrupt

    download = replace(download, url=server.url(path))
    with pytest.raises(KeyboardInterrupt):
        fetch(download, tmp_path, on_progress=stop)
    (kept,) = files(tmp_path)
    assert kept == "set/data.zip.part"
    have = (tmp_path / kept).stat().st_size
    assert 0 < have < len(CONTENT)
    fetch(download, tmp_path)
    assert server.asked[-1] == ("/file", f"bytes={have}-")
    assert files(tmp_path) == ["set/data.zip"]


def plant_part(folder, content):
    (folder / "set").mkdir()
    (folder / "set/data.zip.part").write_bytes(content)


def test_a_server_that_cannot_go_on_starts_again(server, download, tmp_path):
    server.ranges = False
    plant_part(tmp_path, CONTENT[:1000])
    fetch(download, tmp_path)
    assert server.asked == [("/file", "bytes=1000-")]
    assert (tmp_path / "set/data.zip").read_bytes() == CONTENT


def test_a_part_of_another_file_does_not_spoil_the_next_attempt(download, tmp_path):
    plant_part(tmp_path, b"x" * 1000)
    refused(download, tmp_path)
    assert files(tmp_path) == []
    fetch(download, tmp_path)
    assert (tmp_path / "set/data.zip").read_bytes() == CONTENT


@pytest.mark.parametrize("size", [len(CONTENT), 0])
def test_a_part_longer_than_the_file_is_begun_again(download, tmp_path, size):
    plant_part(tmp_path, CONTENT + b"more")
    fetch(replace(download, size_bytes=size), tmp_path)
    assert (tmp_path / "set/data.zip").read_bytes() == CONTENT


def test_a_whole_part_is_checked_without_asking(server, download, tmp_path):
    plant_part(tmp_path, CONTENT)
    fetch(download, tmp_path)
    assert server.asked == []
    assert files(tmp_path) == ["set/data.zip"]


def test_a_page_that_is_gone_is_told(server, download, tmp_path):
    told = refused(replace(download, url=server.url("/gone")), tmp_path)
    assert "404" in told
    assert server.url("/gone") in told
    assert files(tmp_path) == []


def test_a_server_that_is_not_there_is_told(download, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else answers there meanwhile
        told = refused(replace(download, url=f"http://127.0.0.1:{taken.getsockname()[1]}/file"), tmp_path)
    assert "refused" in told.lower()
    assert files(tmp_path) == []


def test_too_little_room_is_told_before_anything_is_asked(server, download, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(10**9, 10**9, 1_000_000))
    told = refused(download, tmp_path)
    assert "3.1 MB" in told
    assert "1.0 MB" in told
    assert server.asked == []
    plant_part(tmp_path, CONTENT[:2_900_000])
    fetch(download, tmp_path)


def test_a_file_of_unknown_size_is_held_against_the_disk_when_the_server_tells(server, download, tmp_path, monkeypatch):
    seen = []
    unknown = replace(download, size_bytes=0)
    with monkeypatch.context() as small:
        small.setattr("shutil.disk_usage", lambda _: Usage(10**9, 10**9, 1_000_000))
        assert "3.1 MB" in refused(unknown, tmp_path)
        assert files(tmp_path) == []
    fetch(unknown, tmp_path, on_progress=lambda *told: seen.append(told))
    assert {total for _, total, _ in seen} == {len(CONTENT)}


def test_a_disk_that_fills_keeps_what_came_and_says_so(download, tmp_path):
    def fill(done, *_):
        if done > 1_000_000:
            raise OSError(errno.ENOSPC, "No space left on device")

    told = refused(download, tmp_path, on_progress=fill)
    assert "disk is full" in told
    assert "1.0 MB" in told
    assert files(tmp_path) == ["set/data.zip.part"]
    fetch(download, tmp_path)
    assert files(tmp_path) == ["set/data.zip"]


def test_a_folder_that_may_not_be_written_is_told(download, tmp_path):
    (tmp_path / "set").write_text("a file where the folder should be")
    told = refused(download, tmp_path)
    assert "set" in told


def test_without_a_published_hash_it_needs_a_word_and_is_written_down(server, download, tmp_path):
    unknown = replace(download, known_hash=None)
    assert "--unpinned" in refused(unknown, tmp_path)
    assert server.asked == []
    assert fetch(unknown, tmp_path, unpinned=True).sha256 == SHA256
    assert (tmp_path / "set/data.zip.sha256").read_text() == f"{SHA256}  data.zip\n"
    assert pinned_hash(unknown, tmp_path) == f"sha256:{SHA256}"


def test_what_was_written_down_once_holds_later_downloads(server, download, tmp_path):
    unknown = replace(download, known_hash=None, size_bytes=0)
    fetch(unknown, tmp_path, unpinned=True)
    (tmp_path / "set/data.zip").unlink()
    server.content = b"changed overnight"
    assert SHA256 in refused(unknown, tmp_path, unpinned=True)
    server.content = CONTENT
    assert fetch(unknown, tmp_path).sha256 is None


def test_an_unpinned_file_of_another_size_is_refused(server, download, tmp_path):
    server.content = CONTENT[:5000]
    told = refused(replace(download, known_hash=None), tmp_path, unpinned=True)
    assert "3.1 MB" in told
    assert "5.0 kB" in told
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (22.75e9, "22.8 GB"), (5e13, "50000.0 GB")],
)
def test_sizes_read_as_a_person_writes_them(count, words):
    assert in_bytes(count) == words


def test_the_network_waits_for_a_download():
    code = "import sys, kinbench.api; print([n for n in ('pooch', 'requests', 'urllib3') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
