/* map.js: the evidence. Colours, cells on the paper, hatching, outlines, and the lead shares.

Share is signed density over the map's largest. Orange speaks for the target, purple against, on
ramps of equal lightness and chroma (OKLCH), full at the largest cell. The height of a band is
linear in the share; its colour follows share ** 0.6, so that one strong cell does not make all
others too pale to see, and so does the line at its edge. The sign is also told by place: what speaks for hangs from the top of the
row, what speaks against stands on its bottom, so it survives greyscale. */

const HUES = { 1: 52, "-1": 298 };
const STEPS = 64;
const GAMMA = 0.6;

/* sRGB of an OKLCH colour (Ottosson 2020); chroma shrinks until the screen can show it. */
function oklch(lightness, chroma, hue) {
  const angle = (hue * Math.PI) / 180;
  for (let c = chroma; ; c -= 0.004) {
    const a = c * Math.cos(angle), b = c * Math.sin(angle);
    const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
    const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
    const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
    const rgb = [4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
                 -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
                 -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s];
    if (c > 0.004 && rgb.some((x) => x < -0.0005 || x > 1.0005)) continue;
    const gamma = (x) => (x <= 0.0031308 ? 12.92 * x : 1.055 * Math.min(1, x) ** (1 / 2.4) - 0.055);
    return `rgb(${rgb.map((x) => Math.round(255 * gamma(Math.max(0, x)))).join(",")})`;
  }
}

/* Ramps from nearly paper to full, by sign; `ink` is for thin lines and bars. */
function makeRamps(dark) {
  const [from, to, least, chroma] = dark ? [0.46, 0.66, 0.09, 0.19] : [0.95, 0.66, 0.05, 0.2];
  const ramp = (hue) => Array.from({ length: STEPS + 1 }, (_, i) => {
    const share = i / STEPS;
    return oklch(from + (to - from) * share, least + (chroma - least) * share, hue);
  });
  const ink = { 1: oklch(dark ? 0.74 : 0.64, 0.2, 48), "-1": oklch(dark ? 0.68 : 0.52, 0.25, 296) };
  return { 1: ramp(HUES[1]), "-1": ramp(HUES[-1]), ink };
}

const colourOf = (v, share) =>
  v.ramps[share > 0 ? 1 : -1][Math.round(Math.min(1, Math.abs(share)) ** GAMMA * STEPS)];
const inkOf = (v, sign) => v.ramps.ink[sign];

/* Whether a lead is marked: those that the sentence names, until the reader chooses how many. */
function isMarked(v, map, lead) {
  const rank = map ? map.ranked.indexOf(lead) : -1;
  const own = map?.named && v.view.topk === usualView(v.data).topk;
  return own ? map.named.includes(v.data.leads[lead].name) : rank >= 0 && rank < v.view.topk;
}

/* Whether a cell is drawn at all: explored, not 0, and not below tau. */
const shownShare = (v, share) => Math.abs(share) > 0 && Math.abs(share) >= v.view.tau;

/* A call for each cell of a panel that is in view: (segment, left, right). */
function eachCell(v, panel, map, call) {
  const from = Math.max(panel.t0, v.t0), to = Math.min(panel.t1, viewStop(v));
  if (to <= from) return;
  for (let i = Math.max(0, segmentAt(map, from)); i < map.n && map.edges[i] < to; i++) {
    const left = xOf(v, Math.max(from, map.edges[i])), right = xOf(v, Math.min(to, map.edges[i + 1]));
    if (right > left) call(i, left, right);
  }
}

const inSight = (v) => v.geo.rows.flatMap((row) => row.panels)
  .filter(({ row }) => yOf(v, row.top) < v.geo.sheet && yOf(v, row.top + row.height) > 0);

function drawMap(v, ctx) {
  const map = shownMap(v);
  if (!map || !v.view.overlay) return;
  for (const panel of inSight(v)) {
    const top = yOf(v, panel.row.top) + 1, high = panel.row.height * v.geo.k - 2;
    eachCell(v, panel, map, (i, left, right) => {
      const share = shareAt(map, panel.lead, i);
      if (shownShare(v, share)) drawCell(v, ctx, share, left, top, right - left, high);
    });
  }
  ctx.globalAlpha = 1;
}

function drawCell(v, ctx, share, x, y, width, high) {
  const up = share > 0, size = Math.min(1, Math.abs(share));
  const edge = Math.min(high / 3, 1 + 2 * size);
  if (v.view.encoding === "band") {
    const band = high * (0.3 + 0.7 * size);
    ctx.globalAlpha = v.view.strength;
    ctx.fillStyle = colourOf(v, share);
    ctx.fillRect(x, up ? y : y + high - band, width, band);
  }
  ctx.globalAlpha = Math.max(0.55, v.view.strength) * (0.2 + 0.8 * size ** GAMMA);
  ctx.fillStyle = inkOf(v, up ? 1 : -1);
  ctx.fillRect(x, up ? y : y + high - edge, Math.max(1, width - 0.5), edge);
}

