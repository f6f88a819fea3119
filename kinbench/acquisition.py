"""What of a dataset's raw folder is there, what is missing or wrong, and getting the rest where that is allowed."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from kinbench import downloads
from kinbench.contracts import Adapter, DatasetCard, Expected, RawTree
from kinbench.downloads import Download, Fetched, Progress, ignore, in_bytes
from kinbench.errors import DataError, UsageError

_EXAMPLES = 3
"""How many wrong files of one kind are named before they are only counted."""
_CARD = ("licence", "access", "persons", "sensors", "tier", "citation", "url")


@dataclass(frozen=True)
class Finding:
    """What there is of one kind of file. ``wrong`` holds (file, why) for each that the adapter's check refuses."""

    expected: Expected
    files: tuple[Path, ...]
    wrong: tuple[tuple[Path, str], ...] = ()

    @property
    def state(self) -> Literal["found", "missing", "wrong", "absent"]:
        """``absent`` is a missing file that nothing needs."""
        if self.wrong:
            return "wrong"
        if self.files:
            return "found"
        return "missing" if self.expected.required else "absent"


@dataclass(frozen=True)
class Survey:
    """What there is of a raw folder, and how to come by the rest. In a notebook it shows as its table."""

    selector: str
    card: DatasetCard
    tree: RawTree
    raw: Path
    findings: tuple[Finding, ...]
    fetched: tuple[Fetched, ...] = ()
    failures: tuple[str, ...] = ()
    """Why a file that was to be fetched is not here; one sentence each."""

    @property
    def ok(self) -> bool:
        """Whether all that is required was found, nothing found is wrong, and no download failed."""
        return not self.failures and all(finding.state in ("found", "absent") for finding in self.findings)

    @property
    def wanted(self) -> tuple[Download, ...]:
        """The files that may be fetched, are not there (or not in the size they should have), and are needed.

        What another layout of the same data already gives is not needed.
        """
        return tuple(d for d in self.tree.downloads if not _is_there(d, self.raw) and self._needs(d))

    def _needs(self, download: Download) -> bool:
        claims = [finding.state for finding in self.findings if _would_be(download, finding.expected)]
        return not claims or any(state in ("missing", "wrong") for state in claims)

    def table(self) -> pd.DataFrame:
        """Return one row per kind of file: what, state, files (how many), required, patterns, wrong (why)."""
        rows = [
            {
                "what": finding.expected.what, "state": finding.state, "files": len(finding.files),
                "required": finding.expected.required, "patterns": " or ".join(finding.expected.patterns),
                "wrong": "; ".join(f"{self._name(path)}: {why}" for path, why in finding.wrong),
            }
            for finding in self.findings
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=["what", "state", "files", "required", "patterns", "wrong"])

    def text(self) -> str:
        """Return card, files and what to do next, for a person."""
        return "\n".join([*self._card_lines(), "", f"{self.raw}:", *self._finding_lines(), "", *self._next_lines()])

    def to_json(self) -> dict[str, Any]:
        """Return the same as JSON-plain values."""
        return {
            "dataset": self.card.name,
            "title": self.card.title,
            **{name: getattr(self.card, name) for name in _CARD},
            "redistributable": self.card.redistributable,
            "raw": str(self.raw),
            "ok": self.ok,
            "expected": [
                {
                    "what": finding.expected.what,
                    "patterns": list(finding.expected.patterns),
                    "required": finding.expected.required,
                    "state": finding.state,
                    "files": len(finding.files),
                    "wrong": [{"file": self._name(path), "why": why} for path, why in finding.wrong],
                }
                for finding in self.findings
            ],
            "steps": list(self.tree.steps),
            "downloads": [
                {
                    "path": download.path,
                    "url": download.url,
                    "hash": downloads.pinned_hash(download, self.raw),
                    "size_bytes": download.size_bytes,
                    "there": _is_there(download, self.raw),
                }
                for download in self.tree.downloads
            ],
            "fetched": [{"file": self._name(got.path), "sha256": got.sha256} for got in self.fetched],
            "failures": list(self.failures),
        }

    def _repr_html_(self) -> str:
        return f"<p>{self.raw}</p>{self.table().to_html()}"

    def _name(self, path: Path) -> str:
        return path.relative_to(self.raw).as_posix()

    def _card_lines(self) -> list[str]:
        facts = {name: getattr(self.card, name) for name in _CARD}
        facts["licence"] += "" if self.card.redistributable else " (not to be passed on)"
        known = {name: value for name, value in facts.items() if value not in (None, "")}
        return [f"{self.card.name}: {self.card.title}", *(f"  {name}: {value}" for name, value in known.items())]

    def _finding_lines(self) -> list[str]:
        lines = []
        for finding in self.findings:
            count = f", {len(finding.files)} file{'s' if len(finding.files) != 1 else ''}" if finding.files else ""
            patterns = " or ".join(finding.expected.patterns)
            optional = "" if finding.expected.required else " (optional)"
            lines.append(f"  {finding.state:<8} {finding.expected.what}{optional}{count}: {patterns}")
            told = [f"           {self._name(path)}: {why}" for path, why in finding.wrong[:_EXAMPLES]]
            rest = len(finding.wrong) - _EXAMPLES
            lines += [*told, *([f"           and {rest} more"] if rest > 0 else [])]
        return lines

    def _next_lines(self) -> list[str]:
        if self.ok:
            return [f"Next: kinbench convert {_quoted(self.selector)} {_quoted(str(self.raw))}"]
        wrong = any(finding.state == "wrong" for finding in self.findings)
        lines = ["Put the wrong files right: fetch or unpack them again, or take them out."] if wrong else []
        if all(finding.state != "missing" for finding in self.findings):
            return lines
        lines += ["To get what is missing:", *(f"  {n}. {step}" for n, step in enumerate(self.tree.steps, start=1))]
        return lines + self._download_lines()

    def _download_lines(self) -> list[str]:
        wanted = self.wanted
        if not wanted:
            return []
        unpinned = [d for d in wanted if downloads.pinned_hash(d, self.raw) is None]
        option = " --unpinned" if unpinned else ""
        command = f"kinbench data {_quoted(self.selector)} {_quoted(str(self.raw))} --download{option}"
        lines = [f"'{command}' fetches {told_sizes(wanted)}:"]
        for download in wanted:
            size = in_bytes(download.size_bytes) if download.size_bytes else "size unknown"
            note = ", no published hash to check it by" if download in unpinned else ""
            lines.append(f"  {download.path} ({size}{note}) from {download.url}")
        return lines


