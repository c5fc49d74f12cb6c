"""Paths, devices and limits; environment variables start with ``ECGXAI_``.

Nothing is read at import.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = [
    "Settings",
    "assets_dir",
    "dashboard_dir",
    "default_cache",
    "default_feedback",
    "default_model",
    "default_studies",
    "settings",
    "shipped_models",
]


class Settings(BaseSettings):
    """Machine-dependent settings; results never depend on them."""

    model_config = SettingsConfigDict(env_prefix="ECGXAI_", extra="ignore")

    cache_dir: Path = Field(
        default_factory=lambda: default_cache(),
        description="folder of the disk cache",
    )
    cache_limit_gb: float = Field(4.0, gt=0, description="size limit of the disk cache")
    feedback_file: Path = Field(
        default_factory=lambda: default_feedback(),
        description="SQLite file of what readers said of maps; it is no cache and never cleared",
    )
    studies_dir: Path = Field(
        default_factory=lambda: default_studies(),
        description="folder of frozen studies, which the Study page offers",
    )
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


def default_cache() -> Path:
    """``cache/`` of a checkout; of an installed package the user's own cache folder."""
    package = Path(__file__).resolve().parent
    if not (package / "_assets").is_dir():
        return package.parent / "cache"
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "ecgxai"


def default_feedback() -> Path:
    """``feedback.sqlite`` in the user's own data folder."""
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "ecgxai" / "feedback.sqlite"


def default_studies() -> Path:
    """``studies`` beside the file of feedback."""
    return default_feedback().with_name("studies")


def dashboard_dir() -> Path:
    """Folder that holds ``app/`` and ``pages/``: the checkout, or inside an installed package."""
    package = Path(__file__).resolve().parent
    inside = package / "_dashboard"
    return inside if inside.is_dir() else package.parent


def shipped_models() -> dict[str, Path]:
    """Model files of the shipped classifiers by name."""
    return {path.stem: path for path in sorted((assets_dir() / "models").glob("*/*.keras"))}


def default_model() -> Path:
    """The shipped classifier (PTB-XL, 100 Hz); see its card beside it."""
    return assets_dir() / "models" / "ptbxl_resnet" / "ptbxl_resnet.keras"
