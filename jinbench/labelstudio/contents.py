"""Contents of tasks: which passages a project has, and the predictions and labels that go along."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jinbench.annotation import exports
from jinbench.annotation.adjudication import LabelsByAnnotator
from jinbench.core.types import PassageLabels, Suggestion
from jinbench.labelstudio.projects import delete_if_exists, split_batches
from jinbench.labelstudio.server.client import JsonObject, call, retry, stream_list

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

Prediction = tuple[list[JsonObject], float | None]  # result, score


@dataclass(frozen=True)
class TaskContents:
    """Passages of a project, and what their tasks hold besides the text.

    Attributes:
        passage_ids: Ids of the passages that get a task; None for all.
        labels_by_annotator: Labels by annotator and passage, shown as predictions side by side for an adjudicator, who
            is asked for reasons; None in an annotator's project.
        disagreements: For an adjudicator, those of a passage as HTML, by passage id.
        suggestions: Predictions of a model by passage id.
        model_version: Name of these predictions. They replace those of all versions of the model, that is, of all
            names that begin with the same word.
        labels: Submitted as annotations together with tasks that are new on the server, and only these.
    """

    passage_ids: Collection[str] | None = None
    labels_by_annotator: LabelsByAnnotator | None = None
    disagreements: Mapping[str, str] = field(default_factory=dict)
    suggestions: Mapping[str, Suggestion] = field(default_factory=dict)
    model_version: str = ""
    labels: Sequence[PassageLabels] = ()

    @property
    def has_predictions(self) -> bool:
        return bool(self.labels_by_annotator or self.model_version)

    def predictions(self, id: str) -> dict[str, Prediction]:
        """Return the predictions for a passage by model version."""
        predictions: dict[str, Prediction] = {
            name: (exports.to_regions(labels[id]), None)
            for name, labels in (self.labels_by_annotator or {}).items()
            if id in labels
        }
        if self.model_version and id in self.suggestions:
            suggestion = self.suggestions[id]
            predictions[self.model_version] = exports.to_suggested_regions(suggestion), suggestion.confidence
        return predictions

    def replaces(self, version: str) -> bool:
        """Return whether these contents replace the predictions of a model version."""
        if version in (self.labels_by_annotator or {}):
            return True
        return bool(self.model_version) and model_name(version) == model_name(self.model_version)


def model_name(version: str) -> str:
    """Return the word that all versions of a model begin with."""
    return re.split(r"[^a-z]", version.lower(), maxsplit=1)[0]


def update_predictions(client: "LabelStudio", project: int, tasks: Mapping[str, int], contents: TaskContents) -> bool:
    """Give each task its predictions, once each. Returns whether nothing was to be done.

    Predictions that `contents` does not replace are left alone.
    """
    passages = {task: id for id, task in tasks.items()}
    stale: list[int] = []
    current: set[tuple[int, str]] = set()
    for prediction in stream_list(client, "api/predictions", params={"project": project}):
        task, version = prediction["task"], str(prediction["model_version"])
        if task in passages and contents.replaces(version):
            wanted = contents.predictions(passages[task]).get(version)
            if wanted != (prediction["result"], prediction["score"]) or (task, version) in current:
                stale.append(prediction["id"])
            else:
                current.add((task, version))
    missing = [
        {"task": task, "model_version": version, "result": result, "score": score}
        for id, task in tasks.items()
        for version, (result, score) in contents.predictions(id).items()
        if (task, version) not in current
    ]
    for batch in split_batches(missing):
        call(client, "POST", f"api/projects/{project}/import/predictions", json=list(batch))
    for prediction_id in stale:
        delete_if_exists(client, f"api/predictions/{prediction_id}/")
    return not (missing or stale)


def remove_predictions(client: "LabelStudio", task: int) -> None:
    """Delete all predictions for a task whose text changes: their offsets are those of the old text."""
    for prediction in list(stream_list(client, "api/predictions", params={"task": task})):
        delete_if_exists(client, f"api/predictions/{prediction['id']}/")


def withdraw_suggestions(client: "LabelStudio", project: int, model: str) -> int:
    """Delete the predictions of all versions of a model. Returns how many there were."""

    def act() -> int:
        predictions = stream_list(client, "api/predictions", params={"project": project})
        versions = [str(prediction["model_version"]) for prediction in predictions]
        versions = [version for version in versions if model_name(version) == model]
        for version in sorted(set(versions)):
            call(client, "DELETE", f"api/projects/{project}/model-versions/", json={"model_version": version})
        if versions:
            call(client, "PATCH", f"api/projects/{project}/", json={"model_version": ""})
        return len(versions)

    return retry(client, act)
