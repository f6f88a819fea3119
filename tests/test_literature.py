"""What papers reported, beside results made by hand whose means are known."""

import json

import pytest
from result_cases import protocol, result

from kinbench import plugins
from kinbench.literature import compare, typeset, verdicts
from kinbench.publications import Claim, Column, Contrast, Measure, Paper, PublishedTable, Row
from kinbench.results import WeightsPart

KNEE = Measure(task="knee", protocol="ug")
LINE, CURVE = Measure(model="line").joined(KNEE), Measure(model="curve").joined(KNEE)
TABLE = PublishedTable(
    number="Table 9", title="Knees", unit="deg", spread="SD over legs", differs="Other people.",
    columns=(Column("flexion", Measure(dofs=("knee_flexion",))), Column("all")),
    rows=(Row("straight", ((3.0, 0.5), 4.0), LINE), Row("bent", (None, 2.0), CURVE), Row("lost", (1.0, 1.0), None)),
)  # fmt: skip


def people(model, *errors, **more):
    return [result(f"lab/S{i}", error, model=model, **more) for i, error in enumerate(errors)]


def test_a_row_has_the_papers_line_and_one_of_each_dataset_that_was_measured():
    found = typeset("Somebody 2020", TABLE, [*people("line", 4.0, 5.0, 6.0), *people("line", 9.0, dataset="other")])
    straight = found.lines[:3]
    assert [line.kind for line in straight] == ["reported", "measured here", "measured here"]
    assert straight[0].values == ((3.0, 0.5), (4.0, None))
    assert straight[1].source == "lab: line" and straight[1].persons == 3
    assert straight[1].values[0] == (5.0, 1.0)
    assert straight[2].values[0] == (9.0, None), "one person has no spread"


def test_what_is_not_measured_is_told_with_its_command_and_what_cannot_be_is_not():
    found = typeset("Somebody 2020", TABLE, people("line", 4.0))
    assert found.missing == ("kinbench run --protocol ug --task knee --model 'curve'",)


@pytest.mark.parametrize(
    "other",
    [
        {"status": "failed"}, {"limit": 3}, {"card": protocol(name="ui")},
    ],
)  # fmt: skip
def test_failed_limited_and_other_protocols_results_stand_for_nothing(other):
    lines = typeset("Somebody 2020", TABLE, people("line", 4.0, **other)).lines
    assert [line.kind for line in lines] == ["reported"] * 3


def begun(one, stage, selector="line[wide=true]@shipped", settings=(("wide", True),), unknown=None, sha256="0" * 64):
    """A result as of a model that began from weights."""
    weights = WeightsPart(name="shipped", sha256=sha256, stage=stage, unknown=unknown)
    told = {"settings": dict(settings), "selector": selector, "weights": weights}
    return one.model_copy(update={"model": one.model.model_copy(update=told)})


def test_settings_conditions_and_weights_choose_among_results():
    plain, set_ = people("line", 4.0)[0], begun(people("line", 8.0)[0], "pre-trained")
    tuned = begun(people("line", 9.0)[0], "fitted", selector="line@tuned", settings={})

    def means(measure):
        table = PublishedTable("1", "t", "deg", "", (Column("x"),), (Row("r", (1.0,), measure.joined(LINE)),), "")
        return [line.values[0][0] for line in typeset("p", table, [plain, set_, tuned]).lines[1:]]

    assert means(Measure(settings={"wide": True})) == [8.0]
    assert means(Measure(settings={"wide": None})) == [4.0, 9.0]
    assert means(Measure(pretrained=True)) == [8.0], "not what began from weights that had learnt with answers"
    assert means(Measure(pretrained=False)) == [4.0]
    assert means(Measure(condition={"persons": 2})) == []


def test_different_weights_of_one_name_are_never_averaged():
    results = [begun(one, "pre-trained", sha256=sha256 * 64)
               for sha256, error in (("1", 4.0), ("2", 8.0)) for one in people("line", error)]  # fmt: skip
    table = PublishedTable("1", "t", "deg", "", (Column("x"),), (Row("r", (1.0,), LINE),), "")
    lines = typeset("p", table, results).lines[1:]
    assert [line.values[0][0] for line in lines] == [4.0, 8.0]
    assert ["weights 11111111" in lines[0].source, "weights 22222222" in lines[1].source] == [True, True]


