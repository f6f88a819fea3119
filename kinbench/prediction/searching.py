"""Settings of a model, searched for on people who are in no test: tree-structured Parzen estimators (TPE).

Bergstra et al. (NeurIPS 2011), as Optuna has it. Every trial is written down the moment it is judged, and the next one
depends on those written down and on the seed alone: a search that was stopped goes on as if it had not been.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from kinbench import __version__, plugins
from kinbench.contracts import Choice, Real, Searchable, Training
from kinbench.engines import THREADS
from kinbench.errors import KinbenchError, UsageError
from kinbench.files import publish, working_folder
from kinbench.metrics import UNITS
from kinbench.prediction import cards
from kinbench.prediction.material import Material, Progress, gather
from kinbench.prediction.preparation import plugins_doing, progress_of, ready
from kinbench.provenance import SEARCH, SEARCH_FORMAT, Origin, Search, read_search
from kinbench.store import Store
from kinbench.tasks import Task, parse_selector, selector_of

STARTUP = 10
"""So many trials are drawn at random before the first is drawn from what they came to (Optuna's own default)."""
DIGITS = 4
"""Numbers are tried to so many significant digits: a selector stays one that a person can type."""
Setting = bool | int | float | str


def search(
    stores: Sequence[Store],
    task: Task,
    selector: str,
    folder: Path,
    *,
    trials: int,
    seed: int = 0,
    cache: Path,
    origin: Origin | None = None,
    device: str = "cpu",
    force: bool = False,
    on_progress: Progress = lambda done, total, label: None,
) -> Search:
    """Search a registered model's ``space`` for the settings of the least error on validation persons; keep all of it.

    The stores' persons are dealt as ``train`` deals them; each trial is fitted on the one part and judged by the mean
    over DoFs of the RMSE (over persons within a DoF) on the other. No protocol is involved, and all of these persons
    count as seen by whatever takes the settings. ``selector`` may fix settings, which are then not searched. In
    ``folder``, ``search.json`` is written after every trial; asked again with more trials it goes on (``force``
    begins anew). A trial that fails is kept with its reason. Raises ``UsageError`` for a model without a space, a
    budget below one, a folder that holds another search, or where Optuna (the extra ``search``) is not installed.
    """
    _optuna()
    if trials < 1:
        raise UsageError(f"Expected at least one trial, got {trials}.")
    space = _space(selector)
    ready(selector, origin, Training(device))
    path = folder / SEARCH
    if path.exists() and not path.is_file():
        raise UsageError(f"Expected a file at '{path}', found a folder; name another one.")
    material = gather(stores, task, cache=cache, on_progress=on_progress)
    told = _about(material, selector, origin, space, seed, device, cache)
    done = [] if force else _before(path, told)
    with threadpool_limits(limits=THREADS), redirect_stdout(sys.stderr):
        for number in range(len(done), trials):
            best = _best(done)
            on_progress(number, trials, "" if best is None else f"best {best['score']:.3f} {told['unit']}")
            settings = _suggest(space, done, seed)
            done.append(_trial(number, settings, selector, origin, material, seed, device, folder))
            _write(path, {**told, "budget": trials, "trials": done, "best": _best(done)})
    on_progress(trials, trials, "done")
    return read_search(path)


# --- what is searched ------------------------------------------------------------------------------------------------


def _space(selector: str) -> dict[str, Real | Choice]:
    model = plugins.create("models", selector)
    if not isinstance(model, Searchable):
        raise UsageError(f"The model '{selector}' does not say what is worth a search: it has no 'space'.")
    name, fixed = parse_selector(selector)
    known = plugins.settings_of(plugins.get("models", name).load())
    wrong = [key for key in model.space if known is not None and key not in known]
    broken = [key for key, range_ in model.space.items() if not _sound(range_)]
    if wrong or broken:
        raise KinbenchError(
            f"The model '{name}' names a space that cannot be searched: {', '.join([*wrong, *broken])}; each must be a "
            "setting of it, with options, or with finite bounds, the lower one first, and above 0 on a log scale."
        )
    space = {key: range_ for key, range_ in model.space.items() if key not in fixed}
    if not space:
        raise UsageError(f"The settings of '{selector}' leave nothing to search; leave one of them out.")
    return space


def _sound(range_: Real | Choice) -> bool:
    if isinstance(range_, Choice):
        return bool(range_.options)
    finite = math.isfinite(range_.low) and math.isfinite(range_.high)
    return finite and range_.low < range_.high and (range_.low > 0 or not range_.log)


def _about(
    material: Material, selector: str, origin: Origin | None, space: Mapping[str, Real | Choice], seed: int,
    device: str, cache: Path,
) -> dict[str, Any]:  # fmt: skip
    """Return what a search's file says besides its trials."""
    model = ready(selector, origin, Training(device))
    return {
        "format": SEARCH_FORMAT, "kinbench": __version__, "threads": THREADS, "device": device, "seed": seed,
        "sampler": f"TPE, {STARTUP} random trials first", "model": cards.model_part(model, selector, learnt=False),
        "space": {name: {"kind": type(range_).__name__, **_plain(asdict(range_))} for name, range_ in space.items()},
        "objective": "mean over DoFs of the mean over validation persons of RMSE",
        "unit": UNITS[material.task.quantity],
        "task": cards.task_part(material.task), "stores": material.store_parts(cache),
        "simulation": any(entry.simulation for entry in material.entries), "persons": material.persons(),
        "began_from": cards.origin_part(origin),
    }  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, tuple) else value


