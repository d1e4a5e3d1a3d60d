// Drawings; colours and lines are classes of page.css, so that they follow the theme.

const SIDES = { torch: "PyTorch", paddle: "PaddlePaddle" };
function ulps(value) {
  if (!known(value)) return "–";
  if (value === 0) return "0";
  if (value < 0.01 || value >= 1e5) return scientific(value);
  return value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);
}

/** Runs of equal stages: [{stage, start, length}]. */
function stageRuns(outputs) {
  const runs = [];
  outputs.forEach(({ stage }, index) => {
    const last = runs.at(-1);
    if (last && last.stage === stage) last.length += 1;
    else runs.push({ stage, start: index, length: 1 });
  });
  return runs;
}

const shortStage = (stage) => (stage === "classifier" ? "fc" : stage.replace("stage ", ""));

// -- curves over the execution order

const PLOT = { left: 58, right: 46, top: 24, height: 190, zero: 20, bottom: 44 };

/** Whole decades around all positive values; null where there are none. */
function decades(values) {
  const logs = values.filter((value) => known(value) && value > 0).map(Math.log10);
  if (!logs.length) return null;
  const low = Math.floor(Math.min(...logs));
  return [low, Math.max(low + 1, Math.ceil(Math.max(...logs)))];
}

function plotFrame(width, series, length) {
  const values = series.flatMap((one) => one.values);
  const range = decades(values) ?? [-16, -15];
  const zero = values.includes(0) ? PLOT.zero : 0;
  const inner = width - PLOT.left - PLOT.right;
  const bottom = PLOT.top + PLOT.height;
  return {
    width, range, zero, bottom, inner, length,
    height: bottom + zero + PLOT.bottom,
    x: (index) => PLOT.left + ((index + 0.5) / length) * inner,
    y: (value) => value === 0
      ? bottom + zero - 4
      : bottom - ((Math.log10(value) - range[0]) / (range[1] - range[0])) * PLOT.height,
  };
}

function yAxis(frame, epsilon) {
  const [low, high] = frame.range;
  const step = Math.ceil((high - low) / 7);
  const nodes = [];
  for (let power = low; power <= high; power += step) {
    const y = frame.y(10 ** power);
    nodes.push(drawn("path", { class: "grid-line", d: `M${PLOT.left} ${y}H${frame.width - PLOT.right}` }));
    nodes.push(tick(PLOT.left - 8, y, powerOfTen(power)));
  }
  if (frame.zero) nodes.push(tick(PLOT.left - 8, frame.y(0), "0"));
  nodes.push(drawn("text", { x: 0, y: 10, class: "title" }, "relative L2"));
  return epsilon ? [...nodes, ...ulpAxis(frame, epsilon)] : nodes;
}

/** The same axis on the right, in units of the precision's epsilon. */
function ulpAxis(frame, epsilon) {
  const x = frame.width - PLOT.right + 8;
  const low = Math.ceil(frame.range[0] - Math.log10(epsilon));
  const high = Math.floor(frame.range[1] - Math.log10(epsilon));
  const step = Math.ceil((high - low) / 7) || 1;
  const nodes = [drawn("text", { x: frame.width, y: 10, "text-anchor": "end", class: "title" }, "ulps")];
  for (let power = low; power <= high; power += step) {
    const words = Math.abs(power) <= 3 ? String(Number(`1e${power}`)) : powerOfTen(power);
    nodes.push(tick(x, frame.y(10 ** power * epsilon), words, "start"));
  }
  return nodes;
}

function xAxis(frame, outputs) {
  const base = frame.bottom + frame.zero;
  const unit = frame.inner / frame.length;
  const nodes = [
    drawn("text", { x: PLOT.left + frame.inner / 2, y: base + 38, "text-anchor": "middle" }, "outputs in execution order"),
  ];
  for (const { stage, start, length } of stageRuns(outputs)) {
    const x = PLOT.left + start * unit;
    nodes.push(drawn("path", { class: "grid-line", d: `M${x} ${PLOT.top}V${base + 8}` }));
    const words = [stage, shortStage(stage)].find((text) => text.length * 6.6 + 6 < length * unit);
    if (words) nodes.push(tick(x + (length * unit) / 2, base + 14, words, "middle"));
  }
  return nodes;
}

