"""The command line: it parses, calls the library and prints. Anything heavy is imported where it is used."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from jinbench.problems import DataError, JinbenchError, ServerError
from jinbench.rooms import Rooms, find

EXIT_DATA, EXIT_USAGE, EXIT_SERVER = 1, 2, 3

app = typer.Typer(
    name="jinbench",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="An annotated benchmark from newspaper pages: pages → Label Studio → dataset → baselines → leaderboard.\n\n"
    "Exit codes: 0 all is well, 1 something is wrong with the data (the message says what, where, and what to do), "
    "2 the command was typed wrongly, 3 Label Studio could not be started or reached.",
)
seeds_app = typer.Typer(no_args_is_help=True, help="Pages and the articles they fall into.")
labels_app = typer.Typer(no_args_is_help=True, help="The label set and the labeling configuration.")
labelstudio_app = typer.Typer(no_args_is_help=True, help="The Label Studio server on this machine.")
annotate_app = typer.Typer(no_args_is_help=True, help="Labelling in Label Studio: push passages, pull labels.")
app.add_typer(seeds_app, name="seeds")
app.add_typer(labels_app, name="labels")
app.add_typer(labelstudio_app, name="labelstudio")
app.add_typer(annotate_app, name="annotate")

_JSON = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
_ANNOTATOR = Annotated[
    list[str] | None,
    typer.Option("--annotator", "-a", help="Whose project; may be repeated. [default: all of annotators.toml]"),
]


@app.callback()
def _root(
    ctx: typer.Context,
    root: Annotated[
        Path | None,
        typer.Option(
            help="The benchmark's folder. [default: the one around the current folder, else the package's own]"
        ),
    ] = None,
) -> None:
    if root is not None and not root.is_dir():
        raise typer.BadParameter(f"{root} is not a folder", param_hint="--root")
    ctx.obj = find(root)


def _rooms(ctx: typer.Context) -> Rooms:
    where: Rooms = ctx.obj
    return where


def _emit(value: Any, as_json: bool, text: Callable[[], str]) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=1) if as_json else text())


def _say(text: str) -> None:
    typer.echo(text, err=True)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A function (what, done, of how many) that keeps a bar for each thing on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def step(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)
            if done >= total:
                bars.update(tasks[what], visible=False)

        yield step


def _columns(rows: list[dict[str, Any]]) -> str:
    """Records as a plain table."""
    if not rows:
        return ""
    table = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in table)


# ---- seeds and labels -----------------------------------------------------------------------------------------


@seeds_app.command("check")
def seeds_check(ctx: typer.Context, as_json: _JSON = False) -> None:
    """Account for every line of every page, and print what became of them."""
    from jinbench import seeds

    seed = seeds.read(_rooms(ctx))
    rows = seeds.summary(seed)
    articles = [
        {"article": a.id, "page": a.page_id, "layout": a.layout, "passages": len(a.passages), "title": a.title}
        for a in seed.articles
    ]

    def text() -> str:
        listing = "\n".join(
            f"{a['page']}  {a['layout']:13}  {a['passages']:2}  {a['article']:34} {a['title']}" for a in articles
        )
        return f"{_columns(rows)}\n\n{listing}\n\nEvery character of {len(rows)} pages is used exactly once."

    _emit({"pages": rows, "articles": articles}, as_json, text)


@seeds_app.command("show")
def seeds_show(ctx: typer.Context, article: Annotated[str, typer.Argument(help="The id of an article.")]) -> None:
    """Print an article as it was put together, each passage under its id."""
    from jinbench import seeds
    from jinbench.problems import Problem

    seed = seeds.read(_rooms(ctx))
    found = [a for a in seed.articles if a.id == article]
    if not found:
        raise DataError(
            Problem(
                "unknown-id",
                "seeds show",
                f"one of {', '.join(a.id for a in seed.articles)}",
                article,
                "jinbench seeds check lists the articles",
            )
        )
    for piece in found[0].pieces:
        lines = "+".join(map(str, piece.lines))
        typer.echo(f"[{piece.passage_id or piece.kind}, line {lines}] {piece.text}")


@labels_app.command("config")
def labels_config(
    ctx: typer.Context,
    check: Annotated[bool, typer.Option(help="Only say whether the file is up to date.")] = False,
) -> None:
    """Write labeling_config.xml, the page that annotators see, from labels.toml."""
    from jinbench import files, labels

    where = _rooms(ctx)
    label_set = labels.read(where)
    if check:
        labels.check_config(where, label_set)
    else:
        files.write_text(where.labeling_config, labels.labeling_config(label_set))
    counts = f"{len(label_set.entities)} entity types, {len(label_set.sectors)} sectors"
    typer.echo(f"{files.shown(where.labeling_config)}: {counts}")


# ---- Label Studio ---------------------------------------------------------------------------------------------


@labelstudio_app.command("start")
def labelstudio_start(
    ctx: typer.Context,
    port: Annotated[
        int | None,
        typer.Option(
            help="The port to try first; another is taken if it is in use. [default: the last one, else 8080]"
        ),
    ] = None,
    as_json: _JSON = False,
) -> None:
    """Start the server (installing it on first use), make the accounts, and say how to log in."""
    from jinbench import exports, labelstudio

    server = labelstudio.start(port, say=_say)
    names = exports.annotators(_rooms(ctx)).names
    for name in names:
        labelstudio.member(server, name)
    logins = [labelstudio.email(name) for name in (labelstudio.ADMIN, *names)]
    kept = labelstudio.home() / "accounts.json"

    def text() -> str:
        return (
            f"Label Studio {server.version} at {server.url} (process {server.pid}), on this machine only.\n"
            f"Log in as  {chr(10).join(logins).replace(chr(10), chr(10) + '           ')}\n"
            f"Passwords  {kept} (readable by you alone)\n"
            "Next       jinbench annotate push     End  jinbench labelstudio stop"
        )

    _emit({"url": server.url, "pid": server.pid, "logins": logins, "passwords": str(kept)}, as_json, text)


@labelstudio_app.command("stop")
def labelstudio_stop() -> None:
    """End the server. Everything it holds stays where it is."""
    from jinbench import labelstudio

    typer.echo("Label Studio has ended." if labelstudio.stop() else "No Label Studio was running.")


@labelstudio_app.command("status")
def labelstudio_status(as_json: _JSON = False) -> None:
    """Say whether the server runs, and where. Exit code 3 if it does not."""
    from jinbench import labelstudio

    server = labelstudio.running()
    found = {
        "running": server is not None,
        "url": server.url if server else None,
        "pid": server.pid if server else None,
        "home": str(labelstudio.home()),
    }
    _emit(
        found,
        as_json,
        lambda: (
            f"Label Studio at {server.url} (process {server.pid})."
            if server
            else "No Label Studio is running. Type: jinbench labelstudio start"
        ),
    )
    if server is None:
        raise typer.Exit(EXIT_SERVER)


def _names(where: Rooms, chosen: list[str] | None) -> list[str]:
    from jinbench import exports

    return chosen or list(exports.annotators(where).names)


@annotate_app.command("push")
def annotate_push(
    ctx: typer.Context,
    annotator: _ANNOTATOR = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the first task and the number, and send nothing.")
    ] = False,
    as_json: _JSON = False,
) -> None:
    """Make a project for each annotator with one task per passage. Safe to repeat, also after it was cut off."""
    from dataclasses import asdict

    from jinbench import annotation, labels, labelstudio, seeds

    where = _rooms(ctx)
    seed, label_set, names = seeds.read(where), labels.read(where), _names(where, annotator)
    tasks = annotation.task_data(seed)
    if dry_run:
        typer.echo(json.dumps(tasks[0], ensure_ascii=False, indent=1))
        titles = [annotation.project_title(label_set, name) for name in names]
        typer.echo(f"{len(tasks)} tasks would go into each of: {', '.join(titles)}")
        return
    client = labelstudio.connect()
    results = []
    for name in names:
        labelstudio.member_if_ours(name)
        with _progress() as step:
            done = annotation.push(
                client,
                where,
                seed,
                label_set,
                name,
                annotation.counter(step, f"push {name}", len(tasks)),
            )
        results.append({"annotator": name, **asdict(done)})
    _emit(
        results,
        as_json,
        lambda: "\n".join(
            f"{r['annotator']}: {r['created']} tasks created, {r['updated']} updated, {r['unchanged']} as they were, "
            f"{r['removed']} doubles removed. Label at {r['url']}"
            for r in results
        ),
    )


@annotate_app.command("sheet")
def annotate_sheet(ctx: typer.Context) -> None:
    """Print all passages as JSON Lines to mark up in a text editor, or by a model: [surface|TYPE]."""
    from jinbench import files, seeds

    seed = seeds.read(_rooms(ctx))
    rows = [{"id": p.id, "title": a.title, "marked": p.text, "sectors": []} for a in seed.articles for p in a.passages]
    typer.echo(files.dump_jsonl(rows), nl=False)


@annotate_app.command("enter")
def annotate_enter(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="An export (.json) or marked-up text (.jsonl, see `annotate sheet`).")],
    annotator: Annotated[str, typer.Option("--annotator", "-a", help="In whose name.")],
    replace: Annotated[bool, typer.Option(help="Put these labels in place of different ones on the server.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, and send nothing.")] = False,
) -> None:
    """Submit labels from a file to Label Studio as annotations. Whatever is there already is left as it is."""
    from jinbench import annotation, labels, labelstudio, seeds

    where = _rooms(ctx)
    seed, label_set = seeds.read(where), labels.read(where)
    labelled = annotation.read_labels(file, seed, label_set, annotator)
    spans = sum(len(entry.spans) for entry in labelled)
    if dry_run:
        typer.echo(f"{len(labelled)} passages with {spans} spans are in order; nothing was sent.")
        return
    client = labelstudio.connect()
    with _progress() as step:
        entered, there = annotation.enter(
            client,
            seed,
            label_set,
            annotator,
            labelled,
            annotation.counter(step, f"enter {annotator}", len(labelled)),
            replace,
        )
    typer.echo(f"{annotator}: {entered} passages entered, {there} were there already; {spans} spans in all.")


@annotate_app.command("pull")
def annotate_pull(ctx: typer.Context, annotator: _ANNOTATOR = None, as_json: _JSON = False) -> None:
    """Export each annotator's labels to annotation/exports/, every span checked against its text."""
    from jinbench import annotation, exports, files, labels, labelstudio, seeds

    where = _rooms(ctx)
    seed, label_set = seeds.read(where), labels.read(where)
    total = sum(1 for _ in seed.passages())
    client = labelstudio.connect()
    results = []
    for name in _names(where, annotator):
        with _progress() as step:
            step(f"pull {name}", 0, 1)
            count, changed = annotation.pull(client, where, seed, label_set, name)
        file = files.shown(exports.path_of(where, name))
        results.append({"annotator": name, "passages": count, "of": total, "changed": changed, "file": file})
    _emit(
        results,
        as_json,
        lambda: "\n".join(
            f"{r['annotator']}: {r['passages']} of {r['of']} passages, {r['changed']} new or changed → {r['file']}"
            for r in results
        ),
    )


