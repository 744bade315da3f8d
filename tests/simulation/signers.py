"""The simulated key provider, and the real signing service behind a simulated wire.

Keys are real and each signature has a random k, as KMS's have: to sign once more gives other bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

import coincurve
import httpx
from coincurve import PrivateKey
from pydantic import ValidationError

from seawall.errors import ServiceError
from tests.simulation.loop import nap
from tests.simulation.nodes import Answer
from tests.simulation.processes import KilledError, Supervisor, pass_through, running
from tests.simulation.trace import Trace
from venue.signer.protocol import Refused, SigningRefusedError, SignRequest
from venue.signer.service import SigningService

_ffi: Any = vars(coincurve.keys)["ffi"]
_TIMEOUT_S = 0.25
_STATUS_REFUSED = 503


@dataclass(kw_only=True)
class KeyProvider:
    """The keys of one region, by wallet."""

    region: str
    secrets: Mapping[str, bytes]
    random: Random
    trace: Trace
    dark: bool = False
    slow: float = 0.0

    async def sign(self, wallet: str, digest: bytes) -> bytes:
        """A signature in DER. Raises :class:`ServiceError`."""
        await pass_through()
        await nap(0.002 + 0.01 * self.random.random())
        await pass_through()
        if self.dark:
            self.trace.reach("fault: key provider dark")
            await nap(_TIMEOUT_S)
            raise ServiceError("the key provider does not answer")
        if self.slow and self.random.random() < self.slow:
            self.trace.reach("fault: key provider slow")
            await nap(0.9 * self.random.random())
            await pass_through()
        entropy = _ffi.new("unsigned char[32]", self.random.randbytes(32))
        key = PrivateKey(self.secrets[wallet])
        return key.sign(digest, hasher=None, custom_nonce=(_ffi.NULL, entropy))


@dataclass(kw_only=True)
class SimulatedSigner:
    """The signer process of one region: the service, for as long as its process lives."""

    service: SigningService
    supervisor: Supervisor


@dataclass(kw_only=True)
class Signers:
    """Posts to the signers, as httpx does, by the URL of their region.

    A request that its caller gave up goes on at the signer.
    """

    signers: dict[str, SimulatedSigner]
    draw: Callable[[], float]
    lost: float = 0.0
    trace: Trace
    _running: dict[Any, None] = field(default_factory=dict)

    async def post(self, url: str, *, content: str = "") -> SignerAnswer:
        """Ask for a signature, or for a probe."""
        base, _, what = url.rpartition("/")
        signer = self.signers[base]
        await self._way()
        life = signer.supervisor.life
        if life is None or life.dead:
            raise httpx.ConnectError("nobody listens")
        token = running.set(life)
        try:
            task = asyncio.ensure_future(self._serve(signer.service, what, content))
        finally:
            running.reset(token)
        await asyncio.wait([task])
        if task.cancelled() or isinstance(task.exception(), KilledError):
            raise httpx.ReadError("the signer died")
        await self._way()
        return task.result()

    async def _way(self) -> None:
        await pass_through()
        await nap(0.001 + 0.002 * self.draw())
        await pass_through()
        if self.lost and self.draw() < self.lost:
            self.trace.reach("fault: message with a signer lost")
            raise httpx.ReadError("the connection was lost")

    async def _serve(self, service: SigningService, what: str, content: str) -> SignerAnswer:
        """As venue/signer/app.py, without HTTP."""
        try:
            if what == "probe":
                await service.probe()
                return SignerAnswer(status_code=200, content=b"{}")
            signed = await service.sign(SignRequest.model_validate_json(content))
            return SignerAnswer(status_code=200, content=signed.model_dump_json().encode())
        except ValidationError as error:
            refused = Refused(code="bad_request", reason=str(error))
        except SigningRefusedError as error:
            refused = Refused(code=error.code, reason=error.reason)
        self.trace.reach(f"signer: {refused.code}")
        return SignerAnswer(status_code=_STATUS_REFUSED, content=refused.model_dump_json().encode())


@dataclass(frozen=True, kw_only=True)
class SignerAnswer(Answer):
    """An answer as httpx has it."""

    @property
    def is_success(self) -> bool:
        """Whether the status says so."""
        return self.status_code < _STATUS_REFUSED
