"""Reading what a proposal describes, as far as it goes: for plots, and to measure how the clocks stand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from kinbench import harmonisation
from kinbench.contracts import DatasetCard, Guess
from kinbench.errors import DataError, UsageError
from kinbench.recording import Recording
from kinbench_adapters._lab.inventory import take_inventory
from kinbench_adapters._lab.manifest import FILE_NAME, read_manifest
from kinbench_adapters._lab.recording import load

MOST_DRAFTS = 2
MOST_BYTES = 2**26
_FILLED = {"licence": "none stated", "subject": "P1", "activity": "unknown", "tier": "imu_fusion",
           "convention": "axis_angle", "kind": "specific_force", "sign": "1", "method": "hardware",
           "order": "wxyz", "maps": "sensor_to_world", "up": "z", "version": "1"}  # fmt: skip
_UNITS = {"acc": "m/s2", "gyr": "rad/s", "mag": "a.u.", "reference": "deg"}


def draft(raw: Path, text: str, guesses: Mapping[str, Guess]) -> list[Recording]:
    """Return the first recordings that the manifest describes, in schema units, its questions answered at random.

    What cannot be read is left out, for a proposal must not fail by what it has to ask for.
    """
    plain = _filled(yaml.load(text, Loader=yaml.BaseLoader))
    if plain is None:
        return []
    plain["root"] = str(raw.resolve())
    found: list[Recording] = []
    with TemporaryDirectory() as folder:
        file = Path(folder) / FILE_NAME
        file.write_text(json.dumps(plain), encoding="utf-8")
        try:
            manifest, root = read_manifest(file)
            plans, _ = take_inventory(manifest, file, root)
        except (UsageError, DataError):
            return []
        card = DatasetCard("draft", "draft", "1", "", "none stated", False, "", "")
        plans.sort(key=lambda plan: not plan.reference)
        for plan in plans[:MOST_DRAFTS]:
            if sum(path.stat().st_size for path in plan.paths) > MOST_BYTES:
                continue
            try:
                found.append(harmonisation.harmonise(load(plan, card, "1")))
            except (DataError, UsageError):
                continue
    return found


def _filled(plain: Any) -> dict[str, Any] | None:
    """Return the manifest with every empty value filled; None where an empty one has no harmless filling."""
    if plain.get("imu", {}).get("rate_hz") == "" or plain.get("reference", {}).get("rate_hz") == "":
        return None
    _fill(plain, "")
    angles = plain.get("reference", {}).get("angles", {})
    for name in [name for name in angles if name[-2:] not in ("_r", "_l") and not name.startswith("pelvis")]:
        angles[f"{name}_r"] = angles.pop(name)
    return plain if isinstance(plain, dict) else None


def _fill(node: Any, parent: str) -> None:
    for key, value in list(node.items()):
        if isinstance(value, dict):
            _fill(value, key)
        elif value == "" and key == "segment":
            node[key] = "trunk"
        elif value == "" and key == "unit":
            node[key] = _UNITS.get(parent, "deg")
        elif value == "":
            node[key] = _FILLED.get(key, value)
