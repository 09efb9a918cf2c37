// One board: which figure is shown, the table, and how it is sorted.

const OVERALL = ["micro", "macro", "documents", "exact", "ranking"];

/** Whether a score has one of them: no macro-F1 without labels, no ranking without scores. */
const has = (row, name) => (name === "macro" ? row.score.labels.length > 0 : row.score[name] !== null);

/** What a board can show, by group: the key of the fragment, and how it is said. */
function choices(board) {
  const score = board.rows[0].score;
  const overall = OVERALL.filter((name) => board.rows.some((row) => has(row, name))).map((name) => ({ key: name, text: say(`figure.${name}`) }));
  const groups = [{ name: "all", entries: overall }];
  for (const [name, cells] of parts(score)) {
    groups.push({ name, entries: cells.map((cell) => ({ key: `${name}:${cell.name}`, text: cellName(name, cell.name) })) });
  }
  return groups;
}

/** The cells of a score, by what they are parts of. */
function parts(score) {
  const all = [["label", score.labels], ...Object.entries(score.parts), ["relaxed", score.relaxed], ["coarse", score.coarse]];
  return all.filter(([, cells]) => cells.length);
}

/** The figure of a row: with `few` there are counts, and no score; `cell` is missing where it is a mean. */
function figure(row, show) {
  const [group, name] = split(show);
  if (name === undefined && group !== "micro") {
    const mean = row.score[group];
    const value = !mean ? null : group === "macro" ? mean.f1 : mean.value;
    return { value, low: mean?.low ?? null, high: mean?.high ?? null, mean };
  }
  const cell = group === "micro" ? row.score.micro : parts(row.score).find(([each]) => each === group)?.[1].find((each) => each.name === name);
  return cell ? ofCell(cell) : { value: null, low: null, high: null };
}

function ofCell(cell) {
  const few = cell.gold < DATA.few;
  return few ? { value: null, low: null, high: null, cell, few } : { value: cell.f1, low: cell.low, high: cell.high, cell, few };
}

function split(show) {
  const colon = show.indexOf(":");
  return colon < 0 ? [show] : [show.slice(0, colon), show.slice(colon + 1)];
}

const COLUMNS = {
  rank: { value: (row) => row.rank },
  system: { value: (row) => row.about.name },
  model: { value: (row) => row.about.model || null },
  parameters: { value: (row) => amount(row.about.parameters), down: true },
  date: { value: (row) => row.about.date || null, down: true },
  link: { value: (row) => row.about.url || null },
  figure: { value: (row, found) => found.value, down: true },
  precision: { value: (row, found) => (found.cell && !found.few ? found.cell.precision : null), down: true },
  recall: { value: (row, found) => (found.cell && !found.few ? found.cell.recall : null), down: true },
  right: { value: (row, found) => found.cell?.correct ?? null, down: true },
  ties: { value: (row) => row.ties.length, down: true },
  missing: { value: (row) => row.score.missing, down: true },
};

/** The number that is written as 7B, or null. */
const amount = (text) => (text ? Number.parseFloat(text) * (10 ** (3 * " KMBT".indexOf(text.at(-1))) || 1) : null);

/** Rows with their figures, in the order that is asked for. What has no value stands last either way. */
function sorted(board, state, annotator) {
  const value = COLUMNS[state.sort].value;
  const rows = board.rows.filter((row) => row.about.annotator === annotator).map((row) => ({ row, found: figure(row, state.show) }));
  const keyed = rows.map((each) => ({ ...each, key: value(each.row, each.found) }));
  keyed.sort((a, b) => {
    if (a.key === null || b.key === null) return (a.key === null) - (b.key === null);
    const order = typeof a.key === "string" ? a.key.localeCompare(b.key, "en") : a.key - b.key;
    return state.down ? -order : order;
  });
  return keyed;
}

function headOf(key, text, state, go) {
  const now = state.sort === key;
  const down = now ? !state.down : Boolean(COLUMNS[key].down);
  const direction = now ? (state.down ? "descending" : "ascending") : "none";
  const button = el("button", { type: "button", id: `sort-${key}`, "data-direction": direction, title: say("sort_by", { column: text }), click: () => go({ sort: key, down }) }, text);
  return el("th", { scope: "col", role: "columnheader", class: `head ${key}`, "aria-sort": direction }, button);
}

/** What a submitter may say of a system; each is a column where a system of the board has it. */
const ABOUT = ["model", "parameters", "date", "link"];

