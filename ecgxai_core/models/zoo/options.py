"""What every builder of the zoo takes."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from ecgxai_core.params import Params

__all__ = ["Options", "Shape"]


@dataclass(frozen=True, slots=True)
class Shape:
    """Samples (``None`` = any number) and leads of the input, and number of outputs."""

    samples: int | None
    leads: int
    outputs: int


class Options(Params):
    """Sizes of an architecture. A builder ignores those that it has no part for."""

    filters: tuple[int, ...] = Field(
        (64, 128, 128), min_length=1, max_length=12, description="filters of each stage"
    )
    kernels: tuple[tuple[int, ...], ...] = Field(
        ((8, 5, 3),),
        min_length=1,
        description="kernel lengths of each stage's convolutions; one row serves all stages",
    )
    units: int = Field(64, ge=1, le=4096, description="units of recurrent or dense layers")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout before the last layer")

    def kernels_of(self, stage: int) -> tuple[int, ...]:
        """Kernel lengths of one stage."""
        return self.kernels[min(stage, len(self.kernels) - 1)]