@annotate_app.command("check")
def annotate_check(ctx: typer.Context, annotator: _ANNOTATOR = None) -> None:
    """Check the exports in annotation/exports/ without a server: texts, labels, offsets, sentences."""
    from jinbench import exports, files, labels, seeds

    where = _rooms(ctx)
    seed, label_set = seeds.read(where), labels.read(where)
    for name in _names(where, annotator):
        path = exports.path_of(where, name)
        found = exports.read(path, seed.passages(), label_set, name)
        typer.echo(
            f"{files.shown(path)}: {len(found)} passages, {sum(len(entry.spans) for entry in found)} spans, in order"
        )


# ---- dataset, baselines, leaderboard --------------------------------------------------------------------------


@app.command()
def split(
    ctx: typer.Context,
    write: Annotated[
        bool, typer.Option(help="Replace splits.csv. Scores made before are not comparable after.")
    ] = False,
) -> None:
    """Search for the split into train, validation and test, and for the folds; print it."""
    from jinbench import dataset, files, labels, seeds, splitting

    where = _rooms(ctx)
    seed, label_set = seeds.read(where), labels.read(where)
    text = splitting.search(seed, dataset.gold(where, seed, label_set))
    if write:
        files.write_text(where.splits, text)
    typer.echo(text, nl=False)


