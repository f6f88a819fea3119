"""Planted leaks: each one is found, and its sentence names the cell and both culprits."""

from dataclasses import replace

import numpy as np
import pytest

from kinbench.errors import LeakError
from kinbench.protocol import Fold, Transform, check_leaks
from kinbench.recording import Key, Span, TaskEntry
from kinbench.windows import samples_of

EMBARGO = 20
CELL = "ug/lab/S1"


def entry(key, person=None, rate_hz=100.0):
    key = Key.parse(key)
    return TaskEntry(key, person or key.person, "walking", "0" * 64, rate_hz, 50, EMBARGO, ((0, 1000),))


ENTRIES = [entry(f"lab/S{number}/1/t") for number in range(1, 5)]


def whole(number):
    return Span(f"lab/S{number}/1/t", 0, 1000)


def fold(**roles):
    plain = {
        "fit": (whole(3), whole(4)), "validation": (whole(2),), "test": (Span("lab/S1/1/t", 800, 1000),),
        "test_long": (Span("lab/S1/1/t", 400, 1000),),
    }  # fmt: skip
    return Fold("lab/S1", ("lab/S1",), ("lab",), "lab", {**plain, **roles})


def signal(seed, samples=1000, sensors=3):
    return np.random.default_rng(seed).standard_normal((samples, sensors, 6)).astype(np.float32)


def cohort(**changed):
    """Signals by key, independent unless ``changed`` says otherwise."""
    values = {f"lab/S{number}/1/t": signal(number) for number in range(1, 5)}
    values |= {f"lab/{name}/1/t": value for name, value in changed.items()}
    return lambda key: samples_of(np.arange(len(values[key])) / 100.0, values[key])


def refuse(*culprits, fold=None, entries=ENTRIES, signals=None, **options):
    """Check, expect a refusal, and return its sentences."""
    with pytest.raises(LeakError) as caught:
        check_leaks(fold, entries, signals=signals or cohort(), cell=CELL, **options)
    sentences = str(caught.value).split("\n")
    assert all(sentence.startswith(f"{CELL}: ") for sentence in sentences)
    for culprit in culprits:
        assert culprit in str(caught.value), f"{culprit} is not named in: {caught.value}"
    return sentences


def test_a_clean_fold_passes():
    check_leaks(fold(), ENTRIES, signals=cohort(), trained_on=("else/S1",))
    check_leaks(fold(), ENTRIES, signals=None)


def test_without_a_cell_the_fold_is_named():
    with pytest.raises(LeakError, match=r"^fold 'lab/S1': "):
        check_leaks(fold(validation=(whole(1),)), ENTRIES, signals=None)


# --- persons ---------------------------------------------------------------------------------------------------------


def test_a_person_on_both_sides():
    entries = [*ENTRIES, entry("lab/S1/2/t")]
    refuse("person lab/S1 is on both sides", "lab/S1/2/t in the fit", "lab/S1/1/t", entries=entries,
           fold=fold(fit=(whole(3), Span("lab/S1/2/t", 0, 1000))), signals=cohort_of(entries))  # fmt: skip


def cohort_of(entries):
    return lambda key: samples_of(np.arange(1000) / 100.0, signal(abs(hash(key)) % 2**32))


def test_a_person_known_by_an_alias_on_both_sides():
    entries = [*ENTRIES[:3], entry("lab/S4/1/t", person="lab/S1")]
    refuse("person lab/S1 is on both sides", "lab/S4/1/t in the fit", "lab/S1/1/t tested", fold=fold(), entries=entries)


def test_a_person_on_both_sides_is_what_an_individual_protocol_says():
    roles = {"fit": (Span("lab/S1/1/t", 0, 600),), "validation": (), "test": (Span("lab/S1/1/t", 640, 1000),)}
    individual = replace(fold(), roles=roles, individual=True)
    check_leaks(individual, ENTRIES, signals=cohort())
    refuse("on both sides", fold=replace(individual, individual=False))
    refuse("on both sides", fold=replace(individual, roles={**roles, "fit": (*roles["fit"], whole(2))}))


