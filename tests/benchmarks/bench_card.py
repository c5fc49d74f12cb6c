"""How often a map without information passes a test of the report card.

``PYTHONPATH=. python tests/benchmarks/bench_card.py --records 40 --cards 200``

Not a test: some seconds per record. Every record is evaluated once with maps that say nothing of
the model, as maps from elsewhere: random maps, occlusion with shuffled leads (four seeds each), the
signal's energy and an R-peak template. A card draws ``n`` of the records and a seed; its verdicts
are those of :func:`ecgxai_core.audit.card_rules.verdicts_of`. The gate ("depends on the model") is
not tested on such maps, so these are passes without its help. Cards share records: the rates are
good to about 0.02. Simulated records, if no ``--data`` is given, stand for no real performance.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from ecgxai_core.audit.card_rules import PASS, TESTS, Measured, verdicts_of
from ecgxai_core.case import Case
from ecgxai_core.errors import EcgXaiError
from ecgxai_core.metrics.base import GATES
from ecgxai_core.metrics.references import energy_map, lead_shuffled, random_map, template_map
from ecgxai_core.models.loading import LazyClassifier
from ecgxai_core.params import EvaluationParams, profile
from ecgxai_core.pipeline.evaluation import beats_of
from ecgxai_core.pipeline.explain import explained
from ecgxai_core.pipeline.full_evaluation import Depth, evaluate_all
from ecgxai_core.records.read import find_records, read_record
from ecgxai_core.settings import default_model
from ecgxai_core.store.cache import Store
from ecgxai_core.types import Attribution

SEEDS = 4
SHOWN = tuple(name for name, test in TESTS.items() if test.kind == "better")
CHEAP = Depth(road=True, noises=0, sanity_stages=0, extra_beat=False)


def measured(case: Case, store: Store) -> pd.DataFrame:
    """Scores of all maps of one record, one row per map."""
    chosen = profile("default").updated(methods=("occlusion",))
    base = explained(case, chosen, store, chosen.methods).attributions["occlusion"]
    given: dict[str, Attribution] = {
        "energy_map": energy_map(base, case.record),
        "template_map": template_map(base, beats_of(case.record).seconds),
    }
    for seed in range(SEEDS):
        given[f"random_map_{seed}"] = random_map(base, 1000 + seed)
        given[f"shuffled_map_{seed}"] = lead_shuffled(base, 1000 + seed)
    named = {name: replace(item, method=name) for name, item in given.items()}
    frame = evaluate_all(case, chosen, store, given=named, depth=CHEAP)
    return frame[frame["method"].isin(["occlusion", *named])]


def rows_of(frame: pd.DataFrame, record: str, seed: int) -> list[Measured]:
    """What one record adds to a card."""
    found = []
    for scores in frame.to_dict("records"):
        name, _, number = str(scores["method"]).rpartition("_")
        if number.isdecimal() and int(number) != seed:
            continue
        method = name if number.isdecimal() else str(scores["method"])
        found += [
            Measured(
                test, method, record, "", scores[test], scores[f"{test}_random"],
                {gate: scores.get(f"{test}_{gate}", np.nan) for gate in GATES[1:]},
            )
            for test in SHOWN
        ]  # fmt: skip
    return found


def passes(records: Sequence[Sequence[list[Measured]]], n: int, cards: int) -> pd.DataFrame:
    """Share of cards with a pass, by map and test, of what every record adds by seed."""
    rng = np.random.default_rng(n)
    methods = ("random_map", "shuffled_map", "energy_map", "template_map", "occlusion")
    params = EvaluationParams(n_bootstrap=1000)
    counts = pd.DataFrame(0.0, index=list(methods), columns=[*SHOWN, "any"])
    for card in range(cards):
        drawn = rng.choice(len(records), n, replace=False)
        seed = int(rng.integers(SEEDS))
        rows = [row for i in drawn for row in records[i][seed]]
        for method in methods:
            own = [row for row in rows if row.method == method]
            said = verdicts_of(own, [method], params.updated(seed=card))
            passed = [v.test for v in said if v.verdict == PASS]
            counts.loc[method, [*passed, *(["any"] if passed else [])]] += 1 / cards
    return counts


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=40)
    parser.add_argument("--cards", type=int, default=200)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--model", type=Path, default=default_model())
    parser.add_argument("--target", default="AF")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "bench-card")
    chosen = parser.parse_args()
    data = chosen.data
    if data is None:
        from ecgxai_core.simulation.dataset import write_set

        data = chosen.cache / "data"
        write_set(data, chosen.records, 7)
    classifier = LazyClassifier(chosen.model)
    store, frames = Store(chosen.cache / "store", int(2e9)), []
    for path in find_records([data])[: chosen.records]:
        try:
            frames.append(measured(Case(read_record(path), classifier, chosen.target), store))
        except EcgXaiError as error:
            print(error)
    records = [
        [rows_of(frame, f"r{i}", seed) for seed in range(SEEDS)] for i, frame in enumerate(frames)
    ]
    for n in (10, 20):
        print(f"\n{len(frames)} records, {chosen.cards} cards of n = {n}: share that passes\n")
        table = passes(records, n, chosen.cards).round(3)
        print("| map | " + " | ".join([*(TESTS[t].title for t in SHOWN), "any"]) + " |")
        print("|---" * (len(SHOWN) + 2) + "|")
        for name, values in table.iterrows():
            print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in values) + " |")


if __name__ == "__main__":
    main()
