"""Which resources a request names.

One module per family of services, each ending in the same list of :class:`Asked`.

What is not known (another service, an operation without a named resource that is not a listing) is
judged as such: see ``asked``.
"""

from __future__ import annotations

from localaws.emulator.authorization.call import ApiCall
from localaws.emulator.authorization.callers import UserKey
from localaws.emulator.authorization.resources.asked import UNKNOWN, Asked
from localaws.emulator.authorization.resources.identities import identities_asked, roles_asked
from localaws.emulator.authorization.resources.keys import keys_asked
from localaws.emulator.authorization.resources.messages import (
    queues_asked,
    secrets_asked,
    topics_asked,
)
from localaws.emulator.authorization.resources.named import named_asked

_FINDERS = {
    "kms": keys_asked,
    "sts": roles_asked,
    "sns": topics_asked,
    "sqs": queues_asked,
    "secretsmanager": secrets_asked,
}


def resources_asked(call: ApiCall, key: UserKey | object) -> tuple[Asked, ...]:
    """All that must be allowed for ``call``, by the owner of ``key``; at least one."""
    found = (
        identities_asked(call, key)
        if call.service == "iam"
        else _FINDERS.get(call.service, named_asked)(call)
    )
    return tuple(found) or (UNKNOWN,)


__all__ = ["Asked", "resources_asked"]
