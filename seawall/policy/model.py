"""What a policy may say: one frozen pydantic model per section of the file."""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from seawall.policy.custody import Custody
from seawall.policy.drilling import Drill, GameDay, Probing, RequiredDrill, StopCondition
from seawall.policy.marketplace import Marketplace
from seawall.policy.quantities import (
    FROM_DUMP,
    MICRO,
    Amount,
    Count,
    DurationMs,
    Flag,
    Level,
    Ratio,
    to_base_units,
)
from seawall.policy.rebalancing import PriceBounds, Rebalancing
from seawall.policy.sections import Name, Section, Tier, Url

Function = Literal[
    "login",
    "balances",
    "withdrawals_small",
    "withdrawals_large",
    "swaps",
    "transfers_large",
    "market_browsing",
    "market_bids",
    "market_settlements",
    "market_settlements_trusted",
]
IndicatorName = Literal[
    "drawdown_velocity", "queue_age_s", "queue_age_guaranteed_s", "signing_failures"
]
Severity = Literal["info", "warning", "critical"]
WalletClass = Literal["hot", "reserve", "cold"]
AccountId = Annotated[str, Field(pattern=r"^[0-9]{12}$")]
Host = Annotated[str, Field(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$")]
RailKind = Literal["network", "exchange", "processor"]


class Venue(Section):
    """Whose policy it is, and what customers are owed over all assets."""

    name: Name
    unit_of_account: str
    liabilities: Amount


class Regions(Section):
    """The two signing regions."""

    primary: str
    standby: str


class Asset(Section):
    """A kind of money; ``reference_price`` is units of account for one whole unit.

    ``withdrawal_min`` is the smallest withdrawal in whole units: what a payout costs does not
    depend on what it carries.
    """

    decimals: Count = Field(ge=0, le=36)
    reference_price: Amount
    withdrawal_min: Amount


class Network(Section):
    """A chain; a block is final once ``finality_depth_blocks`` lie on top of it."""

    chain_id: Count = Field(gt=0)
    native: Name
    tokens: tuple[Name, ...]
    block_time: DurationMs = Field(gt=0)
    finality_depth_blocks: Count = Field(ge=0)

    @property
    def assets(self) -> tuple[str, ...]:
        """Native coin first, then the tokens."""
        return (self.native, *self.tokens)


class Bucket(Section):
    """Funds with one purpose and one owner; ``trades`` says for whom it holds swap inventory."""

    purpose: str
    owner: Name
    pays: tuple[Literal["customers"], ...]
    trades: tuple[Literal["customers"], ...] = ()
    reconciliation_every: DurationMs = Field(gt=0)


class Holding(Section):
    """Bounds of one asset in one wallet, in whole units."""

    minimum: Amount
    target: Amount
    maximum: Amount


class Wallet(Section):
    """(bucket, network, class); cold wallets have an address and no key here."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    bucket: Name
    network: Name
    wallet_class: WalletClass = Field(alias="class")
    address: str | None = Field(default=None, pattern=r"^0x[0-9a-fA-F]{40}$")
    holdings: dict[Name, Holding]


class Endpoints(Section):
    """Where the two sides of a rail are reached."""

    primary: Url
    standby: Url


class Rail(Section):
    """A way to pay, with a primary and a standby.

    The two are signing regions for a network, and providers for an exchange or processor.

    ``asynchronous``: the answer to an instruction comes later, so both wait in queues.
    ``credential_age_max``: the greatest age of the provider's credentials. ``credit_line``: value
    that the provider advances, in the unit of account.

    ``funding``: what the venue keeps at each of the two providers, in whole units by asset; these
    assets it pays over them. ``payout_value_max``: the largest payout that they take, in the unit
    of account. ``settles_within``: what was accepted is settled or returned by then, bank holidays
    included.
    """

    kind: RailKind
    primary: str
    standby: str
    endpoints: Endpoints
    asynchronous: Flag = False
    credential_age_max: DurationMs = Field(gt=0)
    credit_line: Amount
    funding: dict[Name, Amount] = Field(default_factory=dict)
    payout_value_max: Amount = Decimal(0)
    settles_within: DurationMs = Field(default=0, ge=0)

    @property
    def pays(self) -> bool:
        """Whether withdrawals are paid over its providers."""
        return bool(self.funding)


class ServedName(Section):
    """A DNS name that we serve: a health check moves it from its primary to its standby target.

    ``check_every`` is one of the two intervals of Route 53 (API reference, HealthCheckConfig,
    RequestInterval), so no factor scales it.
    """

    name: Host
    zone: Host
    primary: Host
    standby: Host
    port: Count = Field(gt=0, lt=65_536)
    path: Annotated[str, Field(pattern=r"^/")]
    check_every: Literal["10s", "30s"]
    failures: Count = Field(ge=1, le=10)
    ttl: DurationMs = Field(gt=0)


class Signing(Section):
    """The signing quota of an account and region, and each bucket's share of it.

    ``operations_per_s`` counts elliptic-curve operations over all keys. A bucket that keeps to its
    share gets ``completed_min`` of its signatures ``within`` that time, whatever others ask for.
    """

    operations_per_s: Count = Field(gt=0)
    shares: dict[Name, Ratio]
    within: DurationMs = Field(gt=0)
    completed_min: Ratio


class ContractCap(Section):
    """What a wallet's contract pays in one window at most: a share of the wallet's target.

    Windows begin at fixed times, one after the other.
    """

    window: DurationMs = Field(gt=0)
    of_target: Ratio


class SignerCap(ContractCap):
    """What a signer signs away of a wallet within any window: the share, and ``transactions``.

    Its window slides: it is the time before each signature.
    """

    transactions: Count = Field(gt=0)


class Caps(Section):
    """What leaves a wallet in one window at most, even if everything else is wrong."""

    contract: ContractCap
    signer: SignerCap


class Stress(Section):
    """One declared cycle of stress: what customers may withdraw while no person acts.

    ``outflow`` is by network and asset, in whole units. ``withdrawals`` is the number of requests
    that it divides into; no factor scales it, because it counts people.
    """

    length: DurationMs = Field(gt=0)
    withdrawals: Count = Field(gt=0)
    outflow: dict[Name, dict[Name, Amount]]


class Backup(Section):
    """How often the ledger's database is backed up; how long backups and evidence are kept."""

    every: DurationMs = Field(gt=0)
    keep: DurationMs = Field(gt=0)
    evidence_keep: DurationMs = Field(gt=0)


class ApprovalLane(Section):
    """How what leaves a reserve is approved: ``needed`` of ``approvers``, then a cooling delay.

    ``value_max`` caps what a reserve moves of one asset within ``window``, in the unit of account.
    """

    approvers: tuple[Name, ...]
    needed: Count = Field(gt=0)
    cooling: DurationMs
    window: DurationMs = Field(gt=0)
    value_max: Amount


class EmergencyLane(ApprovalLane):
    """The fast lane: tighter cap, shorter delay, and a deadline for the review that follows."""

    review_within: DurationMs = Field(gt=0)


class Approvals(Section):
    """The two lanes; an approval is good for nothing ``expires_after`` it was asked for."""

    expires_after: DurationMs = Field(gt=0)
    routine: ApprovalLane
    emergency: EmergencyLane


class Limits(Section):
    """Bounds of one customer, over all withdrawals that it asks for within ``window``.

    Values are in the unit of account. No factor scales ``withdrawals_max``, because it counts what
    people do.
    """

    window: DurationMs = Field(gt=0)
    small_withdrawal_value_max: Amount
    withdrawal_value_max: Amount
    large_transfer_value_min: Amount
    withdrawals_max: Count = Field(gt=0)


class IndicatorSettings(Section):
    """How an indicator is computed; ``window`` slides over the commit times of rows."""

    window: DurationMs | None = Field(default=None, gt=0)


class Trigger(Section):
    """When an indicator forces a tier, who is paged, and what customers experience."""

    name: Name
    indicator: IndicatorName
    enter_at: Level
    exit_below: Level
    tier: Literal["stressed", "protected"]
    severity: Severity
    pages: tuple[Name, ...]
    customer_impact: str


class TierPromise(Section):
    """What a tier guarantees, defers (accepts, pays later) and suspends (refuses with a reason)."""

    guarantees: tuple[Function, ...]
    defers: tuple[Function, ...]
    suspends: tuple[Function, ...]
    exit_after: DurationMs
    dwell_min: DurationMs


class Tiers(Section):
    """One promise per tier."""

    normal: TierPromise
    stressed: TierPromise
    protected: TierPromise

    def promise(self, tier: Tier) -> TierPromise:
        """The promise of ``tier``."""
        return {"normal": self.normal, "stressed": self.stressed, "protected": self.protected}[tier]


class Gas(Section):
    """What the keys of a network's lanes have for their transactions, in whole coins.

    A key with less than ``minimum`` gets what it lacks to ``target``, and in one ``window`` no more
    than ``cap``. Windows begin at fixed times, one after the other.
    """

    minimum: Amount
    target: Amount
    window: DurationMs = Field(gt=0)
    cap: Amount


class Treasury(Section):
    """When and how far hot wallets are refilled from their reserve, and give back to it.

    A hot wallet gives back what it holds above its maximum once that is above ``sweep_above`` of
    the maximum, and at a time no more than ``sweep_of_cap`` of the signer's cap of one window.
    ``gas`` is by network.
    """

    top_up_below: Ratio
    top_up_every: DurationMs = Field(gt=0)
    top_up_to: Literal["target", "maximum"]
    refill_lead_time: DurationMs
    sweep_above: Ratio
    sweep_of_cap: Ratio
    gas: dict[Name, Gas] = Field(default_factory=dict)


class Role(Section):
    """A role of a person in an incident."""

    email: str


class Monitoring(Section):
    """How often metrics are scraped and alerts evaluated, and how long alerts wait."""

    scrape_every: DurationMs = Field(gt=0)
    evaluate_every: DurationMs = Field(gt=0)
    pending_for: DurationMs
    group_wait: DurationMs
    absent_for: DurationMs = Field(gt=0)


class Targets(Section):
    """The gates; one miss is FAIL.

    ``database_rpo_max``: what was acknowledged no longer before the loss of the database than this
    may be lost with it; with zero, nothing at all. ``database_rto_max``: from the loss until
    withdrawals are acknowledged and paid again. ``rpo_max`` is of a ledger lost with its region.
    ``rail_failover_max``: from a rail's primary provider gone dark to a withdrawal that its standby
    has accepted.
    """

    failover_max: DurationMs
    protected_max: DurationMs
    page_max: DurationMs
    recovery_max: DurationMs
    small_withdrawal_within: DurationMs
    small_withdrawals_completed_min: Ratio
    served_failover_max: DurationMs
    rail_failover_max: DurationMs
    emergency_stop_max: DurationMs
    database_rpo_max: DurationMs
    database_rto_max: DurationMs
    rpo_max: DurationMs


class Scale(Section):
    """By which factors a derived policy differs from the one that it extends."""

    amounts: Ratio = Fraction(1)
    durations: Ratio = Fraction(1)


_OF_DRILLS = {"probing", "drills", "gamedays", "stop_conditions", "readiness"}
"""What only drills read."""


class Policy(Section):
    """Everything that must hold, from one file."""

    policy: Name
    extends: str | None = None
    scale: Scale = Scale()
    addresses: dict[Name, str] = Field(default_factory=dict)
    venue: Venue
    accounts: dict[Name, AccountId]
    regions: Regions
    assets: dict[Name, Asset]
    networks: dict[Name, Network]
    buckets: dict[Name, Bucket]
    wallets: dict[Name, Wallet]
    rails: dict[Name, Rail]
    served: dict[Name, ServedName]
    signing: Signing
    caps: Caps
    stress: Stress
    backup: Backup
    approvals: Approvals
    custody: Custody | None = None
    rebalancing: Rebalancing | None = None
    limits: Limits
    swaps: PriceBounds
    marketplace: Marketplace | None = None
    indicators: dict[IndicatorName, IndicatorSettings]
    triggers: tuple[Trigger, ...]
    tiers: Tiers
    treasury: Treasury
    roles: dict[Name, Role]
    monitoring: Monitoring
    probing: Probing
    targets: Targets
    drills: dict[Name, Drill]
    gamedays: tuple[GameDay, ...]
    stop_conditions: dict[Name, StopCondition] = Field(default_factory=dict)
    readiness: tuple[RequiredDrill, ...]

    @property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON of the policy: the identity that evidence names."""
        return _digest(self.model_dump(mode="json", by_alias=True))

    @property
    def infrastructure_digest(self) -> str:
        """As :attr:`digest`, without what only drills read: the identity that resources carry.

        Editing a drill therefore changes no resource. A schedule names its game day in its own
        inputs.
        """
        return _digest(self.model_dump(mode="json", by_alias=True, exclude=_OF_DRILLS))

    @classmethod
    def from_dump(cls, tree: Any) -> Policy:
        """The policy that ``model_dump(mode="json")`` wrote, where durations are integers.

        Raises:
            ValidationError: ``tree`` is no such dump.
        """
        return cls.model_validate(tree, context=FROM_DUMP)

    def base_units(self, asset: str, amount: Amount) -> int:
        """``amount`` whole units of ``asset`` as integer base units."""
        return to_base_units(amount, decimals=self.assets[asset].decimals)

    def withdrawal_min(self, asset: str) -> int:
        """The smallest withdrawal of ``asset``, in base units."""
        return self.base_units(asset, self.assets[asset].withdrawal_min)

    def value_micro(self, asset: str, base_units: int) -> int:
        """Value of ``base_units`` of ``asset`` at its reference price, rounded towards zero.

        In millionths of the unit of account.
        """
        declared = self.assets[asset]
        price, per_price = declared.reference_price.as_integer_ratio()
        # Whole numbers: floods ask for this 70,000 times, and fractions are ten times slower.
        per_unit: int = per_price * 10**declared.decimals
        value = abs(base_units) * price * MICRO // per_unit
        return value if base_units >= 0 else -value

    def paying_rails(self) -> dict[str, Rail]:
        """Rails over whose providers withdrawals are paid, by name."""
        return {name: rail for name, rail in self.rails.items() if rail.pays}

    def small_value_micro_max(self) -> int:
        """Largest value of a small withdrawal, in millionths of the unit of account."""
        return int(self.limits.small_withdrawal_value_max * MICRO)

    def hot_target_value_micro(self) -> int:
        """Summed target of all customer hot wallets, in millionths of the unit of account.

        Drawdown velocity is measured against it.
        """
        return sum(
            self.value_micro(asset, self.base_units(asset, holding.target))
            for wallet in self.payout_wallets().values()
            for asset, holding in wallet.holdings.items()
        )

    def payout_wallets(self) -> dict[str, Wallet]:
        """Hot wallets of buckets that pay customers, by name."""
        return {
            name: wallet
            for name, wallet in self.wallets.items()
            if wallet.wallet_class == "hot" and "customers" in self.buckets[wallet.bucket].pays
        }

    def signing_wallets(self) -> dict[str, Wallet]:
        """Wallets with a key in this stack (hot and reserve), by name."""
        return {
            name: wallet for name, wallet in self.wallets.items() if wallet.wallet_class != "cold"
        }

    def signing_buckets(self) -> tuple[str, ...]:
        """Buckets with a key in this stack, in alphabetical order."""
        return tuple(sorted({wallet.bucket for wallet in self.signing_wallets().values()}))

    def house_of(self, network: str) -> str | None:
        """Name of the bucket whose hot inventory on ``network`` customers trade with, or None."""
        for wallet in self.wallets.values():
            if (wallet.network, wallet.wallet_class) == (network, "hot") and self.buckets[
                wallet.bucket
            ].trades:
                return wallet.bucket
        return None

    def reserve_of(self, hot: str) -> str:
        """Name of the reserve wallet that refills ``hot``. Raises KeyError if none is declared."""
        wanted = self.wallets[hot]
        for name, wallet in self.wallets.items():
            if wallet.wallet_class == "reserve" and (wallet.bucket, wallet.network) == (
                wanted.bucket,
                wanted.network,
            ):
                return name
        raise KeyError(hot)

    def cold_of(self, reserve: str) -> str | None:
        """Name of the cold wallet that feeds ``reserve``, or None if none does."""
        kept = self.wallets[reserve]
        for name, wallet in self.wallets.items():
            place = (wallet.wallet_class, wallet.bucket, wallet.network)
            if place == ("cold", kept.bucket, kept.network):
                return name
        return None

    def refilled_by(self, reserve: str) -> str | None:
        """Name of the hot wallet that ``reserve`` refills, or None if it refills none."""
        kept = self.wallets[reserve]
        for name, wallet in self.payout_wallets().items():
            if (wallet.bucket, wallet.network) == (kept.bucket, kept.network):
                return name
        return None

    def approver_roles(self) -> tuple[str, ...]:
        """Roles whose signatures count in a quorum, in alphabetical order."""
        return tuple(
            sorted({*self.approvals.routine.approvers, *self.approvals.emergency.approvers})
        )

    def trigger(self, name: str) -> Trigger:
        """The trigger called ``name``. Raises KeyError."""
        for trigger in self.triggers:
            if trigger.name == name:
                return trigger
        raise KeyError(name)

    def gameday(self, name: str | None = None) -> GameDay:
        """The game day called ``name``, or the first one. Raises KeyError."""
        for day in self.gamedays:
            if name in (None, day.name):
                return day
        raise KeyError(name)


def _digest(document: object) -> str:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
