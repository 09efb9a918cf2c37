// The state of the page stands in the fragment of its address: every view has a link, and the back button works.

const DEFAULTS = { show: "micro", sort: "figure", down: true, system: null, a: null, b: null };
const app = document.getElementById("app");
const dialog = document.getElementById("system");

/** What the fragment says, where it makes sense; else what is usual. */
function read() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const boards = DATA.boards;
  const board = boards.find((each) => each.key === asked.get("board")) ?? boards[0];
  const named = (key) => (board && systemOf(board, asked.get(key)) ? asked.get(key) : null);
  const shows = board ? choices(board).flatMap((group) => group.entries.map((entry) => entry.key)) : [];
  const own = Object.keys(DATA.languages).find((each) => each === asked.get("lang"));
  const usual = (navigator.language ?? "").toLowerCase().startsWith("zh") ? "zh" : "en";
  const state = {
    board: board?.key,
    show: shows.includes(asked.get("show")) ? asked.get("show") : DEFAULTS.show,
    sort: Object.hasOwn(COLUMNS, asked.get("sort") ?? "") ? asked.get("sort") : DEFAULTS.sort,
    down: asked.has("order") ? asked.get("order") !== "up" : DEFAULTS.down,
    system: named("system"),
    a: named("a"),
    b: named("b"),
    lang: own ?? null,
    language: own ?? usual,
  };
  return state.a === state.b ? { ...state, b: null } : state;
}

function fragment(state) {
  const said = new URLSearchParams();
  if (state.board && state.board !== DATA.boards[0]?.key) said.set("board", state.board);
  for (const key of ["show", "sort", "system", "a", "b"]) if (state[key] !== DEFAULTS[key]) said.set(key, state[key]);
  if (state.down !== DEFAULTS.down) said.set("order", "up");
  if (state.lang) said.set("lang", state.lang);
  return `#${said}`;
}

function go(change) {
  const next = fragment({ ...read(), ...change });
  if (next !== location.hash && !(next === "#" && location.hash === "")) location.hash = next;
}

/** The board that has what was just chosen, and as much as can be of what was chosen before. */
function nearest(now, key, value) {
  const fits = DATA.boards.filter((board) => board[key] === value && (key === "task" || board.task === now.task));
  const like = (board) => (board.split === now.split) + (board.crosswalk === now.crosswalk);
  return fits.reduce((best, board) => (like(board) > like(best) ? board : best));
}

function choice(legend, key, values, text, board) {
  if (values.length < 2) return null;
  const buttons = values.map((value) => {
    const change = () => go({ board: nearest(board, key, value).key });
    return el("label", { class: "option" }, el("input", { type: "radio", name: key, id: `${key}-${value}`, value, checked: board[key] === value, change }), el("span", {}, text(value)));
  });
  return el("fieldset", {}, el("legend", {}, legend), el("div", { class: "options" }, buttons));
}

function controls(board, state) {
  const distinct = (list) => [...new Set(list)];
  const mine = DATA.boards.filter((each) => each.task === board.task);
  const coarse = (name) => (name ? say("coarse", { labels: mine.find((each) => each.crosswalk === name).labels.join(" ") }) : say("fine"));
  const groups = choices(board).map((group) => el("optgroup", { label: say(`group.${group.name}`) }, group.entries.map((entry) => el("option", { value: entry.key, selected: entry.key === state.show }, entry.text))));
  const show = el("select", { id: "show", change: (event) => go({ show: event.target.value, sort: "figure", down: true }) }, groups);
  return el(
    "form",
    { class: "controls", submit: (event) => event.preventDefault() },
    choice(say("task"), "task", distinct(DATA.boards.map((each) => each.task)), (name) => `${say(`task_name.${name}`)} (${name})`, board),
    choice(say("split"), "split", distinct(mine.map((each) => each.split)), (name) => say(`split_name.${name}`), board),
    choice(say("labels"), "crosswalk", distinct(mine.map((each) => each.crosswalk)), coarse, board),
    el("label", { class: "show" }, el("span", {}, say("show")), show),
  );
}

