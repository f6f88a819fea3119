"""What a model promises, tried on windows with missing sensors and masked targets, a promise at a time.

``cohorts`` has the windows, ``trials`` what a promise and a model on trial are; the promises themselves stand in
``answers``, ``states``, ``sums``, ``horizons`` and, of what a model must not reach, in ``testing.probes``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from kinbench.errors import NotApplicable
from kinbench.tasks import Task
from kinbench.testing import probes
from kinbench.testing.claims import require
from kinbench.testing.models import answers, horizons, states, streams, sums
from kinbench.testing.models.cohorts import BODY, PAIR, Cohort, MadeUp, Recorded, recorded, windows
from kinbench.testing.models.horizons import Horizon, measure
from kinbench.testing.models.trials import Examination, Factory, Finding, Promise, Status, Trial
from kinbench.windows import TaskSpec

__all__ = [
    "BODY", "PAIR", "PROMISES", "Cohort", "Examination", "Finding", "Horizon", "MadeUp", "Promise", "Recorded",
    "check_model", "examine", "made_up", "measure", "recorded", "windows",
]  # fmt: skip

PROMISES: tuple[Promise, ...] = (
    *answers.PROMISES, *states.PROMISES, *sums.PROMISES, *streams.PROMISES, *probes.PROMISES, *horizons.PROMISES
)  # fmt: skip
"""Every promise, in the order in which they are tried: what others rest on comes first."""


def check_model(factory: Factory, spec: TaskSpec | None = None) -> None:
    """Raise ``AssertionError`` at the first promise of ``contracts.Model`` that the factory's models break.

    ``factory()`` returns a fresh model, as an entry point does without settings; give it short training. ``spec`` is
    the task to try, two of ours where it is left out. Models with ``adapt`` are held to ``AdaptiveModel`` too, those
    with ``normalise`` to ``SelfNormalisingModel``, those with ``summarise`` to ``AdditiveModel``, and so on.
    A model that raises ``NotApplicable`` in ``fit`` for a task is believed, and not held to anything on it.
    """
    fits = False
    for trial in _trials(factory, _cohorts(factory, spec)):
        answers.check_card(trial)
        if not _applies(trial):
            continue
        fits, model = True, trial.factory()
        for promise in PROMISES:
            if promise.inapplicable(model) is None:
                promise.check(trial)
    require(fits, "The model is not applicable to any of the tasks tried; pass the spec of one that it is.")


def examine(
    factory: Factory,
    cohorts: Sequence[Cohort] | None = None,
    *,
    on_progress: Callable[[int, int, str], None] = lambda done, total, label: None,
) -> tuple[Finding, ...]:
    """Return what came of every promise, on every cohort, a broken one hiding none of the others.

    What a model raises where it should not is a breach too. ``cohorts`` are made-up ones of two tasks of ours, unless
    said.
    """
    trials = list(_trials(factory, cohorts or _cohorts(factory, None)))
    rows, steps = [], len(trials) * len(PROMISES)
    for number, trial in enumerate(trials):
        for done, finding in enumerate(_findings(trial)):
            rows.append(finding)
            on_progress(number * len(PROMISES) + done + 1, steps, f"{trial.spec.task}: {finding.promise}")
    return tuple(rows)


def made_up(task: Task) -> MadeUp:
    """Return made-up people for a task."""
    spec = TaskSpec(
        task.name, task.version, task.channel_names, task.dofs, task.segments, task.rate_hz, task.window
    )  # fmt: skip
    return MadeUp(spec, oriented=task.orientations)


def _cohorts(factory: Factory, spec: TaskSpec | None) -> tuple[Cohort, ...]:
    oriented = bool(getattr(factory(), "oriented", False))
    return tuple(MadeUp(each, oriented=oriented) for each in ((spec,) if spec else (PAIR, BODY)))


def _trials(factory: Factory, cohorts: Sequence[Cohort]) -> Iterator[Trial]:
    return (Trial(factory, cohort) for cohort in cohorts)


def _applies(trial: Trial) -> bool:
    try:
        _ = trial.ordinary
    except NotApplicable:
        return False
    return True


def _findings(trial: Trial) -> Iterator[Finding]:
    """Yield a finding per promise; after a founding one that is broken there is nothing left to judge."""
    halted = ""
    for promise in PROMISES:
        if halted:
            yield Finding(promise.name, trial.spec.task, "not applicable", halted)
            continue
        reason = promise.inapplicable(trial.factory())
        if reason is not None:
            yield Finding(promise.name, trial.spec.task, "not applicable", reason)
            continue
        status, sentence = _found(promise, trial)
        yield Finding(promise.name, trial.spec.task, status, sentence)
        if promise.founding and status != "kept":
            halted = f"cannot be judged, since '{promise.name}' is {status}"


def _found(promise: Promise, trial: Trial) -> tuple[Status, str]:
    try:
        return "kept", promise.check(trial) or promise.tells
    except AssertionError as breach:
        return "broken", str(breach)
    except NotApplicable as reason_given:
        return "not applicable", str(reason_given)
    except (Exception, SystemExit) as error:  # the boundary to foreign code: one breach hides no other
        return "broken", f"{type(error).__name__}: {error}"
