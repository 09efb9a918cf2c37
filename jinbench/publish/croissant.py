"""`dataset/croissant.json`: the dataset described for machines, in Croissant 1.1 with its RAI fields (JSON-LD).

Facts come from the manifest, the features, annotators.toml and agreement.json; prose from the card, by heading. What
nobody wrote is left out. The file lists the hashes of the others, so it is made last and stands in no list itself.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jinbench.annotation import agreement, errata
from jinbench.annotation.annotators import Annotators, read_annotators
from jinbench.annotation.errata import Erratum
from jinbench.annotation.labels import read_label_set
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.dataset import features as fields
from jinbench.dataset import load
from jinbench.dataset.features import dataset_features
from jinbench.dataset.splits import SPLITS
from jinbench.publish import markdown, rai
from jinbench.publish.markdown import NONE, Documents

if TYPE_CHECKING:
    import datasets

NAME = "croissant.json"
CONFORMS_TO = ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]
SPLIT_NAMES = "splits"  # the record set of that name lists the splits

# The context of the standard. Readers compare it with theirs, so it has every key, used here or not.
_TERMS = re.findall(
    r"\w+",
    """
    arrayShape citeAs column containedIn equivalentProperty extract field fileProperty fileObject fileSet format
    includes isArray isLiveDataset jsonPath key md5 parentField path recordSet references regex repeated replace
    samplingRate separator source subField transform
    """,
)
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
} | {term: f"cr:{term}" for term in _TERMS}

_FORMATS = {"csv": "text/csv", "json": "application/json", "parquet": "application/x-parquet"}
_TYPES = {"string": "sc:Text", "bool": "sc:Boolean", "int": "sc:Integer", "uint": "sc:Integer", "float": "sc:Float"}


def build_croissant(
    benchmark: Benchmark, listing: Mapping[str, Any] | None = None, card: str | None = None
) -> dict[str, Any]:
    """The description of the dataset at `where`.

    `listing` is its manifest, read from the disk if not given; `card` its card, likewise.
    Raises :class:`DataError` if manifest, annotators.toml, errata or agreement.json are missing or broken.
    """
    label_set = read_label_set(benchmark)
    return describe(
        load.read_manifest(benchmark) if listing is None else listing,
        dataset_features(label_set),
        read_annotators(benchmark),
        title=label_set.title,
        documents=Documents(
            _text(benchmark, "DATASET_CARD.md") if card is None else card,
            _text(benchmark, "CITATION.cff"),
            _text(benchmark, "LICENSE-DATA.md"),
        ),
        figures=agreement.read_agreement(benchmark) if agreement.path_of(benchmark).is_file() else None,
        corrections=errata.read_errata(benchmark),
    )


def _text(benchmark: Benchmark, name: str) -> str:
    return files.read_text(benchmark.root / name) if (benchmark.root / name).is_file() else ""


def describe(
    listing: Mapping[str, Any],
    features: "Mapping[str, datasets.Features]",
    known: Annotators,
    title: str,
    documents: Documents = NONE,
    figures: Mapping[str, Any] | None = None,
    corrections: Sequence[Erratum] = (),
) -> dict[str, Any]:
    """The JSON-LD: the same input gives the same output.

    Parameters: `listing` the manifest, with its files; `features` the types of every config; `known` who labelled;
    `title` the name if no document has one; `figures` agreement.json.
    """
    held = _ordered(listing, features)
    head = (
        markdown.head(documents.card.split("---\n")[1], "DATASET_CARD.md") if documents.card.startswith("---\n") else {}
    )
    citation = markdown.head(documents.citation, "CITATION.cff")
    parts = markdown.sections(documents.card)
    makers = [_maker(author) for author in citation.get("authors", ())]
    tasks = [*head.get("task_categories", ()), *head.get("task_ids", ()), *head.get("tags", ())]
    found = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": head.get("pretty_name") or citation.get("title") or title,
        "description": " ".join([*markdown.intro(parts), *_sizes(held)]),
        "version": listing["version"],
        "datePublished": str(citation.get("date-released", "")),
        "inLanguage": head.get("language", ()),
        "isLiveDataset": False,
        "keywords": [*citation.get("keywords", ()), *tasks],
        "license": _license(head, parts),
        "url": citation.get("url") or citation.get("repository"),
        "creator": makers,
        "publisher": makers,
        "citeAs": _cite(citation, listing),
        "distribution": [*_file_objects(listing), *_file_sets(held)],
        "recordSet": [_splits(held), *_record_sets(held, features)],
    }
    said = rai.fields(parts, documents, known, figures, corrections, listing)
    return _filled(found | {f"rai:{name}": value for name, value in said.items()})


def _filled(found: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is empty."""
    return {key: value for key, value in found.items() if value or value is False}


