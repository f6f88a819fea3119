"""The field's papers beside our results."""

from __future__ import annotations

from kinbench import literature, plugins
from kinbench.api.places import Folder, Names, listed, load_all, read_results, results_folder
from kinbench.literature import Comparison


def papers(names: Names = None, *, results: Folder = None) -> Comparison:
    """Return what papers reported beside what the results hold: tables, claims, what differs; it can ``write(folder)``.

    All registered papers unless named. Without results the papers' own numbers are there alone. Raises ``UsageError``
    for a paper that is not registered.
    """
    folder = results_folder(results)
    known = load_all("papers", listed(names) or list(plugins.find("papers")))
    return literature.compare(list(known.values()), read_results(folder) if folder.is_dir() else [])
