"""The ECG viewer in a real browser: what it shows, every key, what it tells its host.

In a page that plays the host, in a page of its own, and in Streamlit.
"""

from __future__ import annotations

import base64
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ecgxai_core.types import FusedMap, Record, Segmentation
from ecgxai_core.viewer import Context, Expected, Start, Words, html, payload
from tests.browser.conftest import settled
from tests.browser.serving import CHROMIUM, HINT, REPO
from tests.browser.viewer_page import attribution, record

NASTY = '<img src=x onerror="window.hacked=1"><b>A</b>'
ROOT = "[data-testid=ecg-viewer]"
READY = f"{ROOT}[data-ready=true]"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=HINT)


def maps(name: str = "R00") -> dict[str, Any]:
    """A fused map and two methods; the second method disagrees on all of V6."""
    one, other = attribution(name, "occlusion"), attribution(name, "timeshap", seed=1)
    weights = np.array(other.weights)
    weights[11] = -np.sign(one.weights[11]) * 0.3
    other = replace(other, weights=weights)
    agreement = np.where(np.sign(one.weights) == np.sign(weights), 2, -1).astype(np.int8)
    fused = FusedMap(
        record=name, target="T", methods=("occlusion", "timeshap"), probability=0.9,
        leads=one.leads, edges_sec=one.edges_sec, weights=one.weights, explored=one.explored,
        agreement=agreement, lead_scores={}, top_leads=("V1", "V4", "II"), diagnostics={},
        provenance=one.provenance,
    )  # fmt: skip
    return {"fused": fused, "occlusion": one, "timeshap": other}


def data_of(
    index: int = 0,
    *,
    given: Record | None = None,
    context: Context | None = None,
    words: Words | None = None,
    maps_: dict[str, Any] | None = None,
    **start: Any,
) -> dict[str, Any]:
    """A payload of record ``index`` of 50; its paper is at most 560 px high."""
    name = f"R{index:02d}"
    titles = {"fused": "Fused", "occlusion": "Occlusion", "timeshap": "TimeSHAP"}
    begin: dict[str, Any] = {"target_id": "T", "position": (index, 50), "height_px": 560}
    return payload(
        given or record(name, seed=index),
        maps(name) if maps_ is None else maps_,
        context=context or Context((0.0, 9.5), tuple(np.arange(12) * 0.8 + 0.4)),
        words=words or Words(sentence="The evidence lies in V1.", maps=titles),
        start=Start(**{**begin, **start}),
    )  # fmt: skip


class Viewer:
    """The viewer in a tab, and what a reader can do with it."""

    def __init__(self, tab: Any, root: Any) -> None:
        self.tab, self.root = tab, root

    def wait(self) -> Viewer:
        self.tab.locator(READY).wait_for()
        self.tab.wait_for_timeout(200)  # a frame, and the picture at full density
        return self

    def drawn(self) -> None:
        """Wait until what was asked for is drawn."""
        self.tab.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )

    def show(self, data: dict[str, Any]) -> Viewer:
        self.tab.evaluate("(data) => window.show(data)", data)
        return self.wait()

    def attribute(self, name: str) -> str:
        return str(self.root.get_attribute(f"data-{name}"))

    def box(self) -> dict[str, float]:
        found: dict[str, float] = self.root.locator(".over").bounding_box()
        return found

    def at(self, x: float, y: float) -> tuple[float, float]:
        box = self.box()
        return box["x"] + x, box["y"] + y

    def tips(self, points: list[tuple[float, float]]) -> list[str]:
        """What the hover box says at each of many points, all in one call."""
        found: list[str] = self.root.evaluate(
            """(root, points) => { const over = root.querySelector(".over");
            const tip = root.querySelector(".tip"), box = over.getBoundingClientRect();
            return points.map(([x, y]) => {
              over.dispatchEvent(new PointerEvent("pointermove", { bubbles: true,
                pointerType: "mouse", clientX: box.left + x, clientY: box.top + y }));
              return tip.hidden ? "" : [...tip.children].map((e) => e.textContent).join("\\n");
            }); }""",
            [list(point) for point in points],
        )
        return found

    def hover(self, x: float, y: float) -> str:
        return self.tips([(x, y)])[0]

    def leads(self, x: float = 400) -> list[str]:
        """The lead under each pixel of a column."""
        column = [(x, float(y)) for y in range(int(self.box()["height"]))]
        return [tip.split(" ")[0] for tip in self.tips(column)]

    def press(self, *keys: str) -> None:
        for key in keys:
            self.tab.keyboard.press(key)
        self.tab.wait_for_timeout(60)

    def drag(self, start: tuple[float, float], stop: tuple[float, float]) -> None:
        self.tab.mouse.move(*self.at(*start))
        self.tab.mouse.down()
        self.tab.mouse.move(*self.at((start[0] + stop[0]) / 2, (start[1] + stop[1]) / 2))
        self.tab.mouse.move(*self.at(*stop))
        self.tab.mouse.up()
        self.tab.wait_for_timeout(60)

    def row(self, lead: str, x: float = 400) -> float:
        """The middle of a lead's row, px."""
        ys = [y for y, name in enumerate(self.leads(x)) if name == lead]
        assert ys, f"no row of {lead}"
        return float(np.mean(ys))

    def seconds(self, x: float, y: float) -> float:
        found = re.search(r"· ([\d.]+) s ·", self.hover(x, y))
        assert found is not None
        return float(found.group(1))

    def x_of(self, seconds: float, y: float) -> float:
        """Where a time stands, px; the scale is read from the hover box."""
        first, last = self.seconds(200, y), self.seconds(700, y)
        return 200 + 500 * (seconds - first) / (last - first)

    def told(self, name: str) -> list[Any]:
        said = self.tab.evaluate("() => window.said")
        return [value for kind, value in said if kind == name]

    def announced(self) -> str:
        return str(self.root.locator(".said").inner_text())

    def foot(self) -> str:
        return str(self.root.locator(".foot").inner_text())

    def checked(self, label: str) -> bool:
        return bool(self.root.get_by_role("checkbox", name=label).is_checked())

    def chosen(self, label: str) -> str:
        return str(self.root.get_by_label(label).input_value())

    def pixels(self, canvas: str, x: float, y: float, width: float, height: float) -> Any:
        """``float[height, width, rgba]`` of a canvas, at CSS pixels of the stage."""
        wide, high, text = self.root.locator(f"canvas.{canvas}").evaluate(
            """(c, [x, y, w, h]) => { const d = c.width / c.clientWidth;
            const i = c.getContext("2d").getImageData(x * d, y * d, w * d, h * d);
            let text = "";
            for (let k = 0; k < i.data.length; k += 8192)
              text += String.fromCharCode(...i.data.subarray(k, k + 8192));
            return [i.width, i.height, btoa(text)]; }""",
            [x, y, width, height],
        )
        values = np.frombuffer(base64.b64decode(text), np.uint8)
        return values.reshape(high, wide, 4).astype(float)


