"""Small benchmarks for tests: that of `tests/mini`, and three pages with rule-based labels."""

import re
import shutil
import tempfile
from pathlib import Path

from jinbench import scaffold
from jinbench.annotation import exports
from jinbench.annotation.labels import read_label_set
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.types import PassageLabels, Span
from jinbench.labelstudio import labeling_config
from jinbench.seeds import articles, importer
from tests.helpers.paths import ROOT

MINI = ROOT / "tests" / "mini"


def create_mini_benchmark(root: Path) -> Benchmark:
    """Make the benchmark of `tests/mini` in `root`, a folder that does not exist yet; it is not built."""
    benchmark = scaffold.create_benchmark(root, "Mini")
    shutil.copytree(MINI, root, dirs_exist_ok=True)
    files.write_text(benchmark.labeling_config, labeling_config.build_labeling_config(read_label_set(benchmark)))
    return benchmark


# Three pages of nobody's newspaper, an article each, for a benchmark with the labels of the template.
PAGES = {
    "p1": """第1版 要闻

山城地铁5号线昨天通车

山城地铁5号线昨天通车。线路全长32公里。沿线设18座车站。

首班车6点发出。高峰时每3分钟一班。沿线居民去火车站只要25分钟。
""",
    "p2": """湖滨书院办起夜读会

从4月2日起湖滨书院每周五办夜读会。每场请来2位作家。

夜读会已经办了7场。来的读者超过900人。书院说明年还要办下去。
""",
    "p3": """绿野农场种下新果树

今年春天绿野农场种下3000棵果树。果树来自南山苗圃。

农场计划后年开放采摘。那时每亩能收500公斤果子。
""",
}
_RULES = {
    "PLACE": "山城|火车站|湖滨书院|绿野农场|南山苗圃",
    "DATE": r"昨天|明年|后年|今年春天|\d+月\d+日|\d+点",
    "QUANTITY": r"\d+(?:公里|座|分钟|位|场|人|棵|公斤)",
}
_SECTORS = {"000": "transport", "001": "culture", "002": "general"}


def write_pages(folder: Path) -> list[Path]:
    """Write the three pages as files, ready to be added; return their paths."""
    folder.mkdir(exist_ok=True)
    for id, text in PAGES.items():
        (folder / f"{id}.txt").write_text(text, encoding="utf-8")
    return [folder / f"{id}.txt" for id in PAGES]


def add_pages(benchmark: Benchmark) -> None:
    """Add the three pages to a benchmark that has none, as they are proposed."""
    with tempfile.TemporaryDirectory() as folder:
        importer.import_pages(benchmark, write_pages(Path(folder)))


def label_by_rules(benchmark: Benchmark, annotator: str) -> list[PassageLabels]:
    """Label the three pages with simple rules, in the labels that the benchmark has."""
    label_set = read_label_set(benchmark)
    return [
        PassageLabels(
            passage.id,
            annotator,
            tuple(
                sorted(
                    Span(*match.span(), name, match[0])
                    for name, rule in _RULES.items()
                    if name in label_set.entity_names
                    for match in re.finditer(rule, passage.text)
                )
            ),
            (_SECTORS.get(passage.page_id, "general"),) if label_set.sectors else (),
        )
        for passage in articles.read_seeds(benchmark).passages()
    ]


def write_export(benchmark: Benchmark, annotator: str) -> None:
    """Write the rule-based labels as an export, as if it had been pulled from Label Studio."""
    seeds = articles.read_seeds(benchmark)
    titles = {article.id: article.title for article in seeds.articles}
    rows = exports.to_export(label_by_rules(benchmark, annotator), seeds.passages(), titles)
    files.write_text(exports.export_path(benchmark, annotator), files.dump_json(rows))
