"""Ids, groups, splits and folds of a corpus: those that it has, or drawn ones."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NoReturn

from jinbench.core.errors import ErrorList, fail
from jinbench.core.types import Span
from jinbench.dataset import duplicates
from jinbench.dataset.splits import FOLD_COLUMNS, FOLDS, SplitAssignment
from jinbench.formats.base import Document

SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}  # of a corpus that has no splits
PAIRWISE_LIMIT = 50_000  # texts: up to so many every pair is compared; of more only equal ones are found


def assign_ids(documents: Sequence[Document]) -> list[str]:
    """Return the ids of the documents.

    Where the corpus has none, an id is split and number. Raise :class:`DataError` (duplicate-id).
    """
    counts: Counter[str] = Counter()
    locations: dict[str, str] = {}
    problems = ErrorList()
    # Ids repeat between splits where each file numbers its own lines.
    corpus_ids = [document.id for document in documents if document.id is not None]
    repeated = len(set(corpus_ids)) < len(corpus_ids)
    by_split = repeated and len({document.split for document in documents}) > 1
    for document in documents:
        prefix = document.split or "item"
        counts[prefix] += 1
        id = f"{prefix}-{counts[prefix]}"
        if document.id is not None:
            id = f"{document.split}-{document.id}" if by_split else document.id
        if id in locations:
            found, fix = f"{id} also at {locations[id]}", "give each text an id of its own, or remove the ids"
            problems.add("duplicate-id", document.location, expected="each id once", found=found, fix=fix)
        locations[id] = document.location
    problems.raise_if_any()
    return list(locations)


def assign_groups(documents: Sequence[Document], ids: Sequence[str]) -> tuple[list[str], int]:
    """Return the group of each document, and how many groups are in several splits.

    A document without a group is one of its own. A group in several splits becomes one per split, as groups move whole.
    """
    splits: dict[str, set[str]] = defaultdict(set)
    for document in documents:
        if document.group is not None:
            splits[document.group].add(document.split or "")
    groups = [
        id if d.group is None else f"{d.group}@{d.split}" if len(splits[d.group]) > 1 else d.group
        for d, id in zip(documents, ids, strict=True)
    ]
    return groups, sum(len(group_splits) > 1 for group_splits in splits.values())


def assign_splits(
    documents: Sequence[Document], spans: Sequence[Sequence[Span]], groups: Sequence[str], seed: int,
    keep_splits: bool = False,
) -> dict[str, SplitAssignment]:  # fmt: skip
    """Return the split and the folds of each group.

    Groups with near-duplicate texts share them, but for a corpus that repeats itself too much for that: with
    `keep_splits` the folds are drawn as if it did not. Raise :class:`DataError` (split-mismatch).
    """
    corpus_splits = {group: document.split for document, group in zip(documents, groups, strict=True)}
    has_splits = _has_splits(corpus_splits)
    components = _link_groups(documents, groups)
    if (apart := len(set(components.values()))) < FOLDS:
        if not (keep_splits and has_splits):
            _fail_repeats(apart, len(components), has_splits)
        components = dict(zip(groups, groups, strict=True))
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for document, document_spans, group in zip(documents, spans, groups, strict=True):
        counts[components[group]].update(["texts", *(f"entity {s.type}" for s in document_spans),
                                          *(f"class {name}" for name in document.classes)])  # fmt: skip
    folds = [stratify(counts, [1 / FOLDS] * FOLDS, f"{seed}:fold:{n}") for n in range(len(FOLD_COLUMNS))]
    drawn = {} if has_splits else stratify(counts, list(SHARES.values()), f"{seed}:split")
    return {
        group: SplitAssignment(
            corpus_splits[group] or list(SHARES)[drawn[components[group]]],
            tuple(fold[components[group]] for fold in folds),
        )
        for group in dict.fromkeys(groups)
    }


def _fail_repeats(apart: int, groups: int, has_splits: bool) -> NoReturn:
    """Refuse a corpus of which only so many documents do not repeat another one."""
    expected = f"{FOLDS} documents or more that do not repeat each other, one a fold"
    found = f"{apart} of {groups:,}"
    found += f": the other {groups - apart:,} repeat one of these, or nearly" if groups > apart else ""
    fix = "add texts, or name a finer --group"
    fix += "; or go on with the splits that it has, --keep-splits" if has_splits else ""
    fix += "; or name the split of each file, and --keep-splits" if not has_splits and groups > apart else ""
    fail("split-mismatch", "the corpus", expected=expected, found=found, fix=fix)


def _has_splits(corpus_splits: Mapping[str, str | None]) -> bool:
    """Return whether the corpus has splits.

    Raise :class:`DataError` (split-mismatch) if it has only some.
    """
    splits = {split for split in corpus_splits.values() if split}
    without = None in corpus_splits.values()
    if splits and (without or not {"train", "test"} <= splits):
        found = f"{', '.join(splits)}{', and texts without a split' if without else ''}"
        fail("split-mismatch", "the corpus", expected="train and test", found=found,
             fix="name each file with its split: train=FILE test=FILE, and validation=FILE if any")  # fmt: skip
    return bool(splits)


def _link_groups(documents: Sequence[Document], groups: Sequence[str]) -> dict[str, str]:
    """Return the connected component of each group.

    Links are near duplicates, and a document in several splits.
    """
    texts = [document.text for document in documents]
    if len(texts) <= PAIRWISE_LIMIT:
        pairs = duplicates.find_near_duplicates(texts, groups)
    else:
        pairs = list(duplicates.find_repeated_texts(texts, groups))
    first: dict[str, str] = {}  # group of each document that is in several splits
    links = [(first.setdefault(d.group, g), g) for d, g in zip(documents, groups, strict=True) if d.group is not None]
    links += [(groups[pair.first], groups[pair.second]) for pair in pairs]
    return duplicates.connect_groups(dict.fromkeys(groups), links)


def stratify(counts: Mapping[str, Counter[str]], shares: Sequence[float], salt: str) -> dict[str, int]:
    """Divide components into parts, so that each part gets its share of every label; return the part of each.

    `counts`: by component, its number of `texts` and of each label. Iterative stratification (Sechidis, Tsoumakas and
    Vlahavas 2011): the rarest label first, its components to the part that lacks most of it. The order is drawn by a
    hash of `salt`, so it is the same on every machine.
    """
    total: Counter[str] = Counter()
    with_label: dict[str, list[str]] = defaultdict(list)
    for component in sorted(counts, key=lambda name: hashlib.sha256(f"{salt}:{name}".encode()).digest()):
        total.update(counts[component])
        for label in counts[component]:
            with_label[label].append(component)
    wanted = [{label: share * count for label, count in total.items()} for share in shares]
    parts: dict[str, int] = {}
    for label in sorted(total, key=lambda label: (label == "texts", total[label], label)):
        open_components = [component for component in with_label[label] if component not in parts]
        # The sort is stable: among equal counts the order is that of the hash.
        for component in sorted(open_components, key=lambda component: -counts[component][label]):
            part = max(range(len(shares)), key=lambda n: (wanted[n][label], wanted[n]["texts"], -n))
            parts[component] = part
            for own_label, count in counts[component].items():
                wanted[part][own_label] -= count
    return parts
