"""The learning rate of every step, from the schedule and the history alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ecgxai_core.models.training.config import ScheduleParams

__all__ = ["learning_rate", "stalled_epochs"]


def learning_rate(
    params: ScheduleParams, epoch: int, step: int, steps: int, scores: Sequence[float]
) -> float:
    """Rate at one step: linear warm-up, then a cosine, or cuts where the score stalls.

    Parameters
    ----------
    epoch, step, steps
        Epoch and step within it, from 0; steps per epoch.
    scores
        Tuning score of each epoch before this one (plateau only).
    """
    done = epoch + step / steps
    warmup = params.warmup_epochs
    if done < warmup:
        return params.learning_rate * (done + 1 / steps) / (warmup + 1 / steps)
    if params.kind == "plateau":
        return max(
            params.learning_rate * params.plateau_factor ** _cuts(scores, params.plateau_patience),
            params.learning_rate * params.final_share,
        )
    share = (done - warmup) / max(params.epochs - warmup, 1e-9)
    falling = 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))
    return params.learning_rate * (params.final_share + (1 - params.final_share) * falling)


def stalled_epochs(scores: Sequence[float]) -> int:
    """Epochs since the best score (the first of equal ones); 0 without scores."""
    if not scores:
        return 0
    return len(scores) - 1 - max(range(len(scores)), key=lambda i: (scores[i], -i))


def _cuts(scores: Sequence[float], patience: int) -> int:
    """How often ``patience`` epochs in a row brought no new best score."""
    best, waited, cuts = -math.inf, 0, 0
    for score in scores:
        if score > best:
            best, waited = score, 0
        else:
            waited += 1
            if waited >= patience:
                cuts, waited = cuts + 1, 0
    return cuts
