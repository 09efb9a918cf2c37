"""Prompts for language models: task, labels, rules, examples and form of the answer; then the item.

All that items have in common is in the system message, so that a service with prompt caching reads it once. Of what is
predicted only the text gets in (for sector the title too): no label of it, and no example from its article. The
examples of labels.toml and of the guidelines are left out as well, since they come from all pages.
"""

import hashlib
import json
import statistics
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

from jinbench.annotation import markup
from jinbench.annotation.labels import read_label_set
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.types import Span
from jinbench.dataset import load
from jinbench.dataset.gold import gold_from_rows, read_task_gold
from jinbench.dataset.manifest import Manifest
from jinbench.dataset.splits import FOLD_COLUMNS
from jinbench.llm import align
from jinbench.scoring.gold import FOLDS, TASKS, LabelKey

STYLES = ("json", "markup")
LANGUAGES = ("zh", "en")
JsonObject = dict[str, Any]

_FOLD = FOLD_COLUMNS[0]  # the partition whose folds are scored
_WINDOW = 24  # candidates among which the one with most new labels is taken

_TEMPLATES = Path(__file__).with_name("prompts.toml")


@dataclass(frozen=True)
class Example:
    """An item with its labels, as an example in a prompt."""

    id: str
    article: str
    title: str
    text: str
    labels: frozenset[LabelKey]

    @property
    def names(self) -> frozenset[str]:
        return frozenset(label[-1] for label in self.labels)


@dataclass(frozen=True)
class PromptSettings:
    """Settings of the prompts.

    Args:
        shots: Number of examples.
        seed: Random seed of the choice of examples.
        style: What the model is to answer with: "json" or "markup".
        lang: Language of the instructions: "zh" or "en".
    """

    shots: int = 5
    seed: int = 0
    style: str = "json"
    lang: str = "zh"


DEFAULTS = PromptSettings()


@dataclass(frozen=True)
class Prompts:
    """One row per item (id, prompt, messages), in the order of the gold, and a summary of how they were made."""

    rows: tuple[JsonObject, ...]
    summary: JsonObject

    def __str__(self) -> str:
        summary, sizes = self.summary, self.summary["characters"]
        lines = [
            f"{summary['prompts']} prompts of {sizes['min']} to {sizes['max']} characters, median {sizes['median']}",
            *(
                f"{group['items']} items{'' if group['fold'] is None else ' of fold ' + str(group['fold'])}: "
                f"{len(group['shots'])} examples with {group['covered']} of {summary['labels']} labels: "
                f"{', '.join(group['shots']) or '–'}"
                for group in summary["groups"]
            ),
            f"[{summary['signature']}]",
        ]
        return "\n".join(lines)


def make_prompts(benchmark: Benchmark, task: str, split: str, settings: PromptSettings = DEFAULTS) -> Prompts:
    """Make a prompt for every item of a split.

    Examples come from train. Those of an item of train come from the folds that the item is not in, those for `folds`
    from all items of other folds; a fold keeps articles of one story together. For a seed they are the same everywhere.

    Args:
        benchmark: The benchmark, with its dataset built.
        task: "ner" or "sector".
        split: "train", "validation", "test", "folds", or for ner "noisy".
        settings: Number and seed of the examples, style and language.

    Returns:
        Prompts in the order of the gold.

    Raises:
        DataError: [file-missing], [file-changed], [wrong-task], [unknown-id], and the errors of labels.toml.
    """
    gold = read_task_gold(benchmark, task, split)  # of which ids, texts and articles are used, never `labels`
    rows = load.read_rows(benchmark, task)
    titles = {row["id"]: row.get("title", "") for row in rows}
    folds = {row["article_id"]: row[_FOLD] for row in rows}
    by_fold = split in (FOLDS, "train")
    candidates = rows if split == FOLDS else [row for row in rows if row["split"] == "train"]
    examples = _to_examples(task, candidates, load.read_manifest(benchmark))
    template = _read_template(benchmark, task, settings)
    prompts: dict[str, JsonObject] = {}
    groups = []
    for fold in sorted({folds[article] for article in gold.groups}) if by_fold else [None]:
        numbers = [n for n, article in enumerate(gold.groups) if fold is None or folds[article] == fold]
        articles = {gold.groups[n] for n in numbers}
        pool = [example for example in examples if example.article not in articles]
        chosen = choose_examples(pool, settings.shots, settings.seed)
        system = template.format_system(chosen)
        for n in numbers:
            item = template.format_item(gold.texts[n], titles.get(gold.ids[n], ""))
            prompts[gold.ids[n]] = _to_row(gold.ids[n], system, item)
        covered = len(frozenset[str]().union(*(example.names for example in chosen)))
        groups.append({"fold": fold, "items": len(numbers), "shots": [example.id for example in chosen],
                       "covered": covered, "system_characters": len(system)})  # fmt: skip
    sizes = [len(row["prompt"]) for row in prompts.values()]
    summary = {
        "task": task,
        "split": split,
        "style": settings.style,
        "lang": settings.lang,
        "seed": settings.seed,
        "prompts": len(sizes),
        "labels": len(gold.names),
        "characters": {"min": min(sizes), "median": round(statistics.median(sizes)), "max": max(sizes)},
        "groups": groups,
        "version": gold.version,
        "sha256": gold.sha256,
        "signature": f"prompt:{task}|data:{gold.version}|gold:{gold.sha256[:8]}|split:{split}|style:{settings.style}"
        f"|lang:{settings.lang}|shots:{settings.shots}|seed:{settings.seed}"
        f"|words:{files.sha256(_TEMPLATES.read_bytes())[:8]}",
    }
    return Prompts(tuple(prompts[id] for id in gold.ids), summary)


