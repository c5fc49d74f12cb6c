"""LIME: a weighted linear model of the masked record's value (Ribeiro et al., KDD 2016)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ecgxai_core.diagnoses import Diagnosis
from ecgxai_core.explainers.cost import games_cost
from ecgxai_core.explainers.method import Explanation, Method, Task
from ecgxai_core.explainers.sampled_games import (
    event_fit,
    events_then_leads,
    shared_lead_coalitions,
)
from ecgxai_core.games.kernels import lime_kernel, log_lime_density, size_mass
from ecgxai_core.games.local.sums import EventGame
from ecgxai_core.games.regression import Fit, fit_ridge, ridge_from_moments
from ecgxai_core.games.sampling import (
    Coalitions,
    antithetic_coalitions,
    paired_coalitions,
    published_lime_coalitions,
)
from ecgxai_core.types import FloatArray

__all__ = ["LIME", "lead_prior_chances", "lime_weights"]


def lime_weights(coalitions: Coalitions, p_on: float, width: float) -> FloatArray:
    """``float64[n]``: weight of each coalition in LIME's regression.

    Masks that are Bernoulli draws are weighted by the kernel. Other designs are weighted by n times
    (probability of the mask times kernel) over the rate at which the design contains the mask: the
    same regression in expectation, on the same scale against the ridge penalty. ``p_on``:
    probability of a player to stay on; ``width`` of the cosine kernel.
    """
    sizes = coalitions.sizes
    if coalitions.bernoulli:
        return lime_kernel(coalitions.n_players, width)[sizes]
    log_density = log_lime_density(coalitions.n_players, p_on, width)[sizes]
    return np.asarray(len(coalitions) * np.exp(log_density - coalitions.log_rate))


def lead_prior_chances(leads: tuple[str, ...], diagnosis: Diagnosis | None) -> FloatArray | None:
    """``float64[lead]``: published chance of each lead to stay on, or ``None`` without priors.

    0.1 + 0.89 x weight for the diagnosis's preferred leads (weight 1 each), 0.02 for the others.
    Leads that are almost never on can hardly get a weight, so the map reproduces the prior.
    """
    if diagnosis is None or not diagnosis.prior_leads:
        return None
    return np.array([0.1 + 0.89 if lead in diagnosis.prior_leads else 0.02 for lead in leads])


def explain_lime(task: Task) -> Explanation:
    """Event-level LIME, then LIME over the leads of the segments of largest ``|coefficient|``.

    ``sampling="published"`` repeats the published programme: the event masks are
    ``default_rng(seed).binomial(1, p_on, (n, segments))`` with a first row of ones.
    """
    params = task.params
    players = tuple(task.leads[row] for row in task.model.player_rows)
    priors = lead_prior_chances(players, task.diagnosis) if params.lead_priors else None

    def fitter(coalitions: Coalitions, values: FloatArray, full: float, empty: float) -> Fit:
        del full, empty
        weights = lime_weights(coalitions, params.p_on, params.kernel_width)
        return fit_ridge(coalitions, values, weights, params.ridge_lime)

    def exact(game: EventGame) -> tuple[FloatArray, float] | None:
        return exact_lime(game, params.p_on, params.kernel_width, params.ridge_lime)

    def leads_of(segment: int, budget: int) -> Coalitions:
        return _lead_coalitions(task, segment, priors, budget)

    event = event_fit(task, lambda budget: _event_coalitions(task, budget), fitter, exact)
    result = events_then_leads(task, event, leads_of, fitter)
    used = dict(zip(players, priors.tolist(), strict=True)) if priors is not None else None
    return replace(result, diagnostics={**result.diagnostics, "lead_priors": used})


def exact_lime(
    game: EventGame, p_on: float, width: float, alpha: float
) -> tuple[FloatArray, float] | None:
    """Coefficients and intercept that LIME would find with every one of the 2^n masks.

    Weights as :func:`lime_weights` gives them for the complete design. They depend on the size of a
    mask alone, so the normal equations of the ridge regression need only the sums of ``w v`` and
    ``w v z``.
    """
    n = game.n_players
    weight = 2.0**n * np.exp(log_lime_density(n, p_on, width))
    moments = game.ridge_moments(weight)
    return None if moments is None else ridge_from_moments(weight, *moments, alpha)


def _event_coalitions(task: Task, budget: int) -> Coalitions:
    params, n_segments = task.params, len(task.segmentation)
    if params.sampling == "published":
        rng = np.random.default_rng(params.seed)
        chances = np.full(n_segments, params.p_on)
        return published_lime_coalitions(chances, budget, rng)
    mass = size_mass(log_lime_density(n_segments, params.p_on, params.kernel_width))
    rng = np.random.default_rng(task.seed("lime", "event"))
    return paired_coalitions(mass, budget, rng)


def _lead_coalitions(
    task: Task, segment: int, priors: FloatArray | None, budget: int
) -> Coalitions:
    params = task.params
    if priors is None and params.sampling == "paired":
        return shared_lead_coalitions(task, segment, budget)
    rng = np.random.default_rng(task.seed("lime", "leads", segment))
    chances = np.full(len(task.model.player_rows), params.p_on) if priors is None else priors
    draw = published_lime_coalitions if params.sampling == "published" else antithetic_coalitions
    return draw(chances, budget, rng)


LIME = Method(
    name="lime",
    title="LIME",
    family="perturbation",
    signed=True,
    uses=(
        "segments", "window_sec", "baseline", "link", "engine", "lead_group", "n_coalitions",
        "max_coalitions",
        "n_lead_coalitions", "max_lead_coalitions", "top_events", "level", "p_on", "kernel_width",
        "ridge_lime", "sampling", "lead_priors", "keep_leads", "converged_top_k",
        "converged_level", "seed",
    ),
    description="weights of a linear model fitted to the predictions of masked records",
    run=explain_lime,
    cost=games_cost,
)  # fmt: skip
