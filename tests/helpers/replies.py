"""Test helpers: replies of language models."""

from hypothesis import strategies as st

from jinbench.annotation.labels import read_label_set
from jinbench.core.benchmark import find_benchmark
from jinbench.core.types import Span
from jinbench.llm import replies
from jinbench.llm.envelopes import Reply
from jinbench.llm.report import ParseReport
from jinbench.scoring.gold import Gold, LabelKey
from tests.helpers.paths import ROOT

REAL = find_benchmark(ROOT)
LABEL_NAMES = {"ner": read_label_set(REAL).entity_names, "sector": read_label_set(REAL).sector_names}
LETTERS = '天津港AＡ1１ ,，“"(（\n'


def gold_of(text: str, task: str = "ner") -> Gold:
    """A gold of one item without labels."""
    return Gold(task, "test", LABEL_NAMES[task], ("x",), (text,), (frozenset(),), ("a",), ("clean",), "1", "0", "0")


def parse(text: str, reply: str, task: str = "ner") -> tuple[frozenset[LabelKey] | None, ParseReport]:
    gold = gold_of(text, task)
    predictions, report = replies.parse_replies(gold, {"x": Reply(reply)}, replies.read_aliases(REAL, gold))
    return predictions.get("x"), report


@st.composite
def labelled_texts(draw: st.DrawFn, letters: str = LETTERS) -> tuple[str, list[Span]]:
    """A text and spans in it, none with white space at its ends."""
    text = draw(st.text(letters, min_size=1, max_size=24))
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=10)))
    spans = []
    for start, end in zip(cuts[::2], cuts[1::2], strict=False):
        if text[start:end] == text[start:end].strip():
            spans.append(Span(start, end, draw(st.sampled_from(LABEL_NAMES["ner"])), text[start:end]))
    return text, spans
