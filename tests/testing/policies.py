"""A complete policy, written out, for tests whose assertions depend on its numbers.

Tests about the files under ``policies/`` read those files; every other test uses this policy, so
that a promise of the shipped venue can change without moving what a unit test asserts. Its names
and numbers are those that the production policy had on 2026-11-28.

    tree({"targets.failover_max": "9s"})        the mapping, with one value changed
    policy()                                    the validated policy
    policy(durations="1/3")                     all durations a third, as the sandbox has them
    load(folder, tree())                        written to a file and read as a user's would be
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from seawall.policy import Policy
from seawall.policy.extends import derive
from seawall.policy_file import load_policy

LITERAL = """\
policy: literal
venue: {name: harbour, unit_of_account: USD, liabilities: '84000000'}
accounts: {production: '210987654321', staging: '321098765432', sandbox: '123456789012'}
regions: {primary: us-east-1, standby: us-west-2}
assets:
  AST: {decimals: 18, reference_price: '2000', withdrawal_min: '0.0005'}
  BIR: {decimals: 18, reference_price: '500', withdrawal_min: '0.002'}
  USDX: {decimals: 6, reference_price: '1', withdrawal_min: '1'}
networks:
  aster:
    chain_id: 73311
    native: AST
    tokens: [USDX]
    block_time: 3s
    finality_depth_blocks: 2
  birch:
    chain_id: 73312
    native: BIR
    tokens: [USDX]
    block_time: 3s
    finality_depth_blocks: 2
buckets:
  customer:
    purpose: customer custodial
    owner: treasury-lead
    pays: [customers]
    reconciliation_every: 15s
  treasury:
    purpose: operational treasury
    owner: treasury-lead
    pays: []
    trades: [customers]
    reconciliation_every: 45s
  promotional:
    purpose: rewards and campaigns
    owner: support-lead
    pays: []
    reconciliation_every: 45s
  escrow:
    purpose: settlements of trades under way
    owner: wallet-ops-lead
    pays: []
    reconciliation_every: 45s
  contingency:
    purpose: contingency reserve
    owner: incident-commander
    pays: []
    reconciliation_every: 45s
wallets:
  customer-aster-hot:
    bucket: customer
    network: aster
    class: hot
    holdings:
      AST: {minimum: '21', target: '210', maximum: '420'}
      USDX: {minimum: '42000', target: '420000', maximum: '840000'}
  customer-birch-hot:
    bucket: customer
    network: birch
    class: hot
    holdings:
      BIR: {minimum: '84', target: '840', maximum: '1680'}
      USDX: {minimum: '42000', target: '420000', maximum: '840000'}
  customer-aster-reserve:
    bucket: customer
    network: aster
    class: reserve
    holdings:
      AST: {minimum: '0', target: '1260', maximum: '1680'}
      USDX: {minimum: '0', target: '2520000', maximum: '3360000'}
  customer-birch-reserve:
    bucket: customer
    network: birch
    class: reserve
    holdings:
      BIR: {minimum: '0', target: '5040', maximum: '6720'}
      USDX: {minimum: '0', target: '2520000', maximum: '3360000'}
  customer-aster-cold:
    bucket: customer
    network: aster
    class: cold
    address: '0x5EA0000000000000000000000000000000000C01'
    holdings:
      AST: {minimum: '0', target: '9030', maximum: '10500'}
      USDX: {minimum: '0', target: '18060000', maximum: '21000000'}
  customer-birch-cold:
    bucket: customer
    network: birch
    class: cold
    address: '0x5EA0000000000000000000000000000000000C02'
    holdings:
      BIR: {minimum: '0', target: '36120', maximum: '42000'}
      USDX: {minimum: '0', target: '18060000', maximum: '21000000'}
  treasury-aster-hot:
    bucket: treasury
    network: aster
    class: hot
    holdings:
      AST: {minimum: '0', target: '50', maximum: '100'}
      USDX: {minimum: '0', target: '100000', maximum: '200000'}
  treasury-birch-hot:
    bucket: treasury
    network: birch
    class: hot
    holdings:
      BIR: {minimum: '0', target: '200', maximum: '400'}
      USDX: {minimum: '0', target: '100000', maximum: '200000'}
  promotional-aster-hot:
    bucket: promotional
    network: aster
    class: hot
    holdings:
      AST: {minimum: '0', target: '5', maximum: '10'}
      USDX: {minimum: '0', target: '20000', maximum: '40000'}
  escrow-aster-hot:
    bucket: escrow
    network: aster
    class: hot
    holdings:
      AST: {minimum: '0', target: '50', maximum: '100'}
      USDX: {minimum: '0', target: '200000', maximum: '400000'}
  contingency-aster-reserve:
    bucket: contingency
    network: aster
    class: reserve
    holdings:
      AST: {minimum: '0', target: '400', maximum: '500'}
      USDX: {minimum: '0', target: '800000', maximum: '1000000'}
