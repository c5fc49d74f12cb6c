"""The registry of mechanisms: name, where each one shows, and how it changes a heart.

Where it shows is the truth that explanations are compared with: ``leads`` and ``window`` are the
leads and the part of the beat in which the diagnosis is made (AHA/ACCF/HRS recommendations III-VI,
Circulation 2009;119:e235-e270; Surawicz & Knilans 2008). ``secondary`` leads show it too, but less
clearly or as a mirror image.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ecgxai_core.errors import ParameterError
from ecgxai_core.simulation import shaping
from ecgxai_core.simulation import templates as shapes
from ecgxai_core.simulation.dipole import rotated
from ecgxai_core.simulation.heart import Heart
from ecgxai_core.simulation.populations import Draw
from ecgxai_core.types import STANDARD_LEADS

__all__ = ["Mechanism", "apply", "mechanism", "mechanisms", "planned"]


@dataclass(frozen=True, slots=True)
class Mechanism:
    """A cardiac mechanism, or an artefact, that can be planted in a record.

    Attributes
    ----------
    name, title
        Identifier, and the name shown to people.
    code
        SNOMED-CT code; ``""`` for the artefact, which is not a diagnosis.
    leads, secondary
        Leads in which the diagnosis is made; leads that show it less clearly.
    window
        Part of the beat: see :data:`ecgxai_core.simulation.truth.WINDOWS`.
    slots
        Properties of the heart that it occupies; mechanisms that share one exclude each other.
    ranges
        Parameter ranges that replace or extend the normal ones.
    implies
        Codes that hold whenever this mechanism is present.
    shape
        ``(heart, draw) -> heart``: changes that ranges alone do not make, if any.
    """

    name: str
    title: str
    code: str
    leads: tuple[str, ...]
    secondary: tuple[str, ...]
    window: str
    slots: tuple[str, ...] = ()
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    implies: tuple[str, ...] = ()
    shape: shaping.Shape | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """All codes of a record with this mechanism."""
        return (self.code, *self.implies) if self.code else self.implies


SINUS = "sinus_rhythm"
_P_LEADS: tuple[tuple[str, ...], tuple[str, ...]] = (("II", "V1"), ("I", "aVF", "V2"))
_NO_SINUS = ("rhythm", "av", "ectopy")
_BUNDLE_QT = (0.424, 0.468)
_ROWS: tuple[Mechanism, ...] = (
    Mechanism(SINUS, "sinus rhythm", "426783006", *_P_LEADS, "p", ("rhythm",)),
    Mechanism(
        "sinus_bradycardia", "sinus bradycardia", "426177001", *_P_LEADS, "p", ("rhythm",),
        {"heart_rate": (40, 54), "qtc": (0.376, 0.412)},
    ),
    Mechanism(
        "sinus_tachycardia", "sinus tachycardia", "427084000", *_P_LEADS, "p", ("rhythm",),
        {"heart_rate": (114, 146), "rr_sd": (0.004, 0.012), "pr": (0.122, 0.150),
         "p_duration": (0.080, 0.098)},
    ),
    Mechanism(
        "sinus_arrhythmia", "sinus arrhythmia", "427393009", *_P_LEADS, "p", ("rhythm",),
        {"heart_rate": (58, 80), "respiration_hz": (0.15, 0.24), "sinus_arrhythmia": (0.13, 0.22)},
    ),
    Mechanism(
        "atrial_fibrillation", "atrial fibrillation", "164889003",
        ("II", "V1"), ("III", "aVF", "V2"), "tq", _NO_SINUS,
        {"heart_rate": (66, 126), "rr_cv": (0.18, 0.29), "atrial_rate": (340, 480),
         "atrial_gain": (0.50, 1.30)},
        # no P waves, irregular cycles, low T waves
        shape=shaping.changed((0.50, 0.50, 0.60), rhythm="fibrillation"),
    ),
    Mechanism(
        "atrial_flutter", "atrial flutter", "164890007",
        ("II", "III", "aVF", "V1"), ("aVR", "aVL"), "tq", _NO_SINUS,
        {"atrial_rate": (250, 320), "atrial_gain": (1.4, 3.0)}, shape=shaping.flutter,
    ),
    Mechanism(
        "premature_atrial", "premature atrial contraction", "284470004", *_P_LEADS,
        "atrial_p", ("ectopy",),
        {"coupling": (0.58, 0.74), "pause": (1.03, 1.16), "ectopic_rate": (0.1, 0.36),
         "ectopic_p_gain": (0.8, 1.3)},
        shape=shaping.changed(ectopic="atrial"),
    ),
    Mechanism(
        "premature_ventricular", "premature ventricular contraction", "427172004",
        STANDARD_LEADS, (), "ventricular_qrst", ("ectopy",),
        {"coupling": (0.52, 0.68), "ectopic_rate": (0.1, 0.46), "ectopic_qrs": (0.140, 0.172),
         "ectopic_gain": (0.75, 1.35)},
        shape=shaping.ventricular_ectopic,
    ),
    Mechanism(
        "first_degree_block", "first degree atrioventricular block", "270492004",
        ("I", "II", "V1", "V5", "V6"), ("aVL", "aVF", "V2"), "pr", ("av",),
        {"pr": (0.214, 0.276), "heart_rate": (58, 80), "p_duration": (0.092, 0.112)},
    ),
    Mechanism(
        "right_bundle_branch_block", "complete right bundle branch block", "713427006",
        ("I", "V1", "V2", "V6"), ("aVL", "V3", "V5"), "qrs_late", ("bundle", "repolarisation"),
        {"qrs": (0.130, 0.158), "qtc": _BUNDLE_QT, "terminal_gain": (0.95, 1.35),
         "qrs_gain": (0.85, 1.36)},
        shape=shaping.right_bundle,
    ),
    Mechanism(
        "incomplete_right_bundle_branch_block", "incomplete right bundle branch block",
        "713426002", ("I", "V1", "V2", "V6"), ("V3",), "qrs_late", ("bundle",),
        {"qrs": (0.104, 0.118), "terminal_gain": (0.85, 1.30)},
        shape=shaping.incomplete_right_bundle,
    ),
    Mechanism(
        "left_bundle_branch_block", "left bundle branch block", "164909002",
        ("I", "aVL", "V1", "V5", "V6"), ("V2", "V3"), "qrs",
        ("bundle", "qrs", "repolarisation", "voltage"),
        {"qrs": (0.134, 0.160), "qtc": _BUNDLE_QT, "t_turn": (-8, 8)},
        # activated through the septum; ST and T discordant
        shape=shaping.changed(
            keep_axis=True, qrs=shapes.LBBB_QRS, st=shapes.LBBB_ST, t=shapes.LBBB_T
        ),
    ),
    Mechanism(
        "left_anterior_fascicular_block", "left anterior fascicular block", "445118002",
        ("I", "aVL", "II", "III", "aVF"), ("V5", "V6"), "qrs", ("qrs",),
        {"qrs": (0.090, 0.110), "axis": (-70, -48)}, ("39732003",),
        shaping.changed(qrs=shapes.LAFB_QRS),
    ),
    Mechanism(
        "pacing", "pacing rhythm", "10370003", STANDARD_LEADS, (), "spike_qrs",
        (*_NO_SINUS, "bundle", "qrs", "repolarisation", "voltage"),
        {"heart_rate": (60, 84), "qrs": (0.148, 0.178), "qtc": (0.44, 0.48), "spike": (0.7, 2.0),
         "turn": (-20, 0), "qrs_gain": (0.85, 1.36), "spike_lead_ms": (3, 14),
         "pr": (0.160, 0.196)},
        shape=shaping.paced,
    ),
    *(
        Mechanism(
            f"st_elevation_{place}", f"ST elevation, {place}", "164931005",
            *shapes.ST_VECTORS[place][1:], "st", ("repolarisation",), {"st": (0.20, 0.42)},
            shape=shaping.injury(place),
        )
        for place in ("inferior", "anterior", "lateral")
    ),
    Mechanism(
        "st_depression", "ST depression", "429622005", *shapes.ST_VECTORS["depression"][1:],
        "st", ("repolarisation",), {"st": (0.13, 0.27)}, shape=shaping.injury("depression"),
    ),
    *(
        Mechanism(
            f"t_inversion_{place}", f"T wave inversion, {place}", "59931005",
            *shapes.T_INVERSION[place][1:], "t", ("repolarisation",),
            {"t_wave": (0.7, 1.5), "t_turn": (-6, 6)}, shape=shaping.inverted(place),
        )
        for place in ("anterior", "lateral", "inferior")
    ),
    *(
        Mechanism(
            f"q_wave_{place}", f"pathological Q wave, {place}", "164917005",
            shapes.Q_WAVES[place][1], (), "q", ("qrs",),
            {"q_gain": (0.8, 1.3), "turn": (-5, 5), "qrs": (0.092, 0.108)},
            shape=shaping.necrosis(place),
        )
        for place in ("inferior", "anterior", "lateral")
    ),
    Mechanism(
        "left_ventricular_hypertrophy", "left ventricular hypertrophy", "164873001",
        ("V1", "V2", "V5", "V6"), ("I", "aVL"), "qrs", ("voltage", "repolarisation"),
        {"hypertrophy": (3.9, 5.4), "strain": (0.1, 0.9), "axis": (-15, 40),
         "qrs": (0.090, 0.108)},
        shape=shaping.hypertrophy,
    ),
    Mechanism(
        "low_voltage", "low QRS voltages", "251146004", STANDARD_LEADS[:6], (), "qrs",
        ("voltage",), {"low_voltage": (0.26, 0.42)},
        shape=shaping.changed((0.6, 0.6, 0.7), voltage="low"),
    ),
    Mechanism(
        "long_qt", "prolonged QT interval", "111975006",
        ("II", "V5"), ("I", "V2", "V3", "V4", "V6"), "t", ("qt",),
        {"qtc": (0.500, 0.570), "heart_rate": (58, 84)},
    ),
    Mechanism(
        "left_axis_deviation", "left axis deviation", "39732003",
        ("I", "II", "aVF"), ("III", "aVL"), "qrs", ("qrs",), {"axis": (-56, -36)},
    ),
    Mechanism(
        "right_axis_deviation", "right axis deviation", "47665007",
        ("I", "aVF", "III"), ("II", "aVL"), "qrs", ("qrs",), {"axis": (98, 126)},
        shape=shaping.changed(qrs=shapes.RIGHT_AXIS_QRS, t=rotated(shapes.NORMAL_T, 15.0)),
    ),
    Mechanism(
        "shortcut_artefact", "shortcut artefact (a mark in one lead)", "", STANDARD_LEADS[6:], (),
        "mark", (), {"mark_mv": (0.15, 0.35), "mark_sec": (0.06, 0.14)},
    ),
)  # fmt: skip

_TABLE: dict[str, Mechanism] = {row.name: row for row in _ROWS}


def mechanisms() -> tuple[Mechanism, ...]:
    """All mechanisms, in the order in which they are applied."""
    return _ROWS


def mechanism(name: str) -> Mechanism:
    """Look up a mechanism by its name.

    Raises
    ------
    ParameterError
        The name is unknown.
    """
    try:
        return _TABLE[name]
    except KeyError:
        known = ", ".join(_TABLE)
        raise ParameterError("mechanism", name, "no such mechanism", f"use {known}") from None


def planned(names: str | Iterable[str]) -> tuple[Mechanism, ...]:
    """The mechanisms of one record in table order; sinus rhythm is added if no rhythm is named.

    Raises
    ------
    ParameterError
        A name is unknown, or two mechanisms exclude each other.
    """
    wanted = {mechanism(n).name for n in ([names] if isinstance(names, str) else names)}
    taken: dict[str, str] = {}
    for row in (row for row in _ROWS if row.name in wanted):
        for slot in row.slots:
            if slot in taken:
                problem = f"cannot be combined with {taken[slot]}"
                raise ParameterError("mechanism", row.name, problem, "choose one of the two")
            taken[slot] = row.name
    if "rhythm" not in taken:
        wanted.add(SINUS)
    return tuple(row for row in _ROWS if row.name in wanted)


def apply(plan: Iterable[Mechanism], heart: Heart, draw: Draw) -> Heart:
    """Apply every mechanism of the plan to the heart."""
    for row in plan:
        heart = row.shape(heart, draw) if row.shape is not None else heart
    return heart
