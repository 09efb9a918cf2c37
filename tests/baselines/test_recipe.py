"""Declarations of recipes; the committed recipes, one by one: predictions, determinism, odd texts."""

import importlib.util
import itertools
import re
from pathlib import Path
from typing import Any

import pytest

from jinbench.baselines.recipe import find_recipes, load_recipe
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError
from jinbench.core.types import Span
from jinbench.dataset import load
from jinbench.scoring import gold
from tests.helpers.paths import ROOT
from tests.helpers.recipes import write_recipe

SECTOR = ["context", "entities", "majority", "tfidf", "title"]


NER = ["gazetteer", "offshelf", "rules"]


ODD = ["", " ", "\u3000", "1%", "２０２６年", "😀天津😀大学 张三", "a\tb\n天津", "\ud800天津", "《《》", "“十五五”"]


def load_module(name: str) -> Any:
    recipe = load_recipe(ROOT / "baselines" / f"{name}.py")
    for package in recipe.missing_packages:
        pytest.skip(f"{package} is not installed")
    spec = importlib.util.spec_from_file_location(name, recipe.path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sector_rows(benchmark: Benchmark, split: str) -> tuple[list[dict[str, Any]], list[list[str]]]:
    names = load.read_manifest(benchmark)["labels"]["sector"]
    rows = load.read_rows(benchmark, "sector", split)
    inputs = [{key: row[key] for key in ("id", "title", "text", "article_id")} for row in rows]
    entity = Span(0, 2, "COMPANY", "")
    inputs = [row | {"entities": [entity._replace(surface=row["text"][:2])]} for row in inputs]
    return inputs, [[names[number] for number in row["sectors"]] for row in rows]


@pytest.mark.slow
@pytest.mark.parametrize("name", SECTOR)
def test_sector_recipe_is_deterministic_and_predicts_training_labels_only(real: Benchmark, name: str) -> None:
    module = load_module(name)
    X, y = sector_rows(real, "train")
    new, _ = sector_rows(real, "validation")
    fitted = module.make().fit(X, y)
    predictions = fitted.predict(new)
    assert predictions == module.make().fit(X, y).predict(new)
    names = {label for labels in y for label in labels}
    assert all(set(labels) <= names and labels for labels in predictions)
    assert fitted.predict([]) == []
    odd = [{"id": text, "text": text, "title": text, "article_id": "odd", "entities": []} for text in ODD]
    assert len(fitted.predict(odd)) == len(ODD)


@pytest.mark.parametrize("name", NER)
def test_spans_of_an_entity_recipe_match_the_text(real: Benchmark, name: str) -> None:
    module = load_module(name)
    rows = load.read_rows(real, "ner", "train")
    fitted = module.make().fit(rows, [[Span(**span) for span in row["spans"]] for row in rows])
    for texts in ([row["text"] for row in rows[:40]], ODD):
        predictions = fitted.predict([{"text": text} for text in texts])
        assert predictions == fitted.predict([{"text": text} for text in texts])
        for text, spans in zip(texts, predictions, strict=True):
            assert all(text[span.start : span.end] == span.surface and span.surface for span in spans)
            ordered = sorted(spans)
            assert all(a.end <= b.start for a, b in itertools.pairwise(ordered))


@pytest.mark.parametrize(
    ("text", "expected"),
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
def test_rules_find_the_expected_spans(text: str, expected: list[tuple[str, str]]) -> None:
    (spans,) = load_module("rules").make().fit([], []).predict([{"text": text}])
    assert [(span.type, span.surface) for span in sorted(spans)] == expected


def test_context_of_a_passage_is_its_article_without_it() -> None:
    rows = [
        {"text": text, "article_id": article} for text, article in (("一", "a"), ("二", "b"), ("三", "a"), ("四", "a"))
    ]
    assert load_module("context").others(rows) == ["三\n四", "", "一\n四", "一\n三"]


def test_labels_of_the_tagger_are_those_of_its_crosswalk(real: Benchmark) -> None:
    from jinbench.annotation.labels import read_label_set

    module = load_module("offshelf")
    coarse = {entity.crosswalk[module.CROSSWALK] for entity in read_label_set(real).entities}
    assert set(module.COARSE) == coarse - {""}


def test_recipes_of_the_benchmark_are_complete(real: Benchmark) -> None:
    recipes = [load_recipe(path) for path in find_recipes(real)]
    assert {r.task for r in recipes} == set(gold.TASKS)
    assert all(len(r.summary) > 30 for r in recipes)
    assert all((real.baselines / r.name / "curve.json").is_file() == r.curve for r in recipes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("TASK = 'ner'\n", "no SEED, make"),
        ("TASK, SEED = 'translation', 0\ndef make(): ...\n", "wrong-task"),
        ("def make(:\n", "model.py:1"),
        ("TASK, SEED = 'ner', int('0')\ndef make(): ...\n", "model.py:1"),
        ("TASK, SEED = 'ner', True\ndef make(): ...\n", "a whole number"),
        ("TASK, SEED, NEEDS = 'ner', 0, (1,)\ndef make(): ...\n", "names of packages"),
        ("TASK, SEED, CURVE = 'ner', 0, 1\ndef make(): ...\n", "True or False"),
        ("TASK, SEED, GIVEN = 'ner', 0, ('entities',)\ndef make(): ...\n", "declaration-unknown"),
        ("TASK, SEED, GIVEN = 'sector', 0, ('sectors',)\ndef make(): ...\n", "declaration-unknown"),
        ("TASK, SEED, CROSSWALK = 'sector', 0, 'msra'\ndef make(): ...\n", "declaration-unknown"),
        ("TASK = 'ner'\nif TASK:\n    SEED = 0\ndef make(): ...\n", "no SEED"),
    ],
)
def test_broken_recipe_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        write_recipe(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    [
        "TASK: str = 'ner'\nSEED: int = 0\nfrom sklearn import clone as make\n",
        "(TASK, SEED), NEEDS = ('ner', 0), 'numpy'\nmake = print\n",
        "TASK, SEED, NEEDS, GIVEN = 'sector', 0, ['numpy'], ['entities']\nclass make: ...\n",
    ],
)
def test_declarations_are_read_without_running_the_file(tmp_path: Path, text: str) -> None:
    assert write_recipe(tmp_path, f"{text}\n1 / 0\n").missing_packages == ()
