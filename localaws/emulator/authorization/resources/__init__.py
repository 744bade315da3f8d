"""Which resources a request names, one module per family of services.

A resource that is not known (another service, an operation without a named resource that is not a
listing) is judged as such: see ``requested.UNKNOWN``.
"""

from __future__ import annotations

from localaws.emulator.authorization.call import ApiCall
from localaws.emulator.authorization.callers import UserKey
from localaws.emulator.authorization.resources.identities import (
    requested_identities,
    requested_roles,
)
from localaws.emulator.authorization.resources.keys import requested_keys
from localaws.emulator.authorization.resources.named import requested_named
from localaws.emulator.authorization.resources.requested import UNKNOWN, RequestedResource
from localaws.emulator.authorization.resources.topics_queues_secrets import (
    requested_queues,
    requested_secrets,
    requested_topics,
)

_FINDERS = {
    "kms": requested_keys,
    "sts": requested_roles,
    "sns": requested_topics,
    "sqs": requested_queues,
    "secretsmanager": requested_secrets,
}


def requested_resources(call: ApiCall, key: UserKey | object) -> tuple[RequestedResource, ...]:
    """Return every resource on which ``call`` must be allowed; at least one.

    ``key``: the access key that signed it.
    """
    found = (
        requested_identities(call, key)
        if call.service == "iam"
        else _FINDERS.get(call.service, requested_named)(call)
    )
    return tuple(found) or (UNKNOWN,)


__all__ = ["RequestedResource", "requested_resources"]
