"""The table of mechanisms: what each one is called, where it shows, and how it changes a heart.

Where it shows is the truth that explanations are compared with: ``leads`` and ``window`` are the
leads and the part of the beat in which the diagnosis is made (AHA/ACCF/HRS recommendations III-VI,
Circulation 2009;119:e235-e270; Surawicz & Knilans 2008), ``secondary`` the leads that show it too,
less plainly or as a mirror image.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ecgxai_core.errors import ParameterError
from ecgxai_core.simulate import shaping
from ecgxai_core.simulate import templates as shapes
from ecgxai_core.simulate.heart import Heart
from ecgxai_core.simulate.populations import Draw
from ecgxai_core.types import STANDARD_LEADS

__all__ = ["Mechanism", "apply", "mechanism", "mechanisms", "planned"]

_CHEST = STANDARD_LEADS[6:]
_LIMB = STANDARD_LEADS[:6]


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One thing that can be planted in a record.

    Attributes
    ----------
    name, title
        Stable name, and what people read.
    code
        SNOMED-CT code; ``""`` for the artefact, which is no diagnosis.
    leads, secondary
        Leads that make the diagnosis; leads that show it less plainly.
    window
        Part of the beat: see :data:`ecgxai_core.simulate.truth.WINDOWS`.
    slots
        What it occupies in the heart; two mechanisms that share a slot exclude each other.
    ranges
        Parameter ranges that replace or add to the normal ones.
    implies
        Codes that are true as well whenever this mechanism is present.
    """

    name: str
    title: str
    code: str
    leads: tuple[str, ...]
    secondary: tuple[str, ...]
    window: str
    slots: frozenset[str] = frozenset()
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    implies: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """All codes that a record with this mechanism carries."""
        return (self.code, *self.implies) if self.code else self.implies


SINUS = "sinus_rhythm"
_SINUS_CODE = "426783006"
_P_LEADS: tuple[tuple[str, ...], tuple[str, ...]] = (("II", "V1"), ("I", "aVF", "V2"))
_NO_SINUS = {"rhythm", "av", "ectopy"}


