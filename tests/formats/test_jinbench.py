"""Benchmarks made from a corpus: contents, every command on them, and their remarks."""

import csv
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jinbench.annotation.labels import read_label_set
from jinbench.baselines.recipe import load_recipe
from jinbench.baselines.run import run_recipe
from jinbench.cli.app import main
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError
from jinbench.core.types import Span
from jinbench.dataset import gold, load, verify
from jinbench.formats import convert, corpus_splits, jinbench
from jinbench.formats.base import ConversionLog, Document
from jinbench.leaderboard import ranking
from tests.helpers import commands
from tests.helpers.paths import ROOT

PLACES, PEOPLE = ["天津", "塘沽", "武清", "静海", "蓟州"], ["张三", "李四", "王五", "赵六"]


def rows(count: int, first: int = 0) -> list[dict[str, Any]]:
    """Sentences of places and people, no two of them alike, two to a page."""
    made_rows = []
    for n in range(first, first + count):
        place, person = PLACES[n % len(PLACES)], PEOPLE[n % len(PEOPLE)]
        text = f"{person}第{n}次去{place}{chr(0x4E00 + 37 * n)}看{chr(0x5E00 + 41 * n)}港。"
        spans = [[0, 2, "人名"], [text.index(place), text.index(place) + 2, "PLACE.NAM"]]
        made_rows.append({"text": text, "entities": spans, "cats": [("sport", "财经")[n % 2]], "page": f"p{n // 2}"})
    return made_rows


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def run(*words: object) -> None:
    """A command of the command line, which must go well."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["jinbench", *map(str, words)])
        with pytest.raises(SystemExit) as caught:
            main()
    assert caught.value.code == 0


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A benchmark of a corpus with train, test and classes."""
    folder = tmp_path_factory.mktemp("corpus")
    train, test = write(folder / "a.jsonl", rows(60)), write(folder / "b.jsonl", rows(20, 60))
    run("convert", f"train={train}", f"test={test}", "--to", "jinbench", "--out", folder / "made", "--group", "page")
    return folder / "made"


def test_what_stands_in_it(made: Path) -> None:
    benchmark = Benchmark(made)
    assert {name.rpartition("/")[0] for name in files.list_files(made)} == {
        "", "annotation", "dataset", "dataset/ner", "dataset/sector"
    }  # fmt: skip
    label_set = read_label_set(benchmark)
    assert (label_set.entity_names, label_set.sector_names) == (("PLACE_NAM", "ren_ming"), ("sport", "cai_jing"))
    assert [entry.zh for entry in label_set.entities] == ["PLACE.NAM", "人名"]
    assert len({entry.hotkey for entry in (*label_set.entities, *label_set.sectors)}) == 4
    first = load.read_rows(benchmark, "ner", "train")[0]
    ours = load.read_rows(Benchmark(ROOT), "ner", "test")[0]
    assert list(first) == list(ours)
    assert (first["id"], first["article_id"], first["layout"], first["split"]) == ("train-1", "p0", "", "train")
    assert first["spans"][0] == {"start": 0, "end": 2, "type": "ren_ming", "surface": "张三"}
    assert [row["text"] for row in load.read_rows(benchmark, "ner")] == [row["text"] for row in rows(80)]
    info = load.describe_dataset(benchmark)
    assert info.items == {"ner": {"train": 60, "test": 20}, "sector": {"train": 60, "test": 20}}
    assert info.counts["articles"] == {"train": 30, "test": 10}
    assert info.counts["spans"] == {"train": 120, "test": 40}
    with (made / "dataset" / "splits.csv").open(encoding="utf-8") as file:
        places = list(csv.DictReader(file))
    assert Counter(row["fold_1"] for row in places).keys() == {"0", "1", "2", "3", "4"}
    readme = (made / "README.md").read_text(encoding="utf-8")
    assert "jinbench convert train=a.jsonl test=b.jsonl --to jinbench --out made --group page" in readme
    assert "80 texts of 40 documents" in readme
    assert str(made.parent) not in readme


