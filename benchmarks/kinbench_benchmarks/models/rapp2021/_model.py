"""What the networks of Rapp et al. (2021) share as models: two stages of crops, and what their weights tell of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from kinbench.contracts import Choice, Real
from kinbench.errors import UsageError
from kinbench.windows import Batches, TaskSpec
from kinbench_benchmarks import training
from kinbench_benchmarks.models._network import Fitted, NetworkModel
from kinbench_benchmarks.models._state import FEW_WINDOWS, Float32Array, Scaling
from kinbench_benchmarks.models._windows import ScaledWindows, Targets, mean_square, squared_error
from kinbench_benchmarks.models.rapp2021._augmentation import COMPAT_CODE
from kinbench_benchmarks.models.rapp2021._recipes import Recipe, TwoStages
from kinbench_benchmarks.weights import NETWORK, read_weights

CITATION = (
    "Rapp E, Shin S, Thomsen W, Ferber R, Halilaj E (2021). Estimation of kinematics from inertial measurement units "
    "using a combined deep learning and optimization framework. J Biomech 116:110229"
)
TRAINED = (
    "Two stages of Adam on random crops of 1 s and then 2 s, every sensor turned at random by 13.5 degrees SD and 15 % "
    "noise added; no early stopping. Crops are cut from windows, since whole recordings are not what a model is given, "
    "and legs are drawn apart. The paper's 'passive pseudo-calibration' takes each trial's own mean off prediction and "
    "reference: that is the metric centred RMSE, and no part of a model."
)
"""What every card says of how it is trained."""
SPACE: Mapping[str, Real | Choice] = {
    "lr": Real(1e-5, 1e-2), "lr_decay": Real(0.9, 0.9997), "iterations": Choice((500, 1000, 5000)),
    "dropout": Real(0.0, 0.3), "layers": Choice((1, 2, 3)), "width": Choice((10, 20, 30, 40, 50, 60, 70)),
}  # fmt: skip
"""What the paper searched for either network, of each joint and gait: 300 trials of convolutions, 200 of LSTMs."""
LOOKS = 10
"""How often a tuning is looked at on validation, so that it cannot end worse than it began."""


class RawWindows:
    """Labelled windows whose inputs are still in SI units, and whose angles are already what a network puts out."""

    def __init__(self, windows: ScaledWindows) -> None:
        self._windows = windows

    def __len__(self) -> int:
        return len(self._windows)

    def take(self, index: NDArray[np.int64], /) -> tuple[Float32Array, Float32Array, NDArray[np.bool_]]:
        """Return (inputs (n, time, channel), wanted values (n, time, dof), which are known) of these windows."""
        x, y, known = self._windows.batches.take(index)
        return x, np.where(known, self._windows.targets.encode(y), np.float32(0.0)), known

    def fingerprint(self) -> str:
        """Return what tells these windows from others."""
        return self._windows.fingerprint()


class CroppedModel(NetworkModel):
    """A network that learns from augmented crops, in two stages; nothing of a fit is chosen on validation.

    ``compat``: None, or one of ``compats``; ``code`` turns sensors twice as far, as the publication's code does.
    """

    compats: ClassVar[tuple[str, ...]] = (COMPAT_CODE,)

    def __init__(self, recipe: Recipe, compat: str | None, tune: str | None) -> None:
        if compat is not None and compat not in self.compats:
            raise UsageError(f"compat is not set or one of {', '.join(self.compats)}, got '{compat}'.")
        super().__init__(cast(Any, recipe), tune)  # it has all that a recipe is asked for there
        self.shape = recipe
        self.compat = compat

    @property
    def spec(self) -> TaskSpec:
        """The task that it was fitted on."""
        return self._state().spec

    @property
    def scaling(self) -> Scaling:
        """How its inputs are scaled."""
        return self._state().scaling

    @staticmethod
    @abstractmethod
    def shape_of(sizes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
        """Return what weights of these sizes, by name, tell of the recipe: layers, width and so on."""

    def load(self, folder: Path) -> None:
        """Take up what ``save`` wrote, of whatever size it is."""
        _, arrays, _ = read_weights(folder, self.card)
        sizes = {name.removeprefix(NETWORK): array.shape for name, array in arrays.items() if name.startswith(NETWORK)}
        self.shape = replace(self.shape, **self.shape_of(sizes))
        super().load(folder)

    def arrays(self) -> dict[str, Any]:
        """Return all that it knows as arrays by name, for a model that holds it as a part."""
        fitted = self._state()
        weights = {f"{NETWORK}{name}": value for name, value in fitted.network.state_dict().items()}
        return {**weights, **fitted.scaling.arrays(), **fitted.targets.arrays()}

    def take_up(self, spec: TaskSpec, arrays: Mapping[str, Any], where: Path) -> None:
        """Take up what ``arrays`` gave. Raises ``DataError`` where it is of another network."""
        weights = {name.removeprefix(NETWORK): value for name, value in arrays.items() if name.startswith(NETWORK)}
        self.shape = replace(self.shape, **self.shape_of({name: value.shape for name, value in weights.items()}))
        scaling = Scaling.from_arrays(arrays)
        with training.quiet_torch(0):
            network = self.build(spec, scaling)
        training.load_into(network, weights, where=where)
        self._fitted = Fitted(spec, scaling, Targets.from_arrays(arrays), network)

    def _learn(
        self, fitted: Fitted, train: Batches, valid: Batches, schedule: Any, what: str, *, seed: int,
        only: tuple[str, ...] | None = None, keep_start: bool = False,
    ) -> tuple[str, ...]:  # fmt: skip
        stages: TwoStages = schedule
        windows, judged = fitted.windows(train), fitted.windows(valid)
        looks = keep_start and len(valid) >= FEW_WINDOWS
        course = training.train(
            fitted.network,
            stages.stages(RawWindows(windows), train, fitted.scaling, seed, compat=self.compat, only=only),
            squared_error,
            seed=seed,
            training=self.training,
            name=f"{self.card.name}-{self.card.version}-{what}",
            validation=_looked_at(judged, 2 * stages.iterations) if looks else None,
        )
        kept = f", that of {course.kept_step} kept" if looks else ""
        return (f"{course.steps} steps{kept}", *turned_note(stages, self.compat))


def turned_note(stages: TwoStages, compat: str | None) -> tuple[str, ...]:
    """Return what a result says where sensors are turned as the publication's code does, and not its paper."""
    if compat != COMPAT_CODE:
        return ()
    return (f"compat code: sensors turned by {2 * stages.turn_sd_deg:g} degrees SD in training",)


def _looked_at(judged: ScaledWindows, steps: int) -> training.Validation:
    every = max(1, steps // LOOKS)
    return training.Validation(
        lambda network: mean_square(network, judged), every, patience=steps, keep_start=True
    )  # fmt: skip
