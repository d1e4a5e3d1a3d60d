// The page: what of the record is shown, and what the reader picks.

const record = JSON.parse($("record").textContent);
const state = { section: -1, shown: [], selected: null, sort: { key: "order", down: false } };
const view = { cells: [], charts: [], columns: [], rows: new Map(), width: 0, room: 0 };

// -- the record, with what the page derives from it

const VERDICTS = { EQUAL: ["equal", "✓"], DIFFERENT: ["different", "✕"], "NOT RUN": ["not-run", "⊘"] };
const look = (verdict) => VERDICTS[verdict] ?? VERDICTS["NOT RUN"];

function derived(output, index) {
  const { relative_l2: relative, allowed, cosine, name, step, precision } = output;
  const isReference = precision === "float64";
  return {
    ...output,
    isReference,
    order: index + 1,
    label: step ? `${name}, step ${step}` : name,
    ratio: known(relative) && allowed > 0 ? relative / allowed : null,
    distance: known(cosine) ? Math.max(0, 1 - cosine) : null,
    nearer: isReference ? "" : output.nearer ?? "",
    shape: output.shape ?? [],
  };
}

const sections = record.sections.map((section) => {
  const outputs = section.outputs.map(derived);
  const first = outputs.find(({ passed }) => !passed) ?? null;
  const failed = section.error && !first ? "NOT RUN" : "DIFFERENT";
  return { ...section, outputs, first, verdict: section.passed ? "EQUAL" : failed };
});

/** What could not be measured at all is worst. */
const severity = (output) => output.ratio ?? (output.passed ? 0 : Infinity);
const worstOf = (outputs) => outputs.reduce((worst, one) => (severity(one) > severity(worst) ? one : worst), outputs[0]);
const placeOf = ({ layer, name, type, stage }) =>
  [layer === name ? null : layer, type.replaceAll("_", " "), stage].filter((word) => word && word !== "ends").join(", ");

// -- the head of the page

function weightNames() {
  const names = Object.entries(record.weights ?? {}).map(([side, path]) => [side, String(path).split(/[\\/]/).at(-1)]);
  const same = new Set(Object.values(record.weights ?? {})).size === 1;
  return element("span", { class: "name" }, same ? names[0][1] : names.map((pair) => pair.join(": ")).join("; "));
}

function summary() {
  const total = plural(sections.length, "section");
  const different = sections.filter(({ verdict }) => verdict === "DIFFERENT");
  const missing = sections.filter(({ error }) => error).length;
  const rest = missing ? ` ${plural(missing, "section")} could not be run.` : "";
  const outputs = sections.reduce((sum, section) => sum + section.outputs.length, 0);
  const odd = record.tensors?.different.length;
  if (!different.length && odd) return `Outputs equal, ${odd} tensors differ.${rest}`;
  if (!different.length) {
    return `${plural(outputs, "output")} in ${total} compared: ${missing ? "no difference found." : "PyTorch and PaddlePaddle agree in every one."}${rest}`;
  }
  const [{ first, title }] = different;
  const where = first ? ` First output that differs: ${first.label} (${title}).` : "";
  return `PyTorch and PaddlePaddle differ in ${different.length} of ${total}.${where}${rest}`;
}

function showHead() {
  const { model, verdict, images = [], frameworks = {}, device, threads, context = {} } = record;
  const version = ({ version = "–", gpu } = {}) => (gpu ? `${version}, ${inOneLine({ gpu })}` : version);
  document.title = `${model}: ${verdict} – parity report`;
  $("model").append(model);
  $("verdict").classList.add(look(verdict)[0]);
  $("verdict").append(element("span", { "aria-hidden": "true" }, look(verdict)[1]), verdict);
  $("summary").append(summary());
  const pairs = [
    ["Images", `${images[0] ?? "–"} of ${images.slice(1).join(" × ")}`],
    ["Weights", weightNames()],
    ["PyTorch", version(frameworks.torch)],
    ["PaddlePaddle", version(frameworks.paddle)],
    ["Device", device === "cpu" ? `CPU, ${plural(threads ?? 0, "thread")}` : String(device)],
    ["Date", String(context.date ?? "–").replace("T", " ").replace("+00:00", " UTC")],
  ];
  $("subject").append(...pairs.map((pair) => element("div", {}, ...terms([pair]))));
}