def _maker(author: Mapping[str, Any]) -> dict[str, str]:
    """An author of CITATION.cff, which has `name` for an organization and two names for a person."""
    if "name" in author:
        return {"@type": "sc:Organization", "name": author["name"]}
    names = (author.get("given-names"), author.get("family-names"))
    return {"@type": "sc:Person", "name": " ".join(name for name in names if name)}


def _license(head: Mapping[str, Any], parts: Mapping[str, list[str]]) -> list[Any]:
    """What is licensed and what is not, in words; never an address alone, which would promise the whole."""
    words = {"name": head.get("license_name"), "description": " ".join(parts.get("Rights and citation", ()))}
    found = _filled(words | {"url": head.get("license_link") or head.get("license")})
    return [{"@type": "sc:CreativeWork"} | found] if found else []


def _cite(citation: Mapping[str, Any], listing: Mapping[str, Any]) -> str:
    """BibTeX, with the version and the hash that scores are tied to."""
    if not citation.get("title"):
        return ""
    title, year = str(citation["title"]), str(citation.get("date-released", ""))[:4]
    entries = {
        "title": f"{{{title}}}",
        "author": " and ".join(f"{{{_maker(author)['name']}}}" for author in citation.get("authors", ())),
        "year": year,
        "version": listing["version"],
        "note": f"sha256 {listing['sha256']}",
        "url": citation.get("url"),
    }
    key = re.sub(r"[^A-Za-z0-9]", "", title.split()[0]).lower() + year
    return f"@misc{{{key}, {', '.join(f'{name} = {{{value}}}' for name, value in entries.items() if value)}}}"


# What the files hold

Items = Mapping[str, Mapping[str, Mapping[str, str]]]  # hashes by config, split and id


def _ordered(listing: Mapping[str, Any], features: "Mapping[str, datasets.Features]") -> Items:
    """The items of the manifest in the order of the package, whatever the order of their file."""
    found = listing["items"]
    return {
        config: {split: found[config][split] for split in sorted(found[config], key=SPLITS.index)}
        for config in sorted(found, key=list(features).index)
    }


def _counted(splits: Mapping[str, Mapping[str, str]]) -> str:
    counts = {split: len(found) for split, found in splits.items()}
    return f"{sum(counts.values())} items: {', '.join(f'{split} {count}' for split, count in counts.items())}"


def _sizes(held: Items) -> list[str]:
    return [f"Config {config}, {_counted(splits)}." for config, splits in held.items()]


