/* bar.js: everything that is made of elements: the bar, hover box, list of keys, table of numbers.

Names and labels come from records and models: they are written as text, never as markup. */

/* An element with properties, attributes (data-, aria-, role, for) and children. */
function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (/^(data-|aria-|role$|for$|tabindex$)/.test(name)) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

const button = (text, title, onclick, more = {}) =>
  h("button", { type: "button", textContent: text, title, onclick, ...more });

function choice(v, name, label, options) {
  const select = h("select", { title: label, "aria-label": label,
                               onchange: () => { setView(v, { [name]: FIELDS[name].parse(select.value) }); changed(v); } },
    ...options.map(([value, text]) => h("option", { value: String(value), textContent: text })));
  v.els.fields[name] = { input: select, show: (value) => { select.value = String(value); } };
  return select;
}

function check(v, name, label, title) {
  const box = h("input", { type: "checkbox", title,
                           onchange: () => { setView(v, { [name]: box.checked }); changed(v); } });
  v.els.fields[name] = { input: box, show: (value) => { box.checked = value; } };
  return h("label", { title }, box, label);
}

function slider(v, name, label, title, [low, high, step], shown) {
  const out = h("output");
  const input = h("input", { type: "range", min: low, max: high, step, title, "aria-label": title,
                             oninput: () => { setView(v, { [name]: +input.value }); changed(v); } });
  v.els.fields[name] = { input, show: (value) => {
    input.value = value;
    out.textContent = shown(value);
    input.setAttribute("aria-valuetext", shown(value));
  } };
  return h("label", { title }, label, input, out);
}

const LAYOUT_NAMES = [["12x1", "12 × 1"], ["3x4", "3 × 4 + II"], ["6x2", "6 × 2"]];

/* The bar, once; syncBar() fills it. */
function buildBar(v) {
  const whole = (x) => `${Math.round(x * 100)} %`;
  const { els } = v;
  els.fields = {};
  els.record = h("span", { className: "record" });
  els.before = button("‹", "previous record (←)", () => act(v, () => stepRecord(v, -1)), { "aria-label": "previous record" });
  els.changed = h("span", { className: "changed", hidden: true });
  els.next = button("›", "next record (→)", () => act(v, () => stepRecord(v, 1)), { "aria-label": "next record" });
  els.maps = h("span", { className: "group" });
  els.sliders = h("span", { className: "group" },
    slider(v, "strength", "Strength", "how strong the colours are", [0.1, 1, 0.05], whole),
    slider(v, "tau", "Hide below", "tau: cells below this share of the largest are not drawn", [0, 0.5, 0.01], whole));
  els.caliper = button("Caliper", "measure: drag, or click the two ends (C)", () => act(v, () => setMode(v, "caliper")));
  els.region = button("Region", "mark a region of a lead (R)", () => act(v, () => setMode(v, "region")));
  els.whole = button("Whole", "whole record (0, or double click)", () => act(v, () => wholeRecord(v)));
  els.gain = choice(v, "gain", "Gain (+ −)", FIELDS.gain.all.map((x) => [x, x === "auto" ? "auto" : `${x} mm/mV`]));
  els.panel = h("div", { className: "panel" },
    choiceRow("Map drawn as", choice(v, "encoding", "Map drawn as", [["band", "band behind the trace"], ["trace", "coloured trace"]])),
    choiceRow("Leads named", choice(v, "topk", "topk: how many leads of the ranking are marked",
      Array.from({ length: 13 }, (_, i) => [i, i ? `first ${i}` : "none"]))),
    check(v, "expected", "Where cardiology expects evidence", "leads and windows of the table of diagnoses; dashed: lenient"),
    check(v, "disagreement", "Mark cells where methods disagree", "a dark corner, on cells that are shown"),
    check(v, "cabrera", "Cabrera order", "aVL, I, −aVR, II, aVF, III"),
    choiceRow("Paper speed", choice(v, "speed", "Paper speed", FIELDS.speed.all.map((x) => [x, `${x} mm/s`]))),
    button("The numbers as a table", "every lead and cell of the map that is shown", () => showTable(v)));
  els.more = h("details", { className: "more" }, h("summary", { textContent: "View", title: "more of how it is drawn" }), els.panel);
  els.bar = h("div", { className: "bar", role: "toolbar", "aria-label": "ECG viewer" },
    els.before, els.record, els.changed, els.next, els.maps, els.sliders, h("span", { className: "gap" }),
    choice(v, "layout", "Layout (L)", LAYOUT_NAMES), els.gain,
    els.whole, els.caliper, els.region, els.more,
    button("?", "keys (?)", () => showHelp(v), { "aria-label": "list of keys" }));
  return els.bar;
}