_BUNDLE_QT = (0.424, 0.468)
_ROWS: tuple[tuple[Mechanism, shaping.Shape], ...] = (
    (
        Mechanism(SINUS, "sinus rhythm", _SINUS_CODE, *_P_LEADS, "p", frozenset({"rhythm"})),
        shaping.same,
    ),
    (
        Mechanism(
            "sinus_bradycardia", "sinus bradycardia", "426177001", *_P_LEADS, "p",
            frozenset({"rhythm"}), {"heart_rate": (40, 54), "qtc": (0.376, 0.412)},
        ),
        shaping.same,
    ),
    (
        Mechanism(
            "sinus_tachycardia", "sinus tachycardia", "427084000", *_P_LEADS, "p",
            frozenset({"rhythm"}),
            {"heart_rate": (114, 146), "rr_sd": (0.004, 0.012), "pr": (0.122, 0.150),
             "p_duration": (0.080, 0.098)},
        ),
        shaping.same,
    ),
    (
        Mechanism(
            "sinus_arrhythmia", "sinus arrhythmia", "427393009", *_P_LEADS, "p",
            frozenset({"rhythm"}),
            {"heart_rate": (58, 80), "respiration_hz": (0.15, 0.24),
             "sinus_arrhythmia": (0.13, 0.22)},
        ),
        shaping.same,
    ),
    (
        Mechanism(
            "atrial_fibrillation", "atrial fibrillation", "164889003",
            ("II", "V1"), ("III", "aVF", "V2"), "tq", frozenset(_NO_SINUS),
            {"heart_rate": (66, 126), "rr_cv": (0.18, 0.29), "atrial_rate": (340, 480),
             "atrial_gain": (0.50, 1.30)},
        ),
        shaping.fibrillation,
    ),
    (
        Mechanism(
            "atrial_flutter", "atrial flutter", "164890007",
            ("II", "III", "aVF", "V1"), ("aVR", "aVL"), "tq", frozenset(_NO_SINUS),
            {"atrial_rate": (250, 320), "atrial_gain": (1.4, 3.0)},
        ),
        shaping.flutter,
    ),
    (
        Mechanism(
            "premature_atrial", "premature atrial contraction", "284470004", *_P_LEADS,
            "atrial_p", frozenset({"ectopy"}),
            {"coupling": (0.58, 0.74), "pause": (1.03, 1.16), "ectopic_rate": (0.1, 0.36),
             "ectopic_p_gain": (0.8, 1.3)},
        ),
        shaping.atrial_ectopic,
    ),
    (
        Mechanism(
            "premature_ventricular", "premature ventricular contraction", "427172004",
            STANDARD_LEADS, (), "ventricular_qrst", frozenset({"ectopy"}),
            {"coupling": (0.52, 0.68), "ectopic_rate": (0.1, 0.46), "ectopic_qrs": (0.140, 0.172),
             "ectopic_gain": (0.75, 1.35)},
        ),
        shaping.ventricular_ectopic,
    ),
    (
        Mechanism(
            "first_degree_block", "first degree atrioventricular block", "270492004",
            ("I", "II", "V1", "V5", "V6"), ("aVL", "aVF", "V2"), "pr", frozenset({"av"}),
            {"pr": (0.214, 0.276), "heart_rate": (58, 80), "p_duration": (0.092, 0.112)},
        ),
        shaping.same,
    ),
    (
        Mechanism(
            "right_bundle_branch_block", "complete right bundle branch block", "713427006",
            ("I", "V1", "V2", "V6"), ("aVL", "V3", "V5"), "qrs_late",
            frozenset({"bundle", "repolarisation"}),
            {"qrs": (0.130, 0.158), "qtc": _BUNDLE_QT, "terminal_gain": (0.95, 1.35),
             "qrs_gain": (0.85, 1.36)},
        ),
        shaping.right_bundle,
    ),
    (
        Mechanism(
            "incomplete_right_bundle_branch_block", "incomplete right bundle branch block",
            "713426002", ("I", "V1", "V2", "V6"), ("V3",), "qrs_late", frozenset({"bundle"}),
            {"qrs": (0.104, 0.118), "terminal_gain": (0.85, 1.30)},
        ),
        shaping.incomplete_right_bundle,
    ),
    (
        Mechanism(
            "left_bundle_branch_block", "left bundle branch block", "164909002",
            ("I", "aVL", "V1", "V5", "V6"), ("V2", "V3"), "qrs",
            frozenset({"bundle", "qrs", "repolarisation", "voltage"}),
            {"qrs": (0.134, 0.160), "qtc": _BUNDLE_QT, "t_turn": (-8, 8)},
        ),
        shaping.left_bundle,
    ),
    (
        Mechanism(
            "left_anterior_fascicular_block", "left anterior fascicular block", "445118002",
            ("I", "aVL", "II", "III", "aVF"), ("V5", "V6"), "qrs", frozenset({"qrs"}),
            {"qrs": (0.090, 0.110), "axis": (-70, -48)}, ("39732003",),
        ),
        shaping.left_anterior,
    ),
    (
        Mechanism(
            "pacing", "pacing rhythm", "10370003", STANDARD_LEADS, (), "spike_qrs",
            frozenset({*_NO_SINUS, "bundle", "qrs", "repolarisation", "voltage"}),
            {"heart_rate": (60, 84), "qrs": (0.148, 0.178), "qtc": (0.44, 0.48),
             "spike": (0.7, 2.0), "turn": (-20, 0), "qrs_gain": (0.85, 1.36),
             "spike_lead_ms": (3, 14), "pr": (0.160, 0.196)},
        ),
        shaping.paced,
    ),
    *(
        (
            Mechanism(
                f"st_elevation_{place}", f"ST elevation, {place}", "164931005",
                shapes.ST_VECTORS[place][1], shapes.ST_VECTORS[place][2], "st",
                frozenset({"repolarisation"}), {"st": (0.20, 0.42)},
            ),
            shaping.injury(place),
        )
        for place in ("inferior", "anterior", "lateral")
    ),
    (
        Mechanism(
            "st_depression", "ST depression", "429622005",
            shapes.ST_VECTORS["depression"][1], shapes.ST_VECTORS["depression"][2], "st",
            frozenset({"repolarisation"}), {"st": (0.13, 0.27)},
        ),
        shaping.injury("depression"),
    ),
    *(
        (
            Mechanism(
                f"t_inversion_{place}", f"T wave inversion, {place}", "59931005",
                shapes.T_INVERSION[place][1], shapes.T_INVERSION[place][2], "t",
                frozenset({"repolarisation"}), {"t_wave": (0.7, 1.5), "t_turn": (-6, 6)},
            ),
            shaping.inverted(place),
        )
        for place in ("anterior", "lateral", "inferior")
    ),
    *(
        (
            Mechanism(
                f"q_wave_{place}", f"pathological Q wave, {place}", "164917005",
                shapes.Q_WAVES[place][1], (), "q", frozenset({"qrs"}),
                {"q_gain": (0.8, 1.3), "turn": (-5, 5), "qrs": (0.092, 0.108)},
            ),
            shaping.necrosis(place),
        )
        for place in ("inferior", "anterior", "lateral")
    ),
    (
        Mechanism(
            "left_ventricular_hypertrophy", "left ventricular hypertrophy", "164873001",
            ("V1", "V2", "V5", "V6"), ("I", "aVL"), "qrs",
            frozenset({"voltage", "repolarisation"}),
            {"hypertrophy": (3.9, 5.4), "strain": (0.1, 0.9), "axis": (-15, 40),
             "qrs": (0.090, 0.108)},
        ),
        shaping.hypertrophy,
    ),
    (
        Mechanism(
            "low_voltage", "low QRS voltages", "251146004", _LIMB, (), "qrs",
            frozenset({"voltage"}), {"low_voltage": (0.26, 0.42)},
        ),
        shaping.low_voltage,
    ),
    (
        Mechanism(
            "long_qt", "prolonged QT interval", "111975006",
            ("II", "V5"), ("I", "V2", "V3", "V4", "V6"), "t", frozenset({"qt"}),
            {"qtc": (0.500, 0.570), "heart_rate": (58, 84)},
        ),
        shaping.same,
    ),
    (
        Mechanism(
            "left_axis_deviation", "left axis deviation", "39732003",
            ("I", "II", "aVF"), ("III", "aVL"), "qrs", frozenset({"qrs"}), {"axis": (-56, -36)},
        ),
        shaping.same,
    ),
    (
        Mechanism(
            "right_axis_deviation", "right axis deviation", "47665007",
            ("I", "aVF", "III"), ("II", "aVL"), "qrs", frozenset({"qrs"}), {"axis": (98, 126)},
        ),
        shaping.right_axis,
    ),
    (
        Mechanism(
            "shortcut_artefact", "shortcut artefact (a mark in one lead)", "", _CHEST, (), "mark",
            frozenset(), {"mark_mv": (0.15, 0.35), "mark_sec": (0.06, 0.14)},
        ),
        shaping.same,
    ),
)  # fmt: skip

