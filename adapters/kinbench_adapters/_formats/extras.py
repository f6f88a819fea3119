"""Optional packages: imported where a file needs them, and asked for in one sentence where they are absent."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from kinbench.errors import UsageError


def optional(module: str, *, extra: str, reads: str) -> Any:
    """Return the package ``module`` of kinbench's ``extra``; raises ``UsageError`` with the pip command without it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise UsageError(
            f"Reading {reads} needs the package '{module}', which is not installed; install it with: "
            f"pip install 'kinbench[{extra}]'."
        ) from error
