"""`dataset/croissant.json`: the dataset described for machines, in Croissant 1.1 with its RAI fields (JSON-LD).

Facts come from the manifest, the features, annotators.toml and agreement.json; prose from the card, by heading. What
nobody wrote is left out. The file lists the hashes of the others, so it is made last and stands in no list itself.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jinbench import agreement, annotators, dataset, errata, fields, files, items, labels, labelstudio, scoring
from jinbench.annotators import Annotators
from jinbench.errata import Erratum
from jinbench.rooms import Rooms
from jinbench.splitting import SPLITS

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

# Sections of the card that say what an RAI field asks for: the first heading that the card has.
_SECTIONS = {
    "dataCollection": ("Where the text comes from",),
    "dataPreprocessingProtocol": ("What the pages did to the text",),
    "dataManipulationProtocol": ("Noise",),
    "dataAnnotationAnalysis": ("Agreement",),
    "dataUseCases": ("Uses",),
    "dataLimitations": ("Known weaknesses",),
    "dataBiases": ("What could be biased", "Agreement"),
    "dataSocialImpact": ("Social impact",),
    "personalSensitiveInformation": ("Personal information", "Rights and citation"),
    "dataReleaseMaintenancePlan": ("How a person corrects a label",),
}
# Fields that mlcroissant allows once; it and the text of the standard differ in two.
_SINGLE = (
    "dataCollection",
    "dataCollectionRawData",
    "dataManipulationProtocol",
    "dataImputationProtocol",
    "annotationsPerItem",
    "dataSocialImpact",
    "dataReleaseMaintenancePlan",
)

# What is so for every benchmark that this package makes.
PREPROCESSING = (
    (
        "A list that accounts for every line of every page divides the pages into articles and passages. Navigation, "
        "advertisements, contact data and practical details are kept out of the text; headlines, bylines and captions "
        "are kept apart from it."
    ),
    (
        "Lines that a column break tore apart are joined. Passages are cut into sentences by rule. A token is one "
        "Unicode code point; offsets count code points and are half-open."
    ),
    "Splits and folds are by article, and articles of one story stay on one side.",
)
MANIPULATION = (
    "Configs made noisy on purpose apart, characters of the pages are changed only where a repair or a mend is listed; "
    "what stood on the page is kept beside the text, with the place that every character came from."
)
IMPUTATION = (
    "Nothing is filled in: what a page lacks is left out, a mend never adds a character, and a passage without labels "
    "is an error."
)


@dataclass(frozen=True)
class Documents:
    """The hand-written texts to draw on: the card, CITATION.cff, and what is known of rights. Empty if absent."""

    card: str = ""
    citation: str = ""
    rights: str = ""


def build(where: Rooms, listing: Mapping[str, Any] | None = None, card: str | None = None) -> dict[str, Any]:
    """The description of the dataset at `where`.

    `listing` is its manifest, read from the disk if not given; `card` its card, likewise.
    Raises :class:`DataError` if manifest, annotators.toml, errata or agreement.json are missing or broken.
    """
    label_set = labels.read(where)
    return describe(
        dataset.read_manifest(where) if listing is None else listing,
        items.features(label_set),
        annotators.read(where),
        title=label_set.title,
        documents=Documents(
            _text(where, "DATASET_CARD.md") if card is None else card,
            _text(where, "CITATION.cff"),
            _text(where, "LICENSE-DATA.md"),
        ),
        figures=agreement.read(where) if agreement.path_of(where).is_file() else None,
        corrections=errata.read(where),
    )


def _text(where: Rooms, name: str) -> str:
    return files.read_text(where.root / name) if (where.root / name).is_file() else ""


def describe(
    listing: Mapping[str, Any],
    features: "Mapping[str, datasets.Features]",
    known: Annotators,
    title: str,
    documents: Documents = Documents(),
    figures: Mapping[str, Any] | None = None,
    corrections: Sequence[Erratum] = (),
) -> dict[str, Any]:
    """The JSON-LD: the same input gives the same output.

    Parameters: `listing` the manifest, with its files; `features` the types of every config; `known` who labelled;
    `title` the name if no document has one; `figures` agreement.json.
    """
    held = _ordered(listing, features)
    head = _head(documents.card.split("---\n")[1]) if documents.card.startswith("---\n") else {}
    citation = _head(documents.citation)
    parts = sections(documents.card)
    makers = [_maker(author) for author in citation.get("authors", ())]
    tasks = [*head.get("task_categories", ()), *head.get("task_ids", ()), *head.get("tags", ())]
    found = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": head.get("pretty_name") or citation.get("title") or title,
        "description": " ".join([*_intro(parts), *_sizes(held)]),
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
    prose = {
        f"rai:{name}": value for name, value in _rai(parts, documents, known, figures, corrections, listing).items()
    }
    return _filled(found | prose)


def _filled(found: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is empty."""
    return {key: value for key, value in found.items() if value or value is False}


