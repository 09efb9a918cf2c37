// What there is to know of one system: what it is, its figures, and what it gets wrong, in context.

const SIGNS = { correct: "\u2713", type: "\u2260", boundary: "\u2194", both: "\u2260\u2194", missed: "\u2212", spurious: "+" };

/** The panel of a system. */
function panel(board, row, close) {
  return [
    el("header", {}, el("div", {}, el("h2", { id: "system-name" }, el("bdi", {}, row.about.name)), el("p", { class: "soft" }, titleOf(board))), el("button", { type: "button", id: "close", class: "plain", click: close }, say("close"))),
    el("div", { class: "inside" }, about(board, row), cellTable(row), mistakeKinds(row, board), examples(row, board)),
  ];
}

function about(board, row) {
  const known = row.about;
  const entries = [
    ["kind", say(`kind.${known.kind}`)],
    ["rank", row.rank_range],
    ["ties", row.ties.flatMap((tie, place) => [place ? ", " : "", el("bdi", {}, nameOf(board, tie))])],
    ["who", known.who],
    ["link", known.url ? link(known.url, known.link) : known.link],
    ["model", known.model],
    ["parameters", known.parameters],
    ["date", known.date],
    ["trained_on", known.trained_on],
    ["saw", !known.annotator && say(`saw.${known.saw_test_articles}`)],
    ["oracle", known.oracle_inputs.join(", ")],
    ["note", known.note],
  ].filter(([, value]) => (Array.isArray(value) ? value.length : value));
  const list = entries.map(([key, value]) => el("div", {}, el("dt", {}, say(`about.${key}`)), el("dd", { id: `about-${key}` }, ["who", "model", "note", "trained_on"].includes(key) ? el("bdi", {}, value) : value)));
  return el("section", {}, el("h3", {}, say("about.heading")), el("dl", {}, list), el("p", {}, el("span", { class: "soft" }, `${say("signature")} `), el("code", {}, board.signature)));
}

/** Every cell of a score, group by group. */
function cellTable(row) {
  const heads = ["label", "figure", "plot", "precision", "recall", "right", "predicted"];
  const head = el("thead", {}, el("tr", {}, heads.map((key) => el("th", { scope: "col", class: key }, key === "plot" ? axis(null) : key === "figure" ? "F1" : key === "label" ? "" : say(`column.${key}`)))));
  const groups = [["all", [{ ...row.score.micro, name: "micro" }]], ...parts(row.score)];
  const bodies = groups.map(([group, cells]) => {
    const title = el("tr", { class: "group" }, el("th", { scope: "rowgroup", colspan: heads.length }, say(`group.${group}`)));
    return el("tbody", { "data-group": group }, title, cells.map((cell) => cellLine(group, cell, markOf(row))), group === "all" && means(row));
  });
  return el("section", {}, el("h3", {}, say("figures")), el("table", { class: "cells" }, head, bodies), el("p", { class: "soft" }, say("counts_note", DATA)));
}

function cellLine(group, cell, mark) {
  const found = ofCell(cell);
  const name = group === "all" ? say("figure.micro") : cellName(group, cell.name);
  const label = found.few ? say("plot_bare", { name, value: say("counts_only") }) : say("plot_bare", { name, value: `${figureText(found.value)} ${intervalOf(found)}` });
  return el(
    "tr",
    { "data-name": cell.name },
    el("th", { scope: "row", class: "label" }, name),
    el("td", { class: "figure" }, found.few ? el("span", { class: "soft" }, say("counts_only")) : [el("b", {}, figureText(found.value)), " ", el("span", { class: "soft" }, intervalOf(found))]),
    el("td", { class: "plot" }, bar([{ ...found, mark }], label)),
    el("td", { class: "precision" }, found.few ? "\u2013" : figureText(cell.precision)),
    el("td", { class: "recall" }, found.few ? "\u2013" : figureText(cell.recall)),
    el("td", { class: "right" }, `${cell.correct} / ${cell.gold}`),
    el("td", { class: "predicted" }, String(cell.predicted)),
  );
}

/** Macro-F1 and the other means: no counts stand behind them. */
function means(row) {
  return OVERALL.filter((name) => name !== "micro" && has(row, name)).map((name) => {
    const found = figure(row, name);
    const value = `${figureText(found.value)} ${between(found.low, found.high)}`;
    const over = name === "macro" && el("span", { class: "over" }, say("over", found.mean));
    return el(
      "tr",
      { "data-name": name },
      el("th", { scope: "row", class: "label" }, say(`figure.${name}`)),
      el("td", { class: "figure" }, el("b", {}, figureText(found.value)), " ", el("span", { class: "soft" }, intervalOf(found), over)),
      el("td", { class: "plot" }, bar([{ ...found, mark: markOf(row) }], say("plot_bare", { name: say(`figure.${name}`), value }))),
      ["precision", "recall", "right", "predicted"].map((key) => el("td", { class: key }, "\u2013")),
    );
  });
}

