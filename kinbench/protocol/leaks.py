"""The leak check: proof, before a model is fitted, that nothing it may see holds what it is scored on.

It refuses (protocols 1, The leak check) when a person is on both sides, spans of two roles overlap or break the
embargo, a run of samples of a test span stands in anything the model may see, a transform saw a test span, or a
pre-training card names a test person.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import LeakError
from kinbench.protocol.folds import INPUT_ROLES, SEEN_ROLES, Fold, Leak, Role
from kinbench.recording import Span, TaskEntry, canonical_person, names_of
from kinbench.windows import Copy, Samples
from kinbench.windows.fingerprints import RUN, HashArray

TEST_ROLES: tuple[Role, ...] = ("test", "test_long")


@dataclass(frozen=True)
class Transform:
    """A statistic fitted on data outside the model: what it is called, the spans it read, and which side of them."""

    name: str
    spans: tuple[Span, ...]
    reads: Literal["inputs", "reference"] = "inputs"


@dataclass(frozen=True)
class Seen:
    """Whom something learnt from before the run began: weights, or a search for settings.

    ``what`` names it in a sentence ("the weights 'x'"). ``persons`` are ``dataset/subject``; ``recordings`` names by
    content digest; ``samples`` names by number, of recordings sketched (``windows.sketches``): these are the same
    recording, whatever it is called.
    """

    what: str
    persons: tuple[str, ...]
    recordings: Mapping[str, str] = field(default_factory=dict)
    samples: Mapping[int, str] = field(default_factory=dict)


def check_leaks(
    fold: Fold,
    entries: Sequence[TaskEntry],
    *,
    signals: Callable[[str], Samples] | None,
    transforms: Sequence[Transform] = (),
    trained_on: Sequence[str] = (),
    seen: Sequence[Seen] = (),
    sketch: Callable[[str], Iterable[int]] = lambda key: (),
    copies: Sequence[Copy] = (),
    cell: str | None = None,
    declared: Sequence[Leak] = (),
) -> tuple[str, ...]:
    """Raise ``LeakError`` with one sentence per leak that is not ``declared``; return those of the declared kinds.

    ``entries`` are all those the fold was made from. ``signals`` gives a recording's native-rate samples by key;
    without it, shared samples are not looked for. ``trained_on`` lists the persons of a model's pre-training.
    ``seen`` is what learnt before the run, from people or recordings that may be among the tested; ``sketch`` gives the
    numbers that a recording is known by there. ``copies`` are spans that are the same motion, whatever was done to it
    (``windows.find_copies``). ``cell`` (protocol, fold) is what the sentences name; the fold's name where it is left
    out. ``declared`` are the kinds that a historical protocol's card owns up to.
    """
    cell = cell or f"fold '{fold.name}'"
    known = {str(entry.key): _renamed(entry) for entry in entries}
    fold = replace(fold, test_persons=tuple(canonical_person(person) for person in fold.test_persons))
    spans = [*(span for part in fold.roles.values() for span in part), *(s for t in transforms for s in t.spans)]
    strangers = sorted({span.key for span in spans if span.key not in known})
    if strangers:
        raise LeakError(f"{cell}: cannot be checked, since the task has no recording {', '.join(strangers)}.")
    found: dict[Leak, list[str]] = {
        "person": list(_persons(fold, known)),
        **_borders(fold, known),
        "transform": list(_transforms(fold, known, transforms)),
        "pre-training": [
            *_trained_on(fold, known, trained_on),
            *(sentence for one in seen for sentence in _seen_before(fold, known, one, sketch)),
        ],
    }
    found["samples"] = list(_copies(fold, known, copies))
    if signals is not None:
        found["samples"] += _shared_samples(fold, known, transforms, signals)
    told = {kind: [f"{cell}: {sentence}" for sentence in sentences] for kind, sentences in found.items()}
    refused = [sentence for kind, sentences in told.items() if kind not in declared for sentence in sentences]
    if refused:
        raise LeakError("\n".join(refused))
    return tuple(sentence for sentences in told.values() for sentence in sentences)


def _renamed(entry: TaskEntry) -> TaskEntry:
    """Return an entry under the one name that its person has in all datasets."""
    person = canonical_person(entry.person)
    return entry if person == entry.person else replace(entry, person=person)


# --- persons ---------------------------------------------------------------------------------------------------------


def _persons(fold: Fold, known: Mapping[str, TaskEntry]) -> Iterator[str]:
    tested = _keys_by_person(fold, TEST_ROLES, known)
    for person in sorted(set(tested) - set(fold.test_persons)):
        yield f"{tested[person]} of person {person} is tested, who is not among the fold's test persons."
    for role in SEEN_ROLES:
        seen = _keys_by_person(fold, (role,), known)
        if role in ("adaptation", "stopping"):
            if fold.adapts_to == "dataset":
                for person in sorted(set(seen) & {*tested, *fold.test_persons}):
                    yield f"{seen[person]} of person {person}, who is tested, is in the {role}, which is to be others'."
                continue
            for person in sorted(set(seen) - set(fold.test_persons)):
                yield f"{seen[person]} of person {person} is in the {role}, who is not among the fold's test persons."
        elif not (fold.individual and set(seen) == set(fold.test_persons)):
            for person in sorted(set(seen) & set(tested)):
                yield (
                    f"person {person} is on both sides, with {seen[person]} in the {role} and {tested[person]} tested."
                )
    unlabelled = _keys_by_person(fold, ("unlabelled",), known)
    for person in sorted(set(unlabelled) - set(fold.test_persons)):
        yield f"{unlabelled[person]} of person {person} is unlabelled, who is not among the fold's test persons."


def _keys_by_person(fold: Fold, roles: Sequence[Role], known: Mapping[str, TaskEntry]) -> dict[str, str]:
    """Return, per person in some roles, one of that person's recordings there."""
    return {known[span.key].person: span.key for role in roles for span in sorted(fold.roles.get(role, ()))[::-1]}