def test_adaptation_to_somebody_else():
    refuse("person lab/S2", "not among", fold=fold(validation=(), adaptation=(whole(2),)))


def test_a_tested_person_whom_the_fold_does_not_name():
    refuse("lab/S2/1/t", fold=fold(validation=(), test=(whole(2),), test_long=()))


def test_one_person_under_two_names_is_found_by_the_samples():
    copy = signal(1)
    refuse("test lab/S1/1/t [800, 1000) of person lab/S1", "fit lab/S4/1/t [0, 1000) of person lab/S4",
           fold=fold(), signals=cohort(S4=copy))  # fmt: skip


def test_a_recording_under_another_name_and_rate_is_found():
    entries = [*ENTRIES[:3], entry("lab/S4/1/t", rate_hz=60.0)]
    values = {f"lab/S{n}/1/t": signal(n) for n in range(1, 4)} | {"lab/S4/1/t": signal(1)}
    rates = {"lab/S4/1/t": 60.0}
    refuse("person lab/S1", "person lab/S4", fold=fold(), entries=entries,
           signals=lambda key: samples_of(np.arange(1000) / rates.get(key, 100.0), values[key]))  # fmt: skip


def test_a_recording_with_its_sensors_in_another_order_or_in_part_is_found():
    refuse("person lab/S4", fold=fold(), signals=cohort(S4=signal(1)[:, ::-1]))
    refuse("person lab/S4", fold=fold(), signals=cohort(S4=signal(1)[:, 1:2]))


# --- samples ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("length", "found"), [(15, False), (16, True), (17, True), (120, True)])
def test_a_shared_run_of_samples(length, found):
    other = signal(3)
    other[100 : 100 + length] = signal(1)[850 : 850 + length]
    if found:
        refuse("lab/S1/1/t", "lab/S3/1/t", fold=fold(), signals=cohort(S3=other))
    else:
        check_leaks(fold(), ENTRIES, signals=cohort(S3=other))


@pytest.mark.parametrize("role", ["fit", "validation"])
def test_a_run_counts_only_where_it_is_seen_and_tested(role):
    other = signal(3)
    other[100:200] = signal(1)[300:400]  # not tested
    other[300:400] = signal(1)[850:950]  # not seen
    seen = (Span("lab/S3/1/t", 0, 308), Span("lab/S3/1/t", 392, 1000))
    roles = {"fit": (whole(4),), "validation": (whole(2),), role: seen}
    check_leaks(fold(**roles), ENTRIES, signals=cohort(S3=other))


def test_constant_and_lost_samples_are_like_nothing():
    flat, same = signal(1), signal(3)
    flat[800:900], same[0:100] = 0.0, 0.0
    flat[900:950], same[200:250] = np.nan, np.nan
    check_leaks(fold(), ENTRIES, signals=cohort(S1=flat, S3=same))


def test_a_coarse_sensor_at_rest_is_not_a_leak():
    one, other = signal(1), signal(3)
    one[800:900, 0], other[0:100, 0] = 0.0, 0.0
    one[850, 0], other[50, 0] = 0.1, 0.1  # both tick once, in a sensor that else stands still
    check_leaks(fold(), ENTRIES, signals=cohort(S1=one, S3=other))


def test_a_shared_run_that_a_transform_saw():
    other = signal(3)
    other[100:200] = signal(1)[850:950]
    statistics = Transform("scale", (whole(3),))
    refuse("transform 'scale'", "lab/S3/1/t", "lab/S1/1/t", fold=fold(fit=(whole(4),)), transforms=[statistics],
           signals=cohort(S3=other))  # fmt: skip


# --- transforms and pre-training -------------------------------------------------------------------------------------


@pytest.mark.parametrize("reads", ["inputs", "reference"])
def test_a_transform_fitted_on_test_spans(reads):
    statistics = Transform("normaliser", (whole(2), Span("lab/S1/1/t", 0, 801)), reads)
    refuse("transform 'normaliser'", "lab/S1/1/t [0, 801)", "test lab/S1/1/t [800, 1000)",
           fold=fold(test_long=()), transforms=[statistics])  # fmt: skip


