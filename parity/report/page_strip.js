// The heat strip: a row for each metric, a column for each output that is shown.

const ULPS = { scale: [2 ** -3, 2 ** 12], range: "⅛ – 4096", text: (value) => `${ulps(value)} ulps` };
const STRIP = [
  { label: "relative L2 ÷ allowed", short: "÷ allowed", scale: [1e-4, 1], range: "10⁻⁴ – 1", of: (o) => o.ratio, text: share, verdict: true },
  { ...ULPS, label: "PyTorch error", short: "PyTorch", of: (o) => o.torch_ulps },
  { ...ULPS, label: "PaddlePaddle error", short: "Paddle", of: (o) => (o.isReference ? null : o.paddle_ulps) },
  { ...ULPS, label: "largest difference", short: "largest", of: (o) => o.max_ulps },
  { label: "1 − cosine", short: "1 − cosine", scale: [1e-16, 1e-2], range: "10⁻¹⁶ – 10⁻²", of: (o) => o.distance, text: scientific, rounded: true },
  { label: "equal to the last bit", short: "bit-equal", of: (o) => (o.bit_equal ? 0 : null), text: () => "yes", none: "no" },
];

function metricText(metric, output) {
  const value = metric.of(output);
  if (known(value)) return metric.text(value);
  return metric.none ?? (known(output.paddle_ulps) ? "the reference" : "not measured");
}

/** [class, heat]: heat runs from 0 to 1 on the metric's logarithmic scale. */
function metricLook(metric, output) {
  const value = metric.of(output);
  if (metric.verdict && !output.passed) return ["over", 0];
  if (!known(value)) return ["none", 0];
  if (value === 0) return [metric.rounded && !output.bit_equal ? "" : "zero", 0];
  const [low, high] = metric.scale;
  return ["", Math.min(1, Math.max(0, Math.log(value / low) / Math.log(high / low)))];
}

function stripCell(row, output, index, edge) {
  const metric = STRIP[row];
  const [look, heat] = metricLook(metric, output);
  const cell = element("div", {
    role: "gridcell",
    class: `cell ${look}${edge ? " edge" : ""}`,
    tabindex: -1,
    "data-row": row,
    "data-index": index,
    "aria-label": `${output.label}, ${metric.label}: ${metricText(metric, output)}`,
  });
  if (heat) cell.style.setProperty("--t", heat.toFixed(2));
  return cell;
}

function stripStages(runs) {
  const marks = runs.map(({ stage, length }, index) => {
    const names = [element("span", { class: "long" }, stage), element("span", { class: "short" }, shortStage(stage))];
    const mark = element("div", { class: index ? "run edge" : "run" }, ...names);
    mark.style.flex = `${length} 0 ${length}px`;
    return mark;
  });
  return element("div", { class: "strip-row", "aria-hidden": "true" }, element("span", { class: "strip-head" }), ...marks);
}

function showStrip() {
  const runs = stageRuns(state.shown);
  const edges = new Set(runs.slice(1).map(({ start }) => start));
  view.cells = STRIP.map((_, row) => state.shown.map((output, index) => stripCell(row, output, index, edges.has(index))));
  const narrow = matchMedia("(max-width: 760px)").matches;
  const rows = STRIP.map(({ label, short, range }, row) => {
    const head = element("span", { role: "rowheader", class: "strip-head" }, narrow ? short : label, element("small", {}, range ?? ""));
    return element("div", { role: "row", class: "strip-row" }, head, ...view.cells[row]);
  });
  $("strip").replaceChildren(stripStages(runs), ...rows);
  if (state.shown.length) view.cells[0][0].tabIndex = 0;
}

function showScale() {
  const item = (look, words) => element("li", {}, element("span", { class: `swatch ${look}` }), words);
  const ramp = element("li", {}, "low", element("span", { class: "ramp" }), "high; logarithmic, each row on its own scale");
  $("scale").append(ramp, item("zero", "exactly 0"), item("over", "differs"), item("none", "none, or not measured"));
}

function readOut(output) {
  const figure = (metric) => element("span", {}, `${metric.label} `, element("b", {}, metricText(metric, output)));
  const words = output ? [element("b", { class: "name" }, output.label), element("span", {}, placeOf(output)), ...STRIP.map(figure)] : [];
  $("readout").replaceChildren(...words);
}

/** What the pointer or the focus is at, null for nothing. */
function hover(output) {
  readOut(output ?? state.selected);
  moveGuides(output);
}

function stripKey(event) {
  const cell = event.target.closest("[role=gridcell]");
  if (!cell) return;
  const [row, index] = [Number(cell.dataset.row), Number(cell.dataset.index)];
  const moves = {
    ArrowRight: [row, index + 1],
    ArrowLeft: [row, index - 1],
    ArrowDown: [row + 1, index],
    ArrowUp: [row - 1, index],
    Home: [row, 0],
    End: [row, state.shown.length - 1],
  };
  const enter = event.key === "Enter" || event.key === " ";
  if (!enter && !moves[event.key]) return;
  event.preventDefault();
  if (enter) return jumpTo(state.shown[index]);
  const [nextRow, nextIndex] = moves[event.key];
  focusCell(cell, view.cells[nextRow]?.[nextIndex]);
}

function focusCell(from, to) {
  if (!to) return;
  from.tabIndex = -1;
  to.tabIndex = 0;
  to.focus();
}

function listenToStrip() {
  const at = (event) => state.shown[event.target.closest("[role=gridcell]")?.dataset.index];
  $("strip").addEventListener("keydown", stripKey);
  $("strip").addEventListener("click", (event) => at(event) && jumpTo(at(event)));
  for (const kind of ["pointerover", "focusin"]) {
    $("strip").addEventListener(kind, (event) => at(event) && hover(at(event)));
  }
  $("strip").addEventListener("pointerleave", () => hover(null));
}
