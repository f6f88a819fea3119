"""Figures of studies: each says what it is of and of how many, the same bytes every time, and refuses in a sentence."""

import re
import sys

import numpy as np
import pandas as pd
import pytest
from result_cases import protocol, result
from study_cases import OFFSETS, campaign, cell, curve, own, stressed

import kinbench
from kinbench import results
from kinbench.cli import main
from kinbench.errors import UsageError
from kinbench.figures import FIGURES, draw
from kinbench.figures.canvas import DOUBLE_IN, LINES, SINGLE_IN
from kinbench.figures.drawing import figures_of
from kinbench.studies import Answer, study

BUDGETS = {0: 9.0, 5: 7.0, 10: 5.0, 30: 3.0}
SIZES = {1: 8.0, 2: 5.0, 4: 4.0, 8: 3.4, 16: 3.2, 32: 3.1}


def few_shot():
    scratch = curve("few-shot/scratch", "seconds", {5: 9.0, 10: 6.0, 30: 3.2})
    return study("few-shot", curve("few-shot", "seconds", BUDGETS) + scratch + own(3.5)).only


def degraded():
    return study("learning-curve", [
        cell("learning-curve/degraded-sync", f"lab/S{i}", error + offset,
             {"persons": size, "draw": 0, "kind": "sync", "level": level})
        for size in (2, 4) for level, error in {0.0: 5.0, 50.0: 6.0, 100.0: 8.0}.items()
        for i, offset in enumerate(OFFSETS)
    ]).only  # fmt: skip


def subsets():
    worth = {"pelvis": 1.0, "thigh_r": 3.0, "shank_r": 2.0}
    names = [("pelvis",), ("thigh_r",), ("shank_r",), ("pelvis", "thigh_r"), ("pelvis", "shank_r"),
             ("thigh_r", "shank_r"), ("pelvis", "thigh_r", "shank_r")]  # fmt: skip
    return study("sensor-subsets", [
        cell("sensor-subsets/ug", f"lab/S{i}", 10 + offset - sum(map(worth.get, some)),
             {"sensors": "+".join(some), "count": len(some)})
        for some in names for i, offset in enumerate(OFFSETS)
    ]).only  # fmt: skip


def placement():
    found = [
        *stressed("turn", "deg", {0.0: 4.0, 10.0: 6.0, 20.0: 10.0}), *stressed("rate", "Hz", {50.0: 5.0, 10.0: 12.0}),
        *stressed("turn", "deg", {10.0: 5.0, 20.0: 7.0}, sensor="shank"),
        *stressed("shift", "cm", {-5.0: 6.0, 5.0: 4.5}),
    ]  # fmt: skip
    return study("placement-stress", found).only


def turned():
    return study("placement-stress", [
        cell("placement-stress/rapp2021-table3", f"lab/S{i}", error + offset,
             {"trained": trained, "change": "turn_random", "amount": amount, "unit": "deg", "sensor": "all", "draw": 0})
        for (trained, amount), error in {("as worn", 0.0): 4.0, ("as worn", 13.5): 9.0, ("turned", 0.0): 5.0,
                                         ("turned", 13.5): 6.0}.items()
        for i, offset in enumerate(OFFSETS)
    ]).only  # fmt: skip


def transfer():
    return study("cross-dataset", [
        result(f"{to}/S{i}", 5.0 + offset + 2.0 * (source != to), dataset=to, train=(source,),
               card=protocol(name="cross-dataset", scope="datasets"))
        for source in "abc" for to in "abc" for i, offset in enumerate(OFFSETS)
    ]).only  # fmt: skip


def harmonisation():
    return study("harmonisation-off", [
        cell("harmonisation-off", f"lab/S{i}", error + offset + 0.1 * i, {"step": step})
        for step, error in {"none": 4.0, "clocks": 6.0}.items() for i, offset in enumerate(OFFSETS)
    ]).only  # fmt: skip


def finetuning():
    return study("finetuning", [
        cell("cross-dataset-adapted", f"lab/S{i}", error + offset, {"adapted": adapted}, train=("a",),
             scope="datasets", adapts=True)
        for adapted, error in {"no": 8.0, "yes": 5.0}.items() for i, offset in enumerate(OFFSETS)
    ]).only  # fmt: skip


def data_size():
    return study("data-size", [
        cell("data-size/persons", f"lab/S{i}", 2.0 + 1.0 / size + offset, {"fraction": size, "persons": int(10 * size)})
        for size in (0.1, 0.2, 0.4, 0.6, 0.8, 1.0) for i, offset in enumerate(OFFSETS)
    ]).only  # fmt: skip


