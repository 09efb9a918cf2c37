"""The RAI fields of Croissant: how the data was collected, labelled and checked, what it is for, and what it is not.

Facts come from annotators.toml, errata and agreement.json; prose from the sections of the card.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from jinbench.annotation import exports
from jinbench.annotation.annotators import Annotators
from jinbench.annotation.errata import Erratum
from jinbench.publish import markdown
from jinbench.publish.markdown import Documents
from jinbench.scoring import results

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


def fields(
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
        "dataCollection": markdown.intro(parts)[:1],
        "dataCollectionType": ["Document Analysis"],
        "dataCollectionRawData": [text for found in markdown.sections(documents.rights).values() for text in found],
        "dataPreprocessingProtocol": list(PREPROCESSING),
        "dataManipulationProtocol": [MANIPULATION],
        "dataImputationProtocol": [IMPUTATION],
        "dataAnnotationProtocol": _protocol(known, corrections, listing),
        "dataAnnotationPlatform": [
            f"Label Studio {exports.VERSION}: labels were entered and kept there; it made none of them."
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
    entries = [*(e.kind for e in known.entries), *(e.kind for e in known.reviewers), *(e.by for e in corrections)]
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
        *(f"Reader of a sample, {e.name} ({e.kind}): {e.description}" for e in known.reviewers),
        *(f"Erratum {e.path.stem}, by {e.by}, {e.date}, in {e.passage_id}." for e in corrections),
    ]


def _per_item(known: Annotators) -> str:
    text = f"{len(known.independent)} made alone ({', '.join(entry.name for entry in known.independent)})"
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
    return "not defined" if found[key] is None else results.with_interval(found[key], found["low"], found["high"])