function table(board, state, go) {
  const shown = (key) => board.optional.includes(key);
  const [group, name] = split(state.show);
  const title = name === undefined ? say(`figure.${group}`) : `F1 \u00b7 ${cellName(group, name)}`;
  const heads = [
    el("th", { scope: "col", role: "columnheader", class: "head compare" }, el("span", { class: "hush" }, say("column.compare"))),
    headOf("rank", say("column.rank"), state, go),
    headOf("system", say("column.system"), state, go),
    ABOUT.filter(shown).map((key) => headOf(key, say(`column.${key}`), state, go)),
    headOf("figure", title, state, go),
    el("th", { scope: "col", role: "columnheader", class: "head plot" }, el("span", { class: "hush" }, say("column.plot")), axis(state.show === "micro" ? board.minimum_detectable : null)),
    headOf("precision", say("column.precision"), state, go),
    headOf("recall", say("column.recall"), state, go),
    headOf("right", say("column.right"), state, go),
    headOf("ties", say("column.ties"), state, go),
    shown("missing") && headOf("missing", say("column.missing"), state, go),
  ].flat().filter(Boolean);
  const lines = (annotator) => sorted(board, state, annotator).map(({ row, found }) => line(board, row, found, state, go));
  const body = el("tbody", { role: "rowgroup" }, lines(false));
  const bandTitle = el("tr", { role: "row", class: "group" }, el("th", { role: "rowheader", scope: "rowgroup", colspan: heads.length }, say("annotators", { who: say(`who.${board.annotators}`) })));
  const band = board.annotators && el("tbody", { role: "rowgroup", class: "annotators" }, bandTitle, lines(true));
  const near = (event) => highlight(body, board, event.target.closest?.("tr")?.dataset.system);
  for (const kind of ["mouseover", "focusin"]) body.addEventListener(kind, near);
  body.addEventListener("mouseleave", () => highlight(body, board, document.activeElement?.closest?.("tr")?.dataset.system));
  body.addEventListener("focusout", (event) => highlight(body, board, event.relatedTarget?.closest?.("tr")?.dataset.system));
  const caption = el("caption", { class: "hush" }, `${titleOf(board)}: ${title}`);
  const head = el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, heads));
  return el("table", { role: "table", class: ABOUT.some(shown) ? "ranking described" : "ranking" }, caption, head, body, band || null);
}

/** Mark the rows that are not significantly different from that of `system`. */
function highlight(body, board, system) {
  const ties = systemOf(board, system)?.ties ?? [];
  for (const row of body.rows) {
    row.classList.toggle("here", row.dataset.system === system);
    row.classList.toggle("tied", ties.includes(row.dataset.system));
  }
}

function line(board, row, found, state, go) {
  const name = row.about.name;
  const id = board.rows.indexOf(row);
  const cell = (key, text, ...more) => el("td", { role: "cell", class: key, "data-head": say(`column.${key}`) }, text, more);
  const interval = between(found.low, found.high);
  const plain = found.value === null ? "\u2013" : fixed(found.value);
  const label = interval
    ? say("plot", { name: isolated(name), value: plain, low: fixed(found.low), high: fixed(found.high) })
    : say("plot_bare", { name: isolated(name), value: found.few ? say("counts_only") : plain });
  const picked = state.a === row.system || state.b === row.system;
  return el(
    "tr",
    { role: "row", "data-system": row.system },
    el("td", { role: "cell", class: "compare" }, el("input", { type: "checkbox", id: `pick-${id}`, checked: picked, "aria-label": say("compare_pick", { name: isolated(name) }), change: () => go(pick(state, row.system)) })),
    cell("rank", row.rank_range),
    el("th", { scope: "row", role: "rowheader", class: "system" }, el("button", { type: "button", id: `open-${id}`, class: "name", title: say("details_of", { name: isolated(name) }), "aria-haspopup": "dialog", click: () => go({ system: row.system }) }, el("bdi", {}, name)), el("span", { class: "chips" }, chips(row))),
    ABOUT.filter((key) => board.optional.includes(key)).map((key) => cell(key, key === "link" ? row.about.url && link(row.about.url, say("column.link")) : el("bdi", {}, row.about[key]))),
    el("td", { role: "cell", class: "figure" }, found.few ? el("span", { class: "soft" }, say("counts_only")) : [el("b", {}, figureText(found.value)), " ", el("span", { class: "soft" }, intervalOf(found), found.mean?.of !== undefined && found.mean.labels !== undefined && ` ${say("over", found.mean)}`)]),
    el("td", { role: "cell", class: "plot" }, bar([{ ...found, mark: markOf(row) }], label)),
    cell("precision", found.cell && !found.few ? figureText(found.cell.precision) : "\u2013"),
    cell("recall", found.cell && !found.few ? figureText(found.cell.recall) : "\u2013"),
    cell("right", found.cell ? `${found.cell.correct} / ${found.cell.gold}` : "\u2013"),
    cell("ties", row.ties.flatMap((tie, place) => [place ? ", " : "", el("bdi", {}, nameOf(board, tie))])),
    board.optional.includes("missing") && cell("missing", String(row.score.missing)),
  );
}

/** What a range of ranks and the highlighting of rows mean. */
function legend(board) {
  const tied = board.rows.find((row) => row.ties.length);
  return tied && el("p", { class: "ties-legend" }, el("b", {}, tied.rank_range), `${say("legend.range")} `, el("span", { class: "swatch" }, "\u2248"), say("legend.tied"));
}

/** A third choice takes the place of the first. */
function pick(state, system) {
  const now = [state.a, state.b].filter(Boolean);
  const next = now.includes(system) ? now.filter((each) => each !== system) : [...now, system].slice(-2);
  return { a: next[0] ?? null, b: next[1] ?? null };
}

function titleOf(board) {
  const coarse = board.crosswalk && say("title_coarse", { labels: board.labels.join(", ") });
  return [say(`task_name.${board.task}`), coarse, say(`split_name.${board.split}`)].filter(Boolean).join(" \u00b7 ");
}