def test_the_same_corpus_gives_the_same_bytes(made: Path, tmp_path: Path) -> None:
    run("convert", f"train={made.parent / 'a.jsonl'}", f"test={made.parent / 'b.jsonl'}", "--to", "jinbench",
        "--group", "page", "--out", tmp_path / "made")  # fmt: skip
    assert {name: path.read_bytes() for name, path in files.list_files(tmp_path / "made").items()} == {
        name: path.read_bytes() for name, path in files.list_files(made).items() if "baselines" not in name
    }


def test_load_dataset_reads_it(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from datasets import load_dataset

    ner = load_dataset(str(made / "dataset"), cache_dir=str(tmp_path))
    assert {split: len(part) for split, part in ner.items()} == {"train": 60, "test": 20}
    names = ner["train"].features["ner_tags"].feature.names
    for row, source in zip(ner["test"], rows(20, 60), strict=True):
        tags = [names[tag] for tag in row["ner_tags"]]
        assert [i for i, tag in enumerate(tags) if tag.startswith("B-")] == sorted(s[0] for s in source["entities"])
        assert "".join(row["tokens"]) == source["text"]
    sector = load_dataset(str(made / "dataset"), "sector", cache_dir=str(tmp_path))
    assert sector["test"].features["sectors"].feature.names == ["sport", "cai_jing"]
    assert verify.verify_loaded(Benchmark(made), ner) == 80


@pytest.mark.slow
def test_every_command_works_on_it(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "made"
    import shutil

    shutil.copytree(made, root)
    out = root / "baselines"
    for recipe in ("gazetteer", "tfidf", "entities"):
        run("--root", root, "run", ROOT / "baselines" / f"{recipe}.py", "--on", "test", "--out", out)
    assert "[split:test" in capsys.readouterr().out.replace("|", "[")
    assert not (out / "gazetteer" / "predictions-ner-folds.jsonl").exists()
    record = json.loads((out / "gazetteer" / "scores.json").read_text(encoding="utf-8"))
    assert (record["scores"].keys(), record["noise"], record["run"]["fits"]) == ({"test"}, [], 1)
    predictions = out / "gazetteer" / "predictions-ner-test.jsonl"
    lines = [line.replace('"ren_ming"', '"PLACE_NAM"') for line in predictions.read_text(encoding="utf-8").split("\n")]
    (tmp_path / "worse.jsonl").write_text("\n".join(lines), encoding="utf-8")
    for words in (["verify", "--info"], ["verify"], ["score", predictions],
                  ["compare", predictions, tmp_path / "worse.jsonl"],
                  ["submit", "--template", "ner"], ["submit", "--schema", "sector"], ["submit", "--template", "system"],
                  ["prompt", "--out", tmp_path / "p.jsonl", "--split", "test"], ["rank"]):  # fmt: skip
        run("--root", root, *words)
        output = capsys.readouterr().out
        if words[0] == "score":
            assert "micro-F1 = 1.000" in output
            assert "20 items of 10 articles" in output
            assert "by what the page did" not in output
    boards = json.loads((root / "leaderboard" / "leaderboard.json").read_text(encoding="utf-8"))
    assert [(board["task"], board["split"]) for board in boards] == [("ner", "test"), ("sector", "test")]
    assert "gazetteer" in (root / "leaderboard" / "index.html").read_text(encoding="utf-8")
    assert len((tmp_path / "p.jsonl").read_text(encoding="utf-8").strip().split("\n")) == 20


def test_all_folds_can_be_run_too(made: Path) -> None:
    benchmark, recipe = Benchmark(made), load_recipe(ROOT / "baselines" / "gazetteer.py")
    result = run_recipe(benchmark, recipe, splits=("folds",))
    assert result.scores.keys() == {"folds"}
    assert len(result.predictions["folds"]) == 80
    assert run_recipe(benchmark, recipe).scores.keys() == {"test", "folds"}
    assert gold.board_splits(benchmark) == {"ner": ("folds", "test"), "sector": ("folds", "test")}
    assert [board.key for board in ranking.build_boards(benchmark)] == []  # nothing lies in the room


ABSENT = [
    (["score", "x", "--split", "noisy"], ["one of ner, sector", "'ner_noisy'", "made without it"]),
    (["score", "x", "--split", "validation"], ["a split of ner: train, test", "'validation'"]),
    (["rank", "--errata-impact"], ["articles.toml"]),
    (["build"], ["articles.toml"]),
]


@pytest.mark.parametrize(("words", "parts"), ABSENT)
def test_what_it_has_not_is_named(
    words: list[str], parts: list[str], made: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["jinbench", "--root", str(made), *words])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    output = capsys.readouterr().err
    for part in parts:
        assert part in output, output


def test_a_task_that_it_has_not(tmp_path: Path) -> None:
    plain = [{"text": row["text"], "label": row["entities"]} for row in rows(20)]
    source = convert.CorpusSource(write(tmp_path / "a.jsonl", plain))
    convert.convert_corpus([source], "jinbench", tmp_path / "made")
    benchmark = Benchmark(tmp_path / "made")
    assert gold.board_splits(benchmark) == {"ner": ("folds", "test")}
    assert read_label_set(benchmark).sectors == ()
    with pytest.raises(DataError, match="expected a task that this dataset has labels for: ner\n"):
        gold.read_task_gold(benchmark, "sector", "test")
    with pytest.raises(DataError, match="expected one of ner\n"):
        load.read_rows(benchmark, "annotations")
    assert verify.verify_folder(benchmark.dataset).counts == {"ner": 20}
    back = convert.convert_corpus([convert.CorpusSource(tmp_path / "made")], "conll", tmp_path / "columns")
    assert back.losses.keys() == {"ids"}  # no document is lost where there was none


def test_splits_are_drawn_where_there_are_none(tmp_path: Path) -> None:
    """By document, each part with its share of every type, what nearly repeats in one."""
    many = rows(200)
    many[7]["text"] = many[150]["text"] = "一段很长很长很长很长很长很长很长很长很长很长的话,在两页上都有,一字不差。"
    for n in (7, 150):
        many[n]["entities"] = [[0, 1, "人名"]]
    report = convert.convert_corpus(
        [convert.CorpusSource(write(tmp_path / "a.jsonl", many))],
        "jinbench",
        tmp_path / "made",
        reader_options={"group": "page"},
    )
    benchmark = Benchmark(tmp_path / "made")
    sizes = {split: len(load.read_rows(benchmark, "ner", split)) for split in ("train", "validation", "test")}
    assert abs(sizes["train"] - 140) <= 8
    assert abs(sizes["test"] - 40) <= 8
    items = load.read_rows(benchmark, "ner")
    parts_of: dict[str, set[tuple[Any, ...]]] = {}
    for row in items:
        parts_of.setdefault(row["article_id"], set()).add((row["split"], row["fold_1"], row["fold_5"]))
    assert all(len(parts) == 1 for parts in parts_of.values())
    assert parts_of["p3"] == parts_of["p75"]
    for fold in range(5):
        counts = Counter(span["type"] for row in items for span in row["spans"] if row["fold_2"] == fold)
        assert all(abs(count - 40) <= 6 for count in counts.values()), counts
    assert verify.verify_folder(benchmark.dataset).repeats == {}
    assert "The splits were drawn" in str(report)
    again = convert.convert_corpus(
        [convert.CorpusSource(tmp_path / "a.jsonl")], "jinbench", tmp_path / "other", reader_options={"group": "page"},
        writer_options={"seed": 1},
    )  # fmt: skip
    assert again.texts == 200
    assert (tmp_path / "other/dataset/splits.csv").read_bytes() != (tmp_path / "made/dataset/splits.csv").read_bytes()


def test_a_corpus_that_repeats_itself_says_so(tmp_path: Path) -> None:
    """Given splits are kept; what stands in both is told, by verify too, and one pair more is a leak."""
    train, test = rows(30), rows(10, 30)
    test[0] |= {key: train[0][key] for key in ("text", "entities", "page")}
    report = convert.convert_corpus(
        [convert.CorpusSource(write(tmp_path / "a.jsonl", train), "train"),
         convert.CorpusSource(write(tmp_path / "b.jsonl", test), "test")],
        "jinbench", tmp_path / "made", reader_options={"group": "page"},
    )  # fmt: skip
    assert "1 pairs of texts stand" in str(report)
    assert "1 documents stand in several splits" in str(report)
    benchmark = Benchmark(tmp_path / "made")
    assert {row["article_id"] for row in load.read_rows(benchmark, "ner", "test")} >= {"p0@test", "p15"}
    report_on_disk = verify.verify_folder(benchmark.dataset)
    assert report_on_disk.repeats == {"ner": 1, "sector": 1}
    assert "partly of memory" in str(report_on_disk)
    assert "No text of" not in str(report_on_disk)
    listing = json.loads(benchmark.manifest.read_text(encoding="utf-8"))
    benchmark.manifest.write_text(files.dump_json(listing | {"leaks": {}}), encoding="utf-8")
    with pytest.raises(DataError, match="leak"):
        verify.verify_folder(benchmark.dataset)


WRONG = [
    ([("train", 10), ("validation", 10)], "split-mismatch", "train and test"),
    ([(None, 3)], "split-mismatch", "5 documents or more"),
]


@pytest.mark.parametrize(("parts", "code", "message"), WRONG)
def test_what_makes_no_benchmark(parts: list[tuple[str | None, int]], code: str, message: str, tmp_path: Path) -> None:
    sources = [
        convert.CorpusSource(write(tmp_path / f"{n}.jsonl", rows(count, 10 * n)), split)
        for n, (split, count) in enumerate(parts)
    ]
    with pytest.raises(DataError, match=message) as caught:
        convert.convert_corpus(sources, "jinbench", tmp_path / "made")
    assert [problem.code for problem in caught.value.problems] == [code]
    assert not (tmp_path / "made").exists()


def test_ids_and_classes_alone(tmp_path: Path) -> None:
    twice = [row | {"id": 1} for row in rows(6)]
    with pytest.raises(DataError, match="duplicate-id"):
        convert.convert_corpus(
            [convert.CorpusSource(write(tmp_path / "a.jsonl", twice))], "jinbench", tmp_path / "made"
        )
    bare = [row | {"entities": []} for row in rows(6)]
    with pytest.raises(DataError, match="a text with a span"):
        convert.convert_corpus([convert.CorpusSource(write(tmp_path / "a.jsonl", bare))], "jinbench", tmp_path / "made")
    both = [[row | {"id": n} for n, row in enumerate(rows(6, first))] for first in (0, 6)]  # each file counts anew
    sources = [
        convert.CorpusSource(write(tmp_path / f"{split}.jsonl", part), split)
        for split, part in zip(("train", "test"), both, strict=True)
    ]
    convert.convert_corpus(sources, "jinbench", tmp_path / "made")
    assert load.read_rows(Benchmark(tmp_path / "made"), "ner", "test")[0]["id"] == "test-0"


def test_our_own_benchmark_goes_out_and_comes_back(tmp_path: Path) -> None:
    """As sentences, and as passages with their sectors."""
    report = convert.convert_corpus(
        [convert.CorpusSource(ROOT)], "doccano", tmp_path / "out", reader_options={"passages": True}
    )
    assert report.files == ("test.jsonl", "train.jsonl", "validation.jsonl")
    assert (report.texts, report.spans, report.losses.keys()) == (142, 840, {"fields"})  # the class of layout
    split = {name: tmp_path / "out" / f"{name}.jsonl" for name in ("train", "validation", "test")}
    convert.convert_corpus(
        [convert.CorpusSource(path, name) for name, path in split.items()], "jinbench", tmp_path / "back",
        reader_options={"group": "article_id"},
    )  # fmt: skip
    ours, back = (load.read_rows(benchmark, "sector") for benchmark in (Benchmark(ROOT), Benchmark(tmp_path / "back")))
    assert [(row["id"], row["text"], row["article_id"]) for row in back] == [
        (row["id"], row["text"], row["article_id"]) for row in ours
    ]
    names = [
        load.read_manifest(benchmark)["labels"]["sector"]
        for benchmark in (Benchmark(ROOT), Benchmark(tmp_path / "back"))
    ]
    assert [{names[1][n] for n in row["sectors"]} for row in back] == [
        {names[0][n] for n in row["sectors"]} for row in ours
    ]
    sentences = convert.convert_corpus([convert.CorpusSource(ROOT / "dataset")], "conll", tmp_path / "columns")
    assert (sentences.texts, sentences.spans) == (364, 840)
    assert sentences.losses["groups"]["count"] == sentences.losses["ids"]["count"] == 364
    tags = "".join((tmp_path / "columns" / f"{name}.txt").read_text(encoding="utf-8") for name in split)
    assert sum(line.partition(" ")[2].startswith("B-") for line in tags.split("\n")) == 840


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.integers(1, 4)), min_size=40, max_size=80))
def test_every_part_gets_its_share(components: list[tuple[str, int]]) -> None:
    counts = {str(n): Counter({"texts": 1, f"entity {type}": count}) for n, (type, count) in enumerate(components)}
    parts = corpus_splits.stratify(counts, [0.5, 0.3, 0.2], "salt")
    assert parts.keys() == counts.keys()
    for label in ("entity A", "entity B", "entity C"):
        total = sum(own_counts[label] for own_counts in counts.values())
        for part, share in enumerate([0.5, 0.3, 0.2]):
            in_part = sum(own_counts[label] for name, own_counts in counts.items() if parts[name] == part)
            assert abs(in_part - share * total) <= 4  # no more than the largest family


