"""Configs, Hugging Face features, field descriptions (for the card and croissant.json)."""

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jinbench.annotation.labels import LabelSet, bio_tag_names
from jinbench.core.types import JsonObject
from jinbench.dataset.splits import FOLD_COLUMNS, SPLITS

if TYPE_CHECKING:
    import datasets

Feature = Any  # a feature of `datasets`, or a dict of them
Row = JsonObject  # an item as a plain record
Rows = dict[str, dict[str, list[Row]]]  # by config, then by split

# The splits of each config; the first config is the default one.
CONFIGS = {"ner": SPLITS, "sector": SPLITS, "articles": SPLITS, "annotations": SPLITS, "ner_noisy": ("test",)}

ITEMS = {
    "ner": "a sentence",
    "ner_noisy": "a sentence of `ner` with noise of one kind and level put into it",
    "sector": "a passage",
    "articles": "an article",
    "annotations": "a passage as one annotator labelled it, before adjudication",
}

# Fields that mean the same in every config that has them. `spans.start` is `start` within `spans`.
SHARED_FIELDS = {
    "tokens": "the characters of `text`, one Unicode code point each",
    "ner_tags": "a BIO tag for each of `tokens`",
    "spans": "the entities in `text`, flat, in order; `text[start:end] == surface`",
    "spans.start": "where it begins in `text`, in code points",
    "spans.end": "where it ends, half-open",
    "spans.type": "its entity type",
    "spans.surface": "its text",
    "sectors": "what the passage is about: sectors, one or more",
    "passage_id": "the passage: page id and the line where it begins, `p1-L13`",
    "article_id": "the article: `id` in `articles`",
    "layout": "what the page did to the text of the article: clean, column-broken, continued or garbled",
} | {column: f"the fold of the article in cross-validation {n}" for n, column in enumerate(FOLD_COLUMNS, 1)}

FIELDS = {
    "ner": {
        "id": "passage id and number of the sentence: `p1-L13-S2`",
        "text": "the sentence",
    },
    "ner_noisy": {
        "id": "id of the sentence in `ner`, kind and level of the noise: `p1-L13-S2@pinyin-1`",
        "text": "the sentence with noise",
        "spans.clean_start": "where the same entity begins in the clean sentence",
        "spans.clean_end": "where it ends there, half-open",
        "clean_id": "id of the clean sentence in `ner`",
        "kind": "kind of noise",
        "level": "how much of it, from 1; what a level changes, the next one changes too",
        "hits": "how many characters were changed, lost, or have something behind them that was not there",
    },
    "sector": {
        "id": "passage id: page id and the line where the passage begins, `p1-L13`",
        "title": "headline of its article",
        "text": "the passage",
    },
    "articles": {
        "id": "id of the article",
        "page_id": "the page that it stands on",
        "story": "the event it is about; articles of one story stay on one side of every split",
        "title": "headline",
        "subtitles": "headlines of second rank, kept apart from the text",
        "bylines": "who wrote it, as printed, kept apart from the text",
        "captions": "captions of pictures, kept apart from the text",
        "text": "its passages, one to a line",
        "passages": "where each passage stands in `text`",
        "passages.id": "passage id",
        "passages.start": "where it begins in `text`, in code points",
        "passages.end": "where it ends, half-open",
        "runs": "the stretches of `text` that stood on the page in one piece",
        "runs.text_start": "where the stretch begins in `text`",
        "runs.page_start": "where it begins on the page",
        "runs.length": "how long it is, in code points",
        "changes": "the characters of `text` that read otherwise on the page",
        "changes.text_start": "which character of `text`",
        "changes.page_text": "what stands on the page",
    },
    "annotations": {
        "id": "passage id and annotator: `p1-L13@annotator-a`",
        "annotator": "who labelled",
        "kind": "what the annotator is: a person, a language model",
        "text": "the passage",
    },
}


def element_feature(feature: Feature) -> Feature:
    """Return the feature of the elements of a list; a feature that is no list, as it is."""
    from datasets import List

    return feature.feature if isinstance(feature, List) else feature


def label_names(feature: Feature) -> tuple[str, ...]:
    """Return the names of a field of class labels; empty for every other field."""
    from datasets import ClassLabel

    element = element_feature(feature)
    return tuple(element.names) if isinstance(element, ClassLabel) else ()


def field_paths(features: "datasets.Features") -> Iterator[str]:
    """Yield every field, and after a structure its parts: `spans`, then `spans.start`."""
    for name, feature in features.items():
        yield name
        if isinstance(element_feature(feature), dict):
            yield from (f"{name}.{part}" for part in element_feature(feature))