def read(kind, **tables):
    """An answer of what is read from predictions, its tables made by hand."""
    return Answer(
        kind=kind, variant="ug", task="knee", dataset="lab", question="?", metric="rmse", unit="deg", sentences=("",),
        tables=tables, shown=(),
    )  # fmt: skip


def slices():
    people = [f"lab/S{i}" for i in range(6)]
    means = {"mean": 4.0, "sd": 1.0, "low": 3.0, "high": 5.0, "n": 6}
    return read(
        "slices",
        levels=pd.DataFrame(
            [{"model": "line", "slice": "side", "level": level, **means} for level in ("left", "right")]
        ),
        tests=pd.DataFrame([{"model": "line", "slice": "side", "significant": True}]),
        centring=pd.DataFrame([{"model": "line", "strides": count, **means} for count in (0, 1, 10)]),
        over_time=pd.DataFrame([{"model": "line", "elapsed_s": at, **means} for at in (5.0, 15.0)]),
        distances=pd.DataFrame(
            {"model": "line", "person": people, "distance": np.arange(6.0), "error": np.arange(6.0) + 1}
        ),
        persons=pd.DataFrame({"model": "line", "person": people, "error": np.arange(6.0) + 1}),
    )


def agreement():
    limits = {
        "model": "line", "dof": "knee_flexion", "measure": "range", "bias": 1.0, "bias_low": 0.5, "bias_high": 1.5,
        "lower": -3.0, "lower_low": -4.0, "lower_high": -2.0, "upper": 5.0, "upper_low": 4.0, "upper_high": 6.0,
        "icc": 0.9, "n": 6, "values": 60,
    }  # fmt: skip
    reference = np.linspace(40, 70, 60)
    points = pd.DataFrame({
        "model": "line", "dof": "knee_flexion", "measure": "range", "person": [f"S{i % 6}" for i in range(60)],
        "reference": reference, "predicted": reference + 1 + np.sin(np.arange(60)),
    })  # fmt: skip
    return read("agreement", limits=pd.DataFrame([limits]), points=points)


def cycles():
    phase = np.linspace(0, 100, 101)
    angle = 30 - 30 * np.cos(phase / 50 * np.pi)
    return read("cycles", cycles=pd.DataFrame({
        "model": "line", "dof": "knee_flexion", "cycle_percent": phase, "predicted": angle + 2, "predicted_sd": 3.0,
        "reference": angle, "reference_sd": 2.0, "n": 6,
    }))  # fmt: skip


ANSWERS = {
    "few-shot": few_shot,
    "learning-curve": lambda: study("learning-curve", curve("learning-curve", "persons", SIZES)).only,
    "degraded": degraded, "conditions": harmonisation, "data-size": data_size,
    "sensor-subsets": subsets, "placement-stress": placement, "turned fits": turned,
    "transfer": transfer, "compare": lambda: study("compare", campaign()).choose(" ug ").only,
    "methods by models": lambda: study("compare", campaign()).choose("methods").only, "slices": slices,
    "agreement": agreement, "cycles": cycles, "finetuning": finetuning,
}  # fmt: skip
EVERY = [(kind, name) for kind, figures in FIGURES.items() for name in figures]


def test_there_is_an_answer_here_for_every_figure():
    assert set(ANSWERS) == set(FIGURES)
    assert all(figures_of(make()) is FIGURES[kind] for kind, make in ANSWERS.items())


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_every_figure_says_what_it_is_of_how_many_and_in_which_unit_in_the_same_bytes(kind, name, tmp_path):
    answer = ANSWERS[kind]()
    one, two = (draw(answer, tmp_path / file, figure=name).read_bytes() for file in ("one.svg", "two.svg"))
    assert one == two
    svg = one.decode("utf-8")
    texts = " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", svg))
    assert answer.task in texts and answer.kind in texts  # the title
    assert re.search(r"n ?= ?\d", texts), texts
    assert name == "diagram" or re.search(r"\((deg|s|%|cm|Hz)\)", texts), texts
    assert "SIMULATION" not in texts and "VIRTUAL" not in texts and "nan" not in texts.lower()
    assert "<dc:date>" not in svg
    width_in = float(re.search(r'<svg[^>]* width="([\d.]+)pt"', svg)[1]) / 72
    assert width_in in (pytest.approx(SINGLE_IN, abs=0.02), pytest.approx(DOUBLE_IN, abs=0.02))


@pytest.mark.parametrize("kind", ["few-shot", "compare", "sensor-subsets"])
def test_simulation_and_virtual_sensors_are_written_into_the_figure(kind, tmp_path):
    answer = ANSWERS[kind]()
    marked = Answer(**{**answer.__dict__, "simulation": True, "virtual": ("lab",)})
    svg = draw(marked, tmp_path / "figure.svg").read_text(encoding="utf-8")
    assert "SIMULATION: simulated people" in svg and "VIRTUAL SENSORS: lab" in svg


