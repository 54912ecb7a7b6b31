"""What goes wrong in a Faust application: Faust's own exceptions, and the answer to features that are not here.

FaustError
├── ImproperlyConfigured
├── ValidationError (also a ValueError)   a value does not fit a field of a Record
└── NotHere (also an AttributeError)      a feature outside of the subset; says what to do instead
"""

from __future__ import annotations

from streams.errors import RecordError, StreamsError
from streams.operators.columns import UNHANDLED

HOOKS = (
    *(
        "on_init",
        "on_init_dependencies",
        "on_init_extra_service",
        "on_first_start",
        "on_start",
        "on_started",
        "on_stop",
    ),
    *(
        "on_started_init_extra_tasks",
        "on_started_init_extra_services",
        "on_started_init_web_server",
        "on_webserver_init",
    ),
    *("on_shutdown", "on_restart", "on_rebalance_start", "on_rebalance_return", "on_rebalance_end"),
)
"""Methods of Faust's services that applications override."""

ELSEWHERE = {
    "web": "serve tables from a thread of your own beside `app.main()`, or read them as topics with streams.App.read",
    "page": "there is no web server: serve from a thread of your own, or read tables as topics with streams.App.read",
    "table_route": "there is no web server, and no router between workers: read the table's changelog as a topic",
    "topic_route": "there is no web server, and no router between workers: ask the broker where a topic's partitions are",
    "start_client": "send from a command (`@app.command`) or a task: what sends outside of agents needs no client to start",
    "callback": "await what `send` gives, and go on from there",
    "isolated_partitions": "leave it out, and keep what belongs to a partition in a table, which is divided by partition",
    "livecheck": "test with streams.testing.TopologyTestDriver, and watch with a program that reads the topics",
    "LiveCheck": "test with streams.testing.TopologyTestDriver, and watch with a program that reads the topics",
    "windows": "use a windowed app.Table keyed like its readers",
    "SetTable": "use app.Table(default=list) and write the changed list back",
    "SetGlobalTable": "use app.Table(default=list) and write the changed list back",
    "SlidingWindow": "use a hopping window, or the native SlidingWindows of streams.App",
    "Worker": "run `python app.py worker`, or app.main()",
    "agents_router": "ask the application's own command line: `python app.py agents`",
    "service": "start what must run beside the agents in an @app.task",
    "Service": "start what must run beside the agents in an @app.task",
    "sensors": "the worker logs what it does; broker and groups are shown by `streams groups` and `streams topics`",
    "Sensor": "the worker logs what it does; broker and groups are shown by `streams groups` and `streams topics`",
    "Monitor": "the worker logs what it does; broker and groups are shown by `streams groups` and `streams topics`",
    "monitor": "the worker logs what it does; broker and groups are shown by `streams groups` and `streams topics`",
    "stream": "streams are what agents are given: write an @app.agent(topic) in place of app.stream(topic)",
    "GSSAPICredentials": "there is no login by Kerberos: use SASLCredentials, OAuthCredentials, or a client's certificate",
    "test_context": "test with streams.testing.TopologyTestDriver(app)",
    **dict.fromkeys(
        ("on_partitions_assigned", "on_partitions_revoked"),
        "which partitions a worker has is the runtime's; app.on_rebalance_complete tells when it has them",
    ),
    "on_produce_message": "change what is sent where it is sent, or by Topic.send(headers=...)",
    **dict.fromkeys(
        HOOKS,
        "nobody calls it: write an @app.task for what begins with a worker, app.on_rebalance_complete for what follows its "
        "assignment, app.on_before_shutdown for its end",
    ),
    "config_from_object": "read the object yourself: faust.App(id, **settings), or app.conf.broker = ...",
    "combine": "read both topics by two agents that share a table",
    "join": "keep one side in a table and look it up in the agent of the other; or the native joins of streams.App",
}
"""What to do instead of a feature of Faust, by its name."""


class FaustError(StreamsError):
    """Base of the errors of this package."""


class ImproperlyConfigured(FaustError):  # noqa: N818  Faust's name
    """A setting is unknown, wrong, or not supported."""


class ValidationError(FaustError, ValueError):
    """A value does not fit a field of a Record."""


class NotHere(FaustError, AttributeError):  # noqa: N818  it says what is the matter
    """A feature of Faust that is outside of the subset."""


def not_here(where: str, name: str) -> NotHere:
    """The error for a feature that is not here, by its name; `where` is what was asked for it."""
    cure = ELSEWHERE.get(name) or ELSEWHERE.get(
        name.partition(".")[0], "run this application on Faust itself (`import faust`, against `streams broker`)"
    )
    return NotHere(f"{where}.{name} of Faust is not in streams.compat.faust: {cure}. See docs/from-faust.md")


def blameless(error: Exception) -> bool:
    """Whether an error says nothing about the record in hand: others would fail as well, or this one not when read again."""
    return isinstance(error, UNHANDLED) and not isinstance(error, ValidationError | RecordError)
