"""All metrics on many records: ``PYTHONPATH=. python tests/benchmarks/bench_evaluation.py``.

Not a test: what it prints depends on the machine. Two aims:

- every metric, five methods of different families and their fused map, on 50 records within 60
  minutes on two cores with the shipped model;
- fused map, extra beat and full evaluation of a record at least six times faster with the exact
  engine than with whole passes, for maps of the same windows.

Everything goes through the cache in ``--cache``, so a benchmark that was stopped goes on; the
seconds that each record took when it was computed are kept beside it. Writes ``evaluation.json``
and ``evaluation.md`` there.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ecgxai_core.bootstrap import mean_interval
from ecgxai_core.case import Case
from ecgxai_core.errors import EcgXaiError
from ecgxai_core.metrics import METRICS
from ecgxai_core.metrics.testing import compare_methods
from ecgxai_core.models.loading import LazyClassifier, load_classifier
from ecgxai_core.models.protocol import Classifier
from ecgxai_core.params import EvaluationParams, Profile, profile
from ecgxai_core.pipeline.full_evaluation import evaluate_all
from ecgxai_core.pipeline.run.units import unit_entry
from ecgxai_core.pipeline.run.workers import map_units
from ecgxai_core.records.read import read_record
from ecgxai_core.settings import default_model
from ecgxai_core.simulation.dataset import write_set
from ecgxai_core.store.atomic import write_json_atomic
from ecgxai_core.store.cache import Store
from ecgxai_core.version import code_version

METHODS = ("timeshap", "occlusion", "integrated_gradients", "lrp", "grad_cam")
SHOWN = (
    "attauc_strict", "deletion_gain", "insertion_gain", "comprehensiveness", "sufficiency",
    "infidelity", "road_gap", "spearman_noise", "max_sensitivity", "randomisation_similarity",
)  # fmt: skip
ALL = 10_000
CASES = (
    (ALL, ALL, "all windows"),
    (5, 5, "five windows"),
    (ALL, 5, "as by default: all windows exactly, five by whole passes"),
)
"""Windows whose leads are opened by the exact engine and by whole passes."""

FACTS = ("record", "target", "method", "reference", "sanity_flagged")
SIMULATED_SEED = 7

_models: dict[Path, LazyClassifier] = {}


@dataclass(frozen=True)
class Job:
    """One record, and what is done with it."""

    record: Path
    model: Path
    methods: tuple[str, ...]
    cache: Path

    @property
    def kept(self) -> Path:
        """Where rows and seconds are kept; the cache decides whether it is computed again."""
        return self.cache / "records" / f"{self.record.stem}.json"


def evaluated(job: Job) -> str:
    """Evaluate one record for its last label that the model knows; what went wrong, or nothing."""
    classifier = _models.setdefault(job.model, LazyClassifier(job.model))
    record = read_record(job.record)
    targets = [code for code in record.labels or () if code in classifier.classes]
    if not targets:
        return f"{record.name}: the model knows none of its labels"
    store = Store(job.cache / "store", 10**10)
    begun, cpu = time.perf_counter(), time.process_time()
    try:
        table = evaluate_all(
            Case(record, classifier, targets[-1]),
            profile("default").updated(methods=job.methods),
            store,
        )
    except EcgXaiError as error:
        return str(error)
    finally:
        store.close()
    took = {"seconds": time.perf_counter() - begun, "cpu_seconds": time.process_time() - cpu}
    made = {"code": code_version(), "methods": list(job.methods), "model": classifier.digest}
    if job.kept.is_file():
        known = json.loads(job.kept.read_text("utf-8"))
        if made.items() <= known.items():  # the cache had it; what it once took counts
            took = {name: known[name] for name in took}
    rows = json.loads(table.to_json(orient="records", double_precision=15))
    job.kept.parent.mkdir(parents=True, exist_ok=True)
    write_json_atomic(job.kept, {**made, **took, "rows": rows})
    return ""


def batch(chosen: argparse.Namespace, headers: list[Path]) -> dict[str, Any]:
    """All metrics on all records; facts for the report."""
    # workers find what they do by the name of a module, which a script is not
    from tests.benchmarks.bench_evaluation import Job, evaluated

    jobs = [Job(path, chosen.model, tuple(chosen.method), chosen.cache) for path in headers]
    begun = time.perf_counter()
    failures = []
    for done, (job, failed) in enumerate(map_units(evaluated, jobs, chosen.jobs), start=1):
        failures += [failed] if failed else []
        seconds = time.perf_counter() - begun
        print(f"{done} of {len(jobs)}: {job.record.stem} {failed} {seconds:.0f} s", flush=True)
    kept = [json.loads(job.kept.read_text("utf-8")) for job in jobs if job.kept.is_file()]
    scores = pd.DataFrame([row for item in kept for row in item["rows"]])
    scores = scores.astype({name: float for name in scores if name not in FACTS})
    scores.to_csv(chosen.cache / "scores.csv", index=False)
    worked = sum(item["seconds"] for item in kept)
    return {
        "records": len(kept),
        "failures": failures,
        "processes": chosen.jobs,
        "wall_seconds": time.perf_counter() - begun,
        "process_seconds": worked,
        "cpu_seconds": sum(item["cpu_seconds"] for item in kept),
        "minutes_for_50": 50 * worked / max(1, len(kept)) / chosen.jobs / 60,
        "columns": len(scores.columns),
        "means": means(scores),
        "compared": compared(scores),
    }


def means(scores: pd.DataFrame) -> list[dict[str, Any]]:
    """Mean and interval over records of the shown metrics, a row a map."""
    params = EvaluationParams()
    found = []
    for name, rows in scores.groupby("method", sort=False):
        cells = {}
        for metric in (m for m in SHOWN if m in rows):
            interval = mean_interval(
                rows[metric].dropna().to_numpy(),
                confidence=params.confidence, n_resamples=params.n_bootstrap, seed=0,
            )  # fmt: skip
            cells[metric] = [float(rows[metric].mean()), interval.low, interval.high]
        found.append({"map": name, "n": len(rows), **cells})
    return found


def compared(scores: pd.DataFrame) -> list[dict[str, Any]]:
    """Every pair of methods on the shown metrics: paired by record, corrected after Holm."""
    own = [name for name in scores["method"].unique() if not _reference(scores, name)]
    table = compare_methods(scores, [m for m in SHOWN if m in scores], own)
    return json.loads(table.to_json(orient="records"))  # type: ignore[no-any-return]


def _reference(scores: pd.DataFrame, name: str) -> bool:
    return bool(scores.loc[scores["method"] == name, "reference"].iloc[0])


# ---- the exact engine against whole passes ------------------------------------------------------


def ratios(chosen: argparse.Namespace, headers: list[Path]) -> Iterator[dict[str, Any]]:
    """Fused map, extra beat and full evaluation of some records by both engines, nothing cached."""
    for model in chosen.ratio_model:
        timed = _Timed(chosen, model, headers[: chosen.ratio])
        for exact, whole, what in CASES:
            took = {"exact": timed("auto", exact), "whole": timed("whole", whole)}
            means = {
                f"{name}_{clock}": sum(row[clock] for row in rows) / len(rows)
                for name, rows in took.items()
                for clock in ("wall", "cpu")
            }
            yield {
                "model": model.stem, "what": what, "n": chosen.ratio, **means,
                "ratio": means["whole_wall"] / means["exact_wall"],
                "ratio_cpu": means["whole_cpu"] / means["exact_cpu"],
            }  # fmt: skip


class _Timed:
    """Seconds of each record; what was measured before is read from the cache folder."""

    def __init__(self, chosen: argparse.Namespace, model: Path, headers: list[Path]) -> None:
        self.folder = chosen.cache / "ratios"
        self.model, self.headers = model, headers
        self._classifier: Classifier | None = None

    def __call__(self, engine: str, windows: int) -> list[dict[str, float]]:
        name = f"{self.model.stem}-{engine}-{windows}-{len(self.headers)}-{code_version()[-12:]}"
        kept = self.folder / f"{name}.json"
        if not kept.is_file():
            self.folder.mkdir(parents=True, exist_ok=True)
            if self._classifier is None:
                self._classifier = load_classifier(self.model)
            # graphs are compiled at first use: the exact engine's need all windows, others do not
            warm = windows if engine == "auto" else 1
            _seconds(self._classifier, _profile(engine, warm), self.headers[:1])
            rows = _seconds(self._classifier, _profile(engine, windows), self.headers)
            write_json_atomic(kept, rows)
            print(f"{name}: {rows}", flush=True)
        found: list[dict[str, float]] = json.loads(kept.read_text("utf-8"))
        return found


def _profile(engine: str, windows: int) -> Profile:
    base = profile("default")
    params = base.explain.updated(engine=engine, top_events=windows)
    return base.updated(explain=params, lime=params, timeshap=params)


def _seconds(
    classifier: Classifier, settings: Profile, headers: list[Path]
) -> list[dict[str, float]]:
    """Time on the wall and of all cores for each record."""
    found = []
    for header in headers:
        record = read_record(header)
        target = _target(record.labels, classifier)
        with tempfile.TemporaryDirectory() as folder:
            store = Store(Path(folder), 10**9)
            wall, cpu = time.perf_counter(), time.process_time()
            unit_entry(Case(record, classifier, target), settings, store)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            found.append({"wall": wall, "cpu": cpu})
            store.close()
    return found


def _target(labels: tuple[str, ...] | None, classifier: Classifier) -> str:
    known = [code for code in labels or () if code in classifier.classes]
    return known[-1] if known else classifier.classes[0]


# ---- the report ---------------------------------------------------------------------------------


def markdown(facts: dict[str, Any]) -> str:
    """Tables for people."""
    parts = []
    if facts["ratios"]:
        head = ("model", "fused + extra beat + evaluation", "exact engine", "whole passes",
                "ratio", "ratio of processor time")  # fmt: skip
        parts += [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
        parts += [
            f"| {r['model']} | {r['what']} (n = {r['n']}) | {r['exact_wall']:.2f} s | "
            f"{r['whole_wall']:.2f} s | {r['ratio']:.1f} | {r['ratio_cpu']:.1f} |"
            for r in facts["ratios"]
        ]
    run = facts["batch"]
    if run:
        titles = [METRICS[m].title for m in SHOWN]
        parts += ["", f"{run['records']} records, {run['processes']} processes: "
                  f"{run['process_seconds'] / max(1, run['records']):.1f} s a record and process "
                  f"({run['cpu_seconds'] / max(1, run['records']):.1f} s of processor time), "
                  f"{run['minutes_for_50']:.1f} minutes for 50", ""]  # fmt: skip
        parts += [f"| map | n | {' | '.join(titles)} |", "|---" * (len(titles) + 2) + "|"]
        for row in run["means"]:
            cells = [_cell(row.get(metric)) for metric in SHOWN]
            parts.append(f"| {row['map']} | {row['n']} | {' | '.join(cells)} |")
    return "\n".join(parts) + "\n"


def _cell(value: list[float | None] | None) -> str:
    """Mean and interval; nothing where nothing is defined."""
    if value is None or any(v is None or v != v for v in value):
        known = value is not None and value[0] is not None and value[0] == value[0]
        return f"{value[0]:.3f}" if known and value is not None else ""
    return f"{value[0]:.3f} ({value[1]:.3f} to {value[2]:.3f})"


def main() -> None:
    """Evaluate, and print time, means, tests and ratios."""
    parser = argparse.ArgumentParser(description="Time and result of evaluating many records.")
    parser.add_argument("--records", type=int, default=50, help="simulated records; 0 = none")
    parser.add_argument("--data", type=Path, help="records to take instead of simulated ones")
    parser.add_argument("--model", type=Path, default=default_model())
    parser.add_argument("--method", nargs="+", default=list(METHODS))
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--ratio", type=int, default=0, help="records seen by both engines")
    parser.add_argument("--ratio-model", type=Path, nargs="+", default=[default_model()])
    parser.add_argument("--cache", type=Path, default=Path("runs/bench_evaluation"))
    chosen = parser.parse_args()
    if chosen.data is None:
        write_set(chosen.cache / "simulated", max(chosen.records, chosen.ratio), SIMULATED_SEED)
    headers = sorted((chosen.data or chosen.cache / "simulated").rglob("*.hea"))
    facts = {
        "ratios": list(ratios(chosen, headers)) if chosen.ratio else [],
        "batch": batch(chosen, headers[: chosen.records]) if chosen.records else {},
    }
    (chosen.cache / "evaluation.json").write_text(json.dumps(facts, indent=1), "utf-8")
    (chosen.cache / "evaluation.md").write_text(markdown(facts), "utf-8")
    print(json.dumps(facts, indent=1))
    print(markdown(facts))


if __name__ == "__main__":
    main()
