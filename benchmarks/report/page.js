// The page: what of the record is shown, and what the reader picks.

const record = JSON.parse($("record").textContent);
const rows = record.rows.map((row, index) => ({
  ...row,
  index,
  notes: (row.notes ?? []).join("; "),
}));
const FRAMEWORKS = { torch: "PyTorch", paddle: "PaddlePaddle" };
const state = { shown: rows, sort: { key: "", down: false } };
const view = { columns: [], width: 0 };

// -- what tells rows apart

/** The labels, without ``but``, in which some differ. */
const varyingIn = (found, but = []) =>
  record.labels.filter((label) => !but.includes(label) && new Set(found.map((row) => row[label])).size > 1);

const UNITS = { batch: (n) => `batch ${n}`, size: (n) => `${n} px`, threads: (n) => plural(n, "thread"), allocator: (a) => `${a} allocator` };
const worded = (label, value) => (UNITS[label] ? UNITS[label](value) : String(value));
const nameOf = (row, labels) => labels.map((label) => worded(label, row[label])).join(", ");
const inRecordOrder = (found) => [...found].sort((a, b) => a.index - b.index);

// -- the head of the page

function showHead() {
  const { context, settings } = record;
  const failed = rows.filter(({ error }) => error !== null).length;
  const [look, icon, words] = failed || !rows.length
    ? ["different", "✕", `${failed} OF ${rows.length} ROWS FAILED`]
    : ["equal", "✓", `${rows.length} ROWS TIMED`];
  const models = [...new Set(rows.map(({ model }) => model))].join(", ");
  document.title = `${models}: ${words.toLowerCase()} – benchmark`;
  $("models").append(models);
  $("verdict").classList.add(look);
  $("verdict").append(element("span", { "aria-hidden": "true" }, icon), words);
  $("summary").append(
    `Each row was timed only after its logits were compared with ${settings.reference}'s in float64. `
    + (failed ? `${plural(failed, "row")} failed and ${failed === 1 ? "has" : "have"} an error in the place of a speed.` : "All passed."));
  const commit = context.commit && `${context.commit.id.slice(0, 12)}${context.commit.dirty ? ", with changes" : ""}`;
  const pairs = [
    ["Machine", context.gpu ?? `${context.system.cpu}, ${plural(context.system.cores ?? 0, "core")}`],
    ["Device", `${settings.device}, ${plural(settings.threads, "thread")}`],
    ["Processes per row", String(settings.rounds)],
    ["Software", record.software],
    ["Commit", commit ?? "–"],
    ["Date", String(context.date).replace("T", " ").replace("+00:00", " UTC")],
  ];
  $("subject").append(...pairs.map((pair) => element("div", {}, ...terms([pair]))));
}

/** What a reader must know before taking a figure from here. */
function showWarnings() {
  const { context: { system, commit }, settings } = record;
  const noted = rows.filter(({ notes }) => notes).length;
  const cores = system.affinity?.length ?? system.cores;
  const found = [
    ...record.marks,
    noted && `${noted} of ${plural(rows.length, "row")} may not be stable: see their notes.`,
    system.load[0] >= cores / 2 && `The load was ${system.load[0]} on ${plural(cores, "core")} when the run started: other work shows in the figures.`,
    commit?.dirty && "Files differed from the commit.",
    settings.rounds < record.least_processes && `No ratio is quoted: that takes ${record.least_processes} processes per row, and this run had ${settings.rounds}.`,
  ].filter(Boolean);
  $("warnings").hidden = !found.length;
  $("warnings").append(element("ul", {}, ...found.map((line) => element("li", {}, line))));
}

// -- filters

const valueOf = (row, key) => String(row[key]);

/** A choice for each label in which the rows differ; the options are what the record has. */
function showFilters() {
  const keys = [...new Set(["framework", "implementation", "mode", "precision", "batch", "model", "rung", ...record.varying])];
  const offered = keys.filter((key) => new Set(rows.map((row) => row[key])).size > 1);
  $("choices").append(...offered.map((key) => {
    const values = inOrder([...new Set(rows.map((row) => row[key]))], (value) => value, false);
    const options = values.map((value) => element("option", { value: String(value) }, key === "framework" ? FRAMEWORKS[value] ?? value : worded(key, value)));
    return element("label", { class: "choice" }, key, element("select", { name: key }, element("option", { value: "" }, "all"), ...options));
  }));
}

