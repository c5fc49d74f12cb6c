/* keys.js: keyboard and pointer.

Keys count while the viewer has the focus or the pointer is over it, and never where somebody types.
They are caught before the page's own shortcuts (Streamlit reruns at R and empties its cache at C). */

const HELP = [
  ["← →", "previous, next record"], ["E", "map on, off"], ["M", "next map"],
  ["T", "band or coloured trace"], ["L", "next layout"], ["+ −", "gain"],
  ["wheel, pinch", "zoom"], ["drag, Shift + arrows", "move"], ["0, double click", "whole record"],
  ["C", "caliper: drag, or two clicks"], ["O", "march the caliper out"], [", .", "move its end by one sample"],
  ["R", "mark a region: drag, or two clicks"], ["Delete", "remove the chosen mark"],
  ["S", "go to the strip; arrows go from cell to cell there, Enter chooses, C and R mark the cell"],
  ["Esc", "back to reading"], ["?", "this list"],
];

const ACTIONS = {
  ArrowLeft: (v) => stepRecord(v, -1),
  ArrowRight: (v) => stepRecord(v, 1),
  e: (v) => setView(v, { overlay: !v.view.overlay }),
  m: (v) => setView(v, { map: after(v.data.maps.map((map) => map.id), v.view.map), overlay: true }),
  t: (v) => setView(v, { encoding: after(FIELDS.encoding.all, v.view.encoding) }),
  l: (v) => setView(v, { layout: after(FIELDS.layout.all, v.view.layout) }),
  "+": (v) => setGain(v, 1),
  "=": (v) => setGain(v, 1),
  "-": (v) => setGain(v, -1),
  c: (v) => setMode(v, "caliper"),
  r: (v) => setMode(v, "region"),
  o: (v) => marchOut(v),
  s: (v) => v.els.strip.focus(),
  ",": (v) => nudge(v, -1),
  ".": (v) => nudge(v, 1),
  Delete: (v) => removeMark(v),
  Backspace: (v) => removeMark(v),
  0: (v) => wholeRecord(v),
  "?": (v) => showHelp(v),
  Escape: (v) => escape(v),
};

const SHIFTED = { ArrowLeft: [-0.2, 0], ArrowRight: [0.2, 0], ArrowUp: [0, -0.2], ArrowDown: [0, 0.2] };
const ON_STRIP = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
const TYPING = "input:not([type=range]):not([type=checkbox]):not([type=button]),textarea,select,[contenteditable],"
  + "[role=slider],[role=listbox],[role=combobox],[role=menu],[role=tab],[role=radio],[role=textbox],[role=grid]";

const after = (all, one) => all[(all.indexOf(one) + 1) % all.length] ?? one;

/* Whether a key is meant for this viewer. */
function listens(v, event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return false;
  const target = event.composedPath()[0];
  const inside = event.composedPath().includes(v.root);
  if (!inside && !(v.pointed && document.hasFocus())) return false;
  if (v.root.querySelector("dialog[open]")) return false;
  if (!(target instanceof Element)) return true;
  if (target === v.els.strip) return true;
  if (target.type === "range") return !event.key.startsWith("Arrow") && event.key !== "+" && event.key !== "-";
  if (target.matches("select") && inside) return event.key === "?" || event.key === "Escape";
  return !target.closest(TYPING);
}

function onKey(v, event) {
  if (!listens(v, event)) return;
  const onStrip = event.composedPath()[0] === v.els.strip;
  const act = actionOf(v, event, onStrip);
  if (!act) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  hideTip(v);
  act();
  changed(v);
}

