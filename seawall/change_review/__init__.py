"""Change review: the judgement of a planned infrastructure change, before it is applied.

The command is `seawall review`; `seawall drift` compares the stack with the cloud.

What enters: a preview of the Pulumi engine, the policy, the venue's state, perhaps an override.
What leaves: allowed, refused or unknown, with the money behind each refusal. The venue's mode
controller is something else: it writes the mode row.

    preview ──> rules ──> findings ──> exposure ──> judgement ──> journal ──> view
                               freeze ──┘   override ──┘

All modules are pure but five: ``engine`` runs `pulumi`, ``drift`` reads its refresh and S3,
``sources`` asks endpoints, ``journal`` writes a file, ``run`` puts it together.
"""