@app.command()
def build(ctx: typer.Context) -> None:
    """Make dataset/ from the pages and the gold export, and bring the documents up to date."""
    from jinbench import card, dataset

    where = _rooms(ctx)
    built = dataset.build(where)
    changed = dataset.write(built, where.dataset)
    if (where.leaderboard / "leaderboard.json").is_file():
        _build_board(where)
    changed += card.write(where)
    for name in changed:
        typer.echo(f"wrote {name}")
    listing = built.manifest
    typer.echo(
        f"dataset {listing['version']}, sha256 {listing['sha256'][:8]}: {sum(built.statistics['spans'].values())} spans"
    )


@app.command()
def info(ctx: typer.Context, as_json: _JSON = False) -> None:
    """Print version, hash and counts of the dataset."""
    from jinbench import dataset, files

    where = _rooms(ctx)
    listing = dataset.read_manifest(where)
    counts = files.read_json(where.dataset / "stats.json")
    found = {"root": str(where.root), "version": listing["version"], "sha256": listing["sha256"]} | {
        key: counts[key] for key in ("articles", "passages", "sentences", "characters", "spans")
    }
    _emit(found, as_json, lambda: "\n".join(f"{key:12}{value}" for key, value in found.items()))


@app.command()
def run(
    ctx: typer.Context,
    files: Annotated[list[Path] | None, typer.Argument(help="Recipes. [default: all of baselines/]")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results. [default: a folder beside each recipe]")
    ] = None,
) -> None:
    """Fit and score recipes: fixed split and cross-validation. Yours is treated as ours."""
    from jinbench import baselines

    where = _rooms(ctx)
    for path in files or baselines.recipes(where):
        recipe = baselines.load(path)
        with _progress() as step:
            result = baselines.run(where, recipe, step)
        folder = (out or path.parent) / path.stem
        baselines.write(result, folder)
        for score in result.scores.values():
            typer.echo(f"{recipe.name:16}{score.headline}")
        typer.echo(f"{'':16}predictions and scores in {folder}/")


