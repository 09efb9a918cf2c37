// The data, texts in two languages, elements, numbers, and drawings. Text is only ever put into text nodes.

const DATA = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";
let language = "en";

/** The text of `key` in the language of the page, with values for names in braces; without a text the key's last part. */
function say(key, values = {}) {
  const text = DATA.strings[language][key] ?? DATA.strings.en[key] ?? key.slice(key.indexOf(".") + 1);
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** A name that somebody chose, for a sentence: it cannot turn the direction of what follows. */
const isolated = (name) => `\u2068${name}\u2069`;

/** An element. Attributes that are functions listen; children are nodes or text; null and false are left out. */
function el(tag, attributes = {}, ...children) {
  const made = tag === "svg" || tag === "path" || tag === "text" ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") made.addEventListener(name, value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** Three decimals, as Python writes them: only multiples of 1/16 can lie in the middle, and go to the even neighbour. */
function fixed(value, sign = false) {
  const size = Math.abs(value);
  const below = Math.floor(size * 1000);
  const even = Number.isInteger(size * 16) && size * 1000 - below === 0.5 ? below + (below % 2) : null;
  const text = even === null ? size.toFixed(3) : (even / 1000).toFixed(3);
  return `${value < 0 ? "\u2212" : sign ? "+" : ""}${text}`;
}

const figureText = (value) => (value === null ? "\u2013" : fixed(value));
const between = (low, high, sign = false) => (low === null || high === null ? "" : `[${fixed(low, sign)}, ${fixed(high, sign)}]`);

/** The interval of a score, or that there is none. */
const intervalOf = ({ value, low, high }) => (value === null ? "" : between(low, high) || say("no_interval"));

/** The name of a layout, a kind of noise with its level, and so on. */
function part(name) {
  const tier = /^(.+)-(\d+)$/.exec(name);
  return tier ? say("part.level", { noise: say(`part.${tier[1]}`), level: tier[2] }) : say(`part.${name}`);
}

/** The name of a label in the language of the page, with the name that the data has, where they differ. */
function labelName(name) {
  const own = say(`label.${name}`);
  return own === name ? name : `${own} (${name})`;
}

/** The name of a cell of a group of a score. */
const cellName = (group, name) => (group === "label" || group === "sector" ? labelName(name) : part(name));

/** A link that somebody gave. */
const link = (url, text) => el("a", { href: url, rel: "noopener noreferrer nofollow", target: "_blank" }, text);

/** An interval with its point on the axis from 0 to 1; `marks` says what it looks like. Several may share an axis. */
function bar(figures, label) {
  const paths = figures.map(({ value, low, high, mark }, place) => {
    const y = figures.length === 1 ? 0.5 : 0.25 + (0.5 * place) / (figures.length - 1);
    const line = low !== null && high !== null && el("path", { class: `line ${mark}`, d: `M${low} ${y}L${high} ${y}` });
    const point = value !== null && el("path", { class: `point ${mark}`, d: `M${value} ${y}h0` });
    const hollow = value !== null && mark !== "ranked" && el("path", { class: `hollow ${mark}`, d: `M${value} ${y}h0` });
    return [line, point, hollow];
  });
  const grid = el("path", { class: "grid", d: [0, 0.2, 0.4, 0.6, 0.8, 1].map((x) => `M${x} 0v1`).join("") });
  return el("svg", { class: "bar", viewBox: "0 0 1 1", preserveAspectRatio: "none", role: "img", "aria-label": label }, grid, paths);
}

/** The axis of the drawings, with a ruler as long as the minimum detectable difference. */
function axis(difference) {
  const ticks = [0, 0.2, 0.4, 0.6, 0.8, 1].map((x) => {
    const tick = el("span", { class: "tick" }, x === 0 || x === 1 ? String(x) : x.toFixed(1).slice(1));
    tick.style.left = `${x * 100}%`;
    return tick;
  });
  const ruler = difference !== null && el("div", { class: "ruler" }, el("span", { class: "measure" }), el("span", {}, say("ruler", { difference: fixed(difference) })));
  if (ruler) ruler.firstChild.style.width = `${Math.min(difference, 1) * 100}%`;
  return el("div", { class: "axis" }, ruler, el("div", { class: "ticks", "aria-hidden": "true" }, ticks));
}

/** Name of a system, and what it is. */
function chips(row) {
  const about = row.about;
  const why = about.oracle_inputs.length
    ? say("why.oracle", { what: about.oracle_inputs.join(", ") })
    : about.saw_test_articles !== "no" && say(`why.${about.saw_test_articles}`);
  return [!about.annotator && el("span", { class: "chip" }, say(`kind.${about.kind}`)), why && el("span", { class: "chip warn" }, why), sameAs(row)];
}

/** The other systems with the same predictions. */
function sameAs(row) {
  const names = Object.values(row.copies).flatMap((copy, place) => [place ? ", " : " ", el("bdi", {}, copy.name)]);
  return names.length > 0 && el("span", { class: "soft" }, say("same"), names);
}

/** How a system is drawn. */
const markOf = (row) => (row.about.annotator ? "annotator" : row.rank === null && (row.about.oracle_inputs.length || row.about.saw_test_articles === "yes") ? "oracle" : "ranked");

const systemOf = (board, name) => board.rows.find((row) => row.system === name);
const nameOf = (board, system) => systemOf(board, system)?.about.name ?? system;