@pytest.fixture
def viewer(page: Any, host: str) -> Viewer:
    """A viewer that shows record 0, with the pointer over it."""
    page.goto(host)
    page.wait_for_function("window.show !== undefined")
    shown = Viewer(page, page.locator(ROOT)).show(data_of())
    page.mouse.move(*shown.at(500, 250))
    return shown


def orange(pixels: Any) -> float:
    """Share of pixels that are clearly orange."""
    red, green, blue = (pixels[..., i] for i in range(3))
    return float(np.mean((red > 200) & (blue < 120) & (green < 190)))


def red(pixels: Any) -> int:
    """How many pixels have the colour of warnings."""
    return int(np.sum((pixels[..., 0] > 150) & (pixels[..., 1] < 70) & (pixels[..., 2] < 70)))


def inks(pixels: Any) -> int:
    """How many pixels have the colours of thin lines and bars: evidence for, and against."""
    r, g, b = (pixels[..., i] for i in range(3))
    found = (r > 210) & (g < 130) & (b < 60) | (r > 100) & (r < 190) & (g < 80) & (b > 200)
    return int(np.sum(found))


def amber(pixels: Any) -> int:
    """How many pixels have the colour of a changed signal."""
    r, g, b = (pixels[..., i] for i in range(3))
    return int(np.sum((r > 130) & (r < 185) & (g > 60) & (g < 115) & (b < 40)))


def teal(pixels: Any) -> int:
    """How many pixels have the colour of the expected evidence."""
    r, g, b = (pixels[..., i] for i in range(3))
    return int(np.sum((r < 60) & (g > 90) & (b > 70) & (b < 160)))


def saturation(pixels: Any) -> float:
    """Mean spread of the three colours."""
    return float(np.mean(pixels[..., :3].max(axis=2) - pixels[..., :3].min(axis=2)))


def lines(viewer: Viewer) -> int:
    """How many columns at the top of the paper have something of a caliper in them."""
    return int((viewer.pixels("over", 100, 4, 600, 2)[..., 3].max(axis=0) > 20).sum())


def test_the_contract_with_tests_and_studies(viewer):
    values = {name: viewer.attribute(name) for name in ("record", "target", "map", "segments")}
    assert values == {"record": "R00", "target": "T", "map": "fused", "segments": "20"}
    viewer.show(data_of(1, record_id="opaque-1", target_id="opaque-2"))
    assert (viewer.attribute("record"), viewer.attribute("target")) == ("opaque-1", "opaque-2")


def test_the_picture_has_a_text_alternative(viewer):
    assert viewer.root.get_by_role("img", name="The evidence lies in V1.").count() == 1


def test_a_default_that_the_host_changes_counts_and_the_rest_stays(viewer):
    viewer.show(data_of(defaults={"topk": 5, "tau": 0.02}))
    viewer.press("l")
    layout = viewer.chosen("Layout (L)")
    viewer.show(data_of(defaults={"topk": 5, "tau": 0.3}))
    assert viewer.root.get_by_label("tau").input_value() == "0.3"
    assert viewer.chosen("Layout (L)") == layout != "12x1"
    viewer.show(data_of(1, defaults={"topk": 5, "tau": 0.3}))
    assert viewer.chosen("Layout (L)") == layout


def test_twelve_leads_stand_above_the_fold(page, host):
    page.goto(host)
    page.wait_for_function("window.show !== undefined")
    shown = Viewer(page, page.locator(ROOT)).show(data_of(height_px=None))
    assert set(record().leads) <= set(shown.leads())
    assert shown.box()["y"] + shown.box()["height"] <= 900
    assert page.locator(".bar").bounding_box()["height"] <= 48


def test_the_strongest_lead_is_seen_at_once(viewer):
    y, other = viewer.row("V1"), viewer.row("aVF")
    assert orange(viewer.pixels("base", 150, y - 8, 500, 16)) > 0.5
    assert orange(viewer.pixels("base", 150, other - 8, 500, 16)) < 0.1
    viewer.press("e")
    assert not viewer.checked("Map")
    assert orange(viewer.pixels("base", 150, y - 8, 500, 16)) == 0
    viewer.press("e")
    assert viewer.checked("Map")


def test_the_trace_is_black_above_the_map(viewer):
    y = viewer.row("V4")
    dark = viewer.pixels("base", 150, y - 40, 500, 80)[..., :3].max(axis=2) < 150
    assert dark.any(axis=0).mean() > 0.95, "the trace runs through the row without a gap"


def test_no_label_cuts_a_trace(viewer):
    """The first beat of the last column stands where V4 and V5 have their names."""
    viewer.show(data_of(maps_={}))
    viewer.press("l")
    x = viewer.x_of(7.6, viewer.row("II", x=200))
    for lead in ("V4", "V5"):
        rows = [y for y, name in enumerate(viewer.leads(x)) if name == lead]
        beat = viewer.pixels("base", x - 3, rows[0], 7, rows[-1] - rows[0])[..., :3].max(axis=2)
        drawn = np.flatnonzero((beat < 130).any(axis=1))
        assert len(drawn) > 30
        assert np.diff(drawn).max() == 1, f"{lead}: from its peak to its foot without a gap"


def test_every_row_has_a_calibration_pulse(viewer):
    viewer.show(data_of(maps_={}))
    column = viewer.pixels("base", 56, 0, 22, viewer.box()["height"] - 17)[..., :3].max(axis=2)
    names = viewer.leads()
    high = {}
    for lead in record().leads:
        rows = [y for y, name in enumerate(names) if name == lead]
        high[lead] = int((column[rows[0] : rows[-1] + 1] < 130).any(axis=1).sum())
    assert min(high.values()) > 20
    assert min(high.values()) > 0.75 * max(high.values()), "1 mV has one height"


def test_a_changed_signal_is_marked_in_the_bar_on_the_paper_and_in_words(viewer):
    area = (100, 0, 760, 540)
    viewer.show(data_of(maps_={}))
    assert amber(viewer.pixels("base", *area)) == 0
    assert viewer.root.locator(".changed").is_hidden()
    words = Words(sentence="ECG of R00.", changed=f"RR intervals evened out {NASTY}")
    viewer.show(data_of(maps_={}, words=words))
    assert amber(viewer.pixels("base", *area)) > 1000
    said = viewer.root.locator(".changed").inner_text()
    assert said == f"changed: RR intervals evened out {NASTY}"
    picture = viewer.root.get_by_role("img", name="Changed: RR intervals evened out")
    assert picture.count() == 1
    viewer.tab.set_viewport_size({"width": 390, "height": 844})
    viewer.wait()
    assert viewer.root.evaluate("(e) => e.scrollWidth <= e.clientWidth")


