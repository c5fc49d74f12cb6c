"""Hierarchical Shapley values by their definition: mean marginal contributions over random orders.

Orders are those in which the members of every union come one after another (Owen 1977, Winter
1989). Slow, and shares no code with the package.
"""

from __future__ import annotations

from itertools import permutations, product
from typing import Any

import numpy as np

Tree = Any
"""A player (int), or a tuple of trees whose players stay together."""


def players(tree: Tree) -> list[int]:
    """The leaves."""
    return [tree] if isinstance(tree, int) else [p for part in tree for p in players(part)]


def orders(tree: Tree):
    """Every order of the players that keeps all unions together, each as likely as another."""
    if isinstance(tree, int):
        yield (tree,)
        return
    for parts in permutations(tree):
        for chosen in product(*(list(orders(part)) for part in parts)):
            yield tuple(p for one in chosen for p in one)


def hierarchical_values(worth: np.ndarray, tree: Tree) -> np.ndarray:
    """``float64[player]`` of a game ``float64[2 ** n]``; bit i of the index = player i is on."""
    total, count = np.zeros(len(players(tree))), 0
    for order in orders(tree):
        code = 0
        for player in order:
            total[player] += worth[code | 1 << player] - worth[code]
            code |= 1 << player
        count += 1
    return total / count
