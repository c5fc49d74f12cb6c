"""The verdicts on an evaluated record, from rows whose answer is known."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from ecgxai_core.pipeline.headlines import (
    FEW_SAME,
    MOST_SAME,
    STABLE_ORDER,
    beats_compared,
    evaluation_details,
    evaluation_headline,
    evaluation_in_brief,
    run_headline,
    stability_details,
    stability_headline,
)


def scores(deletion: float | None, insertion: float | None, **more: Any) -> dict[str, Any]:
    """Gains beside a random map at 0, the signal's amplitude at 0.1 and its slope at 0.2."""
    row: dict[str, Any] = {"deletion_gain": deletion, "insertion_gain": insertion}
    for name in tuple(row):
        row |= {f"{name}_random": 0.0, f"{name}_amplitude": 0.1, f"{name}_energy": 0.2}
    return {**row, **more}


def shaken(order: float | None, regions: float | None, **more: Any) -> dict[str, Any]:
    return {
        "spearman": order, "spearman_random": 0.0, "jaccard_at_k": regions,
        "jaccard_at_k_random": 0.07, "prediction_stayed": True, **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("deletion", "insertion", "chance", "alone"),
    [
        (0.3, 0.3, "better than {} by deletion and insertion",
         "better than {} by deletion and insertion"),
        (0.3, 0.21, "better than {} by deletion and insertion",
         "better than {} by deletion, hardly by insertion"),
        (0.1, 0.3, "better than {} by deletion and insertion",
         "better than {} by insertion, not by deletion"),
        (0.21, 0.21, "better than {} by deletion and insertion",
         "hardly better than {} by deletion and insertion"),
        (0.2, 0.01, "better than {} by deletion, hardly by insertion", "not better than {}"),
        (-0.1, 0.0, "not better than {}", "not better than {}"),
        (None, None, "not compared with {}", "not compared with {}"),
    ],
)  # fmt: skip
def test_random_and_the_signal_alone_are_two_verdicts(
    deletion: float | None, insertion: float | None, chance: str, alone: str
) -> None:
    said = evaluation_headline("Fused", scores(deletion, insertion))
    verdicts = chance.format("a random map"), alone.format("the signal alone")
    assert said == f"Fused map: {verdicts[0]}; {verdicts[1]}."


@pytest.mark.parametrize(
    ("deletion", "insertion", "says"),
    [
        (0.3, 0.3, "better than random; better than the signal alone"),
        (0.3, 0.1, "better than random; partly better than the signal alone"),
        (0.1, 0.21, "better than random; hardly better than the signal alone"),
        (0.1, 0.2, "better than random; not better than the signal alone"),
        (0.01, 0.0, "hardly better than random; not better than the signal alone"),
        (0.0, -0.1, "not better than random; not better than the signal alone"),
        (None, None, ""),
    ],
)
def test_the_verdicts_in_brief(deletion: float | None, insertion: float | None, says: str) -> None:
    assert evaluation_in_brief(scores(deletion, insertion)) == says


def test_in_brief_the_expected_evidence_and_stability_follow() -> None:
    for score, how in ((0.6, ""), (0.51, "hardly "), (0.4, "no ")):
        row = {"attauc_strict": score, "attauc_strict_random": 0.5}
        said = f"{how}closer to the expected evidence than chance"
        assert evaluation_in_brief(row) == said
        assert evaluation_in_brief(row, shaken(0.99, 0.9)) == f"{said}; stable"
        for order, regions in ((0.1, 0.9), (0.99, 0.1)):
            assert evaluation_in_brief(row, shaken(order, regions)) == f"{said}; partly stable"
        assert evaluation_in_brief(row, shaken(0.1, 0.1)) == f"{said}; not stable"
        assert evaluation_in_brief(row, shaken(0.99, None)) == f"{said}; stable"
        assert evaluation_in_brief(row, shaken(0.99, 0.9, prediction_stayed=False)) == said


def test_the_signal_alone_is_the_better_of_amplitude_and_slope() -> None:
    row = scores(0.3, 0.3) | {"deletion_gain_amplitude": 0.5}
    said = evaluation_headline("Fused", row)
    assert "the signal alone by insertion, not by deletion." in said
    assert "a random map by deletion and insertion;" in said


