"""The judgement of a planned change to the infrastructure, before anybody applies it.

`seawall review`.

In: a preview of the engine, the policy, what is known of the venue's state, perhaps an override.
Out: allowed, refused or unknown, with what stands behind each refusal in money. It has nothing to
do with the venue's own guard, which writes the mode row.

    preview ──> rules ──> findings ──> exposures ──> judgement ──> journal ──> view
                               freeze ──┘   override ──┘

Everything but ``sources`` (endpoints), ``journal`` (a file) and ``run`` (which puts it together) is
pure.
"""
