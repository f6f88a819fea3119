"""Results as a run would leave them, made by hand."""

from kinbench import files, results

METRICS = {
    "rmse": results.MetricPart(version=1, unit="deg", better="lower", title="root-mean-square error"),
    "centred_rmse": results.MetricPart(version=1, unit="deg", better="lower", title="RMSE without the mean"),
    "r": results.MetricPart(version=1, unit="1", better="higher", title="correlation"),
}


def protocol(**changes):
    return results.ProtocolPart(
        **{
            "name": "ug", "version": 1, "title": "Leave one person out", "sees": "nothing", "scope": "dataset",
            "adapts": False, "ranks": True, **changes,
        }
    )  # fmt: skip


def scores(person, rmse, *, dofs=("knee_flexion",), r=0.9, view="test"):
    """One score per DoF; ``rmse`` is a number, or one per DoF."""
    each = rmse if isinstance(rmse, tuple) else (rmse,) * len(dofs)
    reasons = {} if r is not None else {"r": "the reference varies less than 2 deg"}
    return tuple(
        results.PersonScore(
            view=view, person=person, dof=dof, samples=100, covered=100,
            values={"rmse": value, "centred_rmse": value / 2, "r": r}, reasons=reasons,
        )
        for dof, value in zip(dofs, each, strict=True)
    )  # fmt: skip


def result(
    person="lab/S1", rmse=5.0, *, model="line", seed=0, dataset="lab", train=None, persons=None, state="a",
    dofs=("knee_flexion",), card=None, task_version=1, model_version="1", simulation=False, r=0.9,
    condition=None, **changes,
):  # fmt: skip
    persons = {person: rmse} if persons is None else persons
    train = (dataset,) if train is None else train
    card = card or protocol()
    values = {
        "status": "done", "fit_key": "f" * 64, "protocol": card,
        "task": results.TaskPart(
            name="knee", version=task_version, title="Knee flexion", dofs=dofs, definition={"version": task_version},
        ),
        "model": results.ModelPart(
            selector=model, name=model, settings={}, title=model, version=model_version, distribution="toy",
            distribution_version="1.0", parameters=4,
        ),
        "fold": results.FoldPart(
            name="+".join(persons), digest="d" * 64, test_persons=tuple(persons), train_datasets=train,
            test_dataset=dataset, diagonal="ug" if card.scope == "datasets" and train == (dataset,) else None,
            condition=condition or {},
        ),
        "datasets": tuple(
            results.DatasetPart(
                name=name, digest=state * 64, simulation=simulation, conventions=("isb_zxy",),
                rotation_origins=("declared",), recordings={f"{name}/S1/1/walk": "0" * 64},
            )
            for name in dict.fromkeys((*train, dataset))
        ),
        "seed": seed, "threads": 1, "simulation": simulation, "metrics": METRICS, "coverage": 1.0,
        "scores": tuple(s for who, value in persons.items() for s in scores(who, value, dofs=dofs, r=r)),
    }  # fmt: skip
    values |= changes
    identity = [
        values["protocol"].name,
        card.version,
        task_version,
        model,
        model_version,
        seed,
        dataset,
        train,
        state,
        condition,
    ]
    values.setdefault("key", files.digest([*map(str, identity), sorted(persons), values["status"]]))
    return results.Result(**values)


def failed(person="lab/S1", **more):
    failure = results.Failure(kind="RuntimeError", sentence="the loss is a | turnip")
    return result(person, status="failed", scores=(), coverage=None, failure=failure, **more)
