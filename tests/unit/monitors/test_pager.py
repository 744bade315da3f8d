"""The pager writes down every alert of every message, and refuses what is none."""

from __future__ import annotations

import errno
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from monitors.pager import PageBook, listen, make_app, pages_of
from seawall.errors import PortBusyError

ROOT = Path(__file__).resolve().parents[3]
ALERT = {
    "status": "firing",
    "labels": {"alertname": "SeawallSigningDark", "severity": "critical", "region": "r1"},
    "startsAt": "2025-02-21T14:13:35.5Z",
}


def test_one_page_per_alert() -> None:
    """Times are Unix seconds; the labels are kept whole."""
    assert pages_of({"alerts": [ALERT, {**ALERT, "status": "resolved"}]}, received_at=1.25) == [
        {
            "received_at": 1.25,
            "status": status,
            "alertname": "SeawallSigningDark",
            "severity": "critical",
            "starts_at": 1740147215.5,
            "labels": ALERT["labels"],
        }
        for status in ("firing", "resolved")
    ]


@pytest.mark.parametrize(
    "message", [{}, [], {"alerts": [{}]}, {"alerts": [{**ALERT, "startsAt": "soon"}]}, None]
)
def test_anything_but_a_webhook_message_is_refused(message: Any) -> None:
    with pytest.raises(ValueError, match="not a webhook message"):
        pages_of(message, received_at=0.0)


@pytest.fixture
async def pager(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a pager whose clock stands at 7 seconds."""
    with closing(PageBook(tmp_path / "pages.jsonl")) as book:
        transport = httpx.ASGITransport(make_app(book, clock=lambda: 7.0))
        async with httpx.AsyncClient(transport=transport, base_url="http://pager") as client:
            yield client


async def test_a_message_is_on_the_disk_when_it_is_answered(
    pager: httpx.AsyncClient, tmp_path: Path
) -> None:
    """It is listed by then, too."""
    assert (await pager.post("/", json={"alerts": [ALERT]})).status_code == 200
    written = [json.loads(line) for line in (tmp_path / "pages.jsonl").read_text().splitlines()]
    assert (await pager.get("/pages")).json() == written
    assert [page["received_at"] for page in written] == [7.0]


async def test_a_broken_message_is_no_page(pager: httpx.AsyncClient, tmp_path: Path) -> None:
    assert (await pager.post("/", content=b"{")).status_code == 422
    assert (tmp_path / "pages.jsonl").read_text() == ""


async def test_a_message_that_is_too_large_is_no_page(
    pager: httpx.AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitors.pager.MESSAGE_BYTES_MAX", 10)
    assert (await pager.post("/", json={"alerts": [ALERT]})).status_code == 413
    assert (tmp_path / "pages.jsonl").read_text() == ""


async def test_a_page_that_cannot_be_written_was_not_received(
    pager: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alertmanager sends it again after a 5xx."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(PageBook, "add", full)
    assert (await pager.post("/", json={"alerts": [ALERT]})).status_code == 507


def test_a_busy_port_is_one_clear_line() -> None:
    with listen(0) as listener, pytest.raises(PortBusyError, match="cannot listen on port"):
        listen(listener.getsockname()[1])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_receives_pages_until_a_signal_and_ends_well(
    number: signal.Signals, tmp_path: Path
) -> None:
    out = tmp_path / "pages.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-m", "monitors.pager", "--port", "0", "--out", out],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process, process.stdout as said:
        port = said.readline().removeprefix("ready on port ").strip()
        answer = httpx.post(f"http://127.0.0.1:{port}/", json={"alerts": [ALERT]}, trust_env=False)
        assert answer.status_code == 200
        process.send_signal(number)
        assert process.wait() == 0
    assert len(out.read_text().splitlines()) == 1
