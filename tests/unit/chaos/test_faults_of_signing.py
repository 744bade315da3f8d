"""Faults of a key service that refuses: what a look at it proves, and where they run at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from chaos import signer
from chaos.faults import Fault, kms_throttled, make_fault
from seawall.conventions import signing
from seawall.errors import ServiceError, UsageError
from seawall.formats.deployment import Deployment
from seawall.lease import UndoCall
from tests.testing.deployments import NOTHING, make_deployment

THROTTLED, ANSWERED = signing.THROTTLED, signing.ANSWERED
SIGNERS = {"us-east-1": {"url": NOTHING, "operations_per_s": 60}}


def _deployment(folder: Path, **changes: Any) -> Deployment:
    return make_deployment(
        folder, **({"signers": SIGNERS, "kms_crowding": f"{NOTHING}/crowding"} | changes)
    )


def _throttled(deployment: Deployment, share: str = "0.9", target: str = "kms.primary") -> Fault:
    return make_fault(
        "kms-throttled",
        target=target,
        parameters={"throttled": share},
        deployment=deployment,
        blast_radius=("kms.primary", "kms.standby"),
    )


@pytest.mark.parametrize(
    ("results", "state"),
    [
        ([THROTTLED, THROTTLED], "effective"),
        ([ANSWERED, THROTTLED, ANSWERED, THROTTLED], "effective"),
        ([ANSWERED] * 8, "clear"),
        ([*[ANSWERED] * 7, THROTTLED], "unclear"),
        ([signing.DENIED], "unclear"),
        ([THROTTLED, signer.SILENT], "unclear"),
    ],
)
def test_a_look_needs_two_refusals_or_none_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, results: Sequence[str], state: str
) -> None:
    """Some canaries are served under the fault, too; another failure is not this fault."""
    given = iter(results)
    monkeypatch.setattr(kms_throttled, "look", lambda _url: next(given))
    monkeypatch.setattr(kms_throttled, "_BETWEEN_CANARIES_S", 0)
    assert _throttled(_deployment(tmp_path)).observe().state == state
    assert next(given, None) is None, "a look ends as soon as it proves something"


def test_the_undo_is_one_call_of_the_region(tmp_path: Path) -> None:
    fault = _throttled(_deployment(tmp_path))
    assert fault.undo() == (UndoCall(method="DELETE", url=f"{NOTHING}/crowding/us-east-1"),)
    assert (fault.part, fault.reaches) == ("kms.us-east-1", ("kms.primary",))
    with pytest.raises(ServiceError, match=r"^kms\.us-east-1 could not be crowded"):
        fault.apply()


def test_no_quota_of_a_real_account_is_used_up(tmp_path: Path) -> None:
    """It would throttle every key in it, also where somebody offers the handle."""
    real = {"kind": "staging", "account": "321098765432"}
    for changes in (real, {"kms_crowding": None}):
        with pytest.raises(UsageError, match="no drill uses up that of a real account"):
            _throttled(_deployment(tmp_path, **changes))


def test_what_cannot_be_seen_or_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="names no signer of us-east-1"):
        _throttled(_deployment(tmp_path, signers={}))
    with pytest.raises(UsageError, match=r"cannot be aimed at kms\.primary"):
        _throttled(_deployment(tmp_path, regions=None))
    for share in ("0.5", "1.1", "most", "0.955"):
        with pytest.raises(UsageError, match="cannot have the parameter throttled"):
            _throttled(_deployment(tmp_path), share)


@contextmanager
def _signer(status: int, body: bytes) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(status if self.path == "/signer/probe" else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/signer/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "result"),
    [
        (200, b"{}", ANSWERED),
        (
            503,
            (
                b'{"code":"provider_unavailable","reason":"the key provider of us-east-1 does not'
                b" serve: An error occurred (ThrottlingException) when calling the Sign operation:"
                b' You have exceeded the rate"}'
            ),
            THROTTLED,
        ),
        (
            503,
            b'{"code":"provider_unavailable","reason":"ThrottlingException, perhaps"}',
            "HTTP 503",
        ),
    ],
)
def test_the_signers_probe_shows_the_key_services_own_code(
    status: int, body: bytes, result: str
) -> None:
    with _signer(status, body) as url:
        assert signer.look(url) == result
    assert signer.look(url) == signer.SILENT