@pytest.mark.parametrize(
    ("line", "curve", "within", "outcome"),
    [
        ((3.0, 4.0, 5.0, 4.0), (6.0, 7.1, 8.0, 6.9), None, "held"),
        ((6.0, 7.1, 8.0, 6.9), (3.0, 4.0, 5.0, 4.0), None, "the other way"),
        ((3.0, 4.0, 5.0, 4.0), (3.1, 3.9, 5.1, 3.9), None, "not told apart"),
        ((3.1, 4.2, 5.1, 4.2), (3.0, 4.0, 5.0, 4.0), 1.0, "held"),
        ((6.0, 7.1, 8.0, 6.9), (3.0, 4.0, 5.0, 4.0), 1.0, "the other way"),
        ((3.0, 4.0), (6.0, 7.0), None, "too few persons"),
    ],
)  # fmt: skip
def test_a_verdict_is_that_of_the_interval_over_persons(line, curve, within, outcome):
    claim = Claim("Lines are better", "Fig. 1", (Contrast("knee", LINE, CURVE, within),))
    (found,) = verdicts("p", claim, [*people("line", *line), *people("curve", *curve)])
    assert found.outcome == outcome and found.persons == len(line)


def test_a_higher_correlation_is_better():
    r = Measure(metric="r")
    claim = Claim("Lines are better", "Fig. 1", (Contrast("knee", r.joined(LINE), r.joined(CURVE)),))
    results = [
        result(f"lab/S{i}", 1.0, model=model, r=level + i / 100)
        for model, level in (("line", 0.9), ("curve", 0.5)) for i in range(4)
    ]  # fmt: skip
    assert [found.outcome for found in verdicts("p", claim, results)] == ["held"]


def test_weights_that_may_have_seen_the_tested_bear_out_no_claim():
    claim = Claim("Lines are better", "Fig. 1", (Contrast("knee", LINE, CURVE),))
    lines = [begun(one, None, unknown="shipped") for one in people("line", 3.0, 4.0, 5.0)]
    (found,) = verdicts("p", claim, [*lines, *people("curve", 6.0, 7.1, 8.0)])
    assert found.outcome == "no results"


def test_people_whom_only_one_side_has_play_no_part():
    claim = Claim("Lines are better", "Fig. 1", (Contrast("knee", LINE, CURVE),))
    results = [*people("line", 3.0, 4.0, 5.0, 90.0), *people("curve", 6.0, 7.1, 8.0)]
    (found,) = verdicts("p", claim, results)
    assert found.outcome == "held" and found.persons == 3


def test_a_claim_without_results_names_the_commands_and_an_untestable_one_its_reason():
    (none,) = verdicts("p", Claim("A", "B", (Contrast("knee", LINE, CURVE),)), [])
    assert none.outcome == "no results" and "--model 'curve'" in none.reason
    (never,) = verdicts("p", Claim("A", "B", untestable="nobody has such data"), [])
    assert never.outcome == "not testable here" and never.reason == "nobody has such data"


def test_a_claim_needs_contrasts_or_a_reason_and_a_row_a_value_for_each_column():
    with pytest.raises(ValueError, match="contrasts"):
        Claim("A", "B")
    with pytest.raises(ValueError, match="in: short"):
        PublishedTable("1", "t", "deg", "", (Column("x"), Column("y")), (Row("short", (1.0,)),), "")


def test_the_whole_is_text_markdown_json_and_files(tmp_path):
    paper = Paper("Somebody 2020", "Somebody: A journal", (TABLE,), (Claim("A", "B", untestable="no data"),))
    found = compare([paper], people("line", 4.0, 5.0, 6.0, simulation=True))
    for text in (found.text(), found.markdown()):
        assert "reported" in text and "measured here" in text and "SIMULATION" in text and "no data" in text
    paths = found.write(tmp_path / "papers")
    assert json.loads(paths[1].read_text())["tables"][0]["lines"][1]["values"]["flexion"] == {"mean": 5.0, "sd": 1.0}


def test_our_papers_name_tasks_protocols_and_models_that_there_are():
    known = {kind: set(plugins.find(kind)) for kind in ("tasks", "protocols", "models")}
    for plugin in plugins.find("papers").values():
        for measure in _measures(plugin.load()):
            assert measure.task_name in known["tasks"], measure
            assert measure.protocol in known["protocols"], measure
            assert measure.model in known["models"], measure
            settings = plugins.settings_of(plugins.get("models", measure.model).load())
            assert settings is None or set(measure.settings) <= set(settings), measure


def _measures(paper):
    for table in paper.tables:
        for row in table.rows:
            if row.measure is not None:
                yield from (row.measure.joined(column.measure) for column in table.columns)
    for claim in paper.claims:
        for contrast in claim.contrasts:
            yield contrast.better
            yield contrast.worse