def describe_fields(features: "Mapping[str, datasets.Features]") -> dict[str, dict[str, str]]:
    """Return the description of each field, by config and path.

    `FIELDS` may describe a config that `features` does not have.
    Raises `KeyError` for a field without a description, and for a description without its field.
    """
    descriptions = {
        config: {path: (SHARED_FIELDS | FIELDS[config])[path] for path in field_paths(types)}
        for config, types in features.items()
    }
    for config, by_path in descriptions.items():
        for path in FIELDS[config]:
            if path not in by_path:
                raise KeyError(f"features.FIELDS describes {config}.{path}, and there is no such field")
    return descriptions


def type_name(feature: Feature) -> str:
    """Return the type of a field as text."""
    from datasets import ClassLabel, List

    if isinstance(feature, List):
        size = f"{feature.length} " if feature.length >= 0 else ""
        return f"list of {size}{type_name(feature.feature)}"
    if isinstance(feature, ClassLabel):
        return "ClassLabel"
    return "struct" if isinstance(feature, dict) else str(feature.dtype)


def features_markdown(features: "Mapping[str, datasets.Features]") -> str:
    """Return a Markdown table of fields: those of each config, then those that are the same in several."""
    descriptions = describe_fields(features)
    owners: dict[tuple[str, ...], list[str]] = {}
    for config, types in features.items():
        for name, feature in types.items():
            text = _describe_parts(name, feature, descriptions[config])
            owners.setdefault((f"`{name}`", type_name(feature), text), []).append(config)
    own = [((config,), row) for config in features for row, configs in owners.items() if configs == [config]]
    shared = [(tuple(configs), row) for row, configs in owners.items() if len(configs) > 1]
    lines: list[tuple[str, ...]] = [("config", "field", "type", "what it is"), ("---",) * 4]
    before: tuple[str, ...] = ()
    for configs, row in [*own, *sorted(shared, key=lambda pair: len(pair[0]))]:
        names = "all" if len(configs) == len(features) else ", ".join(f"`{config}`" for config in configs)
        lines.append(("" if configs == before else names, *row))
        before = configs
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _describe_parts(name: str, feature: Feature, descriptions: Mapping[str, str]) -> str:
    """Return the description of a field, followed by those of its parts."""
    element = element_feature(feature)
    parts = [f"`{part}`: {descriptions[f'{name}.{part}']}" for part in element] if isinstance(element, dict) else []
    return "; ".join([descriptions[name], *parts])


def dataset_features(label_set: LabelSet) -> dict[str, "datasets.Features"]:
    """Return the types of the fields of every config."""
    return features_from_labels({"ner": label_set.entity_names, "sector": label_set.sector_names})


def features_from_labels(names: Mapping[str, Sequence[str]]) -> dict[str, "datasets.Features"]:
    """Return :func:`dataset_features` of the labels of a manifest: entity types under `ner`, sectors under `sector`."""
    from datasets import ClassLabel, Features, List, Value

    string, number = Value("string"), Value("int32")
    folds = dict.fromkeys(FOLD_COLUMNS, number)
    shared = {"article_id": string, "layout": string, **folds}
    span = {"start": number, "end": number, "type": string, "surface": string}
    spans = List(span)
    tagged = {
        "text": string,
        "tokens": List(string),
        "ner_tags": List(ClassLabel(names=list(bio_tag_names(names["ner"])))),
    }
    return {
        "ner": Features({"id": string, **tagged, "spans": spans, "passage_id": string, **shared}),
        "sector": Features(
            {
                "id": string,
                "title": string,
                "text": string,
                "sectors": List(ClassLabel(names=list(names["sector"]))),
                **shared,
            }
        ),
        "articles": Features(
            {
                "id": string,
                "page_id": string,
                "story": string,
                "title": string,
                "subtitles": List(string),
                "bylines": List(string),
                "captions": List(string),
                "text": string,
                "passages": List({"id": string, "start": number, "end": number}),
                "runs": List({"text_start": number, "page_start": number, "length": number}),
                "changes": List({"text_start": number, "page_text": string}),
                "layout": string,
                **folds,
            }
        ),
        "annotations": Features(
            {
                "id": string,
                "passage_id": string,
                "annotator": string,
                "kind": string,
                "text": string,
                "spans": spans,
                "sectors": List(ClassLabel(names=list(names["sector"]))),
                **shared,
            }
        ),
        "ner_noisy": Features(
            {
                "id": string,
                **tagged,
                "spans": List(span | {"clean_start": number, "clean_end": number}),
                "clean_id": string,
                "kind": string,
                "level": number,
                "hits": number,
                "passage_id": string,
                **shared,
            }
        ),
    }


def drop_fields(features: "datasets.Features", names: Container[str]) -> "datasets.Features":
    """Return features without the fields of these names, at any depth."""
    from datasets import Features, List

    def strip(feature: Feature) -> Feature:
        if isinstance(feature, List):
            return List(strip(feature.feature))
        if isinstance(feature, dict):
            return {name: strip(value) for name, value in feature.items() if name not in names}
        return feature

    return Features(strip(dict(features)))
