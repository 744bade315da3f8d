"""The pager writes down every alert of every message, and refuses what is none."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from monitors.pager import PageBook, make_server, pages_of
from seawall.errors import PortBusyError

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
def test_anything_else_is_refused(message: Any) -> None:
    with pytest.raises(ValueError, match="not a webhook message"):
        pages_of(message, received_at=0.0)


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    book = PageBook(tmp_path / "pages.jsonl")
    server = make_server(0, book, clock=lambda: 7.0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
    book.close()


def test_a_message_is_on_the_disk_when_it_is_answered(url: str, tmp_path: Path) -> None:
    """And listed for whoever asks."""
    assert httpx.post(f"{url}/", json={"alerts": [ALERT]}).status_code == 200
    written = [json.loads(line) for line in (tmp_path / "pages.jsonl").read_text().splitlines()]
    assert httpx.get(f"{url}/pages").json() == written
    assert [page["received_at"] for page in written] == [7.0]


def test_a_broken_message_is_no_page(url: str, tmp_path: Path) -> None:
    assert httpx.post(f"{url}/", content=b"{").status_code == 422
    assert (tmp_path / "pages.jsonl").read_text() == ""


def test_a_busy_port_is_one_clear_line(url: str, tmp_path: Path) -> None:
    book = PageBook(tmp_path / "other.jsonl")
    with pytest.raises(PortBusyError, match="cannot listen on port"):
        make_server(int(url.rpartition(":")[2]), book)
    book.close()
