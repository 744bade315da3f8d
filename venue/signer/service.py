"""The signing service: record the digest, let the key provider sign, store the signature.

A second request for the same intent gets the stored signature, under whatever epoch it is made. No
database lock is held while the provider works; of two signatures of one intent the first is kept.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import prometheus_client

from seawall.conventions import metrics as metrics_names
from seawall.errors import ServiceError
from seawall.ethereum.keys import Signature, keccak256, personal_message_hash, signature_from_der
from venue.chain.transaction import (
    MAX_FEE_CEILING_WEI,
    PRIORITY_FEE_CEILING_WEI,
    encode_signed,
    signing_hash,
    transaction_hash,
)
from venue.contracts import approvals
from venue.contracts.calls import ITEMS_MAX, pay_gas_limit, payments, refilled
from venue.crash_points import crash_point
from venue.signer.bulkhead import Bulkhead
from venue.signer.logs import ProofLog, SignLog
from venue.signer.protocol import (
    Proven,
    ProveRequest,
    Signed,
    SigningRefusedError,
    SignRefusalCode,
    SignRequest,
)
from venue.signer.provider import Provider

SignResult = Literal[
    "signed", "replayed", "refused", "unavailable", "unread", "unlogged", "throttled", "capped"
]
_RESULTS: tuple[SignResult, ...] = get_args(SignResult)
_RESULT_OF: Mapping[SignRefusalCode, SignResult] = {
    "provider_unavailable": "unavailable",
    "records_unavailable": "unread",
    "log_unavailable": "unlogged",
    "throttled": "throttled",
    "over_cap": "capped",
}
"""How a refusal is counted; all others are ``refused``."""
GAS_LIMIT_MAX = pay_gas_limit(ITEMS_MAX)
"""Of a full payout; nothing that a wallet does takes more."""
_PROBE = keccak256(b"seawall signing probe: this is no transaction")


@dataclass(frozen=True, kw_only=True)
class SignerMetrics:
    """The metrics of a signer.

    Every outcome exists from the start, so that Prometheus sees a first failure as an increase.
    """

    region: str
    registry: prometheus_client.CollectorRegistry = field(
        default_factory=prometheus_client.CollectorRegistry
    )
    requests: prometheus_client.Counter = field(init=False)
    seconds: prometheus_client.Histogram = field(init=False)
    unreachable: prometheus_client.Gauge = field(init=False)
    strangers: prometheus_client.Counter = field(init=False)

    def __post_init__(self) -> None:
        names = ("region", "outcome")
        requests = prometheus_client.Counter(
            metrics_names.SIGN_REQUESTS,
            "Signature requests by outcome",
            names,
            registry=self.registry,
        )
        for outcome in _RESULTS:
            requests.labels(self.region, outcome)
        seconds = prometheus_client.Histogram(
            metrics_names.SIGN_SECONDS, "Time of one signature", ("region",), registry=self.registry
        )
        object.__setattr__(self, "requests", requests)
        object.__setattr__(self, "seconds", seconds)
        strangers = prometheus_client.Counter(
            metrics_names.SIGNER_STRANGERS,
            "Requests of callers that are not known, or may not ask for that",
            ("region",),
            registry=self.registry,
        )
        strangers.labels(self.region)
        object.__setattr__(self, "strangers", strangers)
        unreachable = prometheus_client.Gauge(
            metrics_names.SIGN_LOG_UNREACHABLE,
            "1 while the sign log does not answer: nothing is signed",
            ("region",),
            registry=self.registry,
        )
        unreachable.labels(self.region)
        object.__setattr__(self, "unreachable", unreachable)

    def count(self, outcome: SignResult) -> None:
        """Count one request with this result."""
        self.requests.labels(self.region, outcome).inc()

    def stranger(self) -> None:
        """Count one request of somebody who may not ask for it."""
        self.strangers.labels(self.region).inc()


@dataclass(frozen=True, kw_only=True)
class SigningService:
    """The signer of one region.

    By wallet, ``chains`` are chain ids and ``addresses`` addresses of keys; ``contracts`` are the
    contracts that a key may call, and a key without one signs no transaction; ``recipients`` are
    the only ones that a wallet pays, which others may pay anybody. Such a wallet pays others only
    as approvers have signed, which its contract checks. ``tanks`` are contracts that a key may call
    to have another one's gas money refilled; they pay nobody else.
    """

    region: str
    log: SignLog
    proofs: ProofLog
    provider: Provider
    bulkhead: Bulkhead
    chains: Mapping[str, int]
    addresses: Mapping[str, str]
    contracts: Mapping[str, str]
    recipients: Mapping[str, str]
    metrics: SignerMetrics
    tanks: Mapping[str, str] = field(default_factory=dict)

    async def sign(self, request: SignRequest) -> Signed:
        """The stored signature of the request's intent. Raises :class:`SigningRefusedError`."""
        try:
            signed, fresh = await self._sign(request)
        except SigningRefusedError as error:
            self.metrics.count(_RESULT_OF.get(error.code, "refused"))
            raise
        self.metrics.count("signed" if fresh else "replayed")
        return signed

    async def prove(self, request: ProveRequest) -> Proven:
        """Sign a proof of key control with the wallet's key; logged before and after.

        Raises :class:`SigningRefusedError`.
        """
        try:
            proven = await self._prove(request)
        except SigningRefusedError as error:
            self.metrics.count(_RESULT_OF.get(error.code, "refused"))
            raise
        self.metrics.count("signed")
        return proven

    async def probe(self) -> None:
        """Let the provider sign a fixed text that is no transaction, once the sign log answers.

        By the key of a reserve, if there is one: AWS's own log then shows no signature of a key
        that pays customers but those that paid them.

        It bypasses the bulkhead, because it tests the provider and not a bucket; once a second fits
        into the part of the quota that no share takes.

        Raises :class:`SigningRefusedError`.
        """
        await self.log.check()
        await self._ask(min(self.recipients or self.addresses), _PROBE)

    async def look_at_log(self) -> None:
        """Show whether the sign log answers, also while nothing is to be signed."""
        try:
            await self.log.check()
        except SigningRefusedError:
            self.metrics.unreachable.labels(self.region).set(1)
        else:
            self.metrics.unreachable.labels(self.region).set(0)

    async def _sign(self, request: SignRequest) -> tuple[Signed, bool]:
        if (self.chains.get(request.wallet), self.addresses.get(request.wallet)) != (
            request.chain_id,
            request.address,
        ):
            raise SigningRefusedError(
                "bad_request",
                f"{request.wallet} does not sign for {request.address} on chain {request.chain_id}",
            )
        self._check_bounds(request)
        async with self.bulkhead.inside(request.wallet):
            if (stored := await self.log.record(request)) is not None:
                return stored, False
            signature = await self._signature(
                request.wallet, signing_hash(request.intent, request.fees)
            )
            raw = encode_signed(request.intent, request.fees, signature)
            return await self.log.keep(request, raw=raw, tx_hash=transaction_hash(raw)), True

    def _check_bounds(self, request: SignRequest) -> None:
        """The signer's own idea of what a wallet ever does, whatever the venue's records say."""
        recipients = _recipients(request.data)
        only = self.recipients.get(request.wallet)
        refills = refilled(request.data) is not None
        called = (self.tanks if refills else self.contracts).get(request.wallet)
        faults = [
            said
            for holds, said in (
                (
                    request.to == called,
                    f"{request.wallet} calls its own contract alone, not {request.to}",
                ),
                (
                    recipients is not None,
                    f"{request.wallet} makes the venue's calls alone, as the venue writes them",
                ),
                (
                    only is None or (recipients or set()) <= {only},
                    f"{request.wallet} pays {only} alone",
                ),
                (
                    only is not None or recipients is None or approvals.read(request.data) is None,
                    f"{request.wallet} is no reserve, and knows no approvals",
                ),
                (request.value == 0, f"no transaction carries coins, not {request.value} wei"),
                (
                    request.gas_limit <= GAS_LIMIT_MAX,
                    f"a gas limit of {request.gas_limit} is above {GAS_LIMIT_MAX}",
                ),
                (
                    request.priority_fee_wei <= request.max_fee_wei <= MAX_FEE_CEILING_WEI,
                    f"fees of {request.max_fee_wei} wei per gas are above {MAX_FEE_CEILING_WEI}",
                ),
                (
                    request.priority_fee_wei <= PRIORITY_FEE_CEILING_WEI,
                    f"a tip of {request.priority_fee_wei} wei is above {PRIORITY_FEE_CEILING_WEI}",
                ),
            )
            if not holds
        ]
        if faults:
            raise SigningRefusedError("bad_request", "; ".join(faults))

    async def _prove(self, request: ProveRequest) -> Proven:
        address = self.addresses.get(request.wallet)
        if address is None:
            raise SigningRefusedError("bad_request", f"this signer has no key of {request.wallet}")
        async with self.bulkhead.inside(request.wallet):
            number = await self.proofs.asked(request.wallet, address, request.text)
            found = await self._signature(request.wallet, personal_message_hash(request.text))
            await self.proofs.given(number, found.recoverable)
        return Proven(
            number=number, address=address, region=self.region, signature=found.recoverable
        )

    async def _signature(self, wallet: str, digest: bytes) -> Signature:
        """The canonical signature of ``digest``, checked to be by the wallet's address."""
        crash_point("sign", "before")
        der = await self._ask(wallet, digest)
        crash_point("sign", "after")
        try:
            return signature_from_der(der, digest=digest, address=self.addresses[wallet])
        except ServiceError as error:
            raise SigningRefusedError("provider_unavailable", str(error)) from error

    async def _ask(self, wallet: str, digest: bytes) -> bytes:
        began = time.perf_counter()
        try:
            der = await self.provider.sign(wallet, digest)
        except ServiceError as error:
            raise SigningRefusedError("provider_unavailable", str(error)) from error
        self.metrics.seconds.labels(self.region).observe(time.perf_counter() - began)
        return der


def _recipients(data: bytes) -> set[str] | None:
    """Whom a call pays; None if it cannot be read, and so not be counted either."""
    try:
        return {item.to for item in payments(data)}
    except ValueError:
        return None
