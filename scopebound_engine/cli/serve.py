"""`serve`: prepare what is missing, then serve the API under gunicorn."""

import gc
import socket
import tempfile
from pathlib import Path
from typing import Any

import click

from scopebound_engine.config import Config, from_env

# Longer than any client keeps an idle connection: the server never closes one in which a request
# is already on its way, which a client that fails open would take for an allow.
KEEPALIVE_SECONDS = 75
GRACE_SECONDS = 5
# Without a heartbeat, which is one a second, the master takes a worker for hung and kills it.
HEARTBEAT_SECONDS = 30


@click.command()
def serve() -> None:
    """Serve the API on SCOPEBOUND_HOST and SCOPEBOUND_PORT (127.0.0.1:8080).

    The first start makes what is missing under SCOPEBOUND_DATA_DIR: the embedded database, the
    signing keys, an API key, and a bundle built and signed from the shipped policies. A second
    start finds it. Configured by the environment only; the README lists every variable.
    """
    # What is imported stays. To look for garbage in it meanwhile took a sixth of the start.
    gc.disable()
    config = from_env()
    _check_port(config)
    from scopebound_engine.logs import configure
    from scopebound_engine.preparation import prepare

    configure()
    prepared = prepare(config)
    click.echo(_welcome(config, prepared.api_key_file))
    run(config)


def run(config: Config) -> None:
    """Serve until SIGTERM or SIGINT."""
    from gunicorn.app.base import BaseApplication

    # Before workers are forked, which then share what was imported, and sooner replace one another.
    from scopebound_engine.api.app import open_app
    from scopebound_engine.cli.master import Master
    from scopebound_engine.cli.worker import Worker

    class Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
        """gunicorn with settings from Config alone: no file, no command line."""

        def load_config(self) -> None:
            for name, value in _settings(config, Worker).items():
                self.cfg.set(name, value)

        def load(self) -> Any:
            return open_app(config)

    master = Master(Server())
    gc.freeze()
    gc.enable()
    master.run()


def _settings(config: Config, worker: type) -> dict[str, Any]:
    from scopebound_engine.cli.fairness import Table

    table = Table()
    return {
        "bind": [config.authority],
        "workers": config.workers,
        "threads": config.threads,
        "worker_class": worker,
        "pre_fork": table.admit,
        "child_exit": table.dismiss,
        "keepalive": KEEPALIVE_SECONDS,
        "graceful_timeout": GRACE_SECONDS,
        "timeout": HEARTBEAT_SECONDS,
        "worker_tmp_dir": _heartbeat_folder(),
        "worker_connections": 4096,
        "backlog": 2048,
        "loglevel": "warning",
        "control_socket_disable": True,
    }


def _heartbeat_folder(memory: Path = Path("/dev/shm")) -> str | None:  # noqa: S108  # checked
    """Where heartbeats are written; None: where temporary files are.

    On a disk with more to write than it can, to touch a file takes as long as a hang.
    """
    try:
        with tempfile.TemporaryFile(dir=memory):
            return str(memory)
    except OSError:
        return None


def _check_port(config: Config) -> None:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((config.host, config.port))
        except OSError as error:
            from scopebound_engine.cli.master import cannot_listen

            raise cannot_listen(config.authority, error) from error


def _welcome(config: Config, key_file: Path | None) -> str:
    url = f"http://{config.authority}"
    if key_file:
        where, key = f"in {key_file}", f"$(cat '{key_file}')"
    elif config.bootstrap_api_key:
        where, key = "the one in SCOPEBOUND_BOOTSTRAP_API_KEY", "$SCOPEBOUND_BOOTSTRAP_API_KEY"
    else:
        where, key = "on the node that made it; `keys create` makes another", "$SCOPEBOUND_API_KEY"
    header = f'-H "X-Scopebound-API-Key: {key}"'
    return f"""
Scopebound Engine serves on {url}
The API key is {where}

Try it, in another shell:
  curl -s {url}/healthz
  curl -s {header} {url}/mgmt/v1/roles

`make demo` walks an allow and every denial. Ctrl-C stops the server.
"""
