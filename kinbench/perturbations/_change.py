"""One named change of inputs or labels, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Setting = bool | int | float | str


@dataclass(frozen=True)
class Change:
    """One thing done to what a model is given: its kind (``KINDS``) and settings, sorted by name."""

    kind: str
    settings: tuple[tuple[str, Setting], ...] = ()

    @classmethod
    def of(cls, kind: str, **settings: Setting) -> Change:
        """Return a change with its settings in the one order that equal changes share."""
        return cls(kind, tuple(sorted(settings.items())))

    def plain(self) -> list[Any]:
        """Return the change as JSON values, for digests."""
        return [self.kind, [[name, value] for name, value in self.settings]]

    def __str__(self) -> str:
        if not self.settings:
            return self.kind
        return f"{self.kind}[{','.join(f'{name}={value}' for name, value in self.settings)}]"