def told_sizes(wanted: tuple[Download, ...]) -> str:
    """Return how many files there are to fetch and how large they are together."""
    count = f"{len(wanted)} file{'s' if len(wanted) != 1 else ''}"
    sizes = [download.size_bytes for download in wanted]
    return f"{count}, {in_bytes(sum(sizes))}{'' if all(sizes) else ' and more'}"


def survey(adapter: Adapter, raw: Path, *, selector: str | None = None) -> Survey:
    """Look at what is below ``raw``; nothing is read but what the adapter's own checks read.

    A folder that is not there has nothing in it. Raises ``UsageError`` where ``raw`` is a file, and for an adapter
    that expects no particular folder (a laboratory's own).
    """
    tree = getattr(adapter, "tree", None)
    name = selector or adapter.card.name
    if not isinstance(tree, RawTree):
        raise UsageError(
            f"'{name}' expects no particular raw folder ({adapter.card.access}); 'kinbench info {name}' tells what it "
            "reads."
        )
    if raw.exists() and not raw.is_dir():
        raise UsageError(f"Expected a folder for the raw files of '{name}', found a file at '{raw}'; name a folder.")
    return Survey(name, adapter.card, tree, raw, tuple(_look(expected, raw) for expected in tree.expected))


def obtain(
    found: Survey,
    adapter: Adapter,
    *,
    unpinned: bool = False,
    on_progress: Progress = ignore,
    on_step: Callable[[str], None] = lambda text: None,
) -> Survey:
    """Fetch what may be fetched and is missing, and look again.

    One file that cannot be had does not keep the others; ``failures`` says why each is not here. Files that are there
    are held against their pinned hash. Raises ``UsageError`` where nothing may be fetched without somebody's
    agreement, with the steps that lead to it; ``DataError`` where the disk has no room for them all.
    """
    if not found.tree.downloads:
        steps = " ".join(f"({n}) {step}" for n, step in enumerate(found.tree.steps, start=1))
        raise UsageError(f"Nothing of '{found.selector}' may be fetched without an agreement of your own. {steps}")
    wanted = found.wanted
    allowed = tuple(d for d in wanted if unpinned or downloads.pinned_hash(d, found.raw) is not None)
    downloads.refuse_full_disk(allowed, found.raw)
    if allowed:
        on_step(f"fetching {told_sizes(allowed)}, into {found.raw}")
    fetched, failures = [], []
    for download in found.tree.downloads:
        if download not in wanted and not _is_there(download, found.raw):
            continue
        try:
            got = downloads.fetch(download, found.raw, unpinned=unpinned, on_progress=on_progress)
        except DataError as error:
            failures.append(str(error))
            continue
        if download in wanted:
            fetched.append(got)
            recorded = "" if got.sha256 is None else f", sha256 {got.sha256}, written beside it"
            on_step(f"fetched {got.path}{recorded}")
    after = survey(adapter, found.raw, selector=found.selector)
    return Survey(after.selector, after.card, after.tree, after.raw, after.findings, tuple(fetched), tuple(failures))


def _look(expected: Expected, raw: Path) -> Finding:
    files = tuple(sorted({path for pattern in expected.patterns for path in raw.glob(pattern) if path.is_file()}))
    return Finding(expected, files, tuple((path, why) for path in files if (why := _wrong(expected, path)) is not None))


def _wrong(expected: Expected, path: Path) -> str | None:
    if expected.check is None:
        return None
    try:
        return expected.check(path)
    except DataError as error:
        return "; ".join(error.problems)
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _is_there(download: Download, raw: Path) -> bool:
    path = raw / download.path
    return path.is_file() and download.size_bytes in (0, path.stat().st_size)


def _would_be(download: Download, expected: Expected) -> bool:
    """Return whether a download would be one of the files expected."""
    return any(fnmatchcase(f"/{download.path}", f"*/{pattern.removeprefix('**/')}") for pattern in expected.patterns)


def _quoted(text: str) -> str:
    return shlex.quote(text)
