/* paper.js: where everything stands, and the paper itself: grid, pulses, labels, time axis.

The sheet is measured in paper millimetres: a second is `speed` mm wide, a millivolt `gain` mm high,
so the aspect is locked at every zoom. `k` is how many pixels a millimetre has; (t0, y0) is the
second and the millimetre that stand in the upper left corner of the paper. */

const CABRERA = ["aVL", "I", "-aVR", "II", "aVF", "III", "V1", "V2", "V3", "V4", "V5", "V6"];
const COLUMNS = { "12x1": 1, "6x2": 2, "3x4": 4 };
const PAD_MM = 0.9;
const LEAST_K = 2.7; // px per mm; below it P waves can hardly be seen, and less than 10 s are shown
const MOST_ZOOM = 14;
const AXIS_PX = 17;
const CHANGED_PX = 20;
const PHONE_ROW = 36; // px: room for a label and its share under it, also where the paper shrinks

const COLOURS = {
  light: { paper: "#ffffff", trace: "#000000", small: "rgba(60,60,70,.05)", large: "rgba(60,60,70,.12)",
           text: "#1b1f24", muted: "#5d6670", hatch: "rgba(70,75,85,.6)", expected: "#00786c",
           accent: "#0b5d7a", warn: "#b3261e", amber: "#9a5200", chip: "rgba(255,255,255,.93)" },
  dark: { paper: "#14171b", trace: "#ffffff", small: "rgba(210,220,235,.05)", large: "rgba(210,220,235,.12)",
          text: "#e8eaed", muted: "#a0a7b0", hatch: "rgba(190,197,207,.5)", expected: "#4fd1c0",
          accent: "#5fb4d4", warn: "#ff8a80", amber: "#ffb454", chip: "rgba(20,23,27,.93)" },
};

/* Paper left of the record, mm: the calibration pulse of 200 ms with room around it. */
const pulseMm = (view) => 0.2 * view.speed + 3;

/* Leads in the order of the layout: row of the record, label, and -1 where the trace is flipped. */
function leadOrder(data, cabrera) {
  const names = data.leads.map((lead) => lead.name);
  const rest = names.filter((name) => !CABRERA.includes(name) && name !== "aVR");
  const order = cabrera ? [...CABRERA, ...rest] : names;
  return order
    .map((label) => ({ label, lead: names.indexOf(label.replace(/^-/, "")), flip: label[0] === "-" ? -1 : 1 }))
    .filter((place) => place.lead >= 0);
}

/* Rows of panels, in millimetres from the top of the sheet. A row is as high as its leads and its
calibration pulse need; where columns share a row it is no higher than the room there is, and tall
beats overlap, as in print. */
function rowsOf(v, k) {
  const { data, view, gain } = v;
  const order = leadOrder(data, view.cabrera);
  const columns = COLUMNS[view.layout];
  const count = Math.ceil(order.length / columns);
  const [from, to] = sheetSpan(v);
  const width = (to - from) / columns;
  const rows = Array.from({ length: count }, () => ({ panels: [] }));
  order.forEach((place, i) => {
    const column = Math.floor(i / count);
    rows[i % count].panels.push({ ...place, t0: from + column * width, t1: from + (column + 1) * width });
  });
  const strip = order.find((place) => place.label === "II");
  if (view.layout === "3x4" && strip) rows.push({ panels: [{ ...strip, t0: from, t1: to }] });
  let top = 0;
  for (const row of rows) {
    const reach = row.panels.map(({ lead, flip }) => {
      const { low, high } = data.leads[lead];
      return flip > 0 ? [low, high] : [-high, -low];
    });
    const low = Math.min(...reach.map((r) => r[0])), high = Math.max(...reach.map((r) => r[1]));
    const need = (high - low) * gain + 2 * PAD_MM;
    const least = Math.max(gain, columns > 1 ? 12 : (v.width < 560 ? PHONE_ROW : 20) / k);
    const room = (v.most - AXIS_PX) / k / rows.length;
    const most = columns > 1 ? Math.max(2.4, Math.min(room / gain, 3.4)) * gain : Infinity;
    const height = Math.ceil(Math.min(Math.max(need, least), Math.max(least, most)));
    const zero = PAD_MM + high * gain + (height - need) / 2;
    row.top = top;
    row.height = height;
    row.zero = Math.round(top + (need > height ? Math.max(0.3 * height, Math.min(zero, 0.7 * height)) : zero));
    row.low = Math.min(low, (row.zero - top - height) / gain); // what is drawn, mV; the rest is cut
    row.high = Math.max(high, (row.zero - top) / gain);
    row.panels.forEach((panel) => { panel.row = row; });
    top += height;
  }
  const head = data.changed ? Math.ceil(CHANGED_PX / k) : 0; // room to say so over the first row
  const above = head + Math.ceil(Math.max(0, ...rows.map((row) => row.high * gain - row.zero)));
  const below = Math.ceil(Math.max(0, ...rows.map((row) => row.zero - row.low * gain - top)));
  for (const row of rows) { // what overlaps at the edges of the sheet has room too
    row.top += above;
    row.zero += above;
  }
  return { rows, height: above + top + below };
}

