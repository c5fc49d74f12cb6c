/* main.js: one viewer: it is mounted, given data, drawn, and tells its host what the reader did.

The host (Streamlit's component API, or page.js in a page of its own) calls the default export with
{data, parentElement, setTriggerValue}, again whenever the data or the theme changed. What only
changes the view is answered here, within a frame; the host hears of: selected {record, map, lead,
segment, from_sec, to_sec}, marked {record, regions}, step {index}, wanted {from_sec, to_sec}. All
are absolute: when quick ones fall together, the last one says it all. */

const VIEWERS = new WeakMap();
const REST_MS = 140; // after which a moving picture is drawn at full density

function emit(v, name, value) {
  v.host.setTriggerValue?.(name, value);
}

/* Tell a screen reader. */
function say(v, text) {
  v.els.said.textContent = text;
}

/* Device pixels a pixel: fewer while the picture moves. */
const densityOf = (v) => (v.moving ? 1 : v.dpr);

/* A canvas of a size in CSS pixels, cleared, with its context. */
function fit(v, canvas, width, height, dpr) {
  const w = Math.round(width * dpr), hh = Math.round(height * dpr);
  if (canvas.width !== w || canvas.height !== hh) {
    canvas.width = w;
    canvas.height = hh;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const ctx = canvas.getContext("2d");
  ctx.setTransform(dpr, 0, 0, dpr, 0, 0);
  ctx.clearRect(0, 0, width, height);
  return ctx;
}

/* Draw before the next frame: all of it, or only what lies over the picture. */
function redraw(v, what = "all") {
  v.dirty = what === "all" || v.dirty === "all" ? "all" : what;
  v.frame ||= requestAnimationFrame(() => {
    const { dirty } = v;
    v.frame = 0;
    v.dirty = "";
    if (!v.data || !v.width) return;
    if (dirty === "all") drawAll(v);
    drawOver(v);
    v.root.dataset.ready = "true";
  });
}

function drawAll(v) {
  v.geo = geometry(v);
  clampView(v);
  const { geo } = v;
  const ctx = fit(v, v.els.base, v.width, geo.sheet + AXIS_PX, densityOf(v));
  ctx.textAlign = "left";
  drawGrid(v, ctx);
  ctx.save();
  ctx.beginPath();
  ctx.rect(geo.left, 0, geo.right - geo.left, geo.sheet);
  ctx.clip();
  drawMap(v, ctx);
  drawUnknown(v, ctx);
  drawExpected(v, ctx);
  drawGrounds(v, ctx);
  drawChanged(v, ctx);
  drawTraces(v, ctx);
  drawDisagreement(v, ctx);
  ctx.restore();
  drawLabels(v, ctx);
  drawShares(v, ctx);
  drawAxis(v, ctx);
  drawThumb(v, ctx);
  drawStrip(v);
}

/* Something about the view changed: bar, picture, memory and address follow. */
function changed(v) {
  if (!v.data || !v.width) return;
  if (!v.stripSeen && stripShown(v)) { // it takes its room when it is first shown, and keeps it
    v.stripSeen = true;
    return measure(v, true);
  }
  v.geo = geometry(v);
  clampView(v);
  const map = shownMap(v);
  const preview = Object.entries(v.pending).map((pair) => pair.join(" ")).join(", ");
  Object.assign(v.root.dataset, { map: map?.id || "", segments: map ? map.n : 0, preview });
  Object.assign(v.kept, { zoom: v.zoom, t0: v.t0, y0: v.y0 });
  v.memory.view = v.view;
  syncBar(v);
  redraw(v);
  clearTimeout(v.writing);
  v.writing = setTimeout(() => writeAddress(v), 250);
}

/* The view in the address of the page; replaced, so the history does not fill. */
function writeAddress(v) {
  const name = v.data?.address;
  if (!name) return;
  const url = new URL(location.href), text = viewText(v);
  if ((url.searchParams.get(name) || "") === text) return;
  if (text) url.searchParams.set(name, text);
  else url.searchParams.delete(name);
  history.replaceState(history.state, "", url);
}

function setView(v, fields) {
  const before = shownMap(v);
  v.view = { ...v.view, ...validView(fields) };
  const map = shownMap(v);
  if (v.cell && before && map && map !== before) { // the chosen cell: the one at the same time
    const { segment } = v.cell;
    v.cell.segment = segmentAt(map, (before.edges[segment] + before.edges[segment + 1]) / 2);
    if (v.cell.segment < 0) v.cell = null;
  }
  if (v.dpr > 1) moving(v);
}

/* The picture moves, or is new: draw at one device pixel a pixel until it rests. */
function moving(v) {
  v.moving = true;
  clearTimeout(v.resting);
  v.resting = setTimeout(() => { v.moving = false; redraw(v); }, REST_MS);
}

function wholeRecord(v) {
  Object.assign(v, { zoom: 1, y0: 0, t0: homeSec(v.data), page: homeSec(v.data) });
}

/* Where the first page begins: with what the model sees. */
const homeSec = (data) => Math.max(data.start, data.seen_sec ? data.seen_sec[0] : data.start);

function chooseCell(v, lead, segment) {
  const map = shownMap(v);
  if (!map || segment < 0) return;
  v.cell = { lead, segment };
  say(v, cellLines(v, lead, segment).join(". "));
  emit(v, "selected", { record: v.data.record.id, map: map.id, lead: v.data.leads[lead].name, segment,
                        from_sec: map.edges[segment], to_sec: map.edges[segment + 1] });
  redraw(v);
}

/* Another record. Quick presses add up to one target, which is what is sent. */
function stepRecord(v, step) {
  const { position } = v.data;
  if (!position) return;
  const index = Math.max(0, Math.min((v.asked ?? position.index) + step, position.count - 1));
  if (index === (v.asked ?? position.index)) return;
  v.asked = index;
  emit(v, "step", { index });
}

/* The elements of a viewer, once for each place that it is mounted in. */
function build(parent) {
  const v = { host: {}, els: {}, data: null, view: null, mode: "", zoom: 1, t0: null, y0: 0, page: 0,
              drag: null, hover: null, cell: null, chosen: null, moving: false, frame: 0, dirty: "",
              asked: null, width: 0, most: 600, dpr: 1, pointed: false, given: null, pending: {}, touched: null,
              stripSeen: false };
  const { els } = v;
  els.strip = h("canvas", { className: "strip", tabindex: "0", role: "application",
                            "aria-label": "All cells of the map: arrows go from cell to cell, Enter chooses" });
  els.base = h("canvas", { className: "base", role: "img" });
  els.over = h("canvas", { className: "over", "aria-hidden": "true" });
  els.tip = h("div", { className: "tip", hidden: true, role: "presentation" });
  els.march = button("March out", "repeat the interval to both sides (O)", () => act(v, () => marchOut(v)));
  els.remove = button("Remove", "remove the chosen mark, or the last (Delete)", () => act(v, () => removeMark(v)));
  els.marks = h("div", { className: "marks", hidden: true }, els.march, els.remove);
  els.stage = h("div", { className: "stage", tabindex: "0", role: "group", "aria-label": "ECG on paper: ? lists the keys" },
    els.base, els.over, els.tip, els.marks);
  els.foot = h("div", { className: "foot" });
  els.said = h("div", { className: "said", "aria-live": "polite" });
  v.root = h("section", { className: "ecg", "data-testid": "ecg-viewer", "data-ready": "false" });
  els.legend = buildLegend();
  v.root.append(buildBar(v), els.legend, els.strip, els.stage, els.foot, els.said);
  parent.append(v.root);
  listen(v);
  return v;
}

function listen(v) {
  const onkey = (event) => onKey(v, event);
  const close = (event) => { if (!event.composedPath().includes(v.els.more)) v.els.more.open = false; };
  const touch = (event) => touchLab(v, event);
  const sliders = new MutationObserver(() => answerLab(v));
  sliders.observe(document.body, { subtree: true, attributeFilter: ["value"] });
  window.addEventListener("keydown", touch, true);
  window.addEventListener("pointerdown", touch, true);
  window.addEventListener("keydown", onkey, true);
  window.addEventListener("pointerdown", close, true);
  v.root.addEventListener("pointerenter", () => { v.pointed = true; });
  v.root.addEventListener("pointerleave", () => { v.pointed = false; });
  listenPointer(v);
  listenStrip(v);
  const watch = new ResizeObserver(() => measure(v));
  watch.observe(v.root);
  const onresize = () => measure(v, true);
  window.addEventListener("resize", onresize);
  v.stop = () => {
    sliders.disconnect();
    window.removeEventListener("keydown", touch, true);
    window.removeEventListener("pointerdown", touch, true);
    window.removeEventListener("keydown", onkey, true);
    window.removeEventListener("pointerdown", close, true);
    window.removeEventListener("resize", onresize);
    watch.disconnect();
    cancelAnimationFrame(v.frame);
    clearTimeout(v.resting);
  };
}

/* Width, the most height that fits on the screen under what stands above, and pixel density. */
function measure(v, again = false) {
  const width = Math.floor(v.root.clientWidth);
  if (!v.data || !width) return;
  const known = width === v.width && !again;
  v.width = width;
  v.dpr = Math.min(2, window.devicePixelRatio || 1);
  if (known) return;
  const above = v.root.getBoundingClientRect().top;
  const room = window.innerHeight - Math.min(Math.max(0, above), 0.4 * window.innerHeight);
  const rest = 44 + (v.stripSeen ? stripHeight(v) : 0) + (legendApart(v) && v.data.maps.length ? LEGEND_PX : 0) + 40;
  v.most = v.data.height_px || Math.max(430, Math.min(1400, room - rest));
  changed(v);
}

/* Colours follow the page: dark where its text is light. */
function readTheme(v) {
  const style = getComputedStyle(v.root);
  const [r, g, b] = (style.color.match(/[\d.]+/g) || [0, 0, 0]).map(Number);
  const dark = 0.3 * r + 0.6 * g + 0.1 * b > 140;
  v.root.classList.toggle("dark", dark);
  v.font = style.fontFamily;
  v.colours = { ...COLOURS[dark ? "dark" : "light"] };
  v.colours.page = getComputedStyle(v.root).backgroundColor;
  v.colours.strip = dark ? "#23272d" : "#f1f2f4";
  if (v.dark !== dark) v.ramps = makeRamps(dark);
  v.dark = dark;
  const ramp = (sign) => [0, 0.1, 0.3, 0.6, 1].map((share) => `${colourOf(v, sign * (share || 1e-6))} ${100 * share}%`);
  for (const [name, sign] of [["for", 1], ["against", -1]]) {
    v.root.style.setProperty(`--${name}`, inkOf(v, sign));
    v.root.style.setProperty(`--${name}-ramp`, `linear-gradient(90deg, ${ramp(sign)})`);
  }
  v.root.style.setProperty("--hatch", v.colours.hatch);
}

/* Take a payload: decode it, and go on with the view that was there. */
function show(v, payload) {
  v.given = decode(payload);
  const data = labShown(v);
  const other = v.data?.record.key !== data.record.key || v.data?.start !== data.start;
  v.memory = remembered(payload.key || "viewer");
  const linked = v.memory.view ? { view: {}, zoom: null } : viewFrom(payload.view);
  v.data = data;
  v.view = { ...usualView(data), ...linked.view, ...leftView(v.memory, data.defaults) };
  if (payload.first !== v.memory.given || !data.maps.some((map) => map.id === v.view.map)) {
    if (!(linked.view.map && data.maps.some((map) => map.id === linked.view.map))) v.view.map = data.first;
  }
  v.memory.given = payload.first;
  const index = (name) => data.leads.findIndex((lead) => lead.name === name);
  v.kept = rememberedRecord(v.memory, data.record.key);
  v.kept.regions ??= (data.regions || []).map((r) => ({ ...r, lead: index(r.lead) })).filter((r) => r.lead >= 0);
  if (other) Object.assign(v, { zoom: v.kept.zoom, t0: v.kept.t0 ?? homeSec(data), y0: v.kept.y0, cell: null,
                                chosen: null, drag: null, hover: null, page: homeSec(data) });
  if (!data.position || v.asked === data.position.index) v.asked = null;
  clearTimeout(v.waiting);
  v.waiting = setTimeout(() => { if (v.asked !== null) { v.asked = null; syncBar(v); } }, 4000);
  Object.assign(v.root.dataset, { record: data.record.id, target: data.target?.id || "" });
  v.els.base.setAttribute("aria-label", data.sentence || `ECG of record ${data.record.title}`);
  fillMaps(v);
  hideTip(v);
  readTheme(v);
  if (v.dpr > 1) moving(v);
  measure(v, true);
  if (linked.zoom) {
    zoomTo(v, ...linked.zoom);
    changed(v);
  }
}

/* The component. */
export default function ecgViewer({ data, parentElement, setTriggerValue }) {
  let v = VIEWERS.get(parentElement);
  if (!v?.root.isConnected) {
    v = build(parentElement);
    VIEWERS.set(parentElement, v);
  }
  v.host = { setTriggerValue };
  if (data && data !== v.payload) {
    v.root.dataset.ready = "false";
    v.payload = data;
    show(v, data);
  } else if (v.data) {
    readTheme(v);
    redraw(v);
  }
  return () => {
    v.stop();
    v.root.remove();
    VIEWERS.delete(parentElement);
  };
}