def _to_row(id: str, system: str, item: str) -> JsonObject:
    item = item.rstrip(" ")  # models go on badly from a space
    messages = [{"role": "system", "content": system}, {"role": "user", "content": item}]
    return {"id": id, "prompt": f"{system}\n\n{item}", "messages": messages}


def _to_examples(task: str, rows: Sequence[JsonObject], manifest: Manifest) -> list[Example]:
    gold = gold_from_rows(task, "train", rows, manifest)
    return [
        Example(row["id"], row["article_id"], row.get("title", ""), row["text"], labels)
        for row, labels in zip(rows, gold.labels, strict=True)
    ]


def choose_examples(pool: Iterable[Example], shots: int, seed: int) -> list[Example]:
    """Choose `shots` examples of the pool, or all if it has fewer; drawn by hash, so that they are the same everywhere.

    The seed gives the pool an order. One after the other, of the first 24 that are left the one with most new labels is
    taken; of several, one of a new article, then the first. Of two examples or more, one has no labels at all, if the
    pool has such items. They are returned in the order of the seed.
    """
    order = sorted(pool, key=lambda example: hashlib.sha256(f"{seed}:{example.id}".encode()).digest())
    left = [example for example in order if example.labels]
    bare = [example for example in order if not example.labels]
    chosen: list[Example] = bare[: shots > 1]
    while len(chosen) < shots and left:
        names = frozenset[str]().union(*(example.names for example in chosen))
        articles = {example.article for example in chosen}
        best = max(left[:_WINDOW], key=lambda e: (len(e.names - names), e.article not in articles))
        chosen.append(best)
        left.remove(best)
    chosen += bare[1 : 1 + shots - len(chosen)] if shots > 1 else bare[: shots - len(chosen)]
    return sorted(chosen, key=order.index)


def format_answer(task: str, style: str, text: str, labels: Iterable[LabelKey], names: Sequence[str] = ()) -> str:
    """Return labels in the form in which the prompt wants them; sectors in the order of `names`."""
    if task == "sector":
        order = {name: number for number, name in enumerate(names)}
        sectors = sorted((str(label[0]) for label in labels), key=lambda name: (order.get(name, len(order)), name))
        return json.dumps(sectors, ensure_ascii=False) if style == "json" else ", ".join(sectors)
    spans = [Span(start, end, type, text[start:end]) for start, end, type in sorted(labels)]
    if style == "markup":
        return markup.to_markup(text, spans)
    entries = [
        {"surface": quote.surface, "type": quote.type} | ({} if quote.left is None else {"left": quote.left})
        for quote in align.make_quotes(text, spans)
    ]
    return json.dumps(entries, ensure_ascii=False)


@dataclass(frozen=True)
class _PromptTemplate:
    """The instructions around items, in one language."""

    task: str
    style: str
    names: tuple[str, ...]
    head: str
    parts: JsonObject

    def format_system(self, examples: Sequence[Example]) -> str:
        pieces = [self.head]
        if examples:
            pieces.append(self.parts["shots"])
        for number, example in enumerate(examples, 1):
            answer = format_answer(self.task, self.style, example.text, example.labels, self.names)
            heading = Template(self.parts["shot"]).substitute(number=number)
            pieces.append(f"{heading}\n{self.format_item(example.text, example.title)}{answer}")
        return "\n\n".join(pieces)

    def format_item(self, text: str, title: str) -> str:
        head = f"{self.parts['title']}{title}\n{self.parts['body']}" if self.task == "sector" else self.parts["text"]
        return f"{head}{text}\n{self.parts['answer']}"


def _read_template(benchmark: Benchmark, task: str, settings: PromptSettings) -> _PromptTemplate:
    label_set = read_label_set(benchmark)
    labels = label_set.entities if task == TASKS[0] else label_set.sectors
    parts = _read_templates()[settings.lang]
    of_task = parts[task]
    alone = ", ".join(label.name for label in labels if label.alone)
    rules = of_task["rules"]
    if alone:
        number = rules.count("\n") + 1
        rules += "\n" + Template(of_task["alone"]).substitute(number=number, names=alone)
    rows = [
        Template(parts["label"]).substitute(name=label.name, zh=label.zh, en=label.en, definition=label.definition)
        for label in labels
    ]
    form = Template(of_task[settings.style]).substitute(first=labels[0].name)
    head = "\n".join([of_task["task"], "", of_task["labels"] + parts["definition_note"], *rows, "", rules, "", form])
    return _PromptTemplate(task, settings.style, tuple(label.name for label in labels), head, parts)


@cache
def _read_templates() -> JsonObject:
    return tomllib.loads(_TEMPLATES.read_text(encoding="utf-8"))
