"""Which SNOMED-CT codes an ECG record may carry without a question mark."""

from __future__ import annotations

from ecgxai_core.diagnoses import known_codes

__all__ = ["ecg_codes"]


def ecg_codes() -> frozenset[str]:
    """Codes and class names of the table of diagnoses, those without an evidence row included.

    They are those of the PhysioNet/CinC Challenges 2020 and 2021 and of PTB-XL's superclasses, and
    only tell a label that is rare from one that is mistyped.
    """
    return known_codes()
