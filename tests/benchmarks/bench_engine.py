"""The exact engine against sampling: ``PYTHONPATH=. python tests/benchmarks/bench_engine.py``.

Not a test: what it prints depends on the machine. Writes ``engine.json`` and ``engine.md`` into
``--out``. A pass is one forward pass of a whole record; crops count by their length. Without real
records (see ``--data``) only the shipped model on simulated records is measured. What takes less
than five seconds is told as the median of five.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ecgxai_core.case import Case
from ecgxai_core.explainers import explain_many
from ecgxai_core.explainers.prepared import Shelf
from ecgxai_core.explainers.sampled_games import strongest
from ecgxai_core.explainers.timeshap import published_shapley_weights, shapley_weights
from ecgxai_core.games import MaskedModel, to_link
from ecgxai_core.games.local.engine import engine_of
from ecgxai_core.games.local.sums import complete_shapley
from ecgxai_core.games.players import event_keep, lead_keep
from ecgxai_core.games.regression import fit_ridge, fit_shapley
from ecgxai_core.games.sampling import (
    Coalitions,
    paired_coalitions,
    published_shapley_coalitions,
    shared_lead_mass,
)
from ecgxai_core.models.keras_runtime import import_keras
from ecgxai_core.models.loading import load_classifier
from ecgxai_core.models.preprocess import prepare
from ecgxai_core.params import ExplainParams, profile
from ecgxai_core.pipeline.explain import explained
from ecgxai_core.signal.segments import segment
from ecgxai_core.store.cache import Store
from ecgxai_core.types import FloatArray, IntArray, Record
from tests.benchmarks.material import AF, first_record, model_path

EVENTS = "event Shapley, 20 segments"
HALF = ExplainParams(window_sec=0.5)
FIVE = HALF.updated(top_events=5)
REPEATS = 5
QUICK_SEC = 5.0


@dataclass(frozen=True)
class Row:
    """One line of the table; ``error`` is relative to the exact values (of maps that add up: its
    upper limit, as the map says itself), ``top5`` Jaccard.

    ``cpu`` are seconds of all cores together: they hardly change with what else runs.
    """

    model: str
    what: str
    how: str
    seconds: float
    cpu: float
    passes: float
    error: float | None = None
    top5: float | None = None


class Bench:
    """One model and one record, and what is asked of them."""

    def __init__(self, name: str, model: Path, record: Record) -> None:
        self.name, self.record = name, record
        self.classifier = load_classifier(model)
        engine = engine_of(self.classifier)
        if engine.part is None:
            raise SystemExit(f"{name}: the local engine is off: {engine.reason}")
        self.check = engine.error
        self.model_input = prepare(record, self.classifier.manifest)
        self.cut = segment(self.model_input, HALF, 0.5)
        self.rows: list[Row] = []

    def game(self, engine: str = "auto") -> MaskedModel:
        """A fresh game without memory."""
        return MaskedModel(self.classifier, self.model_input, AF, "zero", engine)

    def add(
        self, what: str, how: str, run: Callable[[], tuple[Any, float]], exact: Any = None
    ) -> Any:
        """Time ``run``, after what it compiles has been compiled."""
        found, passes, seconds, cpu = _timed(run)
        error = top = None
        if exact is not None:
            error, top = _error(found, exact)
        self.rows.append(Row(self.name, what, how, seconds, cpu, passes, error, top))
        spent = f"{seconds:9.3f} s {cpu:9.3f} of cores {passes:9.1f} passes"
        how_far = "" if exact is None else f"  error {error:.2g}, top five {top:.2f}"
        print(f"{self.name:10} {what:28} {how:34} {spent}{how_far}", flush=True)
        return found

    # ---- the games -----------------------------------------------------------------------------

    def events(self, coalitions: int) -> None:
        """Shapley values of 20 segments by everyone, on the logit."""

        def ours() -> tuple[Any, float]:
            game = self.game()
            closed = game.event_game(self.cut, "logit")
            assert closed is not None
            values = closed.shapley()
            assert values is not None
            return values, game.forward_passes

        ours()
        exact = ours()[0]
        self.add(EVENTS, "exact engine", ours, exact)
        published = FIVE.updated(engine="whole", top_events=1, n_lead_coalitions=16)
        for n in (256, coalitions):
            params = published.updated(n_coalitions=n)
            how = f"generic path, {n} coalitions"
            self.add(EVENTS, how, lambda params=params: self._generic(params), exact)
        self._libraries(coalitions, exact)

    def _generic(self, params: ExplainParams) -> tuple[Any, float]:
        found = explain_many(Case(self.record, self.classifier, AF), {"timeshap": params})[
            "timeshap"
        ]
        return found.event_values, float(found.diagnostics["coalitions"]["event"])

    def _libraries(self, coalitions: int, exact: Any) -> None:
        import shap
        from lime.lime_base import LimeBase

        counted = [0]

        def value(masks: Any) -> Any:
            counted[0] += len(masks)
            keep = event_keep(np.asarray(masks) > 0.5, 12)
            return to_link(self.game("whole").probabilities(keep, self.cut), "logit")

        n = len(self.cut)
        nothing, everything = np.zeros((1, n)), np.ones((1, n))

        def kernel() -> tuple[Any, float]:
            counted[0] = 0
            explainer = shap.KernelExplainer(value, nothing)
            values = explainer.shap_values(everything, nsamples=coalitions, silent=True)
            return np.ravel(values), counted[0]

        def permutation() -> tuple[Any, float]:
            counted[0] = 0
            explainer = shap.PermutationExplainer(value, nothing, seed=0)
            return np.ravel(explainer(everything, max_evals=coalitions).values), counted[0]

        def lime() -> tuple[Any, float]:
            counted[0] = 0
            masks = np.random.default_rng(0).binomial(1, 0.5, (coalitions, n))
            masks[0] = 1
            distance = 1 - np.sqrt(masks.mean(axis=1))
            base = LimeBase(lambda d: np.sqrt(np.exp(-(d**2) / 0.25**2)), random_state=0)
            _, pairs, *_ = base.explain_instance_with_data(
                masks, value(masks)[:, None], distance, 0, n, feature_selection="none"
            )
            return np.array([w for _, w in sorted(pairs)]), counted[0]

        self.add(EVENTS, f"shap.KernelExplainer, {coalitions}", kernel, exact)
        self.add(EVENTS, f"shap.PermutationExplainer, {coalitions}", permutation, exact)
        self.add("LIME, 20 segments", f"lime, {coalitions} masks", lime)

    def exhaustive(self) -> float:
        """Largest difference from enumerating 12 segments through the whole model."""
        window = HALF.updated(window_sec=len(self.model_input.values) / self.model_input.fs / 12)
        cut = segment(self.model_input, window, window.window_sec or 0.5)
        masks = (np.arange(2 ** len(cut))[:, None] >> np.arange(len(cut))) & 1 == 1

        def whole() -> tuple[Any, float]:
            probability = self.game("whole").probabilities(event_keep(masks, 12), cut)
            return complete_shapley(to_link(probability, "logit")), len(masks)

        right = self.add("event Shapley, 12 segments", "exhaustive, whole passes", whole)
        closed = self.game().event_game(cut, "logit")
        assert closed is not None
        found = closed.shapley()
        assert found is not None
        return float(np.abs(found - right).max())

    def maps(self) -> dict[str, float]:
        """Fused and dense maps, and the published sparse one, against games played to the end."""
        whole = FIVE.updated(engine="whole")
        published = profile("reference")
        sparse = {
            name: published.for_method(name).updated(window_sec=0.5)
            for name in ("lime", "timeshap")
        }
        self._explained({"lime": FIVE, "timeshap": FIVE})  # compiles
        exact = Exact.of(self)
        cases = (
            ("top five", "exact engine", dict.fromkeys(("lime", "timeshap"), FIVE)),
            ("all windows", "exact engine", dict.fromkeys(("lime", "timeshap"), HALF)),
            ("top five", "generic path, same masks", dict.fromkeys(("lime", "timeshap"), whole)),
            ("top five", "generic path, published settings", sparse),
        )
        for what, how, methods in cases:
            found = self._map(what, how, methods)["timeshap"]
            assert found.event_values is not None
            error, top = _error(found.event_values, exact.events)
            self.rows[-1] = replace(self.rows[-1], error=error, top5=top)
            print(f"{'':39} events {error:.1%} off, top five {top:.2f}")
        self._cached()
        return exact.lead_draws()

    def _map(self, what: str, how: str, methods: dict[str, ExplainParams]) -> Any:
        def run() -> tuple[Any, float]:
            found = self._explained(methods)
            passes = [a.diagnostics["forward_passes"] for a in found.values()]
            # methods under our sampling ask for the same crops and records
            return found, max(passes) if methods["lime"].sampling == "paired" else sum(passes) - 1

        return self.add(f"LIME + TimeSHAP, {what}", how, run)

    def _explained(self, methods: dict[str, ExplainParams]) -> Any:
        return explain_many(Case(self.record, self.classifier, AF), methods)

    def _cached(self) -> None:
        """Both maps and their fusion from the disk cache."""
        chosen = profile("default")
        with tempfile.TemporaryDirectory() as folder:
            store = Store(Path(folder), 10**9)
            explained(Case(self.record, self.classifier, AF), chosen, store)

            def again() -> tuple[Any, float]:
                return explained(Case(self.record, self.classifier, AF), chosen, store), 0.0

            self.add("LIME + TimeSHAP, fused", "from the cache", again)
            store.close()

    def waves(self) -> None:
        """Maps that add up on waves: one output, and then each other of the same record."""
        others = [code for code in self.classifier.classes if code != AF]
        for players, group in ((8, "independent"), (12, "all")):
            params = ExplainParams(segments="auto", level="owen", lead_group=group)
            shelf, what = Shelf(), f"waves, all cells, {players} leads"
            for code in others:  # compiles, and plays what any of them needs
                self._adding_up(code, params, shelf)
            first = self.add(what, "one output", lambda p=params: self._adding_up(AF, p, Shelf()))
            self.rows[-1] = replace(self.rows[-1], error=first["relative_error"])
            told = []
            for code in others:
                facts, *spent = _timed(lambda c=code, p=params, s=shelf: self._adding_up(c, p, s))
                told.append((*spent, facts["relative_error"]))
            passes, seconds, cpu, error = (float(x) for x in np.median(told, axis=0))
            self.rows.append(Row(self.name, what, "another output", seconds, cpu, passes, error))
            print(self.rows[-1], flush=True)

    def _adding_up(
        self, target: str, params: ExplainParams, shelf: Shelf
    ) -> tuple[Mapping[str, Any], float]:
        case = Case(self.record, self.classifier, target)
        with shelf.prepared(case) as known:
            found = explain_many(case, {"timeshap": params}, prepared=known)["timeshap"]
        return found.diagnostics, found.diagnostics["forward_passes"]

    def growth(self, folder: Path) -> None:
        """How time grows with segments, masks and the length of the record."""
        for window in (1.0, 0.5, 0.25):
            self._dense(f"all windows of {window:g} s, 100 masks", HALF.updated(window_sec=window))
        for masks in (50, 200, 400):
            self._dense(
                f"all windows of 0.5 s, {masks} masks", HALF.updated(n_lead_coalitions=masks)
            )
        for factor in (1, 2, 4):
            longer, seconds = self._longer(factor, folder / f"{self.name}{factor}")
            longer._dense(f"all windows of 0.5 s, {seconds:.0f} s of ECG", HALF)
            self.rows += longer.rows

    def _longer(self, factor: int, folder: Path) -> tuple[Bench, float]:
        """The same weights for records ``factor`` times as long, and such a record."""
        keras = import_keras()
        model, manifest = self.classifier.keras_model, self.classifier.manifest
        config = model.get_config()
        samples = factor * manifest.samples
        config["layers"][0]["config"]["batch_shape"] = (None, samples, len(manifest.leads))
        wide = keras.Model.from_config(config)
        wide.set_weights(model.get_weights())
        folder.mkdir()
        wide.save(folder / "longer.keras")
        digest = hashlib.sha256((folder / "longer.keras").read_bytes()).hexdigest()
        said = manifest.model_copy(update={"samples": samples, "sha256": digest})
        (folder / "longer.json").write_text(said.model_dump_json(by_alias=True))
        record = self.record
        tiled = replace(record, signal=np.tile(record.signal, (1, factor)))
        return Bench(self.name, folder / "longer.keras", tiled), samples / manifest.fs

    def _dense(self, what: str, params: ExplainParams) -> None:
        def run() -> tuple[Any, float]:
            found = explain_many(Case(self.record, self.classifier, AF), {"timeshap": params})[
                "timeshap"
            ]
            return found, found.diagnostics["forward_passes"]

        run()  # compiles the crops of this length
        self.add(what, "exact engine", run)


@dataclass(frozen=True)
class Exact:
    """Shapley values of all events, and the leads of the top five played to the end.

    ``tables``: ``float64[4096]`` values of every coalition of leads in each of those windows.
    """

    events: FloatArray
    tables: tuple[FloatArray, ...]

    @classmethod
    def of(cls, bench: Bench) -> Exact:
        game = bench.game()
        closed = game.event_game(bench.cut, "logit")
        assert closed is not None
        events = closed.shapley()
        assert events is not None
        masks = (np.arange(4096)[:, None] >> np.arange(12)) & 1 == 1
        keeps = [lead_keep(masks, int(s), len(bench.cut)) for s in strongest(events, 5)]
        tables = [to_link(game.probabilities(keep, bench.cut), "logit") for keep in keeps]
        return cls(events, tuple(tables))

    def lead_draws(self) -> dict[str, float]:
        """Error of the Shapley values of leads from 100 masks, over the five windows and 10 draws.

        Both schemes draw in the same windows, where a map of one seed opens those that it found.
        """

        def ours(table: FloatArray, rng: np.random.Generator) -> FloatArray:
            drawn = paired_coalitions(shared_lead_mass(12), 100, rng)
            ends = {"empty": float(table[0]), "full": float(table[-1])}
            return fit_shapley(drawn, table[_codes(drawn)], shapley_weights(drawn), **ends).values

        def published(table: FloatArray, rng: np.random.Generator) -> FloatArray:
            drawn = published_shapley_coalitions(12, 100, rng)
            weights = published_shapley_weights(drawn)
            ridge = profile("reference").timeshap.ridge_timeshap
            return fit_ridge(drawn, table[_codes(drawn)], weights, ridge).values

        right = np.array([complete_shapley(table) for table in self.tables])
        found = {}
        for name, fitted in (("our", ours), ("the published", published)):
            draws = [[fitted(t, np.random.default_rng(s)) for t in self.tables] for s in range(10)]
            errors = [_error(np.array(draw), right)[0] for draw in draws]
            found[f"error of leads, 100 masks by {name} scheme"] = float(np.mean(errors))
        return found


def _codes(drawn: Coalitions) -> IntArray:
    return np.asarray(drawn.masks @ (1 << np.arange(12)), dtype=np.int64)


def _timed(run: Callable[[], tuple[Any, float]]) -> tuple[Any, float, float, float]:
    """What ``run`` gave, and its median seconds, of the clock and of the cores."""
    spent = []
    while True:
        begun, worked = time.perf_counter(), time.process_time()
        found, passes = run()
        spent.append((time.perf_counter() - begun, time.process_time() - worked))
        if len(spent) == REPEATS or max(spent)[0] > QUICK_SEC:
            seconds, cpu = np.median(spent, axis=0)
            return found, passes, float(seconds), float(cpu)


def _error(found: FloatArray, exact: FloatArray) -> tuple[float, float]:
    """Relative error, and Jaccard of the top five."""
    error = float(np.abs(found - exact).sum() / np.abs(exact).sum())
    return error, _jaccard(found.ravel(), exact.ravel())


def _jaccard(left: Any, right: Any) -> float:
    tops = [
        set(np.argsort(-np.abs(values), kind="stable")[:5].tolist()) for values in (left, right)
    ]
    return len(tops[0] & tops[1]) / len(tops[0] | tops[1])


def _benches(data: Path, models: list[str]) -> Iterator[Bench]:
    record = first_record(data)
    for name in models:
        path = model_path(name, data)
        if path.exists():
            yield Bench(name, path, record)
        else:
            print(f"{name}: {path} is not here")


def _table(rows: list[Row]) -> str:
    head = ("model", "what", "how", "seconds", "cpu seconds", "passes", "error", "top five")
    lines = [head, ("---",) * len(head)]
    for row in rows:
        passes = "" if np.isnan(row.passes) else f"{row.passes:.1f}"
        error = "" if row.error is None else f"{row.error:.1%}"
        top = "" if row.top5 is None else f"{row.top5:.2f}"
        spent = f"{row.seconds:.3f}", f"{row.cpu:.3f}"
        lines.append((row.model, row.what, row.how, *spent, passes, error, top))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    """Measure everything, print it, and write JSON and Markdown."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("runs/bench_engine"))
    parser.add_argument("--coalitions", type=int, default=2000)
    parser.add_argument("--model", nargs="+", default=["default", "reference"])
    parser.add_argument("--growth", nargs="*", default=["default"], help="models whose growth")
    parser.add_argument("--only-waves", action="store_true", help="maps that add up, no more")
    chosen = parser.parse_args()
    rows: list[Row] = []
    facts: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for bench in _benches(chosen.data, chosen.model):
            if chosen.only_waves:
                bench.waves()
                rows += bench.rows
                _written(chosen.out, rows, facts)
                continue
            bench.events(chosen.coalitions)
            facts[f"{bench.name}: self-check error"] = bench.check
            facts[f"{bench.name}: difference to 4096 whole passes"] = bench.exhaustive()
            for what, value in bench.maps().items():
                facts[f"{bench.name}: {what}"] = value
            bench.waves()
            if bench.name in chosen.growth:
                bench.growth(Path(folder))
            rows += bench.rows
            _written(chosen.out, rows, facts)
    for name, value in facts.items():
        print(f"{name}: {value}")


def _written(out: Path, rows: list[Row], facts: dict[str, Any]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "engine.md").write_text(_table(rows))
    told = {"facts": facts, "rows": [asdict(row) for row in rows]}
    (out / "engine.json").write_text(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
