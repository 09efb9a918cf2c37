"""The nouns that pass between the stages. All offsets are half-open, in Unicode code points."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

Step = Callable[[str, int, int], None]  # called with what is being done, how far it is, and of how much
Progress = Callable[[int], None]  # called with how many of a known number are done


class Span(NamedTuple):
    """A labelled stretch of a text: `text[start:end] == surface`."""

    start: int
    end: int
    type: str
    surface: str

    def shifted(self, by: int) -> "Span":
        """The same span in a text that begins `by` characters later."""
        return self._replace(start=self.start - by, end=self.end - by)


def within(spans: Iterable[Span], start: int, end: int) -> list[Span]:
    """The spans that lie in `[start, end)`, as spans of that stretch."""
    return [span.shifted(start) for span in spans if start <= span.start and span.end <= end]


class AlignmentRun(NamedTuple):
    """`length` characters of a text that stood on the page in one piece."""

    text_start: int
    page_start: int
    length: int


class CharacterChange(NamedTuple):
    """The character at `text_start` of a text read `page_text` on the page."""

    text_start: int
    page_text: str


@dataclass(frozen=True)
class Passage:
    """One paragraph as the paper printed it: the unit of annotation and of sector labelling.

    `runs` and `changes` together give back every character of the page that it was made from.
    """

    id: str
    article_id: str
    page_id: str
    text: str
    runs: tuple[AlignmentRun, ...]
    changes: tuple[CharacterChange, ...] = ()
    lines: tuple[int, ...] = ()
    torn_start: bool = False
    torn_end: bool = False


@dataclass(frozen=True)
class Piece:
    """A line, or lines joined, of an article, by kind; `passage_id` if it is body text."""

    kind: str
    text: str
    lines: tuple[int, ...]
    passage_id: str | None = None


@dataclass(frozen=True)
class Article:
    """A newspaper article in reading order. `layout` is what its page did to it."""

    id: str
    page_id: str
    story: str
    layout: str
    pieces: tuple[Piece, ...]
    passages: tuple[Passage, ...]

    def texts(self, kind: str) -> list[str]:
        """The texts of all pieces of one kind, in reading order."""
        return [piece.text for piece in self.pieces if piece.kind == kind]

    @property
    def title(self) -> str:
        return " ".join(self.texts("headline"))


class Sentence(NamedTuple):
    """A slice `[start, end)` of a passage: the unit of entity recognition."""

    id: str
    start: int
    end: int


@dataclass(frozen=True)
class Suggestion:
    """What a model says about one passage. `chances`: how likely it holds each of the spans to be right, 0 to 1;
    `certainty`: how sure it is of the passage as a whole, 0 to 1. By it queues are ordered.
    """

    spans: tuple[Span, ...]
    chances: tuple[float, ...]
    certainty: float


@dataclass(frozen=True)
class PassageLabels:
    """What one annotator, or the adjudicator, says about one passage.

    `reasons`: why it was decided as it was, each as `subject: why`. `updated_at`: when it was last saved, if known.
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
        """Whether both say the same about the passage, whoever said it and whenever."""
        return other is not None and (self.spans, self.sectors, self.reasons) == (
            other.spans,
            other.sectors,
            other.reasons,
        )