def _head(text: str) -> dict[str, Any]:
    """YAML, read as the Hub reads the head of a card."""
    from huggingface_hub import RepoCard

    found: dict[str, Any] = RepoCard(f"---\n{text}\n---\n").data.to_dict() if text.strip() else {}  # type: ignore[no-untyped-call]
    return found


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
    if not citation:
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


# What is known of how it was made


def _rai(
    parts: Mapping[str, list[str]],
    documents: Documents,
    known: Annotators,
    figures: Mapping[str, Any] | None,
    corrections: Sequence[Erratum],
    listing: Mapping[str, Any],
) -> dict[str, Any]:
    """The RAI fields: what is so for every benchmark made with this package, then what its card says."""
    named = [next((parts[heading] for heading in headings if heading in parts), []) for headings in _SECTIONS.values()]
    said = dict(zip(_SECTIONS, named, strict=True))
    made: dict[str, list[str]] = {
        "dataCollection": _intro(parts)[:1],
        "dataCollectionType": ["Document Analysis"],
        "dataCollectionRawData": [text for found in sections(documents.rights).values() for text in found],
        "dataPreprocessingProtocol": list(PREPROCESSING),
        "dataManipulationProtocol": [MANIPULATION],
        "dataImputationProtocol": [IMPUTATION],
        "dataAnnotationProtocol": _protocol(known, corrections, listing),
        "dataAnnotationPlatform": [
            f"Label Studio {labelstudio.VERSION}: labels were entered and kept there; it made none of them."
        ],
        "dataAnnotationAnalysis": _analysis(figures) if figures else [],
        "annotationsPerItem": [_per_item(known)],
        "annotatorDemographics": [_demographics(entry.name, entry.kind) for entry in known.entries],
        "machineAnnotationTools": [f"{e.name}: {e.description}" for e in known.entries if e.kind == "language model"],
    }
    every = {name: [*made.get(name, ()), *said.get(name, ())] for name in [*made, *said]}
    return {name: " ".join(texts) if name in _SINGLE else texts for name, texts in every.items()}


def _kinds(known: Annotators, corrections: Sequence[Erratum]) -> list[str]:
    """Everything that had a hand in the labels, or tested them."""
    entries = [*(e.kind for e in known.entries), *(e.kind for e in known.readers), *(e.by for e in corrections)]
    return list(dict.fromkeys(entries))


def _protocol(known: Annotators, corrections: Sequence[Erratum], listing: Mapping[str, Any]) -> list[str]:
    kinds = _kinds(known, corrections)
    who = f"Made, decided and tested by: {', '.join(kinds)}."
    if kinds == ["language model"]:
        who = "Every label was made by a language model following written guidelines."
    if "person" not in kinds:
        who += " No person has made or checked one."
    return [
        who,
        *(f"Labels of {config}: {', '.join(names)}." for config, names in sorted(listing["labels"].items())),
        *(f"{e.name} ({e.kind}; guidelines {e.guidelines}; {e.date}): {e.description}" for e in known.entries),
        *(f"Reader of a sample, {e.name} ({e.kind}): {e.description}" for e in known.readers),
        *(f"Erratum {e.path.stem}, by {e.by}, {e.date}, in {e.passage_id}." for e in corrections),
    ]