def test_it_is_said_what_colours_and_bars_mean(viewer):
    meaning = "colour: weight per second; bars: each lead's share of the total"
    assert meaning in viewer.foot()
    viewer.press("e")
    assert "colour:" not in viewer.foot()


def test_while_the_map_is_off_there_is_no_strip_and_the_paper_stays(viewer):
    strip = viewer.root.locator("canvas.strip")
    place = viewer.box()
    viewer.press("e")
    assert not strip.is_visible()
    assert viewer.box() == place, "the paper does not jump when the map is switched"
    viewer.press("e")
    assert strip.is_visible()


def test_a_link_without_the_map_leaves_no_room_for_the_strip(page, host):
    page.goto(host)
    page.wait_for_function("window.show !== undefined")
    shown = Viewer(page, page.locator(ROOT)).show(data_of(view="overlay-0"))
    strip, before = shown.root.locator("canvas.strip"), shown.box()
    assert not strip.is_visible()
    page.mouse.move(*shown.at(500, 250))
    shown.press("e")
    shown.wait()
    assert strip.is_visible()
    assert shown.box()["y"] > before["y"] + 40


def test_the_sign_is_told_by_place(viewer):
    """What speaks for hangs from the top of its row, what speaks against stands on its bottom."""
    weights = maps()["fused"].weights
    share = np.abs(weights) / np.nanmax(np.abs(weights))
    edges = {}
    for sign in (1, -1):
        cells = np.argwhere((np.sign(weights) == sign) & (share > 0.2))
        lead, segment = next(c for c in cells if c[0] == 8)  # V3: a high row
        y = viewer.row("V3")
        rows = [y for y, name in enumerate(viewer.leads()) if name == "V3"]
        x = viewer.x_of(0.5 * segment + 0.05, y)
        column = viewer.pixels("base", x, rows[0], 8, rows[-1] - rows[0])[..., :3].mean(axis=(1, 2))
        third = len(column) // 3
        edges[sign] = float(column[:third].mean() - column[-third:].mean())
        assert lead == 8
    assert edges[1] < -5, "darker above"
    assert edges[-1] > 5, "darker below"


def test_tau_hides_weak_cells_and_strength_fades(viewer):
    y = viewer.row("aVF")
    before = viewer.pixels("base", 150, y - 10, 500, 20)
    slider = viewer.root.get_by_label(re.compile("^tau"))
    slider.evaluate("(e) => { e.value = 0.5; e.dispatchEvent(new Event('input')) }")
    viewer.tab.wait_for_timeout(200)
    hidden = viewer.pixels("base", 150, y - 10, 500, 20)
    assert saturation(hidden) < 0.2 * saturation(before)
    y = viewer.row("V1")
    strong = viewer.pixels("base", 150, y - 8, 500, 16)
    slider = viewer.root.get_by_label("how strong the colours are")
    slider.evaluate("(e) => { e.value = 0.2; e.dispatchEvent(new Event('input')) }")
    viewer.tab.wait_for_timeout(200)
    assert saturation(viewer.pixels("base", 150, y - 8, 500, 16)) < 0.6 * saturation(strong)


def test_what_was_not_explored_is_hatched_and_said(viewer):
    y = viewer.row("II")
    x = viewer.x_of(9.6, y)
    cells = viewer.pixels("base", x, y - 8, 12, 16)[..., :3].mean(axis=2)
    assert 0.05 < (cells < 200).mean() < 0.8, "lines, neither blank nor filled"
    assert "not explored" in viewer.hover(x, y)


def test_outside_of_what_the_model_sees_is_hatched_and_said(viewer):
    long = record("R00", seconds=14.0)
    later = replace(attribution("R00", "a"), edges_sec=np.linspace(2, 12, 21))
    viewer.show(data_of(4, given=long, context=Context(seen_sec=(2.0, 12.0)), maps_={"a": later},
                        record_id="long"))  # fmt: skip
    assert "2.0 to 12.0 s of 14.0 s" in viewer.foot(), "it begins with what the model sees"
    viewer.drag((300, 200), (600, 200))
    y = viewer.row("II")
    assert "outside what the model sees" in viewer.hover(viewer.x_of(0.5, y), y)


def test_hovering_tells_what_is_there(viewer):
    waves = Segmentation("wave", np.array([0, 150, 250, 5000]), 500.0, 0.0, ("P", "QRS", "TP"))
    context = Context(seen_sec=(0.0, 9.5), r_peaks_sec=(0.4, 1.2), waves=waves)
    viewer.show(data_of(context=context))
    y = viewer.row("V6")
    x = viewer.x_of(0.35, y)
    lines = viewer.hover(x, y).split("\n")
    seconds = float(re.search(r"([\d.]+) s", lines[0]).group(1))
    there = record("R00", seed=0).signal[11, round(seconds * 500)]
    assert lines[0] == f"V6 · {seconds:.3f} s · {there:.2f} mV".replace("-", "−")
    assert lines[1] == "QRS of beat 1"
    fused = maps()["fused"].weights
    share = 100 * abs(fused[11, 0]) / np.nansum(np.abs(fused))
    sign = "for" if fused[11, 0] > 0 else "against"
    size = "<0.1" if share < 0.05 else f"{share:.1f}"
    assert lines[2] == f"{size} % of the evidence {sign}, 0.00 to 0.50 s"
    assert lines[3:] == ["Occlusion agrees", "TimeSHAP disagrees"]


def test_the_keys_change_the_view(viewer):
    viewer.press("m")
    assert viewer.attribute("map") == "occlusion"
    viewer.press("m", "m")
    assert viewer.attribute("map") == "fused"
    viewer.press("l")
    assert viewer.chosen("Layout (L)") == "3x4"
    viewer.press("l")
    assert viewer.chosen("Layout (L)") == "6x2"
    viewer.press("+")
    assert "20 mm/mV" in viewer.foot()
    viewer.press("-", "-")
    assert "5 mm/mV" in viewer.foot()
    viewer.press("t")
    assert viewer.chosen("Map drawn as") == "trace"
    viewer.press("?")
    assert viewer.root.get_by_role("dialog", name="Keys").get_by_text("previous, next").is_visible()
    viewer.press("Escape")
    assert viewer.root.get_by_role("dialog").count() == 0


def test_keys_are_left_alone_where_somebody_types(viewer):
    viewer.tab.locator("#typing").focus()
    viewer.press("e", "l", "ArrowRight")
    assert viewer.tab.locator("#typing").input_value() == "el"
    assert viewer.checked("Map")
    assert viewer.told("step") == []


