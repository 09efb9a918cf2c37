from .annotations import pull_labels, submit_labels
from .push import push_passages
from .server.client import connect
from .server.process import start_server, stop_server

__all__ = ["connect", "pull_labels", "push_passages", "start_server", "stop_server", "submit_labels"]
