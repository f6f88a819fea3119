"""What a run leaves behind: one JSON per cell, to be read years later with nothing else installed.

A ``Result`` tells all that a table needs (what the metric's unit is, what the protocol let the model see), so that
no dataset, task, protocol or model must be found again. Identity is a digest over canonical JSON; timings and the
environment are in the result and never in a digest.
"""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kinbench.errors import DataError, UsageError
from kinbench.files import canonical, digest_object, publish

RESULT_VERSION: Literal[1] = 1
_KEY = re.compile(r"[0-9a-f]{64}")
_ENVIRONMENT = ("kinbench", "numpy", "scipy", "torch", "zarr")
WHOLE_RECORDING = "estimated from the whole of each recording's inputs, at their own rate"
"""The note by which a result says that its model is a filter, which goes through whole recordings."""
STAGING = ".staging"
"""Folder, inside a results folder, where files are written before they are renamed into place."""

Setting = bool | int | float | str
View = Literal["test", "test_long", "test_swing"]
"""The headline's test spans; the longer ones that hold them; of loads, which are scored over stance, the headline's
spans outside it."""


# --- identity --------------------------------------------------------------------------------------------------------


def cell_key(
    *,
    recordings: Mapping[str, str] | bytes,
    task: Mapping[str, Any],
    protocol: tuple[str, int],
    fold: str,
    metrics: Mapping[str, int],
    model: Mapping[str, Any],
    seed: int,
    threads: int,
) -> str:
    """Return the content key of one cell: two cells with one key have one score (schema 1, Content digest).

    ``recordings`` are content digests by key, or the canonical text of these; ``task`` all fields of the task;
    ``fold`` the fold's digest; ``metrics`` versions by name; ``model`` name, distribution, versions and settings.
    Kinbench's own version, paths, worker count and order are not in it.
    """
    others = {
        "task": dict(task), "protocol": list(protocol), "fold": fold, "metrics": dict(metrics), "model": dict(model),
        "seed": seed, "threads": threads,
    }  # fmt: skip
    used = recordings if isinstance(recordings, bytes) else canonical(dict(recordings))
    written = {name: canonical(part) for name, part in others.items()}
    return digest_object({"recordings": used, **written})


@lru_cache(maxsize=1)
def environment() -> Mapping[str, str]:
    """Return the machine and the versions that made a result, without importing any of those packages."""
    found = {
        "python": platform.python_version(), "platform": platform.platform(), "cpu": _cpu(),
        "cores": str(os.cpu_count() or "unknown"), "gpu": _gpu(),
    }  # fmt: skip
    for package in _ENVIRONMENT:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # no such file outside Linux
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine() or "unknown")


def _gpu(drivers: Path = Path("/proc/driver/nvidia/gpus")) -> str:
    """Return the names of NVIDIA's devices as their driver tells them, ``none`` where it tells of none."""
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in sorted(drivers.glob("*/information"))]
    lines = [line for text in texts for line in text.splitlines() if line.startswith("Model:")]
    return ", ".join(line.partition(":")[2].strip() for line in lines) or "none"


# --- the type --------------------------------------------------------------------------------------------------------


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=())


class ProtocolPart(_Part):
    """The protocol's card as it was.

    ``sees``: what a model may see of the test person. ``leaks``: what it sees besides, as a historical source had it.
    """

    name: str
    version: int
    title: str
    sees: str
    scope: Literal["dataset", "datasets"]
    adapts: bool
    ranks: bool
    study: bool = False
    leaks: tuple[str, ...] = ()
    normalises: bool = False


class TaskPart(_Part):
    """The task: ``definition`` holds all of its fields, enough to make it again."""

    name: str
    version: int
    title: str
    dofs: tuple[str, ...]
    definition: dict[str, Any]


class WeightsPart(_Part):
    """The weights that a model began from: their name, the sha256 over all their files, and what their card says.

    ``persons`` is how many people they have seen, None where nobody wrote down who: ``unknown`` then names the weights,
    these or those they go back to, that have no card. ``stores`` are digests by name, ``like`` the store by whose
    inputs those of pre-training were weighted; ``liked`` are the digests by name of all such stores, where pre-training
    went on from pre-training (empty in results of before, which have ``like`` alone).
    """

    name: str
    sha256: str
    stage: str | None = None
    model: str | None = None
    task: str | None = None
    stores: dict[str, str] = Field(default_factory=dict)
    persons: int | None = None
    unknown: str | None = None
    simulation: bool | None = None
    like: str | None = None
    liked: dict[str, str] = Field(default_factory=dict)


