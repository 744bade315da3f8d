"""A multi-Region key has one primary, which UpdatePrimaryRegion makes another.

Key ids may be ARNs where moto forgot it.

AWS, `UpdatePrimaryRegion`: called in the primary's Region; the replica in the Region named becomes
the primary, the old primary a replica; key material, policy and address stay
(https://docs.aws.amazon.com/kms/latest/APIReference/API_UpdatePrimaryRegion.html). A key that is no
multi-Region primary is refused with UnsupportedOperationException, a Region without a replica with
NotFoundException, a key about to be deleted with KMSInvalidStateException. moto has no such
operation, and fails on an ARN in DisableKey and its like.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.kms.models import Key, KmsBackend, kms_backends
from moto.kms.responses import KmsResponse

_TAKE_ARNS = ("disable_key", "enable_key", "schedule_key_deletion", "cancel_key_deletion")


def install() -> None:
    """Add `UpdatePrimaryRegion`; let the operations on key states take ARNs."""
    response: Any = KmsResponse
    response.update_primary_region = _update_primary_region
    backend: Any = KmsBackend
    for name in _TAKE_ARNS:
        setattr(backend, name, _with_key_id(getattr(backend, name)))


def _with_key_id(operation: Callable[..., Any]) -> Callable[..., Any]:
    def call(self: Any, key_id: str, *rest: Any, **more: Any) -> Any:
        return operation(self, self.get_key_id(key_id), *rest, **more)

    return call


def _update_primary_region(self: Any) -> str:
    given, region = self._get_param("KeyId"), self._get_param("PrimaryRegion")
    self._validate_cmk_id(given)
    key_id = self.kms_backend.get_key_id(given)
    key = self.kms_backend.keys[key_id]
    if not key.multi_region or key.multi_region_configuration["MultiRegionKeyType"] != "PRIMARY":
        raise JsonRESTError(
            "UnsupportedOperationException", f"{key.arn} is not a multi-Region primary key."
        )
    if region == self.region:
        raise JsonRESTError(
            "UnsupportedOperationException", f"{region} is the primary Region already."
        )
    new = kms_backends[self.current_account][region].keys.get(key_id)
    if new is None:
        raise JsonRESTError("NotFoundException", f"There is no replica of {key.arn} in {region}.")
    for each in (key, new):
        if each.key_state not in ("Enabled", "Disabled"):
            raise JsonRESTError("KMSInvalidStateException", f"{each.arn} is {each.key_state}.")
    _rearranged(_related(self.current_account, key_id), primary=new)
    return ""


def _related(account: str, key_id: str) -> list[Key]:
    backends = kms_backends[account].values()
    return [backend.keys[key_id] for backend in list(backends) if key_id in backend.keys]


def _rearranged(keys: list[Key], *, primary: Key) -> None:
    replicas = [{"Arn": key.arn, "Region": key.region} for key in keys if key is not primary]
    for key in keys:
        key.multi_region_configuration = {
            "MultiRegionKeyType": "PRIMARY" if key is primary else "REPLICA",
            "PrimaryKey": {"Arn": primary.arn, "Region": primary.region},
            "ReplicaKeys": replicas,
        }
