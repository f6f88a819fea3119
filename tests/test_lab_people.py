"""People of a table, recordings inside one file, and what a manifest passes on to the engine."""

import zipfile

import h5py
import numpy as np
import pytest
from kinbench_adapters.lab import LabAdapter

from kinbench.errors import DataError, UsageError

MANIFEST = """
kinbench: 1
dataset: {id: lab, version: "1", licence: CC0-1.0, redistributable: true}
person_table:
  files: people.FORMAT
  id: Subject ID
  subject: "S{id:02}"
  columns:
    sex: {column: Sex, words: {F: female, M: male}}
    age_y: Age (Years)
    height_m: {column: Height, unit: cm}
    mass_kg: Mass
imu:
  files: "{subject}.csv"
  rate_hz: 60
  gyr: {columns: [x, y, z], unit: rad/s}
  sensors: {T: {segment: thigh_r, calibrate: auto}}
"""
ROWS = [
    ["Subject ID", "Sex", "Age (Years)", "Height", "Mass"],
    ["1", "F", "27", "181", "66.7"],
    ["2", "M", "", "170", "n/a"],
    ["11 (patient)", "?", "-3", "9", "1"],
]
"""The last row is broken in every cell, and is nobody's of whom there is a recording."""


def workbook(path, rows):
    """Write an .xlsx as Excel does: words apart, cells by place, a formula with its value, a styled empty cell."""
    words = sorted({cell for row in rows for cell in row if cell and not cell.replace(".", "").isdigit()})
    lines = []
    for number, row in enumerate(rows, start=1):
        cells = []
        for letter, cell in zip("ABCDE", row, strict=True):
            place = f"{letter}{number}"
            if cell in words:
                cells.append(f'<c r="{place}" t="s"><v>{words.index(cell)}</v></c>')
            elif cell:
                cells.append(f'<c r="{place}" s="1"><f>A1*1</f><v>{cell}</v></c>')
            else:
                cells.append(f'<c r="{place}" s="2"/>')
        lines.append(f'<row r="{number}">{"".join(cells)}</row>')
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "xl/workbook.xml",
            f'<workbook {main} xmlns:r="{office}"><sheets><sheet name="P" r:id="rId7"/></sheets></workbook>',
        )
        archive.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{package}"><Relationship Id="rId7" Target="worksheets/one.xml"/></Relationships>',
        )
        archive.writestr(
            "xl/worksheets/one.xml", f"<worksheet {main}><sheetData>{''.join(lines)}</sheetData></worksheet>"
        )
        texts = "".join(f"<si><r><t>{word[:1]}</t></r><r><t>{word[1:]}</t></r></si>" for word in words)
        archive.writestr("xl/sharedStrings.xml", f"<sst {main}>{texts}</sst>")


def delimited(path, rows):
    path.write_text("".join(",".join(row) + "\n" for row in rows), encoding="utf-8-sig")


WRITERS = {"xlsx": workbook, "csv": delimited}


@pytest.fixture(params=WRITERS)
def lab(request, tmp_path):
    for subject in ("S01", "S02", "S03"):
        values = np.random.default_rng(0).normal(size=(30, 3))
        np.savetxt(tmp_path / f"{subject}.csv", values, delimiter=",", header="x,y,z", comments="")
    (tmp_path / "kinbench.yaml").write_text(MANIFEST.replace("FORMAT", request.param), encoding="utf-8")

    def write(rows=ROWS):
        WRITERS[request.param](tmp_path / f"people.{request.param}", rows)
        return tmp_path

    return write


def test_people_come_from_the_table(lab):
    found = {source.key.subject: source for source in LabAdapter().find(lab()).sources}
    first = found["S01"].load()
    told = first.attrs["person_table"]
    assert (told["sex"], told["age_y"], told["height_m"], told["mass_kg"]) == ("female", 27.0, 1.81, 66.7)
    assert any(source["name"].startswith("people.") for source in first.attrs["source"])
    second = found["S02"].load().attrs["person_table"]
    assert (second["sex"], second["age_y"], second["height_m"], second["mass_kg"]) == ("male", None, 1.7, None)
    third = found["S03"].load()
    assert third.attrs["person_table"]["sex"] == "unknown"
    assert "no row of 'S03'" in third.attrs["absent"]["person"]


BESIDE = """
kinbench: 1
dataset: {id: lab, version: "1", licence: CC0-1.0, redistributable: true}
people: {ann: {height_m: 1.8}}
person_columns: {mass_kg: weight, height_m: size}
imu:
  files: "{subject}.csv"
  rate_hz: 60
  gyr: {columns: [x, y, z], unit: rad/s}
  sensors: {T: {segment: thigh_r, calibrate: auto}}
"""


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["1,2,3,70.5,1.7"] * 80, None),
        (["1,2,3,70.5,1.7"] * 79 + ["1,2,3,71,1.7"], "mass_kg: weight: expected one number.*found 2 different"),
        (["1,2,3,70500,170"] * 80, "person_columns.mass_kg.*between 2 and 350(.|\n)*person_columns.height_m"),
    ],
)
def test_people_come_from_columns_of_their_recording(tmp_path, rows, words):
    (tmp_path / "kinbench.yaml").write_text(BESIDE)
    (tmp_path / "ann.csv").write_text("\n".join(["x,y,z,weight,size", *rows]))
    (source,) = LabAdapter().find(tmp_path).sources
    if words is not None:
        with pytest.raises(DataError, match=words):
            source.load()
        return
    told = source.load().attrs["person_table"]
    assert (told["mass_kg"], told["height_m"]) == (70.5, 1.8), "what is written in the manifest has the last word"


