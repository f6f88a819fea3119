"""Exports of sensor vendors in their documented layouts, from signals that a test knows; and damaged copies of files.

No real recording stands behind these: where a real export exists, the tests read that one too.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

G = 9.80665
SENSORS = ("Pelvis", "RightUpperLeg", "RightLowerLeg")


@dataclass(frozen=True)
class Truth:
    """What sensors measure: ``acc`` (specific force, m s-2), ``gyr`` (rad s-1), ``mag``, all (n, sensor, 3) in sensor
    axes, and ``rotation``, sensor to a world with Z up, per sample and sensor."""

    rate_hz: float
    acc: np.ndarray
    gyr: np.ndarray
    mag: np.ndarray
    rotation: Rotation

    @property
    def shape(self):
        return self.acc.shape[:2]

    @property
    def quat(self):
        return self.rotation.as_quat(scalar_first=True).reshape(*self.shape, 4)

    def in_world(self, vectors):
        return self.rotation.apply(vectors.reshape(-1, 3)).reshape(vectors.shape)

    def free_acc(self, gravity):
        return self.in_world(self.acc) - [0.0, 0.0, gravity]


def truth(rows=12, sensors=3, rate_hz=100.0, seed=0):
    rng = np.random.default_rng(seed)
    acc, gyr, mag = (rng.normal(size=(rows, sensors, 3)) for _ in range(3))
    return Truth(rate_hz, 9.8 * acc, gyr, mag, Rotation.random(rows * sensors, rng=seed))


def table(names, columns, *, separator=",", decimal=".", end="\n", trailing=False):
    rows = np.column_stack([np.asarray(column, dtype=object) for column in columns]).tolist()

    def cell(value):
        text = value if isinstance(value, str) else f"{value:.9f}" if isinstance(value, float) else str(value)
        return text.replace(".", decimal) if isinstance(value, float) else text

    lines = [list(names), *([cell(value) for value in row] for row in rows)]
    return "".join(separator.join(line) + (separator if trailing else "") + end for line in lines)


# --- Movella DOT -----------------------------------------------------------------------------------------------------

DOT_APP = """sep=,
DeviceTag:,{tag}
FirmwareVersion:,3.0.0
AppVersion:,2023.6.0
SyncStatus:,{sync}
OutputRate:,{rate:g}Hz
FilterProfile:,General
Measurement Mode:,Inertial data
StartTime: ,2024-12-09_17:31:07_886 CET
© Movella Technologies B. V. 2005-2024

"""
DOT_EXPORTER = """sep=,
DeviceTag:,{tag},,,,,,
FirmwareVersion:,3.0.0,,,,,,
AppVersion:,2023.6.0,,,,,,
SyncStatus:,{sync},,,,,,
StartTime:,2024-12-09 17:31:07.886 +0100,,,,,,
"""


def dot_payload(signals, sensor, payload):
    """Names and columns of one sensor's payload, by the words of the app."""
    quat, rate = signals.quat[:, sensor], signals.rate_hz
    steps = Rotation.from_rotvec(signals.gyr[:, sensor] / rate).as_quat(scalar_first=True)
    angles = Rotation.from_quat(quat, scalar_first=True).as_euler("xyz", degrees=True)
    parts = {
        "Acc": (("Acc_X", "Acc_Y", "Acc_Z"), signals.acc[:, sensor]),
        "Gyr": (("Gyr_X", "Gyr_Y", "Gyr_Z"), np.degrees(signals.gyr[:, sensor])),
        "Mag": (("Mag_X", "Mag_Y", "Mag_Z"), signals.mag[:, sensor]),
        "Quat": (("Quat_W", "Quat_X", "Quat_Y", "Quat_Z"), quat),
        "Euler": (("Euler_X", "Euler_Y", "Euler_Z"), angles),
        "FreeAcc": (("FreeAcc_X", "FreeAcc_Y", "FreeAcc_Z"), signals.free_acc(9.81)[:, sensor]),
        "dq": (("dq_W", "dq_X", "dq_Y", "dq_Z"), steps),
        "dv": (("dv[1]", "dv[2]", "dv[3]"), signals.acc[:, sensor] / rate),
        "Status": (("Status",), np.zeros((len(quat), 1), dtype=int)),
    }
    chosen = [parts[word] for word in payload.split()]
    return [name for names, _ in chosen for name in names], [c for _, values in chosen for c in values.T.tolist()]