class SearchPart(_Part):
    """The search that found a model's settings: its budget, and the sha256 of the file that tells all of it."""

    sha256: str
    trials: int
    seed: int
    persons: int
    score: float
    task: str


class ModelPart(_Part):
    """The model: the selector as a person would write it, and the distribution that provides it.

    ``weights`` are those it began from, ``search`` what found its settings; None where there were none. ``files`` are
    the sha256 of those files outside its package that its answers depend on, by the setting that names each.
    """

    selector: str
    name: str
    settings: dict[str, Setting]
    title: str
    version: str
    distribution: str
    distribution_version: str
    parameters: int | None = None
    weights: WeightsPart | None = None
    search: SearchPart | None = None
    files: dict[str, str] = Field(default_factory=dict)


class FoldPart(_Part):
    """The fold: who was scored, on what the model was fitted, why anything was left out.

    ``condition`` sets it apart in a study; ``segments`` are the sensors that the model got (None: all of the task's),
    the changes what was done to the inputs, in words; each of ``fit_copies`` was learnt from.
    """

    name: str
    digest: str
    test_persons: tuple[str, ...]
    train_datasets: tuple[str, ...]
    test_dataset: str
    diagonal: Literal["ug", "ui"] | None = None
    notes: tuple[str, ...] = ()
    condition: dict[str, Setting] = Field(default_factory=dict)
    segments: tuple[str, ...] | None = None
    fit_changes: tuple[str, ...] = ()
    test_changes: tuple[str, ...] = ()
    fit_copies: tuple[str, ...] = ()


class DatasetPart(_Part):
    """One store that took part: its digest, and those of the recordings used.

    ``conventions`` of the reference angles, and ``rotation_origins`` of the sensors used (how each sensor's rotation
    to its segment was found), are listed once each; so are ``sensor_origins``: ``synthetic`` sensors were computed
    from the motion of the body that also gives the angles, and nobody wore them.
    """

    name: str
    digest: str
    simulation: bool
    conventions: tuple[str, ...]
    rotation_origins: tuple[str, ...]
    sensor_origins: tuple[str, ...] = ("measured",)
    recordings: dict[str, str]


class MetricPart(_Part):
    """What a metric's numbers mean."""

    version: int
    unit: str
    better: Literal["lower", "higher", "zero"]
    title: str


class PersonScore(_Part):
    """One DoF of one person in one view: the scores by metric, or ``None`` with the reason.

    ``samples`` were scored, of ``covered`` that lie in the test spans (the others have no valid reference).
    """

    view: View
    person: str
    dof: str
    samples: int
    covered: int
    values: dict[str, float | None]
    reasons: dict[str, str] = Field(default_factory=dict)


class Failure(_Part):
    """Why a cell has no score: the kind of error and its sentence."""

    kind: str
    sentence: str


class Timings(_Part):
    """Seconds on the wall. ``fit_s`` is None where the fitted model was taken from an earlier cell."""

    fit_s: float | None = None
    adapt_s: float | None = None
    predict_s: float | None = None
    leak_check_s: float | None = None
    overhead_s: float | None = None


class Result(_Part):
    """One cell: protocol, task, dataset(s), fold, model and seed, with its scores or its failure.

    ``key`` is the content key; ``fit_key`` that of the fitted model, which other cells may share. ``windows`` are
    counts by role. ``predictions`` is the sha256 of ``<key>.npz``. ``limit`` is set when the run was cut short on
    purpose: such a result is not for the leaderboard, and the cell counts as not done.
    """

    result_version: Literal[1] = RESULT_VERSION
    status: Literal["done", "failed"]
    key: str
    fit_key: str
    protocol: ProtocolPart
    task: TaskPart
    model: ModelPart
    fold: FoldPart
    datasets: tuple[DatasetPart, ...]
    seed: int
    threads: int
    limit: int | None = None
    simulation: bool
    metrics: dict[str, MetricPart]
    scores: tuple[PersonScore, ...] = ()
    coverage: float | None = None
    windows: dict[str, int] = Field(default_factory=dict)
    predictions: str | None = None
    notes: tuple[str, ...] = ()
    failure: Failure | None = None
    timings: Timings = Field(default_factory=Timings)
    environment: dict[str, str] = Field(default_factory=dict)

    @property
    def done(self) -> bool:
        """Whether the cell has its scores."""
        return self.status == "done"

    @property
    def unranked(self) -> str | None:
        """Why the result never ranks, whatever its protocol; None where nothing speaks against it."""
        weights = self.model.weights
        if weights is None:
            return None
        if weights.unknown is not None:
            return untold(weights.unknown)
        tested = next(part for part in self.datasets if part.name == self.fold.test_dataset)
        # A store is known by its name, though it grew since, and by what it holds, though it is called otherwise now.
        liked = tested.name in (weights.like, *weights.liked) or tested.digest in weights.liked.values()
        return foreseen(weights.name, tested.name) if liked and not self.protocol.normalises else None

    @property
    def whole_recording(self) -> bool:
        """Whether an instant's answer may rest on all of its recording's inputs, later ones too."""
        return WHOLE_RECORDING in self.notes

    @property
    def label(self) -> str:
        """The cell in words: protocol, task, dataset and fold, model, seed."""
        return (
            f"{self.protocol.name} · {self.task.name} · {self.fold.test_dataset} · {self.fold.name} · "
            f"{self.model.selector} · seed {self.seed}"
        )


