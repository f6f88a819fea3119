"""A benchmark for joint kinematics from wearable IMUs.

``convert`` raw folders into stores, ``open`` them, ``run`` models under fixed protocols, see the ``leaderboard``. The
names below load on first use, so that ``import kinbench`` costs nothing.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_API = (
    "check_guards", "check_model", "check_protocol", "check_results", "compare", "convert", "data", "demo", "execute",
    "export", "fetch_weights", "finetune", "info", "inspect", "leaderboard", "listing", "manifest_schema", "new_model",
    "open", "page", "papers", "plan", "plot", "predict", "pretrain", "rescore", "run", "search", "study", "train",
    "validate", "weights",
)  # fmt: skip

__all__ = ["__version__", *_API]


def __getattr__(name: str) -> Any:
    if name in _API:
        return getattr(import_module("kinbench.api"), name)
    raise AttributeError(f"module 'kinbench' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