/** A path with a gap at what is 0 or unknown; a lone point is a line of no length, drawn round. */
function linePath(frame, values) {
  let pen = false;
  return values.map((value, index) => {
    const there = known(value) && value > 0;
    const [x, y] = there ? [frame.x(index).toFixed(1), frame.y(value).toFixed(1)] : [];
    const command = there ? (pen ? `L${x} ${y}` : `M${x} ${y}h0`) : "";
    pen = there;
    return command;
  }).join("");
}

function dots(frame, series) {
  const dense = frame.inner / frame.length < 7;
  const nodes = [];
  series.values.forEach((value, index) => {
    if (!known(value) || (value > 0 && dense)) return;
    nodes.push(drawn("circle", { class: `dot ${series.dashed ? "dashed" : ""}`, cx: frame.x(index), cy: frame.y(value), r: 2.2 }));
  });
  return nodes;
}

const drawSeries = (frame, series) =>
  drawn("g", { class: series.color },
    drawn("path", { class: `series ${series.dashed ? "dashed" : ""}`, d: linePath(frame, series.values) }),
    ...dots(frame, series));

/** The limit as steps, and the ground above it. */
function drawBound(frame, values) {
  const half = frame.inner / frame.length / 2;
  let [line, area] = ["", ""];
  values.forEach((value, index) => {
    if (!known(value) || value <= 0) return;
    const [x1, x2] = [frame.x(index) - half, frame.x(index) + half];
    const y = frame.y(value).toFixed(1);
    line += `${line && known(values[index - 1]) ? "L" : "M"}${x1} ${y}L${x2} ${y}`;
    area += `M${x1} ${y}H${x2}V${PLOT.top}H${x1}Z`;
  });
  return [drawn("path", { class: "forbidden", d: area }), drawn("path", { class: "bound", d: line })];
}

function failures(frame, outputs) {
  return outputs.flatMap((output, index) => {
    if (output.passed) return [];
    const [x, y] = [frame.x(index), known(output.relative_l2) ? frame.y(output.relative_l2) : PLOT.top + 6];
    return [drawn("path", { class: "failed", d: `M${x - 4} ${y - 4}l8 8m0 -8l-8 8` })];
  });
}

function seriesLegend(series, failed) {
  const sample = (one) => {
    const line = one.bound
      ? drawn("path", { class: "bound", d: "M0 7H26" })
      : drawn("path", { class: `series ${one.dashed ? "dashed" : ""}`, d: "M2 7H24" });
    return drawn("svg", { width: 26, height: 14, class: one.color ?? "", "aria-hidden": "true" }, line);
  };
  const items = series.map((one) => element("li", {}, sample(one), one.label));
  const cross = drawn("svg", { width: 14, height: 14, "aria-hidden": "true" }, drawn("path", { class: "failed", d: "M3 3l8 8m0 -8l-8 8" }));
  if (failed) items.push(element("li", {}, cross, "differs"));
  return element("ul", { class: "legend" }, ...items);
}

function inWords(title, series) {
  const range = (values) => [Math.min(...values), Math.max(...values)].map(scientific).join(" to ");
  const parts = series.map(({ label, values }) => `${label}: ${range(values.filter(known))}`);
  return `${title}. ${parts.join("; ")}. The table has every value.`;
}

/** A shape at an output's place, hidden at index -1. */
function place(frame, shape, index) {
  shape.setAttribute("visibility", index < 0 ? "hidden" : "visible");
  shape.setAttribute("transform", `translate(${frame.x(index)} 0)`);
}

