/* state.js: what the viewer was given and what it shows of it.

decode() turns a payload (ecgxai_core/viewer/payload.py documents it) into arrays; a view is a plain
object of the fields in FIELDS. Views, calipers and regions are kept in MEMORY, which outlives
reruns and page changes because the module is loaded once. */

const SCHEMA = 1;
const GAP = -32768; // the count that stands for a missing sample
const PAGE_SEC = 10;
const MEMORY = new Map();
const MOST_KEPT = 200;

const flag = (usual) => ({ usual, ok: (x) => x === true || x === false, text: (x) => (x ? "1" : "0"),
                           parse: (t) => ({ 1: true, 0: false })[t] });
const number = (usual, low, high) => ({ usual, ok: (x) => x >= low && x <= high,
                                        text: (x) => String(+x.toFixed(4)), parse: Number });
const oneOf = (usual, ...all) => ({ usual, ok: (x) => all.includes(x), text: String, all,
                                    parse: (t) => all.find((x) => String(x) === t) });

/* Every field of a view: its usual value, which values it takes, and how it stands in the URL. */
const FIELDS = {
  map: { usual: "", ok: (x) => typeof x === "string" && x.length <= 100, text: String, parse: String },
  overlay: flag(true),
  strength: number(0.9, 0.1, 1),
  tau: number(0.05, 0, 1),
  topk: number(3, 0, 12),
  encoding: oneOf("band", "band", "trace"),
  layout: oneOf("12x1", "12x1", "3x4", "6x2"),
  cabrera: flag(false),
  speed: oneOf(25, 25, 50),
  gain: oneOf("auto", "auto", 2.5, 5, 10, 20), // auto: 10, or less where the leads would not fit
  expected: flag(false),
  disagreement: flag(false),
};

/* Fields of a view that are valid; anything else is left out. */
function validView(given) {
  const kept = Object.entries(given || {}).filter(([name, x]) => FIELDS[name]?.ok(x));
  return Object.fromEntries(kept);
}

const usualView = (data) => ({
  ...Object.fromEntries(Object.entries(FIELDS).map(([name, field]) => [name, field.usual])),
  ...validView(data.defaults),
});

/* What differs from the usual view, as it stands in the URL: "layout-3x4*gain-5*zoom-1.2-3.4". */
function viewText(v) {
  const usual = usualView(v.data);
  const parts = Object.entries(FIELDS)
    .filter(([name]) => v.view[name] !== usual[name] && !(name === "map" && (v.view.map === v.data.first || shownMap(v)?.private)))
    .map(([name, field]) => `${name}-${field.text(v.view[name])}`);
  if (v.zoom > 1.001 || Math.abs(v.t0 - homeSec(v.data)) > 0.05) parts.push(`zoom-${v.t0.toFixed(2)}-${viewStop(v).toFixed(2)}`);
  return parts.join("*");
}

/* The inverse of viewText(); what makes no sense is left out. */
function viewFrom(text) {
  const found = {};
  let zoom = null;
  for (const part of String(text || "").slice(0, 500).split("*")) {
    const [, name, value] = part.match(/^([a-z]+)-(.*)$/) || [];
    if (name === "zoom") {
      const [from, to] = value.split("-").map(Number);
      if (to - from > 0.02) zoom = [from, to];
    } else if (FIELDS[name]) found[name] = FIELDS[name].parse(value);
  }
  return { view: validView(found), zoom };
}

/* Memory of one viewer: its view, and by record the zoom, calipers and regions. */
function remembered(key) {
  if (!MEMORY.has(key)) MEMORY.set(key, { view: null, given: null, defaults: null, records: new Map() });
  return MEMORY.get(key);
}

/* The view as it was left, but for the fields that the host begins otherwise than before. */
function leftView(memory, defaults) {
  const left = validView(memory.view), before = memory.defaults;
  for (const name of Object.keys(defaults || {})) if (before && before[name] !== defaults[name]) delete left[name];
  memory.defaults = defaults || {};
  return left;
}

function rememberedRecord(memory, id) {
  const kept = memory.records.get(id) || { zoom: 1, t0: null, y0: 0, calipers: [], regions: null };
  memory.records.delete(id); // the latest stands last, the oldest goes first
  memory.records.set(id, kept);
  if (memory.records.size > MOST_KEPT) memory.records.delete(memory.records.keys().next().value);
  return kept;
}

function bytes(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const raw = atob(text);
  const out = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
  return out;
}

/* A payload as arrays. The payload itself is not changed. */
function decode(payload) {
  if (payload.schema !== "ecgxai-viewer" || payload.version !== SCHEMA)
    throw new Error(`viewer: payload of version ${payload.version}, expected ${SCHEMA}`);
  const { signal } = payload;
  const counts = new Int16Array(bytes(signal.counts).buffer);
  const leads = signal.leads.map((name, i) => {
    const lead = { name, scale: signal.scale[i],
                   counts: counts.subarray(i * signal.samples, (i + 1) * signal.samples) };
    return Object.assign(lead, reachOf(lead, signal.fs));
  });
  const data = { ...payload, leads, fs: signal.fs, samples: signal.samples, start: signal.start_sec,
                 stop: signal.start_sec + signal.samples / signal.fs };
  data.maps = payload.maps.map((map) => decodeMap(map, data));
  data.first = data.maps.some((map) => map.id === payload.first) ? payload.first
                                                                 : data.maps[0]?.id || "";
  return data;
}

