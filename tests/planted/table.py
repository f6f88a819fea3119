"""The campaign's table."""

from collections import Counter, defaultdict
from collections.abc import Iterable

from planted.scoring import OUTCOMES, UNDER, Row


def table(rows: Iterable[Row]) -> str:
    """Return counts of outcomes by kind, as text; shares are of what was assessed but for the first."""
    counts: dict[str, Counter] = defaultdict(Counter)
    for row in rows:
        for kind in (row.kind, *(("ALL",) if row.kind != UNDER else ())):
            counts[kind][row.outcome] += 1
            counts[kind]["first"] += row.told.first
            counts[kind]["alone"] += row.told.alone
    shares = ("of all", "named", "named first", "named alone")
    lines = [f"{'kind':32}" + "".join(f"{name:>14}" for name in OUTCOMES) + "".join(f"{name:>13}" for name in shares)]
    for kind, told in sorted(counts.items(), key=lambda each: each[0] == "ALL"):
        total = sum(told[name] for name in OUTCOMES)
        assessed = total - told["not assessed"]
        parts = [f"{told['named'] / total:.1%}"]
        parts += [f"{told[name] / assessed:.1%}" if assessed else "-" for name in ("named", "first", "alone")]
        lines.append(f"{kind:32}" + "".join(f"{told[name]:14d}" for name in OUTCOMES)
                     + "".join(f"{part:>13}" for part in parts))  # fmt: skip
    return "\n".join(lines)
