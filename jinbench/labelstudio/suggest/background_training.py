"""Retrain the suggester in a process of its own, while the previous one answers."""

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection

from jinbench.annotation import exports
from jinbench.core.errors import JinbenchError
from jinbench.core.types import Article, Passage, PassageLabels
from jinbench.labelstudio.server.client import JsonObject
from jinbench.labelstudio.suggest import suggestions
from jinbench.labelstudio.suggest.suggestions import Suggester

UNTAUGHT = "tagger that has learnt nothing yet"
PAUSE = 2.0  # seconds between two looks at the server
LOOK, FETCH = 30.0, 300.0  # seconds after which it looks for submissions, and fetches all, without being told
Say = Callable[[str], None]


class BackgroundTrainer:
    """The current suggester, and the training of the next one.

    `count`: cheap value that changes with new labels; `fetch`: all training labels.
    """

    def __init__(
        self,
        articles: Sequence[Article],
        count: Callable[[], object],
        fetch: Callable[[], Sequence[PassageLabels]],
        folds: int,
        save: Callable[[bytes], None],
        suggester: Suggester | None,
        say: Say,
    ) -> None:
        self.articles, self.count, self.fetch, self.folds = articles, count, fetch, folds
        self.save, self.suggester, self.say = save, suggester, say
        self.last_count: object = None
        self.fetched = 0.0
        self.wake, self.stale = threading.Event(), threading.Event()
        self.answering = threading.Lock()
        self.last_error = ""

    @property
    def version(self) -> str:
        return self.suggester.version if self.suggester else UNTAUGHT

    def check_soon(self) -> None:
        """Check soon for new labels."""
        self.wake.set()

    def request_training(self) -> None:
        """Train with the new labels."""
        self.stale.set()
        self.wake.set()

    def predict(self, tasks: Sequence[object]) -> list[list[JsonObject]]:
        """Return the predictions of each task: one, or none if no model may predict it."""
        model = self.suggester
        passages = [_to_passage(task) for task in tasks]
        if model is None:
            return [[] for _ in tasks]
        with self.answering:
            # Passage by passage: the tasks of one request may come from projects that share ids of passages.
            results = [model.suggest([passage]).get(passage.id) if passage else None for passage in passages]
        return [
            [
                {
                    "model_version": model.version,
                    "score": round(result.confidence, 6),
                    "result": exports.to_suggested_regions(result),
                }
            ]
            if result
            else []
            for result in results
        ]

    def run(self) -> None:
        """Check, fetch and train for ever; an error is reported once, and tried again."""
        self.request_training()
        while True:
            self.wake.wait(LOOK)
            self.wake.clear()
            try:
                self._learn_if_new()
                self.last_error = ""
            except (JinbenchError, OSError) as error:
                if str(error) != self.last_error:
                    self.last_error = str(error)
                    self.say(f"Nothing new was learnt: {error}")
            time.sleep(PAUSE)

    def _learn_if_new(self) -> None:
        stale = self.stale.is_set()
        self.stale.clear()
        count = self.count()
        if not stale and count == self.last_count and time.monotonic() - self.fetched < FETCH:
            return
        labels = self.fetch()
        self.last_count, self.fetched = count, time.monotonic()
        if not labels or suggestions.suggester_version(self.articles, labels, self.folds) == self.version:
            return
        data = _train(self.articles, labels, self.folds)
        if data is None:
            self.say("Learning ended before its time; the model before it goes on answering.")
            self.last_count = None
            return
        self.suggester = pickle.loads(data)  # of our own process
        self.save(data)
        self.say(f"Learnt from {len(labels)} labelled passages: {self.version}")


def _to_passage(task: object) -> Passage | None:
    data = task.get("data") if isinstance(task, dict) else None
    fields = [data.get(key) for key in ("passage_id", "article_id", "text")] if isinstance(data, dict) else [None]
    if not all(isinstance(field, str) for field in fields):
        return None
    id, article, text = map(str, fields)
    return Passage(id, article, "", text, ())


def _train(articles: Sequence[Article], labels: Sequence[PassageLabels], folds: int) -> bytes | None:
    """Train a suggester in another process and return it pickled; None if the process ended."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_train_and_send, args=(sender, articles, labels, folds), daemon=True)
    process.start()
    sender.close()
    try:
        return receiver.recv_bytes()
    except EOFError:
        return None
    finally:
        receiver.close()
        process.terminate()  # it has sent its result, or nobody waits for it any more
        process.join()


def _train_and_send(
    sender: Connection, articles: Sequence[Article], labels: Sequence[PassageLabels], folds: int
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    with contextlib.suppress(OSError):  # the parent may have been killed
        os.nice(10)
        sender.send_bytes(pickle.dumps(suggestions.train_suggester(articles, labels, folds=folds)))
