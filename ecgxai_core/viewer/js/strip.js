/* strip.js: the whole map at a glance, one thin row a lead, and the place to click.

It always shows all that is loaded; a frame tells which part the paper shows. It takes the keyboard
focus, and arrows then go from cell to cell. Of a longer record a line below shows where the loaded
part lies, and a click on it asks for another part. */

const STRIP_ROW = 4;
const OVERVIEW_PX = 18;
const LEGEND = [[1, "for, from above"], [-1, "against, from below"], [0, "not explored"]];
const LEGEND_PX = 20, SWATCH_PX = 28;

/* Where the lead shares leave no room for the legend it is a line above the strip. */
const legendApart = (v) => v.width < 900;

/* Without a map and with all of the record loaded there is nothing to go to. */
const stripHeight = (v) => !v.data.maps.length && !v.data.overview ? 0
  : STRIP_ROW * Math.max(12, v.data.leads.length) + (v.data.overview ? OVERVIEW_PX : 0);

/* While the map is off the strip is left out; one that was seen keeps its room, so that the paper
stays in its place when the map is switched off and on. */
const stripShown = (v) => stripHeight(v) > 0 && (!!v.data.overview || (v.view.overlay && !!shownMap(v)));

/* Where a time stands on the strip, and the inverse. */
function stripScale(v) {
  const left = v.geo.label + pulseMm(v.view) * v.geo.k0, { start, stop } = v.data;
  const scale = (v.geo.right - left) / (stop - start);
  return { left, x: (t) => left + (t - start) * scale, t: (x) => start + (x - left) / scale };
}

function drawStrip(v) {
  const { geo, colours, data } = v;
  v.els.strip.hidden = !stripHeight(v) || !v.stripSeen;
  if (v.els.strip.hidden) return;
  v.els.strip.style.visibility = stripShown(v) ? "" : "hidden";
  const ctx = fit(v, v.els.strip, v.width, stripHeight(v), densityOf(v));
  const map = v.view.overlay ? shownMap(v) : null;
  const order = leadOrder(data, v.view.cabrera), scale = stripScale(v);
  const high = STRIP_ROW * order.length, wide = geo.right - scale.left;
  ctx.drawImage(stripCells(v, map, order, wide, high), scale.left, 0, wide, high);
  drawStripFrame(v, ctx, scale, high);
  ctx.font = `9.5px ${v.font}`;
  ctx.fillStyle = colours.muted;
  ctx.textBaseline = "alphabetic";
  ctx.fillText(order[0]?.label || "", 8, 10);
  ctx.fillText(order.at(-1)?.label || "", 8, high - 1);
  if (map && !legendApart(v)) drawLegend(v, ctx);
  if (data.overview) drawOverview(v, ctx, high);
}

/* The cells, which stay the same while the paper moves. */
function stripCells(v, map, order, wide, high) {
  const { data } = v, density = densityOf(v);
  const key = [map?.id, v.view.tau, v.view.cabrera, wide, v.dark, density].join();
  if (v.cells?.key === key && v.cells.data === data) return v.cells.canvas;
  const canvas = document.createElement("canvas");
  const ctx = fit(v, canvas, Math.max(1, wide), high, density);
  ctx.fillStyle = v.colours.strip;
  ctx.fillRect(0, 0, wide, high);
  if (map) drawStripMap(v, ctx, map, order, (t) => ((t - data.start) / (data.stop - data.start)) * wide, wide, high);
  v.cells = { key, data, canvas };
  return canvas;
}

function drawStripMap(v, ctx, map, order, x, wide, high) {
  const unknown = [];
  order.forEach(({ lead }, row) => {
    for (let i = 0; i < map.n; i++) {
      const share = shareAt(map, lead, i), left = x(map.edges[i]);
      const cell = [left, row * STRIP_ROW, x(map.edges[i + 1]) - left, STRIP_ROW];
      if (Number.isNaN(share)) unknown.push(cell);
      else if (shownShare(v, share)) {
        ctx.fillStyle = colourOf(v, share);
        ctx.fillRect(...cell);
      }
    }
  });
  const first = x(map.edges[0]), last = x(map.edges[map.n]);
  if (first > 1) unknown.push([0, 0, first, high]);
  if (wide - last > 1) unknown.push([last, 0, wide - last, high]);
  hatch(v, ctx, unknown, 5);
}

function drawStripFrame(v, ctx, scale, high) {
  const part = v.zoom > 1.001 || v.geo.to - v.geo.from < v.data.stop - v.data.start - 0.01
    || viewStop(v) < v.geo.to - 0.01;
  ctx.strokeStyle = v.colours.text;
  if (part) {
    const left = scale.x(v.t0), right = scale.x(Math.min(viewStop(v), v.geo.to));
    ctx.lineWidth = 1.5;
    ctx.strokeRect(left + 0.75, 0.75, right - left - 1.5, high - 1.5);
  }
  const map = shownMap(v);
  if (v.cell && map && v.view.overlay && v.cell.segment < map.n) {
    const row = leadOrder(v.data, v.view.cabrera).findIndex(({ lead }) => lead === v.cell.lead);
    const x = scale.x(map.edges[v.cell.segment]);
    ctx.lineWidth = 1.5;
    ctx.strokeRect(x - 1, row * STRIP_ROW - 1, scale.x(map.edges[v.cell.segment + 1]) - x + 2, STRIP_ROW + 2);
  }
}

