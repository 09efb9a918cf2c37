"""The recipes of the room, each by itself: what they find, that they find it twice, and what odd texts do to them."""

import importlib.util
import itertools
from typing import Any

import pytest

from jinbench.baselines.recipe import load_recipe
from jinbench.core.benchmark import Benchmark
from jinbench.core.types import Span
from jinbench.dataset import load
from tests.helpers.paths import ROOT

SECTOR = ["context", "entities", "majority", "tfidf", "title"]
NER = ["gazetteer", "offshelf", "rules"]
ODD = ["", " ", "\u3000", "1%", "２０２６年", "😀天津😀大学 张三", "a\tb\n天津", "\ud800天津", "《《》", "“十五五”"]


def recipe(name: str) -> Any:
    declared = load_recipe(ROOT / "baselines" / f"{name}.py")
    for package in declared.missing:
        pytest.skip(f"{package} is not installed")
    spec = importlib.util.spec_from_file_location(name, declared.path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sector_rows(benchmark: Benchmark, split: str) -> tuple[list[dict[str, Any]], list[list[str]]]:
    names = load.read_manifest(benchmark)["labels"]["sector"]
    rows = load.read_rows(benchmark, "sector", split)
    kept = [{key: row[key] for key in ("id", "title", "text", "article_id")} for row in rows]
    some = Span(0, 2, "COMPANY", "")
    kept = [row | {"entities": [some._replace(surface=row["text"][:2])]} for row in kept]
    return kept, [[names[number] for number in row["sectors"]] for row in rows]


@pytest.mark.parametrize("name", SECTOR)
def test_a_sector_recipe_gives_the_same_twice_and_known_labels_only(real: Benchmark, name: str) -> None:
    module = recipe(name)
    X, y = sector_rows(real, "train")
    new, _ = sector_rows(real, "validation")
    fitted = module.make().fit(X, y)
    found = fitted.predict(new)
    assert found == module.make().fit(X, y).predict(new)
    known = {label for labels in y for label in labels}
    assert all(set(labels) <= known and labels for labels in found)
    assert fitted.predict([]) == []
    odd = [{"id": text, "text": text, "title": text, "article_id": "odd", "entities": []} for text in ODD]
    assert len(fitted.predict(odd)) == len(ODD)


@pytest.mark.parametrize("name", NER)
def test_spans_of_an_entity_recipe_are_what_they_point_at(real: Benchmark, name: str) -> None:
    module = recipe(name)
    rows = load.read_rows(real, "ner", "train")
    fitted = module.make().fit(rows, [[Span(**span) for span in row["spans"]] for row in rows])
    for texts in ([row["text"] for row in rows[:40]], ODD):
        found = fitted.predict([{"text": text} for text in texts])
        assert found == fitted.predict([{"text": text} for text in texts])
        for text, spans in zip(texts, found, strict=True):
            assert all(text[span.start : span.end] == span.surface and span.surface for span in spans)
            ordered = sorted(spans)
            assert all(a.end <= b.start for a, b in itertools.pairwise(ordered))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("《黄河保护法》实施", [("INITIATIVE", "黄河保护法")]),
        ("“十五五”时期", [("DATE", "十五五")]),
        ("5月28日至31日在此举行", [("DATE", "5月28日至31日")]),
        ("今年一季度增长3.5%", [("DATE", "今年一季度"), ("QUANTITY", "3.5%")]),
        ("未来3年投入约45亿元", [("DATE", "未来3年"), ("QUANTITY", "45亿元")]),
        ("第5000台下线,一批、首个、二期", []),
        ("3至4个,两轮,千余个", [("QUANTITY", "3至4个"), ("QUANTITY", "两轮"), ("QUANTITY", "千余个")]),
        ("本报讯(记者 王小明)", [("TITLE", "记者"), ("PERSON", "王小明")]),
        ("记者了解到", []),
    ],
)
def test_rules(text: str, found: list[tuple[str, str]]) -> None:
    (spans,) = recipe("rules").make().fit([], []).predict([{"text": text}])
    assert [(span.type, span.surface) for span in sorted(spans)] == found


def test_the_context_of_a_passage_is_its_article_without_it() -> None:
    rows = [
        {"text": text, "article_id": article} for text, article in (("一", "a"), ("二", "b"), ("三", "a"), ("四", "a"))
    ]
    assert recipe("context").others(rows) == ["三\n四", "", "一\n四", "一\n三"]


def test_the_labels_of_the_tagger_are_those_of_its_crosswalk(real: Benchmark) -> None:
    from jinbench.annotation.labels import read_label_set

    module = recipe("offshelf")
    coarse = {entity.crosswalk[module.CROSSWALK] for entity in read_label_set(real).entities}
    assert set(module.COARSE) == coarse - {""}
