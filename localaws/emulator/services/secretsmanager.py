"""Secrets Manager: a description can be emptied, and a replica has the key that was named for it.

AWS, `UpdateSecret` and `ReplicateSecretToRegions`
(https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecret.html,
API_ReplicationStatusType.html): ``KmsKeyId`` of a replica can be any key of its Region. moto keeps
an old description when the new one is empty, and says of every replica that AWS's own key encrypts
it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.secretsmanager.models import FakeSecret, SecretsManagerBackend


def install() -> None:
    """Correct both."""
    backend: Any = SecretsManagerBackend
    secret: Any = FakeSecret
    backend.update_secret = _emptying(backend.update_secret)
    secret.create_replicas = _with_keys(secret.create_replicas)


def _emptying(original: Callable[..., str]) -> Callable[..., str]:
    def update(self: Any, secret_id: str, **given: Any) -> str:
        answer = original(self, secret_id, **given)
        if given.get("description") == "":
            self.secrets[secret_id].description = ""
        return answer

    return update


def _with_keys(original: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    def create(self: Any, replica_regions: list[dict[str, str]], **given: Any) -> list[Any]:
        replicas = original(self, replica_regions, **given)
        keys = {asked["Region"]: asked.get("KmsKeyId") for asked in replica_regions or []}
        for replica in replicas:
            if keys.get(replica.region):
                replica.config["KmsKeyId"] = keys[replica.region]
        return replicas

    return create