function actionOf(v, event, onStrip) {
  const { key } = event;
  if (onStrip && ON_STRIP[key] && !event.shiftKey) return () => stepCell(v, ...ON_STRIP[key]);
  if (onStrip && key === "Enter" && v.cell) return () => chooseCell(v, v.cell.lead, v.cell.segment);
  if (onStrip && v.cell && shownMap(v) && /^[cr]$/i.test(key))
    return () => markCell(v, key.toLowerCase() === "c" ? "caliper" : "region");
  if (event.shiftKey && SHIFTED[key]) return () => panBy(v, ...SHIFTED[key]);
  if (event.shiftKey && key.startsWith("Arrow")) return null;
  const something = v.mode || v.drag || v.chosen || v.cell || v.els.more.open;
  if (key === "Escape" && !something) return null; // the page may have a use for it
  const name = key.length === 1 ? key.toLowerCase() : key;
  return Object.hasOwn(ACTIONS, name) ? () => ACTIONS[name](v) : null;
}

function panBy(v, share, shareDown) {
  panTo(v, v.t0 + share * (viewStop(v) - v.t0), v.y0 + (shareDown * v.geo.sheet) / v.geo.k);
  askBeyond(v);
}

/* Move the paper; `beyond` is how far past the loaded part that went, in seconds. Where columns
share a page, another page of what is loaded comes first. */
function panTo(v, t0, y0) {
  const { start, stop } = v.data;
  if (v.geo.to - v.geo.from < stop - start - 0.01 && v.zoom <= 1.001) {
    v.page = Math.max(start, Math.min(t0, stop - PAGE_SEC));
    v.geo = geometry(v);
  }
  Object.assign(v, { t0, y0 });
  clampView(v);
  v.beyond = t0 - v.t0;
}

/* Who pans past the end of what is loaded of a long record is given more of it. */
function askBeyond(v) {
  if (v.data.overview && Math.abs(v.beyond) > 0.25) askPart(v, v.t0 + v.beyond);
  v.beyond = 0;
}

function setGain(v, step) {
  const gains = FIELDS.gain.all.slice(1), gain = gains[gains.indexOf(v.gain) + step];
  if (gain) setView(v, { gain });
}

function setMode(v, mode) {
  v.mode = v.mode === mode ? "" : mode;
  if (!v.mode && v.drag?.kind === "mark") endMark(v);
  say(v, v.mode === "caliper" ? "Caliper: drag on a lead, or click its two ends"
    : v.mode === "region" ? "Region: drag on a lead, or click its two ends" : "Reading");
}

function marchOut(v) {
  const at = v.chosen?.kind === "caliper" ? v.chosen.index : v.kept.calipers.length - 1;
  if (v.kept.calipers[at]) v.kept.calipers[at].march = !v.kept.calipers[at].march;
}

function escape(v) {
  if (v.drag?.kind === "mark") removeMark(v);
  Object.assign(v, { mode: "", drag: null, chosen: null, cell: null });
  v.els.more.open = false;
}

/* Pointer: one draws, drags or moves the paper, two pinch. */
function listenPointer(v) {
  const { over } = v.els;
  const points = new Map();
  const at = (event) => {
    const box = over.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  over.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    const [x, y] = at(event);
    points.set(event.pointerId, [x, y]);
    over.setPointerCapture(event.pointerId);
    if (event.pointerType === "mouse") v.els.stage.focus({ preventScroll: true });
    if (points.size === 2) beginPinch(v, points);
    else if (points.size === 1) pressed(v, x, y);
  });
  over.addEventListener("pointermove", (event) => {
    const [x, y] = at(event);
    if (points.has(event.pointerId)) points.set(event.pointerId, [x, y]);
    if (v.drag?.kind === "pinch") pinch(v, points);
    else moved(v, x, y, event.pointerType === "touch");
  });
  const released = (event) => {
    const [x, y] = at(event);
    if (!points.delete(event.pointerId)) return;
    if (v.drag?.kind === "pinch") v.drag = points.size ? v.drag : null;
    else letGo(v, x, y, event.type === "pointercancel");
    changed(v);
  };
  over.addEventListener("pointerup", released);
  over.addEventListener("pointercancel", released);
  over.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "touch") return; // the finger is gone, what it asked for stays
    v.hover = null;
    hideTip(v);
    redraw(v, "over");
  });
  over.addEventListener("dblclick", () => { if (!v.mode) act(v, () => wholeRecord(v)); });
  over.addEventListener("wheel", (event) => {
    if (event.ctrlKey) return; // the browser's own zoom
    event.preventDefault();
    const [x, y] = at(event);
    moving(v);
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      v.t0 += (event.deltaX || event.deltaY) / secPx(v);
      clampView(v);
    } else zoomAt(v, Math.exp(-Math.max(-80, Math.min(80, event.deltaY)) / 300), x, y);
    changed(v);
  }, { passive: false });
}