def test_a_transform_that_saw_the_answers_of_a_tested_person():
    block = (Span("lab/S1/1/t", 0, 200),)
    refuse("transform 'zero'", "person lab/S1", fold=fold(), transforms=[Transform("zero", block, "reference")])
    check_leaks(fold(), ENTRIES, signals=cohort(), transforms=[Transform("scale", block, "inputs")])
    adapted = fold(adaptation=block)
    check_leaks(adapted, ENTRIES, signals=cohort(), transforms=[Transform("zero", block, "reference")])


def test_a_pre_training_card_that_holds_a_test_person():
    refuse("pre-training", "lab/S1", fold=fold(), trained_on=("amass/7", "lab/S1"))
    entries = [entry("lab/S1/1/t", person="amass/7"), *ENTRIES[1:]]
    renamed = replace(fold(), test_persons=("amass/7",))
    refuse("pre-training card names amass/7", fold=renamed, entries=entries, trained_on=("amass/7",))
    refuse("pre-training card names lab/S1", "amass/7", fold=renamed, entries=entries, trained_on=("lab/S1",))


# --- borders ---------------------------------------------------------------------------------------------------------


def test_an_overlap_across_a_border():
    refuse("fit lab/S1/1/t [0, 801)", "test lab/S1/1/t [800, 1000)", "overlap by 1 samples",
           fold=individual(fit=(Span("lab/S1/1/t", 0, 801),)))  # fmt: skip


def individual(**roles):
    plain = {"fit": (), "validation": (), "test": (Span("lab/S1/1/t", 800, 1000),)}
    return Fold("lab/S1", ("lab/S1",), ("lab",), "lab", {**plain, **roles}, individual=True)


@pytest.mark.parametrize("role", ["fit", "validation", "adaptation", "stopping"])
def test_an_embargo_broken_by_one_sample(role):
    kept = individual(**{role: (Span("lab/S1/1/t", 0, 800 - 2 * EMBARGO),)})
    check_leaks(kept, ENTRIES, signals=cohort())
    broken = individual(**{role: (Span("lab/S1/1/t", 0, 801 - 2 * EMBARGO),)})
    refuse(f"{role} lab/S1/1/t", "test lab/S1/1/t", f"{2 * EMBARGO - 1} samples apart", fold=broken)


def test_an_embargo_holds_between_what_is_fitted_and_what_stops_it():
    refuse("fit lab/S1/1/t", "validation lab/S1/1/t", "39 samples apart",
           fold=individual(fit=(Span("lab/S1/1/t", 0, 300),), validation=(Span("lab/S1/1/t", 339, 400),)))  # fmt: skip


def test_a_long_span_hides_none_behind_a_short_one():
    spans = (Span("lab/S1/1/t", 0, 900), Span("lab/S1/1/t", 10, 20))
    refuse("overlap", fold=individual(fit=spans))


def windows(start, stop):
    """50 % overlapping windows of 50 samples, each a span."""
    return [Span("lab/S1/1/t", first, first + 50) for first in range(start, stop - 49, 25)]


def test_random_validation_windows_among_overlapping_training_windows():
    every = windows(0, 700)
    chosen = set(np.random.default_rng(0).choice(len(every), 5, replace=False).tolist())
    leaking = individual(
        fit=tuple(w for n, w in enumerate(every) if n not in chosen), validation=tuple(every[n] for n in chosen)
    )
    refuse("fit lab/S1/1/t", "validation lab/S1/1/t", "overlap by 25 samples", fold=leaking)


def test_last_training_window_and_first_test_window_overlap():
    leaking = individual(fit=tuple(windows(0, 825)), test=tuple(windows(800, 1000)))
    refuse("fit lab/S1/1/t [775, 825)", "test lab/S1/1/t [800, 850)", "overlap by 25 samples", fold=leaking)


def test_a_recording_that_nobody_knows_cannot_be_checked():
    refuse("lab/S9/1/t", fold=fold(fit=(Span("lab/S9/1/t", 0, 10),)))


def test_every_leak_is_told_at_once():
    sentences = refuse(fold=fold(validation=(whole(1),)), trained_on=("lab/S1",))
    assert len(sentences) >= 4
