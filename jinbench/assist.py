"""Suggestions while labelling: a backend that Label Studio asks when a passage is opened, taught as people submit."""

import contextlib
import json
import threading
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any

from jinbench import accounts, annotation, backend, exchange, queueing, suggesting
from jinbench.backend import EVENTS, USER, Place, listening
from jinbench.core.errors import ServerError
from jinbench.core.types import PassageLabels
from jinbench.exchange import ONCE
from jinbench.labels import LabelSet
from jinbench.seeds.articles import Seeds
from jinbench.teaching import Mind, Say

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

TITLE = "jinbench assist"


def register(client: "LabelStudio", project: int, place: Place) -> bool:
    """Make Label Studio ask the backend when a passage of a project is opened; repeated, it changes what changed.

    Returns whether the server also calls when something is submitted: by default it calls no address of its own
    machine, and it need not, as a passage is opened after each one that is submitted. Raises :class:`ServerError`.
    """
    import httpx
    from label_studio_sdk.core.api_error import ApiError

    settings: dict[str, Any] = {
        "url": place.url,
        "title": TITLE,
        "description": "Made by: jinbench annotate assist",
        "auth_method": "BASIC_AUTH",
        "basic_auth_user": USER,
        "basic_auth_pass": place.secret,
        "is_interactive": False,
        "project": project,
        "request_options": ONCE,
    }
    hook: dict[str, Any] = {
        "url": f"{place.url}/webhook",
        "project": project,
        "headers": {"Authorization": place.header},
        "actions": list(EVENTS),
        "send_for_all_actions": False,
        "send_payload": False,
        "is_active": True,
    }

    def own() -> list[int]:
        return [_number(backend) for backend in client.ml.list(project=project) if backend.title == TITLE]

    def act() -> None:
        there = own()
        if not there:
            # Label Studio saves it, then makes a webhook beside it, which its guard refuses with 403 for both.
            try:
                client.ml.create(**settings)
            except ApiError as error:
                if error.status_code != 403 or not own():
                    raise
            there = own()
        client.ml.update(id=there[0], **settings)  # repeats what it looks like, and connects
        for number in there[1:]:
            client.ml.delete(id=number, request_options=ONCE)
        client.projects.update(id=project, show_collab_predictions=True, model_version=TITLE)

    try:
        exchange.as_server_error(act)
    except ServerError as error:
        raise ServerError(
            f"{error}\nLabel Studio could not be told of the backend at {place.url}. If it was started by an older"
            " version: jinbench labelstudio stop, then start. A server elsewhere can reach no backend of this machine."
        ) from None
    with contextlib.suppress(ApiError, httpx.HTTPError):  # 4xx where the server guards against calling its own machine
        there = [each for each in client.webhooks.list(project=str(project)) if each.url == hook["url"]]
        for each in there:  # also the one without the secret that Label Studio makes beside a backend
            client.webhooks.delete(id=_number(each), request_options=ONCE)
        client.webhooks.create(**hook, request_options=ONCE)
        return True
    return False


def _number(entry: Any) -> int:
    return int(entry.id)


def serve(
    client: "LabelStudio",
    seed: Seeds,
    label_set: LabelSet,
    names: Sequence[str],
    ready: Callable[[Place, dict[str, int], str], None],
    say: Say,
    port: int | None = None,
) -> None:
    """Serve suggestions in the projects of `names` until interrupted; `ready` is called once, with place, projects and
    model version.

    With one name every passage may be suggested from everything that it submitted. With several, what one has said
    about a story never comes into what another is shown of it. Raises :class:`ServerError` if a project is missing,
    if Label Studio does not take the backend, or if one is running in this home.
    """
    from filelock import FileLock, Timeout

    numbers = {name: annotation.project_number(client, label_set, name) for name in names}
    folds = suggesting.FOLDS if len(names) > 1 else 0
    whose = json.dumps([metadata.version("jinbench"), label_set.title, sorted(names)])
    try:
        lock = FileLock(str(backend.folder() / "lock"), mode=0o600).acquire(timeout=1)
    except Timeout:
        raise ServerError(f"A backend is running already for {accounts.home()}. End it first.") from None

    def count() -> Any:
        return exchange.as_server_error(
            lambda: [client.projects.get(id=number).total_annotations_number for number in numbers.values()]
        )

    def known() -> list[PassageLabels]:
        return [entry for name in names for entry in annotation.fetch(client, seed, label_set, name)]

    with lock, listening(port) as (server, place):
        mind = Mind(
            seed.articles,
            count,
            known,
            folds,
            lambda data: backend.keep_model(place.secret, whose, data),
            backend.kept_model(place.secret, whose),
            say,
        )
        server.RequestHandlerClass = backend.handler(place.header, mind)
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        for name in names:  # live suggestions and an order by certainty do not go together
            queueing.by_order(client, queueing.plan(client, label_set, name))
        called = [register(client, number, place) for number in numbers.values()]
        if not all(called):
            say("Label Studio does not call back when something is submitted: the backend looks for itself.")
        ready(place, numbers, mind.version)
        mind.run()
