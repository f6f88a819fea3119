"""Print the whole campaign: ``python tests/planted FOLDER`` plants every mistake in every real recording there is."""

import argparse
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

sys.path[0] = str(Path(__file__).parent.parent)  # whose package this is, where the folder itself is run

from planted.real import DESIGN, LABORATORIES, recordings  # noqa: E402
from planted.scoring import campaign  # noqa: E402
from planted.table import table  # noqa: E402

LEVELS = {"copy": "per recording", "pooled": "pooled per dataset", "anywhere": "anywhere in a dataset"}


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description="Plant every kind of mistake in every real recording.")
    parser.add_argument("shared", type=Path, help="the folder of real recordings")
    parser.add_argument("--half", choices=("design", "judged", "all"), default="all")
    parser.add_argument("--dataset", action="append", help="of these datasets alone; repeatable")
    parser.add_argument("--misses", action="store_true", help="list what was not named")
    options = parser.parse_args(arguments)
    started = time.perf_counter()
    datasets = (*LABORATORIES, "opensense", "calgary", "amass")
    halves = {name: "design" if name in DESIGN else "judged" for name in datasets}
    wanted = [name for name, half in halves.items()
              if options.half in ("all", half) and name in (options.dataset or halves)]  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        found = list(recordings(options.shared, Path(scratch), wanted))
    rows = []
    for row in campaign(found):
        rows.append(row)
        if options.misses and row.outcome != "named":
            where = row.recording or f"{row.dataset}, {row.level}"
            print(f"{row.outcome:13} {where:46} {row.kind}: {row.name} {','.join(row.told.causes)}", flush=True)
    for half, known, level in product(("design", "judged"), (True, False), LEVELS):
        chosen = [row for row in rows
                  if halves[row.dataset] == half and row.informed == known and row.level == level]  # fmt: skip
        if chosen:
            words = "with orientation or reference" if known else "without"
            print(f"\n{half} half, {words}, {LEVELS[level]}: {len(chosen)} copies\n{table(chosen)}")
    print(f"\n{sum(row.level == 'copy' for row in rows)} copies, {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