/* Over the lead shares: what colours and places mean. */
function drawLegend(v, ctx) {
  const x = v.geo.right + 12, wide = SWATCH_PX;
  ctx.font = `11.5px ${v.font}`;
  ctx.textBaseline = "middle";
  LEGEND.forEach(([sign, words], row) => {
    const y = 2 + 16 * row;
    ctx.fillStyle = v.colours.paper; // as on the paper, from the weakest cell to the strongest
    ctx.fillRect(x, y, wide, 12);
    ctx.globalAlpha = v.view.strength;
    for (let i = 0; sign && i < wide; i++) {
      ctx.fillStyle = colourOf(v, (sign * (i + 0.5)) / wide);
      ctx.fillRect(x + i, y, 1, 12);
    }
    ctx.globalAlpha = 1;
    if (sign) {
      ctx.fillStyle = inkOf(v, sign);
      ctx.fillRect(x, sign > 0 ? y : y + 10, wide, 2);
    } else hatch(v, ctx, [[x, y, wide, 12]], 4);
    ctx.fillStyle = v.colours.text;
    ctx.fillText(words, x + wide + 6, y + 6);
  });
}

function drawOverview(v, ctx, top) {
  const { geo, colours, data } = v;
  const left = stripScale(v).left, wide = geo.right - left, middle = top + OVERVIEW_PX / 2 + 1;
  const { low, high } = data.overview;
  const scale = wide / data.duration_sec, tall = OVERVIEW_PX / 2 - 3;
  ctx.fillStyle = colours.accent;
  ctx.globalAlpha = 0.22;
  ctx.fillRect(left + data.start * scale, top + 2, (data.stop - data.start) * scale, OVERVIEW_PX - 3);
  ctx.globalAlpha = 1;
  ctx.fillStyle = colours.muted;
  for (let i = 0; i < low.length; i++)
    ctx.fillRect(left + (i / low.length) * wide, middle - high[i] * tall, Math.max(0.7, wide / low.length),
                 Math.max(0.7, (high[i] - low[i]) * tall));
}

/* A click on the strip: the cell there is chosen and the paper goes to it; or another part of a
long record is asked for. */
function clickStrip(v, x, y) {
  const scale = stripScale(v), order = leadOrder(v.data, v.view.cabrera);
  if (v.data.overview && y > STRIP_ROW * order.length) {
    const t = ((x - scale.left) / (v.geo.right - scale.left)) * v.data.duration_sec;
    askPart(v, t - (v.data.stop - v.data.start) / 2);
    return;
  }
  const t = scale.t(x), map = shownMap(v);
  const place = order[Math.max(0, Math.min(order.length - 1, Math.floor(y / STRIP_ROW)))];
  goTo(v, place.lead, t);
  if (map) chooseCell(v, place.lead, segmentAt(map, t));
}

/* Another part of the record, which the host has to load. */
function askPart(v, from) {
  const { start, stop, duration_sec: duration } = v.data;
  const begin = Math.max(0, Math.min(from, duration - (stop - start)));
  emit(v, "wanted", { record: v.data.record.id, from_sec: +begin.toFixed(3), to_sec: +(begin + stop - start).toFixed(3) });
}

/* Bring a time, and the row of a lead, into view. */
function goTo(v, lead, t) {
  const { start, stop } = v.data;
  if (t < v.geo.from || t >= v.geo.to) {
    v.page = Math.max(start, Math.min(t - PAGE_SEC / 2, stop - PAGE_SEC));
    v.geo = geometry(v);
  }
  const seen = viewStop(v) - v.t0;
  if (t < v.t0 + 0.05 * seen || t > v.t0 + 0.95 * seen) v.t0 = t - seen / 2;
  const row = panelOf(v, lead, t)?.row, tall = v.geo.sheet / v.geo.k;
  if (row && (row.top < v.y0 || row.top + row.height > v.y0 + tall)) v.y0 = row.top + (row.height - tall) / 2;
  clampView(v);
  changed(v);
}

/* One cell on from the chosen one: rows by the order of the leads, columns by time. */
function stepCell(v, rows, columns) {
  const map = shownMap(v), order = leadOrder(v.data, v.view.cabrera);
  if (!map) return;
  const row = v.cell ? order.findIndex(({ lead }) => lead === v.cell.lead) + rows : 0;
  const segment = v.cell ? v.cell.segment + columns : Math.max(0, segmentAt(map, v.t0 + 1e-6));
  const lead = order[Math.max(0, Math.min(order.length - 1, row))].lead;
  v.cell = { lead, segment: Math.max(0, Math.min(map.n - 1, segment)) };
  goTo(v, lead, (map.edges[v.cell.segment] + map.edges[v.cell.segment + 1]) / 2);
  say(v, cellLines(v, lead, v.cell.segment).join(". "));
}
