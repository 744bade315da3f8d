"""The Pulumi program: what a venue needs before the shock, derived from the policy.

In: a policy, the stack's configuration and ``generated/<policy>/``. Out: cloud resources, and the
stack's outputs, which configure the venue. Begin with ``program``.
"""
