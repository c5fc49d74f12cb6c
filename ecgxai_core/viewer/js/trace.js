/* trace.js: the signal, from every sample.

Where several samples fall on one pixel column, its least and largest are drawn, so no peak is lost.
What leaves its row is cut at the edge and marked with a triangle, never cut in silence. */

/* Add a lead's line between two times to a path. */
function tracePath(v, path, panel, from, to) {
  const { data } = v;
  const { counts, scale } = data.leads[panel.lead];
  const first = Math.max(0, Math.ceil((from - data.start) * data.fs));
  const last = Math.min(data.samples - 1, Math.floor((to - data.start) * data.fs));
  const dx = secPx(v) / data.fs, x0 = xOf(v, data.start);
  const zero = yOf(v, panel.row.zero), dy = -scale * panel.flip * v.gain * v.geo.k;
  const column = 1 / densityOf(v);
  const per = Math.max(1, Math.floor(column / dx));
  let pen = false;
  for (let i = first; i <= last; i += per) {
    let low = counts[i], high = low, lowAt = i, highAt = i;
    for (let j = i + 1; j < i + per && j <= last; j++) {
      const count = counts[j];
      if (count === GAP || low === GAP) { low = GAP; break; }
      if (count < low) { low = count; lowAt = j; }
      if (count > high) { high = count; highAt = j; }
    }
    if (low === GAP) { pen = false; continue; }
    const one = lowAt < highAt ? lowAt : highAt, other = lowAt < highAt ? highAt : lowAt;
    const y1 = zero + counts[one] * dy;
    if (pen) path.lineTo(x0 + one * dx, y1);
    else path.moveTo(x0 + one * dx, y1);
    if (other !== one) path.lineTo(x0 + other * dx, zero + counts[other] * dy);
    pen = true;
  }
}

/* All traces; the colour of the trace carries the map where the reader chose that. */
function drawTraces(v, ctx) {
  const { geo, colours } = v;
  const map = v.view.overlay && v.view.encoding === "trace" ? shownMap(v) : null;
  ctx.lineJoin = "bevel";
  for (const panel of geo.rows.flatMap((row) => row.panels)) {
    const top = yOf(v, panel.row.top), high = panel.row.height * geo.k;
    if (top > geo.sheet || top + high < 0) continue;
    const from = Math.max(panel.t0, v.t0), to = Math.min(panel.t1, viewStop(v));
    if (to <= from) continue;
    const lead = v.data.leads[panel.lead];
    if (lead.empty) {
      ctx.font = `11px ${v.font}`;
      ctx.fillStyle = colours.muted;
      ctx.textBaseline = "middle";
      ctx.fillText("no signal", Math.max(geo.left, xOf(v, from)) + 60, yOf(v, panel.row.zero));
      continue;
    }
    const leaves = leavesRow(panel, lead);
    const [up, down] = leaves ? cutAt(v, panel.row) : [0, geo.sheet];
    ctx.save();
    ctx.beginPath();
    ctx.rect(xOf(v, from), up, (to - from) * secPx(v), down - up);
    ctx.clip();
    if (map) colourTrace(v, ctx, panel, map, from, to);
    const line = new Path2D();
    tracePath(v, line, panel, from, to);
    ctx.strokeStyle = colours.trace;
    strokeTrace(v, ctx, line);
    ctx.restore();
    if (leaves) drawCuts(v, ctx, panel, from, to);
  }
}

/* A broad line is several of one device pixel side by side: without a graphics card these are drawn
ten times faster than one of a pixel and a half. While the picture moves one must do. */
function strokeTrace(v, ctx, line) {
  const pixel = 1 / densityOf(v), spare = Math.min(1.7, 1.15 + 0.05 * v.geo.k) - pixel;
  const lines = v.moving ? 1 : 1 + Math.ceil((1.5 * spare) / pixel);
  ctx.lineWidth = pixel;
  for (let i = 0; i < lines; i++) {
    const away = lines > 1 ? spare * (i / (lines - 1) - 0.5) : 0;
    ctx.translate(away, away);
    ctx.stroke(line);
    ctx.translate(-away, -away);
  }
}

const leavesRow = ({ row, flip }, { least, most }) =>
  (flip > 0 ? most : -least) > row.high || (flip > 0 ? least : -most) < row.low;

/* Where a trace of a row is cut, from above and below. */
const cutAt = (v, { zero, low, high }) => [high, low].map((mv) => yOf(v, zero - mv * v.gain));

/* Under the black line: a broad one in the colour of each cell that is shown. */
function colourTrace(v, ctx, panel, map, from, to) {
  for (let i = Math.max(0, segmentAt(map, from)); i < map.n && map.edges[i] < to; i++) {
    const share = shareAt(map, panel.lead, i);
    if (!shownShare(v, share)) continue;
    const line = new Path2D();
    tracePath(v, line, panel, Math.max(from, map.edges[i]), Math.min(to, map.edges[i + 1]));
    ctx.strokeStyle = colourOf(v, Math.sign(share) * (0.2 + 0.8 * Math.abs(share)));
    ctx.lineWidth = 4 + 5 * Math.min(1, Math.abs(share));
    ctx.globalAlpha = v.view.strength;
    ctx.stroke(line);
  }
  ctx.globalAlpha = 1;
}

/* Triangles where the trace leaves its row, with the value it reaches. */
function drawCuts(v, ctx, panel, from, to) {
  const { data, colours, geo } = v;
  const { counts, scale } = data.leads[panel.lead];
  const first = Math.max(0, Math.ceil((from - data.start) * data.fs));
  const last = Math.min(data.samples - 1, Math.floor((to - data.start) * data.fs));
  const near = Math.round(46 / (secPx(v) / data.fs)); // marks closer than 46 px are one
  const runs = [];
  for (let i = first; i <= last; i++) {
    if (counts[i] === GAP) continue;
    const mv = counts[i] * scale * panel.flip;
    const side = mv > panel.row.high ? 1 : mv < panel.row.low ? -1 : 0;
    if (!side) continue;
    const run = runs.findLast((r) => r.side === side);
    if (run && i - run.last < near) {
      run.last = i;
      if (mv * side > run.mv * side) Object.assign(run, { mv, at: i });
    } else runs.push({ side, mv, at: i, last: i });
  }
  ctx.font = `600 10px ${v.font}`;
  for (const { side, mv, at } of runs) {
    const x = xOf(v, data.start + at / data.fs);
    const y = cutAt(v, panel.row)[side > 0 ? 0 : 1];
    ctx.fillStyle = colours.warn;
    ctx.beginPath();
    ctx.moveTo(x, y + side);
    ctx.lineTo(x - 5, y + 8 * side);
    ctx.lineTo(x + 5, y + 8 * side);
    ctx.fill();
    const text = `${signed(mv * panel.flip, 1)} mV`;
    const width = ctx.measureText(text).width;
    const left = x + 8 + width > geo.right ? x - 8 - width : x + 8;
    ctx.fillStyle = colours.chip;
    ctx.fillRect(left - 1, y + (side > 0 ? 0 : -11), width + 2, 11);
    ctx.fillStyle = colours.warn;
    ctx.fillText(text, left, y + 6 * side);
  }
}
