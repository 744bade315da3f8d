"""Faults, probes and experiments for Chaos Toolkit.

In: the policy (``SEAWALL_POLICY``) and the deployment file (``SEAWALL_DEPLOYMENT``). Out: a
journal, and the facts of each fault in the run's timeline. Experiments are rendered from the drills
of the policy. By hand one is run with ``chaos run generated/<policy>/experiments/<drill>.json``;
``python -m chaos.run`` runs one in a game day.
"""
