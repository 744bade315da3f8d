"""The ``aws`` package of Pulumi for the sandbox.

Attached to the real engine, on boto3, against the sandbox's AWS.

On real AWS the official plugin serves the same program; nothing here is used there. What the table
of ``registry`` does not list is refused.
"""

from sandbox.stack_environment import environment

__all__ = ["environment"]
