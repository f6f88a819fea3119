"""Find what is installed, by entry point; load by name. Nothing is imported until it is asked for.

Ours and a stranger's come through the same doors. A name that two distributions claim is an error that names both.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from kinbench.errors import KinbenchError, UsageError, suggest
from kinbench.tasks import parse_selector

Kind = Literal["adapters", "models", "protocols", "tasks", "demos"]
KINDS: tuple[Kind, ...] = ("adapters", "models", "protocols", "tasks", "demos")


@dataclass(frozen=True)
class Plugin:
    """One registered name, and the distribution it comes from."""

    kind: Kind
    name: str
    distribution: str
    version: str
    entry: EntryPoint

    def load(self) -> Any:
        """Import the object. Raises ``KinbenchError`` naming the distribution when its code fails to import."""
        try:
            return self.entry.load()
        except Exception as error:
            raise KinbenchError(
                f"{_singular(self.kind)} '{self.name}' of {self.distribution} {self.version} cannot be loaded from "
                f"'{self.entry.value}': {type(error).__name__}: {error}; mend or uninstall that package."
            ) from error


def find(kind: Kind) -> dict[str, Plugin]:
    """Return every registered plugin of one kind by name, without importing any.

    Raises ``UsageError`` when two distributions claim one name.
    """
    found: dict[str, Plugin] = {}
    for entry in sorted(entry_points(group=f"kinbench.{kind}"), key=lambda entry: entry.name):
        distribution = entry.dist
        plugin = Plugin(
            kind, entry.name,
            distribution.name if distribution else "unknown", distribution.version if distribution else "unknown",
            entry,
        )  # fmt: skip
        other = found.get(entry.name)
        if other is not None and other.distribution != plugin.distribution:
            raise UsageError(
                f"{_singular(kind)} '{entry.name}' is registered by both {other.distribution} and "
                f"{plugin.distribution}; uninstall one of them."
            )
        found[entry.name] = plugin
    return found


def get(kind: Kind, name: str) -> Plugin:
    """Return one plugin; raises ``UsageError`` with the closest name where there is none."""
    known = find(kind)
    if name not in known:
        raise UsageError(f"There is no {_singular(kind)} '{name}'.{suggest(name, list(known))}")
    return known[name]


def create(kind: Kind, selector: str) -> Any:
    """Load and call a factory with the settings of ``'name[key=value]'``.

    Used for adapters and models, whose entry points name factories. Raises ``UsageError`` for settings the factory
    does not take.
    """
    try:
        name, settings = parse_selector(selector)
    except ValueError as error:
        raise UsageError(f"{_singular(kind)}: {error}.") from error
    factory = get(kind, name).load()
    try:
        return factory(**settings)
    except TypeError as error:
        raise UsageError(f"{_singular(kind)} '{name}' does not take these settings: {error}.") from error


def _singular(kind: Kind) -> str:
    return kind.removesuffix("s")
