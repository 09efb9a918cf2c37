"""A model that answers while the next one is taught: what `annotate assist` suggests from.

The old model answers until a new one has been learnt, in a process of its own.
"""

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

from jinbench.annotation import exports
from jinbench.core.errors import JinbenchError
from jinbench.core.types import Article, Passage, PassageLabels
from jinbench.labelstudio.suggest import suggestions
from jinbench.labelstudio.suggest.suggestions import Suggester

UNTAUGHT = "tagger that has learnt nothing yet"
PAUSE = 2.0  # seconds between two looks at the server
LOOK, FETCH = 30.0, 300.0  # seconds after which it looks for submissions, and fetches all, without being told
Say = Callable[[str], None]


class BackgroundTrainer:
    """The model that answers, and the thread that teaches the next one.

    `count`: what tells quickly whether something may be new; `known`: all labels to learn from.
    """

    def __init__(
        self,
        articles: Sequence[Article],
        count: Callable[[], Any],
        known: Callable[[], Sequence[PassageLabels]],
        folds: int,
        keep: Callable[[bytes], None],
        suggester: Suggester | None,
        say: Say,
    ) -> None:
        self.articles, self.count, self.known, self.folds = articles, count, known, folds
        self.keep, self.suggester, self.say = keep, suggester, say
        self.seen: Any = None
        self.fetched = 0.0
        self.wake, self.stale = threading.Event(), threading.Event()
        self.answering = threading.Lock()
        self.said = ""

    @property
    def version(self) -> str:
        return self.suggester.version if self.suggester else UNTAUGHT

    def look(self) -> None:
        """Somebody is labelling: see soon whether something is new."""
        self.wake.set()

    def tell(self) -> None:
        """Something is new."""
        self.stale.set()
        self.wake.set()

    def predict(self, tasks: Sequence[Any]) -> list[list[dict[str, Any]]]:
        """For each task its predictions: one, or none where no model may speak."""
        model = self.suggester
        found = [_passage(task) for task in tasks]
        if model is None:
            return [[] for _ in tasks]
        with self.answering:
            # Passage by passage: the tasks of one request may come from projects that share ids of passages.
            said = [model.suggest([passage]).get(passage.id) if passage else None for passage in found]
        return [
            [
                {
                    "model_version": model.version,
                    "score": round(each.confidence, 6),
                    "result": exports.to_suggested_regions(each),
                }
            ]
            if each
            else []
            for each in said
        ]

    def run(self) -> None:
        """Look, fetch and learn for ever; what goes wrong is said once, and tried again."""
        self.tell()
        while True:
            self.wake.wait(LOOK)
            self.wake.clear()
            try:
                self._learn_if_new()
                self.said = ""
            except (JinbenchError, OSError) as error:
                if str(error) != self.said:
                    self.said = str(error)
                    self.say(f"Nothing new was learnt: {error}")
            time.sleep(PAUSE)

    def _learn_if_new(self) -> None:
        stale = self.stale.is_set()
        self.stale.clear()
        counted = self.count()
        if not stale and counted == self.seen and time.monotonic() - self.fetched < FETCH:
            return
        known = self.known()
        self.seen, self.fetched = counted, time.monotonic()
        if not known or suggestions.suggester_version(self.articles, known, self.folds) == self.version:
            return
        data = _taught(self.articles, known, self.folds)
        if data is None:
            self.say("Learning ended before its time; the model before it goes on answering.")
            self.seen = None
            return
        self.suggester = pickle.loads(data)  # of our own process
        self.keep(data)
        self.say(f"Learnt from {len(known)} labelled passages: {self.version}")


def _passage(task: Any) -> Passage | None:
    data = task.get("data") if isinstance(task, dict) else None
    fields = [data.get(key) for key in ("passage_id", "article_id", "text")] if isinstance(data, dict) else [None]
    if not all(isinstance(field, str) for field in fields):
        return None
    id, article, text = map(str, fields)
    return Passage(id, article, "", text, ())


def _taught(articles: Sequence[Article], known: Sequence[PassageLabels], folds: int) -> bytes | None:
    """A pickled suggester, learnt in another process so that requests are answered meanwhile; None if that ended."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_teach, args=(there, articles, known, folds), daemon=True)
    process.start()
    there.close()
    try:
        return here.recv_bytes()
    except EOFError:
        return None
    finally:
        here.close()
        process.terminate()  # it has sent what it had, or nobody waits for it any more
        process.join()


def _teach(there: Connection, articles: Sequence[Article], known: Sequence[PassageLabels], folds: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who asked
    with contextlib.suppress(OSError):  # who asked may have been killed
        os.nice(10)
        there.send_bytes(pickle.dumps(suggestions.train_suggester(articles, known, folds=folds)))
