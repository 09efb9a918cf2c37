"""Data types shared by all stages. Offsets are half-open, in Unicode code points."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

from jinbench.core.text import Sentence, split_sentences

JsonObject: TypeAlias = dict[str, Any]  # of JSON or TOML, after its form was checked against a schema
Step = Callable[[str, int, int], None]  # called with the name of a stage, the number done, the total
Progress = Callable[[int], None]  # called with the number done


class Span(NamedTuple):
    """A labelled span of a text: `text[start:end] == surface`.

    Args:
        start: Where it begins, in code points.
        end: Where it ends, half-open.
        type: Its entity type.
        surface: Its text.
    """

    start: int
    end: int
    type: str
    surface: str

    def relative_to(self, offset: int) -> "Span":
        """Return the span in the text that begins at `offset` (code points)."""
        return self._replace(start=self.start - offset, end=self.end - offset)


def slice_spans(spans: Iterable[Span], start: int, end: int) -> list[Span]:
    """Return the spans inside `[start, end)`, with offsets relative to `start`."""
    return [span.relative_to(start) for span in spans if start <= span.start and span.end <= end]


class AlignmentRun(NamedTuple):
    """`length` characters of a text that are contiguous on the page."""

    text_start: int
    page_start: int
    length: int


class CharacterChange(NamedTuple):
    """A character of a text, at `text_start`, that is `page_text` on the page."""

    text_start: int
    page_text: str


@dataclass(frozen=True)
class Passage:
    """One paragraph of an article: the unit of annotation and of sector labelling.

    `runs` and `changes` together map every character back to the page.
    """

    id: str
    article_id: str
    page_id: str
    text: str
    runs: tuple[AlignmentRun, ...]
    changes: tuple[CharacterChange, ...] = ()
    lines: tuple[int, ...] = ()
    truncated_start: bool = False
    truncated_end: bool = False

    @cached_property
    def sentences(self) -> tuple[Sentence, ...]:
        """The sentences, as :func:`jinbench.core.text.split_sentences` cuts them."""
        return tuple(split_sentences(self.id, self.text))


@dataclass(frozen=True)
class Piece:
    """A line of an article, or several joined, and its kind; `passage_id` if it is body text."""

    kind: str
    text: str
    lines: tuple[int, ...]
    passage_id: str | None = None


@dataclass(frozen=True)
class Article:
    """A newspaper article in reading order. `layout` is its class of layout on the page."""

    id: str
    page_id: str
    story: str
    layout: str
    pieces: tuple[Piece, ...]
    passages: tuple[Passage, ...]

    def texts(self, kind: str) -> list[str]:
        """Return the texts of all pieces of one kind, in reading order."""
        return [piece.text for piece in self.pieces if piece.kind == kind]

    @property
    def title(self) -> str:
        return " ".join(self.texts("headline"))


@dataclass(frozen=True)
class Suggestion:
    """Spans of one passage that a model predicts.

    `probabilities`: of each span to be right, 0 to 1. `confidence`: of the passage as a whole, 0 to 1, for ordering.
    """

    spans: tuple[Span, ...]
    probabilities: tuple[float, ...]
    confidence: float


@dataclass(frozen=True)
class PassageLabels:
    """Labels of one passage by one annotator or the adjudicator.

    `reasons`: of the decisions of an adjudicator, each as `subject: why`. `updated_at`: time of the last save.
    """

    passage_id: str
    annotator: str
    spans: tuple[Span, ...]
    sectors: tuple[str, ...]
    reasons: tuple[str, ...] = ()
    created_at: str | None = None
    lead_time: float | None = None
    regions: tuple[dict[str, object], ...] = field(default=(), compare=False, repr=False)
    updated_at: str | None = None

    def same_labels(self, other: "PassageLabels | None") -> bool:
        """Return whether the labels and reasons are the same, whoever gave them and whenever."""
        return other is not None and (self.spans, self.sectors, self.reasons) == (
            other.spans,
            other.sectors,
            other.reasons,
        )
