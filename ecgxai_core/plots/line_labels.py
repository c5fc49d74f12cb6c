"""Names written at the lines of a chart, where they cover nothing: no legend to look up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ecgxai_core.types import FloatArray, IntArray

__all__ = ["Frame", "coinciding", "label_places"]

_LETTER_PX, _LINE_PX = 6.4, 15
"""Of 11 px text: mean width of a letter, and height of a line."""
_POINTS = 160
_GAP_PX = 4
_OVERLAP = 40.0
"""How much worse a name on a name is than a name on one of the sampled points of a line."""
_ELSEWHERE = 40.0
"""How much worse a name is that stands nearer to another line than to its own."""
_CLEAR_PX = 80.0


@dataclass(frozen=True, slots=True)
class Frame:
    """Part of the plane that a chart shows, and about how many pixels it has."""

    x: tuple[float, float]
    y: tuple[float, float]
    width_px: float
    height_px: float

    def pixels(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Pixels right of the left border, and above the lower one."""
        (x0, x1), (y0, y1) = self.x, self.y
        return (x - x0) / (x1 - x0) * self.width_px, (y - y0) / (y1 - y0) * self.height_px

    def data(self, x_px: float, y_px: float) -> tuple[float, float]:
        """The inverse."""
        (x0, x1), (y0, y1) = self.x, self.y
        return x0 + x_px / self.width_px * (x1 - x0), y0 + y_px / self.height_px * (y1 - y0)


def label_places(
    lines: Mapping[str, tuple[FloatArray, FloatArray]],
    frame: Frame,
    same: Mapping[str, Sequence[tuple[FloatArray, FloatArray]]] = {},
) -> dict[str, tuple[float, float]]:
    """Where the middle of each line's name stands.

    Parameters
    ----------
    lines
        By name, x and y of its points, x ascending; NaN breaks a line. Names that come first choose
        first.
    frame
        What the chart shows.
    same
        By name, further lines that it stands for (:func:`coinciding`).

    Returns
    -------
    ``(x, y)`` by name: beside a point of the line, where the name covers the fewest points of lines
    and no other name, and stands nearer to its own line than to others; of such places the one
    furthest from the others. A line without points has none.
    """
    drawn = {
        name: [_drawn(*one, frame) for one in (line, *same.get(name, ()))]
        for name, line in lines.items()
    }
    summed = _summed([line for own in drawn.values() for line in own], frame)
    boxes: list[FloatArray] = []
    found = {}
    for name, own in drawn.items():
        others = [line for other, some in drawn.items() if other != name for line in some]
        wide = len(name) * _LETTER_PX
        choices = np.concatenate([_choices(wide, *line, frame) for line in own])
        if not len(choices):
            continue
        away = _away(choices, others)
        cost = _covered(choices, summed) + _OVERLAP * _overlaps(choices, boxes)
        cost += _ELSEWHERE * (_away(choices, own) > away)
        best = choices[int(np.argmin(cost - np.minimum(away, _CLEAR_PX) / _CLEAR_PX))]
        boxes.append(best)
        found[name] = frame.data(float(best[:2].mean()), float(best[2:].mean()))
    return found


def coinciding(
    lines: Mapping[str, tuple[FloatArray, FloatArray]], frame: Frame
) -> list[tuple[str, ...]]:
    """Names of lines that one name has to stand for, as nowhere between two of them is the height
    of a name.

    ``lines`` as for :func:`label_places`. Each group begins with the line that comes first; none of
    its lines is further from that one, in any direction: where lines are steep, those of different
    heights run close beside each other.
    """
    drawn = {name: _drawn(*line, frame) for name, line in lines.items()}
    groups: list[list[str]] = []
    for name, line in drawn.items():
        for group in groups:
            if _apart(line, drawn[group[0]]) < _LINE_PX:
                group.append(name)
                break
        else:
            groups.append([name])
    return [tuple(group) for group in groups]


def _apart(one: tuple[FloatArray, FloatArray], other: tuple[FloatArray, FloatArray]) -> float:
    """Pixels from the point of a line that is furthest from another to that one; infinite where one
    of them has no points."""
    if not len(one[0]) or not len(other[0]):
        return float("inf")
    points, line = np.stack(one, axis=1), np.stack(other, axis=1)
    start, step = line[:-1], np.diff(line, axis=0)
    back = points[:, None] - start
    share = (back * step).sum(axis=2) / np.maximum((step**2).sum(axis=1), 1e-12)
    away = back - np.clip(share, 0, 1)[..., None] * step
    return float(np.sqrt((away**2).sum(axis=2)).min(axis=1).max())