function showDiagnosis() {
  if (!record.diagnosis) return;
  const { cause = "unknown", sentence, ...evidence } = record.diagnosis;
  $("diagnosis").hidden = false;
  $("diagnosis").append(
    element("p", {}, element("b", {}, `Cause: ${String(cause).replaceAll("_", " ")}`)),
    element("p", {}, String(sentence ?? "")),
    element("p", { class: "hint" }, inOneLine(evidence)),
  );
}

function offerDownload() {
  $("download").href = URL.createObjectURL(new Blob([$("record").textContent], { type: "application/json" }));
  $("download").download = `parity-${String(record.model).replace(/[^\w.-]+/g, "_")}.json`;
}

// -- the sections, as tabs

function tabText({ outputs, failed, first, verdict }) {
  if (verdict === "NOT RUN") return "could not be run";
  if (!first) return `${plural(outputs.length, "output")}, largest ${share(worstOf(outputs)?.ratio)} of allowed`;
  return `${failed} of ${outputs.length} differ, first ${first.label}`;
}

function sectionTab(section, index) {
  const [name, icon] = look(section.verdict);
  const words = tabText(section);
  const tab = element("button",
    {
      type: "button", role: "tab", class: "tab", id: `tab-${index}`, "aria-controls": "panel",
      "aria-label": `${section.title}: ${section.verdict}; ${words}`,
    },
    element("b", {}, section.precision, element("i", { class: name }, icon)),
    element("span", {}, words));
  tab.addEventListener("click", () => openSection(index));
  return tab;
}

function showTabs() {
  const precisions = [...new Set(sections.map(({ precision }) => precision))];
  const rows = new Map();
  sections.forEach((section, index) => {
    const { kind, mode, precision } = section;
    const head = element("span", {}, kind, element("small", {}, ` ${mode} mode`));
    const key = `${kind} ${mode}`;
    if (!rows.has(key)) rows.set(key, element("div", { class: "tab-row", role: "presentation" }, head));
    const tab = sectionTab(section, index);
    tab.style.gridColumn = precisions.indexOf(precision) + 2;
    rows.get(key).append(tab);
  });
  $("tabs").style.setProperty("--precisions", precisions.length);
  $("tabs").append(...rows.values());
  $("tabs").addEventListener("keydown", tabKey);
}

/** Left and right: the neighbour; up and down: the same precision of another kind. */
function tabKey(event) {
  const all = [...sections.keys()];
  const same = all.filter((index) => sections[index].precision === sections[state.section].precision);
  const beside = (list, step) => list.at((list.indexOf(state.section) + step) % list.length);
  const target = {
    ArrowRight: beside(all, 1), ArrowLeft: beside(all, -1), ArrowDown: beside(same, 1), ArrowUp: beside(same, -1),
    Home: all[0], End: all.at(-1),
  }[event.key];
  if (target === undefined) return;
  event.preventDefault();
  openSection(target);
  $(`tab-${target}`).focus();
}

/** What differs first, else what could not be run, else a precision that shows errors of both. */
function firstToOpen() {
  const tests = [({ verdict }) => verdict === "DIFFERENT", ({ error }) => error, ({ precision }) => precision !== "float64", () => true];
  return tests.map((test) => sections.findIndex(test)).find((index) => index >= 0);
}

function openSection(index) {
  const section = sections[index];
  state.section = index;
  state.selected = section.first ?? worstOf(section.outputs) ?? null;
  sections.forEach((_, other) => {
    $(`tab-${other}`).setAttribute("aria-selected", other === index);
    $(`tab-${other}`).tabIndex = other === index ? 0 : -1;
  });
  $("panel").setAttribute("aria-labelledby", `tab-${index}`);
  $("title").textContent = section.title;
  view.rows = new Map();
  showProblem(section);
  $("figures").replaceChildren(...(section.outputs.length ? figures(section) : []));
  showFilters(section);
  showColumns(section);
  refresh();
}

function showProblem({ error, first }) {
  $("problem").hidden = !error && !first;
  $("problem").className = `callout ${first ? "" : "not-run"}`;
  $("problem").replaceChildren();
  if (error) $("problem").append(element("b", {}, "Could not be run"), element("pre", {}, error));
  if (!first) return;
  const button = element("button", { type: "button", class: "button" }, "Show");
  button.addEventListener("click", () => { clearFilters(); jumpTo(first); });
  const nearer = first.nearer && `; nearer to float64: ${SIDES[first.nearer]}`;
  $("problem").append(
    element("p", {}, "First output that differs: ", element("b", { class: "name" }, first.label), ` (${placeOf(first)})`, button),
    element("p", {}, first.problem + nearer));
}

