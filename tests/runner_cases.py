"""A tiny laboratory, a tiny task, protocols and models for the runner's tests; small enough to be run many times."""

import numpy as np

from kinbench import schema, store
from kinbench.errors import NotApplicable
from kinbench.protocol import Fold, ProtocolCard, blocks, embargo
from kinbench.recording import Key, Placement, Recording, angle_dataset, imu_dataset
from kinbench.tasks import Task

TASK = Task(
    name="toy-knee", version=1, title="Knee flexion from a shank gyroscope", segments=("shank",), channels=("gyr",),
    dofs=("knee_flexion",), rate_hz=50.0, window=32, stride=16, per_leg=True, axes="sensor", moving=None,
)  # fmt: skip
RATE_HZ = 50.0
DOFS = ("knee_flexion_r", "knee_flexion_l")


def recording(dataset, subject, *, seconds=40.0, acc_kind=None, like=None):
    person = np.random.default_rng(sum(map(ord, f"{dataset}/{subject}")))
    time = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    rate, swing, offset = person.uniform(0.8, 1.2), person.uniform(20, 30), person.uniform(-5, 15)
    phases = (0.0, np.pi)
    angle = np.stack([offset + swing * np.sin(2 * np.pi * rate * time + phase) for phase in phases], axis=1)
    gyr = person.normal(0, 0.05, (time.size, 2, 3))
    gyr[:, :, 2] += np.stack(
        [np.deg2rad(swing) * 2 * np.pi * rate * np.cos(2 * np.pi * rate * time + phase) for phase in phases], axis=1
    )
    placements = [Placement("R", "shank_r", "right"), Placement("L", "shank_l", "left")]
    signals = {"gyr": (gyr, {"units": "rad s-1", "frame": "sensor"})}
    if acc_kind:
        signals["acc"] = (gyr, {"units": "m s-2", "frame": "sensor", "kind": acc_kind})
    return Recording(
        Key(dataset, subject, "1", "walk"),
        imu_dataset(time, placements, signals),
        angle_dataset(time, DOFS, angle, units="deg", convention="isb_zxy", tier="simulation"),
        {
            "schema_version": schema.SCHEMA_VERSION, "dataset": dataset, "dataset_version": "1", "subject": subject,
            "session": "1", "trial": "walk", "person": f"{dataset}/{subject}", "activity": "walking",
            "licence": {"id": "CC0-1.0", "redistributable": True}, "rates": {"imu": {"nominal_hz": RATE_HZ}},
            "world": "Y up", "sync": {"method": "same_clock"}, "source": [{"name": "walk.csv", "sha256": "0" * 64}],
            "adapter": {"name": "toy", "version": "1"}, "history": [], "simulation": True, "absent": {},
        },
    )  # fmt: skip


def laboratory(folder, name, subjects=("S1", "S2", "S3"), **how):
    path = folder / f"{name}.zarr"
    with store.create(path, dataset=name, card={"name": name, "simulation": True}) as writer:
        for subject in subjects:
            writer.write(recording(name, subject, **how))
    return store.open(path)


# --- protocols -------------------------------------------------------------------------------------------------------


class Individual:
    """Fits on blocks A to C of a person and tests on D."""

    card = ProtocolCard("toy-ui", 1, "own data", "A to C, then D", "labelled A to C")

    def folds(self, entries, task):
        return [
            _fold(entries, person, {"fit": [(person, "ABC")], "test": [(person, "D")]}, individual=True)
            for person in blocks(entries)
        ]


class General:
    """Leaves one person out; the next one validates."""

    card = ProtocolCard("toy-ug", 1, "others' data", "leave one person out", "nothing")

    def folds(self, entries, task):
        persons = list(blocks(entries))
        if len(persons) < 3:
            raise NotApplicable(f"{self.card.name} needs three people and there are {len(persons)}")
        folds = []
        for number, person in enumerate(persons):
            valid = persons[(number + 1) % len(persons)]
            others = [(other, "ABCD") for other in persons if other not in (person, valid)]
            roles = {"fit": others, "validation": [(valid, "ABCD")], **self.roles(person)}
            folds.append(_fold(entries, person, roles))
        return folds

    def roles(self, person):
        return {"test": [(person, "D")], "test_long": [(person, "CD")]}


class Adapted(General):
    """As ``General``, then tunes on A of the person left out and stops on B."""

    card = ProtocolCard("toy-ua", 1, "adapted", "tuned on A", "labelled A and B", adapts=True)

    def roles(self, person):
        return {**super().roles(person), "adaptation": [(person, "A")], "stopping": [(person, "B")]}


