// The table of outputs: sorted by any column, one row in the tab order, arrow keys between rows.

const yesNo = (value) => (value ? "yes" : "no");
const COLUMNS = [
  { key: "order", head: "#", as: String },
  { key: "name", head: "output", words: true },
  { key: "type", head: "type", words: true, as: (type) => type.replaceAll("_", " ") },
  { key: "stage", head: "stage", words: true, as: String },
  { key: "step", head: "step", only: "training", as: String },
  { key: "shape", head: "shape", rank: (shape) => shape.reduce((a, b) => a * b, 1), as: (shape) => shape.join("×") || "–" },
  { key: "passed", head: "verdict", words: true, rank: Number, as: (passed) => (passed ? "equal" : "DIFFERENT") },
  { key: "relative_l2", head: "relative L2", as: scientific },
  { key: "allowed", head: "allowed", as: scientific },
  { key: "ratio", head: "÷ allowed", as: share },
  { key: "torch_ulps", head: "torch ulps", as: ulps },
  { key: "paddle_ulps", head: "paddle ulps", as: ulps },
  { key: "nearer", head: "nearer", words: true, as: String },
  { key: "max_ulps", head: "max ulps", as: ulps },
  { key: "max_abs", head: "max abs", as: scientific },
  { key: "max_rel", head: "max rel", as: scientific },
  { key: "distance", head: "1 − cosine", as: scientific },
  { key: "bit_equal", head: "bit-equal", words: true, rank: Number, as: yesNo },
];

function cellText({ key, as }, output) {
  if (key === "paddle_ulps" && output.isReference) return "reference";
  return as(output[key]) + (key === "passed" && output.passed && output.explained ? ", explained" : "");
}

function showColumns({ kind }) {
  view.columns = COLUMNS.filter(({ only }) => !only || only === kind);
  if (!view.columns.some(({ key }) => key === state.sort.key)) state.sort = { key: "order", down: false };
  const heads = view.columns.map((column) => {
    const button = element("button", { type: "button" }, column.head);
    button.addEventListener("click", () => sortBy(column));
    return element("th", { scope: "col", "data-key": column.key, class: `${column.words ? "text " : ""}${column.key}` }, button);
  });
  $("table").tHead.replaceChildren(element("tr", {}, ...heads));
}

/** Figures start with the largest, words with a; a second press turns the order round. */
function sortBy({ key, words }) {
  const down = state.sort.key === key ? !state.sort.down : !words && key !== "order";
  state.sort = { key, down };
  showRows();
}

/** Equals keep the execution order. */
function sorted(outputs) {
  const column = COLUMNS.find(({ key }) => key === state.sort.key);
  const value = ({ [column.key]: plain }) => (column.rank ? column.rank(plain) : plain);
  return inOrder(outputs, value, state.sort.down);
}

function tableCell(column, output) {
  const { key, words } = column;
  if (key === "name") {
    const button = element("button", { type: "button", tabindex: -1, title: output.name }, output.name);
    return element("th", { scope: "row", class: key }, button);
  }
  const verdict = key === "passed" && { class: `text ${output.passed ? "equal" : "different"}`, title: output.problem || output.explained };
  return element("td", verdict || { class: words && "text" }, cellText(column, output));
}

function rowOf(output) {
  if (!view.rows.has(output)) {
    const row = element("tr", {}, ...view.columns.map((column) => tableCell(column, output)));
    row.output = output;
    view.rows.set(output, row);
  }
  return view.rows.get(output);
}

function showRows() {
  $("table").tBodies[0].replaceChildren(...sorted(state.shown).map(rowOf));
  $("nothing").hidden = state.shown.length > 0;
  markSorted($("table").tHead.rows[0].cells, state.sort.key, state.sort.down);
  tabStop();
}

/** One row at a time is in the tab order: the selected one, else the first. */
function tabStop() {
  const body = $("table").tBodies[0];
  for (const button of body.querySelectorAll('[tabindex="0"]')) button.tabIndex = -1;
  const row = view.rows.get(state.selected);
  const stop = row?.isConnected ? row : body.rows[0];
  if (stop) stop.querySelector("button").tabIndex = 0;
}

function tableKey(event) {
  const rows = [...$("table").tBodies[0].rows];
  const index = rows.indexOf(event.target.closest("tr"));
  const moves = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: rows.length - 1 };
  if (!(event.key in moves)) return;
  event.preventDefault();
  if (rows[moves[event.key]]) goTo(rows[moves[event.key]].output, "nearest");
}

function goTo(output, block) {
  select(output);
  const row = view.rows.get(output);
  row.querySelector("button").focus({ preventScroll: true });
  const calm = block === "nearest" || matchMedia("(prefers-reduced-motion: reduce)").matches;
  row.scrollIntoView({ block, behavior: calm ? "auto" : "smooth" });
}

const jumpTo = (output) => goTo(output, "center");

function listenToTable() {
  const body = $("table").tBodies[0];
  body.addEventListener("keydown", tableKey);
  body.addEventListener("click", (event) => event.target.closest("tr") && select(event.target.closest("tr").output));
}
