"""Keys of one account and Region share a request quota for elliptic-curve operations, and KMS
throttles beyond it.

AWS: "Cryptographic operations (ECC) request quota", 1,000 a second by default, shared by all ECC
keys of an account and Region (KMS developer guide, "Request quotas"); beyond it the call fails with
ThrottlingException and a fixed text (same guide, "Throttling AWS KMS requests"). Here it is a token
bucket that holds one second's worth, so a burst within a second passes as it does there. moto never
throttles. There is no quota until one is set: by ``python -m localaws.emulator --kms-ecc-per-s N``,
or at run time by ``localaws.emulator.control``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.kms.responses import KmsResponse

_CURVES = "ECC_"
_NANOSECONDS = 1_000_000_000


class EccQuota:
    """The quota in force, for every account and Region alike; safe to share between threads.

    ``now_ns`` is a clock in nanoseconds that never goes back.
    """

    def __init__(self, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._now_ns = now_ns
        self._lock = threading.Lock()
        self._per_s: int | None = None
        self._left: dict[tuple[str, str], tuple[int, int]] = {}
        self._throttled = 0

    @property
    def per_s(self) -> int | None:
        """Requests a second; None: no quota."""
        return self._per_s

    @property
    def throttled(self) -> int:
        """How many requests were refused so far."""
        return self._throttled

    def set(self, per_s: int | None) -> None:
        """Change the quota; buckets are full again."""
        with self._lock:
            self._per_s = per_s
            self._left.clear()

    def take(self, account: str, region: str) -> bool:
        """Whether one more request of ``account`` in ``region`` is within the quota.

        If so it is counted.
        """
        with self._lock:
            if self._per_s is None:
                return True
            now, full = (
                self._now_ns(),
                self._per_s * _NANOSECONDS,
            )  # a nanosecond brings per_s, a request costs a billion
            left, then = self._left.get((account, region), (full, now))
            left = min(full, left + (now - then) * self._per_s)
            granted = left >= _NANOSECONDS
            self._left[account, region] = (left - _NANOSECONDS if granted else left, now)
            self._throttled += not granted
            return granted


QUOTA = EccQuota()
"""The quota of this process."""


def install() -> None:
    """Count what signs and verifies with elliptic-curve keys; refuse what is beyond the quota."""
    response: Any = KmsResponse
    for operation in ("sign", "verify"):
        setattr(response, operation, _counted(getattr(response, operation)))


def _counted(operation: Callable[[Any], str]) -> Callable[[Any], str]:
    def answer(self: Any) -> str:
        if (
            QUOTA.per_s is not None
            and _on_curve(self)
            and not QUOTA.take(self.current_account, self.region)
        ):
            message = "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls."
            raise JsonRESTError("ThrottlingException", message)
        return operation(self)

    return answer


def _on_curve(response: Any) -> bool:
    backend = response.kms_backend
    # moto has no other
    name = backend.get_key_id(backend.get_alias_name(str(response._get_param("KeyId"))))  # noqa: SLF001
    key = backend.keys.get(
        backend.get_key_id_from_alias(name) or "" if name.startswith("alias/") else name
    )
    return key is not None and str(key.key_spec).startswith(_CURVES)
