"""RAI fields of Croissant: collection, annotation, quality, uses and limits of the data.

Facts come from annotators.toml, errata and agreement.json; prose from the sections of the card and docs/dataset.md.
"""

from collections.abc import Sequence
from itertools import chain

from jinbench.annotation import exports
from jinbench.annotation.annotators import Annotators
from jinbench.annotation.errata import Erratum
from jinbench.core.types import JsonObject
from jinbench.dataset.manifest import Manifest
from jinbench.publish import markdown
from jinbench.publish.markdown import Documents, Sections
from jinbench.scoring.results import format_interval

# Headings of the two documents whose section fills an RAI field; the first that they have.
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
# Fields that mlcroissant allows once; in two of them it differs from the text of the standard.
_SINGLE = (
    "dataCollection",
    "dataCollectionRawData",
    "dataManipulationProtocol",
    "dataImputationProtocol",
    "annotationsPerItem",
    "dataSocialImpact",
    "dataReleaseMaintenancePlan",
)

# True of every benchmark that this package makes.
PREPROCESSING = (
    (
        "A list that accounts for every line of every page divides the pages into articles and passages. Navigation, "
        "advertisements, contact data and practical details are kept out of the text; headlines, bylines and captions "
        "are kept apart from it."
    ),
    (
        "Lines that a column break split are joined. Passages are split into sentences by rule. A token is one "
        "Unicode code point; offsets count code points and are half-open."
    ),
    "Splits and folds are by article, and articles of one story stay on one side.",
)
MANIPULATION = (
    "Except in the noisy configs, characters of the pages are changed only where a repair or a correction is listed; "
    "the original characters are kept beside the text, with the page offset of every character."
)
IMPUTATION = (
    "Nothing is filled in: text that a page lacks is left out, a correction never adds a character, and a passage "
    "without labels is an error."
)


def build_rai_fields(
    sections: Sections,
    documents: Documents,
    annotators: Annotators,
    agreement_record: JsonObject | None,
    errata: Sequence[Erratum],
    manifest: Manifest,
) -> dict[str, str | list[str]]:
    """Build the RAI fields: first the facts, then the matching section of the card."""
    prose = {
        name: next((sections[heading] for heading in headings if heading in sections), [])
        for name, headings in _SECTIONS.items()
    }
    entries = annotators.entries
    facts: dict[str, list[str]] = {
        "dataCollection": markdown.introduction(sections)[:1],
        "dataCollectionType": ["Document Analysis"],
        "dataCollectionRawData": [*chain.from_iterable(markdown.split_sections(documents.rights).values())],
        "dataPreprocessingProtocol": list(PREPROCESSING),
        "dataManipulationProtocol": [MANIPULATION],
        "dataImputationProtocol": [IMPUTATION],
        "dataAnnotationProtocol": _describe_protocol(annotators, errata, manifest),
        "dataAnnotationPlatform": [
            f"Label Studio {exports.VERSION}: labels were entered and kept there; it made none of them."
        ],
        "dataAnnotationAnalysis": _describe_agreement(agreement_record) if agreement_record else [],
        "annotationsPerItem": [_count_annotations(annotators)],
        "annotatorDemographics": [_describe_demographics(entry.name, entry.kind) for entry in entries],
        "machineAnnotationTools": [f"{e.name}: {e.description}" for e in entries if e.kind == "language model"],
    }
    fields = {name: [*facts.get(name, ()), *prose.get(name, ())] for name in [*facts, *prose]}
    return {name: " ".join(texts) if name in _SINGLE else texts for name, texts in fields.items()}


def _describe_protocol(annotators: Annotators, errata: Sequence[Erratum], manifest: Manifest) -> list[str]:
    entries, reviewers = annotators.entries, annotators.reviewers
    kinds = list(dict.fromkeys([*(e.kind for e in entries), *(e.kind for e in reviewers), *(e.by for e in errata)]))
    who = f"Made, decided and tested by: {', '.join(kinds)}."
    if kinds == ["language model"]:
        who = "Every label was made by a language model following written guidelines."
    if "person" not in kinds:
        who += " No person has made or checked one."
    return [
        who,
        *(f"Labels of {config}: {', '.join(names)}." for config, names in sorted(manifest["labels"].items())),
        *(f"{e.name} ({e.kind}; guidelines {e.guidelines}; {e.date}): {e.description}" for e in entries),
        *(f"Reviewer of a sample, {e.name} ({e.kind}): {e.description}" for e in reviewers),
        *(f"Erratum {e.path.stem}, by {e.by}, {e.date}, in {e.passage_id}." for e in errata),
    ]


def _count_annotations(annotators: Annotators) -> str:
    independent = annotators.independent
    text = f"{len(independent)} made independently ({', '.join(entry.name for entry in independent)})"
    if annotators.adjudicated:
        text += f", and 1 by {annotators.gold}, who adjudicated {' and '.join(annotators.adjudicated)}"
    text += f". The gold is that of {annotators.gold}."
    return text if "person" in {entry.kind for entry in annotators.entries} else f"{text} None was made by a person."


def _describe_demographics(name: str, kind: str) -> str:
    return f"{name}: {kind}. {'Nothing else is recorded.' if kind == 'person' else 'Not a person: no demographics.'}"


def _describe_agreement(record: JsonObject) -> list[str]:
    """Return a sentence for each pair of annotators and each reviewer of a sample."""
    pairs = [(pair, "") for pair in record["pairs"]] + [(pair, "Reviewer of a sample, ") for pair in record["readers"]]
    return [
        f"{prefix}{pair['first']} and {pair['second']}, {pair['passages']} passages: "
        f"strict F1 of spans {_format_estimate(pair['strict']['micro'], 'f1')}; "
        f"overlap F1 {_format_estimate(pair['overlap']['micro'], 'f1')}; "
        f"Cohen's κ over tags of characters {_format_estimate(pair['kappa'])}; "
        f"Krippendorff's α over sets of sectors {_format_estimate(pair['alpha'])} (95 % confidence intervals)."
        for pair, prefix in pairs
    ]


def _format_estimate(estimate: JsonObject, key: str = "value") -> str:
    value = estimate[key]
    return "not defined" if value is None else format_interval(value, estimate["low"], estimate["high"])
