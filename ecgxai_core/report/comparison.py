"""Two models on one record: the figure of six panels, agreement, probabilities, provenance."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ecgxai_core.case import Case
from ecgxai_core.diagnoses import term_of
from ecgxai_core.errors import DiagnosisError
from ecgxai_core.models.protocol import Classifier
from ecgxai_core.params import Profile
from ecgxai_core.pipeline.compare import common_classes, map_agreement, probability_table
from ecgxai_core.plots.panels import ModelSide
from ecgxai_core.plots.words import map_in_words
from ecgxai_core.report import html
from ecgxai_core.report.record import class_name, lead_table, method_title, provenance
from ecgxai_core.types import Map, Prediction, Record
from ecgxai_core.version import library_versions

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ModelView", "TwoModels", "agreement_words", "comparison_report", "likeliest"]


@dataclass(frozen=True, slots=True)
class ModelView:
    """One model on the record: its file, itself, what it predicts, and the map of the target."""

    name: str
    classifier: Classifier
    prediction: Prediction
    item: Map

    @property
    def target(self) -> str:
        return self.item.target

    def side(self) -> ModelSide:
        """What the figure draws."""
        given = {
            term_of(code).name: float(p)
            for code, p in zip(self.prediction.classes, self.prediction.probabilities, strict=True)
        }
        return ModelSide(self.name, self.item, given)


@dataclass(frozen=True, slots=True)
class TwoModels:
    """Contents of a comparison: two models with maps of one diagnosis by one method."""

    record: Record
    first: ModelView
    second: ModelView
    method: str
    profile: Profile

    @property
    def title(self) -> str:
        """What is compared, in a line."""
        what = term_of(self.first.target).name
        return f"Record {self.record.name}, {what}: {self.first.name} and {self.second.name}"


def likeliest(first: Case, second: Case) -> tuple[str, str]:
    """The diagnosis that both models know and together think likeliest, as each calls it.

    The targets of the cases do not matter.

    Raises
    ------
    DiagnosisError
        The models have no diagnosis in common.
    """
    one, other = first.classifier, second.classifier
    shared = common_classes(one.classes, other.classes)
    if not shared:
        raise DiagnosisError(
            "compare", "models", "have no diagnosis in common", "choose another model"
        )
    a, b = (case.classifier.predict(case.model_input().values[None])[0] for case in (first, second))
    sums = {
        code: float(a[one.classes.index(code)]) + float(b[other.classes.index(same)])
        for code, same in shared.items()
    }
    best = max(sums, key=lambda code: sums[code])
    return best, shared[best]


def agreement_words(found: TwoModels) -> str:
    """How far maps and decisions agree, in a sentence."""
    rows = _rows(found)
    said = map_agreement(found.first.item, found.second.item)
    same = int((rows["same decision"] == "yes").sum())
    parts = [f"The models decide alike on {same} of {len(rows)} classes"]
    if math.isfinite(said["spearman"]):
        parts.append(f"rank correlation of the maps {said['spearman']:.2f} (0 is chance)")
    if math.isfinite(said["same_sign"]):
        parts.append(f"same sign on {said['same_sign']:.0%} of the bins (50 % is chance)")
    return "; ".join([*parts, f"{said['shared']:.0%} explored by both"]) + "."


def comparison_report(found: TwoModels, figure: bytes) -> str:
    """Self-contained HTML; the same facts give the same bytes.

    ``figure`` is the SVG of :func:`ecgxai_core.plots.panels.panel_figure`.
    """
    record, views = found.record, (found.first, found.second)
    head = (
        f"{record.duration:.1f} s at {record.fs:g} Hz, method {method_title(found.method)}"
        + (", simulated: not a patient" if record.synthetic else "")
    )  # fmt: skip
    rows = _rows(found)
    columns = ("class", found.first.name, found.second.name, "difference", "same decision")
    table = [
        (row["class"], row["first"], row["second"], row["difference"], row["same decision"])
        for row in rows.to_dict("records")
    ]
    return html.document(
        found.title,
        html.paragraph(head, "muted"),
        html.paragraph(agreement_words(found)),
        html.paragraph(
            "Each map is relative to its own largest weight. That two models agree does not show "
            "that either is right.", "note",
        ),
        html.image(figure, f"{found.title}: trace, predictions, maps, and maps over the trace"),
        html.section("Probabilities of common classes", html.table(columns, table)),
        *(
            html.section(
                f"Map of {view.name}",
                html.paragraph(map_in_words(view.item, class_name(view.target), view.name)),
                lead_table(view.item),
                folded=True,
            )
            for view in views
        ),
        html.section("Quality warnings", _warnings(found)),
        html.section("How to repeat this", *_provenance(found)),
    )  # fmt: skip


def _rows(found: TwoModels) -> pd.DataFrame:
    first, second = found.first, found.second
    limits = (
        first.classifier.manifest.thresholds or {},
        second.classifier.manifest.thresholds or {},
    )
    return probability_table(first.prediction, second.prediction, limits)


def _warnings(found: TwoModels) -> html.Html:
    items = (found.record, found.first.item, found.second.item)
    known = dict.fromkeys(warning for item in items for warning in item.warnings)
    rows = [(w.code, w.message) for w in known]
    return html.table(("warning", "meaning"), rows) if rows else html.paragraph("None.")


def _provenance(found: TwoModels) -> list[html.Html]:
    known: dict[str, object] = {"record digest": found.record.digest}
    for view in (found.first, found.second):
        known[f"digest of {view.name}"] = view.classifier.digest
    known["code"] = found.first.item.provenance.code_version
    words = ["ecgxai", "compare", found.record.file or f"{found.record.name}.hea"]
    words += ["--model", found.first.name, "--model", found.second.name]
    words += ["--target", found.first.target, "--method", found.method]
    words += ["--profile", found.profile.name, "--out", "compare.html"]
    return provenance(
        known | dict(library_versions()), shlex.join(words), "All parameters",
        found.profile.as_key(),
    )  # fmt: skip
