"""Which resources a request names: one module per family of services, each ending in the same list of :class:`Asked`.

What is not known (another service, an operation without a named resource that is not a listing) is judged as such: see ``asked``.
"""

from __future__ import annotations

from seawall.sandbox.aws.shims.iam.call import ApiCall
from seawall.sandbox.aws.shims.iam.callers import UserKey
from seawall.sandbox.aws.shims.iam.resources.asked import UNKNOWN, Asked
from seawall.sandbox.aws.shims.iam.resources.identities import identities_asked, roles_asked
from seawall.sandbox.aws.shims.iam.resources.keys import keys_asked
from seawall.sandbox.aws.shims.iam.resources.messages import queues_asked, secrets_asked, topics_asked
from seawall.sandbox.aws.shims.iam.resources.named import named_asked

_FINDERS = {
    "kms": keys_asked,
    "sts": roles_asked,
    "sns": topics_asked,
    "sqs": queues_asked,
    "secretsmanager": secrets_asked,
}


def resources_asked(call: ApiCall, key: UserKey | object) -> tuple[Asked, ...]:
    """All that must be allowed for ``call``, by the owner of ``key``; at least one."""
    found = identities_asked(call, key) if call.service == "iam" else _FINDERS.get(call.service, named_asked)(call)
    return tuple(found) or (UNKNOWN,)


__all__ = ["Asked", "resources_asked"]
