"""Gold: labels of one task and split with groups, folds, facets, crosswalks."""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

TASKS = ("ner", "sector")

FOLDS = "folds"  # the pseudo-split of cross-validation: every item, predicted by a model that did not see its fold

NOISY = "noisy"  # that of the test sentences under noise

BOARD_SPLITS = {"ner": (FOLDS, "test", NOISY), "sector": (FOLDS, "test")}  # what systems are held against, at most

LabelKey = tuple[Any, ...]  # (start, end, type) of a span, or (sector,); the last part is the row of the table


@dataclass(frozen=True)
class Gold:
    """What predictions are held against: items in a fixed order.

    `labels[i]` is the set of labels of item i; `groups` its article, the unit of resampling. `facets` says for each way
    to divide the items, such as by layout, to which parts each belongs. `folds` is the fold of each item in the
    repeat that is scored. `known` has for each item the surfaces that were labelled in what a system may have learnt
    from; empty where that is not asked. `crosswalks`: what the types become in coarser label sets.
    """

    task: str
    split: str
    names: tuple[str, ...]
    ids: tuple[str, ...]
    texts: tuple[str, ...]
    labels: tuple[frozenset[LabelKey], ...]
    groups: tuple[str, ...]
    folds: tuple[int, ...]
    version: str
    sha256: str
    manifest: str  # the sha256 of the whole dataset, where `sha256` is that of the config
    crosswalk: str = ""  # the one through which the entity types went, if any
    facets: Mapping[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    known: tuple[frozenset[str], ...] = ()
    crosswalks: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def from_labels(
        cls,
        task: str,
        names: Sequence[str],
        items: Iterable[tuple[str, str, str, frozenset[LabelKey]]],
        facets: Mapping[str, tuple[tuple[str, ...], ...]] | None = None,
    ) -> "Gold":
        """Gold of labels alone, of no version of a dataset: of each item its id, text, article and labels."""
        rows = list(items)
        return cls(
            task,
            FOLDS,
            tuple(names),
            tuple(id for id, _, _, _ in rows),
            tuple(text for _, text, _, _ in rows),
            tuple(labels for _, _, _, labels in rows),
            tuple(group for _, _, group, _ in rows),
            folds=(0,) * len(rows),
            version="",
            sha256="",
            manifest="",
            facets=facets or {},
        )

    def only(self, kept: Sequence[bool]) -> "Gold":
        """The items of which `kept` is true."""

        def of(values: tuple[Any, ...]) -> tuple[Any, ...]:
            return tuple(itertools.compress(values, kept))

        return replace(
            self,
            ids=of(self.ids),
            texts=of(self.texts),
            labels=of(self.labels),
            groups=of(self.groups),
            folds=of(self.folds),
            known=of(self.known),
            facets={name: of(values) for name, values in self.facets.items()},
        )


def surfaces(rows: Iterable[dict[str, Any]]) -> frozenset[str]:
    """What is labelled anywhere in the rows."""
    return frozenset(span["surface"] for row in rows for span in row["spans"])


def coarse_gold(gold: Gold, crosswalk: str, types: Mapping[str, str]) -> Gold:
    """The gold of a fine label set, seen through a crosswalk."""
    labels = tuple(map(apply_crosswalk(types), gold.labels))
    return replace(gold, names=coarse_names(gold.names, types), labels=labels, crosswalk=crosswalk, crosswalks={})


def coarse_names(names: Sequence[str], types: Mapping[str, str]) -> tuple[str, ...]:
    """What types become in a crosswalk, each once and in their order, without those that have no counterpart."""
    return tuple(dict.fromkeys(types[name] for name in names if types.get(name)))


def apply_crosswalk(types: Mapping[str, str]) -> Callable[[Iterable[LabelKey]], frozenset[LabelKey]]:
    """A function that takes the labels of an item through a crosswalk: types without a counterpart are left out."""
    return lambda found: frozenset((*label[:-1], types[label[-1]]) for label in found if types.get(label[-1]))