def _file_objects(listing: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every file of the manifest with its hash. An address is relative to the folder that croissant.json lies in."""
    return [
        {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name,
            "contentUrl": name,
            "encodingFormat": _FORMATS[name.rpartition(".")[2]],
            "sha256": sha,
        }
        for name, sha in sorted(listing["files"].items())
    ]


def _file_set(config: str) -> str:
    return f"{config}-files"


def _file_sets(held: Items) -> list[dict[str, Any]]:
    """The files of each config, one per split. They stand in the folder itself: a container has to be an archive."""
    return [
        {
            "@type": "cr:FileSet",
            "@id": _file_set(config),
            "name": _file_set(config),
            "description": f"The Parquet files of config {config}, one per split.",
            "encodingFormat": _FORMATS["parquet"],
            "includes": [f"{config}/{split}.parquet" for split in splits],
        }
        for config, splits in held.items()
    ]


def _splits(held: Items) -> dict[str, Any]:
    names = dict.fromkeys(split for splits in held.values() for split in splits)
    return {
        "@type": "cr:RecordSet",
        "@id": SPLIT_NAMES,
        "name": SPLIT_NAMES,
        "description": "The names of the splits.",
        "dataType": "cr:Split",
        "key": {"@id": f"{SPLIT_NAMES}/name"},
        "field": [{"@type": "cr:Field", "@id": f"{SPLIT_NAMES}/name", "name": "name", "dataType": "sc:Text"}],
        "data": [{f"{SPLIT_NAMES}/name": name} for name in names],
    }


def _record_sets(held: Items, features: "Mapping[str, datasets.Features]") -> list[dict[str, Any]]:
    words = fields.described(features)
    return [
        {
            "@type": "cr:RecordSet",
            "@id": config,
            "name": config,
            "description": f"An item is {fields.ITEMS[config].replace('`', '')}. {_counted(splits)}.",
            "key": {"@id": f"{config}/id"},
            "field": [
                _split_field(config, splits),
                *(_field(config, name, feature, words[config]) for name, feature in features[config].items()),
            ],
        }
        for config, splits in held.items()
    ]


def _split_field(config: str, splits: Iterable[str]) -> dict[str, Any]:
    """The split, from the name of the file.

    What surrounds it may be absent: mlcroissant takes the split from its own result once more after a join.
    """
    path = rf"(?:{re.escape(config)}/)?({'|'.join(map(re.escape, splits))})(?:\.parquet)?$"
    return {
        "@type": "cr:Field",
        "@id": f"{config}/split",
        "name": "split",
        "description": "The split that the item belongs to.",
        "dataType": "sc:Text",
        "source": {
            "fileSet": {"@id": _file_set(config)},
            "extract": {"fileProperty": "fullpath"},
            "transform": {"regex": path},
        },
        "references": {"field": {"@id": f"{SPLIT_NAMES}/name"}},
    }


def _field(config: str, name: str, feature: Any, words: Mapping[str, str]) -> dict[str, Any]:
    """A column; a structure has its parts as sub-fields."""
    inner = fields.inner(feature)
    source = {"fileSet": {"@id": _file_set(config)}, "extract": {"column": name}}
    found = {
        "@type": "cr:Field",
        "@id": f"{config}/{name}",
        "name": name,
        "description": _with_labels(words[name], fields.label_names(feature)),
        **_shape(feature),
    }
    if not isinstance(inner, dict):
        return found | {"dataType": _data_type(inner), "source": source}
    parts = [
        {
            "@type": "cr:Field",
            "@id": f"{config}/{name}/{part}",
            "name": part,
            "description": _with_labels(words[f"{name}.{part}"], fields.label_names(kind)),
            "dataType": _data_type(kind),
            "source": source | {"transform": {"jsonPath": part}},
        }
        for part, kind in inner.items()
    ]
    return found | {"subField": parts}


def _shape(feature: Any) -> dict[str, Any]:
    """How long a list is: -1 if it may have any length."""
    return {} if fields.inner(feature) is feature else {"isArray": True, "arrayShape": str(feature.length)}


def _data_type(feature: Any) -> str | list[str]:
    """The name of an atomic type: int32 and int64 are both integers."""
    name = _TYPES[str(feature.dtype).rstrip("0123456789")]
    return [name, "cr:Label"] if fields.label_names(feature) else name


def _with_labels(words: str, names: Sequence[str]) -> str:
    text = words.replace("`", "")
    return f"{text}. Label ids: {', '.join(f'{n} = {name}' for n, name in enumerate(names))}." if names else f"{text}."
