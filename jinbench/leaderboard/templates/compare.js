// Two systems side by side.

function comparison(board, state, go) {
  const chooser = (which) => {
    const other = which === "a" ? state.b : state.a;
    const options = board.rows.map((row) => el("option", { value: row.system, selected: state[which] === row.system, disabled: other === row.system }, row.about.name));
    const select = el("select", { id: `compare-${which}`, change: (event) => go({ [which]: event.target.value || null }) }, el("option", { value: "" }, `\u2013 ${say("compare.choose")} \u2013`), options);
    return el("label", {}, el("span", {}, el("i", { class: `key ${which}`, "aria-hidden": "true" }), say(which === "a" ? "compare.first" : "compare.second")), select);
  };
  const [a, b] = [state.a, state.b].map((system) => systemOf(board, system));
  return el("section", { id: "comparison", class: "comparison" }, el("h2", { tabindex: "-1", id: "comparison-head" }, say("compare.heading")), el("div", { class: "choosers" }, chooser("a"), chooser("b")), a && b ? [verdict(board, a, b), sides(a, b)] : el("p", { class: "soft" }, say("compare.hint")));
}

/** The test of the two, in the direction in which they were chosen; null if they were not tested. */
function tested(board, a, b) {
  const found = board.pairs.find((pair) => (pair.a === a && pair.b === b) || (pair.a === b && pair.b === a));
  if (!found) return null;
  const { value, low, high, adjusted, significant: apart } = found.difference;
  return found.a === a ? { value, low, high, adjusted, apart } : { value: -value, low: -high, high: -low, adjusted, apart };
}

function verdict(board, a, b) {
  const found = tested(board, a.system, b.system);
  const names = { a: isolated(a.about.name), b: isolated(b.about.name) };
  const said = found ? (board.remarks.find((remark) => remark.kind === "few") ? say("remark.few", { articles: board.articles }) : say(found.apart ? "compare.apart" : "compare.tied")) : say("compare.untested");
  const figures = found && el(
    "dl",
    {},
    el("div", {}, el("dt", {}, `${say("compare.difference")}: ${say("compare.minus", names)}`), el("dd", { id: "difference" }, el("b", {}, fixed(found.value, true)), ` ${between(found.low, found.high, true)}`, differenceBar(found))),
    el("div", {}, el("dt", {}, say("compare.p")), el("dd", { id: "adjusted" }, found.adjusted.toFixed(4))),
  );
  return el("div", { class: `verdict ${found ? (found.apart ? "apart" : "same") : ""}` }, el("p", { id: "verdict" }, found ? el("span", { class: "sign", "aria-hidden": "true" }, found.apart ? "\u2260" : "=") : null, " ", said), figures);
}

/** The interval of a difference on an axis from -1 to 1 around 0, cut to where it lies. */
function differenceBar({ value, low, high }) {
  const reach = Math.max(0.1, Math.ceil(10 * Math.max(Math.abs(low), Math.abs(high))) / 10);
  const place = (x) => (x / reach + 1) / 2;
  const grid = el("path", { class: "zero", d: "M.5 0v1" });
  const paths = [el("path", { class: "line ranked", d: `M${place(low)} .5L${place(high)} .5` }), el("path", { class: "point ranked", d: `M${place(value)} .5h0` })];
  const drawing = el("svg", { class: "bar", viewBox: "0 0 1 1", preserveAspectRatio: "none", "aria-hidden": "true" }, grid, paths);
  const ends = [-reach, 0, reach].map((x) => el("span", {}, x === 0 ? "0" : `${x < 0 ? "\u2212" : "+"}${Math.abs(x).toFixed(1)}`));
  return el("div", { class: "difference-bar", "aria-hidden": "true" }, drawing, el("div", { class: "ends" }, ends));
}

function sides(a, b) {
  const heads = [el("th", { scope: "col" }, ""), ...[a, b].map((row, place) => el("th", { scope: "col", class: "side-head" }, el("i", { class: `key ${place ? "b" : "a"}`, "aria-hidden": "true" }), el("bdi", {}, row.about.name))), el("th", { scope: "col", class: "plot" }, axis(null)), el("th", { scope: "col", class: "minus" }, "\u0394")];
  const overall = OVERALL.filter((name) => has(a, name) && has(b, name)).map((name) => ({ key: name, text: say(`figure.${name}`) }));
  const groups = [["all", overall], ...parts(a.score).map(([group, cells]) => [group, cells.map((cell) => ({ key: `${group}:${cell.name}`, text: cellName(group, cell.name) }))])];
  const bodies = groups.map(([group, entries]) => el("tbody", { "data-group": group }, el("tr", { class: "group" }, el("th", { scope: "rowgroup", colspan: 5 }, say(`group.${group}`))), entries.map((entry) => both(entry, a, b))));
  return [el("table", { class: "sides" }, el("thead", {}, el("tr", {}, heads)), bodies), el("p", { class: "soft" }, `${say("compare.single")} ${say("counts_note", DATA)}`)];
}

function both({ key, text }, a, b) {
  const found = [a, b].map((row) => figure(row, key));
  const cells = found.map((each, place) => el("td", { class: "figure", "data-head": [a, b][place].about.name }, el("i", { class: `key ${place ? "b" : "a"}`, "aria-hidden": "true" }), each.few ? el("span", { class: "soft" }, `${each.cell.correct} / ${each.cell.gold}`) : [el("b", {}, figureText(each.value)), " ", el("span", { class: "soft" }, intervalOf(each))]));
  const difference = found.every((each) => each.value !== null) ? fixed(found[0].value - found[1].value, true) : "\u2013";
  const label = say("plot_bare", { name: text, value: found.map((each) => `${figureText(each.value)} ${between(each.low, each.high)}`).join(" / ") });
  return el("tr", { "data-key": key }, el("th", { scope: "row" }, text), cells, el("td", { class: "plot" }, bar(found.map((each, place) => ({ ...each, mark: place ? "second" : "ranked" })), label)), el("td", { class: "minus" }, difference));
}
