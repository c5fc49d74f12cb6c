"""Learning-rate schedules."""

from __future__ import annotations

import pytest

from ecgxai_core.training.config import ScheduleParams
from ecgxai_core.training.loop import learning_rate, stalled_epochs


def test_cosine_rises_then_falls_to_its_final_share() -> None:
    params = ScheduleParams(epochs=10, learning_rate=0.1, final_share=0.01, warmup_epochs=2)
    rates = [learning_rate(params, e, s, 5, []) for e in range(10) for s in range(5)]
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert max(rates) == pytest.approx(0.1)
    assert 0.001 <= rates[-1] < 0.0015


def test_the_rate_is_reduced_after_patience_epochs_without_improvement() -> None:
    params = ScheduleParams(
        kind="plateau", learning_rate=0.1, warmup_epochs=0, plateau_patience=2, plateau_factor=0.5
    )

    def rate(scores: list[float]) -> float:
        return learning_rate(params, len(scores), 0, 5, scores)

    assert rate([0.5, 0.6]) == pytest.approx(0.1)
    assert rate([0.5, 0.6, 0.6, 0.5]) == pytest.approx(0.05)
    assert rate([0.5, 0.6, 0.6, 0.5, 0.7, 0.7, 0.7]) == pytest.approx(0.025)
    assert rate([0.5] * 100) == pytest.approx(0.001), "never below the final share"


@pytest.mark.parametrize(
    ("scores", "stalled"), [([], 0), ([1], 0), ([1, 2], 0), ([2, 1], 1), ([2, 2, 2], 2)]
)
def test_stalled_epochs(scores: list[float], stalled: int) -> None:
    assert stalled_epochs(scores) == stalled