def test_keys_do_not_reach_the_page(viewer):
    """Streamlit reruns at R and empties its cache at C."""
    viewer.tab.evaluate(
        "() => { window.keys = []; document.addEventListener('keydown', (e) => keys.push(e.key)) }"
    )
    viewer.press("r", "c", "Escape", "e")
    viewer.tab.mouse.move(2, 2)
    viewer.press("r")
    assert viewer.tab.evaluate("() => window.keys") == ["r"], "only the one beside the viewer"


def test_escape_is_the_pages_where_there_is_nothing_to_leave(viewer):
    viewer.tab.evaluate(
        "() => { window.keys = []; document.addEventListener('keydown', (e) => keys.push(e.key)) }"
    )
    viewer.press("c", "Escape", "Escape")
    assert viewer.tab.evaluate("() => window.keys") == ["Escape"]


def test_quick_steps_add_up_to_one_target(viewer):
    viewer.press(*["ArrowRight"] * 12)
    assert viewer.told("step")[-1] == {"index": 12}
    viewer.show(data_of(5))  # an answer to an earlier press
    viewer.press("ArrowRight")
    assert viewer.told("step")[-1] == {"index": 13}
    viewer.show(data_of(13))
    viewer.press("ArrowLeft")
    assert viewer.told("step")[-1] == {"index": 12}


def test_stepping_ends_at_the_ends(viewer):
    assert viewer.root.get_by_role("button", name="previous record").is_disabled()
    viewer.press("ArrowLeft")
    assert viewer.told("step") == []
    viewer.root.get_by_role("button", name="next record").click()
    assert viewer.told("step") == [{"index": 1}]


def test_a_click_selects_a_cell(viewer):
    y = viewer.row("V1")
    viewer.tab.mouse.click(*viewer.at(viewer.x_of(3.2, y), y))
    assert viewer.told("selected") == [
        {"record": "R00", "map": "fused", "lead": "V1", "segment": 6, "from_sec": 3, "to_sec": 3.5}
    ]


def test_cells_are_reached_with_the_keyboard(viewer):
    viewer.press("s", *["ArrowDown"] * 7, "ArrowRight")
    assert "V1, 0.50 to 1.00 s" in viewer.announced()
    assert "of the evidence for" in viewer.announced()
    viewer.press("Enter")
    assert viewer.told("selected")[-1]["lead"] == "V1"
    assert viewer.told("selected")[-1]["segment"] == 1
    viewer.press("c")
    assert "Caliper in V1: 500 ms · 120 /min" in viewer.announced()


def test_the_chosen_cell_stays_at_its_time_on_another_map(viewer):
    fine = replace(attribution("R00", "fine", segments=40), method="fine")
    viewer.show(data_of(maps_={"coarse": attribution("R00", "coarse"), "fine": fine}))
    viewer.press("s", *["ArrowDown"] * 7, *["ArrowRight"] * 4)
    assert "V1, 2.00 to 2.50 s" in viewer.announced()
    viewer.press("m", "Enter")
    told = viewer.told("selected")[-1]
    assert (told["map"], told["lead"], told["from_sec"]) == ("fine", "V1", 2.25)


def test_the_tab_key_goes_through_bar_strip_and_paper(viewer):
    viewer.root.get_by_label("list of keys").focus()
    viewer.press("Tab")
    assert viewer.tab.evaluate("() => document.activeElement.className") == "strip"
    viewer.press("Tab")
    assert viewer.tab.evaluate("() => document.activeElement.className") == "stage"


def test_a_caliper_measures_and_the_aspect_is_locked(viewer):
    y = viewer.row("V4")
    first, last = viewer.seconds(300, y), viewer.seconds(400, y)
    viewer.press("c")
    viewer.drag((300, y + 20), (400, y - 10))
    text = viewer.announced()
    ms, rate, mv = (float(x) for x in re.search(r"(\d+) ms · (\d+) /min · (.+) mV", text).groups())
    assert ms == pytest.approx(1000 * (last - first), abs=3)
    assert rate == pytest.approx(60000 / ms, abs=1)
    # 25 mm a second, 10 mm a millivolt: 100 px across and 30 px up are in that proportion
    assert mv * 10 / (ms / 1000 * 25) == pytest.approx(0.3, abs=0.01)


def test_at_double_speed_half_as_much_is_shown(viewer):
    viewer.root.get_by_text("View", exact=True).click()
    viewer.root.get_by_label("Paper speed").last.select_option("50")
    assert "50 mm/s" in viewer.foot()
    assert "0.0 to 5.0 s of 10.0 s" in viewer.foot()
    viewer.press("Escape", "c")
    y = viewer.row("V4")
    viewer.drag((300, y + 20), (400, y - 10))
    ms, mv = re.search(r"(\d+) ms .* (\S+) mV", viewer.announced()).groups()
    assert float(mv) * 10 / (float(ms) / 1000 * 50) == pytest.approx(0.3, abs=0.01)


def test_a_caliper_by_two_clicks_marches_out_stays_and_goes(viewer):
    y = viewer.row("V4")
    viewer.press("c")
    for x in (300, 360):
        viewer.tab.mouse.click(*viewer.at(x, y))
    viewer.press("Escape")
    two = lines(viewer)
    viewer.press("o")
    assert lines(viewer) >= 3 * two, "the interval is repeated"
    viewer.show(data_of(1))
    assert lines(viewer) <= 3, "a caliper belongs to its record"
    viewer.show(data_of(0))
    assert lines(viewer) >= 3 * two, "and stays where it was put"
    viewer.press("Delete")
    assert lines(viewer) <= 3


def test_marks_go_by_what_the_record_is_not_by_its_name(viewer):
    """Two uploads may be called record-1, one after the other."""
    y = viewer.row("V4")
    viewer.show(data_of(record_key="one"))
    viewer.press("c")
    viewer.drag((300, y), (360, y))
    viewer.press("Escape", "r")
    viewer.drag((400, y), (450, y))
    assert viewer.told("marked")[-1]["record"] == "one"
    viewer.press("Escape")
    before = lines(viewer)
    viewer.show(data_of(record_key="other"))
    assert viewer.attribute("record") == "R00"
    assert lines(viewer) < before
    viewer.press("r")
    viewer.drag((420, y), (480, y))
    told = viewer.told("marked")[-1]
    assert told["record"] == "other"
    assert len(told["regions"]) == 1


def with_v1(values: Any) -> Record:
    """Record R00 with other samples in V1, mV."""
    usual = record()
    signal = np.array(usual.signal)
    signal[usual.leads.index("V1")] = values
    return Record(usual.name, signal, usual.fs, usual.leads)


