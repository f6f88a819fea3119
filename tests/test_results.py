"""What a run leaves behind: comes back equal, is refused when it is not what it says, and is never half written."""

import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from result_cases import result

from kinbench import files, results
from kinbench.errors import DataError, StoreError, UsageError

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def text(**changes):
    plain = json.loads(results.to_json(result()))
    return json.dumps({**plain, **changes})


# --- to JSON and back ------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.sampled_from(["rmse", "r", "mae"]), FINITE | st.none()), st.text(max_size=20))
def test_a_result_comes_back_equal(values, note):
    score = result().scores[0].model_copy(update={"values": values})
    original = result(scores=(score,), notes=(note,))
    assert results.from_json(results.to_json(original)) == original


def test_the_text_is_the_same_each_time_and_ends_with_a_line_feed():
    assert results.to_json(result()) == results.to_json(result())
    assert results.to_json(result()).endswith("}\n")


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (text(result_version=2), "expected version 1, found 2"), ("[]", "expected version 1"), ("", "not a result"),
        (text(seed="0"), "seed: .*valid integer"), (text(status="finished"), "status"),
        (text(novelty=1), "novelty: Extra inputs"), (text(coverage=None)[:-30], "not a result"),
        (text().replace('"coverage": 1.0', '"coverage": NaN'), "NaN is no JSON number"),
        (text().replace('"coverage": 1.0', '"coverage": 1e999'), "coverage: .*finite"),
        (text().replace('"coverage": 1.0', '"coverage": 1.0, "coverage": 0.5'), "coverage stands twice"),
        ("[" * 100_000, "not a result"),
    ],
)  # fmt: skip
def test_what_is_no_result_is_refused(broken, words):
    with pytest.raises(DataError, match=words):
        results.from_json(broken, where="x.json")


def test_all_problems_are_told_at_once_with_the_file():
    with pytest.raises(DataError) as caught:
        results.from_json(text(seed="0", status="finished"), where="x.json")
    assert len(caught.value.problems) >= 2 and str(caught.value).count("x.json: ") == len(caught.value.problems)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_result_cannot_hold_what_is_not_finite(bad):
    with pytest.raises(ValueError, match="finite"):
        results.PersonScore(view="test", person="p", dof="d", samples=1, covered=1, values={"rmse": bad})


# --- on disk ---------------------------------------------------------------------------------------------------------


def test_a_folder_gives_its_results_back_in_order_and_leaves_strangers_alone(tmp_path):
    made = [result(key=digit * 64) for digit in "c1a"]
    for each in made:
        results.write(tmp_path, each)
    (tmp_path / "leaderboard.json").write_text("{}")
    assert results.read(tmp_path) == sorted(made, key=lambda r: r.key)
    assert results.find(tmp_path, "a" * 64) == made[2] and results.find(tmp_path, "b" * 64) is None


def test_every_damaged_file_is_named_at_once(tmp_path):
    for digit in "123":
        results.write(tmp_path, result(key=digit * 64))
    (tmp_path / f"{'1' * 64}.json").write_text("{")
    (tmp_path / f"{'2' * 64}.json").write_bytes(b"\xff\xfe")
    (tmp_path / f"{'4' * 64}.json").write_text((tmp_path / f"{'3' * 64}.json").read_text())
    with pytest.raises(DataError) as caught:
        results.read(tmp_path)
    assert all(f"{digit * 64}.json" in problem for digit, problem in zip("124", caught.value.problems, strict=True))
    assert results.find(tmp_path, "1" * 64) is None and results.find(tmp_path, "4" * 64) is None


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no results folder"):
        results.read(tmp_path / "nowhere")


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    results.write(tmp_path, result())
    before = {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def refuse(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StoreError, match="No space"):
        results.write(tmp_path, result(seed=9))
    assert {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


# --- identity --------------------------------------------------------------------------------------------------------


def test_a_digest_depends_on_content_and_not_on_order():
    assert files.digest({"a": 1, "b": [1.5, None]}) == files.digest({"b": [1.5, None], "a": 1})
    assert files.digest({"a": 1}) != files.digest({"a": 1.5})
    with pytest.raises(ValueError, match="Out of range"):
        files.digest({"a": float("nan")})


def test_the_environment_names_versions_and_imports_nothing():
    found = results.environment()
    assert {"python", "platform", "cpu", "kinbench", "numpy", "torch"} <= set(found)
    assert all(isinstance(value, str) and value for value in found.values())


def test_the_environment_names_the_devices_that_the_driver_tells_of(tmp_path):
    assert results._gpu(tmp_path) == "none"
    for place, model in (("0000:01:00.0", "NVIDIA RTX A4000"), ("0000:02:00.0", "NVIDIA H100")):
        (tmp_path / place).mkdir()
        (tmp_path / place / "information").write_text(f"Model: \t\t {model}\nIRQ:   \t\t 41\n")
    assert results._gpu(tmp_path) == "NVIDIA RTX A4000, NVIDIA H100"