def test_the_manifest_has_the_last_word_on_a_person(lab):
    folder = lab()
    path = folder / "kinbench.yaml"
    path.write_text(path.read_text() + "people: {S01: {height_m: 1.8, condition: healthy}}\n")
    told = LabAdapter().find(folder).sources[0].load().attrs["person_table"]
    assert (told["height_m"], told["condition"], told["age_y"]) == (1.8, "healthy", 27.0)


@pytest.mark.parametrize(
    ("row", "column", "cell", "told"),
    [
        (1, 1, "W", r"row 2: Sex: 'W' is none of F, M; add it to 'words'"),
        (1, 2, "young", r"row 2: Age \(Years\): expected a number, got 'young'"),
        (1, 3, "18100", r"row 2: Height: expected height_m between 0.3 and 2.6, got 181; mind its unit"),
        (2, 0, "1", r"row 3: 'S01' is there already"),
        (0, 4, "Mas", r"person_table.columns.mass_kg: there is no column 'Mass'. Did you mean 'Mas'"),
        (0, 4, "Sex", r"the columns Sex stand in its header more than once"),
    ],
)
def test_what_is_wrong_in_the_table_is_told_with_row_and_column(lab, row, column, cell, told):
    rows = [list(cells) for cells in ROWS]
    rows[row][column] = cell
    folder = lab(rows)
    with pytest.raises(DataError, match=told):
        LabAdapter().find(folder)


def test_a_workbook_that_is_none_is_refused(tmp_path):
    (tmp_path / "S01.csv").write_text("x,y,z\n1,2,3\n1,2,3\n")
    (tmp_path / "kinbench.yaml").write_text(MANIFEST.replace("FORMAT", "xlsx"))
    with pytest.raises(UsageError, match="person_table: there is no file"):
        LabAdapter().find(tmp_path)
    (tmp_path / "people.xlsx").write_text("Subject ID,Sex\n")
    with pytest.raises(DataError, match=r"expected an \.xlsx workbook"):
        LabAdapter().find(tmp_path)


def test_auto_is_passed_on_and_nothing_else_is_declared(lab):
    declared = LabAdapter().find(lab()).sources[0].load().declared
    assert declared.automatic == ("T",)
    assert dict(declared.calibrations) == {}


# --- recordings inside one file --------------------------------------------------------------------------------------

INSIDE = """
kinbench: 1
dataset: {id: lab, version: "1", licence: CC0-1.0, redistributable: true}
imu:
  files: all.h5
  reader: {name: hdf5, each: "{subject}[{trial}]", padding: zero}
  rate_hz: 100
  gyr: {columns: ["g{sensor}_x", "g{sensor}_y", "g{sensor}_z"], unit: rad/s}
  sensors: {T: {segment: thigh_r}, S: {segment: shank_r}}
reference:
  tier: encoder
  convention: encoder_pin
  unit: deg
  angles: {knee_flexion_r: knee}
"""
COLUMNS = ["gT_x", "gT_y", "gT_z", "gS_x", "gS_y", "gS_z", "knee"]


@pytest.fixture
def inside(tmp_path):
    """Two people, three trials of one array each, of 20, 30 and 40 samples."""
    written = {}
    with h5py.File(tmp_path / "all.h5", "w") as file:
        file.attrs["columns"] = COLUMNS
        for number, person in enumerate(("ann", "bob")):
            values = np.random.default_rng(number).normal(size=(3, 40, len(COLUMNS)))
            values[0, 20:], values[1, 30:] = 0, 0
            values[2, 10] = 0  # a row of zeros inside a trial is no padding
            file[person] = values
            written[person] = values
    (tmp_path / "kinbench.yaml").write_text(INSIDE)
    return tmp_path, written


def test_each_trial_of_the_array_is_a_recording_without_its_padding(inside):
    folder, written = inside
    sources = LabAdapter().find(folder).sources
    assert [str(source.key) for source in sources] == [f"lab/{p}/1/{t}" for p in ("ann", "bob") for t in (1, 2, 3)]
    for source in sources:
        recording = source.load()
        whole = written[source.key.subject][int(source.key.trial) - 1]
        length = {"1": 20, "2": 30, "3": 40}[source.key.trial]
        assert recording.imu.sizes["time"] == recording.reference.sizes["time"] == length
        np.testing.assert_array_equal(recording.imu["gyr"].values[:, 1], whole[:length, 3:6].astype(np.float32))
        np.testing.assert_array_equal(recording.reference["angle"].values[:, 0], whole[:length, 6].astype(np.float32))


def test_padding_is_kept_unless_it_is_said_to_be_padding(inside):
    folder, _ = inside
    (folder / "kinbench.yaml").write_text(INSIDE.replace(", padding: zero", ""))
    assert LabAdapter().find(folder).sources[0].load().imu.sizes["time"] == 40


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("{subject}[{trial}]", "{subject}", r"no dataset with 2 axes fits '\{subject\}'; there are ann \(3, 40, 7\)"),
        ("{subject}[{trial}]", "x/{subject}[{trial}]", r"no dataset with 3 axes fits"),
        ("knee_flexion_r: knee", "knee_flexion_r: kne", r"there is no 'kne'. Did you mean 'knee'"),
    ],
)
def test_what_is_not_in_the_file_is_told(inside, old, new, told):
    folder, _ = inside
    (folder / "kinbench.yaml").write_text(INSIDE.replace(old, new))
    with pytest.raises(DataError, match=told):
        LabAdapter().find(folder).sources[0].load()
