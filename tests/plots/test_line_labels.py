"""Names beside lines: on their own line, in the frame, and on nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.plots.line_labels import Frame, coinciding, label_places

FRAME = Frame((0.0, 10.0), (0.0, 1.0), 500, 250)
X = np.arange(11.0)


def distance_px(place: tuple[float, float], line: np.ndarray) -> float:
    """From a name's middle to a line, in pixels, by dense sampling."""
    at = np.linspace(0, 10, 5001)
    x, y = FRAME.pixels(at, np.interp(at, X, line))
    own = FRAME.pixels(np.array(place[0]), np.array(place[1]))
    return float(np.hypot(x - own[0], y - own[1]).min())


def test_each_name_stands_nearest_to_its_own_line() -> None:
    lines = {"high": np.full(11, 0.9), "middle": np.full(11, 0.5), "low": np.linspace(0.3, 0.0, 11)}
    places = label_places({name: (X, line) for name, line in lines.items()}, FRAME)
    assert set(places) == set(lines)
    for name, place in places.items():
        away = {other: distance_px(place, line) for other, line in lines.items()}
        assert min(away, key=lambda other: away[other]) == name
        assert away[name] < 60


def test_a_name_covers_no_line_that_it_stands_for() -> None:
    """Without the second line the name would stand below the first, on the second."""
    top, below = np.full(11, 0.98), np.full(11, 0.94)
    (place,) = label_places({"both": (X, top)}, FRAME, {"both": [(X, below)]}).values()
    assert 0.94 - place[1] >= 7.5 / 250
    assert 0.94 - place[1] < 0.08


def test_names_do_not_cover_each_other_and_stay_inside() -> None:
    lines = {f"method {n}": (X, np.linspace(1, 0, 11) ** (1 + 0.01 * n)) for n in range(5)}
    places = label_places(lines, FRAME)
    boxes = []
    for name, place in places.items():
        x, y = FRAME.pixels(np.array(place[0]), np.array(place[1]))
        half = len(name) * 6.4 / 2
        assert half <= x <= 500 - half
        assert 7 <= y <= 243
        boxes.append((x - half, x + half, y - 7.5, y + 7.5))
    for i, (a, b, c, d) in enumerate(boxes):
        for left, right, low, high in boxes[:i]:
            assert b <= left or right <= a or d <= low or high <= c


def test_a_line_without_points_has_no_name() -> None:
    assert label_places({"none": (X, np.full(11, np.nan))}, FRAME) == {}


def test_the_frame_turns_pixels_back() -> None:
    x, y = FRAME.pixels(np.array(2.5), np.array(0.4))
    assert FRAME.data(float(x), float(y)) == pytest.approx((2.5, 0.4))


def test_lines_that_leave_no_room_for_two_names_have_one() -> None:
    """15 px are 0.06 of 250 px: lines that part by more somewhere have names of their own."""
    base = np.linspace(0.9, 0.1, 11)
    bump = np.where(X == 5, 0.1, 0.0)
    lines = {"a": base, "b": base - 0.05, "c": base + bump, "d": base - 0.11}
    groups = coinciding({name: (X, line) for name, line in lines.items()}, FRAME)
    assert groups == [("a", "b"), ("c",), ("d",)], "d is near b, but not near the first of them"
    assert coinciding({"gone": (X, np.full(11, np.nan)), "a": (X, base)}, FRAME) == [
        ("gone",),
        ("a",),
    ]


def test_steep_lines_that_run_beside_each_other_have_one_name() -> None:
    """From 0 to 1 within one step of 50 px x 250 px: a shift by 0.2 of a step is 10 px at most,
    however different the heights; one by 0.5 is 25 px x cos(11 degrees)."""
    steep = np.clip(X, 0, 1)
    fine = np.linspace(0, 10, 1001)
    lines = {
        name: (fine, np.interp(fine - shift, X, steep))
        for name, shift in (("a", 0.0), ("b", 0.2), ("c", 0.5))
    }
    assert np.abs(lines["a"][1] - lines["b"][1]).max() * 250 > 40
    assert coinciding(lines, FRAME) == [("a", "b"), ("c",)]
