"""MoVi as users describe its files: suit and cameras of people who never lived, with the quirks that are known."""

import numpy as np
import scipy.io
from kinbench_adapters._movi.mounts import mounts

from kinbench import kinematics
from kinbench.schema import GRAVITY
from kinbench.virtual_imu import angular_rate, on_segment, specific_force
from raw_folders.bodies import walker

RATE_HZ = 120.0
MISSING = -9.99999e8
JOINTS = (
    "Hip", "RightUpLeg", "RightLeg", "RightFoot", "LeftUpLeg", "LeftLeg", "LeftFoot", "RightShoulder", "RightArm",
    "RightForeArm", "RightHand", "LeftShoulder", "LeftArm", "LeftForeArm", "LeftHand", "Head", "Neck", "Spine",
    "Spine1", "Spine2", "Spine3",
)  # fmt: skip
PARTS = [("X", "xyz"), ("V", "xyz"), ("Q", "sxyz"), ("A", "xyz"), ("W", "xyz")]
SEGMENTS = {
    "RTA": ("RPV", "trunk"), "RHE": ("RTA", None), "LAR": ("RTA", None), "LFA": ("LAR", None), "LHA": ("LFA", None),
    "RPV": (None, "pelvis"), "LTH": ("RPV", "thigh_l"), "LSK": ("LTH", "shank_l"), "LFT": ("LSK", "foot_l"),
    "RAR": ("RTA", None), "RFA": ("RAR", None), "RHA": ("RFA", None), "RTH": ("RPV", "thigh_r"),
    "RSK": ("RTH", "shank_r"), "RFT": ("RSK", "foot_r"),
}  # fmt: skip
MOTIONS = ("walking", "kicking", "jumping_jack", "crossarms", "throw_catch")
TO_LAB = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""Our world (Y up) to the cameras' (Z up)."""
V3D = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
V3D_FOOT = np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
SITES = {"trunk": (-0.1, 0.3, 0.0), "pelvis": (-0.1, 0.05, 0.0), "thigh": (0.0, -0.2, 0.08), "shank": (0.06, -0.2, 0),
         "foot": (0.06, -0.02, 0.0)}  # fmt: skip
TURNED = kinematics.rotations_from_vectors([0.3, -0.5, 0.2])
"""Head, arms and hands move with the trunk here, in cases turned otherwise."""
MISSING_SPAN = slice(700, 730)
LOST_MARKERS = 60


def write(
    folder, *, people=2, length_s=14.0, rounds=("S1", "S2", "I1", "I2"), full=False, late=0, spine="Spine3",
    acc_scale=1.0, foot_axes=V3D_FOOT, foot_rotation="instep normal along -x", row_vectors=True, markers=True,
    world_quat=True, header="{number}-{kind}-{part}", flags=True, suit_folder="IMUmatlab", optical_folder="S_V3D",
    compress=False,
):  # fmt: skip
    """Write the folder and return it. Person 1 has all rounds, the last one of several lacks S2 and I2.

    The published files are compressed, which takes longer than making them: ``compress`` does it, too. ``late`` samples
    are cut off the front of the suit's S rounds; ``spine`` is the one measured spine entry.
    """
    (folder / suit_folder).mkdir(parents=True, exist_ok=True)
    (folder / optical_folder).mkdir(exist_ok=True)
    for person in range(1, people + 1):
        there = [name for name in rounds if not (people > 1 and person == people and name in ("S2", "I2"))]
        imu = {}
        for name in there:
            body = performance(person, name, length_s)
            cut = late if name.startswith("S") else 0
            field = f"{name}_Synched" if name.startswith("S") else name
            imu[field] = _suit(body, person, spine, acc_scale, foot_rotation, world_quat, header, cut)
        scipy.io.savemat(
            folder / suit_folder / f"imu_Subject_{person}.mat", {"IMU": imu}, do_compression=compress, oned_as="row"
        )
        for name in [*(name for name in there if name.startswith("S")), *(["F"] if full else [])]:
            body = performance(person, name, length_s)
            scipy.io.savemat(
                folder / optical_folder / f"{name}_v3d_Subject_{person}.mat",
                {f"Subject_{person}_{name}": _optical(body, person, foot_axes, row_vectors, markers, flags)},
                do_compression=compress, oned_as="row",
            )  # fmt: skip
    return folder


def performance(person, name, length_s=14.0):
    """The walker who did this round."""
    return walker(10 * person + ["S1", "S2", "I1", "I2", "F"].index(name), length_s=length_s, rate_hz=RATE_HZ)


# --- the suit ---------------------------------------------------------------------------------------------------------