function top() {
  const switches = Object.entries(DATA.languages).map(([name, code]) =>
    el("button", { type: "button", id: `lang-${name}`, lang: code, "aria-pressed": String(name === language), click: () => go({ lang: name }) }, DATA.strings[name].language),
  );
  const by = DATA.labelled_by && DATA.strings.en[`by.${DATA.labelled_by}`] && el("p", { class: "honest" }, say(`by.${DATA.labelled_by}`));
  const facts = DATA.facts.map(([key, value]) => el("li", {}, say(`fact.${key}`, { value })));
  const notes = ["how_scored", "how_interval", "how_tie", "how_detectable", "how_few"].map((key) => el("li", {}, say(key, DATA)));
  return el(
    "header",
    { class: "top" },
    el("div", { class: "title" }, el("h1", {}, el("span", { lang: "zh-Hans" }, DATA.title)), el("div", { class: "languages", role: "group", "aria-label": say("switch") }, switches)),
    el("ul", { class: "facts" }, facts, el("li", {}, `${say("enter.before")} `, el("code", {}, "jinbench submit DIR --dry-run"), ` ${say("enter.after")}`)),
    by,
    el("details", { id: "how" }, el("summary", { id: "how-summary" }, say("how")), el("p", {}, say("intro")), el("ul", {}, notes)),
  );
}

/** Under the table while two systems are being chosen. */
function picked(board, state) {
  const names = { a: isolated(nameOf(board, state.a ?? state.b)), b: isolated(nameOf(board, state.b)) };
  const jump = () => document.getElementById("comparison-head").focus();
  const text = state.a && state.b ? [say("picked_two", names), " ", el("button", { type: "button", id: "jump", class: "plain", click: jump }, say("see_comparison"))] : state.a || state.b ? say("picked_one", names) : "";
  return el("div", { class: "picked", role: "status", hidden: !text }, text);
}

function view(board, state) {
  const remarks = board.remarks.filter((remark) => remark.kind !== "ties").map((remark) => el("li", { "data-remark": remark.kind }, say(`remark.${remark.kind}`, remark.values)));
  return el(
    "main",
    {},
    controls(board, state),
    el("section", { class: "board" }, el("h2", {}, titleOf(board), " ", el("span", { class: "soft" }, say("articles", { number: board.articles }))), legend(board), table(board, state, go), picked(board, state), el("ul", { class: "remarks" }, remarks, el("li", {}, say("rank_note"))), el("p", {}, el("span", { class: "soft" }, `${say("signature")} `), el("code", {}, board.signature))),
    comparison(board, state, go),
  );
}

function show() {
  const state = read();
  const board = DATA.boards.find((each) => each.key === state.board);
  const focused = document.activeElement?.id;
  const open = document.getElementById("how")?.open;
  language = state.language;
  document.documentElement.lang = DATA.languages[language];
  document.title = `${DATA.title} \u00b7 ${say("leaderboard")}`;
  app.replaceChildren(top(), board ? view(board, state) : el("main", {}), el("footer", {}, el("p", {}, say("footer"))));
  document.getElementById("how").open = open ?? false;
  const row = board && state.system !== null ? systemOf(board, state.system) : null;
  const shut = !row && dialog.open;
  if (row) {
    const scrolled = dialog.dataset.system === row.system ? dialog.scrollTop : 0;
    dialog.replaceChildren(...panel(board, row, () => go({ system: null })));
    if (!dialog.open) dialog.showModal();
    dialog.dataset.system = row.system;
    dialog.scrollTop = scrolled;
  } else if (dialog.open) dialog.close();
  const back = shut && board.rows.findIndex((each) => each.system === dialog.dataset.system);
  if (focused || shut) document.getElementById(shut ? `open-${back}` : focused)?.focus({ preventScroll: true });
}

dialog.addEventListener("cancel", (event) => {
  event.preventDefault();
  go({ system: null });
});
dialog.addEventListener("close", () => read().system !== null && go({ system: null })); // however it was closed
dialog.addEventListener("click", (event) => event.target === dialog && go({ system: null }));
addEventListener("hashchange", show);
document.getElementById("static").remove();
show();