def _drawn(x: FloatArray, y: FloatArray, frame: Frame) -> tuple[FloatArray, FloatArray]:
    """Pixels of a line at equal steps of x."""
    known = np.isfinite(y)
    if known.sum() < 2:
        return np.zeros(0), np.zeros(0)
    at = np.linspace(float(x[known][0]), float(x[known][-1]), _POINTS)
    return frame.pixels(at, np.interp(at, x[known], y[known]))


def _choices(wide: float, x: FloatArray, y: FloatArray, frame: Frame) -> FloatArray:
    """``float64[choice, 4]``: left, right, low, high of boxes above and below points of a line,
    and right and left of them."""
    shifts = [
        (0.0, _GAP_PX + _LINE_PX / 2), (0.0, -_GAP_PX - _LINE_PX / 2),
        (_GAP_PX + wide / 2, 0.0), (-_GAP_PX - wide / 2, 0.0),
        (_GAP_PX + wide / 2, _LINE_PX / 2), (_GAP_PX + wide / 2, -_LINE_PX / 2),
        (-_GAP_PX - wide / 2, _LINE_PX / 2), (-_GAP_PX - wide / 2, -_LINE_PX / 2),
    ]  # fmt: skip
    middle = np.concatenate([np.stack((x + dx, y + dy), axis=1) for dx, dy in shifts])
    half = np.array([wide, _LINE_PX]) / 2
    low, high = middle - half, middle + half
    inside = (low >= 0).all(axis=1) & (high <= [frame.width_px, frame.height_px]).all(axis=1)
    boxes = np.stack((low[:, 0], high[:, 0], low[:, 1], high[:, 1]), axis=1)
    return np.asarray(boxes[inside], np.float64)


def _summed(lines: Iterable[tuple[FloatArray, FloatArray]], frame: Frame) -> IntArray:
    """``int64[row, column]``: how many points of lines lie in pixels below and left of each one."""
    x, y = np.floor(_points(lines)).astype(np.int64).T
    wide, high = int(frame.width_px) + 1, int(frame.height_px) + 1
    inside = (x >= 0) & (x < wide) & (y >= 0) & (y < high)
    count = np.zeros((high + 1, wide + 1), np.int64)
    np.add.at(count, (y[inside] + 1, x[inside] + 1), 1)
    return count.cumsum(axis=0).cumsum(axis=1)


def _covered(boxes: FloatArray, summed: IntArray) -> FloatArray:
    """Points of lines in the pixels of each box, of :func:`_summed`."""
    left, right, low, high = np.floor(boxes).astype(np.int64).T
    right, high = right + 1, high + 1
    count = summed[high, right] - summed[low, right] - summed[high, left] + summed[low, left]
    return np.asarray(count, np.float64)


def _overlaps(boxes: FloatArray, taken: list[FloatArray]) -> FloatArray:
    """How many of the boxes that are taken each box meets."""
    count = np.zeros(len(boxes))
    for left, right, low, high in taken:
        wide = (boxes[:, 0] < right) & (boxes[:, 1] > left)
        count += wide & (boxes[:, 2] < high) & (boxes[:, 3] > low)
    return count


def _away(boxes: FloatArray, lines: Iterable[tuple[FloatArray, FloatArray]]) -> FloatArray:
    """Pixels from the middle of each box to the nearest of some lines; infinite without lines."""
    from scipy.spatial import KDTree

    points = _points(lines)
    if not len(points):
        return np.full(len(boxes), np.inf)
    return np.asarray(KDTree(points).query(_middles(boxes))[0], np.float64)


def _points(lines: Iterable[tuple[FloatArray, FloatArray]]) -> FloatArray:
    """``float64[point, 2]`` of all lines."""
    return np.concatenate([np.stack(line, axis=1) for line in lines] or [np.zeros((0, 2))])


def _middles(boxes: FloatArray) -> FloatArray:
    return np.stack((boxes[:, :2].mean(axis=1), boxes[:, 2:].mean(axis=1)), axis=1)
