// The table: its columns are the record's labels, the figures named here, and whatever else a row
// of numbers or words holds. A failed row has its error in the place of its speed.

const fixed = (digits) => (value) => value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }).replaceAll(",", "\u2009");
const percent = (value) => `${(100 * value).toFixed(1)}\u202f%`;
const NOT_SHOWN = ["error", "framework", "latency", "notes"];
const SPEED = {
  median_ms: ["median ms", fixed(2)],
  p90_ms: ["p90 ms", fixed(2)],
  wall_ms: ["wall ms", fixed(2), "gpu"],
  enqueue_ms: ["enqueue ms", fixed(2), "gpu"],
  spread: ["spread", percent],
  between: ["between", percent],
  images_per_s: ["images/s", fixed(1)],
  gflops: ["GFLOP/s", fixed(0)],
  share_of_peak: ["of peak", percent],
  first_call_ms: ["first call ms", fixed(1)],
  processes: ["processes", count],
  samples: ["samples", count],
};
const ERRORS = { relative_l2: ["relative L2", scientific], max_abs: ["max abs", scientific] };

const isPlain = (value) => ["number", "string", "boolean"].includes(typeof value);
const general = (value) => (typeof value === "number" ? Number(value.toPrecision(4)).toString() : String(value));

/** Columns of figures that this page doesn't know by name: words as they are, shares in percent. */
function otherColumns() {
  const named = new Set([...record.labels, ...NOT_SHOWN, ...Object.keys(SPEED), ...Object.keys(ERRORS)]);
  const keys = new Set(rows.flatMap((row) => Object.keys(row).filter((key) => !named.has(key) && isPlain(row[key]))));
  return [...keys].map((key) => {
    const words = rows.some((row) => typeof row[key] === "string");
    return { key, head: key.replaceAll("_", " "), words, speed: true, as: key.includes("share") ? percent : general };
  });
}

function allColumns() {
  const there = ({ key }) => rows.some((row) => (row[key] ?? null) !== null);
  const figures = (table, more) => Object.entries(table)
    .filter(([, [, , only]]) => !only || only === record.settings.device)
    .map(([key, [head, as]]) => ({ key, head, as, ...more }));
  const labels = record.labels.map((key) => ({ key, head: key, label: true, words: rows.some((row) => typeof row[key] === "string"), as: String }));
  return [
    ...labels,
    ...[...figures(SPEED, { speed: true }), ...otherColumns()].filter(there),
    ...figures(ERRORS, {}).filter(there),
    { key: "notes", head: "notes", words: true, as: String },
  ];
}

const shownColumns = () => view.columns.filter(({ key, label }) => !label || $("more").checked || record.varying.includes(key) || key === "implementation");

function showColumns() {
  const heads = shownColumns().map((column) => {
    const button = element("button", { type: "button" }, column.head);
    button.addEventListener("click", () => sortBy(column));
    return element("th", { scope: "col", "data-key": column.key, class: column.words && "text" }, button);
  });
  $("table").tHead.replaceChildren(element("tr", {}, ...heads));
}

/** Figures start with the smallest, words with a; a second press turns the order round. */
function sortBy({ key }) {
  state.sort = { key, down: state.sort.key === key && !state.sort.down };
  refresh();
}

const sorted = (found) => (state.sort.key ? inOrder(found, (row) => row[state.sort.key], state.sort.down) : found);

function failure({ error }) {
  const lines = error.trim().split("\n");
  const last = `✕ FAILED: ${lines.at(-1)}`;
  return lines.length < 2 ? [last] : [element("details", {}, element("summary", {}, last), element("pre", {}, error.trim()))];
}

function tableCell({ key, words, as }, row) {
  if (key === "implementation") return element("th", { scope: "row", class: `text ${lookOf(row)}` }, marker(row), row[key]);
  const value = row[key] ?? "";
  const kind = key === "notes" ? "notes" : words && "text";
  return element("td", { class: kind }, value === "" ? (key === "notes" ? "" : "–") : as(value));
}

function rowOf(row) {
  const columns = shownColumns();
  const speed = columns.filter((column) => column.speed);
  const cells = columns.filter((column) => row.error === null || !column.speed).map((column) => tableCell(column, row));
  if (row.error !== null) {
    const cell = element("td", { class: "failure different", colspan: Math.max(1, speed.length) }, ...failure(row));
    cells.splice(columns.filter(({ label }) => label).length, 0, cell);
  }
  return element("tr", {}, ...cells);
}

function showRows() {
  $("table").tBodies[0].replaceChildren(...state.shown.map(rowOf));
  $("nothing").hidden = state.shown.length > 0;
  markSorted($("table").tHead.rows[0].cells, state.sort.key, state.sort.down);
}
