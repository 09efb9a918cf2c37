"""Workspace: the hand-made files of a benchmark, each read once."""

from dataclasses import dataclass
from functools import cached_property

from jinbench.annotation import assignments
from jinbench.annotation.annotators import Annotators, read_annotators
from jinbench.annotation.assignments import Assignments, read_assignments
from jinbench.annotation.labels import LabelSet, read_label_set
from jinbench.core.benchmark import Benchmark
from jinbench.core.types import Passage
from jinbench.seeds.articles import Seeds, read_seeds


@dataclass(frozen=True)
class Workspace:
    """The hand-made files of a benchmark, each read when it is first needed, and once.

    A command makes one and hands it on; after a change of a file another one is needed.

    Args:
        benchmark: The paths of the benchmark.

    Raises:
        DataError: On access, with everything that is wrong in the file.
    """

    benchmark: Benchmark

    @classmethod
    def from_parts(cls, benchmark: Benchmark, *, seeds: Seeds, label_set: LabelSet) -> "Workspace":
        """Make a workspace of articles and labels that are in memory."""
        workspace = cls(benchmark)
        vars(workspace).update(seeds=seeds, label_set=label_set)  # where cached_property keeps them
        return workspace

    @cached_property
    def seeds(self) -> Seeds:
        """The articles, from pages/ and articles.toml."""
        return read_seeds(self.benchmark)

    @cached_property
    def passages(self) -> dict[str, Passage]:
        """The passages of all articles by id, in reading order."""
        return {passage.id: passage for passage in self.seeds.passages()}

    @cached_property
    def label_set(self) -> LabelSet:
        """labels.toml."""
        return read_label_set(self.benchmark)

    @cached_property
    def annotators(self) -> Annotators:
        """annotators.toml, after the pages: without them nothing else that is missing matters."""
        _ = self.seeds
        return read_annotators(self.benchmark)

    @cached_property
    def assignments(self) -> Assignments:
        """shares.csv: the annotators of each article; empty if there is none."""
        return read_assignments(self.benchmark, self.seeds)

    def assigned_passages(self, annotator: str) -> list[str] | None:
        """Return the ids of the passages assigned to an annotator, in reading order; None for all of them."""
        return assignments.assigned_passages(self.assignments, self.seeds, annotator)

    def labels_independently(self, annotator: str) -> bool:
        """Return whether others label the annotator's passages too, or the gold is made from its labels.

        Suggestions would bias such a pass: two who see the same ones agree with each other more than with the text.
        """
        if self.annotators.is_gold_source(annotator):
            return True
        if annotator not in {name for names in self.assignments.values() for name in names}:
            return len(self.annotators.independent) > 1
        return any(len(names) > 1 for names in self.assignments.values() if annotator in names)
