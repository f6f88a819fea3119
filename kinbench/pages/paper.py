"""The sheet that pages are printed on: templates with everything escaped, and the shapes of verdicts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from kinbench.pages.pictures import Picture

SHAPES = {
    "PASS": "✔", "FAIL": "✘", "NOT ASSESSED": "–", "COMPARED": "✔", "known": "✔", "guessed": "≈", "open": "?",
}  # fmt: skip
"""A mark that says the verdict in print and to those who see no colours; the word stands beside it."""
DASH = "–"


def rendered(template: str, **values: Any) -> str:
    """Return a page. Every value is escaped, but for the pictures, which are ours."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "svg": _svg, "told": told}
    environment.globals |= {"shapes": SHAPES}
    return environment.get_template(template).render(**values)


def number(value: float | None, spec: str = ".3g") -> str:
    """Return a number as people read it, a dash where there is none."""
    return DASH if value is None or not math.isfinite(value) else format(value, spec)


def told(value: Any) -> str:
    """Return a JSON-plain value as a person would write it."""
    if value is None:
        return DASH
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {told(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(told(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _svg(picture: Picture) -> Markup:
    return Markup(picture.svg)  # matplotlib wrote it, and escapes every text in it
