"""Work that is asked to end computes no further batch, whatever the method and the engine."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from ecgxai_core.case import Case
from ecgxai_core.explainers import METHODS, explain
from ecgxai_core.games.sampling import published_shapley_coalitions
from ecgxai_core.models.loading import LazyClassifier
from ecgxai_core.params import ExplainParams
from ecgxai_core.pipeline.explain import explain_case
from ecgxai_core.records.read import read_record
from ecgxai_core.settings import default_model
from ecgxai_core.stopping import Stopped, check_stop, stoppable
from ecgxai_core.store.cache import Store
from tests.analytic import record
from tests.explainers.networks import TARGET, of_every_method
from tests.small import AF, write_data

SHORT = record(1.8)
MANY = ExplainParams(
    window_sec=0.25, n_coalitions=4096, n_lead_coalitions=256, n_permutations=20,
    n_gradients=2048, n_noise=512, ig_steps=512,
)  # fmt: skip


class Batches:
    """Counts the batches that TensorFlow computes, and asks for an end after some."""

    def __init__(self, last: int) -> None:
        self.last, self.computed = last, 0

    def asked(self, _passes: float) -> bool:
        return self.computed >= self.last


@pytest.fixture
def batches(monkeypatch):
    from tensorflow.python.eager.polymorphic_function.polymorphic_function import Function

    counted, call = Batches(0), Function.__call__

    def counting(self, *given, **named):
        counted.computed += 1
        return call(self, *given, **named)

    monkeypatch.setattr(Function, "__call__", counting)
    return counted


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    return of_every_method(tmp_path_factory.mktemp("networks"))


@pytest.mark.parametrize("engine", ["auto", "whole"])
@pytest.mark.parametrize("method", list(METHODS))
def test_no_batch_is_computed_once_the_end_is_asked_for(networks, batches, method, engine):
    params = MANY.updated(engine=engine)
    explain(Case(SHORT, networks[method], TARGET), method, params)  # checks of the engine: once
    needed, batches.computed = batches.computed, 0
    explain(Case(SHORT, networks[method], TARGET), method, params)
    needed = batches.computed
    assert needed or method == "lrp"  # which computes layer by layer, and asks at each
    for last in {0, needed // 2, max(0, needed - 1)}:
        batches.computed, batches.last = 0, last
        with pytest.raises(Stopped), stoppable(batches.asked):
            explain(Case(SHORT, networks[method], TARGET), method, params)
        assert batches.computed == last


def test_enumerating_the_leads_of_every_quarter_second_ends_and_keeps_nothing(tmp_path, batches):
    data = write_data(tmp_path / "data", 1)
    classifier = LazyClassifier(default_model())
    params = ExplainParams(
        window_sec=0.25, engine="whole", n_coalitions=512, max_lead_coalitions=4096, top_events=40
    )
    found, store = read_record(data / "T000.hea"), Store(tmp_path / "cache", 10**8)
    classifier.loaded()
    batches.computed, batches.last = 0, 60
    with pytest.raises(Stopped), stoppable(batches.asked):
        explain_case(Case(found, classifier, AF, None), {"timeshap": params, "lime": params}, store)
    assert batches.computed == 60
    assert store.stats()["entries"] == 0


def test_drawing_coalitions_ends_too():
    rng = np.random.default_rng(0)
    with pytest.raises(Stopped), stoppable(lambda _: True):
        published_shapley_coalitions(40, 100_000, rng)


def test_the_flag_is_of_its_thread_and_ends_with_its_block():
    with stoppable(lambda _: True):
        fault: list[BaseException] = []

        def other() -> None:
            try:
                check_stop()
            except BaseException as error:
                fault.append(error)

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert not fault
        with pytest.raises(Stopped):
            check_stop()
    check_stop()
