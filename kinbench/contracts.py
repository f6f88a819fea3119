"""What a plugin must provide. Structural typing: nothing to inherit, no decorator, no registry at import.

An entry point of ``kinbench.adapters`` or ``kinbench.models`` names a factory that takes settings as keywords; one
of ``kinbench.protocols``, ``kinbench.splits`` or ``kinbench.tasks`` names the frozen value itself; one of
``kinbench.demos`` names a ``Demo``; one of ``kinbench.weights`` a ``WeightsCard``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, Self, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from kinbench.downloads import Download as Download
from kinbench.downloads import Progress as Progress
from kinbench.downloads import ignore as ignore
from kinbench.protocol import Fold, ProtocolCard
from kinbench.recording import Key, Recording, TaskEntry
from kinbench.tasks import Task
from kinbench.windows import Batches, Stream, Unlabelled

Float32Array = NDArray[np.float32]

# --- adapters --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DatasetCard:
    """What a dataset is, for people and for the store. Unknown is said, never guessed.

    ``persons`` is how many people it holds in full, ``sensors`` which ones they wore (or that none are real), ``tier``
    how its reference was measured (``schema.TIERS``). ``settings`` is filled in by a conversion: how the adapter was
    set.
    """

    name: str
    title: str
    version: str
    description: str
    licence: str
    redistributable: bool
    access: str
    citation: str
    url: str = ""
    simulation: bool = False
    persons: int | None = None
    sensors: str = ""
    tier: str = ""
    settings: str = ""


@dataclass(frozen=True)
class Expected:
    """Files that a raw folder should hold.

    ``patterns`` are globs below the raw folder, alternatives of one thing (old and new names). ``check`` looks at one
    file, cheaply, and returns what is wrong with it, None where nothing is.
    """

    what: str
    patterns: tuple[str, ...]
    required: bool = True
    check: Callable[[Path], str | None] | None = None


@dataclass(frozen=True)
class RawTree:
    """What a dataset's raw folder looks like and how a person comes by it.

    ``steps`` says in order which page, which file, which agreement and where to put it. ``downloads`` is what may be
    fetched without one.
    """

    expected: tuple[Expected, ...]
    steps: tuple[str, ...]
    downloads: tuple[Download, ...] = ()


@dataclass(frozen=True)
class Source:
    """One recording that could be read: its key, its files, and how to read them.

    ``load()`` returns the declared ``Recording`` or raises ``DataError``; one that raises fails alone. ``Skipped``
    says that by a rule of the adapter the file is no recording, which is no failure.
    """

    key: Key
    files: tuple[Path, ...]
    load: Callable[[], Recording]


@dataclass(frozen=True)
class RawDataset:
    """What an adapter found in a raw folder, before a signal is read."""

    card: DatasetCard
    sources: tuple[Source, ...]


@dataclass(frozen=True)
class Guess:
    """One field of a proposed manifest.

    ``verdict``: ``known`` (the file says it, or physics leaves no other choice), ``guessed`` (likely; a person should
    look) or ``open`` (a question left in the manifest, ``value`` None). ``confidence`` is 0 to 1, ``evidence`` a
    sentence with the figures it rests on.
    """

    field: str
    value: Any
    verdict: Literal["known", "guessed", "open"]
    confidence: float
    evidence: str


@dataclass(frozen=True)
class Proposal:
    """What an adapter makes of a raw folder that nobody described.

    ``manifest`` is the text of a complete manifest, its questions written into it; ``guesses`` one entry per field;
    ``drafts`` what could already be read, for plots: they are not to be stored.
    """

    manifest: str
    guesses: tuple[Guess, ...]
    drafts: tuple[Recording, ...] = ()
    unread: tuple[str, ...] = ()
    """Files that look like recordings and could not be read, a sentence each: which, what was expected, what came."""


@runtime_checkable
class Proposer(Protocol):
    """An adapter that can look at a raw folder and propose the manifest that it would need."""

    def propose(self, raw: Path, *, to: Path | None = None, on_progress: Progress = ignore) -> Proposal:
        """Return the proposal, its manifest as it must read in the file ``to`` (in the raw folder unless said).

        Nothing is written. Raises ``UsageError`` for an absent folder, ``DataError`` where nothing is readable.
        """
        ...


@runtime_checkable
class Adapter(Protocol):
    """Reads one dataset's raw folder. It declares; the engine converts.

    ``find(raw)`` must be cheap and reads no signals. It raises ``UsageError`` when the folder is absent or a
    manifest in it is wrong, ``DataError`` when the folder holds nothing this adapter knows. Optional:
    ``tree: RawTree``, what ``kinbench data`` shows.
    """

    card: DatasetCard
    version: str

    def find(self, raw: Path) -> RawDataset:
        """Return what there is to convert below ``raw``."""
        ...


# --- models ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ModelCard:
    """What a model is. ``trained_on`` lists the persons (``dataset/subject``) of any pre-training."""

    name: str
    version: str
    title: str
    description: str
    citation: str = ""
    trained_on: tuple[str, ...] = ()


@runtime_checkable
class Model(Protocol):
    """Estimates joint angles from windows. A fresh one is made for every fit.

    ``x`` is (n, time, channel) float32 in SI units; angles are (n, time, dof) in degrees; ``train.spec`` tells the
    channels, DoFs, rate and window. Optional: ``adapt(calibration, valid, *, seed)``, which needs ``save(dir)`` and
    ``load(dir)``; ``normalise(unlabelled, *, seed)`` -> Model; ``parameters()`` -> int; ``causal = True``, a claim that
    no answer depends on later samples of its window, which a run puts to the test; ``oriented = True``: it learns from
    ``Batches.orientations`` and asks for the sensors on either side of its joints; ``files``, a ``Mapping[str, Path]``
    of the files outside the package that answers depend on, by the setting that names each: a run refuses one that is
    not there, and knows a model by what they hold instead of by their paths.
    """

    card: ModelCard

    def fit(self, train: Batches, valid: Batches, *, seed: int) -> None:
        """Learn from ``train``; ``valid`` may be used to stop or choose, and may be empty."""
        ...

    def predict(self, x: Float32Array) -> Float32Array:
        """Return (n, time, dof) angles in degrees for (n, time, channel) inputs."""
        ...


@runtime_checkable
class AdaptiveModel(Model, Protocol):
    """A model that can be tuned to a person, kept on disk and taken up again."""

    def adapt(self, calibration: Batches, valid: Batches, *, seed: int) -> None:
        """Tune the fitted model to one person's labelled ``calibration``; ``valid`` may stop it."""
        ...

    def save(self, folder: Path) -> None:
        """Write all that ``load`` needs into an existing, empty folder."""
        ...

    def load(self, folder: Path) -> None:
        """Take up what ``save`` wrote; predictions must be bit-equal to before."""
        ...


