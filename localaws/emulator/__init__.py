"""AWS on one machine: moto with shims where the emulator is too kind.

In: ``python -m localaws.emulator --port N``. Out: one HTTP endpoint that answers for every region,
which it reads from the signature of a request. Acts: KMS signing, key states, replicas and quota;
policies of all kinds; object lock and replication; key management as events, rules of EventBridge,
alarms of CloudWatch, delivery by SNS to queues and endpoints. Only stored: everything else. What
differs from AWS on purpose is written at the head of each module of ``shims``.
"""
