"""Maps that add up: how long they take, and whether "converged" and their errors hold.

``PYTHONPATH=. python -m tests.benchmarks.bench_maps [--data DATA] [--model default reference]``

Not a test: about ten minutes for the shipped model and twenty for the reference model on two
cores. First the times of record A0003, atrial fibrillation: windows of half a second for both
models, and the record's own waves for the shipped one. Errors are the 95 % limits that the maps
give themselves, as shares of the maps' norms. Then, on windows, where all quads can be enumerated:
maps of several records and outputs that stopped at five per cent against the exact ones, and the
standard deviation of z, the difference of a segment's leads over their standard errors. The rate
at which whole records pass through the model says how fast the machine is. Prints Markdown.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from ecgxai_core.case import Case
from ecgxai_core.explainers.hierarchical import FIRST_SHOWN, STAGES, converged, relative_error
from ecgxai_core.explainers.prepared import segmentation_of
from ecgxai_core.games import MaskedModel
from ecgxai_core.games.local.hierarchy import LocalMap
from ecgxai_core.games.masked import LinearGame
from ecgxai_core.models.loading import load_classifier
from ecgxai_core.models.preprocess import prepare
from ecgxai_core.models.protocol import Classifier
from ecgxai_core.params import ExplainParams, profile
from ecgxai_core.pipeline.explain import explained
from ecgxai_core.store.cache import Store
from ecgxai_core.types import FloatArray, Record, Segmentation
from tests.benchmarks.material import AF, first_record, model_path, records_of
from tests.benchmarks.measured import table

WAVES = ExplainParams(segments="auto", level="owen", target_error=0.05)
HALF = WAVES.updated(segments="uniform", window_sec=0.5)
GROUPS = {"8": "independent", "12": "all"}
MOST, EVERY_OUTPUT = 0.05, 0.06
PASSES = 64
Found = TypeVar("Found")


def main() -> None:
    """Measure what is asked for and print it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--model", nargs="+", default=["default", "reference"])
    parser.add_argument("--records", type=int, default=6, help="whose games are enumerated")
    parser.add_argument("--outputs", type=int, default=10, help="of each record")
    chosen = parser.parse_args()
    for name in chosen.model:
        classifier = load_classifier(model_path(name, chosen.data))
        record = first_record(chosen.data)
        rows = []
        cuts = {"windows of 0.5 s": HALF, **({"waves": WAVES} if name == "default" else {})}
        for cut, params in cuts.items():
            for leads in GROUPS:
                rows += _times(record, classifier, params, cut, leads)
        print(f"\n{name}, whole passes at {_rate(classifier, record):.0f} a second\n")
        print(table(("map", "leads", "what", "seconds", "passes of work", "error"), rows))
        records = records_of(chosen.data, 4 * chosen.records)[::4]
        print("\n" + _held(records, classifier, chosen.outputs), flush=True)


def _linear(
    record: Record, classifier: Classifier, params: ExplainParams, target: str = AF
) -> tuple[LinearGame, Segmentation]:
    """A game of which nothing is known yet."""
    case = Case(record, classifier, target)
    model_input = prepare(record, classifier.manifest)
    cut = segmentation_of(case, model_input, params)
    game = MaskedModel(classifier, model_input, target, "zero", lead_group=params.lead_group)
    linear = game.linear_game(cut, "logit")
    if linear is None:
        raise SystemExit("the local engine does not play this game")
    return linear, cut


