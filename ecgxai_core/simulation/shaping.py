"""Changes that mechanisms make to a heart: functions ``(heart, draw) -> heart``.

Functions that take a territory return such a function.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ecgxai_core.simulation import templates as shapes
from ecgxai_core.simulation.dipole import Kernel, scaled
from ecgxai_core.simulation.heart import Heart
from ecgxai_core.simulation.populations import Draw

Shape = Callable[[Heart, Draw], Heart]


def changed(t_gains: tuple[float, float, float] = (1.0, 1.0, 1.0), **fields: Any) -> Shape:
    """Other fields of the heart, and its T wave multiplied by a gain per axis."""

    def shape(heart: Heart, draw: Draw) -> Heart:
        return replace(heart, **{"t": scaled(heart.t, t_gains), **fields})

    return shape


def flutter(heart: Heart, draw: Draw) -> Heart:
    """Atrial cycles conducted 2:1, 3:1, 4:1 or variably; the ventricular rate follows."""
    ratio = draw.choice("conduction", ("2", "3", "4", "variable"))
    values = {**heart.values, "conduction": 0.0 if ratio == "variable" else float(ratio)}
    mean = 3.0 if ratio == "variable" else float(ratio)
    values["heart_rate"] = values["atrial_rate"] / mean
    draw.values["heart_rate"] = values["heart_rate"]
    return replace(heart, values=values, rhythm="flutter", t=scaled(heart.t, (0.6, 0.6, 0.6)))


def ventricular_ectopic(heart: Heart, draw: Draw) -> Heart:
    """Premature beats from the right outflow tract or the left ventricle."""
    return replace(heart, ectopic=draw.choice("origin", ("right", "left")))


def paced(heart: Heart, draw: Draw) -> Heart:
    """Paced from the right ventricular apex, alone or tracking sinus P waves."""
    mode = draw.choice("pacing", ("ventricular", "ventricular", "atrial tracking"))
    return replace(
        heart, rhythm="paced", keep_axis=True, paced_p=mode == "atrial tracking",
        qrs=shapes.PACED_QRS, st=shapes.PACED_ST, t=shapes.PACED_T,
    )  # fmt: skip


def right_bundle(heart: Heart, draw: Draw) -> Heart:
    """A slow late vector to the right and front, with the T wave opposite to it."""
    late = scaled(shapes.RBBB_TERMINAL, heart["terminal_gain"])
    return replace(heart, terminal=late, t=shapes.RBBB_T, st=())


def incomplete_right_bundle(heart: Heart, draw: Draw) -> Heart:
    """A small late vector to the right and front."""
    return replace(heart, terminal=scaled(shapes.IRBBB_TERMINAL, heart["terminal_gain"]))


def hypertrophy(heart: Heart, draw: Draw) -> Heart:
    """A hypertrophied left ventricle with some strain; :mod:`heart` sets the voltage."""
    septal, *rest = heart.qrs  # septal forces do not grow with those of the free wall
    qrs = (*scaled((septal,), 0.6), *scaled(tuple(rest), (1.0, 1.0, 1.15)))

    def mixed(normal: tuple[Kernel, ...], strained: tuple[Kernel, ...]) -> tuple[Kernel, ...]:
        return scaled(normal, 1 - heart["strain"]) + scaled(strained, heart["strain"])

    return replace(
        heart, voltage="hypertrophy", qrs=qrs,
        st=mixed(heart.st, shapes.STRAIN_ST), t=mixed(heart.t, shapes.STRAIN_T),
    )  # fmt: skip


def injury(territory: str) -> Shape:
    """An injury current of the drawn size towards a territory, or away from it."""
    x, y, z = shapes.ST_VECTORS[territory][0]

    def shape(heart: Heart, draw: Draw) -> Heart:
        current = tuple(
            Kernel(centre, width, (size * x, size * y, size * z))
            for centre, width, height in shapes.ST_SHAPE
            for size in [heart["st"] * height]
        )
        # T waves are low where ST is depressed.
        t = scaled(heart.t, (0.45, 0.45, 0.7)) if territory == "depression" else heart.t
        return replace(heart, st=heart.st + current, t=t)

    return shape


def inverted(territory: str) -> Shape:
    """An inverted T wave in a territory."""

    def shape(heart: Heart, draw: Draw) -> Heart:
        return replace(heart, t=scaled(shapes.T_INVERSION[territory][0], heart["t_wave"]), st=())

    return shape


def necrosis(territory: str) -> Shape:
    """Early forces lost in a territory, with a flattened T wave."""

    def shape(heart: Heart, draw: Draw) -> Heart:
        first, *rest = shapes.Q_WAVES[territory][0]
        early = scaled((first,), heart["q_gain"])
        flat = scaled(heart.t, (0.55, 0.35, 0.7))
        return replace(heart, keep_axis=True, qrs=early + tuple(rest), t=flat)

    return shape
