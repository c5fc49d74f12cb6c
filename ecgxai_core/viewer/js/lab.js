/* lab.js: the map that others are joined to, under the settings that the reader is choosing, at once.

A port of ecgxai_core/fusion (maps.fuse, cells.combine, grid, families.take_signs, aggregations), which
stays the definition: while a slider of the page moves, its map is made here, and the host's own map
takes its place as soon as it arrives. The tests compare both, setting by setting. */

const EDGE_TOLERANCE_SEC = 1e-6;
const NOTHING = 1e-12; // a map without a larger weight is empty
const DISAGREEMENT_FACTOR = 0.5;

/* Magnitude of a cell from those that explored it: {size, share, relative} of each method. */
const AGGREGATE = {
  geomean: (all) => Math.exp(all.reduce((sum, m) => sum + (m.share > 0 ? m.share * Math.log(m.size) : 0), 0)),
  mean: (all) => all.reduce((sum, m) => sum + m.share * m.size, 0),
  min: (all) => Math.min(...all.map((m) => 1 - m.relative * (1 - m.size))),
  max: (all) => Math.max(...all.map((m) => m.relative * m.size)),
};

/* All edges of some maps, those equal up to rounding once. */
function unionEdges(maps) {
  const edges = maps.flatMap((map) => [...map.edges]).sort((a, b) => a - b);
  return Float64Array.from(edges.filter((t, i) => i === 0 || t - edges[i - 1] > EDGE_TOLERANCE_SEC));
}

/* A map's density on a finer grid, for some leads of the record and each cell; NaN where not explored. */
function densityOn(map, leads, edges) {
  const n = edges.length - 1, found = new Float64Array(leads.length * n).fill(NaN);
  for (let i = 0; i < n; i++) {
    const segment = segmentAt(map, (edges[i] + edges[i + 1]) / 2);
    if (segment < 0) continue;
    const seconds = map.edges[segment + 1] - map.edges[segment];
    leads.forEach((lead, row) => {
      const own = map.leads[lead];
      if (own) found[row * n + i] = map.weights[own.row * map.n + segment] / seconds;
    });
  }
  return found;
}

const largestOf = (values, from = 0, to = values.length) => {
  let most = 0;
  for (let i = from; i < to; i++) if (Math.abs(values[i]) > most) most = Math.abs(values[i]);
  return most;
};

/* The maps that count, with their weights: neither empty (unless all are) nor of weight 0. */
function counted(maps, weights) {
  const chosen = maps.map((map, i) => ({ map, weight: weights[i] })).filter(({ weight }) => weight > 0);
  const some = chosen.filter(({ map }) => largestOf(map.weights) > NOTHING);
  return some.length ? some : chosen;
}

/* Fuse maps of one record: {leads, edges, weights, agreement, ranking, largest}, or null where the
settings are none that this file knows. Cells are by lead of `leads` (places in the record), NaN where
not explored; `largest` is the largest |density|; the ranking names every lead that has a weight. */
function fuseMaps(maps, weights, settings, unsigned = []) {
  const chosen = counted(maps, weights), how = AGGREGATE[settings.agg];
  if (!how || !chosen.length) return null;
  const edges = unionEdges(chosen.map(({ map }) => map)), n = edges.length - 1;
  const leads = [...maps[0].leads.keys()].filter((lead) => chosen.some(({ map }) => map.leads[lead]));
  const parts = chosen.map(({ map, weight }) => ({ weight, signed: !unsigned.includes(map.id),
                                                   ...scaledOf(densityOn(map, leads, edges), n, settings) }));
  takeSigns(parts);
  const top = Math.max(...parts.map((part) => part.weight));
  const joined = { leads, edges, n, weights: new Float32Array(leads.length * n).fill(NaN),
                  agreement: new Int8Array(leads.length * n), largest: 0 };
  const sums = new Float64Array(leads.length);
  for (let i = 0; i < joined.weights.length; i++) {
    const cell = fuseCell(parts, i, how, top, settings), seconds = edges[(i % n) + 1] - edges[i % n];
    if (!cell) continue;
    joined.weights[i] = cell.value * seconds;
    joined.agreement[i] = cell.agreement;
    joined.largest = Math.max(joined.largest, Math.abs(cell.value));
    sums[Math.floor(i / n)] += Math.abs(cell.value * seconds);
  }
  const ranking = [...leads.keys()].filter((row) => sums[row] > 0).sort((a, b) => sums[b] - sums[a] || a - b);
  return { ...joined, ranking: ranking.map((row) => leads[row]) };
}

/* Densities over the largest of the map, or of each lead; and which cells the method found. */
function scaledOf(raw, n, { scale, found }) {
  const most = largestOf(raw), scaled = raw.slice();
  for (let row = 0; row < raw.length; row += n) {
    const peak = (scale === "lead" ? largestOf(raw, row, row + n) : most) || 1;
    for (let i = row; i < row + n; i++) scaled[i] /= peak;
  }
  return { scaled, found: Uint8Array.from(raw, (x) => Math.abs(x) >= found * most) };
}

