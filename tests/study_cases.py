"""Results of studies as runs would leave them, made by hand: errors are known, persons differ by what sums to zero."""

import numpy as np
from result_cases import protocol, result

STUDY = {"study": True, "ranks": False}
OFFSETS = (-1.0, -0.5, 0.5, 1.0)
"""What persons differ by; their sum is zero, so that means are those of the curve."""


def cell(name, person, rmse, condition, *, model="line", train=None, dataset="lab", persons=None, **card):
    """One result of a study, its fold named as a protocol would."""
    found = result(
        person, rmse, model=model, condition=condition, train=train, dataset=dataset, persons=persons,
        card=protocol(name=name, **{**STUDY, **card}),
    )  # fmt: skip
    label = f"{person}: {condition}"
    return found.model_copy(update={"fold": found.fold.model_copy(update={"name": label})})


def curve(name, over, values, **more):
    return [
        cell(name, f"lab/S{i}", error + offset, {over: at}, **more)
        for at, error in values.items()
        for i, offset in enumerate(OFFSETS)
    ]


def own(level, model="line"):
    return [
        result(f"lab/S{i}", level + offset, model=model, card=protocol(name="ui", sees="80 %"))
        for i, offset in enumerate(OFFSETS)
    ]


def stressed(change, unit, values, *, sensor="all", name="placement-stress", model="line"):
    return [
        cell(name, f"lab/S{i}", error + offset,
             {"change": change, "amount": amount, "unit": unit, "sensor": sensor, "draw": 0}, model=model)
        for amount, error in values.items() for i, offset in enumerate(OFFSETS)
    ]  # fmt: skip


def campaign(people=10):
    """Two models alike and one 3 deg worse, under two methods, the second of which costs 1 deg."""
    random = np.random.default_rng(3)
    return [
        result(f"lab/S{i}", level + cost + random.normal(0, 0.2), model=model, card=protocol(name=name))
        for name, cost in (("ui", 0.0), ("ug", 1.0))
        for model, level in (("good", 4.0), ("same", 4.0), ("bad", 7.0))
        for i in range(people)
    ]