@app.command()
def score(
    ctx: typer.Context,
    file: Annotated[
        Path, typer.Argument(help='JSON Lines: {"id", "spans": [{"start", "end", "type"}]} or {"id", "sectors"}.')
    ],
    task: Annotated[str, typer.Option(help="ner or sector.")] = "ner",
    on: Annotated[str, typer.Option("--split", help="test, validation, train, or folds for all items.")] = "test",
    as_json: _JSON = False,
) -> None:
    """Score predictions: micro-F1 with its interval and signature, a row per label and per layout."""
    from jinbench import baselines, scoring

    gold = scoring.gold(_rooms(ctx), task, on)
    found = scoring.score(gold, scoring.read_predictions(file, gold))
    _emit(baselines.rounded(found.to_dict()), as_json, lambda: str(found))


@app.command()
def compare(
    ctx: typer.Context,
    a: Annotated[Path, typer.Argument(help="Predictions of one system.")],
    b: Annotated[Path, typer.Argument(help="Predictions of another on the same items.")],
    task: Annotated[str, typer.Option(help="ner or sector.")] = "ner",
    on: Annotated[str, typer.Option("--split", help="test, validation, train, or folds.")] = "test",
    as_json: _JSON = False,
) -> None:
    """Say whether two systems can be told apart: paired, by article."""
    from dataclasses import asdict

    from jinbench import scoring

    gold = scoring.gold(_rooms(ctx), task, on)
    found = scoring.compare(gold, scoring.read_predictions(a, gold), scoring.read_predictions(b, gold))
    verdict = "they can be told apart" if found.told_apart else "they cannot be told apart on this gold"
    _emit(
        asdict(found) | {"told_apart": found.told_apart},
        as_json,
        lambda: (
            f"micro-F1 of {a} minus that of {b}: {found.value:+.3f}, "
            f"95 % interval {found.low:+.3f} to {found.high:+.3f}: {verdict}"
        ),
    )