function figures({ outputs, failed, ranking, precision }) {
  const worst = worstOf(outputs);
  const nearer = (side) => outputs.filter((output) => output.nearer === side).length;
  const tiles = [
    ["Within tolerance", `${outputs.length - failed} of ${outputs.length}`, "outputs"],
    ["Largest difference", share(worst.ratio), `of allowed, at ${worst.label}`],
    ["Equal to the last bit", String(outputs.filter((output) => output.bit_equal).length), "outputs"],
  ];
  if (precision !== "float64") tiles.push(["Nearer to float64", `${nearer("torch")} : ${nearer("paddle")}`, "PyTorch : PaddlePaddle"]);
  if (ranking) {
    tiles.push(["Same first class", `${ranking.top1} of ${ranking.images}`, "images"]);
    tiles.push(["Top-5 overlap", share(ranking.top5), "of classes"]);
  }
  return tiles.map(([term, value, words]) =>
    element("div", {}, element("dt", {}, term), element("dd", {}, value, element("small", {}, words))));
}

// -- filters

const stageBoxes = () => [...$("stages").querySelectorAll("input")];
const pickedStages = () => stageBoxes().filter(({ checked }) => checked).map(({ value }) => value);
const stagesOf = (outputs) => new Set(outputs.map(({ stage }) => stage));

function showFilters({ outputs, first }) {
  const picked = pickedStages();
  const present = stagesOf(outputs);
  const chips = [...stagesOf(sections.flatMap((section) => section.outputs))].filter((stage) => present.has(stage)).map((stage) =>
    element("label", { class: "chip" }, element("input", { type: "checkbox", value: stage, checked: picked.includes(stage) }), element("span", {}, stage)));
  $("stages").replaceChildren($("stages").firstElementChild, ...chips);
  const steps = [...new Set(outputs.map(({ step }) => step))].filter(Boolean);
  $("steps").hidden = steps.length < 2;
  $("step").replaceChildren(element("option", { value: "" }, "every"), ...steps.map((step) => element("option", { value: step }, `${step} of ${steps.length}`)));
  $("step").value = steps.length < 2 ? "" : (first ?? outputs.at(-1)).step;
}

function clearFilters() {
  $("filter").value = $("step").value = "";
  for (const box of [$("different"), ...stageBoxes()]) box.checked = false;
  refresh();
}

function matching(outputs) {
  const text = $("filter").value.trim().toLowerCase();
  const stages = pickedStages();
  const step = $("step").value;
  return outputs.filter((output) =>
    `${output.name}\n${output.layer ?? ""}`.toLowerCase().includes(text)
    && (!stages.length || stages.includes(output.stage))
    && (!step || String(output.step) === step)
    && !($("different").checked && output.passed));
}

/** Draws all that depends on the filters. */
function refresh() {
  const { outputs } = sections[state.section];
  state.shown = matching(outputs);
  $("count").textContent = `${count(state.shown.length)} of ${plural(outputs.length, "output")}`;
  for (const part of document.querySelectorAll("#panel .card, #filters")) part.hidden = !outputs.length;
  for (const id of ["at-a-glance", "along"]) $(id).hidden = !state.shown.length;
  showStrip();
  showCurves();
  showRows();
  select(state.selected);
}

// -- the curves

/** [section, words, dashed]: this one, and for layers the isolated or the accumulated run too. */
function sources(section) {
  const twin = (kind) => sections.find((one) => one.kind === kind && one.mode === section.mode && one.precision === section.precision && one.outputs.length);
  const pair = [twin("forward"), twin("isolated")];
  if (!pair.includes(section) || !pair.every(Boolean)) return [[section, "", false]];
  return [[pair[0], ", accumulated", false], [pair[1], ", the layer's own", true]];
}

/** Values of a section's outputs, in the order of those shown; null where it lacks one. */
function valuesIn({ outputs }, key) {
  const found = new Map(outputs.map((output) => [output.label, output[key]]));
  return state.shown.map(({ label }) => found.get(label) ?? null);
}

