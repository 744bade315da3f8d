"""The front of a region's signers: by wallet, unchanged, and one hung signer keeps no other."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest

from seawall.conventions.signing import authorization, fingerprint
from seawall.formats.venue_config import SignerCaller
from venue.signer.callers import Callers
from venue.signer.front import BODY_BYTES_MAX, Front, FrontMetrics, application

SECRET = "a secret of the settler"
BUCKETS = {"alpha-hot": "alpha", "beta-hot": "beta"}


def _front(answer: Callable[[httpx.Request], httpx.Response]) -> Front:
    """A front whose signers all answer with ``answer``; their host names are their buckets."""
    return Front(
        buckets=BUCKETS,
        clients={
            bucket: httpx.AsyncClient(
                base_url=f"http://{bucket}", transport=httpx.MockTransport(answer)
            )
            for bucket in BUCKETS.values()
        },
        callers=Callers(
            known={"settler": SignerCaller(sha256=fingerprint(SECRET), may=("sign", "probe"))}
        ),
        metrics=FrontMetrics(region="one"),
    )


async def _ask(front: Front, path: str, body: bytes, *, secret: str = SECRET) -> httpx.Response:
    transport = httpx.ASGITransport(application(front))
    async with httpx.AsyncClient(transport=transport, base_url="http://front") as client:
        return await client.post(path, content=body, headers=authorization(secret))


@pytest.mark.parametrize(
    ("path", "body", "bucket"),
    [
        ("/sign", {"wallet": "alpha-hot", "x": 1}, "alpha"),
        ("/sign", {"wallet": "beta-hot"}, "beta"),
        ("/probe", None, "alpha"),
        ("/probe", {"wallet": "beta-hot"}, "beta"),
    ],
)
async def test_a_request_reaches_the_signer_of_its_wallets_bucket_as_it_came(
    path: str, body: dict[str, object] | None, bucket: str
) -> None:
    """With its caller's credential, so that the signer checks that, too; and so does the answer."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(429, json={"code": "over_cap", "reason": "r"})

    sent = b"" if body is None else json.dumps(body).encode()
    got = await _ask(_front(answer), path, sent)
    assert (got.status_code, got.json()) == (429, {"code": "over_cap", "reason": "r"})
    (request,) = seen
    assert (request.url.host, request.url.path, request.content) == (bucket, path, sent)
    assert request.headers["Authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"wallet": 7}',
        b'{"wallet": "gamma-hot"}',
        b'{"wallet": "alpha-hot", "data": "' + b"x" * BODY_BYTES_MAX + b'"}',
    ],
)
async def test_what_is_about_no_wallet_of_the_region_goes_nowhere(body: bytes) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise AssertionError

    got = await _ask(_front(answer), "/sign", body)
    assert (got.status_code, got.json()["code"]) == (422, "bad_request")


@pytest.mark.parametrize(
    ("path", "secret", "status"), [("/sign", "x", 401), ("/prove", SECRET, 403)]
)
async def test_strangers_get_no_further_and_are_counted(
    path: str, secret: str, status: int
) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise AssertionError

    front = _front(answer)
    got = await _ask(front, path, b'{"wallet": "alpha-hot"}', secret=secret)
    assert got.status_code == status
    assert front.metrics.strangers.labels("one")._value.get() == 1


@pytest.mark.parametrize("error", [httpx.ConnectError("refused"), httpx.ReadTimeout("late")])
async def test_a_signer_that_does_not_answer_is_no_provider(error: Exception) -> None:
    """The settler then counts the region as dark, as it does for a key service that hangs."""

    def answer(_: httpx.Request) -> httpx.Response:
        raise error

    got = await _ask(_front(answer), "/sign", b'{"wallet": "alpha-hot"}')
    assert (got.status_code, got.json()["code"]) == (503, "provider_unavailable")
    assert "the signer of alpha does not answer" in got.json()["reason"]