def test_what_overlaps_is_told_on_the_way_in() -> None:
    text = "天津港务局的人"
    spans = (Span(0, 5, "ORG", text[:5]), Span(0, 2, "LOC", text[:2]))
    log = ConversionLog()
    documents = [Document(f"{text}{n}", spans, location=f"x:{n}") for n in range(6)]
    contents = dict(jinbench.write_benchmark(documents, log))
    assert log.losses["overlaps"].count == 6
    assert json.loads(contents["dataset/stats.json"])["entities"].keys() == {"ORG"}


@pytest.mark.parametrize(
    ("sources", "options", "message"),
    [
        (("train=8", "test=4"), (), "1 of 12: the other 11 repeat one of these, or nearly.*--keep-splits"),
        (("12",), (), "1 of 12: the other 11 repeat .*name the split of each file, and --keep-splits"),
        (("12",), ("--keep-splits",), "1 of 12"),
        (("2",), (), "1 of 2: the other 1 "),
        (("train=8", "test=4"), ("--keep-splits",), ""),
        (("train=1", "test=2"), ("--keep-splits",), ""),
    ],
)
def test_a_corpus_that_repeats_itself(
    tmp_path: Path, sources: tuple[str, ...], options: tuple[str, ...], message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """It is refused with how many texts of how many, or taken with the splits that it came with."""
    text, number, names = "张三第一次去塘沽看了很久很久的港口和码头的船只来往", 0, []
    for source in sources:
        split, _, count = source.rpartition("=")
        names.append(f"{split}={tmp_path / split}.jsonl" if split else str(tmp_path / "all.jsonl"))
        lines = [{"text": f"{text}{number + n}", "label": [[0, 2, "人名"]]} for n in range(int(count))]
        number += len(write(tmp_path / f"{split or 'all'}.jsonl", lines).read_text().splitlines())
    code = commands.run(["convert", *names, "--to", "jinbench", "--out", str(tmp_path / "made"), *options])
    printed = capsys.readouterr()
    assert code == bool(message)
    assert re.search(message, printed.err, re.DOTALL)
    if not message:
        items = load.describe_dataset(Benchmark(tmp_path / "made")).items["ner"]
        assert items == {source.split("=")[0]: int(source.split("=")[1]) for source in sources}
        assert "near repetitions together if enough texts are left" in printed.out
        run("--root", tmp_path / "made", "verify")
        run("--root", tmp_path / "made", "rank")
