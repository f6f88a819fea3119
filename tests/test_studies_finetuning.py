"""What tuning is said to change: before and after of the same persons, a constant offset told apart, and no more."""

import math
import re

import pytest
from result_cases import protocol, result
from study_cases import OFFSETS, cell

from kinbench.errors import UsageError
from kinbench.figures import draw
from kinbench.studies import study

MOVEMENTS = ("knee_flexion", "knee_adduction", "knee_internal_rotation")
FINETUNED, ADAPTED = "cross-dataset-finetuned", "cross-dataset-adapted"


def told(found, centred):
    """A result whose centred errors are put in, one per DoF; the rest of each squared error is then an offset's."""
    scores = tuple(
        score.model_copy(update={"values": {**score.values, "centred_rmse": value}})
        for score, value in zip(found.scores, centred, strict=True)
    )
    return found.model_copy(update={"scores": scores})


def tuned(name, condition, errors, centred, *, train="a", people=OFFSETS):
    """One result per person of the dataset 'b', with an error and a centred error for each movement."""
    card = protocol(name=name, scope="datasets", adapts=True, study=True, ranks=False)
    made = []
    for number, shift in enumerate(people):
        one = result(f"b/S{number}", tuple(error + shift for error in errors), dofs=MOVEMENTS, card=card,
                     condition=condition, train=(train,), dataset="b")  # fmt: skip
        fold = one.fold.model_copy(update={"name": f"b/S{number}: {condition}"})
        made.append(told(one.model_copy(update={"fold": fold}), [value + shift for value in centred]))
    return made


def adapted():
    """Flexion gets better, adduction worse, and rotation loses nothing but its offset."""
    return [
        *tuned(ADAPTED, {"adapted": "no"}, (10.0, 5.0, 20.0), (8.0, 4.0, 5.0)),
        *tuned(ADAPTED, {"adapted": "yes"}, (6.0, 8.0, 5.0), (5.0, 7.5, 5.0)),
    ]


def rows(answer):
    tables = (answer.tables[name].to_dict("records") for name in ("movements", "without_offset"))
    return {row["movement"]: {**row, **more} for row, more in zip(*tables, strict=True)}


def test_before_and_after_are_told_movement_by_movement_in_the_tasks_order():
    answer = study("finetuning", adapted()).only
    assert answer.title == f"finetuning · {ADAPTED} · knee"
    assert [*rows(answer)] == [*MOVEMENTS]
    flexion = rows(answer)["knee_flexion"]
    assert flexion["train"] == "a" and flexion["dataset"] == "b" and flexion["tuned"] == "the person"
    assert flexion["n"] == 4 and flexion["error_before"] == pytest.approx(10.0)
    assert flexion["error_after"] == pytest.approx(6.0) and flexion["error_change"] == pytest.approx(-4.0)
    assert flexion["error_change_low"] == pytest.approx(-4.0) == flexion["error_change_high"]
    assert flexion["centred_change"] == pytest.approx(-3.0)
    assert answer.sentences[0].startswith(
        "line, a to b, tuned on the person, knee flexion: 10.00 to 6.00 deg, -4.00 (-4.00 to -4.00); centred 8.00 to "
        "5.00 deg, -3.00 (-3.00 to -3.00); "
    )
    assert len(answer.tables["persons"]) == 3 * len(OFFSETS)


def test_a_fall_that_is_all_offset_is_said_to_be_one_and_no_better_estimate():
    answer = study("finetuning", adapted()).only
    rotation = rows(answer)["knee_internal_rotation"]
    assert rotation["offset_share"] == pytest.approx(100.0) and rotation["centred_change"] == pytest.approx(0.0)
    assert rotation["offset_before"] > 19 and rotation["offset_after"] == pytest.approx(0.0, abs=1e-6)
    assert "100 % (100 to 100) of the fall of squared error was a constant offset" in answer.sentences[2]


def test_the_share_is_that_of_squared_errors_and_not_of_errors():
    flexion = rows(study("finetuning", adapted()).only)["knee_flexion"]
    squares = [
        (((10 + s) ** 2 - (6 + s) ** 2), ((10 + s) ** 2 - (8 + s) ** 2) - ((6 + s) ** 2 - (5 + s) ** 2))
        for s in OFFSETS
    ]
    total, offset = map(sum, zip(*squares, strict=True))
    assert flexion["offset_share"] == pytest.approx(100 * offset / total)
    assert flexion["offset_share_low"] < flexion["offset_share"] < flexion["offset_share_high"]


def test_an_error_that_rises_has_no_share_and_is_told_as_a_rise():
    answer = study("finetuning", adapted()).only
    adduction = rows(answer)["knee_adduction"]
    assert math.isnan(adduction["offset_share"])
    assert adduction["offset_share_reason"] == "the squared error did not fall"
    assert "+3.00" in answer.sentences[1] and "offset" not in answer.sentences[1]


def test_a_fall_that_hangs_on_one_person_has_no_share():
    """One person of four gains much, three lose a little: squared errors fall on average, and not for sure."""
    found = [
        one
        for condition, gains in (("no", (0.0, 0.0, 0.0, 9.0)), ("yes", (2.0, 2.0, 2.0, 0.0)))
        for number, more in enumerate(gains)
        for one in tuned(ADAPTED, {"adapted": condition}, (5.0 + more, 5.0, 5.0), (4.0, 4.0, 4.0))[number : number + 1]
    ]
    answer = study("finetuning", found).only
    flexion = rows(answer)["knee_flexion"]
    assert math.isnan(flexion["offset_share"]) and "hangs on who is drawn" in flexion["offset_share_reason"]
    assert "constant offset" not in answer.sentences[0]