def test_a_caliper_over_the_last_cell_ends_at_the_last_sample(viewer):
    viewer.show(data_of(given=with_v1(1.5)))
    viewer.press("s", *["ArrowDown"] * 7, *["ArrowRight"] * 19, "c")
    assert "Caliper in V1: 500 ms · 120 /min · 0.00 mV" in viewer.announced()


def test_the_end_of_a_caliper_takes_a_sample_of_zero(viewer):
    values = np.ones(5000)
    values[2500:] = 0.0
    viewer.show(data_of(given=with_v1(values)))
    viewer.press("s", *["ArrowDown"] * 7, *["ArrowRight"] * 9, "c")
    assert "500 ms · 120 /min · −1.00 mV" in viewer.announced()
    viewer.press(",")
    assert "498 ms · 120 /min · 0.00 mV" in viewer.announced()
    viewer.press(".")
    assert "500 ms · 120 /min · −1.00 mV" in viewer.announced()
    values[2500:] = np.nan
    viewer.show(data_of(given=with_v1(values), record_key="gap"))
    viewer.press("s", *["ArrowDown"] * 7, *["ArrowRight"] * 9, "c")
    assert viewer.announced().endswith("500 ms · 120 /min"), "no sample, no amplitude"


def test_a_caliper_in_a_lead_that_is_turned_round_has_the_sign_that_is_drawn(viewer):
    viewer.show(data_of(defaults={"cabrera": True}))
    y = viewer.row("aVR")
    viewer.press("c")
    viewer.drag((300, y + 20), (400, y - 10))
    said = viewer.announced()
    assert "Caliper in -aVR" in said
    assert float(re.search(r"(\S+) mV", said).group(1)) > 0


def test_the_address_names_no_private_map(viewer):
    given = {"occlusion": attribution("R00", "occlusion"), "Doe": attribution("R00", "Doe"),
             "timeshap": attribution("R00", "timeshap")}  # fmt: skip
    viewer.show(data_of(maps_=given, private=["Doe"], address="view"))
    found = []
    for _ in given:
        viewer.press("m")
        viewer.tab.wait_for_timeout(400)
        found.append((viewer.attribute("map"), viewer.tab.evaluate("() => location.search")))
    assert {name for name, _ in found} == set(given)
    assert all("Doe" not in address for _, address in found)
    assert any("timeshap" in address for _, address in found)


def test_a_caliper_edge_can_be_moved(viewer):
    y = viewer.row("V4")
    viewer.press("c")
    viewer.drag((300, y), (360, y))
    before = int(re.search(r"(\d+) ms", viewer.announced()).group(1))
    viewer.press("Escape")
    viewer.drag((360, y), (420, y))
    assert int(re.search(r"(\d+) ms", viewer.announced()).group(1)) == pytest.approx(
        2 * before, abs=4
    )
    viewer.press(",", ",")
    after = int(re.search(r"(\d+) ms", viewer.announced()).group(1))
    assert after == pytest.approx(2 * before - 4, abs=4), "two samples of 2 ms"


def test_regions_are_marked_told_and_removed(viewer):
    y = viewer.row("V2")
    viewer.press("r")
    viewer.drag((320, y), (260, y))
    viewer.drag((400, y), (450, y))
    told = viewer.told("marked")[-1]
    assert told["record"] == "R00"
    assert [r["lead"] for r in told["regions"]] == ["V2", "V2"]
    assert all(r["from_sec"] < r["to_sec"] for r in told["regions"])
    viewer.press("Escape", "Delete")
    assert viewer.told("marked")[-1]["regions"] == told["regions"][:1]


def test_regions_that_were_marked_before_are_shown(viewer):
    viewer.show(data_of(3, regions=(("V2", 1.0, 2.0),)))
    viewer.press("Delete")
    assert viewer.told("marked")[-1] == {"record": "R03", "regions": []}


def test_the_wheel_zooms_a_drag_pans_a_double_click_resets(viewer):
    y = viewer.row("V1")
    under = viewer.seconds(500, y)
    for _ in range(6):
        viewer.tab.mouse.wheel(0, -100)
    viewer.tab.wait_for_timeout(300)
    assert re.search(r"[\d.]+ to [\d.]+ s of 10.0 s", viewer.foot())
    assert viewer.seconds(500, y) == pytest.approx(under, abs=0.02), "what is under it stays"
    first = viewer.seconds(500, y)
    scale = viewer.seconds(600, y) - first
    viewer.drag((500, y), (400, y))
    assert viewer.seconds(500, y) == pytest.approx(first + scale, abs=0.02)
    viewer.tab.mouse.dblclick(*viewer.at(450, y))
    viewer.tab.wait_for_timeout(300)
    assert "of 10.0 s" not in viewer.foot()


def test_a_click_on_the_strip_goes_there(viewer):
    for _ in range(8):
        viewer.tab.mouse.wheel(0, -100)
    strip = viewer.root.locator(".strip").bounding_box()
    viewer.tab.mouse.click(strip["x"] + 600, strip["y"] + 4 * 6 + 2)
    viewer.tab.wait_for_timeout(200)
    told = viewer.told("selected")[-1]
    assert told["lead"] == "V1"
    low, high = (float(x) for x in re.search(r"([\d.]+) to ([\d.]+) s of", viewer.foot()).groups())
    assert low <= (told["from_sec"] + told["to_sec"]) / 2 <= high


def test_a_long_record_asks_for_another_part(viewer):
    long = record("L", seconds=120.0)
    viewer.show(data_of(given=long, context=Context(seen_sec=(0.0, 10.0)), maps_={}))
    assert "0.0 to 10.0 s of 120.0 s" in viewer.foot()
    strip = viewer.root.locator(".strip").bounding_box()
    viewer.tab.mouse.click(strip["x"] + 450, strip["y"] + strip["height"] - 4)
    told = viewer.told("wanted")[-1]
    assert told["to_sec"] - told["from_sec"] == pytest.approx(10.0)
    assert 20 < told["from_sec"] < 90
    viewer.show(data_of(given=long, context=Context(), maps_={}, part_sec=(40.0, 50.0)))
    assert "40.0 to 50.0 s of 120.0 s" in viewer.foot()
    viewer.drag((600, 200), (300, 200))
    told = viewer.told("wanted")[-1]
    assert 42 < told["from_sec"] < 45, "a drag past the end asks for what comes next"


