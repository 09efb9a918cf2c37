"""Croissant 1.1 metadata with RAI fields (JSON-LD): `dataset/croissant.json`.

Facts come from the manifest, the features, annotators.toml and agreement.json; prose from the card and docs/dataset.md,
by heading. Empty fields are left out. The file lists the hashes of the others, so it is made last and is in no list.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from jinbench.annotation import agreement
from jinbench.annotation.annotators import Annotators, read_annotators
from jinbench.annotation.errata import Erratum, read_errata
from jinbench.annotation.labels import read_label_set
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.types import JsonObject
from jinbench.dataset import load
from jinbench.dataset.features import ITEMS, Feature, dataset_features, describe_fields, element_feature, label_names
from jinbench.dataset.manifest import Manifest
from jinbench.dataset.splits import SPLITS
from jinbench.publish import markdown, rai
from jinbench.publish.markdown import Documents, Sections

if TYPE_CHECKING:
    import datasets

FILE_NAME = "croissant.json"
CONFORMS_TO = ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]
SPLIT_NAMES = "splits"  # the record set that lists the splits


# The context of the standard, complete, because consumers compare it with theirs.
_TERMS = re.findall(
    r"\w+",
    """
    arrayShape citeAs column containedIn equivalentProperty extract field fileProperty fileObject fileSet format
    includes isArray isLiveDataset jsonPath key md5 parentField path recordSet references regex repeated replace
    samplingRate separator source subField transform
    """,
)
CONTEXT: JsonObject = {
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


def build_croissant(benchmark: Benchmark, manifest: Manifest | None = None, card: str | None = None) -> JsonObject:
    """Describe the dataset of a benchmark in Croissant.

    Args:
        benchmark: The benchmark with its dataset built.
        manifest: Its manifest; read from `dataset/manifest.json` by default.
        card: The text of its card; read from `DATASET_CARD.md` by default.

    Returns:
        The JSON-LD object: equal input gives equal output.

    Raises:
        DataError: If manifest, annotators.toml, errata or agreement.json are missing or broken [file-missing,
            broken-json, broken-toml, wrong-shape], or the YAML of the card or CITATION.cff [wrong-shape].
    """
    label_set = read_label_set(benchmark)
    return describe_dataset(
        load.read_manifest(benchmark) if manifest is None else manifest,
        dataset_features(label_set),
        read_annotators(benchmark),
        Documents(
            label_set.title,
            card=_read_if_present(benchmark, markdown.CARD) if card is None else card,
            details=_read_if_present(benchmark, markdown.DETAILS),
            citation=_read_if_present(benchmark, "CITATION.cff"),
            rights=_read_if_present(benchmark, "LICENSE-DATA.md"),
        ),
        agreement_record=agreement.read_agreement(benchmark) if agreement.agreement_path(benchmark).is_file() else None,
        errata=read_errata(benchmark),
    )


def _read_if_present(benchmark: Benchmark, name: str) -> str:
    return files.read_text(benchmark.root / name) if (benchmark.root / name).is_file() else ""


def describe_dataset(
    manifest: Manifest,
    features: "Mapping[str, datasets.Features]",
    annotators: Annotators,
    documents: Documents,
    agreement_record: JsonObject | None = None,
    errata: Sequence[Erratum] = (),
) -> JsonObject:
    """Return the JSON-LD object. `features`: types by config; `agreement_record`: the contents of agreement.json."""
    hashes = _ordered_hashes(manifest, features)
    head = (
        markdown.parse_front_matter(documents.card.split("---\n")[1], markdown.CARD)
        if documents.card.startswith("---\n")
        else {}
    )
    citation = markdown.parse_front_matter(documents.citation, "CITATION.cff")
    sections = markdown.split_sections(f"{documents.card}\n{documents.details}")
    creators = [_creator(author) for author in citation.get("authors", ())]
    tasks = [*head.get("task_categories", ()), *head.get("task_ids", ()), *head.get("tags", ())]
    fields = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": head.get("pretty_name") or citation.get("title") or documents.title,
        "description": " ".join([*markdown.introduction(sections), *_describe_sizes(hashes)]),
        "version": manifest["version"],
        "datePublished": str(citation.get("date-released", "")),
        "inLanguage": head.get("language", ()),
        "isLiveDataset": False,
        "keywords": [*citation.get("keywords", ()), *tasks],
        "license": _license(head, sections),
        "url": citation.get("url") or citation.get("repository"),
        "creator": creators,
        "publisher": creators,
        "citeAs": _to_bibtex(citation, manifest),
        "distribution": [*_file_objects(manifest), *_file_sets(hashes)],
        "recordSet": [_split_record_set(hashes), *_record_sets(hashes, features)],
    }
    rai_fields = rai.build_rai_fields(sections, documents, annotators, agreement_record, errata, manifest)
    return _drop_empty(fields | {f"rai:{name}": value for name, value in rai_fields.items()})


def _drop_empty(fields: JsonObject) -> JsonObject:
    return {key: value for key, value in fields.items() if value or value is False}


def _creator(author: JsonObject) -> dict[str, str]:
    """Convert an author of CITATION.cff: `name` for an organization, two names for a person."""
    if "name" in author:
        return {"@type": "sc:Organization", "name": author["name"]}
    names = (author.get("given-names"), author.get("family-names"))
    return {"@type": "sc:Person", "name": " ".join(name for name in names if name)}


def _license(head: JsonObject, sections: Sections) -> list[JsonObject]:
    """Describe the license in words too: an address alone would license the whole."""
    description = " ".join(sections.get("Rights and citation", ()))
    url = head.get("license_link") or head.get("license")
    fields = _drop_empty({"name": head.get("license_name"), "description": description, "url": url})
    return [{"@type": "sc:CreativeWork"} | fields] if fields else []


def _to_bibtex(citation: JsonObject, manifest: Manifest) -> str:
    """Return a BibTeX entry with the version and hash that scores refer to."""
    if not citation.get("title"):
        return ""
    title, year = str(citation["title"]), str(citation.get("date-released", ""))[:4]
    entries = {
        "title": f"{{{title}}}",
        "author": " and ".join(f"{{{_creator(author)['name']}}}" for author in citation.get("authors", ())),
        "year": year,
        "version": manifest["version"],
        "note": f"sha256 {manifest['sha256']}",
        "url": citation.get("url"),
    }
    key = re.sub(r"[^A-Za-z0-9]", "", title.split()[0]).lower() + year
    return f"@misc{{{key}, {', '.join(f'{name} = {{{value}}}' for name, value in entries.items() if value)}}}"


ItemHashes = Mapping[str, Mapping[str, Mapping[str, str]]]  # hashes by config, split and id


def _ordered_hashes(manifest: Manifest, features: "Mapping[str, datasets.Features]") -> ItemHashes:
    """Return the item hashes of the manifest in the order of `features` and `SPLITS`."""
    items = manifest["items"]
    return {
        config: {split: items[config][split] for split in sorted(items[config], key=SPLITS.index)}
        for config in sorted(items, key=list(features).index)
    }


def _describe_counts(splits: Mapping[str, Mapping[str, str]]) -> str:
    counts = {split: len(hashes) for split, hashes in splits.items()}
    return f"{sum(counts.values())} items: {', '.join(f'{split} {count}' for split, count in counts.items())}"


def _describe_sizes(hashes: ItemHashes) -> list[str]:
    return [f"Config {config}, {_describe_counts(splits)}." for config, splits in hashes.items()]


def _file_objects(manifest: Manifest) -> list[JsonObject]:
    """List the files of the manifest with their hashes; addresses are relative to the folder of croissant.json."""
    return [
        {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name,
            "contentUrl": name,
            "encodingFormat": _FORMATS[name.rpartition(".")[2]],
            "sha256": sha,
        }
        for name, sha in sorted(manifest["files"].items())
    ]


def _file_set_id(config: str) -> str:
    return f"{config}-files"


def _file_sets(hashes: ItemHashes) -> list[JsonObject]:
    """List the files of each config, one per split; without a container, which would have to be an archive."""
    return [
        {
            "@type": "cr:FileSet",
            "@id": _file_set_id(config),
            "name": _file_set_id(config),
            "description": f"The Parquet files of config {config}, one per split.",
            "encodingFormat": _FORMATS["parquet"],
            "includes": [f"{config}/{split}.parquet" for split in splits],
        }
        for config, splits in hashes.items()
    ]


def _split_record_set(hashes: ItemHashes) -> JsonObject:
    names = dict.fromkeys(split for splits in hashes.values() for split in splits)
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


def _record_sets(hashes: ItemHashes, features: "Mapping[str, datasets.Features]") -> list[JsonObject]:
    descriptions = describe_fields(features)
    return [
        {
            "@type": "cr:RecordSet",
            "@id": config,
            "name": config,
            "description": f"An item is {ITEMS[config].replace('`', '')}. {_describe_counts(splits)}.",
            "key": {"@id": f"{config}/id"},
            "field": [
                _split_field(config, splits),
                *(_field(config, name, feature, descriptions[config]) for name, feature in features[config].items()),
            ],
        }
        for config, splits in hashes.items()
    ]


def _split_field(config: str, splits: Iterable[str]) -> JsonObject:
    """Take the split from the file name.

    Folder and suffix are optional: after a join, mlcroissant applies the pattern once more to its own result.
    """
    pattern = rf"(?:{re.escape(config)}/)?({'|'.join(map(re.escape, splits))})(?:\.parquet)?$"
    return {
        "@type": "cr:Field",
        "@id": f"{config}/split",
        "name": "split",
        "description": "The split that the item belongs to.",
        "dataType": "sc:Text",
        "source": {
            "fileSet": {"@id": _file_set_id(config)},
            "extract": {"fileProperty": "fullpath"},
            "transform": {"regex": pattern},
        },
        "references": {"field": {"@id": f"{SPLIT_NAMES}/name"}},
    }


def _field(config: str, name: str, feature: Feature, descriptions: Mapping[str, str]) -> JsonObject:
    """Describe a column; the parts of a struct become sub-fields."""
    element = element_feature(feature)
    source = {"fileSet": {"@id": _file_set_id(config)}, "extract": {"column": name}}
    field = {
        "@type": "cr:Field",
        "@id": f"{config}/{name}",
        "name": name,
        "description": _with_labels(descriptions[name], label_names(feature)),
        **_shape(feature),
    }
    if not isinstance(element, dict):
        return field | {"dataType": _data_type(element), "source": source}
    parts = [
        {
            "@type": "cr:Field",
            "@id": f"{config}/{name}/{part}",
            "name": part,
            "description": _with_labels(descriptions[f"{name}.{part}"], label_names(kind)),
            "dataType": _data_type(kind),
            "source": source | {"transform": {"jsonPath": part}},
        }
        for part, kind in element.items()
    ]
    return field | {"subField": parts}


def _shape(feature: Feature) -> JsonObject:
    """Return the shape of a list: -1 if it may have any length."""
    return {} if element_feature(feature) is feature else {"isArray": True, "arrayShape": str(feature.length)}


def _data_type(feature: Feature) -> str | list[str]:
    """Return the name of an atomic type: int32 and int64 are both integers."""
    name = _TYPES[str(feature.dtype).rstrip("0123456789")]
    return [name, "cr:Label"] if label_names(feature) else name


def _with_labels(description: str, names: Sequence[str]) -> str:
    text = description.replace("`", "")
    return f"{text}. Label ids: {', '.join(f'{n} = {name}' for n, name in enumerate(names))}." if names else f"{text}."
