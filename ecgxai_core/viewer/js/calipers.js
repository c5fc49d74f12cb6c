/* calipers.js: what readers put on the paper and what stays there: calipers, which measure, and
marked regions, which the host is told of. A mark belongs to a lead and is kept by record. */

const NEAR_PX = 6;

/* How the layout draws a lead: its label, and -1 where it is turned round (-aVR). */
const drawnAs = (v, lead) => v.geo.rows.flatMap((row) => row.panels).find((panel) => panel.lead === lead);

const marksOf = (v, kind) => (kind === "caliper" ? v.kept.calipers : v.kept.regions);

/* "342 ms · 175 /min · −0.42 mV": up is positive as drawn; no mV where there is no sample. */
function measured(v, { lead, t1, t2, v1, v2 }) {
  const ms = Math.abs(t2 - t1) * 1000;
  const parts = [`${Math.round(ms)} ms`];
  if (ms >= 1) parts.push(`${Math.round(60000 / ms)} /min`);
  const mv = (t2 >= t1 ? v2 - v1 : v1 - v2) * drawnAs(v, lead).flip;
  if (!Number.isNaN(mv)) parts.push(`${mv < 0 ? "−" : ""}${Math.abs(mv).toFixed(2)} mV`);
  return parts.join(" · ");
}

/* Everything that lies over the picture: regions, calipers, the chosen cell, the pointer's line. */
function drawOver(v) {
  const ctx = fit(v, v.els.over, v.width, v.geo.sheet + AXIS_PX, densityOf(v));
  const { geo, colours } = v;
  ctx.save();
  ctx.beginPath();
  ctx.rect(geo.left - pulseMm(v.view) * geo.k, 0, geo.right - geo.left + pulseMm(v.view) * geo.k, geo.sheet);
  ctx.clip();
  ctx.font = `600 12px ${v.font}`;
  ctx.textBaseline = "middle";
  v.kept.regions.forEach((region, i) => drawRegion(v, ctx, region, i));
  v.kept.calipers.forEach((caliper, i) => drawCaliper(v, ctx, caliper, i));
  const map = shownMap(v);
  if (v.cell && map && v.view.overlay && v.cell.segment < map.n) {
    const from = map.edges[v.cell.segment], to = map.edges[v.cell.segment + 1];
    const panel = panelOf(v, v.cell.lead, (from + to) / 2);
    if (panel) {
      ctx.strokeStyle = colours.text;
      ctx.lineWidth = 1.5;
      ctx.strokeRect(xOf(v, from), yOf(v, panel.row.top) + 1, (to - from) * secPx(v), panel.row.height * geo.k - 2);
    }
  }
  if (v.hover && !v.drag) {
    ctx.strokeStyle = colours.muted;
    ctx.globalAlpha = 0.7;
    ctx.lineWidth = 1;
    ctx.beginPath();
    ctx.moveTo(Math.round(v.hover.x) + 0.5, 0);
    ctx.lineTo(Math.round(v.hover.x) + 0.5, geo.sheet);
    ctx.stroke();
  }
  ctx.restore();
}

const isChosen = (v, kind, i) => v.chosen?.kind === kind && v.chosen.index === i;

function drawRegion(v, ctx, { lead, from_sec: from, to_sec: to }, i) {
  const panel = panelOf(v, lead, Math.min(from, to));
  if (!panel) return;
  const left = xOf(v, Math.min(from, to)), wide = Math.abs(to - from) * secPx(v);
  const top = yOf(v, panel.row.top) + 1, high = panel.row.height * v.geo.k - 2;
  ctx.strokeStyle = ctx.fillStyle = v.colours.accent;
  ctx.globalAlpha = 0.12;
  ctx.fillRect(left, top, wide, high);
  ctx.globalAlpha = 1;
  ctx.lineWidth = isChosen(v, "region", i) ? 2.5 : 1.5;
  ctx.strokeRect(left, top, wide, high);
  chip(v, ctx, `${i + 1}`, left + 2, top + 9, v.colours.accent);
}

function drawCaliper(v, ctx, caliper, i) {
  const { lead, t1, t2, v1, v2, march } = caliper;
  const panel = panelOf(v, lead, Math.min(t1, t2));
  if (!panel) return;
  const { colours, geo } = v;
  const x1 = xOf(v, t1), x2 = xOf(v, t2), y1 = yMv(v, panel, v1), y2 = yMv(v, panel, v2);
  const top = yOf(v, panel.row.top), bottom = top + panel.row.height * geo.k;
  ctx.strokeStyle = colours.accent;
  ctx.lineWidth = isChosen(v, "caliper", i) ? 2 : 1.4;
  const lines = (segments, alpha, dash) => {
    ctx.globalAlpha = alpha;
    ctx.setLineDash(dash);
    ctx.beginPath();
    for (const [ax, ay, bx, by] of segments) {
      ctx.moveTo(ax, ay);
      ctx.lineTo(bx, by);
    }
    ctx.stroke();
  };
  lines([[x1, 0, x1, geo.sheet], [x2, 0, x2, geo.sheet]], 0.4, []);
  lines([[x1, top, x1, bottom], [x2, top, x2, bottom], [x1, y1, x2, y1]], 1, []);
  lines([[x1, y2, x2, y2]], 1, [3, 2]);
  if (march) lines(marched(v, caliper).map((x) => [x, 0, x, geo.sheet]), 0.75, [5, 4]);
  ctx.setLineDash([]);
  ctx.globalAlpha = 1;
  const text = measured(v, caliper);
  const wide = ctx.measureText(text).width;
  const left = Math.max(geo.label + 4, Math.min((x1 + x2 - wide) / 2, geo.right - wide - 6));
  chip(v, ctx, text, left, top > 14 ? top - 1 : bottom + 2, colours.accent);
}