const choiceRow = (text, select) => h("label", { className: "row" }, text, select);

/* Do something that a button asks for. */
function act(v, what) {
  what();
  changed(v);
}

/* What colours and places mean, where that has no room beside the strip. */
const buildLegend = () => h("div", { className: "legend" }, ...LEGEND.map(([sign, words]) =>
  h("span", {}, h("i", { className: { 1: "for", "-1": "against", 0: "unknown" }[sign] }), words)));

/* The choice of maps follows the payload. */
function fillMaps(v) {
  const { maps } = v.data;
  v.els.maps.replaceChildren();
  if (!maps.length) {
    v.els.maps.append(h("span", { className: "muted", textContent: "no map" }));
    return;
  }
  v.els.maps.append(check(v, "overlay", "Map", "map on, off (E)"),
    choice(v, "map", "Map shown (M)", maps.map((map) => [map.id, map.title])));
}

/* Show in the bar what is so. */
function syncBar(v) {
  const { els, data } = v;
  for (const [name, { show }] of Object.entries(els.fields)) show(v.view[name]);
  const own = v.gain < 10 ? `${v.gain} mm/mV (${reducedGain(v)})` : `${v.gain} mm/mV`;
  els.fields.gain.input.options[0].textContent = v.view.gain === "auto" ? own : "auto";
  els.fields.gain.input.classList.toggle("unusual", v.gain !== 10);
  const position = data.position;
  els.record.textContent = data.record.title + (position ? ` · ${(v.asked ?? position.index) + 1}/${position.count}` : "");
  els.record.title = data.record.title;
  els.changed.hidden = !data.changed;
  els.changed.textContent = els.changed.title = data.changed ? `changed: ${data.changed}` : "";
  els.before.hidden = els.next.hidden = !position;
  if (position) {
    els.before.disabled = (v.asked ?? position.index) <= 0;
    els.next.disabled = (v.asked ?? position.index) >= position.count - 1;
  }
  els.caliper.setAttribute("aria-pressed", v.mode === "caliper");
  els.region.setAttribute("aria-pressed", v.mode === "region");
  els.whole.hidden = v.zoom <= 1.001;
  settle(els, els.sliders, els.maps, v.width >= 1060);
  els.sliders.hidden = !data.maps.length;
  els.legend.hidden = !legendApart(v) || !v.view.overlay || !shownMap(v);
  settle(els, els.gain, els.fields.layout.input, v.width >= 560);
  settle(els, els.region, els.caliper, v.width >= 560);
  const { expected, disagreement, strength, tau, topk } = els.fields;
  for (const { input } of [strength, tau, topk])
    enable(input, v.view.overlay && !!shownMap(v), input.ariaLabel, "no map is shown");
  enable(expected.input, !!data.expected, "leads and windows of the table of diagnoses; dashed: lenient",
         "not known for this target");
  enable(disagreement.input, !!shownMap(v)?.agreement, "a dark corner, on cells that are shown",
         "this map comes from one method");
  els.marks.hidden = !v.mode && !v.kept.calipers.length && !v.kept.regions.length;
  els.march.disabled = !v.kept.calipers.length;
  els.remove.disabled = !v.kept.calipers.length && !v.kept.regions.length;
  els.stage.style.cursor = v.mode ? "crosshair" : "";
  const touch = v.mode || v.zoom > 1.001 || v.geo.height * v.geo.k > v.geo.sheet + 2 ? "none" : "pan-y";
  els.over.style.touchAction = touch;
  els.foot.textContent = footText(v);
}

/* A group stands in the bar after its neighbour, or where that is too narrow in the panel. */
function settle(els, group, neighbour, inBar) {
  if (inBar && group.parentNode !== els.bar) neighbour.after(group);
  if (!inBar && group.parentNode !== els.panel) els.panel.prepend(group);
}

/* A control that cannot change anything now says why. */
function enable(input, on, title, why) {
  input.disabled = !on;
  input.title = input.parentNode.title = on ? title : why;
}