/* Hatching: cells that were not explored, and what lies outside the part that the model saw. */
function drawUnknown(v, ctx) {
  const map = shownMap(v);
  if (!map || !v.view.overlay) return;
  const areas = [];
  for (const panel of inSight(v)) {
    const top = yOf(v, panel.row.top), high = panel.row.height * v.geo.k;
    const add = (from, to) => {
      const left = xOf(v, Math.max(from, panel.t0, v.t0)), right = xOf(v, Math.min(to, panel.t1, viewStop(v)));
      if (right > left + 0.5) areas.push([left, top, right - left, high]);
    };
    add(-Infinity, map.edges[0]);
    add(map.edges[map.n], Infinity);
    for (let i = 0; i < map.n; i++) {
      if (!Number.isNaN(shareAt(map, panel.lead, i))) continue;
      let to = i + 1;
      while (to < map.n && Number.isNaN(shareAt(map, panel.lead, to))) to++;
      add(map.edges[i], map.edges[to]);
      i = to;
    }
  }
  hatch(v, ctx, areas, 7);
}

function hatch(v, ctx, areas, step) {
  if (!areas.length) return;
  ctx.save();
  ctx.beginPath();
  for (const area of areas) ctx.rect(...area);
  ctx.clip();
  ctx.beginPath();
  const low = Math.min(...areas.map((a) => a[1])), high = Math.max(...areas.map((a) => a[1] + a[3]));
  const left = Math.min(...areas.map((a) => a[0])), right = Math.max(...areas.map((a) => a[0] + a[2]));
  for (let x = Math.floor((left - (high - low)) / step) * step; x < right; x += step) {
    ctx.moveTo(x, high);
    ctx.lineTo(x + high - low, low);
  }
  ctx.strokeStyle = v.colours.hatch;
  ctx.lineWidth = 0.9;
  ctx.stroke();
  ctx.restore();
}

/* Where cardiology expects the evidence: leads and windows, solid for strict, dashed for lenient. */
function drawExpected(v, ctx) {
  const { expected } = v.data;
  if (!v.view.expected || !expected) return;
  ctx.strokeStyle = v.colours.expected;
  for (const panel of inSight(v)) {
    const name = v.data.leads[panel.lead].name;
    const strict = expected.strict.includes(name);
    if (!strict && !expected.lenient.includes(name)) continue;
    ctx.lineWidth = strict ? 1.6 : 1.1;
    ctx.setLineDash(strict ? [] : [3, 3]);
    const top = yOf(v, panel.row.top) + 2, high = panel.row.height * v.geo.k - 4;
    for (const [from, to] of expected.windows_sec) {
      const left = xOf(v, Math.max(from, panel.t0, v.t0)), right = xOf(v, Math.min(to, panel.t1, viewStop(v)));
      if (right > left) ctx.strokeRect(left, top, right - left, high);
    }
  }
  ctx.setLineDash([]);
}

/* A corner on cells where methods disagree; only on cells that are shown. */
function drawDisagreement(v, ctx) {
  const map = shownMap(v);
  if (!map?.agreement || !v.view.disagreement || !v.view.overlay) return;
  ctx.fillStyle = v.colours.text;
  for (const panel of inSight(v)) {
    const own = map.leads[panel.lead], top = yOf(v, panel.row.top) + 1;
    if (!own) continue;
    eachCell(v, panel, map, (i, left, right) => {
      if (map.agreement[own.row * map.n + i] !== -1 || !shownShare(v, shareAt(map, panel.lead, i))) return;
      const size = Math.min(7, right - left);
      ctx.beginPath();
      ctx.moveTo(right, top);
      ctx.lineTo(right - size, top);
      ctx.lineTo(right, top + size);
      ctx.fill();
    });
  }
}

/* Beside the rows: how much of the evidence each lead holds, for and against. */
function drawShares(v, ctx) {
  const { geo, colours } = v;
  const map = v.view.overlay ? shownMap(v) : null;
  ctx.fillStyle = colours.page;
  ctx.fillRect(geo.right, 0, v.width - geo.right, geo.sheet);
  if (!map || geo.narrow) return;
  const most = Math.max(...map.leads.map((own) => own?.share || 0), 1e-9);
  const wide = Math.min(260, geo.side - 70), x = geo.right + 12;
  if (v.view.layout !== "12x1") return drawShareList(v, ctx, map, x, wide / most);
  for (const { row, lead } of inSight(v)) {
    const top = yOf(v, row.top), bottom = top + row.height * geo.k;
    const y = Math.min(Math.max(yOf(v, row.zero), top + 8), bottom - 8);
    drawShare(v, ctx, map.leads[lead], isMarked(v, map, lead), x, y, wide / most, "");
  }
}

/* Several leads stand in one row: their shares as a list, the largest first. */
function drawShareList(v, ctx, map, x, scale) {
  const step = Math.min(22, v.geo.sheet / Math.max(1, map.ranked.length));
  map.ranked.forEach((lead, i) => {
    drawShare(v, ctx, map.leads[lead], isMarked(v, map, lead), x + 34, step * (i + 0.5), scale * 0.72, v.data.leads[lead].name);
  });
}

function drawShare(v, ctx, own, marked, x, y, scale, name) {
  const { colours } = v;
  ctx.textBaseline = "middle";
  ctx.font = `${marked ? 700 : 400} 12px ${v.font}`;
  ctx.fillStyle = own ? colours.text : colours.muted;
  if (name) ctx.fillText(name, x - 34, y);
  if (!own) {
    ctx.fillText("not in the map", x, y);
    return;
  }
  const up = own.up * scale, down = own.down * scale;
  ctx.fillStyle = inkOf(v, 1);
  ctx.fillRect(x, y - 6, up, 12);
  ctx.fillStyle = inkOf(v, -1);
  ctx.fillRect(x + up, y - 6, down, 12);
  ctx.fillStyle = marked ? colours.text : colours.muted;
  ctx.fillText(percent(own.share), x + up + down + 6, y);
}
