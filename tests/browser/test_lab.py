"""The fused map that the viewer shows while a slider of the page moves: the same as Python's, at
once, and given up for the host's own as soon as that is there."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from ecgxai_core.aggregations import AGGREGATIONS
from ecgxai_core.fusion import fuse, view
from ecgxai_core.params import FusionParams
from ecgxai_core.types import STANDARD_LEADS, Attribution, Provenance
from ecgxai_core.viewer import Lab, Start, payload
from tests.browser.serving import CHROMIUM, HINT
from tests.browser.viewer_page import attribution, record

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=HINT)

ROOT = "[data-testid=ecg-viewer]"
METHODS = ("timeshap", "integrated_gradients", "saliency")
WEIGHTS = ((1.0, 1.0, 1.0), (0.2, 0.7, 0.45), (0.0, 1.0, 0.3), (0.9, 0.0, 0.0))
BETAS_FOUND = ((1.0, 0.1), (0.35, 0.1), (0.0, 0.5), (0.6, 0.0), (0.5, 1.0))

_FUSE = """
([payload, cases]) => {
  const data = viewerParts.decode(payload);
  return cases.map(({ settings, weights }) => {
    const fused = viewerParts.fuseMaps(data.maps, weights, settings, payload.lab.unsigned);
    const text = btoa(String.fromCharCode(...new Uint8Array(fused.weights.buffer)));
    return { text, edges: [...fused.edges], agreement: [...fused.agreement],
             leads: fused.leads.map((i) => data.leads[i].name), largest: fused.largest,
             ranking: fused.ranking.map((i) => data.leads[i].name) };
  });
}
"""


def random_maps(seed: int) -> dict[str, Attribution]:
    """Three maps on grids of their own: signed, with zeros and cells that were not explored; one
    has other leads, one is unsigned, one is short."""
    rng = np.random.default_rng(seed)
    found = {}
    for at, method in enumerate(METHODS):
        leads = STANDARD_LEADS if at != 1 else ("V1", "II", "V5", "aVF", "I")
        segments = (20, 13, 31)[at]
        edges = np.round(np.linspace(0.0, (10.0, 8.2, 10.0)[at], segments + 1), 2)
        weights = rng.normal(0, 1, (len(leads), segments)) * rng.random((len(leads), segments))
        weights[rng.random(weights.shape) < 0.2] = 0.0
        if method == "saliency":
            weights = np.abs(weights)
        explored = rng.random(weights.shape) < 0.85
        explored[0] = False
        found[method] = Attribution(
            "R00", "T", method, 0.9, leads, edges, np.where(explored, weights, 0).astype("f4"),
            explored, Provenance("r", "m", {}, 0, "0"),
        )  # fmt: skip
    return found


def cases() -> list[FusionParams]:
    """Every aggregation with every policy and scale, some betas, shares and weights."""
    grid = product(AGGREGATIONS, ("penalize", "drop", "abs"), ("global", "lead"), BETAS_FOUND)
    return [
        FusionParams(
            agg=agg, sign_policy=policy, scale=scale, beta=beta, found=found, topk=12,
            method_weights=weights,
        )
        for agg, policy, scale, (beta, found) in grid
        for weights in WEIGHTS
    ]  # fmt: skip


def as_lab(found: dict[str, Attribution], params: FusionParams, **more: Any) -> Lab:
    settings = params.model_dump(exclude={"method_weights"})
    weights = params.method_weights or (1.0,) * len(found)
    return Lab("fused", tuple(found), ("saliency",), settings, weights, more.get("controls", {}))


def show(page: Any, data: dict[str, Any]) -> None:
    page.evaluate("(data) => window.show(data)", data)
    page.locator(f"{ROOT}[data-ready=true]").wait_for()


@pytest.mark.parametrize("seed", [0, 1])
def test_the_preview_is_what_python_gives(page, host, seed):
    page.goto(host)
    page.wait_for_function("window.viewerParts !== undefined")
    found = random_maps(seed)
    data = payload(record(), found, lab=as_lab(found, FusionParams()))
    chosen = cases()
    asked = [
        {"settings": case.model_dump(exclude={"method_weights"}), "weights": case.method_weights}
        for case in chosen
    ]
    answers = page.evaluate(_FUSE, [data, asked])
    assert len(answers) == len(chosen) == 4 * 3 * 2 * 5 * 4
    for case, answer in zip(chosen, answers, strict=True):
        fused = fuse(list(found.values()), case)
        rows = [answer["leads"].index(lead) for lead in fused.leads]
        assert sorted(rows) == list(range(len(answer["leads"])))
        np.testing.assert_allclose(answer["edges"], fused.edges_sec, atol=1e-9)
        weights = np.frombuffer(base64.b64decode(answer["text"]), "<f4").reshape(len(rows), -1)
        shape = fused.weights.shape
        np.testing.assert_array_equal(~np.isnan(weights[rows]), fused.explored, str(case))
        np.testing.assert_allclose(
            np.nan_to_num(weights[rows]), np.where(fused.explored, fused.weights, 0),
            rtol=1e-5, atol=1e-9, err_msg=str(case),
        )  # fmt: skip
        agreement = np.array(answer["agreement"]).reshape(shape)[rows]
        np.testing.assert_array_equal(agreement, fused.agreement, str(case))
        assert answer["largest"] == pytest.approx(np.nanmax(np.abs(fused.density())), rel=1e-5)
        assert tuple(answer["ranking"]) == fused.top_leads, str(case)


def test_empty_maps_are_left_out_as_in_python(page, host):
    page.goto(host)
    page.wait_for_function("window.viewerParts !== undefined")
    found = random_maps(2)
    zero = replace(found["timeshap"], weights=np.zeros_like(found["timeshap"].weights))
    for maps in ({**found, "timeshap": zero}, {"timeshap": zero}):
        params = FusionParams(beta=0.5, topk=12)
        data = payload(record(), maps, lab=as_lab(maps, params))
        settings = params.model_dump(exclude={"method_weights"})
        [answer] = page.evaluate(
            _FUSE, [data, [{"settings": settings, "weights": [1.0] * len(maps)}]]
        )
        fused = fuse(list(maps.values()), params)
        np.testing.assert_allclose(answer["edges"], fused.edges_sec, atol=1e-9)
        rows = [answer["leads"].index(lead) for lead in fused.leads]
        weights = np.frombuffer(base64.b64decode(answer["text"]), "<f4").reshape(len(rows), -1)
        np.testing.assert_allclose(
            np.nan_to_num(weights[rows]), np.where(fused.explored, fused.weights, 0), rtol=1e-5
        )


SLIDERS = """
() => { for (const [name, value, step] of [["beta", 1, 0.05], ["tau", 0.02, 0.01], ["topk", 5, 1],
                                           ["share", 0.5, 0.05]]) {
  const input = document.createElement("input"), box = document.createElement("div");
  Object.assign(input, { type: "range", min: 0, max: name === "topk" ? 12 : 1, step });
  input.setAttribute("value", value);
  // a controlled field, as the page's own are: its value is also its attribute
  input.addEventListener("input", () => input.setAttribute("value", input.value));
  input.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by) return;
    event.preventDefault();
    input.value = +input.value + by * step;
    input.dispatchEvent(new Event("input", { bubbles: true }));
  });
  box.className = `slider-${name}`;
  box.append(input);
  document.body.append(box);
} }
"""


def lab_payload(params: FusionParams) -> dict[str, Any]:
    """What a host sends: two maps, the fused one, and where its sliders are."""
    found = {
        "timeshap": attribution("R00", "timeshap"),
        "occlusion": attribution("R00", "occlusion", seed=1),
    }
    fused = fuse(list(found.values()), params)
    largest = float(np.nanmax(np.abs(fused.density())))
    controls = {name: f".slider-{name}" for name in ("beta", "tau", "topk", "share")}
    return payload(
        record(), {"fused": fused, **found}, lab=as_lab(found, params, controls=controls),
        start=Start(
            target_id="T", first="fused", height_px=500,
            defaults={"tau": min(1.0, round(params.tau / largest, 4)), "topk": params.topk},
        ),
    )  # fmt: skip


@pytest.fixture
def lab(page: Any, host: str) -> Any:
    page.goto(host)
    page.wait_for_function("window.show !== undefined")
    page.evaluate(SLIDERS)
    show(page, lab_payload(FusionParams()))
    return page


def previewed(page: Any, text: str) -> None:
    """Wait until that is what the viewer has drawn by itself."""
    page.locator(f"{ROOT}[data-preview='{text}']").wait_for()


def numbers(page: Any) -> str:
    """The map that is shown, as the viewer's own table has it."""
    page.locator(f"{ROOT} .stage").focus()
    page.locator(f"{ROOT} summary").click()
    page.get_by_role("button", name="The numbers as a table").click()
    text = page.locator("dialog table").last.inner_text()
    page.keyboard.press("Escape")
    page.locator("dialog").wait_for(state="detached")
    return str(text)


