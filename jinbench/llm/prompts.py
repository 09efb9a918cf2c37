"""Prompts for language models: task, labels, rules, examples and form of the answer; then the item.

All that items have in common stands in the system message, so that a service that keeps the beginnings of prompts reads
it once. Of what is predicted only the text gets in (for sector the title too): no label of it, and no example from its
article. The examples of labels.toml and of the guidelines are left out as well, since they come from all pages.
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
from jinbench.dataset.splits import FOLD_COLUMNS
from jinbench.llm import align
from jinbench.scoring.gold import FOLDS, TASKS, LabelKey

STYLES = ("json", "markup")
LANGUAGES = ("zh", "en")
_FOLD = FOLD_COLUMNS[0]  # the partition whose folds are scored
_WINDOW = 24  # among how many candidates the one with most new labels is taken

_WORDS = Path(__file__).with_name("prompts.toml")


@dataclass(frozen=True)
class Example:
    """An item with its labels, to be shown."""

    id: str
    article: str
    title: str
    text: str
    labels: frozenset[LabelKey]

    @property
    def names(self) -> frozenset[str]:
        return frozenset(label[-1] for label in self.labels)


@dataclass(frozen=True)
class Prompts:
    """One record per item, in the order of the gold, and a summary of how they were made."""

    rows: tuple[dict[str, Any], ...]
    summary: dict[str, Any]

    def __str__(self) -> str:
        made, sizes = self.summary, self.summary["characters"]
        lines = [
            f"{made['prompts']} prompts of {sizes['min']} to {sizes['max']} characters, median {sizes['median']}",
            *(
                f"{group['items']} items{'' if group['fold'] is None else ' of fold ' + str(group['fold'])}: "
                f"{len(group['shots'])} examples with {group['covered']} of {made['labels']} labels: "
                f"{', '.join(group['shots']) or '–'}"
                for group in made["groups"]
            ),
            f"[{made['signature']}]",
        ]
        return "\n".join(lines)


def make_prompts(
    benchmark: Benchmark, task: str, split: str, shots: int = 5, seed: int = 0, style: str = "json", lang: str = "zh"
) -> Prompts:
    """A prompt for every item of `split` (train, validation, test, folds, or any other that the gold knows).

    Examples come from train. Those of an item of train come from the folds that the item is not in, those for `folds`
    from all items of other folds; a fold keeps articles of one story together. For a seed they are the same everywhere.
    Raises :class:`DataError` (file-missing, file-changed, wrong-task, unknown-id, and what is wrong with labels.toml).
    """
    gold = read_task_gold(benchmark, task, split)  # of which ids, texts and articles are used, never `labels`
    rows = load.read_rows(benchmark, task)
    titles = {row["id"]: row.get("title", "") for row in rows}
    folds = {row["article_id"]: row[_FOLD] for row in rows}
    by_fold = split in (FOLDS, "train")
    teaching = rows if split == FOLDS else [row for row in rows if row["split"] == "train"]
    examples = _examples(task, teaching, load.read_manifest(benchmark))
    words = _words(benchmark, task, style, lang)
    made: dict[str, dict[str, Any]] = {}
    groups = []
    for fold in sorted({folds[article] for article in gold.groups}) if by_fold else [None]:
        mine = [n for n, article in enumerate(gold.groups) if fold is None or folds[article] == fold]
        shown = {gold.groups[n] for n in mine}
        pool = [example for example in examples if example.article not in shown]
        chosen = choose(pool, shots, seed)
        system = words.system(chosen)
        for n in mine:
            made[gold.ids[n]] = _row(gold.ids[n], system, words.item(gold.texts[n], titles.get(gold.ids[n], "")))
        covered = len(frozenset[str]().union(*(example.names for example in chosen)))
        groups.append({"fold": fold, "items": len(mine), "shots": [e.id for e in chosen], "covered": covered,
                       "system_characters": len(system)})  # fmt: skip
    sizes = [len(row["prompt"]) for row in made.values()]
    summary = {
        "task": task,
        "split": split,
        "style": style,
        "lang": lang,
        "seed": seed,
        "prompts": len(sizes),
        "labels": len(gold.names),
        "characters": {"min": min(sizes), "median": round(statistics.median(sizes)), "max": max(sizes)},
        "groups": groups,
        "version": gold.version,
        "sha256": gold.sha256,
        "signature": f"prompt:{task}|data:{gold.version}|gold:{gold.sha256[:8]}|split:{split}|style:{style}|lang:{lang}"
        f"|shots:{shots}|seed:{seed}|words:{files.sha256(_WORDS.read_bytes())[:8]}",
    }
    return Prompts(tuple(made[id] for id in gold.ids), summary)


def _row(id: str, system: str, item: str) -> dict[str, Any]:
    item = item.rstrip(" ")  # models go on badly from a space
    messages = [{"role": "system", "content": system}, {"role": "user", "content": item}]
    return {"id": id, "prompt": f"{system}\n\n{item}", "messages": messages}


def _examples(task: str, rows: Sequence[dict[str, Any]], listing: dict[str, Any]) -> list[Example]:
    gold = gold_from_rows(task, "train", rows, listing)
    return [
        Example(row["id"], row["article_id"], row.get("title", ""), row["text"], found)
        for row, found in zip(rows, gold.labels, strict=True)
    ]


def choose(pool: Iterable[Example], shots: int, seed: int) -> list[Example]:
    """`shots` examples of the pool, or all if it has fewer; the same ones everywhere, for they are drawn by hash.

    The seed puts the pool into an order. One after the other, of the first 24 that are left the one is taken that
    shows most labels not shown before; if several do, one of an article not shown before, then the first. Of two
    examples or more, one has no labels at all, where the pool has such items. They are shown in the order of the seed.
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


