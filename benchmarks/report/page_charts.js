// The drawings: ratios with their intervals, throughput against batch, latency of single passes.
// Colours and lines are classes of page.css, so that they follow the theme; each implementation has
// a shape too, each verdict a symbol, each mode a dash.

const MOST_PANELS = 12;
const MOST_STRIPS = 120;

// -- shapes

const SHAPES = [
  "M0 -4.5A4.5 4.5 0 1 1 0 4.5A4.5 4.5 0 1 1 0 -4.5Z",
  "M0 -5.2L5 4.2H-5Z",
  "M0 5.2L5 -4.2H-5Z",
  "M-4.2 -4.2H4.2V4.2H-4.2Z",
  "M0 -5.6L5.6 0L0 5.6L-5.6 0Z",
  "M-1.8 -5.2H1.8V-1.8H5.2V1.8H1.8V5.2H-1.8V1.8H-5.2V-1.8H-1.8Z",
  "M-5 -2.6L-2.6 -5L0 -2.4L2.6 -5L5 -2.6L2.4 0L5 2.6L2.6 5L0 2.4L-2.6 5L-5 2.6L-2.4 0Z",
  "M0 -6L1.5 -2L5.7 -1.9L2.4 0.8L3.5 4.9L0 2.5L-3.5 4.9L-2.4 0.8L-5.7 -1.9L-1.5 -2Z",
];
const VERDICTS = { faster: ["faster", "M5 -5.5L-5 0L5 5.5Z"], slower: ["slower", "M-5 -5.5L5 0L-5 5.5Z"] };
const verdictLook = (verdict) => VERDICTS[verdict.toLowerCase()] ?? ["neither", SHAPES[0]];

const lookOf = ({ implementation }) => `c${record.looks[implementation]}`;
const shapeOf = ({ implementation }) => SHAPES[record.looks[implementation]];
const icon = (d, look) => drawn("svg", { width: 14, height: 14, viewBox: "-7 -7 14 14", class: look, "aria-hidden": "true" }, drawn("path", { class: "shape", d }));
const marker = (row) => icon(shapeOf(row), lookOf(row));
const keyed = (node, words) => element("li", {}, node, words);

const picture = (width, height, words, ...children) =>
  drawn("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": words }, ...children);

/** Words cut to the room that there is, the whole of them in a tip. */
function fitting(words, x, y, room, anchor = "start") {
  const most = Math.max(4, Math.floor(room / 6.7));
  const node = drawn("text", { x, y, class: "words", "text-anchor": anchor, "dominant-baseline": "central" }, words.length > most ? `${words.slice(0, most - 1)}…` : words);
  node.append(drawn("title", {}, words));
  return node;
}

// -- axes

/** Round numbers on a logarithmic axis, the coarsest set that has three at least. */
function logTicks(low, high) {
  const sets = [[1], [1, 3], [1, 2, 5], [1, 1.5, 2, 3, 5, 7], [1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9]];
  const within = (set) => {
    const found = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) found.push(...set.map((digit) => Number((digit * 10 ** power).toPrecision(3))));
    return found.filter((value) => value >= low && value <= high);
  };
  return sets.map(within).find((found) => found.length > 3) ?? within(sets.at(-1));
}

const logScale = (low, high, from, to) => (value) => from + (Math.log(value / low) / Math.log(high / low)) * (to - from);

/** Vertical lines with their numbers below; those that would touch a drawn one are left out. */
function logAxis(ticks, x, top, bottom, as) {
  const nodes = [];
  let last = -Infinity;
  for (const value of ticks) {
    const words = as(value);
    const half = words.length * 3.6 + 4;
    nodes.push(drawn("path", { class: "grid-line", d: `M${x(value)} ${top}V${bottom}` }));
    if (x(value) - half < last) continue;
    nodes.push(tick(x(value), bottom + 13, words, "middle"));
    last = x(value) + half;
  }
  return nodes;
}

// -- ratios

const ratioLabel = (ratio) => `${ratio.numerator} / ${ratio.denominator}`;
const interval = ({ ratio, low, high }) => `${ratio.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`;

function ratioRow(ratio, y, x, frame, words) {
  const [look, d] = verdictLook(ratio.verdict);
  const cap = (value) => `M${x(value)} ${y - 5}v10`;
  const label = words ? `${words}: ${ratioLabel(ratio)}` : ratioLabel(ratio);
  const said = `${interval(ratio)} ${ratio.verdict}`;
  const texts = frame.wide
    ? [fitting(label, 0, y, frame.left - 16), fitting(said, frame.right + 16, y, frame.width - frame.right - 16)]
    : [fitting(label, 0, y - 32, frame.width), fitting(said, 0, y - 16, frame.width)];
  return drawn("g", { class: look, "data-verdict": ratio.verdict },
    ...texts,
    drawn("path", { class: "interval", d: `M${x(ratio.low)} ${y}H${x(ratio.high)}${cap(ratio.low)}${cap(ratio.high)}` }),
    drawn("path", { class: "shape", d, transform: `translate(${x(ratio.ratio)} ${y})` }));
}