/* How high a row must be, mV: {low, high} hold the beats; {least, most} all that was recorded.

Each second is measured from its own median. Seconds that reach twice as far as the usual one
(an electrode that was touched) do not count, nor does a wandering baseline: what then leaves the
row is cut there and marked (trace.js). `wander` is how far the baseline moves, 0 where it rests. */
function reachOf(lead, fs) {
  const step = Math.max(1, Math.round(fs));
  const seconds = [];
  let least = Infinity, most = -Infinity;
  for (let from = 0; from < lead.counts.length; from += step) {
    const part = lead.counts.subarray(from, from + step).filter((x) => x !== GAP).sort();
    if (part.length < Math.min(step, lead.counts.length) / 4) continue;
    const at = (share) => part[Math.round(share * (part.length - 1))] * lead.scale;
    seconds.push({ middle: at(0.5), up: at(1) - at(0.5), down: at(0.5) - at(0) });
    least = Math.min(least, at(0));
    most = Math.max(most, at(1));
  }
  if (!seconds.length) return { low: -0.5, high: 0.5, least: 0, most: 0, wander: 0, rest: 0, empty: true };
  const sorted = (name) => seconds.map((s) => s[name]).sort((a, b) => a - b);
  const within = (name) => {
    const all = sorted(name);
    const limit = 2 * all[all.length >> 1] + 0.3;
    return Math.min(12, all.filter((x) => x <= limit).at(-1));
  };
  const middles = sorted("middle");
  const middle = middles[middles.length >> 1];
  const drift = middles[Math.floor(0.9 * (middles.length - 1))] - middles[Math.ceil(0.1 * (middles.length - 1))];
  const wander = drift > 0.4 ? drift : 0;
  const spare = Math.min(0.2, drift / 2) + 0.02;
  return { low: middle - Math.max(0.2, within("down")) - spare, least, most, wander, rest: middle,
           high: middle + Math.max(0.25, within("up")) + spare };
}

function decodeMap(given, data) {
  const edges = Float64Array.from(given.edges_sec);
  const agreement = given.agreement ? new Int8Array(bytes(given.agreement).buffer) : null;
  const weights = new Float32Array(bytes(given.weights).buffer);
  const title = given.preliminary ? `${given.title} (preliminary)` : given.title;
  return mapOf({ ...given, title, edges, n: edges.length - 1, weights, agreement }, data);
}

/* One map: `share` is signed density over the largest, by lead of the map and segment; NaN where
not explored. `leads[i]` holds what lead i of the record has of the map, or null. */
function mapOf(given, data) {
  const { edges, n, weights } = given;
  const share = new Float64Array(weights.length);
  let full = 0, total = 0;
  for (let i = 0; i < weights.length; i++) {
    share[i] = weights[i] / (edges[(i % n) + 1] - edges[i % n]);
    if (!Number.isNaN(weights[i])) {
      full = Math.max(full, Math.abs(share[i]));
      total += Math.abs(weights[i]);
    }
  }
  for (let i = 0; i < share.length; i++) share[i] /= given.full || full || 1;
  const leads = data.leads.map(({ name }) => {
    const row = given.leads.indexOf(name);
    if (row < 0) return null;
    let up = 0, down = 0;
    for (let i = row * n; i < (row + 1) * n; i++) {
      if (weights[i] > 0) up += weights[i];
      else if (weights[i] < 0) down -= weights[i];
    }
    return { row, share: (up + down) / (total || 1), up: up / (total || 1), down: down / (total || 1) };
  });
  const ranked = data.leads.map((_, i) => i).filter((i) => leads[i]?.share > 0);
  const place = (i) => (given.ranking ? given.ranking.indexOf(data.leads[i].name) + 1 || 99 : 0);
  ranked.sort((a, b) => place(a) - place(b) || leads[b].share - leads[a].share || a - b);
  return { ...given, share, total, leads, ranked };
}

/* The map that is shown, or null. */
const shownMap = (v) => v.data.maps.find((map) => map.id === v.view.map) || null;

/* The segment of a map at a time, or -1. */
function segmentAt(map, t) {
  if (t < map.edges[0] || t >= map.edges[map.n]) return -1;
  let low = 0, high = map.n;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (map.edges[middle] <= t) low = middle;
    else high = middle;
  }
  return low;
}

/* Signed share of a cell, NaN where not explored or not in the map. */
function shareAt(map, lead, segment) {
  const own = map.leads[lead];
  return own && segment >= 0 ? map.share[own.row * map.n + segment] : NaN;
}

/* The sample nearest to a time as mV, NaN where there is none. */
function mvAt(data, lead, t) {
  const count = data.leads[lead].counts[Math.round((t - data.start) * data.fs)];
  return count === undefined || count === GAP ? NaN : count * data.leads[lead].scale;
}
