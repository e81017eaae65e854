"""Studies on outcomes of real agents: pages with tables and figures, all made by this command.

    python scripts/studies.py [NAME ...] [--data DIR] [--out docs/studies] [--quick] [--jobs 2]

Names are accuracy, cost, decision, width, ordinal, exposure, subset, validity, series, cold-start,
and health-DATA for three benchmarks; all of them when none is given. DIR holds the data sets, a
folder each with ``responses.csv.gz``. A study whose data is not there is skipped, which is said;
series needs none.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from studies import (
    accuracy,
    cold_start,
    cost,
    decision,
    exposure,
    health,
    ordinal,
    series,
    subset,
    validity,
    width,
)
from studies.common import FILE, Run

ROOT = Path(__file__).resolve().parent.parent
STUDIES: dict[str, Any] = {
    **{benchmark.study: benchmark for benchmark in health.BENCHMARKS},
    "subset": subset,
    "validity": validity,
    "decision": decision,
    "width": width,
    "ordinal": ordinal,
    "exposure": exposure,
    "cost": cost,
    "accuracy": accuracy,
    "series": series,
    "cold-start": cold_start,
}


def main(arguments: list[str] | None = None) -> int:
    """Make the pages; 1 if nothing could be made."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(STUDIES))
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "studies")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--quick", action="store_true", help="few seeds and tasks, a trial run")
    asked = parser.parse_args(arguments)
    if unknown := [name for name in asked.names if name not in STUDIES]:
        parser.error(f"no study {unknown[0]!r}; there are {', '.join(STUDIES)}")
    run = Run(asked.data, asked.out, asked.quick, asked.jobs)
    made = 0
    for name in asked.names or STUDIES:
        study = STUDIES[name]
        absent = [data for data in study.NEEDS if not (asked.data / data / FILE).exists()]
        if absent:
            where = asked.data / absent[0] / FILE
            run.say(f"{name}: skipped, there is no {where}; give the folder with --data")
            continue
        run.say(f"{name}: {study.TITLE}")
        began = time.perf_counter()
        text = study.run(run)
        asked.out.mkdir(parents=True, exist_ok=True)
        (asked.out / f"{name}.md").write_text(text, encoding="utf-8")
        run.say(f"{name}: {asked.out / name}.md in {time.perf_counter() - began:.0f} s")
        made += 1
    return 0 if made else 1


if __name__ == "__main__":
    sys.exit(main())
