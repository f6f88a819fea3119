"""The manifest's grammar as a JSON Schema, so that an editor completes keys and words and marks what is wrong."""

from __future__ import annotations

from typing import Any

from kinbench_adapters._lab.manifest import Manifest

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_SCALARS = ["string", "number", "boolean"]


def json_schema() -> dict[str, Any]:
    """Return the schema of ``kinbench.yaml``.

    It knows keys, words and kinds of values. What holds between keys (units go with angles, say) only reading tells.
    """
    return {"$schema": DIALECT, **_as_yaml_reads(Manifest.model_json_schema())}


def _as_yaml_reads(node: Any) -> Any:
    """Return the schema with every value allowed that YAML makes of what an author writes.

    A manifest's scalars are text until a key asks for a number; for an editor ``1`` is a number and ``no`` false. An
    empty value stands for a key that is left out.
    """
    if isinstance(node, list):
        return [_as_yaml_reads(item) for item in node]
    if not isinstance(node, dict):
        return node
    read = {name: _as_yaml_reads(value) for name, value in node.items()}
    if "const" in read:
        read["enum"] = [read.pop("const")]
    if isinstance(read.get("enum"), list):
        read["enum"] = [spelling for word in read["enum"] for spelling in _spellings(word)]
        read.pop("type", None)
    elif read.get("type") == "string" and "pattern" not in read:
        read["type"] = _SCALARS
    elif read.get("type") == "string":
        read = {"anyOf": [read, {"type": "number"}]}
    return read


def _spellings(word: Any) -> list[Any]:
    """Return a word, and the number that YAML reads in its stead."""
    try:
        return [word, int(word)]
    except (TypeError, ValueError):
        return [word]
