"""What a study's sentences take for granted: a target of an angle, and means over the same pairs."""

from result_cases import METRICS
from study_cases import OFFSETS, campaign, cell, curve, own

from kinbench.studies import study


def only(name, found, **asked):
    return study(name, found, **asked).only


def in_body_weights(found):
    rmse = METRICS["rmse"].model_copy(update={"unit": "BW"})
    return [
        each.model_copy(update={
            "task": each.task.model_copy(update={"definition": {"version": 1, "quantity": "grf"}}),
            "metrics": {**each.metrics, "rmse": rmse},
        })
        for each in found
    ]  # fmt: skip


def test_five_degrees_are_no_target_for_a_force():
    angles = curve("learning-curve", "persons", {n: 2.0 + 6.0 / n for n in (1, 2, 4, 8, 16, 32)})
    assert only("learning-curve", angles).settings["target"] == 5
    forces = in_body_weights(curve("learning-curve", "persons", {n: 0.06 + 0.06 / n for n in (1, 2, 4, 8, 16, 32)}))
    answer = only("learning-curve", forces)
    assert answer.unit == "BW" and answer.settings["target"] is None
    assert not any("takes" in told.split("AICc")[0] for told in answer.sentences)
    assert any("line: it flattens at" in told for told in answer.sentences)
    assert "flattens_at" in answer.tables["needed"] and "needed" not in answer.tables["needed"]
    assert only("learning-curve", forces, target=0.08).settings["target"] == 0.08


def test_conditions_of_transfer_are_told_over_the_pairs_that_have_them_all():
    def tuned(to, persons, error):
        return [
            cell("cross-dataset-finetuned", f"{to}/S{i}", error + offset, {"persons": persons}, train=("a",),
                 dataset=to, scope="datasets", adapts=True)
            for i, offset in enumerate(OFFSETS)
        ]  # fmt: skip

    found = tuned("b", 0, 20.0) + tuned("b", 1, 10.0) + tuned("c", 0, 90.0)  # 'c' has nobody to tune on
    answer = only("cross-dataset-finetuned", found)
    assert answer.sentences == (
        "line, persons 0: 20.00 deg on average over 1 pairs.",
        "line, persons 1: 10.00 deg on average over 1 pairs.",
        "line: 1 pair is left out of these means: not under every condition.",
    )
    assert len(answer.tables["pairs"]) == 3


def test_one_degree_is_no_margin_for_a_force():
    angles = curve("few-shot", "seconds", {0: 9.0, 5: 7.0, 10: 5.0, 30: 3.0, 60: 3.0}) + own(3.0)
    assert any("'ui' by 1 deg" in told for told in only("few-shot", angles).sentences)
    answer = only("few-shot", in_body_weights(angles))
    assert answer.settings["margin"] is None and not any("by 1 BW" in told for told in answer.sentences)
    asked = only("few-shot", in_body_weights(angles), margin=0.05)
    assert any("'ui' by 0.05 BW" in told for told in asked.sentences)
    many = in_body_weights(campaign())
    models = study("compare", many, protocols=("ug",)).answers[0]
    assert "Whether models are equivalent takes a margin in BW, and none is given." in models.sentences
    assert models.tables["equivalence"].empty