def _trained_on(fold: Fold, known: Mapping[str, TaskEntry], trained_on: Sequence[str]) -> Iterator[str]:
    for name, person in _tested_among(fold, known, trained_on):
        yield f"the model's pre-training card names {name}, and person {person} is tested."


def _tested_among(fold: Fold, known: Mapping[str, TaskEntry], names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield (name, person) of names that stand for a tested person. A name that ends in ``*`` stands for many."""
    alias = {entry.key.person: entry.person for entry in known.values()}
    tested = {*fold.test_persons, *_keys_by_person(fold, TEST_ROLES, known)}
    told = {person: {*names_of(person), *(key for key, named in alias.items() if named == person)} for person in tested}
    for name in sorted(set(names)):
        if name.endswith("*"):
            found = sorted(p for p in tested if any(other.startswith(name[:-1]) for other in told[p]))
        else:
            found = [person for person in (alias.get(name, canonical_person(name)),) if person in tested]
        for person in found:
            yield name, person


def _seen_before(
    fold: Fold, known: Mapping[str, TaskEntry], seen: Seen, sketch: Callable[[str], Iterable[int]]
) -> Iterator[str]:  # fmt: skip
    """Yield one sentence for each tested person whom something knew before the run, by name or by a recording."""
    told = set()
    for name, person in _tested_among(fold, known, seen.persons):
        if person not in told:
            told.add(person)
            yield f"{seen.what} learnt from {name}, and person {person} is tested."
    for key in sorted({span.key for role in TEST_ROLES for span in fold.roles.get(role, ())}):
        entry = known[key]
        if entry.person in told:
            continue
        same = seen.recordings.get(entry.digest)
        if same is None and seen.samples:
            same = next((seen.samples[number] for number in sketch(key) if number in seen.samples), None)
        if same is not None:
            told.add(entry.person)
            yield f"{seen.what} learnt from {same}, the same recording as {key}, and person {entry.person} is tested."


# --- borders ---------------------------------------------------------------------------------------------------------


def _borders(fold: Fold, known: Mapping[str, TaskEntry]) -> dict[Leak, list[str]]:
    """Return overlaps and broken embargoes: spans of two roles in one recording stand two embargoes apart.

    The two embargoes are those on either side of the border. ``test_long`` holds ``test``, so those two may meet.
    """
    by_key: dict[str, list[tuple[Span, Role]]] = defaultdict(list)
    for role, spans in fold.roles.items():
        for span in spans:
            by_key[span.key].append((span, role))
    found: dict[Leak, list[str]] = {"overlap": [], "embargo": []}
    for key in sorted(by_key):
        furthest: dict[Role, Span] = {}
        told: set[frozenset[Role]] = set()
        for span, role in sorted(by_key[key]):
            for other, before in furthest.items():
                pair = frozenset((role, other))
                if len(pair) == 2 and pair != frozenset(TEST_ROLES) and pair not in told:
                    leak = _too_close((before, other), (span, role), known[key])
                    if leak is not None:
                        told.add(pair)
                        found[leak[0]].append(leak[1])
            if role not in furthest or span.stop > furthest[role].stop:
                furthest[role] = span
    return found


def _too_close(before: tuple[Span, Role], after: tuple[Span, Role], entry: TaskEntry) -> tuple[Leak, str] | None:
    distance = after[0].start - before[0].stop
    both = f"{_named(*before)} and {_named(*after)}"
    if distance < 0:
        return "overlap", f"{both} overlap by {min(-distance, after[0].stop - after[0].start)} samples."
    if distance < 2 * entry.embargo:
        return "embargo", (
            f"{both} are {distance} samples apart; the embargo of {entry.embargo} on both sides of a border asks for "
            f"{2 * entry.embargo}."
        )
    return None


def _named(span: Span, what: str) -> str:
    return f"{what} {span.key} [{span.start}, {span.stop})"


def _transforms(fold: Fold, known: Mapping[str, TaskEntry], transforms: Sequence[Transform]) -> Iterator[str]:
    """Yield transforms that saw a test span, or the answers of a person of whom the model may see none."""
    tested = [(span, role) for role in TEST_ROLES for span in fold.roles.get(role, ())]
    allowed = {known[span.key].person for role in SEEN_ROLES for span in fold.roles.get(role, ())}
    for transform in transforms:
        meeting = next(
            (
                (span, test, role)
                for span in transform.spans
                for test, role in tested
                if span.key == test.key and span.start < test.stop and test.start < span.stop
            ),
            None,
        )
        if meeting is not None:
            span, test, role = meeting
            yield (
                f"transform '{transform.name}' was fitted on the {transform.reads} of {span.key} "
                f"[{span.start}, {span.stop}), which meets {_named(test, role)}."
            )
        elif transform.reads == "reference":
            for span in transform.spans:
                person = known[span.key].person
                if person in fold.test_persons and person not in allowed:
                    yield (
                        f"transform '{transform.name}' was fitted on the reference of {span.key}, and of its person "
                        f"{person} the model may see none, being tested."
                    )
                    break


# --- copies ----------------------------------------------------------------------------------------------------------


def _copies(fold: Fold, known: Mapping[str, TaskEntry], copies: Sequence[Copy]) -> Iterator[str]:
    """Yield pairs of recordings of which the one is tested where the other, the same motion, is seen."""
    told = set()
    for copy in copies:
        for mine, other in ((copy.one, copy.other), (copy.other, copy.one)):
            for test, test_role in _meeting(fold, TEST_ROLES, mine):
                for seen, role in _meeting(fold, INPUT_ROLES, other):
                    if (test.key, seen.key, role) not in told:
                        told.add((test.key, seen.key, role))
                        yield (
                            f"{_named(test, test_role)} of person {known[test.key].person} moves peak for peak as "
                            f"{_named(seen, role)} of person {known[seen.key].person} does, from sample {other.start} "
                            "on: one is a copy of the other, turned, mirrored, scaled or resampled."
                        )


def _meeting(fold: Fold, roles: Sequence[Role], span: Span) -> list[tuple[Span, Role]]:
    """Return the spans of some roles that share time with a span."""
    return [
        (other, role)
        for role in roles
        for other in fold.roles.get(role, ())
        if other.key == span.key and max(other.start, span.start) < min(other.stop, span.stop)
    ]


# --- shared samples --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Fingerprints:
    """Hashes of all runs of ``RUN`` samples that lie inside some spans, and which of ``sources`` each comes from."""

    hashes: HashArray
    origin: NDArray[np.int64]
    sources: tuple[tuple[Span, str], ...]


def _shared_samples(
    fold: Fold,
    known: Mapping[str, TaskEntry],
    transforms: Sequence[Transform],
    signals: Callable[[str], Samples],
) -> Iterator[str]:
    seen = [(span, str(role)) for role in INPUT_ROLES for span in fold.roles.get(role, ())]
    seen += [(span, f"transform '{transform.name}' of") for transform in transforms for span in transform.spans]
    tested = [(span, str(role)) for role in TEST_ROLES for span in fold.roles.get(role, ())]
    samples = {key: signals(key) for key in dict.fromkeys(span.key for span, _ in (*seen, *tested))}
    there, scored = _fingerprints(seen, known, samples), _fingerprints(tested, known, samples)
    common = _common(there.hashes, scored.hashes)
    pairs = set()
    for number in np.unique(scored.origin[np.isin(scored.hashes, common)]).tolist():
        mine = common[np.isin(common, scored.hashes[scored.origin == number])]
        for other in np.unique(there.origin[np.isin(there.hashes, mine)]).tolist():
            pairs.add((scored.sources[number], there.sources[other]))
    told = set()
    for (test, test_role), (span, role) in sorted(pairs, key=lambda pair: (pair[0][1], pair)):
        if (test.key, span.key, role) not in told:
            told.add((test.key, span.key, role))
            yield (
                f"{_named(test, test_role)} of person {known[test.key].person} shares a run of {RUN} or more native "
                f"samples with {_named(span, role)} of person {known[span.key].person}."
            )


def _common(many: HashArray, few: HashArray) -> HashArray:
    """Return the hashes in both. A table of the low bits of ``few`` first drops nearly all of ``many``: no sorting."""
    mask = np.uint64((1 << max(10, int(few.size * 16).bit_length())) - 1)
    table = np.zeros(int(mask) + 1, dtype=bool)
    table[few & mask] = True
    return np.intersect1d(many[table[many & mask]], few)


def _fingerprints(
    spans: Sequence[tuple[Span, str]],
    known: Mapping[str, TaskEntry],
    samples: Mapping[str, Samples],
) -> _Fingerprints:
    hashes = [np.empty(0, dtype=np.uint64)]
    origin = [np.empty(0, dtype=np.int64)]
    for number, (span, _) in enumerate(spans):
        time_s, runs = samples[span.key]
        rate_hz = known[span.key].rate_hz
        first, last = np.searchsorted(time_s, [span.start / rate_hz, span.stop / rate_hz])
        inside = runs[first : max(int(last) - RUN + 1, int(first))]
        told = inside[inside != 0]
        hashes.append(told)
        origin.append(np.full(told.size, number, dtype=np.int64))
    return _Fingerprints(np.concatenate(hashes), np.concatenate(origin), tuple(spans))