/** One chart: {title, series: [{label, values, color, dashed, bound}], crosses: marks failures}. */
/** show(index or -1, selected or -1) moves the guide and the mark; at(x) is the index at x. */
function drawCurves({ title, series, crosses }, outputs, epsilon, width) {
  const frame = plotFrame(width, series, outputs.length);
  const unit = Math.max(3, frame.inner / frame.length);
  const guide = drawn("path", { class: "guide", d: `M0 ${PLOT.top}V${frame.bottom + frame.zero}` });
  const mark = drawn("rect", { class: "mark", x: -unit / 2, y: PLOT.top, width: unit, height: PLOT.height + frame.zero });
  const failed = crosses ? failures(frame, outputs) : [];
  const svg = drawn("svg",
    { viewBox: `0 0 ${width} ${frame.height}`, height: frame.height, role: "img", "aria-label": inWords(title, series) },
    ...yAxis(frame, epsilon), ...xAxis(frame, outputs), mark,
    ...series.flatMap((one) => (one.bound ? drawBound(frame, one.values) : drawSeries(frame, one))), ...failed, guide);
  return {
    node: element("div", { class: "chart" }, element("h4", {}, title), seriesLegend(series, failed.length), svg),
    svg,
    at: (x) => Math.floor(((x - PLOT.left) / frame.inner) * outputs.length),
    show(index, selected) {
      place(frame, guide, index);
      place(frame, mark, selected);
    },
  };
}

// -- histograms in ulps

const BARS = { left: 40, right: 8, top: 8, height: 96, bottom: 36 };

const sumOf = (counts) => counts.reduce((sum, one) => sum + one, 0) || 1;

/** Where a value lies, counted in bins: bin 0 is exactly 0, bin n ends at edges[n - 1]. */
function inBins(value, edges) {
  if (value === 0) return 0.5;
  const bin = edges.findIndex((edge) => value <= edge);
  if (bin < 0) return edges.length + 1.5;
  const low = bin ? edges[bin - 1] : edges[0] / 2;
  return bin + 1 + Math.max(0, Math.log(value / low) / Math.log(edges[bin] / low));
}

function binAxis(edges, x, base) {
  const nodes = [
    tick(x(0.5), base + 12, "0", "middle"),
    drawn("text", { x: x(edges.length / 2 + 1), y: base + 32, "text-anchor": "middle" }, "ulps"),
  ];
  edges.forEach((edge, index) => {
    if (index % 4 !== 3) return;
    nodes.push(drawn("path", { class: "grid-line", d: `M${x(index + 2)} ${base}v4` }));
    nodes.push(tick(x(index + 2), base + 12, String(edge), "middle"));
  });
  return nodes;
}

function barsInWords(label, counts, edges) {
  const bin = (index) => (index === 0 ? "exactly 0" : index > edges.length ? `over ${edges.at(-1)}` : `up to ${edges[index - 1]}`);
  const parts = counts.map((one, index) => one && `${bin(index)}: ${share(one / sumOf(counts))}`);
  return `${label}, ulps of ${count(sumOf(counts))} elements; ${parts.filter(Boolean).join(", ")}`;
}

/** {label, color, counts of each bin, marks: values to mark}; ``most``: the share at full height. */
function drawHistogram({ label, color, counts, marks }, edges, most, width) {
  const base = BARS.top + BARS.height;
  const unit = (width - BARS.left - BARS.right) / counts.length;
  const x = (bin) => BARS.left + bin * unit;
  const high = (part) => (part / most) * BARS.height;
  const bars = counts.map((one) => high(one / sumOf(counts))).map((height, bin) =>
    drawn("rect", { class: "bars", x: x(bin) + 0.75, width: Math.max(1, unit - 1.5), y: base - height, height }));
  const lines = [0, most / 2, most].flatMap((part) => [
    drawn("path", { class: "grid-line", d: `M${x(0)} ${base - high(part)}H${width - BARS.right}` }),
    tick(BARS.left - 6, base - high(part), share(part)),
  ]);
  const marked = marks.map((value) => drawn("path", { class: "quantile", d: `M${x(inBins(value, edges))} ${BARS.top}V${base}` }));
  const svg = drawn("svg",
    { viewBox: `0 0 ${width} ${base + BARS.bottom}`, height: base + BARS.bottom, role: "img", "aria-label": barsInWords(label, counts, edges) },
    ...lines, ...bars, ...marked, ...binAxis(edges, x, base));
  return element("div", { class: `histogram ${color}` }, element("h4", {}, label), svg);
}