def dot(
    signals, sensor=0, payload="Acc Gyr Mag", *, head=DOT_APP, tag="Thigh", sync="Synced", start_us=1_000_000, **how
):
    names, columns = dot_payload(signals, sensor, payload)
    rows = len(signals.acc)
    stamps = (start_us + np.round(np.arange(rows) * 1e6 / signals.rate_hz).astype(np.int64)) % 2**32
    body = table(["PacketCounter", "SampleTimeFine", *names], [range(1, rows + 1), stamps.tolist(), *columns], **how)
    text = head.format(tag=tag, sync=sync, rate=signals.rate_hz)
    return text.replace(",", how.get("separator", ",")) + body


# --- Xsens MVN -------------------------------------------------------------------------------------------------------

JOINTS = ("jRightHip", "jRightKnee")


def numbers(values):
    return " ".join(f"{value:.9f}" for value in np.ravel(values))


def mvnx(signals, *, version=4, names=SENSORS, shuffled=False, index=None, poses=2, angles=None):
    """An export whose segments' axes are the sensors', so that a segment turns as its sensor does."""
    rows = len(signals.acc)
    angles = np.zeros((rows, len(JOINTS), 3)) if angles is None else angles
    index = range(rows) if index is None else index
    lists = "".join(
        f"<{many}>" + "".join(f'<{one} label="{name}" id="{i + 1}"/>' for i, name in enumerate(own)) + f"</{many}>"
        for many, one, own in (
            ("segments", "segment", names), ("sensors", "sensor", names), ("joints", "joint", JOINTS),
        )
    )  # fmt: skip

    def frame(row, kind, number):
        children = {
            "orientation": signals.quat[row],
            "position": np.zeros((len(names), 3)),
            "angularVelocity": signals.in_world(signals.gyr)[row],
            "sensorFreeAcceleration": signals.free_acc(G)[row],
            "sensorMagneticField": signals.mag[row],
            "sensorOrientation": signals.quat[row],
            "jointAngle": angles[row],
        }
        if version == 3:
            del children["sensorFreeAcceleration"]
            children |= {"sensorAcceleration": signals.acc[row], "sensorAngularVelocity": signals.gyr[row]}
        order = sorted(children) if shuffled else list(children)
        body = "".join(f"<{name}>{numbers(children[name])}</{name}>" for name in order)
        return f'<frame time="{row * 10}" index="{number}" tc="" ms="0" type="{kind}">{body}</frame>'

    frames = "".join(frame(0, kind, "") for kind in ("identity", "tpose", "tpose-isb", "npose")[:poses])
    frames += "".join(frame(row, "normal", number) for row, number in enumerate(index))
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<mvnx xmlns="http://www.xsens.com/mvn/mvnx" version="{version}">\n'
        f'<mvn version="2021.0" build="1"/><comment>walk</comment>\n'
        f'<subject label="P01" frameRate="{signals.rate_hz:g}" segmentCount="{len(names)}" recDate="">\n{lists}\n'
        f'<frames segmentCount="{len(names)}" sensorCount="{len(names)}" jointCount="2">\n{frames}\n</frames>'
        "</subject></mvnx>\n"
    )


# --- APDM ------------------------------------------------------------------------------------------------------------