const reducedGain = ({ gain }) => (gain === 5 ? "half" : "quarter");

/* Under the paper: scale, filter, what part is shown, what differs from the profile. */
function footText(v) {
  const { data, view, geo } = v;
  const shown = Math.min(viewStop(v), geo.to) - v.t0;
  const half = view.gain === "auto" && v.gain < 10 ? ` (${reducedGain(v)} gain, so that all leads fit at this width)` : "";
  const parts = [`${view.speed} mm/s, ${v.gain} mm/mV${half}; pulse 1 mV, 200 ms`, data.filter_text];
  if (shown < data.duration_sec - 0.02) parts.push(`${v.t0.toFixed(1)} to ${(v.t0 + shown).toFixed(1)} s of ${data.duration_sec.toFixed(1)} s`);
  else if (data.duration_sec < PAGE_SEC - 0.02) parts.push(`record of ${data.duration_sec.toFixed(1)} s, shorter than the page`);
  if (data.derived?.length) parts.push("† follows from I and II");
  const wandering = data.leads.filter((lead) => lead.wander);
  const most = Math.max(...wandering.map((lead) => lead.wander)).toFixed(1);
  if (wandering.length > 4) parts.push(`the baseline of ${wandering.length} leads wanders, by up to ${most} mV`);
  else if (wandering.length) parts.push(`baseline wanders: ${wandering.map((lead) => `${lead.name} ${lead.wander.toFixed(1)} mV`).join(", ")}`);
  if (view.overlay && shownMap(v)) parts.push(`colour: weight per second; ${geo.narrow ? "%" : "bars"}: each lead's share of the total`);
  if (shownMap(v)?.preliminary) parts.unshift("PRELIMINARY MAP, not refined to the end");
  return [...parts, ...(data.settings || []), ...(data.notes || [])].join(" · ");
}

/* What is known of one cell, in lines for people. */
function cellLines(v, lead, segment, t = null) {
  const map = shownMap(v), { name } = v.data.leads[lead];
  const middle = t ?? (map.edges[segment] + map.edges[segment + 1]) / 2;
  const mv = mvAt(v.data, lead, middle);
  const span = map && segment >= 0 ? `${map.edges[segment].toFixed(2)} to ${map.edges[segment + 1].toFixed(2)} s` : "";
  const lines = [t === null ? `${name}, ${span}` : `${name} · ${t.toFixed(3)} s · ${Number.isNaN(mv) ? "no sample" : `${signed(mv, 2)} mV`}`];
  const wave = waveAt(v.data, middle);
  if (wave) lines.push(wave);
  if (!map || !v.view.overlay) return lines;
  const share = shareAt(map, lead, segment);
  if (segment < 0) lines.push(outside(v, middle) ? "outside what the model sees" : "not explored");
  else if (Number.isNaN(share)) lines.push("not explored");
  else {
    const weight = map.weights[map.leads[lead].row * map.n + segment];
    const sign = weight > 0 ? "for" : weight < 0 ? "against" : "no weight";
    const size = (100 * Math.abs(weight)) / (map.total || 1);
    lines.push(`${weight ? `${size < 0.05 ? "<0.1" : size.toFixed(1)} % of the evidence ${sign}` : sign}${t === null ? "" : `, ${span}`}`);
    lines.push(...methodLines(v, map, lead, middle, weight));
  }
  if ((v.data.derived || []).includes(name)) lines.push("derived lead: follows from I and II");
  return lines;
}

const outside = (v, t) => v.data.seen_sec && (t < v.data.seen_sec[0] || t >= v.data.seen_sec[1]);

/* Waves whose label has another meaning too. */
const WAVE_NAMES = { TP: "T-P segment", PR: "PR segment" };

/* "QRS of beat 5" */
function waveAt(data, t) {
  const { waves, beats_sec: beats } = data;
  const label = waves ? waves.labels[waves.edges_sec.findLastIndex((edge) => edge <= t)] : null;
  if (!beats?.length) return WAVE_NAMES[label] || label || "";
  let beat = 0;
  beats.forEach((peak, i) => { if (Math.abs(peak - t) < Math.abs(beats[beat] - t)) beat = i; });
  return label ? `${WAVE_NAMES[label] || label} of beat ${beat + 1}` : `beat ${beat + 1}`;
}

