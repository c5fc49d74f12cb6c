"""Paths, devices and limits; environment variables start with ``ECGXAI_``.

Nothing is read at import.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["Settings", "assets_dir", "default_model", "settings"]


class Settings(BaseSettings):
    """Machine-dependent settings; results never depend on them."""

    model_config = SettingsConfigDict(env_prefix="ECGXAI_", extra="ignore")

    cache_dir: Path = Field(
        default_factory=lambda: assets_dir().parent / "cache",
        description="folder of the disk cache",
    )
    cache_limit_gb: float = Field(4.0, gt=0, description="size limit of the disk cache")
    max_file_mb: float = Field(100.0, gt=0, description="largest data file of a record")
    max_record_values: int = Field(
        40_000_000, gt=0, description="most samples x leads that one record may claim"
    )
    max_model_mb: float = Field(500.0, gt=0, description="largest model file")
    max_model_params: int = Field(200_000_000, gt=0, description="most parameters of a model")


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process, read once, when first asked for."""
    return Settings()


def assets_dir() -> Path:
    """Folder of the shipped assets: beside the package in a checkout, inside it in a wheel."""
    package = Path(__file__).resolve().parent
    inside = package / "_assets"
    return inside if inside.is_dir() else package.parent / "assets"


def default_model() -> Path:
    """The shipped classifier (PTB-XL, 100 Hz); see its card beside it."""
    return assets_dir() / "models" / "ptbxl_resnet" / "ptbxl_resnet.keras"
