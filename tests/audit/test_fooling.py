"""Maps that say nothing of the model go through the whole card, and pass nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ecgxai_core.audit.card_rules import FAIL, PASS
from ecgxai_core.audit.report_card import CardRequest, build_card
from ecgxai_core.explainers import METHODS
from ecgxai_core.explainers.method import Explanation, Task
from ecgxai_core.metrics.references import energy_map, template_map
from ecgxai_core.params import SelectionParams, profile, profile_with
from ecgxai_core.pipeline.evaluation import beats_of
from ecgxai_core.pipeline.full_evaluation import Depth
from ecgxai_core.report.card_tables import card_words
from ecgxai_core.store.cache import open_store
from ecgxai_core.types import Attribution, Map, Provenance
from tests.pipeline.conftest import QUICK
from tests.small import AF, write_data

MAPS = ("signal_energy", "r_peaks", "shuffled_occlusion")


def on_the_grid(task: Task) -> Map:
    shape = len(task.leads), len(task.segmentation)
    return Attribution(
        task.record.name, task.target, "grid", 0.5, task.leads, task.segmentation.edges_sec,
        np.ones(shape, np.float32), np.ones(shape, bool),
        Provenance(task.record.digest, "", {}, 0, ""),
    )  # fmt: skip


def signal_energy(task: Task) -> Explanation:
    made = energy_map(on_the_grid(task), task.record)
    return Explanation(made.weights.astype(float), made.explored)


def r_peaks(task: Task) -> Explanation:
    made = template_map(on_the_grid(task), beats_of(task.record).seconds)
    return Explanation(made.weights.astype(float), made.explored)


def shuffled_occlusion(task: Task) -> Explanation:
    """It depends on the model, but its leads are those of chance."""
    found = METHODS["occlusion"].run(task)
    order = np.random.default_rng(task.seed("shuffled")).permutation(len(task.leads))
    return replace(found, weights=found.weights[order], explored=found.explored[order])


def test_energy_template_and_shuffled_maps_pass_nothing(tmp_path, tiny_model, monkeypatch):
    for name, run in zip(MAPS, (signal_energy, r_peaks, shuffled_occlusion), strict=True):
        monkeypatch.setitem(METHODS, name, replace(METHODS["occlusion"], name=name, run=run))  # type: ignore[call-overload]
    chosen = profile_with(profile("default"), [*QUICK, "window_sec=0.3", "n_bootstrap=500"])
    request = CardRequest(
        write_data(tmp_path / "data", 20), tiny_model, chosen.updated(methods=MAPS),
        SelectionParams(k_per_class=10, min_prob=0), (AF,),
        Depth(road=False, noises=0, sanity_stages=1, extra_beat=False),
    )  # fmt: skip
    with open_store() as store:
        card = build_card(request, store)
    assert card.n_by_target == {AF: 10}
    found = {(v.test, v.method): v for v in card.verdicts if not v.target}
    for name in ("signal_energy", "r_peaks"):
        gate = found["sanity", name]
        assert (gate.verdict, gate.mean) == (FAIL, pytest.approx(1.0)), name
    passed = {key for key, v in found.items() if v.verdict == PASS and key[1] in MAPS}
    assert not {test for test, _ in passed} & {
        "deletion_gain", "insertion_gain", "attauc_strict", "attauc_lenient",
    }, passed  # fmt: skip
    assert {name for _, name in passed} <= {"shuffled_occlusion"}
    assert "Signal energy" not in card_words(card)
    assert "not shown to depend on the model" in card_words(card)
    energy = found["deletion_gain", "energy"]
    assert "energy" in energy.beaten_by, "a reference map is not better than itself"