rails:
  aster:
    kind: network
    primary: us-east-1
    standby: us-west-2
    endpoints: {primary: 'https://aster.us-east-1.rpc.harbour.example',
      standby: 'https://aster.us-west-2.rpc.harbour.example'}
    credential_age_max: 90d
    credit_line: '0'
  birch:
    kind: network
    primary: us-east-1
    standby: us-west-2
    endpoints: {primary: 'https://birch.us-east-1.rpc.harbour.example',
      standby: 'https://birch.us-west-2.rpc.harbour.example'}
    credential_age_max: 90d
    credit_line: '0'
  exchange:
    kind: exchange
    primary: meridian
    standby: solstice
    endpoints: {primary: 'https://api.meridian.example/v2', standby: 'https://api.solstice.example'}
    credential_age_max: 90d
    credit_line: '500000'
  fiat:
    kind: processor
    primary: cordwain
    standby: tollgate
    endpoints: {primary: 'https://payments.cordwain.example/v1', standby: 'https://gateway.tollgate.example'}
    asynchronous: true
    credential_age_max: 90d
    credit_line: '0'
served:
  api: {name: api.harbour.example, zone: harbour.example, primary: api.us-east-1.harbour.example,
    standby: api.us-west-2.harbour.example, port: 443, path: /v1/status,
    check_every: 10s, failures: 3, ttl: 60s}
  rpc-aster: {name: aster.rpc.harbour.example, zone: harbour.example,
    primary: aster.us-east-1.rpc.harbour.example, standby: aster.us-west-2.rpc.harbour.example,
    port: 443, path: /health, check_every: 10s, failures: 3, ttl: 60s}
  rpc-birch: {name: birch.rpc.harbour.example, zone: harbour.example,
    primary: birch.us-east-1.rpc.harbour.example, standby: birch.us-west-2.rpc.harbour.example,
    port: 443, path: /health, check_every: 10s, failures: 3, ttl: 60s}
signing:
  operations_per_s: 1000
  shares: {customer: '0.60', treasury: '0.10', promotional: '0.05',
    escrow: '0.15', contingency: '0.05'}
  within: 1800ms
  completed_min: '0.99'
caps:
  contract: {window: 9s, of_target: '0.90'}
  signer: {window: 15s, of_target: '0.80', transactions: 100}
stress:
  length: 90s
  withdrawals: 20000
  outflow:
    aster: {AST: '600', USDX: '1200000'}
    birch: {BIR: '2400', USDX: '1200000'}
backup: {every: 1h, keep: 90d, evidence_keep: 399d}
approvals:
  expires_after: 12h
  routine:
    approvers: [treasury-lead, wallet-ops-lead, incident-commander]
    needed: 2
    cooling: 15m
    window: 24h
    value_max: '2000000'
  emergency:
    approvers: [treasury-lead, incident-commander]
    needed: 2
    cooling: 0s
    window: 24h
    value_max: '250000'
    review_within: 24h
limits: {window: 45s, small_withdrawal_value_max: '1000', withdrawal_value_max: '100000',
  large_transfer_value_min: '1000', withdrawals_max: 120}
swaps: {deviation_max: '0.10', price_age_max: 9s}
indicators:
  drawdown_velocity: {window: 15s}
  queue_age_s: {}
  queue_age_guaranteed_s: {}
  signing_failures: {window: 15s}
triggers:
- name: run-building
  indicator: drawdown_velocity
  enter_at: '0.10'
  exit_below: '0.04'
  tier: stressed
  severity: warning
  pages: [incident-commander]
  customer_impact: Withdrawals arrive ten times faster than on a calm
    day; a customer may wait for a top-up.
- name: run-on-the-bank
  indicator: drawdown_velocity
  enter_at: '0.30'
  exit_below: '0.08'
  tier: protected
  severity: critical
  pages: [incident-commander, treasury-lead, communications-owner]
  customer_impact: The hot wallets would be empty within the time
    that a refill takes; small withdrawals would stop for everyone.
- name: signing-degraded
  indicator: signing_failures
  enter_at: '2'
  exit_below: '1'
  tier: stressed
  severity: critical
  pages: [incident-commander, wallet-ops-lead]
  customer_impact: Payouts of a whole region stand still until the
    standby region signs.
