"""The manifest's grammar: the examples in its manual are read, and a mistake is told with line, key and likely word."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from kinbench_adapters._lab.grammar.directions import DIRECTIONS, matrix_from_axes
from kinbench_adapters._lab.manifest import EXAMPLE, read_manifest
from kinbench_adapters.lab import LabAdapter

from kinbench.errors import UsageError

MANUAL = Path(__file__).parent.parent / "adapters" / "README.md"
EXAMPLES = re.findall(r"```yaml\n(.*?)```", MANUAL.read_text(encoding="utf-8"), re.DOTALL)
SHORTEST = EXAMPLES[0]


def read(folder, text):
    path = folder / "kinbench.yaml"
    path.write_text(text, encoding="utf-8")
    return read_manifest(path)[0]


def refusal(folder, text):
    with pytest.raises(UsageError) as caught:
        read(folder, text)
    assert caught.value.exit_code == 2
    return str(caught.value).replace(str(folder) + "/", "").splitlines()


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_example_of_the_manual_is_a_manifest(tmp_path, text):
    assert read(tmp_path, text).dataset.id


def test_the_example_that_ships_is_the_manuals_first():
    assert EXAMPLE == SHORTEST


@pytest.mark.parametrize(
    ("acc", "told"),
    [
        ("{thigh: [ax, ay, az], shnak: [bx, by, bz]}", "acc.columns.shnak: there is no sensor 'shnak'. Did you mean"),
        ("{thigh: [ax, ay, az]}", "acc.columns: expected columns for every sensor, found none for shank"),
        ("{thigh: [ax, ay, az], shank: [bx, by]}", "acc.columns.shank: expected 3 columns"),
        ("{thigh: [ax, ay, az], shank: {x: bx}}", "8: imu.acc.columns.shank: expected a list in [ ], got a mapping"),
        ("{}", "found none for thigh, shank"),
    ],
)  # fmt: skip
def test_columns_by_sensor_name_every_sensor_and_no_other(tmp_path, acc, told):
    text = SHORTEST.replace("acc: {columns: [ax, ay, az]", f"acc: {{columns: {acc}")
    assert any(told in line for line in refusal(tmp_path, text)), refusal(tmp_path, text)


def test_in_one_file_no_two_sensors_have_the_same_columns(tmp_path):
    wide = next(text for text in EXAMPLES if "array_lab" in text)
    signal = read(tmp_path, wide).imu.signals["gyr"]
    assert (signal.columns_of("T"), signal.columns_of("S")) == (("3", "4", "5"), ("9", "10", "11"))
    (line,) = refusal(tmp_path, wide.replace("S: [6, 7, 8]", "S: [0, 1, 2]"))
    assert "acc.columns.S: expected columns of its own, found those of 'T' (0, 1, 2)" in line
    apart = wide.replace("{trial}.npy", "{trial}_{sensor}.npy").replace("S: [6, 7, 8]", "S: [0, 1, 2]")
    assert read(tmp_path, apart).imu.signals["acc"].columns_of("S") == ("0", "1", "2")


def test_names_stay_as_they_are_written(tmp_path):
    text = SHORTEST.replace("thigh:", "0012:").replace("shank:", "1e5:").replace('"1"', "1.10")
    manifest = read(tmp_path, text)
    assert list(manifest.imu.sensors) == ["0012", "1e5"]
    assert manifest.dataset.version == "1.10"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("  sensors:", "  sesnors:", "kinbench.yaml:10: imu.sesnors: unknown key. Did you mean 'sensors'?"),
        ("reference:", "referense:", "kinbench.yaml:14: referense: unknown key. Did you mean 'reference'?"),
        ("segment: thigh_r", "segmet: thigh_r", "11: imu.sensors.thigh.segmet: unknown key. Did you mean 'segment'?"),
        ("segment: thigh_r", "segment: tigh_r", "11: imu.sensors.thigh.segment: unknown segment 'tigh_r'. Did you"),
        ("proximal", "up", "11: imu.sensors.thigh.axes: axis x: unknown direction 'up'."),
        ("z: right", "y: proximal", "is no right-handed set of perpendicular axes; two of them lie along one line"),
        ("z: right", "y: anterior, z: right", "is no right-handed set of perpendicular axes; one of them points the"),
        ("unit: g,", "unit: G,", "8: imu.acc.unit: expected one of 5 words, got 'G'."),
        ("rate_hz: 60", "rate_hz: fast", "7: imu.rate_hz: expected a number, got 'fast'"),
        ("rate_hz: 60", "rate_hz: 0", "7: imu.rate_hz: expected a number above 0, got '0'"),
        ("rate_hz: 60", "", "5: imu: the files hold no clock that is known by itself; give 'rate_hz' or 'time'"),
        ("licence: none stated, ", "", "2: dataset.licence: is missing (an SPDX name"),
        ("redistributable: false", "redistributable: maybe", "expected true or false, got 'maybe'"),
        ("knee_flexion_r", "knee_flexon_r", "unknown DoF 'knee_flexon_r'. Did you mean 'knee_flexion_r'?"),
        ("tier: optical_marker_ik", "tier: optical", "reference.tier: expected one of 7 words, got 'optical'."),
        ("method: estimated", "method: declared", "sync: method 'declared' needs 'offset_s'"),
        ("method: estimated", "method: estimated, offset_s: 1", "sync: 'offset_s' goes with method 'declared', not"),
        ("sync: {method: estimated}", "", "'sync' is missing"),
        ("activity: walking", "activity: waltz", "3: activity: unknown activity 'waltz'; write 'other:waltz'"),
        ("activity: walking", "activity: Auto", "or 'auto', to have mixed tasks told apart by the sensors"),
        ("{trial}_{sensor}", "{trail}_{sensor}", "unknown field {trail}. Did you mean 'trial'?"),
        ("{subject}/{trial}_{sensor}", "{subject}/{trial}", "to tell the sensors apart"),
        ("{subject}/{trial}_{sensor}", "../{subject}/{trial}_{sensor}", "expected a path below root"),
        ("[ax, ay, az]", "[ax, ay]", "acc.columns: expected 3 columns"),
        ("  unit: deg\n", "", "'angles' need 'unit'"),
        ("  rate_hz: 60\n  acc", "  rate_hz: 60\n  reader: excel\n  acc", "8: imu.reader: expected one of"),
        ("  rate_hz: 60\n  acc", "  rate_hz: 60\n  reader: {name: npy, delimiter: tab}\n  acc", "takes no 'delimiter'"),
        ("  rate_hz: 60\n  acc", "  reader: mt_manager\n  acc", "leave out acc, gyr"),
        ("  rate_hz: 60\n  acc", "  counter: n\n  acc", "'counter' numbers the samples, so it needs 'rate_hz'"),
        ("kinbench: 1", "kinbench: 2", "1: kinbench: expected '1', got '2'"),
        ("kinbench: 1", "kinbench: 1\nroot: ${KINBENCH_TEST_UNSET}/x", "variable KINBENCH_TEST_UNSET is not set"),
        ("kinbench: 1", "kinbench: 1\nroot: nowhere", "2: root: there is no folder"),
        ("sync:", "imu: {}\nsync:", "imu: given twice (first on line 5)"),
        ('"{subject}/{trial}_angles.csv"', "{subject}/{trial}_angles.csv", "in quotes"),
        ("dataset: {", "dataset: *x\nother: {", "refers to another place"),
        ("  rate_hz: 60\n  acc", "  rate_hz: 60\n  reader:\n  acc", "8: imu.reader: is empty; write a value, or take"),
        ("  rate_hz: 60\n  acc", "  rate_hz: 60\n  time:\n  acc", "8: imu.time: is empty; write a value, or take"),
        ("  rate_hz: 60\n  acc", "\trate_hz: 60\n  acc", "7: is no YAML: found character '\\t' that cannot start any "
         "token; indent with spaces"),
        ("kinbench: 1", "kinbench: 1\npeople: {P01: {height_m: 178}}", "2: people.P01.height_m: expected a number "
         "between 0.3 and 2.6, got 178; mind its unit"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line_and_the_likely_word(tmp_path, old, new, told):
    assert old in SHORTEST
    lines = refusal(tmp_path, SHORTEST.replace(old, new, 1))
    assert any(told in line for line in lines), lines
    assert all(re.match(r"kinbench\.yaml:\d+: ", line) for line in lines), lines


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("axes: {x: proximal, z: right}", "calibrate: aut", "expected 'auto', or keys still_s, moving_s"),
        ("axes: {x: proximal, z: right}", "calibrate: aut", "got 'aut'. Did you mean 'auto'?"),
        ("axes: {x: proximal, z: right}", "axes: {x: proximal, z: right}, calibrate: auto", "give one of axes, matrix"),
        ("axes: {x: proximal, z: right}", "calibrate: {stil_s: [0, 1]}", "calibrate.stil_s: unknown key. Did you mean"),
        ("method: estimated", "method: estimated, by: rates", "sync.by: expected one of 3 words, got 'rates'. Did you"),
        ("activity: walking", "person_columns: {sex: S}", "expected 'age_y', 'height_m'"),
        ("activity: walking", "person_tabel: {}", "person_tabel: unknown key. Did you mean 'person_table'?"),
        ("activity: walking", "person_table: {files: p.docx, id: ID, columns: {age_y: Age}}", "expected a table"),
        ("activity: walking", "person_table: {files: p.csv, columns: {age_y: Age}}", "person_table.id: is missing"),
        ("activity: walking", "person_table: {files: p.csv, id: ID, columns: {agey: Age}}", "expected 'sex', 'age_y'"),
        ("activity: walking", "person_table: {files: p.csv, id: ID, subject: S, columns: {age_y: A}}", "write {id}"),
        ("activity: walking", "person_table: {files: '*.csv', id: ID, columns: {age_y: A}}", "the path of one file"),
        (
            "activity: walking",
            "person_table: {files: p.csv, id: ID, columns: {mass_kg: {column: M, unit: cm}}}",
            "columns.mass_kg: 'unit' is that of a length",
        ),
        (
            "activity: walking",
            "person_table: {files: p.csv, id: ID, columns: {sex: {column: S, words: {F: woman}}}}",
            "columns.sex: expected one of female, male, other, unknown, got 'woman'",
        ),
        ("  rate_hz: 60\n  acc", "  rate_hz: 60\n  reader: {name: npy, each: x}\n  acc", "takes no 'each'"),
        ("  rate_hz: 60\n  acc", "  rate_hz: 60\n  reader: {name: hdf5, each: '{trail}'}\n  acc", "unknown field"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_newer_keys_is_told_with_its_line_too(tmp_path, old, new, told):
    assert old in SHORTEST
    lines = refusal(tmp_path, SHORTEST.replace(old, new, 1))
    assert any(told in line for line in lines), lines
    assert all(re.match(r"kinbench\.yaml:\d+: ", line) for line in lines), lines


@pytest.mark.parametrize(("calibrate", "count"), [("{stil_s: [0, 1], axis: x, toward: right}", 1), ("[1]", 1)])
def test_what_is_meant_for_spans_is_not_told_to_be_auto(tmp_path, calibrate, count):
    lines = refusal(tmp_path, SHORTEST.replace("axes: {x: proximal, z: right}", f"calibrate: {calibrate}", 1))
    assert len(lines) == count
    assert "'auto'" not in lines[0]


def test_a_manifest_without_sensors_and_truth_is_told_so(tmp_path):
    head = SHORTEST[: SHORTEST.index("imu:")]
    assert "'imu' is missing (the sensors), or a 'reference'" in refusal(tmp_path, head)[0]
    beside = head + "reference: {tier: encoder, convention: encoder_pin, unit: deg, angles: {knee_flexion_r: k}}\n"
    assert "there is no imu in whose files it could stand" in refusal(tmp_path, beside)[0]


def test_auto_and_by_are_read(tmp_path):
    text = SHORTEST.replace("axes: {x: proximal, z: right}", "calibrate: auto", 1)
    manifest = read(tmp_path, text.replace("method: estimated", "method: estimated, by: hops"))
    assert manifest.imu.sensors["thigh"].calibrate == "auto"
    assert manifest.sync.by == "hops"


@pytest.mark.parametrize(
    ("extra", "place"),
    [
        ("activity: auto", "activity: 'auto'"),
        ("recordings: {'*': {activity: auto}}", "recordings '*'.activity: 'auto'"),
    ],
)
def test_activities_are_told_apart_by_sensors_that_turn(tmp_path, extra, place):
    asked = SHORTEST.replace("activity: walking", extra)
    assert "auto" in (read(tmp_path, asked).activity, *(o.activity for o in read(tmp_path, asked).recordings.values()))
    lines = refusal(tmp_path, re.sub(r"  gyr: .*\n", "", asked))
    assert any(f"{place} tells tasks apart by 'gyr' or 'quat', and 'imu' has neither" in line for line in lines), lines
    blind = re.sub(r"imu:\n(  .*\n)+", "", asked).replace("sync: {method: estimated}", "")
    assert any(f"{place} tells tasks" in line and "there are no sensors" in line for line in refusal(tmp_path, blind))


# --- for editors -----------------------------------------------------------------------------------------------------

MANIFESTS = sorted((Path(__file__).parent / "manifests").glob("*/kinbench.yaml"))
EDITOR = Draft202012Validator(LabAdapter.schema())


def marked(text):
    """What an editor would mark, as the path of each place."""
    return [".".join(map(str, error.absolute_path)) for error in EDITOR.iter_errors(yaml.safe_load(text))]


def test_the_editors_schema_is_one():
    Draft202012Validator.check_schema(LabAdapter.schema())


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.parent.name)
def test_an_editor_marks_nothing_in_a_real_manifest(path, tmp_path):
    text = path.read_text(encoding="utf-8")
    assert marked(text) == []
    assert read(tmp_path, re.sub(r"^root:.*\n", "", text, flags=re.MULTILINE)).dataset.id == path.parent.name


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_editor_marks_nothing_in_the_manual(text):
    assert marked(text) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  sensors:", "  sesnors:"),
        ("reference:", "referense:"),
        ("segment: thigh_r", "segment: tigh_r"),
        ("proximal", "up"),
        ("unit: g,", "unit: G,"),
        ("rate_hz: 60", "rate_hz: fast"),
        ("licence: none stated, ", ""),
        ("knee_flexion_r", "knee_flexon_r"),
        ("method: estimated", "method: estimatd"),
        ("axes: {x: proximal, z: right}", "calibrate: aut"),
        ("id: my_lab", "id: my lab"),
        ("kinbench: 1", "kinbench: 2"),
        ("activity: walking", "activity: waltz"),
    ],
)  # fmt: skip
def test_what_is_misspelt_both_the_editor_and_the_adapter_refuse(tmp_path, old, new):
    assert old in SHORTEST
    text = SHORTEST.replace(old, new, 1)
    assert marked(text)
    assert refusal(tmp_path, text)


def test_every_key_of_the_grammar_can_be_completed():
    """No part of the schema takes any key: what is not listed is marked."""
    schema = LabAdapter.schema()
    models = [model for model in schema["$defs"].values() if "properties" in model]
    assert len(models) > 20
    assert all(model["additionalProperties"] is False for model in [schema, *models])


def test_an_empty_key_is_told_once_and_beside_the_other_mistakes(tmp_path):
    text = SHORTEST.replace("licence: none stated", "licence: ").replace("rate_hz: 60", "rate_hz:", 1)
    lines = refusal(tmp_path, text.replace("unit: g,", "unit: G,"))
    assert [line.split(": ")[1] for line in lines] == ["dataset.licence", "imu.rate_hz", "imu.acc.unit"]
    assert "expected text, got nothing" in lines[0]


def test_an_imu_without_any_signal_is_refused(tmp_path):
    text = re.sub(r"  (acc|gyr): .*\n", "", SHORTEST)
    lines = refusal(tmp_path, text)
    assert any("imu: expected at least one of 'acc', 'gyr', 'mag' and 'quat'" in line for line in lines)


def test_all_mistakes_are_told_at_once_in_order(tmp_path):
    text = SHORTEST.replace("unit: g,", "unit: G,").replace("sensors:", "sesnors:").replace("unit: deg\n", "unit: dg\n")
    lines = refusal(tmp_path, text)
    assert [line.split(":")[2].strip() for line in lines] == ["imu.acc.unit", "imu.sesnors", "reference.unit"]


@pytest.mark.parametrize("text", ["", "- a\n", "just words", "a: [1\n", "? [1, 2]\n: 3\n"])
def test_what_is_no_mapping_is_refused(tmp_path, text):
    assert refusal(tmp_path, text)[0].startswith("kinbench.yaml:")


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "kinbench.yaml"
    path.write_bytes("kinbench: 1\ntitle: é".encode("latin-1"))
    with pytest.raises(UsageError, match=":2: is not UTF-8"):
        read_manifest(path)


@pytest.mark.parametrize(
    "extra",
    [
        "recordings: {'P/*': {sensors: {tigh: {quality: bad}}}}",
        "recordings: {'P/*': {masks: [{span_s: [1, 5], dofs: [knee_flexion_l], reason: x}]}}",
        "recordings: {'P/*': {snyc: {method: hardware}}}",
        "recordings: {'P/*': {masks: [{span_s: [5, 1], reason: x}]}}",
        "recordings: {'P/*': {sensors: {thigh: {calibrate: {still_s: [0, 1], axis: w, toward: right}}}}}",
    ],
)
def test_mistakes_about_some_recordings_are_told(tmp_path, extra):
    assert "recordings" in refusal(tmp_path, SHORTEST + extra)[0]


def test_a_rotation_is_given_in_one_way(tmp_path):
    sensor = "thigh: {segment: thigh_r, axes: {x: proximal, z: right}"
    both = SHORTEST.replace(sensor, sensor + ", matrix: [[1, 0, 0], [0, 1, 0], [0, 0, 1]]")
    assert "give one of axes, matrix, calibrate" in refusal(tmp_path, both)[0]
    mirrored = SHORTEST.replace("axes: {x: proximal, z: right}", "matrix: [[1, 0, 0], [0, 1, 0], [0, 0, -1]]", 1)
    assert "no right-handed rotation" in refusal(tmp_path, mirrored)[0]


@given(st.permutations(sorted(DIRECTIONS)), st.sets(st.sampled_from("xyz"), min_size=2))
@settings(max_examples=100, deadline=None)
def test_axes_make_a_rotation_or_are_refused(words, names):
    axes = dict(zip(sorted(names), words, strict=False))
    try:
        matrix = matrix_from_axes(axes)
    except ValueError:
        return
    np.testing.assert_array_equal(matrix @ matrix.T, np.eye(3))
    assert np.linalg.det(matrix) == pytest.approx(1.0)
    for name, word in axes.items():
        np.testing.assert_array_equal(matrix[:, "xyz".index(name)], DIRECTIONS[word])