def test_pdf_and_png_are_written_the_same_every_time(tmp_path):
    answer = few_shot()
    for ending, magic in (("pdf", b"%PDF"), ("png", b"\x89PNG")):
        one, two = (draw(answer, tmp_path / f"{n}.{ending}").read_bytes() for n in (1, 2))
        assert one == two and one.startswith(magic)


@pytest.mark.parametrize(
    ("answer", "name", "why"),
    [
        (read("slices", over_time=pd.DataFrame()), "drift", "No recording is long enough"),
        (read("slices", centring=pd.DataFrame()), "centring", "Nobody has strides enough"),
        (read("slices", distances=pd.DataFrame()), "distance", "fitted on nobody"),
        (read("slices", levels=pd.DataFrame(), tests=pd.DataFrame()), "levels", "No slice has two levels"),
        (read("cycles", cycles=pd.DataFrame()), None, "No stride is told"),
        (read("agreement", limits=pd.DataFrame(), points=pd.DataFrame()), None, "no values"),
    ],
)  # fmt: skip
def test_a_figure_of_nothing_says_why_there_is_nothing_to_see(answer, name, why, tmp_path):
    svg = draw(answer, tmp_path / "figure.svg", figure=name).read_text(encoding="utf-8")
    assert why in " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", svg))


def test_a_row_trained_on_all_datasets_but_one_is_labelled_by_that_one(tmp_path):
    labs = [f"laboratory_{letter}" for letter in "abcde"]
    answer = study("leave-one-dataset-out", [
        cell("leave-one-dataset-out", f"{to}/S{i}", 5.0 + offset, {"datasets": 4}, dataset=to,
             train=tuple(lab for lab in labs if lab != to), scope="datasets")
        for to in labs for i, offset in enumerate(OFFSETS)
    ]).only  # fmt: skip
    svg = draw(answer, tmp_path / "one.svg").read_text("utf-8")
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    assert {f"all but {lab}" for lab in labs} <= set(texts)
    assert "line, datasets 4" in texts and not any("+" in text for text in texts)


def test_models_that_differ_are_joined_by_a_bracket_with_its_stars(tmp_path):
    answer = ANSWERS["compare"]()
    svg = draw(answer, tmp_path / "bars.svg", figure="bars").read_text(encoding="utf-8")
    marks = re.findall(r"<text[^>]*>(\*+)</text>", svg)
    assert len(marks) == int(answer.tables["pairs"]["significant"].sum()) == 2


def test_lines_are_told_apart_without_colour():
    assert len({marker for _, marker, _ in LINES}) == len({str(dash) for _, _, dash in LINES}) == len(LINES)


def test_a_figure_that_there_is_none_of_and_a_file_that_is_none_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"has no figure 'bar'.*Did you mean 'bars'.*It has diagram, bars, boxes"):
        draw(ANSWERS["compare"](), tmp_path / "figure.svg", figure="bar")
    for name in ("figure.jpg", "figure", "."):
        with pytest.raises(UsageError, match=r"ends in \.svg, \.pdf or \.png"):
            draw(few_shot(), tmp_path / name)


def test_without_matplotlib_one_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match=r"A figure needs matplotlib; run: pip install 'kinbench\[pages\]'"):
        draw(few_shot(), tmp_path / "figure.svg")


# --- doors -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    for one in curve("few-shot", "seconds", BUDGETS) + campaign():
        results.write(tmp_path / "results", one)
    return tmp_path / "results"


def test_the_api_draws_one_answer_and_refuses_several(folder, tmp_path):
    path = kinbench.plot("few-shot", tmp_path / "few.svg", results=folder)
    assert path.read_text(encoding="utf-8").startswith("<?xml")
    with pytest.raises(UsageError, match=r"'compare' has 3 answers, and one is needed"):
        kinbench.plot("compare", tmp_path / "all.svg", results=folder)
    assert kinbench.plot("compare", tmp_path / "ug.svg", figure="boxes", protocols="ug", results=folder).is_file()


def test_the_command_writes_a_figure_and_says_where(folder, tmp_path, monkeypatch, capsys):
    to = tmp_path / "bars.png"
    monkeypatch.setattr("sys.argv", ["kinbench", "plot", "compare", "-p", "ug", "--figure", "bars", "--to", str(to),
                                     "--results", str(folder)])  # fmt: skip
    with pytest.raises(SystemExit, match="0"):
        main()
    assert capsys.readouterr().out == f"wrote {to}\n" and to.read_bytes().startswith(b"\x89PNG")