def _per_item(known: Annotators) -> str:
    text = f"{len(known.blind)} made alone ({', '.join(entry.name for entry in known.blind)})"
    if known.adjudicated:
        text += f", and 1 by {known.gold}, who decided between {' and '.join(known.adjudicated)}"
    text += f". The gold is that of {known.gold}."
    return text if "person" in {entry.kind for entry in known.entries} else f"{text} None was made by a person."


def _demographics(name: str, kind: str) -> str:
    return f"{name}: {kind}. {'Nothing else is recorded.' if kind == 'person' else 'Not a person: no demographics.'}"


def _analysis(figures: Mapping[str, Any]) -> list[str]:
    """A sentence for each pair, and for each reader of a sample."""
    pairs = [(pair, "") for pair in figures["pairs"]] + [(pair, "Reader of a sample, ") for pair in figures["readers"]]
    return [
        f"{prefix}{pair['first']} and {pair['second']}, {pair['passages']} passages: "
        f"strict F1 of spans {_number(pair['strict']['micro'], 'f1')}; "
        f"overlap F1 {_number(pair['overlap']['micro'], 'f1')}; "
        f"Cohen's κ over tags of characters {_number(pair['kappa'])}; "
        f"Krippendorff's α over sets of sectors {_number(pair['alpha'])} (95 % intervals)."
        for pair, prefix in pairs
    ]


def _number(found: Mapping[str, Any], key: str = "value") -> str:
    return "not defined" if found[key] is None else scoring.with_interval(found[key], found["low"], found["high"])


# Plain text out of Markdown

_HEADING = re.compile(r"^#+ +(.*?)\s*$", re.MULTILINE)
_APART = re.compile(
    r"\A---\n.*?\n---\n|<!-- generated:.*?<!-- end:[a-z-]+ -->|^```.*?^```$|<!--.*?-->", re.DOTALL | re.M
)


def sections(text: str) -> dict[str, list[str]]:
    """The paragraphs below each heading of a document, up to the next heading of any rank, as plain text.

    Generated parts, code and the YAML head are left out. Of headings that stand twice, the first counts.
    """
    bits = _HEADING.split(_APART.sub("", text))
    found: dict[str, list[str]] = {}
    for heading, body in zip(bits[1::2], bits[2::2], strict=True):
        found.setdefault(_plain(heading), _paragraphs(body))
    return found


def _intro(parts: Mapping[str, list[str]]) -> list[str]:
    """What stands below the title, before the first section."""
    return next(iter(parts.values()), [])


def _paragraphs(body: str) -> list[str]:
    """Paragraphs, items of lists, and rows of tables with the head of each column.

    A paragraph that ends in a colon only leads to what follows, and is left out.
    """
    found: list[str] = []
    for block in re.split(r"\n\s*\n|\n(?=[-*] )", body.strip()):
        if block.startswith("|"):
            found += _rows(block)
        elif block.strip() and not block.endswith(":"):
            found.append(_plain(re.sub(r"^[-*] ", "", block)))
    return found


def _rows(table: str) -> list[str]:
    head, _, *rows = [
        [_plain(cell) for cell in line.strip().strip("|").split("|")] for line in table.strip().split("\n")
    ]
    return ["; ".join(f"{name}: {cell}" for name, cell in zip(head, row, strict=False) if cell) + "." for row in rows]


def _plain(text: str) -> str:
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"(\*\*?)(\S.*?)\1", r"\2", text, flags=re.DOTALL)
    return " ".join(text.replace("`", "").split())
