"""Providers of rails as processes of their own, on free ports: they can be killed and come back."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from seawall.conventions.signing import authorization, fingerprint
from seawall.formats.payout_rail import Instruction, StatementLine
from tests.testing.venue_harness import HANGS_AFTER_S, POLICY, free_port

PAYER, READER = "what-the-payer-shows", "what-a-reader-shows"
ACCOUNT, CLOSED_ACCOUNT = "GB00HARBOUR00000001", "GB00CLOSED00000001"


@dataclass(kw_only=True)
class Provider:
    """One provider: ``module`` of ``sandbox.counterparties``, called ``name``, with its folder."""

    module: str
    name: str
    folder: Path
    settles_after_s: float = 0.05
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Where it is reached."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it says that it is ready."""
        self.folder.mkdir(parents=True, exist_ok=True)
        arguments = {
            "--name": self.name,
            "--policy": str(POLICY),
            "--port": str(self.port),
            "--data-dir": str(self.folder),
            "--payer-sha256": fingerprint(PAYER),
            "--reader-sha256": fingerprint(READER),
            "--settles-after-s": str(self.settles_after_s),
        }
        with (self.folder / "log").open("a", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-m", f"sandbox.counterparties.{self.module}"),
                    *(word for pair in arguments.items() for word in pair),
                ],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        assert said == "ready\n", (self.folder / "log").read_text(encoding="utf-8")

    def kill(self) -> None:
        """Kill it (-9), if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate(timeout=HANGS_AFTER_S)
            self._process = None

    def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """Its answer to the payer."""
        headers = authorization(PAYER)
        return httpx.request(
            method, self.url + path, json=body, headers=headers, timeout=HANGS_AFTER_S
        )

    def submit(self, instruction: Instruction) -> httpx.Response:
        """Its answer to ``instruction``."""
        return self.ask("POST", "/payouts", instruction.model_dump())

    def lines(self) -> list[StatementLine]:
        """Its whole statement, as a reader sees it."""
        found: list[StatementLine] = []
        while True:
            after = found[-1].n if found else 0
            answer = httpx.get(
                f"{self.url}/statement?after={after}", headers=authorization(READER)
            ).json()
            found += [StatementLine.model_validate(line) for line in answer["lines"]]
            if not answer["more"]:
                return found

    def paid(self) -> list[tuple[str, str, str]]:
        """Client id, amount and destination of what it has settled, or will."""
        ended: dict[str, StatementLine] = {line.payout.client_id: line for line in self.lines()}
        return [
            (client_id, told.amount, told.destination)
            for client_id, line in ended.items()
            if line.payout.state in ("accepted", "settled")
            and (told := line.payout.instruction) is not None
        ]

    def until_settled(self, count: int) -> None:
        """Wait until ``count`` payouts are settled or returned."""
        ends = time.monotonic() + HANGS_AFTER_S
        while sum(line.payout.state in ("settled", "returned") for line in self.lines()) < count:
            assert time.monotonic() < ends, self.lines()
            time.sleep(0.02)


@contextmanager
def running(*providers: Provider) -> Iterator[None]:
    """All of them, until the end, whatever a test did to them."""
    try:
        for provider in providers:
            provider.start()
        yield
    finally:
        for provider in providers:
            provider.kill()