def test_a_layout_in_columns_turns_the_pages_of_a_longer_record(viewer):
    viewer.show(data_of(given=record("M", seconds=18.0), maps_={}, record_id="M"))
    viewer.press("l")
    assert "0.0 to 10.0 s of 18.0 s" in viewer.foot()
    viewer.drag((700, 150), (300, 150))
    low, high = (float(x) for x in re.search(r"([\d.]+) to ([\d.]+) s of", viewer.foot()).groups())
    assert 2 < low < 8
    assert high - low == pytest.approx(10, abs=0.1)
    assert viewer.told("wanted") == [], "all of it is loaded"
    viewer.press("0")
    assert "0.0 to 10.0 s of 18.0 s" in viewer.foot()


def test_the_table_has_the_same_numbers(viewer):
    viewer.root.get_by_text("View", exact=True).click()
    viewer.root.get_by_role("button", name="The numbers as a table").click()
    dialog = viewer.root.get_by_role("dialog")
    rows = [row.split("\t") for row in dialog.locator("table").nth(1).inner_text().split("\n")[1:]]
    rows = [row for row in rows if len(row) == 7 and row[0] != "lead"]
    fused = maps()["fused"]
    assert len(rows) == 240
    for lead, start, stop, _, weight, share, sign in rows:
        place = fused.leads.index(lead), round(float(start) / 0.5)
        value = fused.weights[place]
        assert float(stop) == pytest.approx(float(start) + 0.5)
        if np.isnan(value):
            assert (weight, share, sign) == ("–", "–", "not explored")
        else:
            assert float(weight) == pytest.approx(float(value), rel=1e-3)
            total = np.nansum(np.abs(fused.weights))
            assert share == f"{100 * abs(value) / total:.2f} %"
            assert sign == ("for" if value > 0 else "against")


def test_lead_shares_and_ranking(viewer):
    viewer.root.get_by_text("View", exact=True).click()
    viewer.root.get_by_role("button", name="The numbers as a table").click()
    text = viewer.root.get_by_role("dialog").locator("table").first.inner_text()
    ranked = [line.split("\t")[1] for line in text.split("\n") if re.match(r"\d+\t", line)]
    assert ranked[:3] == ["V1", "V4", "II"], "as the fused map ranks them"
    assert len(ranked) == 12


def test_an_outlier_is_cut_and_marked(viewer):
    values = np.array(record("R00").signal)
    values[1, 2000:2010] = 30.0
    spiked = Record("R00", values, 500.0, record().leads)
    assert red(viewer.pixels("base", 60, 0, 800, 540)) == 0
    height = viewer.row("II")
    viewer.show(data_of(given=spiked))
    assert red(viewer.pixels("base", 60, 0, 800, 540)) > 20
    assert abs(viewer.row("II") - height) < 15, "its row is not inflated"


def test_a_wandering_lead_does_not_inflate_its_row_and_says_so(viewer):
    values = np.array(record("R00").signal)
    values[7] += 4 * np.sin(np.arange(5000) / 500 * 2 * np.pi / 7)
    wander = Record("R00", values, 500.0, record().leads)
    before = viewer.leads().count("V2")
    viewer.show(data_of(given=wander))
    assert "baseline wanders: V2" in viewer.foot()
    assert viewer.leads().count("V2") < 2.2 * before
    assert red(viewer.pixels("base", 60, 0, 800, 540)) > 20


def test_high_voltage_gets_half_gain_and_says_so(viewer):
    tall = Record("R00", 3.5 * record("R00").signal, 500.0, record().leads)
    viewer.show(data_of(given=tall))
    assert re.search(
        r"(5 mm/mV \(half|2.5 mm/mV \(quarter) gain, so that all leads fit", viewer.foot()
    )
    control = viewer.root.get_by_label("Gain (+ −)")
    said = control.evaluate("(e) => [e.selectedOptions[0].textContent, e.className]")
    assert re.fullmatch(r"5 mm/mV \(half\)|2.5 mm/mV \(quarter\)", said[0])
    assert said[1] == "unusual"
    viewer.row("V6")


def test_expected_evidence_and_disagreement_can_be_shown(viewer):
    expected = Expected(
        ("V1",), ("V1", "II"), tuple((0.8 * k + 0.3, 0.8 * k + 0.5) for k in range(12))
    )
    viewer.show(data_of(context=Context(seen_sec=(0.0, 9.5), expected=expected)))
    area = (150, 0, 600, 540)
    assert teal(viewer.pixels("base", *area)) == 0, "off until asked for"
    y = viewer.row("V6")
    before = viewer.pixels("base", 150, y - 20, 600, 40)
    viewer.root.get_by_text("View", exact=True).click()
    viewer.root.get_by_label("Where cardiology expects evidence").check()
    viewer.root.get_by_label("Mark cells where methods disagree").check()
    viewer.tab.wait_for_timeout(200)
    assert teal(viewer.pixels("base", *area)) > 200
    assert np.any(viewer.pixels("base", 150, y - 20, 600, 40) != before)
    slider = viewer.root.get_by_label(re.compile("^tau"))
    slider.evaluate("(e) => { e.value = 0.5; e.dispatchEvent(new Event('input')) }")
    viewer.drawn()
    marked = viewer.pixels("base", 150, y - 20, 400, 40)  # no cell of V6 before 9 s reaches half
    viewer.root.get_by_label("Mark cells where methods disagree").uncheck()
    viewer.drawn()
    changed = np.any(viewer.pixels("base", 150, y - 20, 400, 40) != marked, axis=2)
    assert not changed.any(), f"tau hides marks too: {np.argwhere(changed)[:3]}"


@pytest.mark.parametrize("layout", ["12x1", "3x4", "6x2"])
def test_the_leads_that_are_named_are_marked_on_the_paper(viewer, layout):
    viewer.root.get_by_label("Layout (L)").select_option(layout)
    slider = viewer.root.get_by_label("how strong the colours are")
    slider.evaluate("(e) => { e.value = 0.1; e.dispatchEvent(new Event('input')) }")
    counts = {}
    for top in (0, 1, 12):
        viewer.root.get_by_label(re.compile("^topk")).evaluate(
            "(e, top) => { e.value = top; e.dispatchEvent(new Event('change')) }", top
        )
        viewer.drawn()
        box = viewer.box()
        counts[top] = inks(viewer.pixels("base", 0, 0, box["width"] - 200, box["height"] - 20))
    assert counts[0] < counts[1] < counts[12]


def marked_leads(viewer: Viewer) -> set[str]:
    """The leads with a mark at the left edge of their row."""
    rows = {name: viewer.row(name) for name in record().leads}
    return {name for name, y in rows.items() if inks(viewer.pixels("base", 0, y - 4, 4, 8))}