function mistakeKinds(row, board) {
  const { kinds, confused } = row.mistakes;
  const known = board.task === "ner" ? Object.keys(SIGNS) : ["correct", "missed", "spurious"];
  const most = Math.max(1, ...known.map((kind) => kinds[kind] ?? 0));
  const list = known.map((kind) => {
    const length = el("span", { class: `length ${kind}` });
    length.style.width = `${(100 * (kinds[kind] ?? 0)) / most}%`;
    return el("tr", { "data-kind": kind }, el("th", { scope: "row" }, el("span", { class: "sign", "aria-hidden": "true" }, SIGNS[kind]), " ", say(`mistake.${kind}`)), el("td", { class: "number" }, String(kinds[kind] ?? 0)), el("td", { class: "lengths", "aria-hidden": "true" }, length));
  });
  const pairs = confused.slice(0, 10).map(([gold, guess, times]) => el("tr", {}, el("td", {}, labelName(gold)), el("td", {}, labelName(guess)), el("td", { class: "number" }, String(times))));
  const heads = ["gold", "predicted", "times"].map((key) => el("th", { scope: "col", class: key }, say(`confused.${key}`)));
  const types = board.task === "ner" && el("section", {}, el("h3", {}, say("confused.heading")), pairs.length ? el("table", { class: "confused" }, el("thead", {}, el("tr", {}, heads)), el("tbody", {}, pairs)) : el("p", {}, say("confused.none")));
  return el("div", { class: "two" }, el("section", {}, el("h3", {}, say("mistake.heading")), el("table", { class: "kinds" }, el("tbody", {}, list))), types);
}

function examples(row, board) {
  const list = row.mistakes.examples;
  const legend = (board.task === "ner" ? Object.keys(SIGNS) : ["correct", "missed", "spurious"]).map((kind) => el("li", {}, mark(kind, say(`mistake.${kind}`))));
  return el("section", {}, el("h3", {}, say("example.heading")), list.length ? [el("ul", { class: "legend" }, legend), list.map((each) => example(each))] : el("p", {}, say("example.none")));
}

/** An item twice: as the gold has it, and as it was predicted. */
function example(item) {
  const made = item.mistakes;
  const gold = [...item.correct.map((label) => ["correct", label]), ...made.filter((each) => each.gold).map((each) => [each.kind, each.gold])];
  const guess = [...item.correct.map((label) => ["correct", label]), ...made.filter((each) => each.predicted).map((each) => [each.kind, each.predicted])];
  const spans = [...gold, ...guess].every(([, label]) => label.length > 1);
  const side = (key, labels) => el("div", { class: `side ${key}` }, el("span", { class: "which" }, say(`example.${key}`)), el("p", { lang: "zh-Hans" }, spans ? marked(item.text, labels) : chosen(labels)));
  return el("article", { class: "example", "data-id": item.id }, el("h4", {}, el("code", {}, item.id), !item.has_prediction && el("span", { class: "chip warn" }, say("example.unknown"))), spans ? null : el("p", { class: "text", lang: "zh-Hans" }, item.text), side("gold", gold), side("predicted", guess));
}

/** A text with its spans marked. Offsets count characters, not the halves that JavaScript counts. */
function marked(text, labels) {
  const characters = Array.from(text);
  const made = [];
  let at = 0;
  for (const [kind, [start, end, type]] of [...labels].sort((a, b) => a[1][0] - b[1][0] || a[1][1] - b[1][1])) {
    if (start > at) made.push(characters.slice(at, start).join(""));
    made.push(mark(kind, characters.slice(start, end).join(""), type)); // overlapping predictions repeat what they share
    at = Math.max(at, end);
  }
  return [...made, characters.slice(at).join("")];
}

function chosen(labels) {
  return labels.length ? labels.map(([kind, [name]]) => [mark(kind, say(`label.${name}`)), " "]) : el("span", { class: "soft" }, say("example.nothing"));
}

/** A stretch, how it is judged, and its type: by a sign and the form of the line below it, not by colour alone. Names in the data are English. */
function mark(kind, text, type) {
  return el("mark", { class: `mark ${kind}`, title: say(`mistake.${kind}`) }, el("span", { class: "sign" }, SIGNS[kind]), el("span", { class: "stretch" }, text), type && el("small", {}, language === "en" ? type : say(`label.${type}`)));
}
