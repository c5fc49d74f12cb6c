"""Maps that add up, layer by layer and by whole passes, in pairs.

``PYTHONPATH=. python tests/benchmarks/bench_windows.py``. Both ways take turns in one process,
eight rows of the design at a time, so that ratios mean something on a machine that is busy
otherwise. A pass is one forward pass of a whole record; what is recomputed counts by its
floating-point operations. Rates are of one core.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ecgxai_core.case import Case
from ecgxai_core.explainers import explain
from ecgxai_core.explainers.prepared import segmentation_of
from ecgxai_core.games import MaskedModel
from ecgxai_core.games.local.engine import windows_of
from ecgxai_core.games.local.hierarchy import CORNERS, LocalQuads
from ecgxai_core.models.loading import load_classifier
from ecgxai_core.models.preprocess import prepare
from ecgxai_core.params import ExplainParams
from ecgxai_core.types import FloatArray
from tests.benchmarks.material import AF, first_record, model_path


def _spent(run: Callable[[], FloatArray]) -> tuple[FloatArray, FloatArray]:
    """What ``run`` gave, and its seconds of the clock and of all cores."""
    clock, cores = time.perf_counter(), time.process_time()
    found = run()
    return found, np.array([time.perf_counter() - clock, time.process_time() - cores])


def measure(model: str, lead_group: str, data: Path) -> None:
    """One line for a model and a lead group: waves of record A0003, atrial fibrillation."""
    classifier, record = load_classifier(model_path(model, data)), first_record(data)
    params = ExplainParams(segments="auto", level="owen", lead_group=lead_group)
    case = Case(record, classifier, AF)
    facts = explain(case, "timeshap", params).diagnostics
    model_input = prepare(record, classifier.manifest)
    cut = segmentation_of(case, model_input, params)
    game = MaskedModel(classifier, model_input, AF, "zero", lead_group=lead_group)
    linear = game.linear_game(cut, "logit")
    assert linear is not None
    ours, local = linear.quads, game._game(cut)
    assert local is not None
    windows = windows_of(classifier, local)
    if windows is None:
        raise SystemExit(f"{model}: windows are no less work here")
    whole = LocalQuads(local, ours._players)
    rows = facts["coalitions"]["lead"] // (CORNERS * len(cut))
    together = windows.rows_together(CORNERS, local.n_leads)
    _, ready = _spent(lambda: ours.quads(ours.columns + together)[-together:])  # the bank
    whole.quads(ours.columns)
    turns, difference = [], 0.0
    for row in range(ours.columns + together, ours.columns + rows - together + 1, together):
        stop = row + together
        runs: list[Callable[[], FloatArray]] = [
            lambda row=row, stop=stop: whole.quads(stop)[row:stop],
            lambda row=row, stop=stop: ours.quads(stop)[row:stop],
        ]
        if not turns:
            whole.quads(row)
        (right, passes), (found, recomputed) = (
            map(_spent, runs) if len(turns) % 2 else [_spent(run) for run in runs[::-1]][::-1]
        )
        difference = max(difference, float(np.abs(right - found).sum(axis=1).max()))
        turns.append(np.stack([passes, recomputed]))
    totals, each = np.sum(turns, axis=0), np.array(turns)
    ratio = np.median(each[:, 0] / each[:, 1], axis=0)
    work = local.network.increments.whole_work * CORNERS * ours.period * together
    work *= len(turns)
    rates = work * np.array([1.0, windows.share]) / totals[:, 1] / 1e9
    print(f"{model}, {len(ours._players)} leads, {len(cut)} segments, {rows} rows")
    print(f"  passes {ours.passes(ours.columns + rows) + local.table_passes + 1}")
    print(f"  of which by operations {facts['forward_passes']:.0f}, of a row {windows.share:.3f}")
    print(f"  bank {windows.bank_bytes / 2**20:.0f} MiB, {windows.bank_passes} passes; ready after")
    print(f"  {ready[0]:.2f} s ({ready[1]:.2f} of cores), {together} rows included")
    print(
        f"  whole passes {totals[0, 0]:.1f} s, {totals[0, 1]:.1f} of cores, {rates[0]:.0f} GFLOP/s"
    )
    print(f"  by layers {totals[1, 0]:.1f} s, {totals[1, 1]:.1f} of cores, {rates[1]:.0f} GFLOP/s")
    print(f"  median ratio of pairs {ratio[0]:.2f} (clock), {ratio[1]:.2f} (cores)")
    print(f"  largest difference of a row on the logit {difference:.1e}")


def main() -> None:
    """Measure what is asked for and print it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--model", default="default")
    parser.add_argument("--lead-group", nargs="+", default=["independent", "all"])
    chosen = parser.parse_args()
    for group in chosen.lead_group:
        measure(chosen.model, group, chosen.data)


if __name__ == "__main__":
    main()