def test_a_slider_is_answered_by_the_viewer_and_the_host_has_the_last_word(lab):
    page, usual = lab, lab.evaluate("JSON.stringify(window.said)")
    page.locator(".slider-share input").focus()
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    previewed(page, "share 0.3")
    assert page.evaluate("JSON.stringify(window.said)") == usual, "nothing was asked of the host"
    shown = numbers(page)
    page.locator(".slider-share input").focus()
    page.keyboard.press("ArrowLeft")
    previewed(page, "share 0.25")
    show(page, lab_payload(FusionParams(method_weights=(0.3, 0.7))))  # an answer that comes late
    previewed(page, "share 0.25")
    assert numbers(page) != shown
    page.locator(".slider-share input").focus()
    page.keyboard.press("ArrowRight")
    previewed(page, "")  # the host's answer stands for 0.3, and the reader came back to it
    assert numbers(page) == shown, "the host's map is the one that was previewed"


def test_two_sliders_add_up(lab):
    page = lab
    page.locator(".slider-beta input").focus()
    page.keyboard.press("ArrowLeft")
    previewed(page, "beta 0.95")
    page.locator(".slider-share input").focus()
    page.keyboard.press("ArrowRight")
    previewed(page, "beta 0.95, share 0.55")
    show(page, lab_payload(FusionParams(beta=0.95)))
    previewed(page, "share 0.55")


