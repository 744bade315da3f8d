"""Real faults freeze, kill and bring back processes of a sandbox through its handles."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator

import httpx
import pytest

from chaos.faults import Fault, make_fault
from sandbox.process_control import process_control
from sandbox.supervisor import Sandbox
from seawall.conventions.components import API_PROCESS
from seawall.errors import ServiceError, UsageError
from seawall.processes.readiness import log_line

TARGET = f"process.{API_PROCESS}"
PROMETHEUS = "process.prometheus"
WITHIN_S = 20.0
SERVER = """
import http.server, sys
address = ("127.0.0.1", int(sys.argv[1]))
server = http.server.ThreadingHTTPServer(address, http.server.BaseHTTPRequestHandler)
print("ready", flush=True)
server.serve_forever()
"""


@pytest.fixture
def served(sandbox: Sandbox) -> Iterator[Sandbox]:
    """The sandbox with one process, which answers where the api would, and its handles."""
    port = str(sandbox.deployment.metrics_ports[API_PROCESS])
    (sandbox.data_dir / "prometheus").mkdir()
    argv = (sys.executable, "-c", SERVER, port)
    sandbox.spawn(API_PROCESS, argv, ready=log_line("^ready$"))
    with process_control(sandbox) as url:
        sandbox.describe(process_control=url)
        yield sandbox


def fault(served: Sandbox, name: str, target: str = TARGET) -> Fault:
    return make_fault(
        name, target=target, parameters={}, deployment=served.deployment, blast_radius=(target,)
    )


def until(made: Fault, state: str) -> None:
    """Return when ``made`` is observed to be in ``state``."""
    give_up = time.monotonic() + WITHIN_S
    while (seen := made.observe()).state != state:
        assert time.monotonic() < give_up, seen
        time.sleep(0.02)


def _serve_as_prometheus(sandbox: Sandbox) -> None:
    """A process called like Prometheus that answers where it would."""
    port = sandbox.deployment.urls.required("prometheus").rpartition(":")[2]
    argv = (sys.executable, "-c", SERVER, port)
    sandbox.spawn("prometheus", argv, ready=log_line("^ready$"))


@pytest.mark.parametrize(
    ("name", "target"), [("process-frozen", PROMETHEUS), ("process-killed", TARGET)]
)
def test_a_fault_is_seen_from_outside_and_undone_however_often(
    served: Sandbox, name: str, target: str
) -> None:
    """Also the undo of what was never applied, which comes before every fault."""
    _serve_as_prometheus(served)
    made = fault(served, name, target)
    first = served.deployment.processes[made.part].pid

    made.revert(within_ms=5_000)
    until(made, "clear")
    assert served.deployment.processes[made.part].pid == first
    made.apply()
    until(made, "effective")
    made.revert(within_ms=5_000)
    made.revert(within_ms=5_000)
    until(made, "clear")

    assert (served.deployment.processes[made.part].pid == first) == (name == "process-frozen")
    assert [status.died_at for status in served.components()] == [None, None]


def test_the_undo_that_comes_at_once_still_finds_the_process_down(served: Sandbox) -> None:
    """The kernel may need a moment to end what was killed."""
    made = fault(served, "process-killed")

    for _ in range(5):
        made.apply()
        made.revert(within_ms=5_000)
        until(made, "clear")


def test_a_process_that_ends_by_itself_is_a_death_also_after_it_was_brought_back(
    served: Sandbox,
) -> None:
    """What a drill did not plan makes it unproven."""
    made = fault(served, "process-killed")
    made.apply()
    made.revert(within_ms=5_000)
    until(made, "clear")

    served._components[API_PROCESS].signal_group(signal.SIGKILL)

    give_up = time.monotonic() + WITHIN_S
    while served.components()[0].died_at is None:
        assert time.monotonic() < give_up
        time.sleep(0.02)


def test_what_is_down_when_the_handles_end_is_brought_back(sandbox: Sandbox) -> None:
    """Whoever killed it may be gone, and with the handles the undo of its lease."""
    port = str(sandbox.deployment.metrics_ports[API_PROCESS])
    (sandbox.data_dir / "prometheus").mkdir()
    sandbox.spawn(API_PROCESS, (sys.executable, "-c", SERVER, port), ready=log_line("^ready$"))
    for name in ("process-killed", "process-frozen"):
        target = PROMETHEUS if name == "process-frozen" else TARGET
        with process_control(sandbox) as url:
            sandbox.describe(process_control=url)
            if name == "process-frozen":
                _serve_as_prometheus(sandbox)
            made = fault(sandbox, name, target)
            made.apply()
            until(made, "effective")
        until(made, "clear")


def test_a_process_that_died_is_not_taken_for_one_that_was_killed(served: Sandbox) -> None:
    """Its death stays what it is; there is nothing to kill."""
    made = fault(served, "process-killed")
    served._components[API_PROCESS].signal_group(signal.SIGKILL)
    give_up = time.monotonic() + WITHIN_S
    while served.components()[0].died_at is None:
        assert time.monotonic() < give_up
        time.sleep(0.02)

    with pytest.raises(ServiceError, match="refused to kill venue-api: HTTP 409"):
        made.apply()
    assert served.components()[0].died_at is not None


def test_what_the_deployment_does_not_have_is_refused(served: Sandbox) -> None:
    """A fault needs a process, the address where it answers, and handles to bring it back."""
    url = served.deployment.process_control
    answer = httpx.post(f"{url}/processes/nobody/kill", trust_env=False)
    listed = httpx.get(f"{url}/processes", trust_env=False).json()

    assert answer.status_code == 404
    assert listed == {"processes": {API_PROCESS: "running"}}
    with pytest.raises(
        UsageError, match=r"process\.nobody: the deployment file names no such process"
    ):
        fault(served, "process-killed", "process.nobody")
    served.describe(process_control=None)
    with pytest.raises(UsageError, match="names no control of processes"):
        fault(served, "process-killed")
