"""Look at a raw folder that nobody described, and propose its manifest: what is known, what is guessed, what is asked.

Nothing here decides anything: the proposal is text for a person to read, mend and sign. What is called known rests on
what a file says and physics does not contradict, or on physics alone.
"""

from __future__ import annotations

from pathlib import Path

from kinbench.contracts import Guess, Proposal
from kinbench.errors import DataError, UsageError
from kinbench_adapters._lab.proposal.clocks import guess_masks, guess_segments, guess_sync, known_segments, measure
from kinbench_adapters._lab.proposal.drafting import draft
from kinbench_adapters._lab.proposal.folder import look_around
from kinbench_adapters._lab.proposal.manifesting import compose
from kinbench_adapters._lab.proposal.markers import look_at_markers
from kinbench_adapters._lab.proposal.sensing import look_at_sensors
from kinbench_adapters._lab.proposal.truth import look_at_truth

__all__ = ["propose"]


def propose(raw: Path) -> Proposal:
    """Return the manifest that a folder would need, as far as files and physics tell.

    Raises ``UsageError`` where there is no folder, ``DataError`` where no file in it holds numbers that a reader knows
    as sensors' signals or joint angles.
    """
    if not raw.is_dir():
        raise UsageError(f"there is no folder '{raw}'; give the folder that holds the recordings")
    families, names = look_around(raw)
    sensing = look_at_sensors(raw, families)
    truth = look_at_truth(raw, families, sensing)
    markers = look_at_markers(families) if truth is None else None
    if sensing is None and truth is None and markers is None:
        raise DataError(
            f"none of {len(names)} files holds sensors' signals or joint angles that a reader knows; "
            "'kinbench info lab' shows what a manifest can describe",
            where=raw,
        )
    guesses: dict[str, Guess] = {}
    composed = compose(raw, families, sensing, truth, markers, guesses)
    drafts = draft(raw, composed, guesses)
    if truth is not None and len(drafts) == 1:
        guess_masks(drafts[0], guesses)
    if truth is not None and sensing is not None:
        segments = known_segments(guesses)
        measured = [pair for recording in drafts[:1] for pair in measure(recording, segments)]
        guess_segments(measured, guesses)
        if truth.family is not None:
            guess_sync(measured, guesses)
    if truth is not None:
        composed = compose(raw, families, sensing, truth, markers, guesses)
    return Proposal(composed, tuple(guesses.values()), tuple(drafts))
