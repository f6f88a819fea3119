"""The Kuopio gait dataset as users describe its files: people who never lived, with the quirks that are known."""

import zipfile

import ezc3d
import numpy as np
import scipy.io
from kinbench_adapters._kuopio.wearing import PELVIS, PELVIS_AXES
from scipy.spatial.transform import Rotation

from kinbench import kinematics
from kinbench.virtual_imu import angular_rate, on_segment, specific_force
from tests.raw_folders.bodies import walker

RATE_HZ = 100.0
TO_LAB = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""Our world (X forward, Y up, Z right) to the laboratory's (Y forward, Z up, X right)."""
SERIALS = {"B42DA3": "pelvis", "B42D48": "thigh_r", "B42D4D": "shank_r", "B42D51": "foot_r", "B42D95": "shank_l"}
"""The first is the dataset's own; where the others sit is made up here, as is which others there are."""
TABLE = "serial,segment,site,level\n" + "".join(f"{serial},{segment},,\n" for serial, segment in SERIALS.items())
SITES = {"pelvis": (-0.12, 0.06, 0.0), "thigh": (0.01, -0.22, 0.07), "shank": (0.04, -0.2, 0.03),
         "foot": (0.08, -0.02, 0.0)}  # fmt: skip
TURNED = kinematics.rotations_from_vectors([0.2, 1.1, -0.3])
"""Sensor to segment for the sensors whose axes nobody has published."""
CLUSTERS = {
    "pelvis": ((-0.12, 0.10, 0.06), (-0.12, 0.10, -0.06), (-0.13, 0.04, 0.05), (-0.13, 0.03, -0.05)),
    "thigh": ((0.05, -0.18, 0.08), (0.07, -0.25, 0.07), (0.03, -0.30, 0.09), (0.08, -0.32, 0.05)),
    "shank": ((0.05, -0.15, 0.05), (0.06, -0.22, 0.03), (0.02, -0.28, 0.06), (0.05, -0.30, 0.02)),
}
"""Markers in segment axes from the proximal joint, of a right leg; z is outward."""
NEVER_READ = slice(120, 126)
UNSEEN = slice(200, 240)
STEMS = {"pelvis": "Pelvis", "thigh": "Femur", "shank": "Tibia"}


def write(
    folder, *, people=2, length_s=7.0, trials=("r_comf_01",), table=TABLE, to_lab=TO_LAB, late=0,
    without_imu=(), without_condyles=(), units="mm", rate_hz=RATE_HZ, noise_mm=0.3, info=True, invalid="l_slow_03",
    shown=None,
):  # fmt: skip
    """Write the folder and return it. ``late`` samples are cut off the front of the sensors.

    ``without_imu`` and ``without_condyles`` are people; ``shown`` may change the markers before they are written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for person in range(1, people + 1):
        for name in ("mocap", "imu_extracted", "imu", "openpose"):
            (folder / f"{person:02d}" / name).mkdir(parents=True, exist_ok=True)
        (folder / f"{person:02d}" / "mocap" / "calib_hip_01.c3d").write_bytes(b"not a walk")
        for trial in trials:
            body = performance(person, trial, length_s)
            paths = markers(body, to_lab, np.random.RandomState(person), noise_mm, person in without_condyles)
            if shown is not None:
                shown(paths)
            write_c3d(folder / f"{person:02d}" / "mocap" / f"{trial}.c3d", paths, units=units, rate_hz=rate_hz)
            if person not in without_imu:
                path = folder / f"{person:02d}" / "imu_extracted" / f"data_{trial}.mat"
                write_mat(path, extracted(body, np.random.RandomState(person), late))
    if table is not None:
        (folder / "sensors.csv").write_text(table)
    if info:
        write_people(folder / "info_participants.xlsx", people, invalid)
    return folder


def performance(person, trial, length_s=7.0):
    """The walker who did this trial: straight on, over ground."""
    seed = 20 * person + sum(map(ord, trial)) % 17
    return walker(seed, length_s=length_s, rate_hz=RATE_HZ, stand_s=1.0, turn_deg=0.0)


# --- sensors ----------------------------------------------------------------------------------------------------------


def extracted(body, random, late=0):
    """The struct ``sensors``: a field per serial, of which one sits where nobody says."""
    found = {}
    for serial, segment in {**SERIALS, "B42E00": "trunk"}.items():
        stem, _, letter = segment.partition("_")
        offset = np.array(SITES.get(stem, (0.1, 0.3, 0.0))) * [1, 1, -1 if letter == "l" else 1]
        axes = PELVIS_AXES if serial == PELVIS else TURNED
        turn = kinematics.quaternions(body.rotation[segment])
        position, orientation = on_segment(body.position[segment], turn, offset, axes)
        acc = specific_force(position, orientation, RATE_HZ) + random.normal(0, 0.02, (len(turn), 3))
        gyr = angular_rate(orientation, RATE_HZ) + random.normal(0, 0.005, (len(turn), 3))
        found[serial] = _fields(acc[late:], gyr[late:])
    return found


def _fields(acc, gyr):
    acc = acc.copy()
    acc[NEVER_READ] = 0.0
    quat = Rotation.from_rotvec(gyr / RATE_HZ).as_quat(scalar_first=True)
    sdi = np.zeros((len(gyr), 1), dtype=[("dq", object), ("dv", object)])
    for row in range(len(gyr)):
        read = not NEVER_READ.start <= row < NEVER_READ.stop
        sdi[row, 0] = (quat[row][:, None] if read else np.zeros((0, 0)), np.zeros((3, 1)))
    return {"calibratedAcceleration": acc, "freeAcceleration": acc - acc.mean(axis=0), "sdi": sdi}


def write_mat(path, sensors):
    scipy.io.savemat(path, {"sensors": sensors}, do_compression=True)


# --- markers ----------------------------------------------------------------------------------------------------------


def markers(body, to_lab=TO_LAB, random=None, noise_mm=0.3, without_condyles=False):
    """Every label (n, 3) mm in the laboratory's axes."""
    random = random or np.random.RandomState(0)
    found = {}
    for number, offset in enumerate(CLUSTERS["pelvis"], start=1):
        found[f"Pelvis{number}"] = body.point("pelvis", offset)
    for letter, mirror in (("r", np.ones(3)), ("l", np.array([1.0, 1.0, -1.0]))):
        side, size = letter.upper(), body.body
        for stem, length in (("thigh", size.thigh_m), ("shank", size.shank_m)):
            offsets = list(CLUSTERS[stem])
            if not without_condyles:
                offsets += [
                    (0.0, -length - 0.008, -0.05),
                    (0.0, -length + 0.008, 0.05),
                ]  # no line of a person's is level
            for number, offset in enumerate(offsets, start=1):
                found[f"{side}{STEMS[stem]}{number}"] = body.point(f"{stem}_{letter}", np.array(offset) * mirror)
        for number, offset in enumerate(_foot(size), start=1):
            found[f"{side}Foot{number}"] = body.point(f"foot_{letter}", np.array(offset) * mirror)
        found[f"Pelvis_{side}Femur_score"] = body.position[f"thigh_{letter}"]
        found[f"{side}Femur_{side}Tibia_score"] = body.position[f"shank_{letter}"]
        found[f"{side}Tibia_{side}Foot_score"] = body.position[f"foot_{letter}"]
    for number, offset in enumerate(((0.1, 0.3, 0), (0, 0.4, 0.18), (0, 0.4, -0.18), (-0.1, 0.3, 0)), start=1):
        found[f"Torso{number}"] = body.point("trunk", offset)
    paths = {name: path @ to_lab.T * 1000 + random.normal(0, noise_mm, path.shape) for name, path in found.items()}
    for name in ("LTibia1", "LTibia2"):
        paths[name][UNSEEN] = np.nan
    return paths