/* Weights without a sign take that of the weighted mean of the signed ones, cell by cell. */
function takeSigns(parts) {
  const signed = parts.filter((part) => part.signed), bare = parts.filter((part) => !part.signed);
  if (!signed.length || !bare.length) return;
  for (let i = 0; i < parts[0].scaled.length; i++) {
    const mean = signed.reduce((sum, { weight, scaled }) => sum + weight * (scaled[i] || 0), 0);
    if (mean < 0) for (const { scaled } of bare) scaled[i] *= -1;
  }
}

/* One cell of several methods: {value, agreement}, or null where none explored it. */
function fuseCell(parts, i, how, top, { beta, sign_policy: policy }) {
  const there = parts.filter((part) => !Number.isNaN(part.scaled[i]));
  if (!there.length) return null;
  const total = there.reduce((sum, part) => sum + part.weight, 0);
  const most = Math.max(...there.map((part) => part.weight));
  const all = there.map(({ weight, scaled }) => ({ value: scaled[i], size: Math.abs(scaled[i]),
                                                   share: weight / total, relative: weight / most }));
  const up = all.filter((m) => m.value > 0).length, down = all.filter((m) => m.value < 0).length;
  const disagree = up > 0 && down > 0;
  let value = how(all) * (policy === "abs" && all.length > 1 ? 1 : Math.sign(up - down));
  if (disagree && policy === "drop") value = 0;
  if (disagree && policy === "penalize")
    value = DISAGREEMENT_FACTOR * all.reduce((sum, m) => sum + m.share * m.value, 0);
  value *= most / top;
  if (parts.length > 1 && there.filter((part) => part.found[i]).length < 2) value *= beta;
  return { value, agreement: disagree ? -1 : Math.min(2, up + down) };
}

/* One weight a map: those of the methods, of which one slider moves one, or the first against the
second ("share"); maps from elsewhere have the mean. */
function labWeights({ methods, weights: usual }, pending) {
  const weights = usual.map((weight, i) => pending[`weight ${i}`] ?? weight);
  if ("share" in pending) weights.splice(0, 2, pending.share, +(1 - pending.share).toFixed(2));
  const mean = weights.reduce((sum, w) => sum + w, 0) / weights.length;
  return methods.map((_, i) => weights[i] ?? mean);
}

/* The data as they would be with other settings: another joined map, and where tau and topk then
begin. Null where the settings are none that this file knows. */
function labData(data, pending) {
  const { lab } = data, settings = { ...lab.settings, ...pending };
  const maps = lab.methods.map((id) => data.maps.find((map) => map.id === id));
  const joined = fuseMaps(maps, labWeights(lab, pending), settings, lab.unsigned);
  if (!joined) return null;
  const mass = settings.tau_mode === "mass", name = (lead) => data.leads[lead].name;
  if (mass) joined.weights.forEach((w, i) => { if (Math.abs(w) < settings.tau) joined.weights[i] = 0; });
  const old = data.maps.find((map) => map.id === lab.result);
  const map = mapOf({ ...old, ...joined, leads: joined.leads.map(name), full: null,
                      ranking: joined.ranking.slice(0, settings.topk).map(name), named: null }, data);
  const tau = mass || !joined.largest ? 0 : Math.min(1, +(settings.tau / joined.largest).toFixed(4));
  return { ...data, maps: data.maps.map((one) => (one === old ? map : one)),
           defaults: { ...data.defaults, tau, topk: settings.topk } };
}

/* Where the host's settings have a slider. */
const labValue = ({ settings, weights }, name) => name === "share" ? weights[0] / (weights[0] + weights[1] || 1)
  : name.startsWith("weight ") ? weights[+name.slice(7)] : settings[name];

const sliderOf = (lab, name) => document.querySelector(`${lab.controls[name]} input[type=range]`);

/* The data to show: as they came, or joined anew where the reader has moved on since they were made.
What the host has answered, or has set itself, is no longer the reader's. */
function labShown(v) {
  const { lab } = v.given;
  if (!lab) return v.given;
  for (const [name, value] of Object.entries(v.pending)) {
    const slider = sliderOf(lab, name);
    const answered = Math.abs(labValue(lab, name) - value) < 1e-6;
    if (answered || !slider || Math.abs(slider.value - value) > 1e-6) delete v.pending[name];
  }
  return (Object.keys(v.pending).length && labData(v.given, v.pending)) || v.given;
}

/* Which slider of the page the reader touches: those that the host moves bring their own map. */
function touchLab(v, event) {
  const controls = Object.entries(v.given?.lab?.controls || {});
  v.touched = event.target instanceof Element && controls.find(([, place]) => event.target.closest(place))?.[0];
}

/* A slider of the page has moved: show the map of where the reader put it, or again that of the
host, where the reader or the host has put it back. */
function answerLab(v) {
  const lab = v.given?.lab, slider = lab && v.touched && sliderOf(lab, v.touched);
  const before = JSON.stringify(v.pending);
  if (slider && !slider.disabled) v.pending[v.touched] = +slider.value;
  const data = lab && labShown(v), { n } = shownMap(v) || {};
  if (JSON.stringify(v.pending) === before) return;
  v.data = data;
  v.view = { ...usualView(data), ...leftView(v.memory, data.defaults) };
  if (shownMap(v)?.n !== n) v.cell = null;
  changed(v);
}