def test_persons_are_compared_with_themselves_and_those_never_tuned_for_are_left_out():
    """Four persons as the model came; only two of them are ever tested after it was tuned on others."""
    found = tuned(FINETUNED, {"persons": 0, "draw": 0}, (10.0, 5.0, 20.0), (8.0, 4.0, 5.0))
    for draw_number in (0, 1):
        found += tuned(FINETUNED, {"persons": 1, "draw": draw_number}, (6.0 + 2 * draw_number, 5.0, 5.0),
                       (5.0, 4.0, 5.0), people=OFFSETS[:2])  # fmt: skip
    found += tuned(FINETUNED, {"persons": 16, "draw": 0}, (4.0, 5.0, 5.0), (3.0, 4.0, 5.0))
    found += tuned(FINETUNED, {"persons": 2, "draw": 0}, (5.0, 5.0, 5.0), (4.0, 4.0, 5.0))
    answer = study("finetuning", found).only
    table = answer.tables["movements"]
    assert [*dict.fromkeys(table["tuned"])] == ["1 other", "2 others", "16 others"]
    one = table[(table["tuned"] == "1 other") & (table["movement"] == "knee_flexion")].iloc[0]
    assert one["n"] == 2 and one["error_after"] == pytest.approx(7.0 + sum(OFFSETS[:2]) / 2)
    assert one["error_before"] == pytest.approx(10.0 + sum(OFFSETS[:2]) / 2)
    assert math.isnan(one["error_change_low"])  # two persons have no interval
    assert "(" not in answer.sentences[0]


def plain(name, error, *, train=("lab",), adapts=False, scope="dataset"):
    card = protocol(name=name, adapts=adapts, scope=scope, ranks=False)
    return [
        told(result(f"lab/S{i}", error + shift, card=card, train=train), [2.0]) for i, shift in enumerate(OFFSETS)
    ]


def test_a_protocol_without_its_own_before_takes_that_of_the_same_model_as_it_came():
    answer = study("finetuning", plain("ug", 9.0) + plain("ua", 5.0, adapts=True)).only
    assert answer.variant == "ua" and rows(answer)["knee_flexion"]["error_change"] == pytest.approx(-4.0)
    assert answer.sentences[0].startswith("line, in lab, tuned on the person, knee flexion: 9.00 to 5.00 deg")
    assert not any("same seconds" in note for note in answer.notes)
    theirs = plain("finetune-brough2025", 4.0, train=("a",), adapts=True, scope="datasets")
    came = plain("cross-dataset", 12.0, train=("a",), scope="datasets")
    answer = study("finetuning", theirs + came).only
    assert rows(answer)["knee_flexion"]["error_change"] == pytest.approx(-8.0)
    assert any("not of the same seconds" in note for note in answer.notes)


def test_a_model_tuned_where_it_was_fitted_is_no_transfer():
    home = [
        *tuned(ADAPTED, {"adapted": "no"}, (9.0, 5.0, 5.0), (8.0, 4.0, 4.0), train="b"),
        *tuned(ADAPTED, {"adapted": "yes"}, (5.0, 4.0, 4.0), (4.0, 3.0, 3.0), train="b"),
    ]
    with pytest.raises(UsageError, match="No result answers 'finetuning'"):
        study("finetuning", home)
    answer = study("finetuning", home + adapted()).only
    assert set(answer.tables["movements"]["train"]) == {"a"}


def test_people_fitted_on_are_not_taken_for_people_tuned_on():
    """A learning curve's condition is called 'persons' too, and nothing of it is tuned."""
    curve = [
        cell("learning-curve", f"lab/S{i}", 9.0 - size + shift, {"persons": size, "draw": 0})
        for size in (0, 1, 2) for i, shift in enumerate(OFFSETS)
    ]  # fmt: skip
    with pytest.raises(UsageError, match="No result answers 'finetuning'"):
        study("finetuning", curve)


def test_one_protocol_can_be_asked_for_and_no_other_metric():
    found = [
        *adapted(),
        *tuned(FINETUNED, {"persons": 0, "draw": 0}, (10.0, 5.0, 20.0), (8.0, 4.0, 5.0)),
        *tuned(FINETUNED, {"persons": 1, "draw": 0}, (6.0, 5.0, 20.0), (5.0, 4.0, 5.0)),
    ]
    assert len(study("finetuning", found)) == 2
    assert study("finetuning", found, protocols=(FINETUNED,)).only.variant == FINETUNED
    with pytest.raises(UsageError, match="takes no other metric; got 'centred_rmse'"):
        study("finetuning", found, metric="centred_rmse")


def test_the_figure_names_what_is_hatched_and_draws_the_same_bytes(tmp_path):
    answer = study("finetuning", adapted()).only
    one, two = (draw(answer, tmp_path / name).read_bytes() for name in ("one.svg", "two.svg"))
    assert one == two
    texts = " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", one.decode("utf-8")))
    named = ("a to b, tuned on the person", "before: with its offset", "after: centred", "rotation", "n = 4 persons")
    assert all(words in texts for words in named)