_TABLE: dict[str, Mechanism] = {row.name: row for row, _ in _ROWS}
_SHAPES: dict[str, shaping.Shape] = {row.name: shape for row, shape in _ROWS}


def mechanisms() -> tuple[Mechanism, ...]:
    """All mechanisms, in the order in which they are applied."""
    return tuple(_TABLE.values())


def mechanism(name: str) -> Mechanism:
    """The mechanism of that name.

    Raises
    ------
    ParameterError
        There is none.
    """
    try:
        return _TABLE[name]
    except KeyError:
        known = ", ".join(_TABLE)
        raise ParameterError("mechanism", name, "no such mechanism", f"use {known}") from None


def planned(names: str | Iterable[str]) -> tuple[Mechanism, ...]:
    """The mechanisms of one record in table order, sinus rhythm added where no rhythm is named.

    Raises
    ------
    ParameterError
        A name is unknown, or two mechanisms exclude each other.
    """
    wanted = {mechanism(n).name for n in ([names] if isinstance(names, str) else names)}
    taken: dict[str, str] = {}
    for name in (row for row in _TABLE if row in wanted):
        for slot in _TABLE[name].slots:
            if slot in taken:
                raise ParameterError(
                    "mechanism", name, f"cannot be together with {taken[slot]}",
                    "choose one of the two",
                )  # fmt: skip
            taken[slot] = name
    if "rhythm" not in taken:
        wanted.add(SINUS)
    return tuple(row for row in _TABLE.values() if row.name in wanted)


def apply(plan: Iterable[Mechanism], heart: Heart, draw: Draw) -> Heart:
    """The heart with every mechanism of the plan in it."""
    for row in plan:
        heart = _SHAPES[row.name](heart, draw)
    return heart
