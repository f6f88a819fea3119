"""How a suite says that a promise is broken."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from kinbench.schema import IDENTIFIER

T = TypeVar("T")


def require(kept: bool, sentence: str) -> None:
    """Raise ``AssertionError`` with ``sentence`` unless ``kept``. A statement ``assert`` would vanish under -O."""
    if not kept:
        raise AssertionError(sentence)


def require_raises(action: Callable[[], object], allowed: tuple[type[BaseException], ...], situation: str) -> None:
    """Raise ``AssertionError`` unless ``action`` raises one of ``allowed`` with a message, and nothing else."""
    names = " or ".join(kind.__name__ for kind in allowed)
    try:
        action()
    except allowed as error:
        require(bool(str(error)), f"{situation} must raise {names} with a sentence, and its message is empty.")
        return
    except Exception as error:  # the boundary to foreign code: whatever else it raises is the finding
        raise AssertionError(f"{situation} must raise {names}, got {type(error).__name__}: {error}") from error
    raise AssertionError(f"{situation} must raise {names}, and nothing was raised.")


def attribute(owner: object, name: str, kind: type[T], whose: str) -> T:
    """Return an attribute of the right type; raise ``AssertionError`` where it is missing or another."""
    value = getattr(owner, name, None)
    if not isinstance(value, kind):
        raise AssertionError(f"{whose} must have '{name}', a {kind.__name__}; found {value!r}.")
    return value


def require_texts(owner: object, names: tuple[str, ...], whose: str) -> None:
    """Raise ``AssertionError`` unless each named attribute is a non-empty text."""
    for name in names:
        value = getattr(owner, name, None)
        require(
            isinstance(value, str) and bool(value), f"{whose}.{name} must be a text that is not empty, not {value!r}."
        )


def require_identifier(name: str, whose: str) -> None:
    """Raise ``AssertionError`` unless a name is a short ASCII identifier."""
    require(
        all(IDENTIFIER.fullmatch(part) is not None for part in name.split("/")),
        f"{whose} must be short ASCII identifiers (letters, digits and . _ + -), not {name!r}.",
    )