/* The same interval again and again, to both sides, as far as the paper reaches. */
function marched(v, { t1, t2 }) {
  const step = Math.abs(t2 - t1);
  if (step < 0.04) return [];
  const first = Math.ceil((v.t0 - t1) / step), last = Math.floor((viewStop(v) - t1) / step);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => xOf(v, t1 + (first + i) * step));
}

function chip(v, ctx, text, x, y, colour) {
  const wide = ctx.measureText(text).width;
  ctx.fillStyle = v.colours.chip;
  ctx.fillRect(x - 4, y - 9, wide + 8, 18);
  ctx.lineWidth = 1;
  ctx.strokeStyle = colour;
  ctx.strokeRect(x - 4, y - 9, wide + 8, 18);
  ctx.fillStyle = colour;
  ctx.fillText(text, x, y);
}

/* The mark under the pointer, and which of its edges; null where there is none. */
function markAt(v, x, y) {
  const found = [];
  const look = (kind, marks, ends) => marks.forEach((mark, index) => {
    const [one, other] = ends(mark);
    const panel = panelOf(v, mark.lead, Math.min(one, other));
    if (!panel) return;
    const top = yOf(v, panel.row.top), bottom = top + panel.row.height * v.geo.k;
    if (y < top || y > bottom) return;
    [one, other].forEach((t, edge) => {
      const away = Math.abs(xOf(v, t) - x);
      if (away <= NEAR_PX) found.push({ kind, index, edge, away });
    });
  });
  look("caliper", v.kept.calipers, (mark) => [mark.t1, mark.t2]);
  look("region", v.kept.regions, (mark) => [mark.from_sec, mark.to_sec]);
  return found.sort((a, b) => a.away - b.away)[0] || null;
}

/* Begin a mark at a place; it ends where the pointer goes. */
function beginMark(v, place) {
  const { lead, t, y } = place;
  const mark = v.mode === "caliper" ? { lead, t1: t, t2: t, v1: y, v2: y, march: false }
                                    : { lead, from_sec: t, to_sec: t };
  marksOf(v, v.mode).push(mark);
  v.chosen = { kind: v.mode, index: marksOf(v, v.mode).length - 1 };
  v.drag = { kind: "mark", edge: 1, panel: place.panel };
}

function dragMark(v, x, y) {
  const mark = marksOf(v, v.chosen.kind)[v.chosen.index], { panel, edge } = v.drag;
  const t = Math.max(panel.t0, Math.min(tOf(v, x), panel.t1 - 1e-6));
  const mv = ((panel.row.zero - v.y0 - y / v.geo.k) * panel.flip) / v.gain;
  if (v.chosen.kind === "caliper") Object.assign(mark, edge ? { t2: t, v2: mv } : { t1: t, v1: mv });
  else mark[edge ? "to_sec" : "from_sec"] = t;
}

/* The pointer let go: too short a mark is none; a region is put in order and told. */
function endMark(v) {
  const { kind, index } = v.chosen, marks = marksOf(v, kind), mark = marks[index];
  v.drag = null;
  if (kind === "region") {
    const [from, to] = [mark.from_sec, mark.to_sec].sort((a, b) => a - b);
    Object.assign(mark, { from_sec: from, to_sec: to });
    if (to - from < 0.008) return removeMark(v);
    tellRegions(v);
  } else if (Math.abs(mark.t2 - mark.t1) < 0.002 && Math.abs(mark.v2 - mark.v1) < 0.01) removeMark(v);
  else say(v, `Caliper in ${drawnAs(v, mark.lead).label}: ${measured(v, mark)}`);
}

function removeMark(v) {
  const kinds = v.chosen ? [v.chosen.kind] : ["caliper", "region"];
  const kind = kinds.find((name) => marksOf(v, name).length);
  if (!kind) return;
  marksOf(v, kind).splice(v.chosen ? v.chosen.index : -1, 1);
  v.chosen = null;
  if (kind === "region") tellRegions(v);
}

function tellRegions(v) {
  const regions = v.kept.regions.map(({ lead, from_sec, to_sec }) => ({
    lead: v.data.leads[lead].name, from_sec: +from_sec.toFixed(4), to_sec: +to_sec.toFixed(4) }));
  emit(v, "marked", { record: v.data.record.key, regions });
}

/* Without a pointer: a caliper or region over the chosen cell. */
function markCell(v, kind) {
  const map = shownMap(v), { lead, segment } = v.cell;
  const from = map.edges[segment], to = map.edges[segment + 1];
  const at = (t) => mvAtEnd(v, lead, t);
  marksOf(v, kind).push(kind === "caliper" ? { lead, t1: from, t2: to, v1: at(from), v2: at(to), march: false }
                                           : { lead, from_sec: from, to_sec: to });
  v.chosen = { kind, index: marksOf(v, kind).length - 1 };
  endMark(v);
}

/* The sample at the end of a caliper: the last one where the record, or what is loaded, ends there. */
const mvAtEnd = ({ data }, lead, t) => mvAt(data, lead, Math.min(t, data.start + (data.samples - 1) / data.fs));

/* Move the end of the chosen caliper by samples. */
function nudge(v, samples) {
  const caliper = v.chosen?.kind === "caliper" && v.kept.calipers[v.chosen.index];
  if (!caliper) return;
  caliper.t2 = Math.max(v.data.start, Math.min(caliper.t2 + samples / v.data.fs, v.data.stop));
  caliper.v2 = mvAtEnd(v, caliper.lead, caliper.t2);
  say(v, measured(v, caliper));
}
