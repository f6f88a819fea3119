"""What of a dataset's raw folder is there, and getting the rest: told for people, for machines, and by exit code."""

import hashlib
import json
from collections import namedtuple
from dataclasses import replace

import pytest
from web import CONTENT, serving

import kinbench
from kinbench import acquisition
from kinbench.contracts import DatasetCard, Expected, RawTree
from kinbench.downloads import Download
from kinbench.errors import DataError, UsageError

Usage = namedtuple("Usage", "total used free")

CARD = DatasetCard(
    name="gym", title="Recordings of a gym", version="1", description="", licence="CC-BY-4.0", redistributable=True,
    access="open", citation="Doe 2026", persons=12, sensors="none real", tier="optical_6dof",
)  # fmt: skip
HASH = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


def no_comma(path):
    return None if "," in path.read_text() else "expected commas between columns, found none"


class Gym:
    """An adapter with a tree, for the tests to change."""

    card = CARD
    version = "1"
    tree = RawTree(
        expected=(
            Expected("table of people", ("people.csv", "old_people.csv"), check=no_comma),
            Expected("sessions", ("*/*.json", "data/*/*.json")),
            Expected("notes", ("notes.txt",), required=False),
        ),
        steps=("Open https://example.org/gym.", "Put gym.zip's folders below the raw folder."),
    )

    def find(self, raw):
        raise NotImplementedError


def adapter(**changes):
    gym = Gym()
    gym.tree = replace(Gym.tree, **changes)
    return gym


@pytest.fixture
def full(tmp_path):
    """A raw folder with everything that is required, under the old and the new names."""
    (tmp_path / "data" / "p1").mkdir(parents=True)
    (tmp_path / "p2").mkdir()
    (tmp_path / "old_people.csv").write_text("id,age\n1,30\n")
    (tmp_path / "data" / "p1" / "a.json").write_text("{}")
    (tmp_path / "p2" / "b.json").write_text("{}")
    return tmp_path


def states(survey):
    return {finding.expected.what: finding.state for finding in survey.findings}


def test_a_full_folder_is_found_by_either_name(full):
    survey = acquisition.survey(Gym(), full)
    assert states(survey) == {"table of people": "found", "sessions": "found", "notes": "absent"}
    assert survey.ok
    assert survey.table().set_index("what")["files"].to_dict() == {"table of people": 1, "sessions": 2, "notes": 0}
    assert "kinbench convert gym" in survey.text()
    assert "example.org" not in survey.text(), "nothing is left to get"


@pytest.mark.parametrize("made", [True, False])
def test_an_empty_folder_misses_all_and_says_what_to_do(tmp_path, made):
    raw = tmp_path / "raw"
    if made:
        raw.mkdir()
    survey = acquisition.survey(Gym(), raw)
    assert states(survey) == {"table of people": "missing", "sessions": "missing", "notes": "absent"}
    assert not survey.ok
    for word in (
        "people.csv or old_people.csv",
        "1. Open https://example.org/gym.",
        "licence: CC-BY-4.0",
        "persons: 12",
    ):
        assert word in survey.text()
    assert raw.exists() is made, "looking made a folder"


def test_a_wrong_file_is_named_with_the_reason(full):
    (full / "people.csv").write_text("id;age\n")
    survey = acquisition.survey(Gym(), full)
    assert states(survey)["table of people"] == "wrong"
    assert not survey.ok
    assert "people.csv: expected commas" in survey.text()
    assert "kinbench convert" not in survey.text()
    (wrong,) = survey.to_json()["expected"][0]["wrong"]
    assert wrong == {"file": "people.csv", "why": "expected commas between columns, found none"}


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (DataError(["line 1 is wrong", "line 2 is wrong"], where="x"), "line 1 is wrong; line 2 is wrong"),
        (PermissionError(13, "Permission denied"), "cannot be read: Permission denied"),
    ],
)
def test_a_check_that_raises_is_a_wrong_file(full, error, words):
    def check(path):
        raise error

    survey = acquisition.survey(adapter(expected=(Expected("table", ("old_people.csv",), check=check),)), full)
    assert survey.findings[0].wrong[0][1] == words


def test_many_wrong_files_are_counted_in_text_and_listed_for_machines(tmp_path):
    for number in range(9):
        (tmp_path / f"{number}.csv").write_text("no comma but a wrong file")
    survey = acquisition.survey(adapter(expected=(Expected("t", ("*.csv",), check=lambda _: "bad"),)), tmp_path)
    assert "and 6 more" in survey.text()
    assert len(survey.to_json()["expected"][0]["wrong"]) == 9


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "raw").write_text("")
    with pytest.raises(UsageError, match="found a file at"):
        acquisition.survey(Gym(), tmp_path / "raw")


# --- fetching --------------------------------------------------------------------------------------------------------


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    with serving() as running:
        yield running


@pytest.fixture
def open_gym(server):
    """An adapter of a dataset that anyone may fetch."""
    return adapter(
        expected=(Expected("archive", ("gym.zip",)), Expected("table", ("meta/people.csv",))),
        downloads=(
            Download("gym.zip", server.url(), HASH, len(CONTENT)),
            Download("meta/people.csv", server.url("/moved"), HASH, len(CONTENT)),
        ),
    )  # fmt: skip


def obtain(gym, raw, **options):
    told = []
    return acquisition.obtain(acquisition.survey(gym, raw), gym, on_step=told.append, **options), told


def test_what_may_be_fetched_is_told_with_size_and_command(open_gym, tmp_path):
    text = acquisition.survey(open_gym, tmp_path / "my raw").text()
    assert f"'kinbench data gym '{tmp_path / 'my raw'}' --download' fetches 2 files, 6.1 MB:" in text
    assert "gym.zip (3.1 MB)" in text