def _times(
    record: Record, classifier: Classifier, params: ExplainParams, cut: str, leads: str
) -> list[tuple[str, ...]]:
    params = params.updated(lead_group=GROUPS[leads])
    _linear(record, classifier, params)[0].map(FIRST_SHOWN)  # functions are compiled
    rows = []

    def add(what: str, seconds: float, linear: LinearGame, used: int, error: float) -> None:
        work = linear.quads.work(used + linear.quads.columns)
        rows.append((cut, leads, what, f"{seconds:.2f}", f"{work:.0f}", f"{error:.1%}"))

    begun = time.perf_counter()
    linear, segments = _linear(record, classifier, params)
    limit = linear.limit(None)
    found = linear.map(min(FIRST_SHOWN, limit))
    add("first map", time.perf_counter() - begun, linear, min(FIRST_SHOWN, limit), _error(found))
    used, found = _until(lambda rows: linear.map(rows), limit, lambda one: _error(one) <= MOST)
    spent = time.perf_counter() - begun
    add(f"{len(segments)} segments, to {MOST:.0%}", spent, linear, used, _error(found))
    n_classes = len(linear.combination)

    def errors(count: int) -> FloatArray:
        every = (LinearGame(linear.quads, one, linear.count) for one in np.eye(n_classes))
        return np.array([_error(one.map(count)) for one in every])

    second = time.perf_counter()
    other = LinearGame(linear.quads, np.eye(n_classes)[0], linear.count).map(used)
    add("a second output", time.perf_counter() - second, linear, used, _error(other))
    begun = time.perf_counter()
    median = float(np.median(errors(used)))
    add(f"all {n_classes} outputs, median", time.perf_counter() - begun, linear, used, median)
    begun = time.perf_counter()
    used, worst = _until(errors, limit, lambda one: bool(one.max() <= EVERY_OUTPUT))
    more = time.perf_counter() - begun
    add(f"every output to {EVERY_OUTPUT:.0%}, further", more, linear, used, float(worst.max()))
    if linear.quads.complete <= 2**12 and leads == "8":
        begun = time.perf_counter()
        linear, _ = _linear(record, classifier, params)
        found = linear.map(linear.quads.complete)
        add("exact", time.perf_counter() - begun, linear, linear.quads.complete, _error(found))
    with tempfile.TemporaryDirectory() as folder:
        store, case = Store(Path(folder), 10**9), Case(record, classifier, AF)
        own = profile("default").updated(timeshap=params)
        explained(case, own, store, ["timeshap"])
        begun = time.perf_counter()
        explained(case, own, store, ["timeshap"])
        rows.append((cut, leads, "from the cache", f"{time.perf_counter() - begun:.3f}", "0", ""))
    return rows


def _error(found: LocalMap) -> float:
    return relative_error(found.errors**2, found.values)


def _until(
    mapped: Callable[[int], Found], limit: int, done: Callable[[Found], bool]
) -> tuple[int, Found]:
    """Rows of the first stage at which a map, or all of them, are good enough."""
    for rows in [*(stage for stage in STAGES if stage < limit), limit]:
        found = mapped(rows)
        if done(found):
            break
    return rows, found


def _rate(classifier: Classifier, record: Record) -> float:
    batch = np.repeat(prepare(record, classifier.manifest).values[None], PASSES, axis=0)
    classifier.predict(batch)
    begun = time.perf_counter()
    classifier.predict(batch)
    return PASSES / (time.perf_counter() - begun)


def _held(records: list[Record], classifier: Classifier, outputs: int) -> str:
    """Maps that say that they have converged, and z, against exact maps."""
    rows = []
    for leads, group in GROUPS.items():
        wrong, scores = [], []
        for record in records:
            params = HALF.updated(lead_group=group)
            linear, _ = _linear(record, classifier, params)
            probabilities = classifier.predict(prepare(record, classifier.manifest).values[None])[0]
            for output in np.argsort(-probabilities)[:outputs]:
                one = LinearGame(linear.quads, np.eye(len(probabilities))[output], linear.count)
                exact = one.map(linear.quads.complete).values
                limit = linear.limit(None)
                _, found = _until(
                    one.map, limit, lambda at: converged(at.errors**2, at.values, MOST)
                )
                if found.exact:
                    continue
                off = found.values - exact
                wrong.append((np.linalg.norm(off), np.linalg.norm(exact), _error(found)))
                scores.append((off[found.errors > 0] / found.errors[found.errors > 0]).std())
        off, size, said = np.array(wrong).reshape(-1, 3).T
        fine = (off <= MOST * size) | (off <= 0.02)
        rows.append(
            (
                leads,
                len(off),
                f"{fine.mean():.1%}",
                f"{np.median(off / size):.1%}",
                f"{np.max(off / size):.1%}",
                f"{np.median(said):.1%}",
                f"{np.median(scores):.2f} ({np.min(scores):.2f}-{np.max(scores):.2f})",
            )
        )
    head = (
        "leads",
        "games",
        f"error at most {MOST:.0%} (or 0.02)",
        "median error",
        "largest",
        "median of what the maps say",
        "standard deviation of z, median (range)",
    )
    return table(head, rows)


if __name__ == "__main__":
    main()
