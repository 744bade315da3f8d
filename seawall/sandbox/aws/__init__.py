"""AWS on one machine: moto with shims where the emulator is too kind.

In: ``python -m seawall.sandbox.aws --port N``. Out: one HTTP endpoint that answers for every region, which it reads from the
signature of a request. Acts: KMS signing, key states and replicas, IAM identity policies, trust policies, key policies, bucket
policies. Only stored: everything else. What differs from AWS on purpose is written at the head of each module of ``shims``.
"""