/* Which of the other methods give this cell the same sign. */
function methodLines(v, map, lead, t, weight) {
  const groups = { agree: [], disagree: [], "did not explore it": [] };
  for (const other of v.data.maps) {
    if (other === map || other.kind !== "method") continue;
    const share = shareAt(other, lead, segmentAt(other, t));
    const group = Number.isNaN(share) ? "did not explore it" : Math.sign(share) === Math.sign(weight) ? "agree" : "disagree";
    groups[group].push(other.title);
  }
  return Object.entries(groups).filter(([, names]) => names.length)
    .map(([what, names]) => `${names.join(", ")} ${names.length === 1 && what.endsWith("agree") ? `${what}s` : what}`);
}

function showTip(v, x, y) {
  const place = placeAt(v, x, y);
  const { tip } = v.els;
  if (!place) return hideTip(v);
  const lines = cellLines(v, place.lead, place.segment, place.t);
  tip.replaceChildren(...lines.map((line, i) => h(i ? "div" : "b", { textContent: line })));
  tip.hidden = false;
  const left = x + 16 + tip.offsetWidth > v.width ? x - 16 - tip.offsetWidth : x + 16;
  const top = Math.max(2, Math.min(y + 14, v.geo.sheet - tip.offsetHeight));
  tip.style.transform = `translate(${Math.max(2, Math.round(left))}px, ${Math.round(top)}px)`;
}

const hideTip = (v) => { v.els.tip.hidden = true; };

/* A dialog that Escape and its button close, and that gives the focus back. */
function openDialog(v, title, ...content) {
  v.els.more.open = false;
  const dialog = h("dialog", { className: "dialog", "aria-label": title, onclose: () => dialog.remove() },
    h("div", { className: "head" }, h("b", { textContent: title }), button("Close", "close (Esc)", () => dialog.close())),
    ...content);
  v.root.append(dialog);
  dialog.showModal();
}

function showHelp(v) {
  openDialog(v, "Keys", h("table", {}, ...HELP.map(([key, what]) =>
    h("tr", {}, h("th", { textContent: key }), h("td", { textContent: what })))));
}

function tableOf(caption, heads, rows) {
  return h("table", {}, h("caption", { textContent: caption }),
    h("thead", {}, h("tr", {}, ...heads.map((text) => h("th", { textContent: text, scope: "col" })))),
    h("tbody", {}, ...rows.map((row) => h("tr", {}, ...row.map((text) => h("td", { textContent: text }))))));
}

/* The map as numbers: leads by rank, then every cell, the strongest first. */
function showTable(v) {
  const map = shownMap(v), { data } = v;
  if (!map) {
    openDialog(v, "The same numbers as a table", h("p", { textContent: "There is no map of this record." }));
    return;
  }
  const leads = map.ranked.map((lead, i) => {
    const own = map.leads[lead];
    return [i + 1, data.leads[lead].name, ...[own.share, own.up, own.down].map((x) => `${(100 * x).toFixed(2)} %`)];
  });
  const cells = [];
  map.leads.forEach((own, lead) => {
    for (let i = 0; own && i < map.n; i++) cells.push([lead, i, map.weights[own.row * map.n + i]]);
  });
  const size = ([, , weight]) => (Number.isNaN(weight) ? -1 : Math.abs(weight));
  cells.sort((a, b) => size(b) - size(a) || a[0] - b[0] || a[1] - b[1]);
  const rows = cells.map(([lead, i, weight]) => {
    const from = map.edges[i], to = map.edges[i + 1], known = !Number.isNaN(weight);
    return [data.leads[lead].name, from.toFixed(3), to.toFixed(3), waveAt(data, (from + to) / 2) || "–",
            known ? weight.toPrecision(4) : "–", known ? `${((100 * Math.abs(weight)) / (map.total || 1)).toFixed(2)} %` : "–",
            known ? (weight > 0 ? "for" : weight < 0 ? "against" : "none") : "not explored"];
  });
  openDialog(v, "The same numbers as a table", h("div", { className: "scroll" },
    h("p", { textContent: v.data.sentence || "" }),
    tableOf(`${map.title}: leads`, ["rank", "lead", "share of the evidence", "for", "against"], leads),
    tableOf(`${map.title}: cells`, ["lead", "from (s)", "to (s)", "wave", "weight", "share", "sign"], rows)));
}
