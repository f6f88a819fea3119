"""Find what is installed, by entry point; load by name. Nothing is imported until it is asked for.

Ours and a stranger's come through the same doors. A name that two distributions claim is an error that names both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from inspect import signature
from typing import Any, Literal

from kinbench.errors import KinbenchError, UsageError, suggest
from kinbench.tasks import parse_selector

Kind = Literal["adapters", "models", "protocols", "splits", "tasks", "demos", "papers", "weights"]
KINDS: tuple[Kind, ...] = ("adapters", "models", "protocols", "splits", "tasks", "demos", "papers", "weights")


@dataclass(frozen=True)
class Plugin:
    """One registered name, and the distribution it comes from."""

    kind: Kind
    name: str
    distribution: str
    version: str
    entry: EntryPoint
    rivals: tuple[str, ...] = ()
    """Other distributions that claim the name: then nobody gets it."""

    def load(self) -> Any:
        """Import the object.

        Raises ``UsageError`` when another distribution claims the same name, ``KinbenchError`` naming the distribution
        when its code fails to import.
        """
        if self.rivals:
            raise UsageError(
                f"{singular(self.kind)} '{self.name}' is registered by both {self.distribution} and "
                f"{' and '.join(self.rivals)}; uninstall all but one."
            )
        try:
            return self.entry.load()
        except (Exception, SystemExit) as error:
            raise KinbenchError(
                f"{singular(self.kind)} '{self.name}' of {self.distribution} {self.version} cannot be loaded from "
                f"'{self.entry.value}': {type(error).__name__}: {error}; mend or uninstall that package."
            ) from error


def find(kind: Kind) -> dict[str, Plugin]:
    """Return every registered plugin of one kind by name, without importing any."""
    found: dict[str, Plugin] = {}
    for entry in sorted(entry_points(group=f"kinbench.{kind}"), key=lambda entry: entry.name):
        distribution = entry.dist
        plugin = Plugin(
            kind, entry.name,
            distribution.name if distribution else "unknown", distribution.version if distribution else "unknown",
            entry,
        )  # fmt: skip
        other = found.get(entry.name)
        if other is not None and plugin.distribution not in (other.distribution, *other.rivals):
            plugin = replace(other, rivals=(*other.rivals, plugin.distribution))
        found[entry.name] = plugin
    return found


def get(kind: Kind, name: str) -> Plugin:
    """Return one plugin; raises ``UsageError`` with the closest name where there is none."""
    known = find(kind)
    if name not in known:
        there = "There are no" if singular(kind) == kind else "There is no"
        raise UsageError(f"{there} {singular(kind)} '{name}'.{suggest(name, list(known))}")
    return known[name]


def create(kind: Kind, selector: str) -> Any:
    """Load and call a factory with the settings of ``'name[key=value]'``.

    Used for adapters and models, whose entry points name factories. Raises ``UsageError`` for settings the factory
    does not take.
    """
    try:
        name, settings = parse_selector(selector)
    except ValueError as error:
        raise UsageError(f"{singular(kind)}: {error}.") from error
    factory = get(kind, name).load()
    known = settings_of(factory)
    strange = [key for key in settings if known is not None and key not in known]
    if strange:
        raise UsageError(
            f"{singular(kind)} '{name}' has no setting {', '.join(strange)}.{suggest(strange[0], list(known or ()))}"
        )
    try:
        return factory(**settings)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{singular(kind)} '{name}' does not take these settings: {error}.") from error


def settings_text(selector: str) -> str:
    """Return the settings of ``'name[key=value]'`` in one order and spelling, empty where there are none."""
    _, settings = parse_selector(selector)
    return ", ".join(f"{key}={value}" for key, value in sorted(settings.items()))


def settings_of(factory: Any) -> dict[str, Any] | None:
    """Return a factory's settings and their defaults, None where it takes any keyword or does not tell."""
    try:
        parameters = signature(factory).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return {p.name: None if p.default is p.empty else p.default for p in parameters if p.kind is not p.VAR_POSITIONAL}


def singular(kind: Kind) -> str:
    """Return what one plugin of a kind is called."""
    return kind if kind == "weights" else kind.removesuffix("s")
