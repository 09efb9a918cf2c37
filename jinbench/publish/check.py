"""Check everything of a benchmark that needs no server."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from jinbench.annotation.check import check_export, lint_exports
from jinbench.annotation.exports import export_path
from jinbench.annotation.workspace import Workspace
from jinbench.baselines.run import read_stored_results
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import JinbenchError
from jinbench.dataset.verify import verify_folder
from jinbench.labelstudio.labeling_config import check_labeling_config
from jinbench.publish.card import find_stale_documents


@dataclass(frozen=True)
class CheckResult:
    """Result of one check. `command`: the command that does it alone, or mends it; `messages`: why it fails."""

    name: str
    ok: bool
    command: str
    messages: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"[{'OK' if self.ok else 'FAIL'}]".ljust(8) + f"{self.name}: jinbench {self.command}", *self.messages]
        return "\n".join(lines)


def check_benchmark(benchmark: Benchmark) -> Iterator[CheckResult]:
    """Yield a result for each check: pages, labeling config, exports, likely mistakes, dataset, results, documents."""
    workspace = Workspace(benchmark)

    def check_exports() -> None:
        for name in workspace.annotators.names:
            if export_path(benchmark, name).is_file():
                check_export(workspace, name)

    checks: list[tuple[str, str, Callable[[], object]]] = [
        ("pages", "seeds check", lambda: workspace.seeds),
        ("labeling config", "labels config", lambda: check_labeling_config(benchmark, workspace.label_set)),
        ("exports", "annotate check", check_exports),
        ("likely mistakes", "annotate check", lambda: [str(finding) for finding in lint_exports(workspace)[0]]),
        ("dataset", "verify", lambda: verify_folder(benchmark.dataset)),
        ("results", "build --all", lambda: read_stored_results(benchmark)),
        ("documents", "card", lambda: [f"stale: {name}" for name in find_stale_documents(benchmark)]),
    ]
    for name, command, check in checks:
        try:
            outcome = check()
            messages = tuple(map(str, outcome)) if isinstance(outcome, list) else ()
        except JinbenchError as error:
            messages = (str(error),)
        yield CheckResult(name, not messages, command, messages)