def _foot(size):
    """Heel, hallux, fourth toe and two more; heel and toes are at one height: the sole is the ankle's zero."""
    toe = size.ball_m + 0.05
    return (
        (-size.heel_m, -0.04, 0.0),
        (toe, -0.04, -0.035),
        (toe, -0.04, 0.035),
        (0.04, 0.0, 0.03),
        (0.07, 0.0, -0.02),
    )


def write_c3d(path, paths, *, units="mm", rate_hz=RATE_HZ):
    """Markers {name: (n, 3)} as a C3D file; what is NaN has residual -1."""
    file = ezc3d.c3d()
    names = list(paths)
    places = np.stack([paths[name] for name in names], axis=1)
    file["parameters"]["POINT"]["RATE"]["value"] = [rate_hz]
    file["parameters"]["POINT"]["LABELS"]["value"] = names
    file["parameters"]["POINT"]["UNITS"]["value"] = [units]
    unseen = ~np.isfinite(places).all(axis=2)
    points = np.concatenate([np.nan_to_num(places).transpose(2, 1, 0), np.ones((1, len(names), len(places)))])
    file["data"]["points"] = points
    file["data"]["meta_points"]["residuals"] = np.where(unseen.T, -1.0, 0.0)[None]
    file.write(str(path))
    return path


# --- people -----------------------------------------------------------------------------------------------------------

_COLUMNS = ("ID", "Gender", "Age", "Height", "Mass", "IAD", "Left_thigh_length", "Left_shank_length",
            "Right_thigh_length", "Right_shank_length", "Invalid_trials")  # fmt: skip


def write_people(path, people, invalid=""):
    """The table of the people, as a workbook with its texts in the cells."""
    rows = [_COLUMNS]
    for person in range(1, people + 1):
        rows.append((person, "F" if person % 2 else "M", 20 + person, 165 + person, 60 + person, 250, 430, 400, 432,
                     402, invalid))  # fmt: skip
    cells = "".join(f"<row>{''.join(map(_cell, row))}</row>" for row in rows)
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    with zipfile.ZipFile(path, "w") as book:
        book.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets><sheet name="info" sheetId="1" r:id="rId1"/></sheets>'
            "</workbook>",
        )
        book.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{package}"><Relationship Id="rId1" Type="{office}/worksheet" '
            'Target="worksheets/sheet1.xml"/></Relationships>',
        )
        book.writestr(
            "xl/worksheets/sheet1.xml", f'<worksheet xmlns="{main}"><sheetData>{cells}</sheetData></worksheet>'
        )


def _cell(value):
    if isinstance(value, str):
        return f'<c t="inlineStr"><is><t>{value}</t></is></c>'
    return f"<c><v>{value}</v></c>"
