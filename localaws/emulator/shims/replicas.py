"""A replica key shares its primary's id and key material and nothing else.

AWS, `ReplicateKey`: policy, description, tags, aliases and grants are the replica's own; a key that
is not multi-Region is refused, as is a second replica in a region
(https://docs.aws.amazon.com/kms/latest/APIReference/API_ReplicateKey.html). moto ignores the
arguments, takes no ARN, and lets both keys share one set of aliases, so that the second alias of a
name already exists.
"""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.core.utils import unix_time
from moto.kms.models import kms_backends
from moto.kms.responses import KmsResponse


def install() -> None:
    """Replace `ReplicateKey`."""
    response: Any = KmsResponse
    response.replicate_key = _replicate_key


def _replicate_key(self: Any) -> str:
    given, region = self._get_param("KeyId"), self._get_param("ReplicaRegion")
    self._validate_cmk_id(given)
    key_id = self.kms_backend.get_key_id(given)
    key = self.kms_backend.keys[key_id]
    if not key.multi_region:
        raise JsonRESTError(
            "UnsupportedOperationException", f"{key.arn} is not a multi-Region key."
        )
    there = kms_backends[self.current_account][region]
    if key_id in there.keys:
        raise JsonRESTError("AlreadyExistsException", f"A key {key_id} already exists in {region}.")

    replica = self.kms_backend.replicate_key(key_id, region)
    replica.policy = self._get_param("Policy") or replica.generate_default_policy()
    replica.description = self._get_param("Description") or ""
    replica.creation_date = unix_time()
    replica.aliases, replica.grants, replica.rotations = {}, {}, []
    replica.multi_region_configuration = deepcopy(key.multi_region_configuration)
    replica.multi_region_configuration["MultiRegionKeyType"] = "REPLICA"
    tags = self._get_param("Tags") or []
    if tags:
        there.tagger.tag_resource(key_id, tags)
    return json.dumps(
        {
            "ReplicaKeyMetadata": replica.to_dict()["KeyMetadata"],
            "ReplicaPolicy": replica.policy,
            "ReplicaTags": tags,
        }
    )