@runtime_checkable
class SelfNormalisingModel(Model, Protocol):
    """A model that can take its inputs' statistics from the person it is to estimate, instead of from its training."""

    def normalise(self, unlabelled: Unlabelled, *, seed: int) -> Model:
        """Return a model as this fitted one, for the person whose inputs ``unlabelled`` are (one window at least).

        Statistics of inputs are all that may be taken: no weight is tuned. This model stays as it was, since other
        people are predicted with it; the one returned shares nothing with it that either could change.
        """
        ...


@dataclass(frozen=True)
class Training:
    """How a run wants a model trained that takes long: what the run decides, and not the model.

    ``device`` is where to compute, by torch's name (``cpu``, ``cuda``). ``checkpoints`` is a folder of this one fit to
    keep progress in, None to keep none: a fit that finds there what an interrupted one of the same model, windows and
    seed left goes on from it, and ends with the same bits. ``on_progress(done, total, label)`` tells a person.
    """

    device: str = "cpu"
    checkpoints: Path | None = None
    on_progress: Progress = ignore


@runtime_checkable
class TrainedModel(Model, Protocol):
    """A model that is told before ``fit``, ``adapt`` or ``pretrain`` where to compute and where to keep progress."""

    def prepare(self, training: Training) -> None:
        """Take up how to train; the device plays no part in what a model is, and none in what is saved."""
        ...


@runtime_checkable
class PretrainedModel(Model, Protocol):
    """A model that can learn from inputs without answers, and begin from what it or others learnt before."""

    def pretrain(self, train: Unlabelled, valid: Unlabelled, *, seed: int) -> None:
        """Learn from inputs of people who are in no test; ``valid``, of other people, may be empty.

        What it learns ``save`` writes, as it writes a fitted model.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write all that ``begin`` needs into an existing, empty folder."""
        ...

    def begin(self, folder: Path) -> None:
        """Take up weights before ``fit``: what ``save`` wrote, after ``pretrain`` or ``fit``, or a publication's files.

        ``fit`` goes on from them as the model's settings say, and says in ``notes`` what it did. Raises ``DataError``
        where the folder holds nothing that fits this model.
        """
        ...


@runtime_checkable
class StartedModel(Model, Protocol):
    """A model that can begin from weights; what ``PretrainedModel`` has, without ``pretrain``.

    Where its factory has a setting ``tune``, that says what ``fit`` learns of weights that have answers already; its
    value ``all`` is everything, which ``kinbench finetune`` asks for unless its user says otherwise.
    """

    def begin(self, folder: Path) -> None:
        """Take up weights before ``fit``, as ``PretrainedModel.begin`` does."""
        ...


