"""What a model brings into a run: weights to begin from, settings that a search found, and whom both have seen."""

from kinbench.provenance.origins import Origin, begin, origin_of, split
from kinbench.provenance.registry import Available, available, fetch, located
from kinbench.provenance.searches import SEARCH, SEARCH_FORMAT, Search, read_search
from kinbench.provenance.weights import (
    CARD,
    FORMAT,
    STATE,
    Keepable,
    Weights,
    digests_of,
    keepable,
    liked_by,
    open_weights,
    read_card,
    seen_by,
    sha256_of,
)

__all__ = [
    "CARD", "FORMAT", "SEARCH", "SEARCH_FORMAT", "STATE", "Available", "Keepable", "Origin", "Search", "Weights",
    "available", "begin", "digests_of", "fetch", "keepable", "liked_by", "located", "open_weights", "origin_of",
    "read_card", "read_search", "seen_by", "sha256_of", "split",
]  # fmt: skip