def answer(task: str, style: str, text: str, found: Iterable[LabelKey], names: Sequence[str] = ()) -> str:
    """Labels in the form in which the prompt wants them; sectors in the order of `names`."""
    if task == "sector":
        sectors = sorted((str(label[0]) for label in found), key=lambda name: (name not in names, *_at(names, name)))
        return json.dumps(sectors, ensure_ascii=False) if style == "json" else ", ".join(sectors)
    spans = [Span(start, end, type, text[start:end]) for start, end, type in sorted(found)]
    if style == "markup":
        return markup.mark(text, spans)
    entries = [
        {"surface": entry.surface, "type": entry.type} | ({} if entry.left is None else {"left": entry.left})
        for entry in align.quote(text, spans)
    ]
    return json.dumps(entries, ensure_ascii=False)


def _at(names: Sequence[str], name: str) -> tuple[int, str]:
    return (names.index(name) if name in names else 0, name)


@dataclass(frozen=True)
class _Words:
    """What is said around items, in one language."""

    task: str
    style: str
    names: tuple[str, ...]
    head: str
    parts: dict[str, Any]

    def system(self, examples: Sequence[Example]) -> str:
        pieces = [self.head]
        if examples:
            pieces.append(self.parts["shots"])
        for number, example in enumerate(examples, 1):
            said = answer(self.task, self.style, example.text, example.labels, self.names)
            label = Template(self.parts["shot"]).substitute(number=number)
            pieces.append(f"{label}\n{self.item(example.text, example.title)}{said}")
        return "\n\n".join(pieces)

    def item(self, text: str, title: str) -> str:
        head = f"{self.parts['title']}{title}\n{self.parts['body']}" if self.task == "sector" else self.parts["text"]
        return f"{head}{text}\n{self.parts['answer']}"


def _words(benchmark: Benchmark, task: str, style: str, lang: str) -> _Words:
    label_set = read_label_set(benchmark)
    used = label_set.entities if task == TASKS[0] else label_set.sectors
    parts = _templates()[lang]
    mine = parts[task]
    alone = ", ".join(label.name for label in used if label.alone)
    rules = mine["rules"]
    if alone:
        number = rules.count("\n") + 1
        rules += "\n" + Template(mine["alone"]).substitute(number=number, names=alone)
    rows = [
        Template(parts["label"]).substitute(name=entry.name, zh=entry.zh, en=entry.en, definition=entry.definition)
        for entry in used
    ]
    form = Template(mine[style]).substitute(first=used[0].name)
    head = "\n".join([mine["task"], "", mine["labels"] + parts["definition_note"], *rows, "", rules, "", form])
    return _Words(task, style, tuple(entry.name for entry in used), head, parts)


@cache
def _templates() -> dict[str, Any]:
    return tomllib.loads(_WORDS.read_text(encoding="utf-8"))