const picked = () => [...$("choices").querySelectorAll("select")].filter(({ value }) => value).map(({ name, value }) => [name, value]);

function matches(row) {
  const text = $("filter").value.trim().toLowerCase();
  const words = [...record.labels, "framework", "notes", "error"].map((key) => row[key] ?? "").join("\n").toLowerCase();
  return picked().every(([key, value]) => valueOf(row, key) === value) && text.split(/\s+/).every((word) => words.includes(word));
}

/** A ratio is shown with the rows of its own setting, where one side of it is shown. */
const ratioMatches = (ratio) => state.shown.some((row) =>
  [ratio.numerator, ratio.denominator].some((side) => side.split(" ")[0] === row.implementation)
  && record.labels.every((label) => !(label in ratio) || ratio[label] === row[label]));

/** Draws all that depends on the filters and the order. */
function refresh() {
  state.shown = sorted(rows.filter(matches));
  $("count").textContent = `${count(state.shown.length)} of ${plural(rows.length, "row")}`;
  showRows();
  if (!view.width) return;
  showRatios();
  showThroughput();
  showLatency();
}

// -- words

function showCommon() {
  const common = rows.length === 0 ? [] : record.labels.filter((label) => !record.varying.includes(label) && label !== "implementation");
  const values = common.map((label) => worded(label, rows[0][label]));
  $("common").textContent = common.length ? `In every row: ${values.join(", ")}.` : "";
  $("more-box").hidden = !common.length;
}

function peakWords() {
  const best = ([precision, found]) => found.map(({ framework, gflops, what }) => `${FRAMEWORKS[framework] ?? framework} ${fixed(0)(gflops)} GFLOP/s in ${precision} ${what}`);
  const parts = Object.entries(record.peaks).flatMap(best);
  return parts.length ? ` Measured: ${parts.join("; ")}.` : " None was measured.";
}

function showMeaning() {
  const { reference, plan } = record.settings;
  $("meaning").append(...[
    ["Median, p90", "Median: of each process, and of a row's processes the geometric mean; a sample is one forward pass. p90: of all samples, withheld where there are too few."],
    ["Spread, between", "Interquartile range of all samples over their median; range of the processes' medians over the median."],
    ["GFLOP/s", "Twice the multiply-adds of convolutions and classifier, over the median."],
    ["Of peak", `GFLOP/s over the run's fastest matrix product or 3×3 convolution of the same precision.${peakWords()}`],
    ["Relative L2, max abs", `Of the difference between the row's logits and ${reference}'s in float64; the largest of its processes.`],
    ["First call", "The very first forward pass of a process, its result copied to the host; the median over processes."],
    ["Ratio", "The quotient of the two medians; its 95 % interval is Student's, over processes. Where it spans 1 there is no difference to speak of."],
    ["Rung", "What may be compared: defaults, matched settings, best effort. A ratio never mixes them."],
    ["Repeats", inOneLine(plan)],
  ].map((pair) => element("div", {}, ...terms([pair]))));
}

function showEnvironment() {
  const { context: { date, commit, system, gpu, frameworks, environment }, settings: { plan, ...settings } } = record;
  const sides = Object.entries(frameworks).map(([side, said]) => [FRAMEWORKS[side] ?? side, facts(said)]);
  $("environment").append(...factCards({
    Run: facts({ date, commit: commit && commit.id + (commit.dirty ? ", with changes" : ""), ...settings }),
    System: facts({ ...system, gpu }),
    ...Object.fromEntries(sides),
    "Environment variables": facts(environment),
  }));
}

// -- all of it

function listen() {
  $("filters").addEventListener("input", refresh);
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  // The controls are empty only after the event.
  $("filters").addEventListener("reset", () => setTimeout(refresh));
  $("more").addEventListener("change", () => { showColumns(); showRows(); });
  slashLeadsTo($("filter"));
  // SVG text must not be scaled: drawings are made for the room there is, and anew when it changes.
  new ResizeObserver(() => { view.width = $("latency").clientWidth; refresh(); }).observe($("latency"));
}

view.columns = allColumns();
showHead();
showWarnings();
showFilters();
showCommon();
showColumns();
showMeaning();
showEnvironment();
themeButton();
listen();
refresh();
