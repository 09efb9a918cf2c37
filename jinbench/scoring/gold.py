"""Gold: labels of one task and split with groups, folds, facets, crosswalks."""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from jinbench.core.types import JsonObject
from jinbench.scoring.counts import LabelTable, index_groups, labels_to_table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T")

TASKS = ("ner", "sector")

FOLDS = "folds"  # the pseudo-split of cross-validation: every item, predicted by a model that did not see its fold

NOISY = "noisy"  # the pseudo-split of the test sentences under noise

LEADERBOARD_SPLITS = {"ner": (FOLDS, "test", NOISY), "sector": (FOLDS, "test")}  # at most

LabelKey = tuple[Any, ...]  # (start, end, type) of a span, or (sector,); the last part is the row of the table


@dataclass(frozen=True)
class Gold:
    """Gold labels to score predictions on: items in a fixed order.

    Args:
        task: `ner` or `sector`.
        split: the split, or one of the pseudo-splits `folds` and `noisy`.
        names: entity types or sectors, in the order of the tables.
        ids: ids of the items, all fields below in their order.
        texts: texts of the items.
        labels: the set of labels of each item: (start, end, type) in code points, or (sector,).
        groups: the article of each item, the unit of resampling.
        folds: the fold of each item in the repeat that is scored.
        version: version of the dataset.
        sha256: hash of the config.
        manifest: hash of the whole dataset.
        crosswalk: the one that was applied to the types, if any.
        facets: for each way to divide the items, such as by layout, the parts that each item belongs to.
        training_surfaces: of each item the surfaces labelled in what a system may have learnt from, for the scores of
            seen and unseen entities; empty for none.
        crosswalks: for each crosswalk what the types become in a coarser label set.

    Example:
        >>> items = [("s1", "上海下雨", "a1", frozenset({(0, 2, "PLACE")}))]
        >>> Gold.from_labels("ner", ["PLACE"], items).ids
        ('s1',)
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
    manifest: str
    crosswalk: str = ""
    facets: Mapping[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    training_surfaces: tuple[frozenset[str], ...] = ()
    crosswalks: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def from_labels(
        cls,
        task: str,
        names: Sequence[str],
        items: Iterable[tuple[str, str, str, frozenset[LabelKey]]],
        facets: Mapping[str, tuple[tuple[str, ...], ...]] | None = None,
    ) -> "Gold":
        """Make gold of no dataset version, all of it in one fold.

        Args:
            task: `ner` or `sector`.
            names: entity types or sectors, in the order of the tables.
            items: (id, text, article, labels) of each item; labels are (start, end, type) or (sector,).
            facets: for each way to divide the items the parts that each item belongs to, in the order of `items`.
        """
        rows = list(items)
        ids, texts, groups, labels = zip(*rows, strict=True) if rows else ((), (), (), ())
        return cls(
            task, FOLDS, tuple(names), ids, texts, labels, groups, folds=(0,) * len(rows), version="", sha256="",
            manifest="", facets=facets or {},
        )  # fmt: skip

    @cached_property
    def columns(self) -> LabelTable:
        """The labels of all items side by side."""
        return labels_to_table(self.labels, self.names)

    @cached_property
    def article_index(self) -> "NDArray[np.int64]":
        """The rank (items,) of the article of each item in the order of their ids."""
        return index_groups(self.groups)

    @cached_property
    def facet_masks(self) -> dict[str, dict[str, "NDArray[np.bool_]"]]:
        """By facet and value, which items (items,) have it."""
        import numpy as np

        return {
            facet: {
                value: np.array([value in values for values in item_values])
                for value in sorted({value for values in item_values for value in values})
            }
            for facet, item_values in self.facets.items()
        }

    @cached_property
    def seen(self) -> "NDArray[np.bool_]":
        """Mask of the labels in `columns` whose surface was labelled in training."""
        return self.is_seen(self.columns)

    def is_seen(self, table: LabelTable) -> "NDArray[np.bool_]":
        """Return which labels (labels,) of these items have a surface that was labelled in training."""
        import numpy as np

        places = zip(table.item.tolist(), table.start.tolist(), table.end.tolist(), strict=True)
        surfaces = self.training_surfaces
        return np.array([self.texts[i][start:end] in surfaces[i] for i, start, end in places], dtype=bool)

    def select(self, mask: Sequence[bool]) -> "Gold":
        """Return the items for which `mask` is true."""

        def compress(values: tuple[T, ...]) -> tuple[T, ...]:
            return tuple(itertools.compress(values, mask))

        return replace(
            self,
            ids=compress(self.ids),
            texts=compress(self.texts),
            labels=compress(self.labels),
            groups=compress(self.groups),
            folds=compress(self.folds),
            training_surfaces=compress(self.training_surfaces),
            facets={name: compress(values) for name, values in self.facets.items()},
        )


def collect_surfaces(rows: Iterable[JsonObject]) -> frozenset[str]:
    """Return all surfaces that are labelled in the rows."""
    return frozenset(span["surface"] for row in rows for span in row["spans"])


def coarsen_gold(gold: Gold, crosswalk: str, types: Mapping[str, str]) -> Gold:
    """Apply a crosswalk to the gold of a fine label set."""
    labels = tuple(map(apply_crosswalk(types), gold.labels))
    return replace(gold, names=coarsen_names(gold.names, types), labels=labels, crosswalk=crosswalk, crosswalks={})


def coarsen_names(names: Sequence[str], types: Mapping[str, str]) -> tuple[str, ...]:
    """Return the types that `names` become in a crosswalk, each once."""
    return tuple(dict.fromkeys(types[name] for name in names if types.get(name)))


def apply_crosswalk(types: Mapping[str, str]) -> Callable[[Iterable[LabelKey]], frozenset[LabelKey]]:
    """Return a function that maps labels; types without counterpart are dropped."""
    return lambda labels: frozenset((*label[:-1], types[label[-1]]) for label in labels if types.get(label[-1]))
