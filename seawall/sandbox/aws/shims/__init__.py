"""Where moto is too kind, one module per kindness; each cites what AWS does instead.

| module | what it puts right |
|---|---|
| ``digests`` | ``MessageType=DIGEST`` signs the digest itself |
| ``key_state`` | a key that is disabled or about to be deleted does not sign |
| ``replicas`` | a replica key has its own policy, description, tags and aliases |
| ``enforcement`` | policies decide, bound to the resource asked for |
"""

from functools import cache

from seawall.sandbox.aws.shims import digests, enforcement, key_state, replicas


@cache
def install() -> None:
    """Put every shim in place, for this process and for good; a second call does nothing."""
    digests.install()
    key_state.install()
    replicas.install()
    enforcement.install()


__all__ = ["install"]
