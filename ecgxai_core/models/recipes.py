"""Recipes: what public models expect and return, so that their manifests need not be found out.

A recipe is ``assets/recipes/NAME.toml``: the model's own labels in the order of its outputs,
SNOMED-CT codes for those that say what a code says, and fields of the manifest, with their source.
What the source does not say reads ``FILL IN``, as in any draft. Weights are not shipped.
"""

from __future__ import annotations

import tomllib
from typing import Any

from pydantic import ConfigDict, Field

from ecgxai_core.diagnoses import code_of
from ecgxai_core.errors import ModelError
from ecgxai_core.params import Params
from ecgxai_core.settings import assets_dir

__all__ = ["Recipe", "load_recipe", "recipe_names"]


class Recipe(Params):
    """A public model.

    Attributes
    ----------
    title, source
        What it is, and whose.
    labels
        Its classes as its authors name them, one per output column.
    codes
        Label -> SNOMED-CT code or class of the table; other labels stand for themselves or for the
        diagnosis of that name.
    manifest
        Fields of the manifest.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    source: str
    labels: tuple[str, ...] = Field(min_length=1)
    codes: dict[str, str] = Field(default_factory=dict)
    manifest: dict[str, Any]

    @property
    def classes(self) -> list[str]:
        """Code or name of each output column."""
        return [code_of(self.codes.get(label, label)) for label in self.labels]

    def filled(self, draft: dict[str, Any], name: str) -> dict[str, Any]:
        """The draft of a model file's manifest, completed by what the recipe knows.

        Parameters
        ----------
        draft
            From :func:`ecgxai_core.models.loading.draft_manifest`.
        name
            Of the model file, for errors.

        Raises
        ------
        ModelError
            The file has another number of outputs, samples or leads than the recipe's model.
        """
        known = self.manifest
        windows = known.get("windows", {})
        facts = {
            "classes": (_count(draft["classes"]), len(self.labels)),
            "samples": (draft["samples"], windows.get("samples", known.get("samples"))),
            "leads": (len(draft["leads"]), len(known["leads"]) if "leads" in known else None),
        }
        for field, (found, wanted) in facts.items():
            if isinstance(found, int) and wanted is not None and found != wanted:
                problem = f"the model has {found}, and the recipe ({self.title}) {wanted}"
                raise ModelError(name, field, problem, "use the recipe of this model, or none")
        merged = {**draft, **known, "classes": self.classes, "source": self.source}
        if "filter" not in known and "fs" in known:
            merged.pop("filter")
        return merged


def _count(classes: list[str]) -> int | None:
    """Output columns of a draft; ``None`` where the file does not tell."""
    return len(classes) if len(classes) > 1 or "column 1" in classes[0] else None


def recipe_names() -> list[str]:
    """Names of the shipped recipes."""
    return sorted(path.stem for path in (assets_dir() / "recipes").glob("*.toml"))


def load_recipe(name: str) -> Recipe:
    """A shipped recipe.

    Raises
    ------
    ModelError
        There is none of that name.
    """
    names = recipe_names()
    if name not in names:
        raise ModelError(name, "recipe", "is not known", f"known recipes: {', '.join(names)}")
    text = (assets_dir() / "recipes" / f"{name}.toml").read_text("utf-8")
    return Recipe.model_validate(tomllib.loads(text))