def test_fetching_brings_what_is_missing_and_no_more(server, open_gym, tmp_path):
    (tmp_path / "gym.zip").write_bytes(CONTENT)
    survey, told = obtain(open_gym, tmp_path)
    assert survey.ok
    assert [path for path, _ in server.asked] == ["/moved", "/file"]
    assert told[0].startswith("fetching 1 file, 3.1 MB, into")
    assert survey.to_json()["fetched"] == [{"file": "meta/people.csv", "sha256": None}]
    assert all(download["there"] for download in survey.to_json()["downloads"])


def test_what_another_layout_gives_already_is_not_fetched(server, open_gym, tmp_path):
    first, second = open_gym.tree.downloads
    gym = adapter(
        expected=(
            Expected("archive as downloaded", ("**/*.zip",), required=False),
            Expected("sessions", ("**/*.zip", "**/*.json")),
            Expected("table", ("meta/people.csv",)),
        ),
        downloads=(replace(first, known_hash=None), second),
    )
    assert len(acquisition.survey(gym, tmp_path).wanted) == 2
    (tmp_path / "a.json").write_text("{}")
    survey, _ = obtain(gym, tmp_path)
    assert survey.ok, survey.failures
    assert [path for path, _ in server.asked] == ["/moved", "/file"]


def test_one_file_that_cannot_be_had_does_not_keep_the_others(server, open_gym, tmp_path):
    first, second = open_gym.tree.downloads
    gone = adapter(expected=open_gym.tree.expected, downloads=(replace(first, url=server.url("/gone")), second))
    survey, _ = obtain(gone, tmp_path)
    assert (tmp_path / "meta" / "people.csv").is_file()
    (failure,) = survey.failures
    assert "404" in failure
    assert not survey.ok


def test_a_fetched_file_that_was_changed_since_is_fetched_again(open_gym, tmp_path):
    obtain(open_gym, tmp_path)
    (tmp_path / "gym.zip").write_bytes(CONTENT[::-1])
    survey, _ = obtain(open_gym, tmp_path)
    assert survey.ok
    assert (tmp_path / "gym.zip").read_bytes() == CONTENT


def test_without_a_published_hash_the_sha256_it_had_is_told(open_gym, tmp_path):
    first, _ = open_gym.tree.downloads
    gym = adapter(expected=open_gym.tree.expected[:1], downloads=(replace(first, known_hash=None),))
    assert "--download --unpinned" in acquisition.survey(gym, tmp_path).text()
    survey, _ = obtain(gym, tmp_path)
    assert "--unpinned" in survey.failures[0]
    survey, told = obtain(gym, tmp_path, unpinned=True)
    assert survey.ok
    assert HASH.removeprefix("sha256:") in told[-1]
    assert obtain(gym, tmp_path)[0].ok, "what was recorded is a pin from then on"


def test_room_is_asked_for_all_files_together(server, open_gym, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(10**9, 10**9, 4_000_000))
    with pytest.raises(DataError, match=r"6\.1 MB"):
        obtain(open_gym, tmp_path)
    assert server.asked == []


def test_what_needs_an_agreement_is_never_fetched(tmp_path):
    with pytest.raises(UsageError, match=r"agreement.*\(1\) Open https://example.org/gym"):
        obtain(Gym(), tmp_path)


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def data(install, call):
    """Call 'kinbench data' in an empty folder, with an adapter 'gym' installed; returns (exit code, out, err)."""
    module = "from test_acquisition import Gym, adapter\n"
    install("gym-data", [("kinbench.adapters", "gym = gym_data:Gym")], {"gym_data": module})
    return lambda *arguments: call("data", *arguments)


def test_the_command_says_what_is_missing_and_fails(data):
    code, shown, told = data("gym")
    assert (code, told) == (1, "")
    assert "raw/gym:" in shown, "the default place"
    assert "missing  sessions" in shown


def test_the_command_is_content_with_a_full_folder(data, full):
    code, shown, told = data("gym", full)
    assert (code, told) == (0, "")
    assert "found    sessions, 2 files" in shown
    code, shown, _ = data("gym", full, "--json")
    assert (code, json.loads(shown)["ok"]) == (0, True)


def test_the_command_fetches(data, open_gym, monkeypatch, server):
    monkeypatch.setattr(Gym, "tree", open_gym.tree)
    code, shown, told = data("gym", "--download")
    assert code == 0
    assert "fetching 2 files, 6.1 MB" in told
    assert "\r" not in told, "a bar where no terminal is there to see it"
    assert "Next: kinbench convert gym raw/gym" in shown
    server.content = b"another"
    code, shown, told = data("gym", "elsewhere", "--download", "--quiet")
    assert code == 1
    assert told.count("failed  ") == 2
    assert "fetching" not in told


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("lab",), "'lab' expects no particular raw folder (your own files); 'kinbench info lab'"),
        (("gym", "--unpinned"), "--unpinned goes with --download"),
        (("gym", "--download"), "agreement"),
        (("gmy",), "Did you mean 'gym'?"),
        (("gym[size=3]",), "gym"),
    ],
)
def test_misuse_is_one_sentence(data, arguments, words):
    code, shown, told = data(*arguments)
    assert (code, shown) == (2, "")
    assert words in told
    assert told.count("\n") == 1


def test_a_notebook_has_the_same_door(data, full):
    survey = kinbench.data("gym", full)
    assert survey.ok
    assert "<table" in survey._repr_html_()
