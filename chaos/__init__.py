"""Faults, probes and experiments for Chaos Toolkit.

In: the policy (``SEAWALL_POLICY``) and the deployment file (``SEAWALL_DEPLOYMENT``). Out: a journal,
and the facts of each fault in the run's timeline. ``chaos run chaos/experiments/<name>.json`` runs
one by hand; ``python -m chaos.run`` runs one in a game day.
"""