class Across:
    """From every dataset to every other one."""

    card = ProtocolCard("toy-cross", 1, "across", "every pair", "nothing", scope="datasets")

    def folds(self, entries, task):
        names = sorted({entry.key.dataset for entry in entries})
        cut = blocks(entries)
        folds = []
        for source in names:
            for target in names:
                if source == target:
                    continue
                mine = [person for person in cut if person.startswith(f"{source}/")]
                theirs = [person for person in cut if person.startswith(f"{target}/")]
                roles = {
                    "fit": [(person, "ABCD") for person in mine[:-1]], "validation": [(mine[-1], "ABCD")],
                    "test": [(person, "ABCD") for person in theirs],
                }  # fmt: skip
                folds.append(
                    Fold(f"{source} to {target}", tuple(theirs), (source,), target, _roles(entries, roles))
                )  # fmt: skip
        return folds


def _roles(entries, wanted):
    cut = blocks(entries)
    whole = {
        role: [span for person, names in parts for name in names for span in cut[person][name]]
        for role, parts in wanted.items()
    }
    samples = {str(entry.key): entry.embargo for entry in entries}
    kept = embargo({role: spans for role, spans in whole.items() if role != "test_long"}, samples)
    if "test_long" in whole:  # what is seen keeps away from the longer test too; the headline test stays as it is
        kept |= embargo({role: spans for role, spans in whole.items() if role != "test"}, samples)
    return kept


def _fold(entries, person, wanted, **how):
    dataset = entries[0].key.dataset
    return Fold(person, (person,), (dataset,), dataset, _roles(entries, wanted), **how)


UI, UG, UA, ACROSS = (kind() for kind in (Individual, General, Adapted, Across))
PROTOCOLS = {protocol.card.name: protocol for protocol in (UI, UG, UA, ACROSS)}

# --- models ----------------------------------------------------------------------------------------------------------

MODELS = '''
import os, signal, time
from pathlib import Path
import numpy as np
from kinbench.contracts import ModelCard


def tell(what):
    log = os.environ.get("TOY_LOG")
    if log:
        with open(log, "a") as file:
            file.write(what + "\\n")


class Mean:
    """No adapt, no save: fitted again wherever it is needed."""
    card = ModelCard("toy-mean", "1", "mean angle", "the mean of the training angles")

    def fit(self, train, valid, *, seed):
        tell("fit mean")
        self.value = float(train.y[train.valid].astype(float).mean())

    def predict(self, x):
        return np.full((*x.shape[:2], 1), self.value, dtype=np.float32)


class Line:
    """A straight line on the integrated rate, with adapt, save and load."""
    card = ModelCard("toy-line", "1", "line", "least squares on four features")

    def __init__(self, ridge=1.0, slow_s=0.0):
        self.ridge, self.slow_s, self.notes = ridge, slow_s, ("fitted in closed form",)

    def features(self, x):
        rate = x[..., 2:3].astype(float)
        turned = np.cumsum(rate - rate.mean(axis=1, keepdims=True), axis=1)
        return np.concatenate([np.ones_like(rate), rate, turned, turned ** 2], axis=2)

    def solve(self, batches):
        time.sleep(self.slow_s)
        f, y = self.features(batches.x).reshape(-1, 4), batches.y.reshape(-1).astype(float)
        return np.linalg.solve(f.T @ f + self.ridge * np.eye(4), f.T @ y)

    def fit(self, train, valid, *, seed):
        tell("fit line")
        self.weights = self.solve(train) + 1e-3 * np.random.default_rng(seed).normal(size=4)

    def predict(self, x):
        return (self.features(x) @ self.weights)[..., None].astype(np.float32)

    def adapt(self, calibration, valid, *, seed):
        tell("adapt line")
        self.weights = 0.5 * self.weights + 0.5 * self.solve(calibration)
        self.notes = ("adapted half-way",)

    def save(self, folder):
        np.save(folder / "weights.npy", self.weights)

    def load(self, folder):
        self.weights = np.load(folder / "weights.npy", allow_pickle=False)

    def parameters(self):
        return 4


class Faulty(Mean):
    """Goes wrong in the way it is told to, where ``only`` (a seed) does not spare it."""
    card = ModelCard("toy-faulty", "1", "faulty", "goes wrong", trained_on=())

    def __init__(self, how="hole", only=-1):
        self.how, self.only = how, only
        if how == "known":
            self.card = ModelCard("toy-faulty", "1", "faulty", "goes wrong", trained_on=("lab/S2",))

    def fit(self, train, valid, *, seed):
        super().fit(train, valid, seed=seed)
        self.wrong = self.only in (-1, seed) and not Path(os.environ.get("TOY_MENDED", "/nowhere")).exists()
        if self.wrong and self.how == "raise":
            raise RuntimeError("the loss is a turnip")
        if self.wrong and self.how == "die":
            os.kill(os.getpid(), signal.SIGKILL)

    def predict(self, x):
        answer = super().predict(x)
        if self.wrong and self.how == "hole":
            answer[0, 0, 0] = np.nan
        if self.wrong and self.how == "shape":
            return answer[:, :-1]
        if self.wrong and self.how == "text":
            return answer.astype(str)
        return answer
'''
ENTRY_POINTS = [
    ("kinbench.models", "toy-mean = toy_models:Mean\ntoy-line = toy_models:Line\ntoy-faulty = toy_models:Faulty")
]