def _suit(body, person, spine, acc_scale, foot_rotation, world_quat, header, cut):
    random = np.random.RandomState(person)
    acc, gyr, quat = {}, {}, {}
    for mount in mounts("spine3"):
        rotation = mount.rotations.get(foot_rotation, next(iter(mount.rotations.values())))
        name = spine if mount.segment == "trunk" else mount.joint
        offset = np.array(SITES[mount.segment.split("_")[0]]) * [1, 1, -1 if mount.side == "left" else 1]
        turn = kinematics.quaternions(body.rotation[mount.segment])
        position, orientation = on_segment(body.position[mount.segment], turn, offset, rotation)
        acc[name] = specific_force(position, orientation, RATE_HZ) / GRAVITY * acc_scale
        gyr[name] = angular_rate(orientation, RATE_HZ)
        quat[name] = orientation if world_quat else turn
    for name in JOINTS:
        if name not in acc and not name.startswith(("Spine", "Neck")):
            acc[name], gyr[name] = acc[spine] @ TURNED, gyr[spine] @ TURNED
            quat[name] = quat[spine]
    for table in (acc, gyr):
        for name in table:
            table[name] = table[name] + random.normal(0, 0.002 if table is acc else 0.001, table[name].shape)
    _compute_spine(spine, acc, gyr, quat)
    columns, headers = [], []
    for index, name in enumerate(JOINTS):
        place = np.zeros((len(body.time), 6))
        columns.append(np.hstack([place, quat[name], acc[name], gyr[name]])[cut:])
        number = f"{index + 1:02d}"
        headers += [header.format(number=number, kind=kind, part=part) for kind, parts in PARTS for part in parts]
    return {
        "data": np.hstack(columns),
        "dataHeader": _cell(headers),
        "jointNames": _cell(JOINTS),
        "jointNumbers": _cell(f"{index + 1:02d}" for index in range(len(JOINTS))),
        "dataTypes": _cell("XVQAW"),
        "dataTypeDescription": _cell(["displacement", "velocity", "quaternion", "acceleration", "angular velocity"]),
    }


def _compute_spine(measured, *tables):
    """The entries that no sensor measures: means of their neighbours, along the chain Hip to Head."""
    chain = ["Hip", "Spine", "Spine1", "Spine2", "Spine3", "Neck", "Head"]
    known = [chain.index(name) for name in ("Hip", measured, "Head")]
    for table in tables:
        for index, name in enumerate(chain):
            if index not in known:
                below, above = max(k for k in known if k < index), min(k for k in known if k > index)
                share = (index - below) / (above - below)
                table[name] = (1 - share) * table[chain[below]] + share * table[chain[above]]


def _cell(texts):
    listed = list(texts)
    cell = np.empty((1, len(listed)), dtype=object)
    cell[0] = listed
    return cell


# --- the cameras ------------------------------------------------------------------------------------------------------


def _optical(body, person, foot_axes, row_vectors, markers, flags):
    rotation, position = _lab(body, foot_axes)
    names = list(SEGMENTS)
    n = len(body.time)
    affine = np.tile(np.eye(4), (n, len(names), 1, 1))
    for index, (parent, _) in enumerate(SEGMENTS.values()):
        name = names[index]
        up = np.eye(3) if parent is None else rotation[parent].swapaxes(1, 2)
        away = position[name] - (0 if parent is None else position[parent])
        local = up @ rotation[name]
        affine[:, index, :3, :3] = local.swapaxes(1, 2) if row_vectors else local
        affine[:, index, :3, 3] = np.einsum("...ij,nj->ni" if parent is None else "nij,nj->ni", up, away) * 1e3
    affine[MISSING_SPAN, names.index("RSK")] = MISSING
    order = np.random.RandomState(person).permutation(len(MOTIONS))
    listed = [MOTIONS[index] for index in order] + ["dancing_rm"]
    edges = np.linspace(0, n, len(listed) + 1).astype(int)
    move = {
        "markerName": _cell(f"M{index}" for index in range(87)),
        "segmentName": _cell(names),
        "segmentParent": np.array([0 if p is None else names.index(p) + 1 for p, _ in SEGMENTS.values()], float)[None],
        "jointsAffine_v3d": affine,
        "jointsTranslation_v3d": affine[:, :, :3, 3],
        "virtualMarkerName": _cell(["LHJC", "RHJC"]),
    }
    if markers:
        move["markerLocation"] = _markers(rotation, position, n, np.random.RandomState(person))
    if flags:
        move |= {
            "motions_list": _cell(listed),
            "flags120": np.stack([edges[:-1] + 1, edges[1:]], axis=1).astype(float),
            "flags30": np.stack([edges[:-1] // 4 + 1, edges[1:] // 4], axis=1).astype(float),
        }
    subject = {"sex": "female" if person % 2 else "male", "height": 165.0 + person, "mass": 60.0 + person, "age": 25.0}
    return {"subject": subject, "move": move}


def _lab(body, foot_axes):
    """Every segment of Visual3D in the cameras' world: rotation (n, 3, 3) and origin (n, 3) in metres."""
    rotation, position = {}, {}
    for name, (_, ours) in SEGMENTS.items():
        segment = ours or "trunk"
        axes = foot_axes if segment.startswith("foot") else V3D
        rotation[name] = TO_LAB @ body.rotation[segment] @ axes
        offset = (0.0, 0.1, 0.0) if name == "RPV" else (0.0, 0.0, 0.0) if ours else (0.0, 0.45, 0.2)
        position[name] = body.point(segment, offset) @ TO_LAB.T
    return rotation, position


def _markers(rotation, position, n, random):
    """87 markers, of which the reduced set has few: two ride on every leg segment and the pelvis, with some skin."""
    points = np.full((n, 87, 3), MISSING)
    for index, name in enumerate(name for name in SEGMENTS if SEGMENTS[name][1] is not None for _ in range(2)):
        place = random.uniform(-0.1, 0.1, 3)
        sway = 0.004 * np.sin(np.arange(n)[:, None] / 30 + random.uniform(0, 6, 3))
        points[:, index] = (position[name] + np.einsum("nij,nj->ni", rotation[name], place + sway)) * 1e3
    points[:LOST_MARKERS, 0] = 0.0
    return points