def untold(weights: str) -> str:
    """Return why a result of weights that nobody wrote the persons of never ranks."""
    return (
        f"nobody wrote down whom the weights '{weights}' were trained on, so nothing shows that those tested are not "
        "among them"
    )


def foreseen(weights: str, store: str) -> str:
    """Return why a result never ranks whose weights were chosen by the inputs of the store that is tested."""
    return (
        f"pre-training of the weights '{weights}' drew by the inputs of '{store}', which is tested here, though the "
        "protocol hands out none of them"
    )


def to_json(result: Result) -> str:
    """Return a result's text: indented, keys in the type's order, ending with a line feed."""
    return result.model_dump_json(indent=1) + "\n"


def from_json(text: str, *, where: object = None) -> Result:
    """Return the result of a text; raises ``DataError`` listing every problem, with ``where`` in front.

    Refused: another ``result_version``, an unknown or doubled field, NaN or infinity, a score that is text.
    """
    try:
        plain = json.loads(text, object_pairs_hook=_no_doubles, parse_constant=_no_constant)
        found = plain.get("result_version") if isinstance(plain, dict) else None
        if found != RESULT_VERSION:
            raise ValueError(f"expected version {RESULT_VERSION}, found {found!r}; it needs the kinbench that made it")
        return Result.model_validate_json(text)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, e['loc'])) or 'result'}: {e['msg']}" for e in error.errors()]
        raise DataError(problems, where=where) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"not a result: {error}", where=where) from error


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        doubled = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"the field {', '.join(doubled)} stands twice in one object")
    return found


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON number")


# --- on disk ---------------------------------------------------------------------------------------------------------


def path_of(folder: Path, key: str) -> Path:
    """Return where the result with this key stands."""
    return folder / f"{key}.json"


def write(folder: Path, result: Result) -> Path:
    """Write one result atomically and return its path."""
    path = path_of(folder, result.key)
    publish(to_json(result).encode("utf-8"), path, folder / STAGING)
    return path


def load(path: Path) -> Result:
    """Read one result; raises ``DataError`` naming the file."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8 text: {error}", where=path) from error
    return from_json(text, where=path)


def find(folder: Path, key: str) -> Result | None:
    """Return the result with this key, or None where there is none that can be read and is the one it says."""
    path = path_of(folder, key)
    if not path.is_file():
        return None
    try:
        result = load(path)
    except DataError:  # damaged: as good as absent, it is computed again
        return None
    return result if result.key == key else None


def read(folder: Path) -> list[Result]:
    """Return every result of a folder in the order of their keys; other files are left alone.

    Raises ``UsageError`` where there is no such folder, ``DataError`` naming every file that cannot be read.
    """
    if not folder.is_dir():
        raise UsageError(f"There is no results folder '{folder}'. Make results with 'kinbench run', or name another.")
    paths = sorted(path for path in folder.glob("*.json") if _KEY.fullmatch(path.stem))
    return read_files(paths)


def read_files(paths: Iterable[Path]) -> list[Result]:
    """Return the results in these files, in order; raises ``DataError`` naming every file that cannot be read."""
    found, problems = [], []
    for path in paths:
        try:
            result = load(path)
        except DataError as error:
            problems += [f"{path}: {problem}" for problem in error.problems]
            continue
        if _KEY.fullmatch(path.stem) and result.key != path.stem:
            problems.append(f"{path}: holds the result {result.key[:12]}…, not the one its name says")
            continue
        found.append(result)
    if problems:
        raise DataError(problems)
    return found
