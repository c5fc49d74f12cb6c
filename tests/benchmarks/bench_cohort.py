"""Time and memory of two cohorts of many records, and where their maps differ.

``PYTHONPATH=. python tests/benchmarks/bench_cohort.py --data PTBXL --n 250 --out F.html``

Not a test: some minutes for 500 records. Prints the seconds, the core seconds and, every 50
records, the resident memory of the process; then the mean share by wave and lead of both cohorts
and where they differ. Nothing is taken from a cache of earlier runs.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from ecgxai_core.audit.card_evidence import WAVES
from ecgxai_core.audit.cohort import CohortRequest, compare_cohorts, make_cohort, outliers
from ecgxai_core.params import profile, profile_with
from ecgxai_core.report.cohort import cohort_report, difference_words
from ecgxai_core.settings import default_model
from ecgxai_core.store.atomic import write_bytes_atomic
from ecgxai_core.store.cache import Store

EVERY = 50


def resident_mb() -> float:
    """Resident memory of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return float("nan")


def tell(done: int, total: int, _name: str) -> None:
    if done % EVERY == 0 or done == total:
        print(f"{done} of {total}: {resident_mb():.0f} MB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--n", type=int, default=250, help="records per cohort")
    parser.add_argument("--targets", nargs=2, default=["LBBB", "RBBB"])
    parser.add_argument("--method", default="integrated_gradients")
    parser.add_argument("--model", type=Path, default=default_model())
    parser.add_argument("--out", type=Path)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    chosen = parser.parse_args()
    settings = profile_with(profile("default"), ["segments=wave", *chosen.settings])
    began, core = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder), int(2e9))
        cohorts = [
            make_cohort(
                CohortRequest(
                    chosen.data, chosen.model, target, settings, "labelled", chosen.n, chosen.method
                ),
                store, progress=tell,
            )
            for target in chosen.targets
        ]  # fmt: skip
    seconds, cores = time.perf_counter() - began, time.process_time() - core
    n = sum(len(one.records) for one in cohorts)
    print(f"{n} records in {seconds:.0f} s ({cores:.0f} core seconds), {resident_mb():.0f} MB")
    found = compare_cohorts(*cohorts)
    for one in cohorts:
        far = ", ".join(record.name for record, _ in outliers(one)[:5]) or "none"
        print(f"\n{one.name}: {len(one.records)} of {one.found}, {len(one.failures)} failed")
        print(f"outlying: {far}\n")
        print(f"| % of the map | {' | '.join(one.leads)} |")
        print("|---" * (len(one.leads) + 1) + "|")
        for wave, row in zip(WAVES, one.mean, strict=True):
            print(f"| {wave} | {' | '.join(f'{100 * share:.1f}' for share in row)} |")
    print(f"\n{difference_words(*cohorts, found)}")
    if chosen.out:
        page = cohort_report(cohorts, found, settings.evaluation)
        write_bytes_atomic(chosen.out, page.encode("utf-8"))


if __name__ == "__main__":
    main()