def test_the_leads_of_the_sentence_are_marked_until_the_reader_chooses(viewer):
    viewer.show(data_of(words=Words(named={"fused": ("I", "aVF")})))
    assert marked_leads(viewer) == {"I", "aVF"}
    viewer.root.get_by_label(re.compile("^topk")).evaluate(
        "(e) => { e.value = 1; e.dispatchEvent(new Event('change')) }"
    )
    viewer.drawn()
    assert marked_leads(viewer) == {"V1"}, "the first of the ranking"


@pytest.mark.parametrize("width", [390, 800])
def test_a_narrow_viewer_has_its_legend_above_the_strip(viewer, width):
    legend = viewer.root.locator(".legend")
    assert legend.is_hidden(), "it stands beside the strip"
    viewer.tab.set_viewport_size({"width": width, "height": 844})
    legend.wait_for(state="visible")
    said = legend.inner_text()
    assert all(text in said for text in ("for, from above", "against, from below", "not explored"))
    strip = viewer.root.locator("canvas.strip").bounding_box()
    assert legend.bounding_box()["y"] < strip["y"]
    viewer.root.get_by_role("checkbox", name="Map").uncheck()
    legend.wait_for(state="hidden")


def test_without_a_map_the_paper_stands_alone(viewer):
    viewer.show(data_of(maps_={}))
    assert viewer.root.locator("canvas.strip").is_hidden()
    viewer.show(data_of())
    assert viewer.root.locator("canvas.strip").is_visible()


def test_a_control_that_can_do_nothing_says_why(viewer):
    viewer.press("e")
    assert viewer.root.get_by_label(re.compile("^tau")).get_attribute("title") == "no map is shown"
    assert viewer.root.get_by_label(re.compile("^tau")).is_disabled()
    viewer.press("m")
    assert viewer.root.get_by_label(re.compile("^tau")).is_enabled()
    viewer.root.get_by_text("View", exact=True).click()
    box = viewer.root.get_by_label("Mark cells where methods disagree")
    assert box.is_disabled()
    assert box.get_attribute("title") == "this map comes from one method"


def test_cabrera_order(viewer):
    assert list(dict.fromkeys(viewer.leads()))[:6] == ["I", "II", "III", "aVR", "aVL", "aVF"]
    viewer.root.get_by_text("View", exact=True).click()
    viewer.root.get_by_label("Cabrera order").check()
    viewer.tab.mouse.click(*viewer.at(5, 5))
    assert list(dict.fromkeys(viewer.leads()))[:6] == ["aVL", "I", "aVR", "II", "aVF", "III"]


def test_derived_leads_say_so(viewer):
    viewer.show(data_of(context=Context(seen_sec=(0.0, 9.5), derived_leads=("III", "aVR"))))
    assert "follows from I and II" in viewer.foot()
    assert "derived lead" in viewer.hover(400, viewer.row("III"))
    assert "derived lead" not in viewer.hover(400, viewer.row("II"))


def test_the_view_stands_in_the_address_and_comes_back(viewer, browser, host):
    viewer.show(data_of(address="view"))
    viewer.press("l", "+", "m")
    viewer.tab.wait_for_timeout(500)
    assert "?view=layout-3x4*gain-20" in viewer.tab.url or "layout-3x4" in viewer.tab.url
    depth = viewer.tab.evaluate("() => history.length")
    text = re.search(r"view=([^&]*)", viewer.tab.url).group(1)
    viewer.press("l")
    viewer.tab.wait_for_timeout(500)
    assert viewer.tab.evaluate("() => history.length") == depth, "replaced, not pushed"
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.goto(host)
    tab.wait_for_function("window.show !== undefined")
    other = Viewer(tab, tab.locator(ROOT)).show(data_of(view=text))
    assert (other.chosen("Layout (L)"), other.attribute("map")) == ("3x4", "occlusion")
    assert "20 mm/mV" in other.foot()
    context.close()


def test_a_zoom_in_a_link_is_shown(viewer, browser, host):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.goto(host)
    tab.wait_for_function("window.show !== undefined")
    shown = Viewer(tab, tab.locator(ROOT)).show(data_of(view="zoom-2.00-4.00"))
    low, high = (float(x) for x in re.search(r"([\d.]+) to ([\d.]+) s of", shown.foot()).groups())
    assert (low, high) == (pytest.approx(2.0, abs=0.1), pytest.approx(4.0, abs=0.3))
    context.close()


@pytest.mark.parametrize(
    "text", ["layout-99*gain-7*tau-NaN", "*-*--*", "map-<b>", "zoom-4-2", "x" * 900]
)
def test_a_view_that_makes_no_sense_is_left_out(viewer, browser, host, text):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    errors: list[str] = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.goto(host)
    tab.wait_for_function("window.show !== undefined")
    shown = Viewer(tab, tab.locator(ROOT)).show(data_of(view=text))
    assert shown.chosen("Layout (L)") == "12x1"
    assert shown.attribute("map") == "fused"
    context.close()
    assert errors == []


def test_the_view_survives_another_page(viewer):
    viewer.press("l", "m")
    viewer.tab.evaluate("() => window.unmount()")
    assert viewer.tab.locator(ROOT).count() == 0
    viewer.show(data_of())
    assert (viewer.chosen("Layout (L)"), viewer.attribute("map")) == ("3x4", "occlusion")
    viewer.press("l")
    assert viewer.chosen("Layout (L)") == "6x2", "one press is heard once"


def test_the_map_that_the_host_chooses_anew_is_shown(viewer):
    viewer.press("m", "m")
    viewer.show(data_of(1))
    assert viewer.attribute("map") == "timeshap", "the reader's choice stays"
    viewer.show(data_of(1, first="occlusion"))
    assert viewer.attribute("map") == "occlusion", "the host chose another"


def test_names_are_text(viewer):
    words = Words(record=NASTY, target=NASTY, sentence=NASTY, notes=(NASTY,), settings=(NASTY,),
                  filter_text=NASTY, maps={"fused": NASTY})  # fmt: skip
    viewer.show(data_of(given=replace(record(), name=NASTY), words=words, record_id=NASTY))
    assert viewer.root.locator("img").count() == 0
    assert NASTY in viewer.foot()
    assert viewer.root.locator(".record").inner_text().startswith(NASTY)
    viewer.root.get_by_text("View", exact=True).click()
    viewer.root.get_by_role("button", name="The numbers as a table").click()
    assert NASTY in viewer.root.get_by_role("dialog").inner_text()
    assert viewer.root.locator("img").count() == 0
    assert viewer.tab.evaluate("() => window.hacked") is None


