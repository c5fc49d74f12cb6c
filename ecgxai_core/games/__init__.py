"""Games: what a coalition of unmasked cells is worth, and how its players share that worth.

Players are segments (event game), the leads inside one segment (lead-in-event game), or cells.
The value of a coalition is the model's output on the record in which every other cell is replaced
by the baseline.
"""

from ecgxai_core.games.baselines import BASELINES, baseline_signal
from ecgxai_core.games.links import LINKS, to_link
from ecgxai_core.games.masked import MaskedModel

__all__ = ["BASELINES", "LINKS", "MaskedModel", "baseline_signal", "to_link"]
