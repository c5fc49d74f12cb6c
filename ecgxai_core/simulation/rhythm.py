"""Beat times, from before the start of the record until after its end, and atrial waves."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ecgxai_core.simulation.heart import Heart
from ecgxai_core.types import FloatArray

__all__ = ["Beat", "beats", "fibrillation", "flutter"]

_LEAD_IN_SEC = 1.6
_REFRACTORY_SEC = 0.30


@dataclass(frozen=True, slots=True)
class Beat:
    """One beat: R peak (s), preceding cycle length (s), kind, and whether it has a P wave."""

    r_sec: float
    rr_sec: float
    kind: str = "ordinary"  # ordinary | atrial | ventricular
    has_p: bool = True


def beats(heart: Heart, duration: float, rng: np.random.Generator) -> tuple[Beat, ...]:
    """Beats in chronological order, covering ``[-1.6 s, duration + 1 s]``."""
    stop = duration + 1.0
    mean = 60.0 / heart["heart_rate"]
    if heart.rhythm == "fibrillation":
        return _beats(_irregular(heart, mean, stop, rng), has_p=False)
    if heart.rhythm == "flutter":
        return _beats(_conducted(heart, stop, rng), has_p=False)
    if heart.rhythm == "paced":
        first = -_LEAD_IN_SEC + mean * float(rng.random())
        times = first + mean * np.arange(int((stop - first) / mean) + 2, dtype=np.float64)
        return _beats(times, has_p=heart.paced_p)
    regular = _beats(_sinus(heart, mean, stop, rng), has_p=True)
    if heart.ectopic is None:
        return regular
    return _with_ectopics(heart, regular, duration, rng)


def _beats(times: FloatArray, *, has_p: bool) -> tuple[Beat, ...]:
    cycles = np.diff(times, prepend=2 * times[0] - times[1])
    return tuple(
        Beat(float(r), float(rr), has_p=has_p) for r, rr in zip(times, cycles, strict=True)
    )


def _sinus(heart: Heart, mean: float, stop: float, rng: np.random.Generator) -> FloatArray:
    """Sinus beats with a bimodal RR spectrum: Mayer waves at 0.1 Hz and respiration.

    McSharry 2003, eq. 4: Gaussians of width 0.01 Hz at 0.1 Hz and at the respiratory rate, with
    power ratio LF/HF and random phases. Respiratory sinus arrhythmia adds one sinusoid.
    """
    grid = np.arange(0.02, 0.5, 0.01)
    ratio, breath = heart["lf_hf"], heart["respiration_hz"]
    low = ratio / (1 + ratio) * np.exp(-0.5 * ((grid - 0.1) / 0.01) ** 2)
    high = 1 / (1 + ratio) * np.exp(-0.5 * ((grid - breath) / 0.01) ** 2)
    amplitude = np.sqrt(low + high)
    amplitude *= heart["rr_sd"] * np.sqrt(2.0 / np.sum(amplitude**2))
    phases = rng.uniform(0, 2 * np.pi, grid.size)
    swing = heart.values.get("sinus_arrhythmia", 0.0)
    start = rng.uniform(0, 2 * np.pi)
    times = [-_LEAD_IN_SEC + mean * float(rng.random())]
    while times[-1] < stop:
        now = times[-1]
        change = float(np.sum(amplitude * np.cos(2 * np.pi * grid * now + phases)))
        change += swing * float(np.sin(2 * np.pi * breath * now + start))
        times.append(now + max(mean + change, _REFRACTORY_SEC))
    return np.array(times)


def _irregular(heart: Heart, mean: float, stop: float, rng: np.random.Generator) -> FloatArray:
    """Atrial fibrillation: independent cycles with the drawn coefficient of variation."""
    count = int(np.ceil((stop + _LEAD_IN_SEC) / mean)) + 6
    cycles = np.exp(rng.normal(0.0, 1.0, count) * heart["rr_cv"])
    cycles = 1.0 + (cycles - cycles.mean()) / cycles.std() * heart["rr_cv"]
    times = -_LEAD_IN_SEC + np.cumsum(np.maximum(mean * cycles, _REFRACTORY_SEC))
    while times[-1] < stop:  # a safeguard: the refractory limit can only lengthen the series
        times = np.append(times, times[-1] + mean)
    return np.asarray(times[: int(np.searchsorted(times, stop)) + 1])


def _conducted(heart: Heart, stop: float, rng: np.random.Generator) -> FloatArray:
    """Flutter: every second, third or fourth atrial cycle is conducted."""
    cycle = 60.0 / heart["atrial_rate"]
    ratio = int(heart["conduction"])
    times = [-_LEAD_IN_SEC + cycle * float(rng.random())]
    while times[-1] < stop:
        step = ratio if ratio else int(rng.choice([2, 3, 4, 4]))
        times.append(times[-1] + step * cycle)
    return np.array(times)


def _with_ectopics(
    heart: Heart, regular: tuple[Beat, ...], duration: float, rng: np.random.Generator
) -> tuple[Beat, ...]:
    """Replace some beats by premature ones; never the first, never two in a row.

    A premature atrial beat resets the sinus node (pause slightly longer than a cycle); a premature
    ventricular beat does not, so the next beat comes on time (fully compensatory pause).
    """
    out = list(regular)
    inside = [i for i, b in enumerate(out) if 1.2 < b.r_sec < duration - 1.2]
    if not inside:
        inside = [i for i, b in enumerate(out) if 0.0 <= b.r_sec < duration][:1]
    wanted = max(1, round(heart["ectopic_rate"] * duration))
    chosen: list[int] = []
    for index in rng.permutation(inside):
        if len(chosen) < wanted and all(abs(int(index) - c) >= 3 for c in chosen):
            chosen.append(int(index))
    atrial = heart.ectopic == "atrial"
    for index in sorted(chosen):
        before, cycle = out[index - 1].r_sec, out[index].rr_sec
        r_sec = before + heart["coupling"] * cycle
        kind = "atrial" if atrial else "ventricular"
        out[index] = Beat(r_sec, r_sec - before, kind, has_p=atrial)
        move = r_sec + heart["pause"] * cycle - out[index + 1].r_sec if atrial else 0.0
        for later in range(index + 1, len(out)):
            out[later] = replace(out[later], r_sec=out[later].r_sec + move)
        out[index + 1] = replace(out[index + 1], rr_sec=out[index + 1].r_sec - r_sec)
    return tuple(out)


def fibrillation(
    times: FloatArray, rate: float, amplitude: float, rng: np.random.Generator
) -> FloatArray:
    """Fibrillatory waves, ``float64[3, sample]`` in mV: a sawtooth of varying size and frequency.

    Stridh M, Soernmo L. Spatiotemporal QRST cancellation techniques for analysis of atrial
    fibrillation. IEEE Trans Biomed Eng 2001;48:105-111, eqs. 23-25 (five harmonics). ``rate`` is
    per minute; ``amplitude`` is the peak in V1 in mV, the largest, because V1 faces the right
    atrium.
    """
    out = np.zeros((3, times.size))
    direction = np.array([-0.40, 0.45, -0.60])
    for axis in range(3):
        # Each axis records a different mix of wavelets, so its sawtooth has its own modulation.
        wander = rng.uniform(0.2, 0.6)
        phase = 2 * np.pi * rate / 60.0 * times
        phase = phase + 0.8 * np.sin(2 * np.pi * wander * times + rng.uniform(0, 2 * np.pi))
        phase += 0.5 * np.sin(2 * np.pi * 1.3 * times + rng.uniform(0, 2 * np.pi))
        phase += rng.uniform(0, 2 * np.pi)
        slow = 2 * np.pi * rng.uniform(0.3, 0.7) * times + rng.uniform(0, 2 * np.pi)
        envelope = 1.0 + 0.4 * np.sin(slow)
        sawtooth = sum(np.sin(i * phase) / i * 0.75 ** (i - 1) for i in range(1, 6))
        out[axis] = direction[axis] * envelope * sawtooth
    return np.asarray(amplitude * out)


def flutter(times: FloatArray, rate: float, amplitude: float, offset_sec: float) -> FloatArray:
    """Typical counter-clockwise flutter, ``float64[3, sample]`` in mV.

    The wavefront ascends the septum and descends the free wall (Saoudi N et al., Eur Heart J
    2001;22:1162-1182). The inferior leads show a slow fall, a steep negative wave and a steep rise
    without an isoelectric line; V1 shows a narrow upright wave. ``rate`` is per minute;
    ``amplitude`` is the depth in the inferior leads in mV.
    """
    phase = ((times - offset_sec) * rate / 60.0) % 1.0

    def centred(centre: float, width: float) -> FloatArray:
        distance = (phase - centre + 0.5) % 1.0 - 0.5
        bump = np.exp(-0.5 * (distance / width) ** 2)
        # Subtracting the mean over the cycle keeps the trace centred on 0 mV.
        return np.asarray(bump - np.sqrt(2 * np.pi) * width)

    inferior = -centred(0.45, 0.13) - 0.45 * centred(0.22, 0.14) + 0.45 * centred(0.72, 0.09)
    front = centred(0.50, 0.10) - 0.25 * centred(0.80, 0.12)
    x = 0.10 * inferior - 0.30 * front
    return np.asarray(amplitude * np.stack([x, 0.85 * inferior, -0.50 * front]))
