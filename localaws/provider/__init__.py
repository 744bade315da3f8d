"""The ``aws`` package of Pulumi for the sandbox: a resource provider on boto3.

The real Pulumi engine attaches to it with ``PULUMI_DEBUG_PROVIDERS``, and it calls the emulated
AWS. On real AWS the official plugin serves the same program and nothing here is used. A resource
type that the table of ``registry`` does not list is refused.
"""