@pytest.mark.parametrize(
    ("singles", "says"),
    [
        ({"A": scores(0.4, 0.3), "B": scores(0.5, 0.1)}, "; B alone is better by deletion."),
        ({"A": scores(0.4, 0.3), "B": scores(0.1, 0.5)},
         "; A alone is better by deletion; B alone is better by insertion."),
        ({"A": scores(0.4, 0.5)}, "; A alone is better by deletion and insertion."),
        ({"A": scores(0.31, 0.2), "B": scores(0.2, 0.31)},
         "; no single method is clearly better."),
        ({"A": scores(None, None)}, "by deletion and insertion."),
        ({}, "by deletion and insertion."),
    ],
)  # fmt: skip
def test_a_single_method_that_does_better_is_named(singles: dict[str, Any], says: str) -> None:
    said = evaluation_headline("Fused", scores(0.3, 0.3), singles)
    assert said.endswith(says)
    assert ("alone is better" in said) == ("alone is better" in says)
    assert ("no single" in said) == ("no single" in says)


def evidence(attauc: float, chance: float = 0.5, **more: float) -> dict[str, Any]:
    """A row whose map is better by deletion and insertion; of the signal, amplitude is closer."""
    found = {"attauc_strict": attauc, "attauc_strict_random": chance}
    signal = {"attauc_strict_amplitude": 0.69, "attauc_strict_energy": 0.63}
    return scores(0.3, 0.3, **found, **signal, **more)


CLOSER = "loser to the expected evidence than chance"


@pytest.mark.parametrize(
    ("attauc", "chance", "says"),
    [
        (0.90, 0.50, f"c{CLOSER} and the signal alone"),
        (0.70, 0.50, f"c{CLOSER}, hardly closer than the signal alone"),
        (0.70, 0.69, f"hardly c{CLOSER} and the signal alone"),
        (0.60, 0.50, f"c{CLOSER}, no closer than the signal alone"),
        (0.51, 0.50, f"hardly c{CLOSER}, no closer than the signal alone"),
        (0.40, 0.50, f"no c{CLOSER} or the signal alone"),
        (0.80, 0.85, f"no c{CLOSER}, closer than the signal alone"),
    ],
)
def test_expected_evidence_is_a_verdict_and_leads_where_it_speaks_against_the_map(
    attauc: float, chance: float, says: str
) -> None:
    said = evaluation_headline("Fused", evidence(attauc, chance))
    model = "better than the signal alone by deletion and insertion"
    assert said.removesuffix(".").removeprefix("Fused map: ").split("; ").count(says) == 1
    assert model in said
    assert (said.index(says) < said.index(model)) == ("no closer" in says)
    assert "expected evidence" not in evaluation_headline("Fused", scores(0.3, 0.3)), "not known"


def test_a_map_that_is_better_with_its_leads_shuffled_says_so() -> None:
    """The leads of such a map tell nothing right, whatever else it beats."""
    row = evidence(0.9, attauc_strict_lead_shuffled=0.92)
    said = evaluation_headline("Fused", row)
    verdict = f"c{CLOSER} and the signal alone, less close than with its leads shuffled"
    assert said.startswith(f"Fused map: {verdict}; better than a random map")
    assert "; the same map with its leads shuffled lies closer (0.92)." in evaluation_details(row)
    near = evidence(0.9, attauc_strict_lead_shuffled=0.91)
    assert "shuffled" not in evaluation_headline("Fused", near) + evaluation_details(near)


def test_the_numbers_of_the_expected_evidence_stand_below() -> None:
    singles = {"A": scores(0, 0, attauc_strict=0.95), "B": scores(0, 0, attauc_strict=0.92)}
    start = "Expected evidence: AttAUC 0.60 (chance 0.50, signal's amplitude 0.69"
    said = evaluation_details(evidence(0.6), None, singles)
    assert said.startswith(f"{start}, A alone 0.95). ")
    assert evaluation_details(evidence(0.6)).startswith(f"{start}). ")
    assert "xpected evidence" not in evaluation_details(scores(0.3, 0.3)), "not known"


@pytest.mark.parametrize(
    ("gap", "says"),
    [
        (0.01, "Its weights sum to the model's output."),
        (0.23, "Its weights do not sum to the model's output (23% off)."),
        (None, "Whether its weights sum to the model's output is not known."),
    ],
)
def test_whether_weights_add_up_is_said(gap: float | None, says: str) -> None:
    said = evaluation_details(scores(0.3, 0.3, map_gap=gap))
    assert said == f"{says} Stability not tested."