def apdm_old(signals, names=("Lumbar", "Right Ankle", "Left Ankle")):
    labels = [("Acceleration", "XYZ", "m/s^2"), ("Angular Velocity", "XYZ", "rad/s"), ("Magnetic Field", "XYZ", "uT")]
    head, units, columns = ["Time"], ["s"], [(0.007 + np.arange(len(signals.acc)) / signals.rate_hz).tolist()]
    for place, name in enumerate(names):
        for (label, axes, unit), values in zip(labels, (signals.acc, signals.gyr, signals.mag), strict=True):
            head += [f"{name}/{label}/{axis}" for axis in axes]
            units += [unit] * 3
            columns += values[:, place].T.tolist()
        head += [f"{name}/Orientation/{axis}" for axis in ("Scalar", "X", "Y", "Z")] + [f"{name}/Temperature/Scalar"]
        units += ["", "", "", "", "deg C"]
        columns += [*signals.quat[:, place].T.tolist(), [22.5] * len(signals.acc)]
    body = table(head, columns)
    first, rest = body.split("\n", 1)
    pad = "," * (len(head) - 3)
    return f"Test Name:,Walk{pad},\nSample Rate:,{signals.rate_hz:g},Hz{pad}\n{first}\n{','.join(units)}\n{rest}"


def apdm_h5(path, signals, names=("Lumbar", "Right Ankle", "Left Ankle"), *, version=5):
    import h5py

    start = 1_550_879_504_438_281
    stamps = (start + np.round(np.arange(len(signals.acc)) * 1e6 / signals.rate_hz)).astype(np.uint64)
    with h5py.File(path, "w") as file:
        file.attrs["FileFormatVersion"] = version
        serials = [f"{5718 + i}" if version == 5 else f"SI-{925 + i:06d}" for i in range(len(names))]
        if version < 5:
            file.attrs["CaseIdList"] = np.array([text.encode() for text in serials], dtype="S12")
            file.attrs["MonitorLabelList"] = np.array([name.encode() for name in names], dtype="S16")
        for place, (serial, name) in enumerate(zip(serials, names, strict=True)):
            sets = {"Accelerometer": signals.acc, "Gyroscope": signals.gyr, "Magnetometer": signals.mag}
            if version < 5:
                group = file.create_group(serial)
                group.attrs["SampleRate"] = signals.rate_hz
                for word, values in sets.items():
                    group[f"Calibrated/{word}s"] = values[:, place]
                group["Calibrated/Orientation"] = signals.quat[:, place]
            else:
                group = file.create_group(f"Sensors/{serial}")
                group.create_group("Configuration").attrs["Label 0"] = np.bytes_(name.encode() + b"\0\0")
                for word, values in sets.items():
                    group[word] = values[:, place]
                file[f"Processed/{serial}/Orientation"] = signals.quat[:, place]
            group["Time"] = stamps
    return path


# --- Shimmer, Noraxon, Noitom ----------------------------------------------------------------------------------------


def shimmer(signals, devices=("Shimmer_AB12",), *, separator="\t", formatted=False, wide=True, sync=True, rate_hz=None):
    rate_hz = rate_hz or signals.rate_hz
    rows = len(signals.acc)
    start_ms = 1_600_000_000_000.0
    names, units, columns = [], [], []
    for place, device in enumerate(devices):
        word = "TimestampSync" if sync else "Timestamp"
        if formatted:
            names.append(f"{device}_{word}_FormattedUnix_CAL")
            units.append("yyyy/mm/dd hh:mm:ss.000")
            seconds = np.arange(rows) / rate_hz
            columns.append([f"2020/09/13 12:26:{40 + t:06.3f}" for t in seconds])
        else:
            names.append(f"{device}_{word}_Unix_CAL")
            units.append("ms")
            columns.append((start_ms + 1000 * np.arange(rows) / rate_hz).tolist())
        kinds = ["Accel_LN", "Accel_WR"] if wide else ["Accel_LN"]
        for kind in kinds:
            names += [f"{device}_{kind}_{axis}_CAL" for axis in "XYZ"]
            units += ["m/(s^2)"] * 3
            columns += (signals.acc[:, place] + (0.5 if kind == "Accel_WR" else 0.0)).T.tolist()
        for kind, unit, values in (("Gyro", "deg/s", np.degrees(signals.gyr)), ("Mag", "local_flux", signals.mag)):
            names += [f"{device}_{kind}_{axis}_CAL" for axis in "XYZ"]
            units += [unit] * 3
            columns += values[:, place].T.tolist()
        names.append(f"{device}_Gyro_X_RAW")
        units.append("no_units")
        columns.append(list(range(rows)))
    body = table(names, columns, separator=separator, trailing=True)
    first, rest = body.split("\n", 1)
    return f'"sep={separator}"\n{first}\n{separator.join(units)}{separator}\n{rest}'