/* The seconds on the sheet: the record as loaded, or one page of it where columns share it. */
function sheetSpan(v) {
  const { start, stop } = v.data;
  if (v.view.layout === "12x1" || stop - start <= PAGE_SEC + 0.05) return [start, stop];
  const from = Math.max(start, Math.min(v.page, stop - PAGE_SEC));
  return [from, from + PAGE_SEC];
}

/* Everything that follows from the size of the viewer, its data and its view. */
function geometry(v) {
  const { view } = v;
  const narrow = v.width < 560;
  const label = narrow ? 38 : 52;
  const least = narrow ? 6 : v.width < 900 ? 110 : 150; // for the lead shares
  const [from, to] = sheetSpan(v);
  const seconds = Math.min((PAGE_SEC * 25) / view.speed, Math.max(to - from, 2));
  const wide = v.width - label - least;
  const kWide = Math.max(LEAST_K, wide / (seconds * view.speed + pulseMm(view)));
  const kLeast = narrow ? 0.85 * LEAST_K : Math.min(0.5 * kWide, 2);
  v.gain = view.gain === "auto" ? 10 : view.gain;
  let sheet = rowsOf(v, kWide);
  const fits = (least) => narrow || (v.most - AXIS_PX) / sheet.height >= least;
  while (view.gain === "auto" && v.gain > 2.5 && !fits(v.gain === 10 ? (2 / 3) * kWide : kLeast)) {
    v.gain /= 2; // half or quarter gain, as a cardiograph would print it, so that all leads fit
    sheet = rowsOf(v, kWide);
  }
  const { rows, height } = sheet;
  const k0 = Math.min(kWide, Math.max((v.most - AXIS_PX) / height, kLeast));
  const k = k0 * v.zoom;
  const paper = Math.min(wide, (seconds * view.speed + pulseMm(view)) * k0);
  const left = label + pulseMm(view) * k;
  return { rows, height, from, to, k0, k, label, left, right: label + paper, narrow,
           side: v.width - label - paper, sheet: Math.min(v.most - AXIS_PX, Math.ceil(height * k0)) };
}

const secPx = (v) => v.view.speed * v.geo.k;
const xOf = (v, t) => v.geo.left + (t - v.t0) * secPx(v);
const tOf = (v, x) => v.t0 + (x - v.geo.left) / secPx(v);
const yOf = (v, mm) => (mm - v.y0) * v.geo.k;
const yMv = (v, panel, mv) => yOf(v, panel.row.zero - mv * panel.flip * v.gain);
const viewStop = (v) => tOf(v, v.geo.right);

/* Keep the view on the sheet. */
function clampView(v) {
  const { geo } = v;
  const seen = (geo.right - geo.left) / secPx(v);
  v.t0 = Math.max(geo.from, Math.min(v.t0 ?? geo.from, geo.to - seen));
  v.y0 = Math.max(0, Math.min(v.y0, geo.height - geo.sheet / geo.k));
}

/* Zoom by a factor about a point of the stage. */
function zoomAt(v, factor, x, y) {
  const t = tOf(v, x), mm = v.y0 + y / v.geo.k;
  v.zoom = Math.max(1, Math.min(MOST_ZOOM, v.zoom * factor));
  v.geo = geometry(v);
  v.t0 = t - (x - v.geo.left) / secPx(v);
  v.y0 = mm - y / v.geo.k;
  clampView(v);
}

/* Show the seconds [from, to], as wide as the paper allows. */
function zoomTo(v, from, to) {
  v.zoom = 1;
  v.geo = geometry(v);
  const seen = (v.geo.right - v.geo.left) / secPx(v);
  v.zoom = Math.max(1, Math.min(MOST_ZOOM, seen / Math.max(to - from, 0.05)));
  Object.assign(v, { t0: from, page: from });
  v.geo = geometry(v);
  clampView(v);
}

/* The panel at a point of the stage, with time, mV and segment there; null beside the traces. */
function placeAt(v, x, y) {
  if (x < v.geo.left || x > v.geo.right || y > v.geo.sheet) return null;
  const t = tOf(v, x), mm = v.y0 + y / v.geo.k;
  const row = v.geo.rows.find((r) => mm >= r.top && mm < r.top + r.height);
  const panel = row?.panels.find((p) => t >= p.t0 && t < p.t1);
  if (!panel) return null;
  const map = shownMap(v);
  return { panel, lead: panel.lead, t, y: ((row.zero - mm) * panel.flip) / v.gain,
           segment: map ? segmentAt(map, t) : -1 };
}

