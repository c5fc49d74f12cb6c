"""What the guide says: methods, metrics, limits and words, generated where the program knows them.

Texts about a method or metric come from its registry; what is written here is what a number does
not say of itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ecgxai_core.explain import METHODS
from ecgxai_core.metrics import METRICS

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CATEGORIES",
    "FAMILIES",
    "GLOSSARY",
    "LIMITS",
    "READING",
    "Note",
    "glossary_table",
    "method_table",
    "metric_table",
]


@dataclass(frozen=True, slots=True)
class Note:
    """A headline and a few sentences."""

    title: str
    text: str


FAMILIES: dict[str, str] = {
    "perturbation": "Changes many cells at once and watches the probability. Says what the model "
    "would do on records with cells replaced; such records may be unlike any real ECG.",
    "occlusion": "Replaces one cell after the other. Blind to evidence that two cells hold twice: "
    "hiding one changes nothing while the other is still there.",
    "gradient": "Follows how the output would change with each sample. Says which samples the "
    "model is sensitive to, not what it would do without them.",
    "attention": "Reads weights from inside the network. Shows where it looked, not what it "
    "concluded; it has no sign.",
}
"""What a family of methods rests on, and what it cannot say."""

CATEGORIES: dict[str, Note] = {
    "plausibility": Note(
        "Does the map fall where cardiology expects evidence?",
        "Leads and windows of each diagnosis come from a table with citations. A high score means "
        "that the map looks right to a cardiologist; it does not mean that the model works that "
        "way. A model that is right for the wrong reason ought to score low.",
    ),
    "faithfulness": Note(
        "Does the map name what the model uses?",
        "Cells are removed or shown in the order of the map and the probability is watched, beside "
        "random orders. It says nothing about medicine: a faithful map of a bad model shows bad "
        "reasons. Removed cells are replaced by a baseline, and the score depends on which.",
    ),
    "stability": Note(
        "Does the map survive a change that should not matter?",
        "One more beat of the same record is inserted and beats are compared with their images. A "
        "stable map can be stably wrong: an empty map is the most stable of all.",
    ),
    "sanity": Note(
        "Does the map depend on what the model learned?",
        "The map is compared with that of the same model with its weights randomised, or trained "
        "on shuffled labels. A map that stays the same shows the record or the method. A low "
        "similarity alone proves little: a method that does not agree with itself has it too.",
    ),
    "complexity": Note(
        "Is the map concentrated enough to be read?",
        "It is blind to place: a wrong map can be as sparse as a right one, so it never ranks "
        "methods by itself.",
    ),
}
"""What each group of metrics asks, and what it does not answer."""

READING: tuple[Note, ...] = (
    Note(
        "First the ECG, then the map",
        "Read the plain trace before the overlay. Orange in the upper half of a row is evidence "
        "for the target, purple in the lower half evidence against it. Hatched cells were not "
        "explored: unknown, not zero. In a framed cell the methods disagree in sign.",
    ),
    Note(
        "Colour is density",
        "Colour shows weight per second as a share of the largest one of the same map, so a long "
        "segment does not look stronger than a short one of equal density. Two pictures can be "
        "compared by colour only where they share a scale, as side by side.",
    ),
    Note(
        "Every score has neighbours",
        "Beside each score stand what a random map, an empty map and the best possible map reach "
        "on the same record. A score near its neighbours says nothing, however large it is.",
    ),
)
"""How to read the pictures and tables."""

LIMITS: tuple[Note, ...] = (
    Note(
        "A map explains the model, not the patient",
        "It shows what moved a probability. Nothing in it is a finding, and a wrong prediction can "
        "have a convincing map.",
    ),
    Note(
        "Priors that score themselves",
        "If knowledge about leads is mixed into a map before the map is scored against the same "
        "leads, even an empty map scores well (0.85 in the published set-up, where the real maps "
        "scored 0.87). Scores here never contain a prior, except those whose name says so.",
    ),
    Note(
        "Leads are not time",
        "A test that looks only inside a class's own windows can judge leads, but never whether "
        "the map found the right moment. Here all windows of all leads take part.",
    ),
    Note(
        "What was cut away cannot be scored",
        "Keeping a handful of windows of a handful of leads and calling the rest zero limits the "
        "score before any map is drawn. Here thresholds change what is shown, not what is judged.",
    ),
    Note(
        "Ties",
        "Equal weights are averaged over every order. Where ties are broken by position, an empty "
        "map can look perfect.",
    ),
    Note(
        "Samples that have not settled",
        "With about a hundred coalitions for thirty segments the strongest five change with the "
        "seed. A result says whether it converged; a total that adds up exactly proves nothing, "
        "because the fit forces it to.",
    ),
    Note(
        "Two witnesses who heard the same story",
        "LIME and TimeSHAP play the same game; once converged they agree almost by construction. "
        "Agreement counts where the methods are of different families.",
    ),
    Note(
        "Scaling each lead by itself",
        "Dividing each lead by its own largest weight makes all leads look alike and erases which "
        "one matters. The default scale is one for the whole map.",
    ),
    Note(
        "Nothing is a neutral replacement",
        "A flat line is a signal too: a model may find it quite normal. Results with several "
        "baselines, and the probability of the baseline itself, tell how far to trust a map.",
    ),
    Note(
        "ECGs that cannot exist",
        "Limb leads follow from each other (III = II - I, and so on). Masking one of them makes a "
        "record no patient can have, and a model may answer oddly to it.",
    ),
    Note(
        "What a model cannot see",
        "A network that looks at 80 ms at a time and then averages cannot see an irregular rhythm. "
        "Its map for atrial fibrillation can at best show other signs that go with it.",
    ),
    Note(
        "One part of the record",
        "A model sees a fixed length. What lies outside it had no influence and is not explained; "
        "padding is never masked.",
    ),
    Note(
        "Probabilities need calibration",
        "0.9 means nine of ten only where the calibration curve says so, on records like yours. "
        "Labels are statements of people and machines, with their errors.",
    ),
    Note(
        "Simulated records",
        "The demonstration set is simulated: its truth is known because it was planted. Results on "
        "it say how methods behave, not how they behave on patients.",
    ),
)
"""Known limits, in the words of this project."""

GLOSSARY: dict[str, str] = {
    "record": "one ECG: the signal in mV, its sampling rate, lead names, metadata and digest",
    "target": "the diagnosis being explained: a SNOMED-CT code, one output of the model",
    "segment": "a window of time of a record; a segmentation is an ordered set of them",
    "cell": "one lead in one segment",
    "baseline": "what replaces a masked cell, such as zero, the mean or a straight line",
    "coalition": "the set of cells left unmasked; its value is the model's output on them",
    "attribution": "signed weights of one method, lead by segment, with what was explored",
    "fused map": "several attributions combined on one grid, with agreement and conflict",
    "plausibility": "whether the map falls where cardiology expects evidence",
    "faithfulness": "whether the map names what the model uses",
    "stability": "whether the map survives a change that should not matter",
    "profile": "a named set of parameters: default, and reference, which repeats published ones",
    "run": "the saved result of the whole pipeline over many records, with a manifest",
    "manifest": "the file beside a model or in a run that says what it is and how it was made",
    "digest": "a fingerprint (SHA-256) of content: equal digests mean equal content",
    "explored": "a cell whose weight was measured; the others are unknown, and hatched",
    "chance level": "what a map without any knowledge reaches",
}
"""The words of this program."""


def method_table() -> pd.DataFrame:
    """Every method: what it is, its family, and what that family cannot say."""
    import pandas as pd

    rows = [
        {
            "method": method.title,
            "family": method.family,
            "what it is": method.description,
            "what it does not say": FAMILIES.get(method.family, ""),
            "signed": "yes" if method.signed else "no",
        }
        for method in METHODS.values()
    ]
    return pd.DataFrame(rows)


def metric_table(category: str) -> pd.DataFrame:
    """Every metric of a category, as it describes itself."""
    import pandas as pd

    rows = [
        {
            "metric": metric.title,
            "better": "neither" if metric.direction == "none" else metric.direction,
            "a map without knowledge": metric.chance,
            "undefined when": metric.undefined,
            "cost": metric.cost,
            "source": metric.source,
            "column": metric.name,
        }
        for metric in METRICS.values()
        if metric.category == category
    ]
    return pd.DataFrame(rows)


def glossary_table() -> pd.DataFrame:
    """The words and what they mean."""
    import pandas as pd

    return pd.DataFrame([{"word": word, "meaning": meaning} for word, meaning in GLOSSARY.items()])
