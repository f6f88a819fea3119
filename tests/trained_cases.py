"""A small model that is trained step by step, keeps its progress, begins from weights and learns from inputs alone."""

from runner_cases import ENTRY_POINTS, MODELS

TRAINED = '''
import os, signal
import numpy as np
from kinbench.contracts import Choice, ModelCard, Real, Training
from kinbench.errors import DataError, KinbenchError, UsageError
from toy_models import Mean, tell


class Steady:
    """Least squares by gradient descent on four features of the rate about z."""
    card = ModelCard("steady", "1", "steady", "for tests")
    space = {"rate": Real(0.02, 0.5, log=True), "turned": Choice((True, False))}

    def __init__(self, steps=30, rate=0.2, turned=True):
        self.steps, self.rate, self.turned = steps, rate, turned
        self.weights, self.scale, self.training, self.notes = np.zeros(4), None, Training(), ()

    def features(self, x):
        rate = x[..., 2:3].astype(float)
        turned = np.cumsum(rate - rate.mean(axis=1, keepdims=True), axis=1) * self.turned
        return np.concatenate([np.ones_like(rate), rate, turned, turned ** 2], axis=2) / self.scale

    def prepare(self, training):
        if training.device != "cpu":
            raise UsageError(f"There is no {training.device} here; choose --device cpu.")
        self.training = training

    def begin(self, folder):
        path = folder / "steady.npz"
        if not path.is_file():
            raise DataError("expected steady.npz, found none", where=folder)
        with np.load(path) as kept:
            self.weights, self.scale = kept["weights"], kept["scale"]
        tell("begin")
        self.notes = ("begun from weights",)

    def measure(self, x):
        rate = x[..., 2:3].astype(float)
        spread = rate.std()
        self.scale = np.array([1.0, spread, 10 * spread, 100 * spread ** 2])

    def pretrain(self, train, valid, *, seed):
        tell(f"pretrain {len(train)} {len(valid)} {'weighted' if train.weight is not None else 'alike'}")
        assert not hasattr(train, "targets")
        self.measure(train.x)

    def fit(self, train, valid, *, seed):
        if self.scale is None:
            self.measure(train.x)
        self.descend(train, self.steps)

    def descend(self, batches, steps):
        place = self.training.checkpoints
        kept, first = None if place is None else place / "progress.npz", 0
        if kept is not None and kept.exists():
            with np.load(kept) as found:
                first, self.weights = int(found["step"]), found["weights"]
        tell(f"descend from {first}")
        f, y = self.features(batches.x).reshape(-1, 4), batches.y.reshape(-1).astype(float)
        for step in range(first, steps):
            self.weights = self.weights - self.rate * f.T @ (f @ self.weights - y) / len(y)
            self.training.on_progress(step + 1, steps, "steps")
            if kept is not None:
                np.savez(place / "aside.npz", step=step + 1, weights=self.weights)
                (place / "aside.npz").rename(kept)
            if os.environ.get("TOY_KILL_AT") == str(step):
                os.kill(os.getpid(), signal.SIGKILL)

    def adapt(self, calibration, valid, *, seed):
        tell(f"adapt {'kept' if self.training.checkpoints else 'unkept'}")
        self.descend(calibration, 5)

    def predict(self, x):
        return (self.features(x) @ self.weights)[..., None].astype(np.float32)

    def save(self, folder):
        np.savez(folder / "steady.npz", weights=self.weights, scale=self.scale)

    def load(self, folder):
        with np.load(folder / "steady.npz") as kept:
            self.weights, self.scale = kept["weights"], kept["scale"]

    def parameters(self):
        if self.scale is None:
            raise KinbenchError("knows nothing yet")
        return 4


class Tuned(Steady):
    """Leaves weights that it began from as they are, unless it is to tune them."""
    card = ModelCard("tuned", "1", "tuned", "for tests")

    def __init__(self, steps=30, tune=None):
        super().__init__(steps)
        self.tune = tune

    def fit(self, train, valid, *, seed):
        if self.scale is None or self.tune == "all":
            super().fit(train, valid, seed=seed)


class Twisted(Steady):
    """Names a setting that it does not take."""
    space = {"height": Real(0.0, 1.0)}


class Moody(Steady):
    """Fails with every other setting."""
    card = ModelCard("moody", "1", "moody", "for tests")
    space = {"steps": Choice((3, 5, 8, 13))}

    def fit(self, train, valid, *, seed):
        if self.steps in (5, 8):
            raise RuntimeError("not today")
        super().fit(train, valid, seed=seed)
'''
_NAMES = ("Steady", "Tuned", "Twisted", "Moody")
DOORS = [
    *ENTRY_POINTS,
    ("kinbench.models", "\n".join(f"{name.lower()} = trained_models:{name}" for name in _NAMES)),
    ("kinbench.tasks", "toy-knee = runner_cases:TASK"),
    ("kinbench.protocols", "toy-ug = runner_cases:UG\ntoy-ua = runner_cases:UA\ntoy-ui = runner_cases:UI"),
]
MODULES = {"toy_models": MODELS, "trained_models": TRAINED}
