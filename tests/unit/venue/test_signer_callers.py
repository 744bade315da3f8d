"""Who may ask a signer for what: others learn nothing, are counted, and nothing of them is read."""

from __future__ import annotations

import logging
from typing import Any, cast

import httpx
import pytest

from seawall.conventions import metrics as metrics_names
from seawall.conventions.signing import authorization, fingerprint
from seawall.formats.venue_config import SignerCaller
from venue.signer.app import application
from venue.signer.callers import Callers
from venue.signer.protocol import Proven, Signed
from venue.signer.service import SignerMetrics

SETTLER, PROVER = "a secret of the settler", "a secret of the prover"
KNOWN = {
    "settler": SignerCaller(sha256=fingerprint(SETTLER), may=("sign", "probe")),
    "prover": SignerCaller(sha256=fingerprint(PROVER), may=("prove",)),
}
SIGN = {
    "wallet": "w",
    "chain_id": 1,
    "address": "0x" + "aa" * 20,
    "nonce": 0,
    "epoch": 1,
    "to": "0x" + "bb" * 20,
    "value": "0",
    "data": "0x",
    "gas_limit": 1,
    "max_fee_wei": "1",
    "priority_fee_wei": "1",
}
PROVE = {"wallet": "w", "text": "t"}


class _Service:
    """A service that does all that it is asked for."""

    def __init__(self) -> None:
        self.metrics = SignerMetrics(region="one")
        self.asked: list[str] = []

    async def sign(self, _: object) -> Signed:
        self.asked.append("sign")
        return Signed(raw=b"", tx_hash="0x", region="one", digest=b"")

    async def prove(self, _: object) -> Proven:
        self.asked.append("prove")
        return Proven(number=1, address="0x" + "aa" * 20, region="one", signature=b"")

    async def probe(self) -> None:
        self.asked.append("probe")


async def _ask(
    service: _Service, path: str, headers: dict[str, Any], body: object
) -> httpx.Response:
    app = application(cast("Any", service), Callers(known=KNOWN))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://signer") as client:
        return await client.post(path, headers=headers, json=body)


@pytest.mark.parametrize(
    ("path", "secret", "status"),
    [
        ("/sign", SETTLER, 200),
        ("/probe", SETTLER, 200),
        ("/prove", PROVER, 200),
        ("/prove", SETTLER, 403),
        ("/sign", PROVER, 403),
        ("/probe", PROVER, 403),
    ],
)
async def test_each_caller_may_do_what_is_declared_and_nothing_else(
    path: str, secret: str, status: int
) -> None:
    service = _Service()
    body = {"/sign": SIGN, "/prove": PROVE, "/probe": {}}[path]
    answer = await _ask(service, path, authorization(secret), body)
    assert answer.status_code == status
    assert service.asked == ([path[1:]] if status == 200 else [])
    counted = service.metrics.strangers.labels("one")._value.get()
    assert counted == (0 if status == 200 else 1)


@pytest.mark.parametrize("path", ["/sign", "/prove", "/probe"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer "},
        {"Authorization": SETTLER},
        {"Authorization": f"Basic {SETTLER}"},
        {"Authorization": f"Bearer {SETTLER} "[:-2]},
        {"Authorization": f"Bearer {fingerprint(SETTLER)}"},
        {"Authorization": b"Bearer \xff"},
    ],
)
async def test_a_stranger_is_refused_before_anything_is_read(
    path: str, headers: dict[str, Any]
) -> None:
    """Even what would be refused as malformed: it says that somebody listens who can read it."""
    service = _Service()
    answer = await _ask(service, path, headers, "no request at all")
    assert (answer.status_code, answer.json()["code"]) == (401, "unknown_caller")
    assert service.asked == []
    assert service.metrics.strangers.labels("one")._value.get() == 1


async def test_credentials_reach_neither_answers_nor_logs_nor_metrics(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, logger="venue")
    service = _Service()
    other = "a secret of nobody"
    answers = [
        await _ask(service, path, authorization(secret), SIGN)
        for path in ("/sign", "/prove")
        for secret in (SETTLER, PROVER, other)
    ]
    app = application(cast("Any", service), Callers(known=KNOWN))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://signer") as client:
        metrics = await client.get("/metrics")
    assert metrics.status_code == 200
    assert f'{metrics_names.SIGNER_STRANGERS}{{region="one"}} 4.0' in metrics.text
    said = [*(each.text for each in answers), metrics.text, caplog.text]
    assert not [text for text in said if any(each in text for each in (SETTLER, PROVER, other))]