def test_a_slider_that_the_host_puts_back_is_its_own_again(lab):
    """Also where its map comes first and the slider a moment later."""
    page = lab
    page.locator(".slider-beta input").focus()
    page.keyboard.press("ArrowLeft")
    previewed(page, "beta 0.95")
    show(page, lab_payload(FusionParams(agg="mean")))
    previewed(page, "beta 0.95")
    page.locator(f"{ROOT} .stage").focus()
    page.keyboard.press("l")
    page.locator(".slider-beta input").evaluate(
        "(e) => { e.value = 1; e.setAttribute('value', 1); }"
    )
    previewed(page, "")


def test_tau_and_topk_are_answered_too(lab):
    page = lab
    page.locator(".slider-tau input").focus()
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    previewed(page, "tau 0.1")
    data = lab_payload(FusionParams(tau=0.1))
    shown = float(page.locator(f"{ROOT} input[type=range]").nth(1).input_value())
    assert shown == pytest.approx(data["defaults"]["tau"], abs=0.011)
    page.locator(".slider-topk input").focus()
    page.keyboard.press("ArrowLeft")
    previewed(page, "tau 0.1, topk 4")
    page.locator(f"{ROOT} summary").click()
    assert page.get_by_label(re.compile("^topk")).input_value() == "4"


def test_what_the_host_moves_is_not_the_readers(lab):
    """A preset sets several sliders; each alone would be a map that nobody asked for."""
    page = lab
    page.locator(".slider-beta input").evaluate("(e) => e.setAttribute('value', 0)")
    page.locator(f"{ROOT} .stage").focus()
    page.keyboard.press("m")
    page.locator(f"{ROOT}[data-map=timeshap]").wait_for()
    previewed(page, "")


def test_cells_below_tau_by_mass_are_zero_as_in_python(page, host):
    page.goto(host)
    page.wait_for_function("window.viewerParts !== undefined")
    found = random_maps(3)
    params = FusionParams(tau_mode="mass", tau=0.05, topk=12)
    fused = fuse(list(found.values()), params)
    data = payload(record(), {"fused": fused, **found}, lab=as_lab(found, params))
    told = page.evaluate(
        """(payload) => { const data = viewerParts.labData(viewerParts.decode(payload), {});
        const map = data.maps[0];
        return [data.leads.map((_, lead) => map.leads[lead] && Array.from(
          { length: map.n }, (_, i) => map.weights[map.leads[lead].row * map.n + i] || 0)),
          data.defaults.tau]; }""",
        data,
    )
    kept = np.where(view(fused, params).kept, fused.weights, 0)
    rows = [told[0][record().leads.index(lead)] for lead in fused.leads]
    np.testing.assert_allclose(np.array(rows), kept, rtol=1e-5, atol=1e-9)
    assert told[1] == 0