function pressed(v, x, y) {
  if (v.drag?.kind === "mark") { // the second click
    dragMark(v, x, y);
    return;
  }
  const place = placeAt(v, x, y);
  const mark = markAt(v, x, y);
  if (mark) {
    v.chosen = { kind: mark.kind, index: mark.index };
    const { lead, t1, from_sec } = marksOf(v, mark.kind)[mark.index];
    v.drag = { kind: "mark", edge: mark.edge, panel: panelOf(v, lead, t1 ?? from_sec), from: [x, y] };
  } else if (v.mode && place) {
    beginMark(v, place);
    v.drag.from = [x, y];
  } else v.drag = { kind: "pan", from: [x, y], t0: v.t0, y0: v.y0, far: false };
  hideTip(v);
  redraw(v, "over");
}

function moved(v, x, y, touch) {
  const { drag } = v;
  v.hover = touch ? null : { x, y };
  if (drag?.kind === "mark") {
    dragMark(v, x, y);
    if (drag.from && Math.hypot(x - drag.from[0], y - drag.from[1]) > 4) drag.far = true;
    redraw(v, "over");
  } else if (drag?.kind === "pan") {
    if (!drag.far && Math.hypot(x - drag.from[0], y - drag.from[1]) < 4) return;
    drag.far = true;
    panTo(v, drag.t0 - (x - drag.from[0]) / secPx(v), drag.y0 - (y - drag.from[1]) / v.geo.k);
    moving(v);
    changed(v);
  } else if (!touch) {
    showTip(v, x, y);
    redraw(v, "over");
  }
}

function letGo(v, x, y, cancelled) {
  const { drag } = v;
  if (drag?.kind === "mark") {
    if (cancelled) return removeMark(v);
    if (drag.far || !drag.from || drag.second) endMark(v);
    else drag.second = true; // a click: the next one ends the mark
    return;
  }
  v.drag = null;
  if (drag?.far) askBeyond(v);
  if (drag?.kind !== "pan" || drag.far || cancelled) return;
  const place = placeAt(v, x, y);
  v.chosen = null;
  if (!place) return;
  showTip(v, x, y);
  if (shownMap(v) && place.segment >= 0) chooseCell(v, place.lead, place.segment);
}

function beginPinch(v, points) {
  if (v.drag?.kind === "mark") removeMark(v);
  const [[ax, ay], [bx, by]] = points.values();
  v.drag = { kind: "pinch", last: Math.hypot(ax - bx, ay - by), x: (ax + bx) / 2, y: (ay + by) / 2 };
}

function pinch(v, points) {
  if (points.size < 2) return;
  const [[ax, ay], [bx, by]] = points.values();
  const wide = Math.hypot(ax - bx, ay - by), x = (ax + bx) / 2, y = (ay + by) / 2;
  v.t0 -= (x - v.drag.x) / secPx(v);
  v.y0 -= (y - v.drag.y) / v.geo.k;
  zoomAt(v, wide / Math.max(1, v.drag.last), x, y);
  Object.assign(v.drag, { last: wide, x, y });
  moving(v);
  changed(v);
}

/* The strip: click or drag to go there; it has the keyboard focus of the cells. */
function listenStrip(v) {
  const { strip } = v.els;
  const click = (event) => {
    const box = strip.getBoundingClientRect();
    clickStrip(v, event.clientX - box.left, event.clientY - box.top);
  };
  strip.addEventListener("click", click);
  strip.addEventListener("pointermove", (event) => { if (event.buttons === 1) click(event); });
}