def _before(path: Path, told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the trials of an earlier search of the same; raises ``UsageError`` where it was of something else."""
    if not path.is_file():
        return []
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        same = all(_identity(plain)[name] == value for name, value in _identity(told).items())
        trials = list(plain["trials"])
    except (ValueError, KeyError, TypeError, AttributeError):
        same, trials = False, []
    if not same:
        raise UsageError(
            f"'{path}' holds a search of another model, space, task, seed or of other stores; name another folder, or "
            "say --force to replace it."
        )
    return trials


def _identity(told: Mapping[str, Any]) -> dict[str, Any]:
    model = {name: told["model"][name] for name in ("selector", "version", "distribution_version")}
    return {
        "format": told["format"], "model": model, "space": told["space"], "seed": told["seed"],
        "task": told["task"]["digest"], "stores": [(store["name"], store["digest"]) for store in told["stores"]],
        "began_from": (told["began_from"] or {}).get("sha256"), "sampler": told["sampler"],
    }  # fmt: skip


# --- one trial -------------------------------------------------------------------------------------------------------


def _trial(
    number: int, settings: Mapping[str, Setting], selector: str, origin: Origin | None, material: Material, seed: int,
    device: str, folder: Path,
) -> dict[str, Any]:  # fmt: skip
    begin = time.perf_counter()
    chosen = _selector(selector, settings)
    asked = chosen if origin is None else f"{chosen}@{origin.folder if origin.card is None else origin.folder.parent}"
    row: dict[str, Any] = {"number": number, "settings": dict(settings), "selector": asked, "score": None, "dofs": {}}
    try:
        with working_folder(progress_of(folder / SEARCH, chosen, seed)) as checkpoints:
            model = ready(chosen, origin, Training(device, checkpoints))
            with plugins_doing(f"the model '{chosen}' could not be fitted"):
                model.fit(material.batches("fit"), material.batches("validation"), seed=seed)
                row["dofs"] = _by_dof(material.scores(model))
        row["score"] = float(np.mean([*row["dofs"].values()])) if row["dofs"] else None
        row["reason"] = None if row["dofs"] else "no validation person has a reference to be judged by"
    except KinbenchError as error:
        row["reason"] = str(error)
    return {**row, "seconds": round(time.perf_counter() - begin, 3)}


def _selector(selector: str, settings: Mapping[str, Setting]) -> str:
    name, fixed = parse_selector(selector)
    return selector_of(name, {**fixed, **settings})


def _by_dof(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for row in rows:
        if row["rmse"] is not None:
            found.setdefault(row["dof"], []).append(float(row["rmse"]))
    return {dof: float(np.mean(values)) for dof, values in found.items()}


def _best(trials: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return the trial of the least error, the first of equals."""
    judged = [trial for trial in trials if trial["score"] is not None]
    return dict(min(judged, key=lambda trial: (trial["score"], trial["number"]))) if judged else None


def _write(path: Path, plain: Mapping[str, Any]) -> None:
    text = json.dumps(plain, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    publish((text + "\n").encode(), path)


# --- the sampler -----------------------------------------------------------------------------------------------------


def _optuna() -> ModuleType:
    """Return the library, which tells nobody of every study it makes; raises ``UsageError`` where it is not there."""
    try:
        import optuna
    except ImportError as error:
        raise UsageError("A search needs Optuna; install it with: pip install 'kinbench[search]'.") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _suggest(space: Mapping[str, Real | Choice], trials: Sequence[Mapping[str, Any]], seed: int) -> dict[str, Setting]:
    """Return the next settings: a function of the space, the trials so far and the seed, and of nothing else."""
    optuna = _optuna()
    sampler = optuna.samplers.TPESampler(n_startup_trials=STARTUP, seed=_seed_of(seed, len(trials)))
    study = optuna.create_study(direction="minimize", sampler=sampler)
    distributions = {name: _distribution(range_) for name, range_ in space.items()}
    state = optuna.trial.TrialState
    study.add_trials([
        optuna.trial.create_trial(
            params=_params(space, trial["settings"]), distributions=distributions, value=trial["score"],
            state=state.FAIL if trial["score"] is None else state.COMPLETE,
        )
        for trial in trials
    ])  # fmt: skip
    asked = study.ask(fixed_distributions=distributions).params
    return {name: _value(range_, asked[name]) for name, range_ in space.items()}


def _seed_of(seed: int, number: int) -> int:
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def _distribution(range_: Real | Choice) -> Any:
    optuna = _optuna()
    if isinstance(range_, Real):
        return optuna.distributions.FloatDistribution(range_.low, range_.high, log=range_.log)
    # By its number: options may be of several kinds, and 1 and True are two of them.
    return optuna.distributions.CategoricalDistribution(tuple(range(len(range_.options))))


def _value(range_: Real | Choice, asked: Any) -> Setting:
    """Return what is tried: one of the options, or a number of few digits inside its bounds."""
    if isinstance(range_, Choice):
        return range_.options[int(asked)]
    return min(max(float(f"{asked:.{DIGITS}g}"), range_.low), range_.high)


def _params(space: Mapping[str, Real | Choice], settings: Mapping[str, Setting]) -> dict[str, Any]:
    return {name: _param(range_, settings[name]) for name, range_ in space.items()}


def _param(range_: Real | Choice, value: Setting) -> float | int:
    if isinstance(range_, Real):
        return float(value)
    return next(n for n, option in enumerate(range_.options) if type(option) is type(value) and option == value)