def noraxon(
    signals, segments=(("Pelvis", ""), ("Foot", "LT"), ("Foot", "RT")), *, preamble=3, separator=",", decimal="."
):
    rows = len(signals.acc)
    names = ["time", "Activity", "Marker"]
    columns = [np.round(np.arange(rows) / signals.rate_hz, 6).tolist(), ["Walk"] * rows, [""] * rows]
    for place, (segment, side) in enumerate(segments):
        own = f" {side}" if side else ""
        names += [f"{segment} Accel Sensor {axis}{own} (mG)" for axis in "XYZ"]
        columns += (signals.acc[:, place] / G * 1000).T.tolist()
        names += [f"Noraxon MyoMotion-Segments-{segment}{own}-Gyroscope-{axis} (deg/s)" for axis in "xyz"]
        columns += np.degrees(signals.gyr[:, place]).T.tolist()
    names.append("RT Knee Flexion (deg)")
    columns.append(np.linspace(0.0, 60.0, rows).tolist())
    head = "".join(f"Record {i}{separator}\n" for i in range(preamble))
    return head + table(names, columns, separator=separator, decimal=decimal)


def noitom(signals, bones=("Hips", "RightUpLeg", "RightLeg"), *, counted=True, lost=None):
    """Axis Studio's CSV; ``lost`` (n, sensor) marks samples that are zero and missing."""
    rows = len(signals.acc)
    lost = np.zeros(signals.shape, dtype=int) if lost is None else lost
    names, columns = [], []
    for place, bone in enumerate(bones):
        kept = (lost[:, place] == 0)[:, None]
        quat = signals.quat[:, place][:, [1, 2, 3, 0]]
        for word, axes, values in (
            ("Joint-Posi", "xyz", np.zeros((rows, 3))),
            ("Bone-Quat", "xyzw", quat),
            ("Sensor-Acce", "xyz", signals.acc[:, place] / G * kept),
            ("Sensor-Gyro", "xyz", signals.gyr[:, place] * kept),
        ):
            names += [f"{bone}-{word}-{axis}" for axis in axes]
            columns += values.T.tolist()
        names.append(f"{bone}-Sensor-Lost")
        columns.append(lost[:, place].tolist())
    return "\ufeff" + (f"{rows}\n" if counted else "") + table(names, columns, end="\r\n")


# --- damage ----------------------------------------------------------------------------------------------------------

_JUNK = (
    b"\0",
    b"\xff\xfe",
    b"nan",
    b"1e999",
    b"-",
    b'"',
    b"\n",
    b"\r",
    b",,,,",
    b"\t",
    b";",
    b"\xc3",
    b"<",
    b"&x;",
    b"inf",
)


def mutants(raw, count=50, seed=0):
    """Yield ``count`` damaged copies of a file's bytes: cut, flipped, doubled, moved, with junk put in."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        data = bytearray(raw)
        for _ in range(int(rng.integers(1, 4))):
            if not data:
                break
            start = int(rng.integers(len(data)))
            stop = min(len(data), start + int(rng.integers(1, 200)))
            kind = int(rng.integers(6))
            if kind == 0:
                del data[start:]
            elif kind == 1:
                del data[start:stop]
            elif kind == 2:
                data[start:start] = data[start:stop]
            elif kind == 3:
                data[start] = int(rng.integers(256))
            elif kind == 4:
                data[start:start] = _JUNK[int(rng.integers(len(_JUNK)))]
            else:
                data[start:stop] = bytes(reversed(data[start:stop]))
        yield bytes(data)
