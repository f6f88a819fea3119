"""Protocols, results and the guards themselves, put to the test."""

from __future__ import annotations

from contextlib import suppress

from kinbench import runner, testing
from kinbench.api.places import Folder, Names, cache_of, listed, load_all, open, read_results, stores_in
from kinbench.conversion import Progress, ignore
from kinbench.errors import NotApplicable, UsageError
from kinbench.plugins import create, get
from kinbench.runner import Check
from kinbench.runner.auditing import Finding, audit
from kinbench.tasks import Task
from kinbench.testing.leaks import Caught
from kinbench.testing.models import Cohort, Examination, examine, made_up, recorded
from kinbench.windows import TaskData, prepare


def check_protocol(
    protocols: Names = None,
    *,
    tasks: Names = None,
    datasets: Names = None,
    data: Folder = None,
    on_progress: Progress = ignore,
) -> Check:
    """Put protocols, ours or a stranger's, to the test: what they promise, and the leak check on every fold.

    Promises are tried on made-up cohorts (``testing.check_protocol``), folds on the stores in the data folder, with
    their samples. What is left out means all; without a store, only promises are tried. Raises ``UsageError`` for an
    unknown name.
    """
    chosen = load_all("protocols", protocols)
    broken = {}
    for done, (name, protocol) in enumerate(chosen.items()):
        on_progress(done, len(chosen), f"{name}: made-up cohorts")
        try:
            testing.check_protocol(protocol)
        except AssertionError as breach:
            broken[name] = str(breach)
        except Exception as error:  # the boundary to foreign code: one that breaks disturbs nobody else's check
            broken[name] = f"breaks on a made-up cohort: {type(error).__name__}: {error}"
    stores = [open(name, data=data) for name in (listed(datasets) or stores_in(data))]
    workspace = runner.Workspace(tuple(stores), cache_of(data))
    rows = runner.check(workspace, chosen, load_all("tasks", tasks) if stores else {}, on_progress=on_progress)
    return Check(tuple(chosen), broken, rows)


def check_model(
    model: str, *, task: str | None = None, data: Folder = None, on_progress: Progress = ignore
) -> Examination:
    """Put a model, ours or a stranger's, to the test, promise by promise; a broken one hides none of the others.

    ``model`` may carry settings, ``'name[key=value]'``. Without ``task`` it is tried on two small tasks of made-up
    people; with one on made-up people of it, or, where ``data`` names a folder of stores, on some of theirs. Raises
    ``UsageError`` for an unknown name or setting, ``NotApplicable`` where no store holds a window of the task.
    """
    create("models", model)
    if task is None and data is not None:
        raise UsageError("--data goes with --task: it says of which task the windows are to be.")
    cohorts: list[Cohort] = []
    if task is not None:
        chosen = get("tasks", task).load()
        cohorts = [made_up(chosen) if data is None else recorded(_windows(chosen, data))]
    return Examination(model, examine(lambda: create("models", model), cohorts or None, on_progress=on_progress))


def _windows(task: Task, data: Folder) -> list[TaskData]:
    """Return what of each store feeds a task."""
    found = []
    for path in stores_in(data).values():
        with suppress(NotApplicable):
            found.append(prepare(open(path), task, cache=cache_of(data)))
    return found


def check_results(*, results: Folder = None) -> tuple[Finding, ...]:
    """Return what of the kept results was chosen, left out, or tried again on the same test view; see ``audit``."""
    return audit(read_results(results))


def check_guards(*, on_progress: Progress = ignore) -> tuple[Caught, ...]:
    """Plant every leak we know of in made-up data and return the sentence that refuses each (None: it passed)."""
    return testing.check_guards(on_progress)