@runtime_checkable
class StreamModel(Model, Protocol):
    """A model that is a filter: it goes through a whole recording, and no window of it would do.

    A run asks it once for each recording and leg, and never calls ``predict``, which is to raise ``KinbenchError``. A
    fold that changes inputs, or takes away a sensor beside a joint that is asked for, is none for it.
    """

    def estimate(self, stream: Stream) -> Float32Array:
        """Return angles (samples, dof) in degrees at ``stream.time_s``, of ``stream.dofs``; NaN where nothing is known.

        They mean what ``schema.DOFS`` says, a left leg's too. Raises ``DataError`` where nothing can be said at all.
        """
        ...


@dataclass(frozen=True)
class Real:
    """A setting that may be any number from ``low`` to ``high``; with ``log`` each factor of it is as likely."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class Choice:
    """A setting that is one of some values, in no order."""

    options: tuple[bool | int | float | str, ...]


@runtime_checkable
class Searchable(Model, Protocol):
    """A model that says which of its settings are worth a search, and where; ``kinbench search`` goes through them."""

    @property
    def space(self) -> Mapping[str, Real | Choice]:
        """The settings by name, each one that the model's factory takes; a class attribute will do."""
        ...


@dataclass(frozen=True)
class WeightsFile:
    """One file of a folder of weights, by its path in there, with its sha256 in hex.

    It comes from ``url`` (``size_bytes`` 0 is unknown), or, where there is none, is shipped: ``packaged`` says where,
    as ``package:path``.
    """

    path: str
    sha256: str
    url: str = ""
    size_bytes: int = 0
    packaged: str = ""


@dataclass(frozen=True)
class WeightsCard:
    """Weights that anybody may have: what an entry point of ``kinbench.weights`` names.

    ``model`` is the selector of the model they are of, ``task`` the name of its task, ``persons`` everybody whom they
    were trained on (``dataset/subject``). ``files`` make a folder as ``kinbench train`` or ``kinbench pretrain`` writes
    one, its ``card.json`` among them.
    """

    name: str
    version: str
    title: str
    description: str
    model: str
    task: str
    licence: str
    persons: tuple[str, ...]
    files: tuple[WeightsFile, ...]


class Summary(Protocol):
    """All that a model learns from some windows, as sums that add up: those of two sets of windows to those of both.

    Adding changes neither. ``nbytes`` is how much memory one takes.
    """

    @property
    def nbytes(self) -> int:
        """How much memory it takes."""
        ...

    def __add__(self, other: Self, /) -> Self:
        """Return the summary of the windows of both."""
        ...


S = TypeVar("S", bound=Summary)


@runtime_checkable
class AdditiveModel(Model, Protocol[S]):
    """A model that learns from windows only through sums over them, with all sensors or with any set of them.

    A run then reads each person's windows once, for all folds and all sets of sensors.
    """

    def summarise(self, batches: Batches) -> S:
        """Return the summary of some windows, possibly none.

        That of several persons is, to the bit, those of each added up in the order of their numbers.
        """
        ...

    def fit_from(self, train: S, valid: S, subsets: Sequence[tuple[str, ...]], *, seed: int) -> Iterator[Model]:
        """Yield, for each of ``subsets`` (segments) in order, a model as ``fit`` on windows of these sensors alone.

        The summaries are those of windows with all sensors, and stay as they are. With all sensors the model is that of
        ``fit`` to the bit, with fewer its errors are, to 1e-9 of them. It may not depend on which other sets are asked
        for: a resumed run asks for fewer.
        """
        ...


# --- protocols and demos ---------------------------------------------------------------------------------------------


@runtime_checkable
class BenchmarkProtocol(Protocol):
    """A frozen value that cuts people's time into roles. It sees the index, never a signal."""

    card: ProtocolCard

    def folds(self, entries: Sequence[TaskEntry], task: Task) -> Sequence[Fold]:
        """Return the folds, in a fixed order; raises ``NotApplicable`` with the reason where there can be none.

        ``entries`` are those of one dataset, or of all datasets where ``card.scope`` is ``datasets``.
        """
        ...


@dataclass(frozen=True)
class DemoPart:
    """One raw folder the demo wrote, and the adapter selector that reads it."""

    adapter: str
    raw: Path
    name: str


@dataclass(frozen=True)
class DemoRecipe:
    """What the short tour of a demo runs, by name."""

    protocols: tuple[str, ...]
    tasks: tuple[str, ...]
    models: tuple[str, ...]
    seeds: tuple[int, ...]


@runtime_checkable
class Demo(Protocol):
    """Writes raw vendor files of a simulated cohort, and says what to run on them."""

    name: str
    version: str
    recipe: DemoRecipe

    def write(self, folder: Path, on_progress: Callable[[int, int, str], None]) -> Sequence[DemoPart]:
        """Write the raw files below ``folder`` and return the parts, in order."""
        ...
