"""Model files that must be refused, each made from a sound one by a few lines.

Every maker takes the sound ``.keras`` file and returns the bytes of a bad one and a word that the
refusal must contain. Files and archives, configurations, and weights have a module each.
"""

from tests.models.safe import archives, configurations, weights
from tests.models.safe.making import HOSTILE, edit_config, members, zipped

__all__ = ["HOSTILE", "archives", "configurations", "edit_config", "members", "weights", "zipped"]
