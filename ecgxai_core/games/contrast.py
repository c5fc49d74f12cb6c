"""Evidence for one class rather than another, as a game for every method."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ecgxai_core.errors import ParameterError
from ecgxai_core.games.links import beyond_logit, to_link
from ecgxai_core.games.masked import LinearGame, MaskedModel
from ecgxai_core.models.protocol import Classifier
from ecgxai_core.params import ExplainParams
from ecgxai_core.types import BoolArray, FloatArray, ModelInput, Segmentation

__all__ = ["ContrastModel", "contrasted", "game_for"]


class ContrastModel(MaskedModel):
    """Two classes A (the game ``target``) and B (the class ``contrast``) of a model as one game.

    The value of a coalition is p such that logit(p) = logit(A) - logit(B): on the logit link a
    method explains the difference of the two logits, on the probability link the probability of A
    given that exactly one of A and B is present (as if they were independent). ``target``,
    ``probability``, ``baseline_probability`` and ``forward_passes`` are those of A.

    Raises
    ------
    DiagnosisError
        The classifier has no class B.

    Notes
    -----
    Each probability is kept 1e-6 away from 0 and 1 (see :mod:`ecgxai_core.games.links`), and so is
    what comes out: differences beyond 13.8 are cut.
    """

    def __init__(self, target: MaskedModel, contrast: str) -> None:
        self.__dict__.update(MaskedModel.shared(target).__dict__)
        self.contrast = target.of(contrast)
        self._differences = self._cut_differences = 0

    def shared(self) -> ContrastModel:
        """The same games and memory with a count of their own."""
        other = ContrastModel(self, self.contrast.target)
        other.contrast = self.contrast.shared()
        return other

    @property
    def clipped_fraction(self) -> float:
        """Share of the values asked for where a logit of A or B, or their difference, is cut."""
        own = self._cut_differences / self._differences if self._differences else 0.0
        return max(own, self.clipped_on("probability"))

    def clipped_on(self, link: str) -> float:
        """On any link the logits of A and B are cut; their difference is on the logit."""
        if link == "logit":
            return self.clipped_fraction
        return max(super().clipped_fraction, self.contrast.clipped_fraction)

    def event_game(self, segmentation: Segmentation, link: str) -> None:
        """No closed form: the difference of two classes is played coalition by coalition."""

    def linear_game(self, segmentation: Segmentation, link: str) -> LinearGame | None:
        """logit(A) - logit(B) as a sum over blocks of a local network, where each of them is."""
        first = super().linear_game(segmentation, link)
        second = self.contrast.linear_game(segmentation, link)
        if first is None or second is None:
            return None
        return replace(first, combination=first.combination - second.combination)

    def probabilities(self, keep: BoolArray, segmentation: Segmentation) -> FloatArray:
        """``float64[n]``: sigmoid(logit(A) - logit(B)); ``keep`` is ``bool[n, lead, segment]``."""
        first = to_link(super().probabilities(keep, segmentation), "logit")
        second = to_link(self.contrast.probabilities(keep, segmentation), "logit")
        found = np.asarray(1.0 / (1.0 + np.exp(second - first)), dtype=np.float64)
        self._differences += len(found)
        self._cut_differences += int(beyond_logit(found).sum())
        return found


def game_for(
    classifier: Classifier,
    model_input: ModelInput,
    target: str,
    params: ExplainParams,
    lead_group: str = "all",
    filled_by: Segmentation | None = None,
) -> MaskedModel:
    """The game of a target, alone or in contrast to another class, that is explained and evaluated.

    Parameters
    ----------
    params
        ``baseline``, ``engine`` and ``contrast`` are read.
    lead_group, filled_by
        As for :class:`MaskedModel`.

    Raises
    ------
    ParameterError
        The contrast is the target itself.
    """

    game = MaskedModel(
        classifier, model_input, target, params.baseline, params.engine, lead_group, filled_by
    )
    return contrasted(game, params.contrast)


def contrasted(game: MaskedModel, contrast: str | None) -> MaskedModel:
    """A game in contrast to another class; the game itself without one.

    Raises
    ------
    ParameterError
        The contrast is the target itself.
    """
    if contrast is None:
        return game
    if contrast == game.target:
        raise ParameterError("contrast", contrast, "is the target itself", "name another class")
    return ContrastModel(game, contrast)
