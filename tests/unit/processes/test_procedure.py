"""An operator's procedure is begun once, told apart from its end, and begun again if it failed."""

from __future__ import annotations

import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest

from seawall.errors import ServiceError, UsageError
from seawall.processes import procedure as procedures
from seawall.processes.postgres import Answer, look
from seawall.processes.procedure import Procedure, Say, of_command
from tests.testing.procedures import served

WITHIN_S = 10.0


class Restored:
    """A restoration that waits until it is let go, and fails as often as told."""

    def __init__(self, *, fails: int = 0) -> None:
        self.fails, self.begun, self.lost = fails, 0, 0
        self.go = threading.Event()
        self.procedure = Procedure(lose=self._lose, restore=self._restore)

    def _lose(self) -> None:
        self.lost += 1

    def _restore(self, say: Say) -> None:
        self.begun += 1
        say("a step")
        assert self.go.wait(WITHIN_S)
        if self.begun <= self.fails:
            raise ServiceError("it did not come up")


def until(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(procedures, "AGAIN_S", 0.05)


def test_the_handles_lose_it_once_and_answer_with_success_when_it_is_whole_again() -> None:
    made = Restored()
    with served(made.procedure) as url, httpx.Client(trust_env=False) as client:
        _lose_and_restore(made, client, url)


def _lose_and_restore(made: Restored, client: httpx.Client, url: str) -> None:
    assert client.post(f"{url}/restore").status_code == 204  # there is nothing to restore
    assert client.post(f"{url}/lose").status_code == 204
    assert client.post(f"{url}/lose").status_code == 409
    assert client.get(f"{url}/").json()["state"] == "lost"
    first, second = client.post(f"{url}/restore"), client.post(f"{url}/restore")
    assert (first.status_code, second.status_code) == (503, 503)
    until(lambda: client.post(f"{url}/restore").json()["error"] == "a step")
    assert client.get(f"{url}/").json()["state"] == "restoring"
    assert client.post(f"{url}/lose").status_code == 409
    made.go.set()
    until(lambda: client.post(f"{url}/restore").status_code == 204)

    assert (made.lost, made.begun) == (1, 1)
    found = client.get(f"{url}/").json()
    assert (found["state"], found["failure"]) == ("whole", None)
    said = [step["said"] for step in found["steps"]]
    assert said == ["lost", "the restoration begins", "a step", "restored"]
    assert client.post(f"{url}/lose").status_code == 204  # once more
    assert [step["said"] for step in client.get(f"{url}/").json()["steps"]] == ["lost"]


def test_one_that_failed_is_begun_again_by_whoever_asks_next() -> None:
    made = Restored(fails=1)
    made.go.set()
    made.procedure.break_it()
    assert not made.procedure.mend()
    until(lambda: made.procedure.failure == "it did not come up")
    until(made.procedure.mend)

    assert (made.begun, made.procedure.failure) == (2, None)


def test_whoever_ends_waits_for_it_and_for_what_nobody_asked_for() -> None:
    made = Restored()
    assert made.procedure.finish(within_s=0)  # it is whole
    made.procedure.break_it()
    assert not made.procedure.finish(within_s=0.1)
    made.go.set()
    assert made.procedure.finish(within_s=WITHIN_S)
    assert made.begun == 1


def test_nothing_is_restored_while_it_is_being_lost() -> None:
    """Else the files of the new one would be removed with the old ones."""
    losing, lost = threading.Event(), threading.Event()

    def lose() -> None:
        losing.set()
        assert lost.wait(WITHIN_S)

    made = Procedure(lose=lose, restore=lambda _: None)
    thread = threading.Thread(target=made.break_it)
    thread.start()
    assert losing.wait(WITHIN_S)
    assert not made.mend()
    assert made.state == "losing"
    lost.set()
    thread.join()
    until(made.mend)


def test_a_loss_that_breaks_in_the_middle_is_restored_as_well() -> None:
    def lose() -> None:
        raise ServiceError("its files cannot be removed")

    made = Procedure(lose=lose, restore=lambda _: None)
    with served(made) as url:
        assert httpx.post(f"{url}/lose", trust_env=False).status_code == 500
        until(lambda: httpx.post(f"{url}/restore", trust_env=False).status_code == 204)


def test_a_command_says_its_steps_and_fails_by_its_status() -> None:
    said: list[str] = []
    of_command(f"{sys.executable} -c \"print('one'); print('two')\"")(said.append)
    assert said == ["one", "two"]
    with pytest.raises(ServiceError, match="ended with 3"):
        of_command(f'{sys.executable} -c "raise SystemExit(3)"')(said.append)
    with pytest.raises(ServiceError, match="cannot be run"):
        of_command("/no/such/program")(said.append)
    lost = Procedure(lose=lambda: None, restore=lambda _: None)
    lost.break_it()
    with pytest.raises(UsageError, match="lost already"):
        lost.break_it()


@contextmanager
def server(answer: bytes | None, *, hangs: bool = False) -> Iterator[str]:
    """A server that reads what a client begins with, answers, and closes; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with listening.accept()[0] as client:
                assert b"seawall_probe" in client.recv(1_000)
                if answer:
                    client.sendall(answer)
                if hangs:
                    time.sleep(1)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        thread.join()


def error(code: str) -> bytes:
    fields = f"SFATAL\0C{code}\0Mno\0\0".encode()
    return b"E" + struct.pack("!i", 4 + len(fields)) + fields


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (b"R" + struct.pack("!ii", 8, 10), "serving"),
        (error("28000"), "serving"),
        (error("53300"), "serving"),
        (error("57P03"), "starting"),
        (b"", "gone"),
        (b"E\0", "gone"),
    ],
    ids=["asks who it is", "refuses a stranger", "is full", "starts", "is gone", "breaks off"],
)
def test_a_database_is_looked_at_without_an_account_of_it(answer: bytes, found: Answer) -> None:
    with server(answer) as address:
        assert look(address) == found


def test_one_that_says_nothing_is_silent_and_one_that_is_not_there_gone() -> None:
    with server(None, hangs=True) as address:
        assert look(address) == "silent"
    assert look(address) == "gone"