def _build_board(where: Rooms) -> list[Any]:
    from jinbench import files, leaderboard

    boards, contents = leaderboard.build(where)
    for name, text in contents.items():
        files.write_text(where.leaderboard / name, text)
    return boards


@app.command()
def leaderboard(ctx: typer.Context, as_json: _JSON = False) -> None:
    """Score all baselines and entries again, print the tables and write them to leaderboard/."""
    from jinbench import leaderboard as board

    where = _rooms(ctx)
    boards = _build_board(where)
    _emit([found.to_dict() for found in boards], as_json, lambda: board.markdown(boards))


@app.command()
def card(
    ctx: typer.Context,
    check: Annotated[bool, typer.Option(help="Only say whether the documents are up to date.")] = False,
) -> None:
    """Bring the generated parts of README.md and DATASET_CARD.md up to date, and dataset/README.md with them."""
    from jinbench import card as documents

    where = _rooms(ctx)
    names = documents.stale(where) if check else documents.write(where)
    typer.echo(
        "\n".join(f"{'stale' if check else 'wrote'} {name}" for name in names) or "The documents are up to date."
    )
    if check and names:
        raise typer.Exit(EXIT_DATA)


@app.command()
def reproduce(
    ctx: typer.Context,
    folder: Annotated[
        Path | None, typer.Option(help="Where to make everything again. [default: build/reproduced]")
    ] = None,
    as_json: _JSON = False,
) -> None:
    """Do the main job again from the pages, with a Label Studio of its own, and compare with what is committed."""
    from dataclasses import asdict

    from jinbench import leaderboard as board
    from jinbench import reproduce as job

    where = _rooms(ctx)
    target = folder or where.root / "build" / "reproduced"
    checks = []
    with _progress() as step:
        for check in job.reproduce(where, target.resolve(), step):
            checks.append(check)
            if not as_json:
                typer.echo(str(check))
    failed = sum(check.status == job.FAIL for check in checks)
    found = {status: sum(check.status == status for check in checks) for status in (job.OK, job.OKISH, job.FAIL)}
    _emit(
        [asdict(check) for check in checks],
        as_json,
        lambda: (
            "\n"
            + board.markdown(board.build(where)[0])
            + f"\n{found[job.OK]} [OK], {found[job.OKISH]} [OKish], {found[job.FAIL]} [FAIL]. Made again in {target}."
        ),
    )
    if failed:
        raise typer.Exit(EXIT_DATA)


def _end(error: JinbenchError) -> NoReturn:
    """The one place where what went wrong becomes text and an exit code."""
    if isinstance(error, DataError):
        typer.echo(str(error), err=True)
        if len(error.problems) > 1:
            typer.echo(f"{len(error.problems)} problems. Nothing was written.", err=True)
        sys.exit(EXIT_DATA)
    typer.echo(str(error), err=True)
    sys.exit(EXIT_SERVER if isinstance(error, ServerError) else EXIT_DATA)


def main() -> None:
    """The entry point of the command `jinbench`."""
    try:
        app()
    except JinbenchError as error:
        _end(error)
    except KeyboardInterrupt:
        typer.echo("Interrupted. Everything written so far is whole; the same command goes on from there.", err=True)
        sys.exit(130)


if __name__ == "__main__":
    main()