function chartsOf(section) {
  const pick = (key, label, color) => sources(section).map(([source, words, dashed]) =>
    ({ label: label + words, color, dashed, values: valuesIn(source, key) }));
  const bound = { label: "allowed difference", bound: true, values: state.shown.map(({ allowed }) => allowed) };
  const between = { title: "Difference between the frameworks", crosses: true, series: [...pick("relative_l2", "|PyTorch − PaddlePaddle|", "between"), bound] };
  const own = { title: "Error of each against float64", series: [...pick("torch_error", "PyTorch", "torch"), ...pick("paddle_error", "PaddlePaddle", "paddle"), bound] };
  return section.precision === "float64" ? [between] : [between, own];
}

/** The unit of the axis in ulps, as the record has it. */
function epsilonOf({ outputs }) {
  const one = outputs.find(({ torch_error: error, torch_ulps: units }) => error > 0 && units > 0);
  return one ? one.torch_error / one.torch_ulps : null;
}

function showCurves() {
  const section = sections[state.section];
  const charts = state.shown.length && view.width ? chartsOf(section) : [];
  view.charts = charts.map((chart) => drawCurves(chart, state.shown, epsilonOf(section), view.width));
  $("curves").replaceChildren(...view.charts.map(({ node }) => node));
  view.charts.forEach(listenToChart);
}

function listenToChart({ svg, at }) {
  const under = (event) => state.shown[at(event.clientX - svg.getBoundingClientRect().left)];
  svg.addEventListener("pointermove", (event) => hover(under(event)));
  svg.addEventListener("pointerleave", () => hover(null));
  svg.addEventListener("click", (event) => under(event) && select(under(event)));
}

function moveGuides(output) {
  for (const { show } of view.charts) show(state.shown.indexOf(output), state.shown.indexOf(state.selected));
}

// -- the selected output

function select(output) {
  for (const old of document.querySelectorAll("tr[aria-current]")) old.removeAttribute("aria-current");
  for (const old of document.querySelectorAll(".cell.on")) old.classList.remove("on");
  state.selected = output;
  if (!output) return;
  view.rows.get(output)?.setAttribute("aria-current", "true");
  for (const row of view.cells) row[state.shown.indexOf(output)]?.classList.add("on");
  tabStop();
  hover(null);
  showDetails(output);
  showHistograms(output);
}

function showDetails(output) {
  const { passed, isReference, torch_error: torch, paddle_error: paddle, explained } = output;
  const error = (value, units) => `${scientific(value)}, ${ulps(units)} ulps`;
  $("selected-title").textContent = output.label;
  $("details").replaceChildren(...terms([
    ["Verdict", element("b", { class: passed ? "equal" : "different" }, passed ? "✓ equal" : "✕ DIFFERENT")],
    ["Problem", output.problem],
    ["Place", placeOf(output)],
    ["Shape", output.shape.join(" × ") || "scalar"],
    ["Relative L2", `${scientific(output.relative_l2)}, ${share(output.ratio)} of allowed`],
    ["Allowed", scientific(output.allowed)],
    ["PyTorch error", error(torch, output.torch_ulps)],
    ["Paddle error", isReference ? "it is the reference" : error(paddle, output.paddle_ulps)],
    ["Nearer", isReference || !known(torch) ? null : SIDES[output.nearer] ?? "neither, within a tenth"],
    ["Largest", `${ulps(output.max_ulps)} ulps; ${scientific(output.max_abs)} absolute; ${scientific(output.max_rel)} relative`],
    ["1 − cosine", scientific(output.distance)],
    ["Bit-equal", yesNo(output.bit_equal)],
    ["Explained", explained],
    ["Before that", explained ? scientific(output.unexplained_l2) : null],
  ]));
}

function showHistograms({ histogram, quantiles, isReference }) {
  const edges = record.metrics?.edges ?? [];
  const marks = Object.entries(quantiles ?? {}).filter(([, value]) => known(value));
  const titles = Object.entries({ between: "|PyTorch − PaddlePaddle|", torch: "PyTorch − float64", paddle: "PaddlePaddle − float64" });
  const bars = titles.slice(0, isReference ? 1 : 3)
    .filter(([key]) => histogram?.[key]?.length === edges.length + 2)
    .map(([key, label]) => ({ label, color: key, counts: histogram[key], marks: key === "between" ? marks.map(([, value]) => value) : [] }));
  const most = Math.max(0.02, ...bars.map(({ counts }) => Math.max(...counts) / sumOf(counts)));
  const columns = Math.max(1, Math.min(3, Math.floor((view.room + 20) / 210)));
  const width = Math.max(120, Math.floor((view.room + 20) / columns) - 20);
  const drawings = bars.map((one) => drawHistogram(one, edges, most, width));
  $("histograms").style.setProperty("--columns", columns);
  $("histograms").replaceChildren(...(bars.length ? drawings : ["Nothing was measured of this output."]));
  const shares = marks.map(([part, value]) => `${share(Number(part))} of the elements within ${ulps(value)} ulps`);
  $("quantiles").textContent = shares.length ? `Dashed: ${shares.join(", ")}.` : "";
}

