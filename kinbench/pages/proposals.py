"""A proposed manifest as a page: what is open, what each field rests on, the text, and plots of what could be read."""

from __future__ import annotations

import kinbench
from kinbench.contracts import Proposal
from kinbench.pages import motions
from kinbench.pages.paper import rendered

MOST_PLOTTED = 6
MOST_FIELDS = 1000


def proposal(proposal: Proposal, *, raw: str = "") -> str:
    """Return the page of a proposal, a whole HTML document. ``raw`` is the folder's name, for the title.

    At most six drafts are plotted. Raises ``UsageError`` where matplotlib is not installed.
    """
    counts = {
        verdict: sum(guess.verdict == verdict for guess in proposal.guesses) for verdict in ("known", "guessed", "open")
    }
    questions = [guess for guess in proposal.guesses if guess.verdict == "open"]
    drafts = [
        {
            "name": str(draft.key),
            "anchor": f"draft-{index}",
            "pictures": motions.pictures_of(draft, str(draft.key), placed=False),
        }
        for index, draft in enumerate(proposal.drafts[:MOST_PLOTTED], start=1)
    ]
    contents = [("questions", f"Questions ({len(questions)})")] if questions else []
    contents += [("unread", "Files that could not be read")] if proposal.unread else []
    contents += [("fields", "Fields"), ("manifest", "Manifest")]
    contents += [("drafts", "What could already be read")] if drafts else []
    every = len(proposal.drafts)
    listed = (
        f"The first {len(drafts)} of {every} recordings are plotted."
        if len(drafts) < every
        else f"All {every} recordings that could be read are plotted."
    )
    return rendered(
        "proposal.html", title=f"Proposed manifest for {raw}" if raw else "Proposed manifest",
        version=kinbench.__version__, contents=contents, counts=counts, questions=questions,
        guesses=proposal.guesses[:MOST_FIELDS], guesses_left=max(0, len(proposal.guesses) - MOST_FIELDS),
        manifest=proposal.manifest, drafts=drafts, listed=listed, unread=proposal.unread,
    )  # fmt: skip
