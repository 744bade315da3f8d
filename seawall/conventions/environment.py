"""Environment variables that two programs of the kit share."""

from __future__ import annotations

RUN_ID_VARIABLE = "SEAWALL_RUN_ID"
"""Every process of a sandbox carries it; teardown finds strays by it."""
DATABASE_VARIABLE = "SEAWALL_DATABASE_URL"
"""PostgreSQL URL of a venue process's own role, or of the owner for genesis.

No process gets the URL of another role.
"""
SIGN_LOG_VARIABLE = "SEAWALL_SIGN_LOG_URL"
"""PostgreSQL URL of the signers' own database, with the process's role there.

For signers, and of its owner for who founds it or brings a restored ledger to what was signed.
"""
SIGNER_CREDENTIAL_VARIABLE = "SEAWALL_SIGNER_CREDENTIAL"
"""What a process shows the signers, which know each of their callers by its own."""
RAIL_CREDENTIALS_VARIABLE = "SEAWALL_RAIL_CREDENTIALS"
"""What the process that pays over rails shows their providers: JSON, by rail and side."""
CUSTODY_CREDENTIAL_VARIABLE = "SEAWALL_CUSTODY_CREDENTIAL"
"""What the treasury shows the custodian of the cold wallets."""
CARRIER_CREDENTIAL_VARIABLE = "SEAWALL_CARRIER_CREDENTIAL"
"""What the treasury shows the carrier between networks."""
SABOTAGE_VARIABLE = "SEAWALL_SABOTAGE"
"""Names the controls that are switched off; read by those controls alone."""
DEPLOYMENT_VARIABLE = "SEAWALL_DEPLOYMENT"
"""Path of the deployment file, which describes the running stack."""
POLICY_VARIABLE = "SEAWALL_POLICY"
"""Path of the policy file in force."""
RUNNER_VARIABLE = "SEAWALL_RUNNER_PID"
"""Process whose death ends lease renewal, flood and prober; unset if a person starts them."""
T_ZERO_VARIABLE = "SEAWALL_T_ZERO"
"""Unix time of the first planned arrival of a game day's calm.

Unset under a plain `chaos run`, which acts at once.
"""
NOOP_VARIABLE = "SEAWALL_NOOP"
"""Set to anything, an experiment applies no fault and does all else: its own control."""
FAULTS_VARIABLE = "SEAWALL_FAULTS"
"""Folders with faults of one's own, besides the kit's, separated as PATH is."""
CHANGE_JOURNAL_VARIABLE = "SEAWALL_CHANGE_JOURNAL"
"""Path of the journal that `seawall review` writes overrides to; a sandbox has its own."""
INCIDENT_VARIABLE = "SEAWALL_INCIDENT"
"""Path of the file that exists while an incident is open: JSON with at least `summary`.

A sandbox has its own.
"""
INCIDENT_FILE = "incident.json"
"""Name of that marker in a sandbox's data directory."""
GENERATED_VARIABLE = "SEAWALL_GENERATED"
"""Folder with what was rendered from the policy in force; generated/<policy> if unset."""
KILL_SWITCH_VARIABLE = "SEAWALL_KILL_SWITCH"
"""A further kill switch that a runner obeys, as JSON like that of deployment.json.

It is the switch of the stack that scheduled the run.
"""
