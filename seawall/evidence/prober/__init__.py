"""The black-box prober.

The second observer of a drill, which sees the venue as a customer and the chains as anybody.

In: where things are (``deployment.json``), two customers that nobody else uses. Out: ``probes.jsonl``,
one line per sample. It talks to the venue and the nodes directly, never through the proxies that
faults act on; only the look at the key services goes through theirs, because it is the fault that
it looks for.
"""
