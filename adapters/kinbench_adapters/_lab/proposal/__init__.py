"""Look at a raw folder that nobody described, and propose its manifest: what is known, what is guessed, what is asked.

Nothing here decides anything: the proposal is text for a person to read, mend and sign. What is called known rests on
what a file says and physics does not contradict, or on physics alone.
"""

from __future__ import annotations

import os
from pathlib import Path

from kinbench.contracts import Guess, Progress, Proposal, ignore
from kinbench.errors import DataError, UsageError
from kinbench_adapters._lab.patterns import list_files
from kinbench_adapters._lab.proposal.clocks import guess_masks, guess_segments, guess_sync, known_segments, measure
from kinbench_adapters._lab.proposal.drafting import Drafts, draft
from kinbench_adapters._lab.proposal.folder import look_around
from kinbench_adapters._lab.proposal.manifesting import Seen, compose, gather
from kinbench_adapters._lab.proposal.markers import look_at_markers
from kinbench_adapters._lab.proposal.scrutiny import scrutinise
from kinbench_adapters._lab.proposal.sensing import look_at_sensors
from kinbench_adapters._lab.proposal.truth import look_at_truth

__all__ = ["propose"]

_PACKED = (".zip", ".7z", ".rar", ".gz", ".tgz", ".tar", ".xz")
_SHOWN = 5


def propose(raw: Path, *, to: Path | None = None, on_progress: Progress = ignore) -> Proposal:
    """Return the manifest that a folder would need, as far as files and physics tell.

    ``to`` is the file that it will stand in, if not in the folder itself. Raises ``UsageError`` where there is no
    folder, ``DataError`` where no file in it holds numbers that a reader knows as sensors' signals or joint angles.
    """
    if not raw.is_dir():
        raise UsageError(f"there is no folder '{raw}'; give the folder that holds the recordings")
    seen = _look(raw, on_progress)
    guesses = gather(seen)
    drafts = draft(raw, compose(seen, guesses))
    if seen.truth is not None:
        _lay_beside(seen, drafts, guesses)
        drafts = draft(raw, compose(seen, guesses))
    notes = scrutinise(drafts.recordings, guesses, vendor=seen.sensing is not None and seen.sensing.vendor)
    text = compose(seen, guesses, root=_root(raw, to), notes=notes, problems=drafts.problems)
    return Proposal(text, tuple(guesses.values()), drafts.recordings, tuple(seen.around.refusals))


def _look(raw: Path, on_progress: Progress) -> Seen:
    around = look_around(raw, on_progress)
    sensing = look_at_sensors(raw, around.families)
    truth = look_at_truth(raw, around.families, sensing)
    markers = look_at_markers(around.families) if truth is None else None
    if sensing is None and truth is None and markers is None:
        problems = [
            f"none of {len(around.names)} files holds sensors' signals or joint angles that a reader knows; "
            "'kinbench info lab' shows what a manifest can describe"
        ]
        packed = [name for name in list_files(raw) if Path(name).suffix.lower() in _PACKED]
        problems += [f"unpack '{name}' first: archives are not looked into" for name in packed[:_SHOWN]]
        raise DataError([*problems, *around.refusals], where=raw)
    return Seen(raw, around, sensing, truth, markers)


def _lay_beside(seen: Seen, drafts: Drafts, guesses: dict[str, Guess]) -> None:
    """Say what only sensors and joint angles laid beside each other tell: places, clocks, and what to mask."""
    if len(drafts.recordings) == 1:
        guess_masks(drafts.recordings[0], guesses)
    if seen.sensing is None:
        return
    segments = known_segments(guesses)
    measured = [pair for recording in drafts.recordings[:1] for pair in measure(recording, segments)]
    guess_segments(measured, guesses)
    if seen.truth is not None and seen.truth.family is not None:
        guess_sync(measured, guesses)


def _root(raw: Path, to: Path | None) -> str | None:
    """Return the way from the manifest's folder to the recordings; None where it stands among them."""
    if to is None or to.resolve().parent == raw.resolve():
        return None
    try:
        return Path(os.path.relpath(raw.resolve(), to.resolve().parent)).as_posix()
    except ValueError:  # another drive
        return raw.resolve().as_posix()
