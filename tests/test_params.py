"""Parameters: bounds, profiles, and settings from the command line."""

from __future__ import annotations

import pytest

from ecgxai_core.errors import ParameterError
from ecgxai_core.params import (
    ExplainParams,
    FusionParams,
    Params,
    Profile,
    SelectionParams,
    checked,
    profile,
    profile_with,
)
from ecgxai_core.types import canonical_json


def test_published_selection_defaults():
    assert SelectionParams().model_dump() == {
        "k_per_class": 50,
        "min_prob": 0.85,
        "max_duration_sec": 20.0,
        "seed": 0,
    }


def test_default_profile_keeps_all_leads_and_uses_no_prior():
    chosen = profile("default")
    for params in (chosen.lime, chosen.timeshap):
        assert params.keep_leads == 12
        assert not params.lead_priors
    assert chosen.fusion.scale == "global"
    assert chosen.evaluation.tokens == "raster"


def test_reference_profile_repeats_the_published_settings():
    chosen = profile("reference")
    assert chosen.lime.n_coalitions == 100
    assert chosen.lime.link == "probability"
    assert chosen.lime.ridge_lime == 0.01
    assert chosen.timeshap.link == "logit"
    assert chosen.timeshap.ridge_timeshap == 0.001
    assert chosen.fusion.scale == "lead"
    assert chosen.lime.seed == 42


def test_an_unknown_profile_is_refused():
    with pytest.raises(ParameterError, match="no such profile"):
        profile("fancy")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (["nonsense=1"], "no such parameter"),
        (["agg"], "is not name=value"),
        (["agg=no-such"], "Input should be one of geomean"),
        (["n_coalitions=3"], "greater than or equal to 16"),
        (["window_sec=abc"], "valid number"),
        (["kernel_width=1e-9"], r"greater than or equal to 0\.01"),
        (["tau=nan"], "greater than or equal|finite|less than"),
    ],
)
def test_bad_settings_are_refused_in_one_line(settings, says):
    with pytest.raises(ParameterError, match=says) as caught:
        profile_with(profile("default"), settings)
    assert "\n" not in str(caught.value)


def test_settings_reach_every_group_that_has_the_name():
    changed = profile_with(
        profile("default"), ["window_sec=0.4", "agg=mean", "method_weights=0.7,0.3"], seed=9
    )
    assert changed.lime.window_sec == changed.timeshap.window_sec == 0.4
    assert changed.fusion.agg == "mean"
    assert changed.fusion.method_weights == (0.7, 0.3)
    assert {changed.lime.seed, changed.evaluation.seed, changed.stability.seed} == {9}


def test_none_empties_a_setting():
    changed = profile_with(profile("default"), ["window_sec=none"])
    assert changed.lime.window_sec is None


def test_parameters_are_frozen_and_their_key_is_json():
    params = ExplainParams()
    with pytest.raises(ValueError, match="frozen"):
        params.seed = 3  # type: ignore[misc]
    assert canonical_json(params.as_key()) == canonical_json(ExplainParams().as_key())


@pytest.mark.parametrize("kind", [ExplainParams, FusionParams, SelectionParams])
def test_every_parameter_has_help(kind: type[Params]):
    assert all(field.description for field in kind.model_fields.values())


def test_unknown_names_are_named():
    with pytest.raises(ParameterError, match="known parameters"):
        checked(SelectionParams, {"k": 3})


def test_a_profile_gives_each_method_its_own_parameters():
    chosen = profile("reference")
    assert isinstance(chosen, Profile)
    assert chosen.for_method("timeshap").link == "logit"
    assert chosen.for_method("occlusion") == chosen.explain


def test_an_old_name_is_taken_for_the_new_one_with_a_warning() -> None:
    with pytest.warns(FutureWarning, match="now called 'contrast'"):
        old = checked(ExplainParams, {"against": "426783006"})
    assert old.contrast == "426783006"
    with pytest.warns(FutureWarning, match="now called 'contrast'"):
        assert profile_with(profile("default"), ["against=AF"]).explain.contrast == "AF"
