"""Ridge from sums of persons against the same problem written out row by row, with gaps and labels missing."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from kinbench_benchmarks.models.ridge import FIT_GRID, Ridge

from kinbench.testing.models import BODY, windows

LAGS, REACH_S, THIN = 5, 0.2, 2


def gapped(seed, people):
    """Windows with a sensor missing in one person, single samples lost, and DoFs labelled on different samples."""
    made = windows(BODY, seed, people=people, clean=False)
    signals = made.signals + np.float32(9.81)  # an offset far above the SD, as gravity's
    signals[np.random.default_rng(seed).random(len(signals)) < 0.02, -1] = np.nan
    labelled = made.labelled.copy()
    labelled[: len(labelled) // 2, 1] = labelled[: len(labelled) // 2, 0]
    targets = np.where(labelled, np.nan_to_num(made.targets), np.nan).astype(np.float32)
    return replace(made, signals=signals, targets=targets, labelled=labelled)


def rows_of(batches, mean, sd):
    """Every sample learnt from: z-scores at all lags (n, p) with missing ones 0, targets and labels (n, dof)."""
    x = (batches.x.astype(np.float64) - mean) / sd
    x[~np.isfinite(x)] = 0.0
    time = np.arange(THIN // 2, BODY.window, THIN)
    offsets = np.rint(np.linspace(-REACH_S, REACH_S, LAGS) * BODY.rate_hz).astype(int)
    context = np.concatenate([x[:, np.clip(time + offset, 0, BODY.window - 1)] for offset in offsets], axis=2)
    return (
        context.reshape(-1, context.shape[2]), batches.y[:, time].reshape(-1, 2).astype(np.float64),
        batches.valid[:, time].reshape(-1, 2),
    )  # fmt: skip


def refitted(train, valid, test):
    """Root mean squared errors (dof,) of least squares with a penalty, by rows stacked under the data."""
    x = train.x.astype(np.float64)
    mean, sd = np.nanmean(x, axis=(0, 1)), np.nanstd(x, axis=(0, 1))
    (a, y, known), (va, vy, vknown), (ta, ty, tknown) = (rows_of(part, mean, sd) for part in (train, valid, test))
    errors = []
    for dof in range(2):
        use, judge, score = known[:, dof], vknown[:, dof], tknown[:, dof]
        centre, level = a[use].mean(0), y[use, dof].mean()
        found = []
        for penalty in FIT_GRID:
            below = np.sqrt(penalty * use.sum()) * np.eye(a.shape[1])
            stacked = np.concatenate([a[use] - centre, below]), np.append(y[use, dof] - level, np.zeros(a.shape[1]))
            weights = np.linalg.lstsq(*stacked, rcond=None)[0]
            wrong = (va[judge] - centre) @ weights + level - vy[judge, dof]
            found.append((np.mean(wrong**2), weights))
        weights = min(found, key=lambda each: each[0])[1]
        errors.append(np.sqrt(np.mean(((ta[score] - centre) @ weights + level - ty[score, dof]) ** 2)))
    return np.array(errors)


def errors_of(model, test):
    """The errors of a fitted ridge in float64: its float32 predictions would hide what is below 1e-7."""
    known = model._fitted
    x, y, labels = rows_of(test, known.mean, known.sd)
    wrong = np.where(labels, x @ known.map.weights.T + known.map.intercept - y, 0.0)
    return np.sqrt((wrong**2).sum(0) / labels.sum(0))


@pytest.fixture(scope="module")
def roles():
    return gapped(1, 3), gapped(2, 2), gapped(3, 2)


def test_errors_are_those_of_rows_stacked_for_every_set_of_sensors(roles):
    train, valid, _ = roles
    ridge = Ridge(REACH_S, LAGS, THIN)
    subsets = [some for count in (1, 2, 3) for some in combinations(BODY.segments, count)]
    models = ridge.fit_from(ridge.summarise(train), ridge.summarise(valid), subsets, seed=0)
    for sensors, model in zip(subsets, models, strict=True):
        narrow = [part.narrowed(sensors) for part in roles]
        np.testing.assert_allclose(errors_of(model, narrow[2]), refitted(*narrow), rtol=1e-9)


def test_an_offset_costs_no_digits(roles):
    """Inputs some hundred times their SD away from zero, many times gravity, and with gaps."""
    near = [replace(part, signals=np.round(part.signals * 64) / np.float32(64)) for part in roles]
    far = [replace(part, signals=part.signals + np.float32(512)) for part in near]
    errors = []
    for train, valid, test in (near, far):
        model = Ridge(REACH_S, LAGS, THIN)
        model.fit(train, valid, seed=0)
        errors.append(errors_of(model, test))
    np.testing.assert_allclose(*errors, rtol=1e-9)
