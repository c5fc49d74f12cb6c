"""Templates of the dipole's waves: kernels in ms and mV (x left, y down, z back).

QRS kernels are timed from the R peak, ST and T kernels from the J point, P kernels from their own
centre. The numbers were set by hand so that the projected leads have the textbook morphology
(Surawicz & Knilans, Chou's Electrocardiography in Clinical Practice, 6th ed. 2008;
AHA/ACCF/HRS recommendations III-VI, 2009), with amplitudes near the medians of PTB-XL
(Wagner P et al., Sci Data 2020;7:154).
"""

from __future__ import annotations

from ecgxai_core.simulation.dipole import Kernel

Vector = tuple[float, float, float]
Kernels = tuple[Kernel, ...]

P_LEVEL, QRS_LEVEL, T_LEVEL = 0.08, 0.03, 0.10
"""Fraction of its peak magnitude at which a wave begins and ends, chosen to match visual reading.
"""

# Right atrium first (anterior, down), then the left (posterior, left): V1 is biphasic, II upright.
NORMAL_P: Kernels = (
    Kernel(-13, 19, (0.060, 0.080, -0.046)),
    Kernel(15, 19, (0.092, 0.064, 0.034)),
)
# Focus low in the right atrium or near the septum: flat or inverted in the inferior leads.
ECTOPIC_P: Kernels = (
    Kernel(-11, 15, (0.020, -0.090, -0.055)),
    Kernel(12, 15, (0.045, -0.060, 0.015)),
)

# Septum (right, anterior) - apex and free wall (left, down) - base (posterior).
NORMAL_QRS: Kernels = (
    Kernel(-20, 7.0, (-0.13, -0.05, -0.22)),
    Kernel(-5, 8.8, (1.24, 0.60, -0.02)),
    Kernel(6.5, 8.6, (-0.26, 0.02, 0.68)),
    Kernel(18, 10.5, (-0.06, -0.05, 0.20)),
)
NORMAL_ST: Kernels = (Kernel(100, 55, (0.035, 0.010, -0.055)),)
NORMAL_T: Kernels = (
    Kernel(165, 42, (0.150, 0.060, -0.120)),
    Kernel(205, 32, (0.150, 0.080, -0.105)),
)

# Late right ventricular activation: a slow vector to the right and front gives rsR' in V1 and a
# wide S in I and V6. It begins during the posterior forces of the left ventricle, so s in V1 is
# small.
RBBB_TERMINAL: Kernels = (
    Kernel(8.5, 9, (-0.10, 0.00, -0.68)),
    Kernel(36, 14, (-0.38, -0.02, -0.57)),
    Kernel(58, 16, (-0.26, 0.00, -0.36)),
)
# Incomplete block: the same, smaller and shorter.
IRBBB_TERMINAL: Kernels = (
    Kernel(17, 8, (-0.06, 0.00, -0.34)),
    Kernel(31, 9, (-0.20, 0.00, -0.34)),
    Kernel(45, 10, (-0.12, 0.00, -0.14)),
)
RBBB_T: Kernels = (
    Kernel(165, 44, (0.120, 0.040, 0.080)),
    Kernel(205, 34, (0.120, 0.050, 0.085)),
)

# The left ventricle is activated through the septum: no septal q, two peaks of x (notched R in I,
# aVL, V5, V6), all forces posterior (QS or rS in V1-V3), discordant repolarisation.
LBBB_QRS: Kernels = (
    Kernel(-44, 8, (0.10, 0.04, -0.20)),
    Kernel(-18, 15, (0.76, 0.34, 0.66)),
    Kernel(8, 15, (0.42, 0.08, 0.88)),
    Kernel(34, 16, (0.74, -0.10, 0.72)),
    Kernel(58, 14, (0.12, -0.06, 0.24)),
)
LBBB_ST: Kernels = (Kernel(20, 50, (-0.10, -0.05, -0.22)), Kernel(90, 50, (-0.06, -0.03, -0.12)))
LBBB_T: Kernels = (
    Kernel(150, 46, (-0.16, -0.06, -0.38)),
    Kernel(190, 34, (-0.16, -0.06, -0.22)),
)

# First inferior and to the right (q in I, aVL; r in II, III, aVF), then superior and to the left
# (rS in the inferior leads).
LAFB_QRS: Kernels = (
    Kernel(-22, 7.5, (-0.10, 0.21, -0.20)),
    Kernel(-6, 9.5, (1.12, -0.05, -0.05)),
    Kernel(8, 10.5, (-0.14, -0.52, 0.55)),
    Kernel(22, 12.0, (-0.24, -0.30, 0.30)),
)

# Vertical heart: first to the left, then down and to the right: rS in I, RS in V5 and V6.
RIGHT_AXIS_QRS: Kernels = (
    Kernel(-20, 7.0, (-0.08, -0.05, -0.22)),
    Kernel(-7, 9.0, (0.78, 0.86, 0.00)),
    Kernel(7, 9.0, (-0.62, 0.52, 0.36)),
    Kernel(20, 11.0, (-0.42, 0.06, 0.10)),
)

