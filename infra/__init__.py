"""What a venue needs before the shock, as a Pulumi program.

One component per idea, all of it derived from the policy.

In: a policy, the stack's configuration. Out: cloud resources and the stack's outputs, which
configure the venue.
"""