/* The panel that shows a lead at a time; the rhythm strip comes last. */
const panelOf = (v, lead, t) =>
  v.geo.rows.flatMap((row) => row.panels).find((p) => p.lead === lead && t >= p.t0 && t < p.t1);

function drawGrid(v, ctx) {
  const { geo, colours } = v;
  const bottom = Math.min(geo.sheet, yOf(v, geo.height));
  ctx.fillStyle = colours.paper;
  ctx.fillRect(geo.label, 0, geo.right - geo.label, bottom);
  const pixel = 1 / densityOf(v), snap = (x) => Math.round(x / pixel) * pixel; // sharp, and fast
  for (const [mm, colour] of [[1, colours.small], [5, colours.large]]) {
    const step = mm * geo.k;
    if (step < 2.4) continue;
    ctx.fillStyle = colour;
    const origin = xOf(v, 0);
    for (let x = origin + Math.ceil((geo.label - origin) / step) * step; x <= geo.right; x += step)
      ctx.fillRect(snap(x), 0, pixel, bottom);
    for (let y = yOf(v, Math.ceil(v.y0 / mm) * mm); y <= bottom; y += step)
      ctx.fillRect(geo.label, snap(y), geo.right - geo.label, pixel);
  }
}

/* Left of the traces: the calibration pulse of 1 mV and 200 ms, label, rank mark; and the labels of
the leads further right. */
function drawLabels(v, ctx) {
  const { geo, colours } = v;
  const map = v.view.overlay ? shownMap(v) : null;
  ctx.fillStyle = colours.page;
  ctx.fillRect(0, 0, geo.label, geo.sheet + AXIS_PX);
  ctx.textBaseline = "middle";
  for (const row of geo.rows) {
    drawPulse(v, ctx, row);
    drawFirstLabel(v, ctx, map, row.panels[0]);
  }
  for (const panel of innerPanels(v)) drawInnerLabel(v, ctx, panel);
}

function drawPulse(v, ctx, row) {
  const { geo } = v;
  const high = v.gain * geo.k, wide = 0.2 * v.view.speed * geo.k, x = geo.label + 1.5 * geo.k;
  const base = pulseBase(v, row, high);
  ctx.strokeStyle = v.colours.trace;
  ctx.lineWidth = 1;
  ctx.beginPath();
  ctx.moveTo(x - geo.k, base);
  for (const [dx, dy] of [[0, 0], [0, high], [wide, high], [wide, 0]]) ctx.lineTo(x + dx, base - dy);
  ctx.lineTo(x + wide + geo.k, base);
  ctx.stroke();
}

/* The pulse stands where the lead rests, as far as it then stays in its row. */
function pulseBase(v, row, high) {
  const panel = row.panels[0], { rest } = v.data.leads[panel.lead];
  const top = yOf(v, row.top) + 2, bottom = top + row.height * v.geo.k - 4;
  return Math.max(Math.min(yMv(v, panel, Math.abs(rest) < 0.3 ? 0 : rest), bottom), Math.min(bottom, top + high));
}

const isDerived = (v, { label }) => (v.data.derived || []).includes(label.replace(/^-/, ""));
const labelText = (v, panel) => panel.label.replace("-", "−") + (isDerived(v, panel) ? "†" : "");
const labelFont = (v, marked) => `${marked || !v.view.overlay || !shownMap(v) ? 700 : 600} 13px ${v.font}`;
const isNamed = (v, map, { lead }) => !!map?.leads[lead] && isMarked(v, map, lead);

/* Beside the paper: the lead whose part of the row comes first. */
function drawFirstLabel(v, ctx, map, panel) {
  const { geo, colours, data } = v;
  const own = map?.leads[panel.lead], marked = isNamed(v, map, panel);
  const top = yOf(v, panel.row.top), high = panel.row.height * geo.k;
  const below = geo.narrow && own && v.view.layout === "12x1" ? 13 : 0; // a phone has the share there
  const middle = Math.max(Math.min(yMv(v, panel, data.leads[panel.lead].rest), top + high - 9 - below), top + 9);
  if (marked) {
    const up = (high - 4) * (own.up / (own.share || 1)); // for above against, as the cells
    ctx.fillStyle = inkOf(v, 1);
    ctx.fillRect(0, top + 2, 4, up);
    ctx.fillStyle = inkOf(v, -1);
    ctx.fillRect(0, top + 2 + up, 4, high - 4 - up);
  }
  ctx.font = labelFont(v, marked);
  ctx.fillStyle = colours.text;
  ctx.fillText(labelText(v, panel), 8, middle);
  if (below) {
    ctx.font = `10.5px ${v.font}`;
    ctx.fillStyle = colours.muted;
    ctx.fillText(percent(own.share), 8, middle + below);
  }
}