- name: queue-ageing
  indicator: queue_age_guaranteed_s
  enter_at: 30s
  exit_below: 15s
  tier: stressed
  severity: warning
  pages: [wallet-ops-lead]
  customer_impact: Customers wait longer than promised for a payout
    that is guaranteed, and write to support.
- name: backlog
  indicator: queue_age_s
  enter_at: 120s
  exit_below: 15s
  tier: stressed
  severity: warning
  pages: [treasury-lead]
  customer_impact: Deferred large withdrawals are still waiting; the
    venue has not recovered.
tiers:
  normal:
    guarantees: [login, balances, withdrawals_small, withdrawals_large,
      swaps, transfers_large]
    defers: []
    suspends: []
    exit_after: 0s
    dwell_min: 0s
  stressed:
    guarantees: [login, balances, withdrawals_small, swaps]
    defers: []
    suspends: []
    exit_after: 9s
    dwell_min: 15s
  protected:
    guarantees: [login, balances, withdrawals_small]
    defers: [withdrawals_large]
    suspends: [swaps, transfers_large]
    exit_after: 9s
    dwell_min: 30s
treasury: {top_up_below: '0.60', top_up_every: 1500ms, top_up_to: maximum,
  refill_lead_time: 30s, sweep_above: '1.05', sweep_of_cap: '0.25'}
roles:
  incident-commander: {email: incident-commander@harbour.example}
  treasury-lead: {email: treasury-lead@harbour.example}
  wallet-ops-lead: {email: wallet-ops-lead@harbour.example}
  communications-owner: {email: communications-owner@harbour.example}
  support-lead: {email: support-lead@harbour.example}
monitoring: {scrape_every: 3s, evaluate_every: 3s, pending_for: 0s,
  group_wait: 0s, absent_for: 9s}
probing: {every: 3s, gap_max: 15s, answer_within: 3s, answered_min: "0.99"}
targets: {failover_max: 30s, protected_max: 3s, page_max: 15s, recovery_max: 135s,
  small_withdrawal_within: 45s, small_withdrawals_completed_min: '0.99',
  rail_failover_max: 30s, served_failover_max: 150s, emergency_stop_max: 90s,
  database_rpo_max: 0s, database_rto_max: 180s, rpo_max: 6h}
drills:
  signing-region-dark:
    title: The primary signing region goes dark in a run on the bank
    flood: {profile: bybit-2025-02, calm: 45s, length: 150s}
    faults:
    - {fault: kms-dark, target: kms.primary, after: 54s, length: 90s}
    lease_ttl: 12s
    blast_radius: [kms.primary]
    expects:
      reaches: [protected]
      targets: [failover_max, protected_max, page_max, recovery_max,
        small_withdrawals_completed_min]
    smallest: {calm: 45s, flood: 135s, offered_per_s: 200, hot_balances: '3',
      fault: 75s, payouts: 2000}
gamedays:
- name: run-with-dark-region
  schedule: cron(0 10 ? * TUE#1 *)
  drills: [signing-region-dark]
readiness:
- {drill: signing-region-dark, within: 105d, stack: sandbox}
"""


@cache
def _literal() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(LITERAL)
    return found


def tree(changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The literal policy as a mapping of its own; ``changes`` are values by dotted path."""
    found = deepcopy(_literal())
    for path, value in (changes or {}).items():
        put(found, path, value)
    return found


def policy(changes: Mapping[str, Any] | None = None, *, durations: str = "1") -> Policy:
    """The literal policy, validated section by section, its durations times one factor."""
    child = {"policy": "literal", "scale": {"durations": durations}}
    scaled, problems = derive(tree(changes), child=child, model=Policy)
    assert not problems
    return Policy.model_validate(scaled)


def write(folder: Path, tree: Mapping[str, Any], name: str = "policy.yaml") -> Path:
    """``tree`` as a policy file in ``folder``; returns its path."""
    path = folder / name
    path.write_text(yaml.dump(tree, Dumper=yaml.CSafeDumper, sort_keys=False), encoding="utf-8")
    return path


def load(folder: Path, tree: Mapping[str, Any]) -> Policy:
    """``tree`` as a user's policy is read: from a file, with every rule and every sum."""
    return load_policy(write(folder, tree))


def put(tree: Any, path: str, value: Any) -> None:
    """Set ``a.b.0.c`` in ``tree``."""
    *above, last = path.split(".")
    for part in above:
        tree = tree[int(part)] if isinstance(tree, list) else tree[part]
    if isinstance(tree, list):
        tree[int(last)] = value
    else:
        tree[last] = value
