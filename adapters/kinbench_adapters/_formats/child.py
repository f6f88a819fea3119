"""A function run in a process of its own, under a limit of time and one of memory.

A damaged file can crash, hang or fill up the interpreter that reads it, where the library is not written in Python. So
such libraries read in a child, which hands back plain values and arrays; or the parent says in a sentence what became
of it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Arrays: TypeAlias = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Told:
    """What goes to a child, and what comes back: JSON-plain ``values``, and ``arrays`` by name (no objects)."""

    values: Any = None
    arrays: Arrays = field(default_factory=dict)


class ChildError(Exception):
    """Why a child brought nothing back, as the end of a sentence."""


TIMEOUT_S = 60.0
MEMORY_BYTES = 4 * 2**30
"""The limits, where nothing else is asked for. Memory is bounded where the system can: not on Windows."""

_MAIN = "import sys; from kinbench_adapters._formats.child import _main; _main(*sys.argv[1:])"
_SAID_BYTES = 4096
_WORDS = 200


def run(
    function: Callable[[Told], Told],
    asked: Told | None = None,
    *,
    timeout_s: float = TIMEOUT_S,
    memory_bytes: int = MEMORY_BYTES,
) -> Told:
    """Return what ``function``, which stands at the top of a module, makes of ``asked`` in a process of its own.

    It starts in an empty folder, which goes with it. Raises ``ChildError`` where it raises, crashes, takes longer or
    needs more memory than it may.
    """
    with tempfile.TemporaryDirectory(prefix="kinbench-child-") as folder:
        place = Path(folder)
        _write(place / "asked", asked or Told())
        status = _started(place, function, timeout_s, memory_bytes)
        if status or not (place / "answer.json").exists():
            raise ChildError(_why(place, status, memory_bytes))
        return _read(place / "answer")


def _started(place: Path, function: Callable[[Told], Told], timeout_s: float, memory_bytes: int) -> int:
    """Run the child to its end and return its status."""
    work = place / "work"
    work.mkdir()
    # -P: a module that lies in the folder of the recordings is not to be imported.
    command = [sys.executable, "-P", "-c", _MAIN, str(place), function.__module__, function.__name__, str(memory_bytes)]
    with (place / "said").open("wb") as said:
        try:
            return subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said, timeout=timeout_s, cwd=work,
                check=False,
            ).returncode  # fmt: skip
        except subprocess.TimeoutExpired:
            raise ChildError(f"its process did not end within {timeout_s:g} s") from None


def _why(place: Path, status: int, memory_bytes: int) -> str:
    """Return why a child left no answer: by its own word, else by the last line of its errors, else by its status."""
    if (place / "failed").exists():
        return (place / "failed").read_text(encoding="utf-8")
    said = (place / "said").read_bytes()[-_SAID_BYTES:].decode("utf-8", "replace")
    if "bad_alloc" in said or "MemoryError" in said:
        return _too_much(memory_bytes)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1][:_WORDS] if lines else f"its process ended with status {status}"


def _too_much(memory_bytes: int) -> str:
    return f"its process needs more than {memory_bytes / 2**30:g} GiB of memory"


def _write(at: Path, told: Told) -> None:
    """Write the arrays, by number, and then the values: where those are, all is there."""
    np.savez(at.with_suffix(".npz"), allow_pickle=False, **{str(n): a for n, a in enumerate(told.arrays.values())})
    text = json.dumps({"values": told.values, "arrays": list(told.arrays)})
    at.with_suffix(".json").write_text(text, encoding="utf-8")


def _read(at: Path) -> Told:
    told = json.loads(at.with_suffix(".json").read_text(encoding="utf-8"))
    with np.load(at.with_suffix(".npz"), allow_pickle=False) as stored:
        return Told(told["values"], {name: stored[str(number)] for number, name in enumerate(told["arrays"])})


# --- the child's side -------------------------------------------------------------------------------------------------


def _main(folder: str, module: str, function: str, memory_bytes: str) -> None:
    """Answer what ``folder`` asks; whatever goes wrong is written there as the end of a sentence."""
    place = Path(folder)
    _limit_memory(int(memory_bytes))
    try:
        _write(place / "answer", getattr(import_module(module), function)(_read(place / "asked")))
    except MemoryError:
        (place / "failed").write_text(_too_much(int(memory_bytes)), encoding="utf-8")
    except Exception as error:  # whatever a library makes of damaged bytes, the parent says it of this file
        words = f"{type(error).__name__}: {' '.join(str(error).split())}"
        (place / "failed").write_text(words[:_WORDS], encoding="utf-8")


def _limit_memory(memory_bytes: int) -> None:
    """Bound the address space where the system can."""
    if sys.platform == "win32":
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    soft = memory_bytes if hard == resource.RLIM_INFINITY else min(memory_bytes, hard)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
