"""What a publication reported, as data: its tables, its claims, and which of our results stand beside them.

Only the types live here; the field's papers are plugins (``kinbench.papers``). A reported number is a fact of its
paper and nothing that anybody here measured: it is never ranked, averaged or compared by a test.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Setting = bool | int | float | str
Reported = tuple[float, float] | float | None
"""A mean with its spread, a mean alone, or nothing where the paper has none."""


@dataclass(frozen=True)
class Measure:
    """Which of our results stand for a number: all that a field leaves empty is left to the other part of the cell.

    ``variant`` is one of the task by name (``/oriented``, behind it). ``settings`` are those of the model, None for one
    that must not be set. ``pretrained`` is whether the model began from weights that had learnt without answers, or
    from none (None: whatever it began from). ``condition`` is what a study's folds must have. ``dofs`` are averaged;
    none means all. An empty ``metric`` is RMSE.
    """

    protocol: str = ""
    task: str = ""
    model: str = ""
    dofs: tuple[str, ...] = ()
    metric: str = ""
    settings: Mapping[str, Setting | None] = field(default_factory=dict)
    pretrained: bool | None = None
    condition: Mapping[str, Setting] = field(default_factory=dict)
    variant: str = ""

    def joined(self, other: Measure) -> Measure:
        """Return this measure with what it leaves empty taken from another."""
        return Measure(
            protocol=self.protocol or other.protocol, task=self.task or other.task, model=self.model or other.model,
            dofs=self.dofs or other.dofs, metric=self.metric or other.metric,
            settings={**other.settings, **self.settings},
            pretrained=other.pretrained if self.pretrained is None else self.pretrained,
            condition={**other.condition, **self.condition}, variant=self.variant or other.variant,
        )  # fmt: skip

    @property
    def task_name(self) -> str:
        """The task, or the variant of it that is meant."""
        return f"{self.task}{self.variant}"

    @property
    def selector(self) -> str:
        """The model as a run is told of it; ``WEIGHTS`` stands for those it begins from."""
        settings = ",".join(
            f"{name}={str(value).lower() if isinstance(value, bool) else value}"
            for name, value in self.settings.items()
            if value is not None
        )
        return f"{self.model}{f'[{settings}]' if settings else ''}{'@WEIGHTS' if self.pretrained else ''}"


def commands(measures: Iterable[Measure]) -> tuple[str, ...]:
    """Return how to make results that some measures stand for: one command for each protocol and model."""
    tasks: dict[tuple[str, str], dict[str, None]] = {}
    for measure in measures:
        tasks.setdefault((measure.protocol, measure.selector), {})[measure.task_name] = None
    return tuple(
        f"kinbench run --protocol {protocol} {' '.join(f'--task {task}' for task in mine)} --model '{selector}'"
        for (protocol, selector), mine in tasks.items()
    )


@dataclass(frozen=True)
class Column:
    """A column of a published table, and what of a measure it stands for."""

    label: str
    measure: Measure = Measure()


@dataclass(frozen=True)
class Row:
    """A row of a published table: its numbers, one for each column, and what of a measure it stands for.

    ``measure`` None: nothing here can stand beside it, for the reason in the table's ``differs``.
    """

    label: str
    values: tuple[Reported, ...]
    measure: Measure | None = Measure()


@dataclass(frozen=True)
class PublishedTable:
    """A table of a paper. ``spread`` says what its ± are, ``differs`` what sets the paper's data and ways apart."""

    number: str
    title: str
    unit: str
    spread: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    differs: str

    def __post_init__(self) -> None:
        odd = [row.label for row in self.rows if len(row.values) != len(self.columns)]
        if odd:
            raise ValueError(f"{self.number}: expected {len(self.columns)} values in a row, not in: {', '.join(odd)}")


@dataclass(frozen=True)
class Contrast:
    """Two measures of which a claim says that the first is better, by people who have both.

    ``within``: that the first is no worse than the second by more than so much, in the metric's unit.
    """

    label: str
    better: Measure
    worse: Measure
    within: float | None = None


@dataclass(frozen=True)
class Claim:
    """What a paper says it found, and what would show it here; ``untestable`` says why nothing does."""

    statement: str
    where: str
    contrasts: tuple[Contrast, ...] = ()
    untestable: str = ""

    def __post_init__(self) -> None:
        if bool(self.contrasts) == bool(self.untestable):
            raise ValueError(f"'{self.statement}' needs contrasts, or the reason why there are none")


@dataclass(frozen=True)
class Paper:
    """A publication: how to cite it, its tables and its claims."""

    name: str
    citation: str
    tables: tuple[PublishedTable, ...]
    claims: tuple[Claim, ...]