@pytest.mark.parametrize("change", ["flat", "gap", "nan", "short", "two", "offset", "nothing"])
def test_odd_records_are_drawn(viewer, change):
    values = np.array(record("R00").signal)
    leads = record().leads
    own: dict[str, Any] | None = {}
    if change == "flat":
        values[3] = 0
    elif change == "gap":
        values[2, 1000:2000] = np.nan
        own = None
    elif change == "nan":
        values[4] = np.nan
    elif change == "short":
        values = values[:, :300]
    elif change == "two":
        values, leads = values[:2], leads[:2]
    elif change == "offset":
        values[5] += 50
    elif change == "nothing":
        values[:] = 0
    viewer.show(data_of(given=Record("R00", values, 500.0, leads), maps_=own))
    assert viewer.attribute("record") == "R00"
    if change == "gap":
        y = viewer.row("III", x=400)
        assert "no sample" in viewer.hover(viewer.x_of(3.0, y), y)
    if change == "short":
        assert "record of 0.6 s, shorter than the page" in viewer.foot()


def test_it_fits_a_phone_and_a_tap_selects(browser, host):
    context = browser.new_context(
        viewport={"width": 390, "height": 844},
        is_mobile=True,
        has_touch=True,
        device_scale_factor=2,
    )
    tab = context.new_page()
    tab.goto(host)
    tab.wait_for_function("window.show !== undefined")
    shown = Viewer(tab, tab.locator(ROOT)).show(data_of(height_px=None))
    assert tab.evaluate("() => document.documentElement.scrollWidth") <= 390
    assert shown.root.evaluate("(e) => e.scrollWidth <= e.clientWidth")
    box = shown.box()
    tab.touchscreen.tap(box["x"] + 200, box["y"] + 100)
    tab.wait_for_timeout(200)
    assert len(shown.told("selected")) == 1
    assert shown.root.locator(".tip").is_visible()
    context.close()


def test_two_fingers_zoom(viewer):
    """Two pointers that move apart."""
    viewer.root.locator(".over").evaluate(
        """(over) => { const box = over.getBoundingClientRect();
        const send = (kind, id, x) => over.dispatchEvent(new PointerEvent(kind, { bubbles: true,
          pointerId: id, pointerType: "touch", button: 0, buttons: 1,
          clientX: box.left + x, clientY: box.top + 200 }));
        over.setPointerCapture = () => {};
        send("pointerdown", 11, 400); send("pointerdown", 12, 500);
        for (let i = 0; i <= 10; i++) { send("pointermove", 11, 400 - 10 * i);
                                        send("pointermove", 12, 500 + 10 * i); }
        send("pointerup", 11, 300); send("pointerup", 12, 600); }"""
    )
    viewer.tab.wait_for_timeout(300)
    low, high = (float(x) for x in re.search(r"([\d.]+) to ([\d.]+) s of", viewer.foot()).groups())
    assert high - low < 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_of_its_own_works_without_a_network(browser, tmp_path, theme):
    file = tmp_path / "record.html"
    words = Words(sentence=f"The evidence lies in V1. {NASTY}", maps={"fused": NASTY})
    file.write_text(html(data_of(words=words), f"Record {NASTY}"), "utf-8")
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, color_scheme=theme, offline=True
    )
    tab = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("console", lambda line: said.append(line.text) if line.type == "error" else None)
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.goto(file.as_uri())
    tab.locator(READY).wait_for()
    assert asked == [file.as_uri()]
    assert said == []
    assert tab.locator("h1").inner_text() == f"Record {NASTY}"
    assert tab.locator("img").count() == 0
    assert tab.evaluate("() => window.hacked") is None
    shown = Viewer(tab, tab.locator(ROOT))
    shown.wait()
    paper = shown.pixels("base", 400, 4, 200, 4)[..., :3].mean()
    assert (paper < 90) == (theme == "dark")
    shown.press("l")
    context.close()


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the small Streamlit app."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "tests/browser/viewer_app.py",
               "--server.headless=true", f"--server.port={port}"]  # fmt: skip
    log = tmp_path_factory.mktemp("app") / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=REPO, stdout=out, stderr=subprocess.STDOUT)
        try:
            for _ in range(600):
                assert process.poll() is None, log.read_text("utf-8")
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health"):
                        break
                except OSError:
                    time.sleep(0.2)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)


@pytest.fixture
def streamlit(page: Any, app: str) -> Viewer:
    page.goto(app)
    shown = Viewer(page, page.locator(ROOT)).wait()
    settled(page)
    return shown


def noted(viewer: Viewer) -> str:
    """What the app knows, as text."""
    settled(viewer.tab)
    return str(viewer.tab.locator("[data-testid=stText]").first.inner_text())


def test_in_streamlit_quick_steps_arrive_at_the_last(streamlit):
    streamlit.tab.mouse.move(*streamlit.at(400, 100))
    streamlit.press(*["ArrowRight"] * 12)
    streamlit.tab.locator(f"{READY}[data-record=R12]").wait_for()
    assert '"index": 12' in noted(streamlit)


def test_in_streamlit_what_changes_the_view_runs_nothing(streamlit):
    before = noted(streamlit)
    streamlit.tab.mouse.move(*streamlit.at(400, 100))
    streamlit.press("e", "e", "m", "l", "+", "-", "c", "Escape", "r", "Escape", "t", "0")
    streamlit.tab.wait_for_timeout(800)
    assert noted(streamlit) == before


def test_in_streamlit_the_view_survives_reruns_and_pages(streamlit):
    streamlit.tab.mouse.move(*streamlit.at(400, 100))
    streamlit.press("l")
    streamlit.tab.wait_for_timeout(500)
    assert "view=layout-3x4" in streamlit.tab.url
    streamlit.tab.get_by_role("button", name="rerun").click()
    settled(streamlit.tab)
    assert streamlit.chosen("Layout (L)") == "3x4"
    streamlit.tab.get_by_role("link", name="Other").click()
    streamlit.tab.get_by_text("other page").wait_for()
    streamlit.tab.get_by_role("link", name="Viewer").click()
    streamlit.wait()
    assert streamlit.chosen("Layout (L)") == "3x4"


def test_in_streamlit_a_click_and_a_region_reach_the_script(streamlit):
    streamlit.tab.mouse.click(*streamlit.at(400, streamlit.row("V1")))
    streamlit.tab.wait_for_function("() => document.body.innerText.includes('Selected(')")
    assert "lead='V1'" in noted(streamlit)
    y = streamlit.row("V2")
    streamlit.press("r")
    streamlit.drag((300, y), (360, y))
    streamlit.tab.wait_for_function("() => document.body.innerText.includes('Region(')")
    assert "lead='V2'" in noted(streamlit)


def test_in_streamlit_a_link_opens_on_its_view(page, app):
    page.goto(f"{app}/?view=layout-6x2*gain-5")
    shown = Viewer(page, page.locator(ROOT)).wait()
    assert shown.chosen("Layout (L)") == "6x2"
    assert "5 mm/mV" in shown.foot()
