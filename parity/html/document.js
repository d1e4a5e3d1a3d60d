// What every page has: elements, numbers, order, theme. Strings of the record become text nodes or
// attributes, never markup.

// -- elements

const $ = (id) => document.getElementById(id);

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if ((value ?? false) !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

const element = (tag, attributes = {}, ...children) =>
  fill(document.createElement(tag), attributes, children);

const drawn = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

/** Terms and descriptions; a description is a string, a node or null, which leaves the term out. */
const terms = (pairs) =>
  pairs
    .filter(([, value]) => (value ?? "") !== "")
    .flatMap(([term, value]) => [element("dt", {}, term), element("dd", {}, value)]);

// -- numbers

const known = (value) => typeof value === "number" && Number.isFinite(value);

function scientific(value) {
  if (!known(value)) return "–";
  if (value === 0) return "0";
  const [digits, power] = value.toExponential(2).split("e");
  return `${digits}e${power[0]}${power.slice(1).padStart(2, "0")}`;
}

/** A share of what is allowed: percent, and a multiple where it is far over. */
function share(value) {
  if (!known(value)) return "–";
  if (value >= 10) return `${value < 1e4 ? value.toFixed(0) : scientific(value)}\u202f×`;
  if (value > 0 && value < 0.001) return "<\u202f0.1\u202f%";
  return `${(100 * value).toFixed(value > 0 && value < 0.1 ? 1 : 0)}\u202f%`;
}

const count = (value) => value.toLocaleString("en").replaceAll(",", "\u2009");
const plural = (value, word) => `${count(value)} ${word}${value === 1 ? "" : "s"}`;
const powerOfTen = (power) =>
  "10" + [...String(power)].map((sign) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(sign)]).join("");

// -- nested data

/** Nested data as [name, text] pairs. */
function facts(data, prefix = "") {
  return Object.entries(data ?? {}).flatMap(([key, value]) => {
    if (value == null || value === "" || value.length === 0) return [];
    if (Array.isArray(value)) return [[prefix + key, value.join(", ")]];
    return typeof value === "object" ? facts(value, `${prefix}${key}.`) : [[prefix + key, String(value)]];
  });
}

const inOneLine = (data) => facts(data).map((pair) => pair.join(": ")).join(" · ");

/** A card for each title with its [name, text] pairs. */
function factCards(cards) {
  const text = ([name, value]) => [name, element("span", { class: "name" }, value)];
  return Object.entries(cards).map(([title, pairs]) =>
    element("section", { class: "card" }, element("h3", {}, title), element("dl", { class: "details" }, ...terms(pairs.map(text)))));
}

// -- tables

/** Sorted by a value, what has none last in both directions; equals keep their order. */
function inOrder(items, valueOf, down) {
  const sign = down ? -1 : 1;
  const there = (one) => (one ?? "") !== "";
  const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b);
  const order = ([a], [b]) => there(b) - there(a) || (there(a) && sign * compare(a, b));
  return items.map((item) => [valueOf(item), item]).sort(order).map(([, item]) => item);
}

function markSorted(heads, key, down) {
  for (const head of heads) head.ariaSort = head.dataset.key === key ? (down ? "descending" : "ascending") : null;
}

// -- drawings and the reader's wishes

const tick = (x, y, words, anchor = "end") =>
  drawn("text", { x, y, "text-anchor": anchor, "dominant-baseline": "central" }, words);

function themeButton() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const { dataset } = document.documentElement;
  const other = () => ((dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark" ? "light" : "dark");
  const label = () => { $("theme").textContent = `${other() === "dark" ? "Dark" : "Light"} theme`; };
  $("theme").addEventListener("click", () => { dataset.theme = other(); label(); });
  dark.addEventListener("change", label);
  label();
}

function slashLeadsTo(field) {
  document.addEventListener("keydown", (event) => {
    const busy = event.target.closest("[type=search], select") || event.ctrlKey || event.metaKey || event.altKey;
    if (event.key !== "/" || busy) return;
    event.preventDefault();
    field.focus();
  });
}