@pytest.mark.parametrize(
    ("order", "regions", "says"),
    [
        (0.98, 0.8, "the order is stable ({}), and so are the strongest regions ({})"),
        (0.98, 0.43, "the order is stable ({}), the strongest regions only partly ({})"),
        (0.98, 0.2, "the order is stable ({}), but the strongest regions change ({})"),
        (0.3, 0.8, "the order is not stable ({}), but the strongest regions are ({})"),
        (0.3, 0.43, "the order is not stable ({}), the strongest regions partly ({})"),
        (0.3, 0.2, "the order is not stable ({}), nor are the strongest regions ({})"),
    ],
)
def test_order_and_strongest_regions_each_have_a_verdict(
    order: float, regions: float, says: str
) -> None:
    numbers = (f"rank agreement {order:.2f}, random 0.00", f"overlap {regions:.2f}, random 0.07")
    said = f"hen one beat is doubled, {says.format(*numbers)}."
    still = " A stable map can still be wrong." if "order is stable" in says else ""
    assert stability_headline("LIME", shaken(order, regions)) == f"LIME map: w{said}{still}"
    assert evaluation_details(scores(0.3, 0.3), shaken(order, regions)).endswith(f" W{said}")


def test_the_limits_of_stability() -> None:
    """Two sets of n items with s n in both overlap by s n / (2 n - s n)."""
    limits = (("most", MOST_SAME), ("few", FEW_SAME))
    share = {name: 2 * limit / (1 + limit) for name, limit in limits}
    assert share == {"most": pytest.approx(2 / 3), "few": pytest.approx(1 / 2)}
    at = stability_headline("LIME", shaken(STABLE_ORDER, MOST_SAME))
    assert "the order is stable" in at
    assert "so are the strongest regions" in at
    assert "regions only partly" in stability_headline("LIME", shaken(STABLE_ORDER, FEW_SAME))
    below = stability_headline("LIME", shaken(STABLE_ORDER - 0.01, FEW_SAME - 0.01))
    assert "the order is not stable" in below
    assert "nor are the strongest regions" in below


def test_stability_is_said_only_where_the_prediction_stayed() -> None:
    changed = shaken(0.9, 0.9, prediction_stayed=False)
    assert "changed the prediction, so stability is not tested" in stability_headline("A", changed)
    assert "order" not in stability_headline("A", changed)
    assert stability_headline("A", shaken(None, None)) == "A map: stability not tested."
    assert "random 0.00)." in stability_headline("A", shaken(0.9, None))


@pytest.mark.parametrize(
    ("fates", "says"),
    [
        (["not seen", *["compared"] * 14, "pushed out"],
         "16 beats: 14 compared, the first not wholly in the model's input, the last pushed out by "
         "the added beat"),
        (["not seen", "compared", "pushed out", "not seen"],
         "4 beats: 1 compared, the first and the last not wholly in the model's input, 1 pushed "
         "out by the added beat"),
        (["compared"] * 3, "3 beats: 3 compared"),
        ([*["compared"] * 3, "altered", *["not seen"] * 5],
         "9 beats: 3 compared, 5 not wholly in the model's input, 1 changed in length"),
    ],
)  # fmt: skip
def test_every_beat_that_was_not_compared_has_its_reason(fates: list[str], says: str) -> None:
    assert beats_compared(fates) == says


def test_what_became_of_the_top_leads_and_the_probability() -> None:
    row = {"probability": 0.9, "probability_extra_beat": 0.9}
    tops = ("V1", "V6", "V2"), ("V6", "V1", "V2")
    said = stability_details(row, tops)
    assert said == "The top leads stay V1, V6 and V2; the probability stays at 0.90."
    said = stability_details(row | {"probability_extra_beat": 0.7}, (tops[0], ("V6", "I", "V1")))
    assert said == "2 of 3 top leads stay (V1 and V6); the probability goes from 0.90 to 0.70."
    sure = {"probability": 0.999, "probability_extra_beat": 0.998}
    assert stability_details(sure, ((), ())) == "The probability stays > 0.99."


def test_a_run_counts_records() -> None:
    rows = pd.DataFrame([scores(0.3, 0.1, map_gap=0.0), scores(0.3, 0.5, map_gap=0.2),
                         scores(None, 0.1, map_gap=None)])  # fmt: skip
    stable = pd.DataFrame(
        [shaken(0.9, 0.9), shaken(0.2, 0.9), shaken(0.9, 0.9, prediction_stayed=False)]
    )
    assert run_headline("Fused", rows, stable) == (
        "Fused map, 3 explained records: better than a random map and the signal alone "
        "(amplitude, slope) on 2 of 2 (deletion) and 1 of 3 (insertion); adds up on 1 of 2; "
        "stable on 1 of 2. Fewer than 10 records: too few for a test."
    )
    nothing = run_headline("Fused", rows[:0], stable[:0])
    assert "0 of" not in nothing


def test_a_run_of_many_records_leaves_the_test_to_the_intervals() -> None:
    many = pd.DataFrame([scores(0.3, 0.3)] * 12)
    assert "too few" not in run_headline("Fused", many, many[:0])