/* Leads that come later in their row, where they are in view. */
const innerPanels = (v) => v.geo.rows.flatMap((row) => row.panels.slice(1))
  .filter(({ t0, t1 }) => t1 > v.t0 && t0 < viewStop(v));

/* Where the label of such a lead stands, at the upper left of its part. */
function innerLabel(v, panel) {
  const marked = isNamed(v, v.view.overlay ? shownMap(v) : null, panel), x = xOf(v, panel.t0);
  return { x, marked, left: Math.max(v.geo.left, x) + (marked ? 10 : 5), top: yOf(v, panel.row.top) };
}

/* Under the traces, which nothing may cut: the ground of such a label, as cells may have its colour;
the mark of a lead that is named; and where the lead begins. */
function drawGrounds(v, ctx) {
  const { geo, colours } = v, map = v.view.overlay ? shownMap(v) : null;
  for (const panel of innerPanels(v)) {
    const { x, left, top, marked } = innerLabel(v, panel), mark = marked ? 6 : 0;
    ctx.strokeStyle = colours.muted;
    ctx.lineWidth = 1;
    ctx.beginPath();
    ctx.moveTo(x, top + 2);
    ctx.lineTo(x, top + Math.min(panel.row.height * geo.k - 2, 14));
    ctx.stroke();
    ctx.font = labelFont(v, marked);
    ctx.fillStyle = colours.chip;
    ctx.fillRect(left - 2 - mark, top + 1, ctx.measureText(labelText(v, panel)).width + 4 + mark, 16);
    if (!marked) continue;
    const own = map.leads[panel.lead];
    ctx.fillStyle = inkOf(v, own.up >= own.down ? 1 : -1);
    ctx.fillRect(left - mark, top + 2, 4, 14);
  }
}

function drawInnerLabel(v, ctx, panel) {
  const { left, top, marked } = innerLabel(v, panel);
  ctx.font = labelFont(v, marked);
  ctx.fillStyle = v.colours.text;
  ctx.fillText(labelText(v, panel), left, top + 9);
}

/* A signal that was changed says so on its paper: a frame, and above the first row what was done. */
function drawChanged(v, ctx) {
  const { geo, colours } = v;
  if (!v.data.changed) return;
  ctx.strokeStyle = colours.amber;
  ctx.lineWidth = 3;
  ctx.strokeRect(geo.left + 1.5, 1.5, geo.right - geo.left - 3, geo.sheet - 3);
  ctx.font = `700 13px ${v.font}`;
  ctx.textBaseline = "middle";
  const whole = `CHANGED: ${v.data.changed}`, room = geo.right - geo.left - 20;
  const text = ctx.measureText(whole).width < room ? whole : "CHANGED";
  const left = geo.right - ctx.measureText(text).width - 8;
  ctx.fillStyle = colours.chip;
  ctx.fillRect(left - 4, 3, geo.right - left + 1, 17);
  ctx.fillStyle = colours.amber;
  ctx.fillText(text, left, 12);
}

/* A thumb at the right edge says that there is more above or below. */
function drawThumb(v, ctx) {
  const { geo, colours } = v, all = geo.height * geo.k;
  if (all < geo.sheet + 2) return;
  ctx.fillStyle = colours.muted;
  ctx.globalAlpha = 0.6;
  ctx.fillRect(geo.right - 5, (v.y0 * geo.k * geo.sheet) / all, 4, (geo.sheet * geo.sheet) / all);
  ctx.globalAlpha = 1;
}

/* Seconds under the paper, and where nothing of the record is. */
function drawAxis(v, ctx) {
  const { geo, colours } = v;
  ctx.fillStyle = colours.page;
  ctx.fillRect(0, geo.sheet, v.width, AXIS_PX);
  ctx.font = `11px ${v.font}`;
  ctx.fillStyle = colours.muted;
  ctx.textBaseline = "middle";
  ctx.textAlign = "center";
  const step = [0.1, 0.2, 0.5, 1, 2, 5].find((s) => s * secPx(v) >= 58) || 10;
  for (let i = Math.ceil(v.t0 / step - 1e-6); i * step <= viewStop(v) + 1e-6; i++) {
    const x = xOf(v, i * step);
    if (x > geo.right + 1 || i * step > geo.to + 1e-6) break;
    ctx.fillText(`${+(i * step).toFixed(1)} s`, Math.min(x, v.width - 16), geo.sheet + 9);
  }
  ctx.textAlign = "left";
}

const percent = (share) => (share >= 0.0995 ? `${Math.round(share * 100)} %`
  : share >= 0.005 ? `${(share * 100).toFixed(share < 0.01 ? 1 : 0)} %` : share > 0 ? "<0.5 %" : "0 %");

const signed = (x, digits) => x.toFixed(digits).replace("-", "−");
