"""A package to begin with: a model of one's own, installable, that keeps every promise before a line is changed.

The templates below ``model/`` are whole files of a model called ``my-lstm``; a new one has its name in their place.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from kinbench import plugins
from kinbench.errors import UsageError

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST = 30
_PLACES = {
    "pyproject.toml": "pyproject.toml", "README.md": "README.md", "model.py": "src/my_lstm/__init__.py",
    "test_model.py": "tests/test_my_lstm.py",
}  # fmt: skip
"""Templates, and the files that they become."""


@dataclass(frozen=True)
class Scaffold:
    """A package that was written: the model's ``name``, the ``folder``, and the ``files`` in it, relative to it."""

    name: str
    folder: Path
    files: tuple[Path, ...]

    @property
    def commands(self) -> tuple[str, ...]:
        """What to type next, in order."""
        return (
            f"pip install -e {self.folder}",
            f"kinbench check model {self.name}",
            f"kinbench run --protocol cross-dataset --model {self.name}",
        )

    def text(self) -> str:
        """Return what was written and what to do next, for a person."""
        written = [f"wrote {self.folder / path}" for path in self.files]
        return "\n".join([*written, "", "next:", *(f"  {command}" for command in self.commands)])

    def to_json(self) -> dict[str, object]:
        """Return it as plain JSON values."""
        return {
            "name": self.name, "folder": str(self.folder), "files": [path.as_posix() for path in self.files],
            "commands": list(self.commands),
        }  # fmt: skip


def new_model(name: str, to: Path | None = None) -> Scaffold:
    """Write an installable package with a model called ``name`` into the folder ``to``, ``./<name>`` unless said.

    ``name`` is lower-case letters, digits and single hyphens, a letter first: it names the model, the distribution
    and, with underscores, the module. Raises ``UsageError`` for any other name, one that an installed model has, one
    whose module would hide another, and for a folder that is there and not empty. Nothing is written then.
    """
    _check_name(name)
    folder = Path(name) if to is None else to
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UsageError(f"--to: expected a new or empty folder, and '{folder}' is there already; name another.")
    texts = {place: template.read_text(encoding="utf-8") for place, template in _templates().items()}
    words = {"my-lstm": name, "my_lstm": module_of(name), "MyLstm": _class_of(name, texts.values())}
    written = []
    for place, text in texts.items():
        path = Path(_filled(place, words))
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(_filled(text, words), encoding="utf-8")
        written.append(path)
    return Scaffold(name, folder, tuple(written))


def module_of(name: str) -> str:
    """Return the module of a model's package."""
    return name.replace("-", "_")


def _templates() -> dict[str, Path]:
    there = files("kinbench.scaffolds") / "model"
    return {place: Path(str(there / f"{template}.template")) for template, place in _PLACES.items()}


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name) or len(name) > LONGEST:
        raise UsageError(
            f"A model's name: expected lower-case letters, digits and single hyphens, a letter first, at most "
            f"{LONGEST} in all, such as my-lstm; got '{name}'."
        )
    module = module_of(name)
    if keyword.iskeyword(module):
        raise UsageError(f"A model's name: '{module}' is a word of Python, and no module can be called so.")
    taken = plugins.find("models").get(name)
    if taken is not None:
        raise UsageError(
            f"There is a model '{name}' already, of {taken.distribution} {taken.version}; choose another name."
        )
    if find_spec(module) is not None:
        raise UsageError(f"There is a Python module '{module}' already, which yours would hide; choose another name.")


def _class_of(name: str, texts: Iterable[str]) -> str:
    """Return a name for the class that is no word of Python's, nor of the templates."""
    found = "".join(part.capitalize() for part in name.split("-"))
    used = set(re.findall(r"\w+", "\n".join(texts)))
    return f"{found}Model" if keyword.iskeyword(found) or (found in used and found != "MyLstm") else found


def _filled(text: str, words: dict[str, str]) -> str:
    return re.sub("|".join(words), lambda found: words[found[0]], text)