# Necrosis removes early forces: for 40 ms or more the vector points away from the scar.
Q_WAVES: dict[str, tuple[Kernels, tuple[str, ...]]] = {
    "inferior": (
        (
            Kernel(-27, 11, (0.00, -0.42, -0.24)),
            Kernel(-3, 9, (1.10, 0.28, 0.02)),
            Kernel(9, 9, (-0.20, 0.12, 0.62)),
            Kernel(20, 11, (-0.08, 0.02, 0.20)),
        ),
        ("II", "III", "aVF"),
    ),
    "anterior": (
        (
            Kernel(-25, 11, (-0.10, -0.06, 0.34)),
            Kernel(-4, 10, (0.62, 0.42, 0.72)),
            Kernel(10, 10, (0.02, 0.05, 0.46)),
            Kernel(22, 11, (-0.04, -0.02, 0.16)),
        ),
        ("V1", "V2", "V3"),
    ),
    "lateral": (
        (
            Kernel(-27, 11, (-0.52, 0.02, -0.20)),
            Kernel(-3, 9, (0.95, 0.62, 0.02)),
            Kernel(9, 9, (-0.16, 0.06, 0.50)),
            Kernel(20, 11, (-0.08, 0.00, 0.16)),
        ),
        ("I", "aVL", "V5", "V6"),
    ),
}

# Right ventricular apical pacing: activation from apex to base, away from the inferior leads and
# most chest leads; discordant ST and T.
PACED_QRS: Kernels = (
    Kernel(-46, 12, (0.20, -0.13, -0.06)),
    Kernel(-18, 20, (0.40, -0.48, 0.50)),
    Kernel(18, 24, (0.06, -0.81, 0.76)),
    Kernel(56, 20, (-0.20, -0.45, 0.28)),
)
PACED_ST: Kernels = (Kernel(25, 48, (-0.06, 0.12, -0.16)), Kernel(95, 50, (-0.02, 0.10, -0.12)))
PACED_T: Kernels = (
    Kernel(160, 48, (-0.06, 0.26, -0.30)),
    Kernel(205, 36, (-0.04, 0.18, -0.20)),
)

# Origin -> QRS, ST, T of a premature ventricular beat. Right ventricular outflow tract: LBBB
# morphology with inferior axis; left ventricle: RBBB morphology with superior axis.
PVC: dict[str, tuple[Kernels, Kernels, Kernels]] = {
    "right": (
        (
            Kernel(-42, 16, (0.14, 0.26, 0.02)),
            Kernel(-8, 22, (0.55, 1.05, 0.82)),
            Kernel(32, 20, (0.30, 0.55, 0.92)),
            Kernel(62, 16, (0.04, 0.10, 0.36)),
        ),
        (Kernel(30, 55, (-0.08, -0.16, -0.22)),),
        (Kernel(150, 52, (-0.20, -0.36, -0.40)), Kernel(195, 36, (-0.12, -0.20, -0.20))),
    ),
    "left": (
        (
            Kernel(-44, 16, (0.05, -0.22, -0.26)),
            Kernel(-6, 22, (-0.38, -0.92, -0.92)),
            Kernel(34, 20, (-0.55, -0.50, -0.52)),
            Kernel(62, 16, (-0.26, -0.08, -0.05)),
        ),
        (Kernel(30, 55, (0.08, 0.14, 0.14)),),
        (Kernel(150, 52, (0.18, 0.30, 0.30)), Kernel(195, 36, (0.12, 0.18, 0.16))),
    ),
}

# Strain of a hypertrophied left ventricle: sagging ST and inverted T in the lateral leads.
STRAIN_ST: Kernels = (Kernel(40, 45, (-0.10, -0.05, -0.07)), Kernel(110, 48, (-0.12, -0.05, -0.10)))
STRAIN_T: Kernels = (
    Kernel(160, 42, (-0.20, -0.07, -0.14)),
    Kernel(198, 30, (-0.14, -0.05, -0.08)),
)

# Injury current: time course from the J point into the T wave (unit height); per territory its
# vector (mV), the leads with 0.1 mV or more of ST deviation, and the reciprocal leads.
ST_SHAPE: tuple[tuple[float, float, float], ...] = (
    (5, 24, 0.75),
    (55, 32, 0.80),
    (115, 40, 0.85),
    (170, 42, 0.55),
)
ST_VECTORS: dict[str, tuple[Vector, tuple[str, ...], tuple[str, ...]]] = {
    "inferior": ((0.00, 1.00, 0.12), ("II", "III", "aVF"), ("I", "aVL")),
    "anterior": ((0.15, -0.25, -0.85), ("V1", "V2", "V3", "V4"), ("III", "aVF")),
    "lateral": ((0.95, -0.25, 0.45), ("I", "aVL", "V4", "V5", "V6"), ("III", "aVF", "V1", "V2")),
    "depression": ((-0.95, -0.50, -0.30), ("I", "II", "V4", "V5", "V6"), ("aVR", "V1")),
}

# Inverted T: kernels, the leads that define the diagnosis, and other leads with a negative T.
T_INVERSION: dict[str, tuple[Kernels, tuple[str, ...], tuple[str, ...]]] = {
    "anterior": (
        (Kernel(165, 40, (-0.05, 0.03, 0.22)), Kernel(200, 29, (-0.05, 0.02, 0.18))),
        ("V2", "V3", "V4"),
        ("V1", "V5"),
    ),
    "lateral": (
        (Kernel(165, 40, (-0.22, -0.01, -0.06)), Kernel(200, 29, (-0.18, 0.00, -0.04))),
        ("I", "aVL", "V4", "V5", "V6"),
        ("II", "V3"),
    ),
    "inferior": (
        (Kernel(165, 40, (0.06, -0.20, -0.10)), Kernel(200, 29, (0.05, -0.16, -0.08))),
        ("II", "III", "aVF"),
        (),
    ),
}