// -- words

function showMeaning() {
  const { metrics, own_epsilon_effect: effect, bn_epsilon: epsilon } = record;
  const moved = known(effect) ? ` Its own would move the float64 logits by ${scientific(effect)} (relative L2).` : "";
  const sample = metrics?.sample ? `, over a sample of at most ${count(metrics.sample)} elements of an output` : "";
  $("meaning").append(...[
    ["ulp", "A unit in the last place: the precision's epsilon times the element's magnitude in the reference, but at least the output's root mean square. An element near zero is the difference of large ones and owes its error to them."],
    ["Relative L2", "‖PyTorch − PaddlePaddle‖ ÷ ‖reference‖ over all elements of an output. The reference is PaddlePaddle's float64 output."],
    ["Allowed", `The smaller of a fixed outer bound for the precision and ${metrics?.factor ?? "–"} × the smaller of the frameworks' own errors, which counts as one epsilon at least. In float64, for gradients and for training steps: the outer bound alone.`],
    ["Error of a framework", "‖its output − reference‖ ÷ ‖reference‖; in ulps, the same divided by the precision's epsilon. The nearer framework's error is smaller by more than a tenth."],
    ["Max abs, max rel, max ulps", "The largest difference of any one element: as it is, divided by the larger magnitude of the two, and in ulps."],
    ["1 − cosine", "Of the angle between the two outputs. Computed in float64, so what is below 1e-15 is rounding."],
    ["Bit-equal", "Every element of both is the same to the last bit. Recorded where it occurs, not asked for."],
    ["Accumulated and own", "In forward sections a layer gets its own framework's input, so errors accumulate; in isolated sections it gets the reference's input, and the error is its own."],
    ["Histograms and quantiles", `Of single elements' differences in ulps${sample}.`],
    ["Explained", "A known difference between the frameworks that was computed exactly and taken out before comparing; what it was before stands with it."],
    ["Batch norm's epsilon", `Paddle stores it as a float32, ${Number(epsilon).toExponential()}; PyTorch ran with the same.${moved}`],
  ].map((pair) => element("div", {}, ...terms([pair]))));
}

function showEnvironment() {
  const { context = {}, frameworks = {}, weights = {} } = record;
  const { date, commit, system, environment } = context;
  const { model, device, threads, images, images_sha256, options } = record;
  const side = (name) => facts({ version: frameworks[name]?.version, gpu: frameworks[name]?.gpu, weights: weights[name], ...frameworks[name]?.switches });
  const id = commit && commit.id + (commit.dirty ? ", with changes" : "");
  const cards = {
    Run: facts({ model, date, commit: id, device, threads, images: images?.join(" × "), "images' SHA-256": images_sha256, ...options }),
    PyTorch: side("torch"),
    PaddlePaddle: side("paddle"),
    System: facts(system),
    "Environment variables": facts(environment),
  };
  $("environment").append(...factCards(cards));
}

// -- all of it

function listenToFilters() {
  $("filters").addEventListener("input", refresh);
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  slashLeadsTo($("filter"));
}

/** SVG text must not be scaled: drawings are made for the room there is, and anew when it changes. */
function listenToSize() {
  const observer = new ResizeObserver(() => {
    view.width = $("curves").clientWidth;
    view.room = $("histograms").clientWidth;
    if (state.section < 0) return;
    showCurves();
    select(state.selected);
  });
  observer.observe($("curves"));
  observer.observe($("histograms"));
}

showHead();
showDiagnosis();
offerDownload();
themeButton();
showTabs();
showScale();
showMeaning();
showEnvironment();
listenToStrip();
listenToTable();
listenToFilters();
listenToSize();
if (sections.length) openSection(firstToOpen());
else $("panel").hidden = true;