function drawRatios(found, width) {
  const wide = width > 760;
  const frame = { wide, width, left: wide ? Math.min(430, width * 0.4) : 8, right: wide ? width - 256 : width - 8 };
  const [low, high] = [Math.min(0.9, ...found.map((one) => one.low)) / 1.03, Math.max(1.1, ...found.map((one) => one.high)) * 1.03];
  const x = logScale(low, high, frame.left, frame.right);
  const step = wide ? 24 : 60;
  const bottom = 8 + found.length * step;
  const labels = varyingIn(found, ["implementation"]);
  const lines = found.map((one, index) => ratioRow(one, 8 + (index + (wide ? 0.5 : 0.7)) * step, x, frame, nameOf(one, labels)));
  const said = found.map((one) => `${nameOf(one, labels)} ${ratioLabel(one)}: ${interval(one)}, ${one.verdict}`).join("; ");
  return picture(width, bottom + 40, `Ratios of times with 95 % intervals. ${said}.`,
    ...logAxis(logTicks(low, high), x, 8, bottom, (value) => String(value)),
    drawn("path", { class: "one", d: `M${x(1)} 2V${bottom}` }),
    ...lines,
    drawn("text", { x: frame.left, y: bottom + 34 }, "← faster than the denominator"),
    drawn("text", { x: frame.right, y: bottom + 34, "text-anchor": "end" }, "slower →"));
}

function showRatios() {
  const found = record.ratios.filter(ratioMatches);
  const withheld = `No ratio is quoted: both sides need ${record.least_processes} processes and a counterpart.`;
  $("ratios-hint").textContent = !record.ratios.length ? withheld
    : found.length ? "Time of the first over time of the second, with its 95 % interval; quoted only within one rung and setting." : "No ratio matches.";
  const used = new Map(found.map(({ verdict }) => [verdict, verdictLook(verdict)]));
  const keys = [...used].map(([verdict, [look, d]]) => keyed(icon(d, look), verdict));
  $("ratios").replaceChildren(...(found.length ? [element("ul", { class: "legend keys" }, ...keys), drawRatios(found, view.width)] : []));
}

// -- throughput against batch

function groupBy(items, keyOf) {
  const groups = new Map();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return groups;
}

/** At least three steps of 1, 2 or 5 up to the largest value. */
function linearTicks(most) {
  const rough = most / 3;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [5, 2, 1].find((digit) => digit * unit <= rough) * unit;
  return Array.from({ length: Math.floor(most / step) + 1 }, (_, index) => index * step);
}

function seriesOf(found, x, y, modes) {
  const points = [...found].sort((a, b) => a.batch - b.batch);
  const dash = `dash${modes.indexOf(points[0].mode) % 5}`;
  const shapes = points.map((row) => {
    const tip = `${row.implementation}, ${nameOf(row, record.naming.filter((label) => label !== "implementation"))}: ${fixed(1)(row.images_per_s)} images/s`;
    return drawn("path", { class: "shape", d: shapeOf(row), transform: `translate(${x(row.batch)} ${y(row.images_per_s)})` }, drawn("title", {}, tip));
  });
  return drawn("g", { class: lookOf(points[0]) },
    drawn("path", { class: `line ${dash}`, d: `M${points.map((row) => `${x(row.batch)} ${y(row.images_per_s)}`).join("L")}` }), ...shapes);
}

function throughputPanel(title, found, width, modes) {
  const [left, right, top, height] = [52, 14, 12, 190];
  const bottom = top + height;
  const batches = [...new Set(found.map(({ batch }) => batch))].sort((a, b) => a - b);
  const [first, last] = [batches[0], batches.at(-1)];
  const middle = (left + width - right) / 2;
  const x = first === last ? () => middle : logScale(first, last, left + 16, width - right - 12);
  const most = Math.max(...found.map((row) => row.images_per_s));
  const y = (value) => bottom - (value / (most * 1.06)) * height;
  const levels = linearTicks(most).flatMap((value) => [
    drawn("path", { class: "grid-line", d: `M${left} ${y(value)}H${width - right}` }),
    tick(left - 8, y(value), general(value)),
  ]);
  const series = [...groupBy(found, (row) => JSON.stringify([row.implementation, row.mode])).values()];
  const words = series.map((one) => `${one[0].implementation} ${one[0].mode}: ${one.map((row) => `${fixed(1)(row.images_per_s)} at batch ${row.batch}`).join(", ")}`);
  const svg = picture(width, bottom + 40, `Images per second against batch, ${title}. ${words.join("; ")}.`,
    ...levels, ...logAxis(batches, x, bottom, bottom + 4, String),
    drawn("text", { x: (left + width - right) / 2, y: bottom + 36, "text-anchor": "middle" }, "batch"),
    ...series.map((one) => seriesOf(one, x, y, modes)));
  return element("div", {}, element("h3", {}, title), svg);
}

