"""The pages: whole, safe and the same every time; read here as a browser, a screen reader and an enemy would."""

import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
from walking_cases import walk

from kinbench import inspection, pages, store, verification
from kinbench.contracts import Guess, Proposal
from kinbench.errors import UsageError
from kinbench.inspection import Finding, Tip
from kinbench.pages.motions import pictures_of
from kinbench.recording import Key
from kinbench.verification import Report

EVIL = "<script>alert(1)</script>"
FORMULA = "=cmd|' /C calc'!A0"
MATHS = "$\\frac{a}{$"
VOID = {"meta", "link", "br", "hr", "img", "input", "use", "path"}


class Page(HTMLParser):
    """What of a page matters: its elements, their attributes, its headings and its text."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.headings, self.words, self.stack = [], [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.stack.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        if self.stack and self.stack[-1] in ("h1", "h2", "h3", "h4", "h5"):
            self.headings.append((int(self.stack[-1][1]), data.strip()))
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


def assert_sound(html):
    """A page that needs nothing from outside, runs nothing, and can be read without eyes."""
    page = Page(html)
    assert page.stack == []
    assert html.startswith("<!DOCTYPE html>")
    assert page.all("html")[0]["lang"] == "en"
    forbidden = {"script", "iframe", "object", "embed", "link", "base", "form", "audio", "video", "foreignobject"}
    assert not forbidden & {tag for tag, _ in page.elements}
    for tag, attrs in page.elements:
        assert not [name for name in attrs if name.startswith("on")], f"<{tag}> would run something"
        for name in ("src", "href", "xlink:href", "data", "action"):
            if attrs.get(name):
                assert attrs[name].startswith(("#", "data:image/png")), f"{tag} {name}={attrs[name]}"
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style and "@import" not in style
    assert html.count("<style") == 1, "a picture's style would reach the whole page"
    identities = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    anchors = [attrs["href"][1:] for attrs in page.all("a")]
    assert anchors and set(anchors) <= set(identities)
    levels = [level for level, _ in page.headings]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels)), levels
    roots = [attrs for attrs in page.all("svg") if attrs.get("role") == "img"]
    assert len(roots) == len(page.all("figure")) == len(page.all("svg"))
    assert all(len(attrs["aria-label"]) > 40 for attrs in roots)
    assert all(attrs.get("scope") in ("col", "row") for attrs in page.all("th"))
    return page


def kept(folder, *recordings, name="lab"):
    with store.create(folder / f"{name}.zarr", dataset=name, card={"name": name, "title": "A lab"}) as writer:
        for recording in recordings:
            writer.write(recording)
    return store.open(folder / f"{name}.zarr")


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """A store of two people, whose sensors have names that nobody should have chosen; one is in mg."""
    worn = {
        "names": {"pelvis": EVIL, "thigh_r": FORMULA, "shank_r": MATHS},
        "segments": ("pelvis", "thigh_r", "shank_r"),
    }
    sick = walk(1, subject="S2", length_s=14.0, **worn)
    sick.imu["acc"].values *= 1000 / 9.80665
    return kept(tmp_path_factory.mktemp("stores"), walk(0, length_s=14.0, noise=(0.02, 0.002), **worn), sick)


@pytest.fixture(scope="module")
def html(opened):
    """Its page, laid against itself."""
    both = inspection.compare(map(opened.read, opened), map(opened.read, opened), names=("lab", EVIL))
    return pages.report(verification.validate(opened.path), opened, both)


# --- a report --------------------------------------------------------------------------------------------------------


def test_a_report_is_a_sound_page(html):
    page = assert_sound(html)
    titles = [title for _, title in page.headings]
    for wanted in ("Checks, over all recordings", "A few seconds of every sensor", "Gravity at rest", "Spectra",
                   "Clocks of sensors and reference", "Joint angles", "Gait cycle of shank_r"):  # fmt: skip
        assert wanted in titles
    assert len(html.encode()) < 2_500_000


def test_what_is_in_the_data_is_shown_as_it_is_and_never_done(html):
    assert "<script" not in html.lower()
    text = Page(html).text
    for name in (EVIL, FORMULA, MATHS):
        assert name in text


def test_numbers_come_before_plots(html):
    assert html.index("<table") < html.index("<svg")
    assert html.index('id="checks"') < html.index('id="against"') < html.index('id="recordings"')


def test_verdicts_have_words_and_shapes_and_what_failed_comes_first(html):
    page = Page(html)
    assert {"✔ PASS", "✘ FAIL"} <= {f"{a} {b}" for a, b in pairwise(page.text.split())}
    checks = page.text[page.text.index("What it says") :]
    assert checks.index("FAIL") < checks.index("PASS")
    folded = page.text[page.text.index("All 2 are listed") :]
    assert folded.index("lab/S2/1/walk") < folded.index("lab/S1/1/walk")
    assert "mg" in checks, "the physics names the unit"


def test_the_same_store_gives_the_same_bytes_in_any_process(tmp_path):
    opened = kept(tmp_path, walk(length_s=9.0, segments=("thigh_r", "shank_r")))
    code = (
        "import sys\nfrom kinbench import pages, store, verification\nopened = store.open(sys.argv[1])\n"
        "sys.stdout.buffer.write(pages.report(verification.validate(opened.path), opened).encode())"
    )
    elsewhere = subprocess.run(
        [sys.executable, "-c", code, str(opened.path)], env={"PYTHONHASHSEED": "1"}, capture_output=True, check=True
    )
    assert elsewhere.stdout.decode() == pages.report(verification.validate(opened.path), opened)


def test_the_pictures_tell_in_words_what_they_show(html):
    labels = " ".join(attrs["aria-label"] for attrs in Page(html).all("svg") if "aria-label" in attrs)
    assert "from 0.4 to 4 Hz" in labels
    assert "at +0 ms" in labels, "the clocks of a simulation agree"
    assert "expected 9.81" in labels


def test_many_recordings_make_no_endless_page():
    findings = [
        (f"lab/S{person}/1/walk", Finding(check, verdict, "imu.acc[a]", "told " * 10, 1.0))
        for person in range(1500)
        for check, verdict in (("gravity", "PASS"), ("spikes", "NOT ASSESSED"), ("gaps", "FAIL"))
        for _ in range(5)
    ]
    by_key = {}
    for key, finding in findings:
        by_key.setdefault(key, []).append(finding)
    tips = tuple((key, Tip(1, "units", True, "imu.acc[a]", "acc reaches 90 m/s2")) for key in by_key)
    pooled = tuple(inspection.pool(by_key))
    report = Report("lab", 1500, tuple(["a file is damaged"] * 900), (), (), tuple(findings), pooled, tips)
    page = pages.report(report)
    assert len(page.encode()) < 2_000_000
    text = assert_sound(page).text
    assert "Findings of 200 of 1500 recordings are listed" in text
    assert "800 more are left out of this page" in text
    assert "gaps ✘ FAIL 0 7500 0" in text, "and all are counted"
    assert "1480 more are left out" in text


def test_only_some_recordings_are_plotted_and_the_page_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("kinbench.pages.reports.MOST_PLOTTED", 2)
    few = {"length_s": 5.0, "segments": ("foot_r",), "reference": False}
    opened = kept(tmp_path, *(walk(1, subject=person, **few) for person in ("S1", "S2", "S3")))
    page = assert_sound(pages.report(verification.validate(opened.path), opened))
    assert "the plots are those of 2 of them" in page.text
    assert [title for _, title in page.headings].count("Spectra") == 2


# --- plots of what is hardly there -----------------------------------------------------------------------------------


def _nothing(recording):
    recording.imu["acc"].values[:] = np.nan
    recording.imu["gyr"].values[:] = np.nan
    recording.reference["angle"].values[:] = np.nan
    return recording


def _short(recording):
    return replace(
        recording, imu=recording.imu.isel(time=slice(0, 3)), reference=recording.reference.isel(time=slice(0, 2))
    )


def _backwards(recording):
    time = recording.imu["time"].values.copy()
    time[500:] -= 1.0
    return replace(recording, imu=recording.imu.assign_coords(time=("time", time, {"units": "s"})))


@pytest.mark.parametrize(
    "spoil",
    [
        _nothing, _short, _backwards,
        lambda r: replace(r, imu=None),
        lambda r: replace(r, reference=None),
        lambda r: replace(r, imu=r.imu.drop_vars("gyr")),
        lambda r: replace(r, imu=r.imu.drop_vars("acc")),
        lambda r: replace(r, imu=r.imu.isel(sensor=slice(0, 0))),
        lambda r: replace(r, imu=r.imu.isel(time=slice(0, 0)), reference=r.reference.isel(time=slice(0, 0))),
    ],
    ids=["all missing", "short", "backwards", "no imu", "no reference", "no gyro", "no acc", "no sensors", "empty"],
)  # fmt: skip
def test_whatever_is_missing_the_rest_is_plotted(spoil):
    recording = spoil(walk(length_s=9.0, segments=("thigh_r", "shank_r")))
    for placed in (True, False):
        for picture in pictures_of(recording, "one", placed=placed):
            assert picture.svg.startswith("<svg role=")
            assert "nan" not in picture.alt


def test_the_sync_curve_shows_a_planted_lag():
    late = walk(length_s=14.0, segments=("thigh_r", "shank_r"))
    late = replace(late, reference=late.reference.assign_coords(time=late.reference["time"] + 0.08))
    (clocks,) = [one for one in pictures_of(late, "late") if one.title.startswith("Clocks")]
    assert "at -80 ms" in clocks.alt
    (found,) = [one for one in pictures_of(late, "late", placed=False) if one.title.startswith("Clocks")]
    assert "knee_flexion_r by thigh_r and shank_r" in found.alt
    assert "at -80 ms" in found.alt


# --- a proposal ------------------------------------------------------------------------------------------------------


def proposed(**changes):
    guesses = (
        Guess("dataset.name", EVIL, "guessed", 0.5, "the folder's name"),
        Guess("imu.acc.unit", "m s-2", "known", 1.0, "9.81 at rest"),
        Guess("sensors.T.segment", None, "open", 0.0, f"is {FORMULA} the right or the left thigh?"),
    )
    draft = walk(length_s=9.0, segments=("thigh_r", "shank_r"))
    return replace(Proposal(f"dataset: {EVIL}\n", guesses, (draft,)), **changes)


def test_a_proposal_asks_first_and_shows_all():
    html = pages.proposal(proposed(), raw=f"raw {EVIL}")
    page = assert_sound(html)
    assert "<script" not in html.lower()
    assert f"dataset: {EVIL}" in page.text
    assert page.text.index("is =cmd") < page.text.index("9.81 at rest")
    assert "1 field known, 1 guessed, 1 open" in page.text
    assert {"Questions", "Fields", "Manifest", "Spectra"} <= {title for _, title in page.headings}


def test_a_proposal_without_questions_or_drafts_is_a_page_too():
    page = assert_sound(pages.proposal(proposed(guesses=proposed().guesses[:2], drafts=())))
    assert "Questions" not in page.text
    assert not page.all("svg")


def test_more_drafts_than_are_plotted_are_counted(monkeypatch):
    monkeypatch.setattr("kinbench.pages.proposals.MOST_PLOTTED", 1)
    one = walk(length_s=5.0, segments=("foot_r",), reference=False)
    drafts = tuple(replace(one, key=Key("lab", f"S{n}", "1", "walk")) for n in range(3))
    assert "The first 1 of 3 recordings are plotted." in pages.proposal(proposed(drafts=drafts))


# --- without matplotlib ----------------------------------------------------------------------------------------------


def test_without_matplotlib_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match=r"pip install 'kinbench\[pages\]'"):
        pages.require()


def test_the_room_loads_no_matplotlib_until_it_draws():
    code = "import sys, kinbench.pages, kinbench.api; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
