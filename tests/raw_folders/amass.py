"""A fake AMASS download, in its real layouts and with its real quirks: walkers as SMPL pose vectors.

The pose of a walker is that whose joint rotations, in the anatomical axes of a body whose rest pose IS the anatomical
zero, give the walker's angles; so they can be checked against the truth that made them.
"""

import numpy as np
from scipy.spatial.transform import Rotation

from raw_folders.bodies import walker

TO_MODEL = np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
"""Segment axes (anterior, proximal, right) to model axes (left, up, forward)."""
TO_AMASS = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""The walker's world (Y up) to AMASS's (Z up)."""
PELVIS = np.array([-0.0018, -0.2233, 0.0282])
HIPS_MIDDLE = np.array([0.0009, -0.09095, -0.00555])
"""From the pelvis joint, model axes, mean template."""

FOLDERS = {
    # canonical: (old name, subject folder, motion, gender as written, rate)
    "BMLrub": ("BioMotionLab_NTroje", "rub001", "0005_normal_walk1", np.array("female"), 120.0),
    "MoSh": ("MPI_mosh", "50002", "walk", np.array(b"male", dtype="S6"), 120.00004577636719),
    "BMLmovi": ("BMLmovi", "Subject_11_F_MoSh", "Subject_11_F_1", np.array("b'female'"), 120.0),
    "DFaust": ("DFaust_67", "50002", "50002_walk", np.array("male", dtype="U6"), 60.0),
    "CMU": ("CMU", "20_21_rory1", "20_12", np.array("male"), 100.0),
    "ACCAD": ("ACCAD", "Female1Walking_c3d", "B3 - walk1", np.array("female"), 250.0),
}
"""Who is who: each subset's one person, written by the spelling of the old archives."""


def person(subset, *, length_s=6.0):
    """The walker behind a subset's sequence; 50002 of MoSh and of DFaust is one."""
    names = list(FOLDERS)
    seed = names.index("MoSh" if subset == "DFaust" else subset)
    rate_hz = round(FOLDERS[subset][4])
    return walker(seed, length_s=length_s, rate_hz=float(rate_hz), stand_s=1.5)


def pose_vectors(body):
    """(n, 22, 3) rotation vectors, joint to parent, and (n, 3) translation."""
    world = {name: TO_AMASS @ turn @ TO_MODEL.T for name, turn in body.rotation.items()}
    vectors = np.zeros((len(body.time), 22, 3))
    vectors[:, 0] = rotvec(world["pelvis"])
    bend = rotvec(np.swapaxes(world["pelvis"], 1, 2) @ world["trunk"])
    vectors[:, [3, 6, 9]] = bend[:, None] / 3  # the spine shares it; three equal turns about one axis add up
    for side, joints in (("l", (1, 4, 7)), ("r", (2, 5, 8))):
        chain = ["pelvis", f"thigh_{side}", f"shank_{side}", f"foot_{side}"]
        for joint, proximal, distal in zip(joints, chain[:-1], chain[1:], strict=True):
            vectors[:, joint] = rotvec(np.swapaxes(world[proximal], 1, 2) @ world[distal])
    hips = body.position["pelvis"] @ TO_AMASS.T
    return vectors, hips - world["pelvis"] @ HIPS_MIDDLE - PELVIS


def rotvec(matrices):
    return Rotation.from_matrix(matrices).as_rotvec()


def write_smplh(path, vectors, trans, *, gender="female", rate=120.0, **members):
    """One SMPL+H file. A member given as None is left out."""
    poses = np.zeros((len(vectors), 156))
    poses[:, : vectors.shape[1] * 3] = vectors.reshape(len(vectors), -1)
    poses[:, 66:] = 0.1  # hands, which nobody here may read
    told = {
        "poses": poses, "trans": trans, "betas": np.linspace(-1, 1, 16), "dmpls": np.zeros((len(poses), 8)),
        "gender": gender, "mocap_framerate": rate, **members,
    }  # fmt: skip
    return save(path, told)


def write_smplx(path, vectors, trans, *, gender="neutral", rate=120.0, **members):
    """One SMPL-X file, with the parts that repeat its poses."""
    poses = np.zeros((len(vectors), 165))
    poses[:, : vectors.shape[1] * 3] = vectors.reshape(len(vectors), -1)
    told = {
        "poses": poses, "root_orient": poses[:, :3], "pose_body": poses[:, 3:66], "trans": trans,
        "betas": np.linspace(-1, 1, 16), "num_betas": 16, "gender": gender, "surface_model_type": "smplx",
        "mocap_frame_rate": rate, "mocap_time_length": len(poses) / 120.0, **members,
    }  # fmt: skip
    return save(path, told)


def save(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{name: value for name, value in members.items() if value is not None})
    return path


def write(folder, *, people=2, length_s=6.0, smplx=False, new_names=False, doubled=False, unusable=False):
    """Write the first ``people`` of ``FOLDERS`` and return ``folder``.

    ``smplx`` writes ``_stageii.npz`` (spaces become underscores there); ``new_names`` today's subset names;
    ``doubled`` a doubled top folder; ``unusable`` adds a file without a rate and one of 40 Hz.
    """
    for subset in list(FOLDERS)[:people]:
        old, subject, motion, gender, rate = FOLDERS[subset]
        name = subset if new_names or smplx else old
        home = folder / name / name / subject if doubled else folder / name / subject
        vectors, trans = pose_vectors(person(subset, length_s=length_s))
        if smplx:
            write_smplx(home / f"{motion.replace(' ', '_')}_stageii.npz", vectors, trans, gender=gender, rate=rate)
            save(home / "male_stagei.npz", {"betas": np.zeros(16), "gender": "male"})
        else:
            write_smplh(home / f"{motion}_poses.npz", vectors, trans, gender=gender, rate=rate)
            save(home / "shape.npz", {"betas": np.zeros(16), "gender": "male"})
    if unusable:
        write_smplh(home / "norate_poses.npz", vectors[:200], trans[:200], rate=None)
        write_smplh(home / "slow_poses.npz", vectors[:200], trans[:200], rate=40.0)
    return folder
