"""Listings of a real server while others add, delete, skip and submit: nothing twice, nothing left out."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jinbench.core.benchmark import Benchmark
from jinbench.labelstudio import projects
from jinbench.labelstudio.server import accounts, process
from jinbench.labelstudio.server.client import call, connect, retry
from tests.helpers.faults import use_remote_server
from tests.helpers.labelstudio import AnnotationProject
from tests.helpers.proxy import proxy_to

pytestmark = pytest.mark.server


def skip(client: Any, task: int) -> int:
    skipped = call(client, "POST", f"api/tasks/{task}/annotations/", json={"result": [], "was_cancelled": True})
    return int(skipped["id"])


def submit(client: Any, task: int) -> None:
    call(client, "POST", f"api/tasks/{task}/annotations/", json={"result": []})


def take_back(client: Any, task: int) -> None:
    call(client, "POST", f"api/annotations/{skip(client, task)}/convert-to-draft", json={})


def delete(client: Any, task: int) -> None:
    call(client, "DELETE", f"api/tasks/{task}/")


@pytest.mark.parametrize("act", [skip, submit, take_back, delete])
def test_tasks_are_listed_once(
    act: Callable[[Any, int], object], server: process.Server, mini: Benchmark, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something happens to a task of the first page and to the last one before the second page is read."""
    monkeypatch.setattr(projects, "PAGE", 3)
    project = AnnotationProject(mini, server, f"listed-{act.__name__[:4]}")
    id = project.push().project
    ids = sorted(task["id"] for task in call(project.client, "GET", "api/tasks", params={"project": id})["tasks"])
    listing = projects.list_tasks(project.client, id)
    listed = [next(listing).id]
    for task in (ids[1], ids[-1]):
        act(project.client, task)
    call(
        project.client,
        "POST",
        f"api/projects/{id}/import",
        json=[{"data": dict.fromkeys(("title", "before", "text", "after"), "by hand")}],
    )
    *listed, added = listed + [task.id for task in listing]
    assert listed == (ids[:-1] if act is delete else ids)
    assert added not in listed  # the server may give the id of what was deleted again


def test_projects_are_listed_once(project: AnnotationProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest is deleted and a new one created before each of the requests of a listing."""
    monkeypatch.setattr(projects, "PAGE", 2)
    title, client = f"t{time.time_ns():x}", project.client

    def create() -> int:
        return int(call(client, "POST", "api/projects/", json={"title": title})["id"])

    def listed() -> list[int]:
        return [found.id for found in retry(proxied, lambda: projects.find_projects(proxied, title))]

    ids = [create() for _ in range(5)]
    with proxy_to(project.server.url) as proxy:
        token = str(accounts.accounts_by_name()[accounts.ADMIN].token)
        with use_remote_server(proxy.url, token, tmp_path / "home"):
            proxied = connect()
        assert listed() == ids
        proxy.reset()
        assert listed() == ids
        for n in range(1, proxy.number + 1):

            def act(k: int, n: int = n) -> None:
                if k == n:
                    call(client, "DELETE", f"api/projects/{ids.pop(0)}/")
                    ids.append(create())

            proxy.reset(before=act)
            assert listed() in (ids, ids[:-1])
