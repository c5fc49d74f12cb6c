"""How each mechanism changes a heart: ``(heart, draw) -> heart``, or a function that makes one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ecgxai_core.simulate import templates as shapes
from ecgxai_core.simulate.heart import Heart
from ecgxai_core.simulate.kernels import Kernel, rotated, scaled
from ecgxai_core.simulate.populations import Draw

__all__ = [
    "Shape",
    "atrial_ectopic",
    "fibrillation",
    "flutter",
    "hypertrophy",
    "incomplete_right_bundle",
    "injury",
    "inverted",
    "left_anterior",
    "left_bundle",
    "low_voltage",
    "necrosis",
    "paced",
    "right_axis",
    "right_bundle",
    "same",
    "ventricular_ectopic",
]

Shape = Callable[[Heart, Draw], Heart]


def same(heart: Heart, draw: Draw) -> Heart:
    """No change: ranges alone make the mechanism."""
    return heart


def fibrillation(heart: Heart, draw: Draw) -> Heart:
    """No P waves, irregular cycles, low T."""
    return replace(heart, rhythm="fibrillation", t=scaled(heart.t, (0.50, 0.50, 0.60)))


def flutter(heart: Heart, draw: Draw) -> Heart:
    """Atrial cycles conducted 2:1, 3:1, 4:1 or variably; the ventricular rate follows."""
    ratio = draw.choice("conduction", ("2", "3", "4", "variable"))
    values = {**heart.values, "conduction": 0.0 if ratio == "variable" else float(ratio)}
    mean = 3.0 if ratio == "variable" else float(ratio)
    values["heart_rate"] = values["atrial_rate"] / mean
    draw.values["heart_rate"] = values["heart_rate"]
    return replace(heart, values=values, rhythm="flutter", t=scaled(heart.t, (0.6, 0.6, 0.6)))


def atrial_ectopic(heart: Heart, draw: Draw) -> Heart:
    """Premature beats from an atrial focus."""
    return replace(heart, ectopic="atrial")


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
    """A slow late vector to the right and front, T turned away from it."""
    gain = heart["terminal_gain"]
    late = scaled(shapes.RBBB_TERMINAL, (gain, gain, gain))
    return replace(heart, terminal=late, t=shapes.RBBB_T, st=())


def incomplete_right_bundle(heart: Heart, draw: Draw) -> Heart:
    """A small late vector to the right and front."""
    gain = heart["terminal_gain"]
    return replace(heart, terminal=scaled(shapes.IRBBB_TERMINAL, (gain, gain, gain)))


def left_bundle(heart: Heart, draw: Draw) -> Heart:
    """The left ventricle through the septum, ST and T the other way."""
    return replace(heart, keep_axis=True, qrs=shapes.LBBB_QRS, st=shapes.LBBB_ST, t=shapes.LBBB_T)


def left_anterior(heart: Heart, draw: Draw) -> Heart:
    """Down and right first, then up and left."""
    return replace(heart, qrs=shapes.LAFB_QRS)


def right_axis(heart: Heart, draw: Draw) -> Heart:
    """A vertical heart."""
    return replace(heart, qrs=shapes.RIGHT_AXIS_QRS, t=rotated(shapes.NORMAL_T, 15.0))


def hypertrophy(heart: Heart, draw: Draw) -> Heart:
    """A large left ventricle with some strain; the voltage is set in :mod:`heart`."""
    strain = heart["strain"]
    septal, *rest = heart.qrs  # the septum's part does not grow with the free wall's
    qrs = (*scaled((septal,), (0.6, 0.6, 0.6)), *scaled(tuple(rest), (1.0, 1.0, 1.15)))

    def mixed(normal: tuple[Kernel, ...], strained: tuple[Kernel, ...]) -> tuple[Kernel, ...]:
        part = scaled(strained, (strain, strain, strain))
        return scaled(normal, (1 - strain, 1 - strain, 1 - strain)) + part

    return replace(
        heart, voltage="hypertrophy", qrs=qrs,
        st=mixed(heart.st, shapes.STRAIN_ST), t=mixed(heart.t, shapes.STRAIN_T),
    )  # fmt: skip


def low_voltage(heart: Heart, draw: Draw) -> Heart:
    """Small QRS and T; the voltage is set in :mod:`heart`."""
    return replace(heart, voltage="low", t=scaled(heart.t, (0.6, 0.6, 0.7)))


def injury(territory: str) -> Shape:
    """An injury current of the drawn size towards a territory, or away from it."""
    vector = shapes.ST_VECTORS[territory][0]

    def shape(heart: Heart, draw: Draw) -> Heart:
        size = heart["st"]
        current = tuple(
            Kernel(c, w, (size * h * vector[0], size * h * vector[1], size * h * vector[2]))
            for c, w, h in shapes.ST_SHAPE
        )
        t = heart.t
        if territory == "depression":  # T is low where ST is depressed
            t = scaled(t, (0.45, 0.45, 0.7))
        return replace(heart, st=heart.st + current, t=t)

    return shape


def inverted(territory: str) -> Shape:
    """The T wave of a territory inverted."""

    def shape(heart: Heart, draw: Draw) -> Heart:
        size = heart["t_wave"]
        t = scaled(shapes.T_INVERSION[territory][0], (size, size, size))
        return replace(heart, t=t, st=())

    return shape


def necrosis(territory: str) -> Shape:
    """Early forces lost in a territory, T flattened."""

    def shape(heart: Heart, draw: Draw) -> Heart:
        first, *rest = shapes.Q_WAVES[territory][0]
        gain = heart["q_gain"]
        early = scaled((first,), (gain, gain, gain))
        flat = scaled(heart.t, (0.55, 0.35, 0.7))
        return replace(heart, keep_axis=True, qrs=early + tuple(rest), t=flat)

    return shape
