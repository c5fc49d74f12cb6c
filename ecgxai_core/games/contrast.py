"""Evidence for one class against another, as a game that every method can play."""

from __future__ import annotations

import numpy as np

from ecgxai_core.errors import ParameterError
from ecgxai_core.games.engine import Engine
from ecgxai_core.games.links import beyond_logit, to_link
from ecgxai_core.games.masked import MaskedModel
from ecgxai_core.models.protocol import Classifier
from ecgxai_core.params import ExplainParams
from ecgxai_core.types import BoolArray, FloatArray, IntArray, ModelInput, Segmentation

__all__ = ["ContrastModel", "game_for"]


class ContrastModel:
    """Two classes of one model as one game, with the face of a :class:`MaskedModel`.

    The value of a coalition is p such that logit(p) = logit(A) - logit(B): on the logit link a
    method explains the difference of the two logits, on the probability link the chance of A given
    that exactly one of A and B is present (as if they were independent).

    Parameters
    ----------
    target, against
        The games of A and of B on one classifier, model input and baseline.

    Notes
    -----
    Each probability is kept 1e-6 away from 0 and 1 (see :mod:`ecgxai_core.games.links`), and so is
    what comes out: differences beyond 13.8 are cut.
    """

    def __init__(self, target: MaskedModel, against: MaskedModel) -> None:
        self.for_target, self.for_other = target, against
        self._valued = self._cut = 0

    def shared(self) -> ContrastModel:
        """The same games and memory with a count of their own."""
        return ContrastModel(self.for_target.shared(), self.for_other.shared())

    @property
    def classifier(self) -> Classifier:
        """The model."""
        return self.for_target.classifier

    @property
    def model_input(self) -> ModelInput:
        """What the model sees."""
        return self.for_target.model_input

    @property
    def target(self) -> str:
        """A."""
        return self.for_target.target

    @property
    def against(self) -> str:
        """B."""
        return self.for_other.target

    @property
    def baseline(self) -> str:
        """What replaces a masked cell."""
        return self.for_target.baseline

    @property
    def share_cut(self) -> float:
        """Share of the values asked for where a logit of A or B, or their difference, is cut."""
        own = self._cut / self._valued if self._valued else 0.0
        return max(own, self.for_target.share_cut, self.for_other.share_cut)

    @property
    def leads(self) -> tuple[str, ...]:
        """Rows of the grid."""
        return self.for_target.leads

    @property
    def forward_passes(self) -> float:
        """Passes of a whole record asked for, counted for A; B looks at the same records."""
        return self.for_target.forward_passes

    @property
    def probability(self) -> float:
        """Probability of A itself on the unmasked record."""
        return self.for_target.probability

    def baseline_probability(self, segmentation: Segmentation) -> float:
        """Probability of A itself with every cell masked."""
        return self.for_target.baseline_probability(segmentation)

    def event_game(self, segmentation: Segmentation, link: str) -> None:
        """No closed form: the difference of two classes is played coalition by coalition."""
        del segmentation, link

    @property
    def lead_group(self) -> str:
        """Which leads are masked by themselves."""
        return self.for_target.lead_group

    @property
    def player_rows(self) -> IntArray:
        """Rows of the lead axis that are masked by themselves."""
        return self.for_target.player_rows

    @property
    def engine(self) -> Engine:
        """How the games are played."""
        return self.for_target.engine

    def is_local(self, segmentation: Segmentation) -> bool:
        """Whether the local engine plays the games of this segmentation."""
        return self.for_target.is_local(segmentation)

    def probabilities(self, keep: BoolArray, segmentation: Segmentation) -> FloatArray:
        """``float64[n]``: sigmoid(logit(A) - logit(B)); ``keep`` is ``bool[n, lead, segment]``."""
        first = to_link(self.for_target.probabilities(keep, segmentation), "logit")
        second = to_link(self.for_other.probabilities(keep, segmentation), "logit")
        found = np.asarray(1.0 / (1.0 + np.exp(second - first)), dtype=np.float64)
        self._valued += len(found)
        self._cut += int(beyond_logit(found).sum())
        return found


def game_for(
    classifier: Classifier,
    model_input: ModelInput,
    target: str,
    params: ExplainParams,
    lead_group: str = "all",
    filled_by: Segmentation | None = None,
) -> MaskedModel | ContrastModel:
    """The game of a target, alone or against another class: what is explained, and judged.

    Parameters
    ----------
    params
        ``baseline``, ``engine`` and ``against`` are read.
    lead_group, filled_by
        As for :class:`MaskedModel`.

    Raises
    ------
    ParameterError
        The class to stand against is the target itself.
    """

    def game(code: str) -> MaskedModel:
        return MaskedModel(
            classifier, model_input, code, params.baseline, params.engine, lead_group, filled_by
        )

    if params.against is None:
        return game(target)
    if params.against == target:
        raise ParameterError(
            "against", params.against, "is the target itself", "name another class"
        )
    return ContrastModel(game(target), game(params.against))