function throughputKeys(found, modes) {
  const one = new Map(found.map((row) => [row.implementation, row]));
  const sample = (index) => drawn("svg", { width: 34, height: 14, class: "c6", "aria-hidden": "true" }, drawn("path", { class: `line dash${index % 5}`, d: "M0 7H34" }));
  const dashes = modes.length > 1 ? modes.map((mode, index) => keyed(sample(index), mode)) : [];
  return element("ul", { class: "legend keys" }, ...[...one.values()].map((row) => keyed(marker(row), row.implementation)), ...dashes);
}

function showThroughput() {
  const found = state.shown.filter((row) => known(row.images_per_s));
  const modes = [...new Set(found.map(({ mode }) => mode))];
  const panels = [...groupBy(inRecordOrder(found), (row) => nameOf(row, record.paneling))];
  const columns = Math.max(1, Math.min(3, panels.length, Math.floor((view.width + 26) / 330)));
  const width = Math.floor((view.width - 26 * (columns - 1)) / columns);
  const left = panels.length - MOST_PANELS;
  $("throughput-hint").textContent = !found.length ? "No row with a speed matches."
    : `Images per second; the batch on a logarithmic axis.${left > 0 ? ` The first ${MOST_PANELS} of ${panels.length} panels: filter to see the others.` : ""}`;
  const drawings = panels.slice(0, MOST_PANELS).map(([title, part]) => throughputPanel(title || part[0].model, part, width, modes));
  const grid = element("div", { class: "panels" }, ...drawings);
  grid.style.setProperty("--columns", columns);
  $("throughput").replaceChildren(...(found.length ? [throughputKeys(found, modes), grid] : []));
}

// -- latency of single passes

/** The samples as dots, a line of dots for each process, and a box over them. */
function strip(row, y, x, frame, words) {
  const { processes, box: [least, q1, middle, q3, most] } = row.latency;
  const lane = 16 / processes.length;
  const dots = processes.flatMap((values, index) => values.map((value) => `M${x(value).toFixed(1)} ${(y - 8 + (index + 0.5) * lane).toFixed(1)}h0`));
  const tip = `${words}: ${fixed(2)(middle)} ms; quartiles ${fixed(2)(q1)} and ${fixed(2)(q3)}, extremes ${fixed(2)(least)} and ${fixed(2)(most)}`;
  const label = frame.wide ? fitting(words, 0, y, frame.left - 14) : fitting(words, 0, y - 17, frame.width);
  return drawn("g", { class: `strip ${lookOf(row)}` },
    drawn("title", {}, tip), label,
    drawn("path", { class: "points", d: dots.join("") }),
    drawn("path", { class: "box", d: `M${x(q1)} ${y - 8}H${x(q3)}V${y + 8}H${x(q1)}Z` }),
    drawn("path", { class: "middle", d: `M${x(middle)} ${y - 10}V${y + 10}` }));
}

function drawStrips(found, width) {
  const wide = width > 620;
  const frame = { wide, width, left: wide ? Math.min(400, width * 0.36) : 8 };
  const low = Math.min(...found.map(({ latency }) => latency.box[0])) / 1.04;
  const high = Math.max(...found.map(({ latency }) => latency.box[4])) * 1.04;
  const x = logScale(low, high, frame.left, width - 10);
  const step = wide ? 26 : 42;
  const bottom = 6 + found.length * step;
  const strips = found.map((row, index) => strip(row, 6 + (index + (wide ? 0.5 : 0.7)) * step, x, frame, nameOf(row, record.naming)));
  return picture(width, bottom + 42, "Latency of single passes in milliseconds. The table has medians and spreads.",
    ...logAxis(logTicks(low, high), x, 6, bottom, general), ...strips,
    drawn("text", { x: (frame.left + width - 10) / 2, y: bottom + 38, "text-anchor": "middle" }, "ms per forward pass"));
}

function showLatency() {
  const found = state.shown.filter(({ latency }) => latency);
  const shown = found.slice(0, MOST_STRIPS);
  const thinned = shown.filter(({ latency }) => latency.processes.flat().length < latency.of);
  const parts = found.length ? ["In the table's order. A dot is a pass, a line of dots a process; the box has the quartiles, the bar the median, of all samples."] : ["No row with a speed matches."];
  if (thinned.length) parts.push(`${thinned.length} of ${plural(shown.length, "row")} ${thinned.length === 1 ? "has" : "have"} more samples than dots: evenly spaced by rank, the extremes among them.`);
  if (found.length > shown.length) parts.push(`The first ${MOST_STRIPS} of ${count(found.length)} rows: filter or sort to see others.`);
  $("latency-hint").textContent = parts.join(" ");
  $("latency").replaceChildren(...(shown.length ? [drawStrips(shown, view.width)] : []));
}
