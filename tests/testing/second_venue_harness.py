"""The second venue as a running stack: nodes, tokens, customers, both processes, all files.

    with second_venue(tmp_path) as venue:
        load_deployment(venue.deployment_file)

It is what a user of the kit would have: the venue knows nothing of the kit, and the kit knows the
venue by the deployment file and the mapping alone.
"""

from __future__ import annotations

import csv
import io
import secrets
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import yaml

from sandbox import reaper
from sandbox.parts.chains import DEVELOPER_BALANCE_COINS, GAS_LIMIT, check_finality, node_name
from sandbox.ports import Ports
from sandbox.process_control import process_control
from sandbox.reaping import Watch
from seawall.cache import repository_root
from seawall.conventions.aws import KILL_SWITCH_ARMED
from seawall.conventions.components import API_PROCESS
from seawall.conventions.environment import RUN_ID_VARIABLE
from seawall.errors import ComponentDiedError, ServiceError
from seawall.ethereum.rpc import RpcClient
from seawall.formats.atomic import write_private
from seawall.formats.component_status import ComponentStatus
from seawall.formats.deployment import Deployment, Network, Process, Transfers, Urls, Venue
from seawall.kill_switch import KillSwitchFile
from seawall.policy import Policy
from seawall.policy_file import load_policy
from seawall.processes.components import Component
from seawall.processes.environment import inherited
from seawall.processes.readiness import Ready, http_answers, log_line
from seawall.setup.programs import locate
from tests.testing.second_venue import config as venue_config
from tests.testing.second_venue.amounts import to_text
from tests.testing.second_venue.chain import address_of, keccak256, rlp
from venue.contracts.calls import mint
from venue.contracts.compiler import token_creation

POLICY = repository_root() / "policies" / "sandbox.yaml"
PAYER_PROCESS = "payer"
STACK = "second"
CUSTOMERS = 200
VALUE_OF_BALANCE = 1_000_000
"""What each customer holds in each asset of each network, in units of account."""
GAS_MONEY_WEI = 10**24
FUNDED_TIMES = 2
"""How often the venue could pay everything: one that pays twice must not fail for want of money."""
COLUMNS = ("customer_id", "api_key", "network", "asset", "amount")
"""Of the customers' file, as `loadtests/population.py` reads them; amounts are in base units."""
ANSWER_S_MAX = 10.0
READY_S_MAX = 40.0
_KILLED_S_MAX = 5.0
_CREATION_GAS = 3_000_000

STATES = {"queued": "reserved", "sent": "broadcast", "paid": "posted", "refused": "voided"}
REFUSALS = {
    "no_such_payout": "not_found",
    "bad_session": "unauthorized",
    "bad_login": "unauthorized",
    "duplicate_ref": "id_reused",
    "too_little": "insufficient_balance",
    "malformed": "malformed",
    "unknown_coin": "unknown_asset",
    "bad_address": "bad_address",
}
OPERATIONS = {
    "login": {
        "method": "POST",
        "path": "/sessions",
        "body": {"user": "{customer_id}", "secret": "{credential}"},
        "success": [200],
        "answer": {"session": "token"},
    },
    "balances": {
        "method": "GET",
        "path": "/wallet",
        "success": [200],
        "answer": {"balances": "holdings", "asset": "coin", "available": "free"},
    },
    "request_withdrawal": {
        "method": "POST",
        "path": "/payouts",
        "body": {
            "ref": "{id}",
            "coin": "{asset}",
            "amount": "{amount}",
            "address": "{destination}",
        },
        "success": [201],
        "replayed": [200],
        "answer": {"venue_id": "payout.no", "state": "payout.status"},
    },
    "follow_withdrawal": {
        "method": "GET",
        "path": "/payouts/{venue_id}",
        "success": [200],
        "answer": {"state": "payout.status", "reason": "payout.note", "tx_hash": "payout.chain_tx"},
    },
    "status": {"method": "GET", "path": "/service", "success": [200], "answer": {"tier": "state"}},
}


def coin_name(network: str, asset: str) -> str:
    """The venue's own word for an asset of a network."""
    return f"{asset}-{network}".lower()


def assets_of(policy: Policy) -> dict[str, tuple[str, ...]]:
    """Every asset of each network, the native one first."""
    return {name: (each.native, *each.tokens) for name, each in policy.networks.items()}


def mapping(policy: Policy) -> dict[str, object]:
    """What the kit is told of the venue's interface."""
    return {
        "credential": {"header": "X-Session", "value": "{session}"},
        "amounts": "decimal",
        "assets": {
            network: {asset: coin_name(network, asset) for asset in assets}
            for network, assets in assets_of(policy).items()
        },
        "operations": OPERATIONS,
        "states": STATES,
        "tiers": {"open": "normal"},
        "refusals": {"code": "error.kind", "reason": "error.text", "codes": REFUSALS},
    }


def opening_units(policy: Policy, asset: str) -> int:
    """What each customer holds of an asset in each of its networks, in base units."""
    declared = policy.assets[asset]
    return int(
        Fraction(VALUE_OF_BALANCE)
        / Fraction(declared.reference_price)
        * Fraction(10) ** declared.decimals
    )


@dataclass(frozen=True, kw_only=True)
class Command:
    """How a process is started, and how it shows that it is ready."""

    argv: tuple[str, ...]
    ready: Ready
    folder: Path
    env: Mapping[str, str] = field(default_factory=dict)


class Processes:
    """Processes by name, with the handles of a sandbox's (`sandbox/process_control.py`).

    All carry ``run_id`` in their environment, and end by it.
    """

    def __init__(self, commands: Mapping[str, Command], *, run_id: str, logs: Path) -> None:
        self.run_id = run_id
        self._commands = commands
        self._logs = logs
        self._lock = threading.RLock()
        self._running: dict[str, Component] = {}
        self._touched: set[str] = set()

    def start_all(self) -> None:
        """Start one after another, each when the one before it is ready.

        Raises :class:`WorldError` if one does not get ready.
        """
        for name, command in self._commands.items():
            self._spawn(name).wait_ready(command.ready, timeout_s=READY_S_MAX)

    def components(self) -> Sequence[ComponentStatus]:
        """What is known of every process."""
        with self._lock:
            return [component.status() for component in self._running.values()]

    def freeze(self, name: str) -> None:
        """Let it stand still. Raises KeyError, or :class:`ComponentDiedError`."""
        with self._lock:
            self._living(name).signal_group(signal.SIGSTOP)
            self._touched.add(name)

    def kill(self, name: str) -> None:
        """Kill it; it stays down. Raises as :meth:`freeze`."""
        with self._lock:
            component = self._living(name)
            if component.wait(timeout_s=0) is None:  # its group is still its own
                component.announce_stop()
                component.signal_group(signal.SIGKILL)
                component.wait(timeout_s=_KILLED_S_MAX)
            self._touched.add(name)

    def bring_back(self, name: str) -> None:
        """Let it go on, or start it again if it was killed; idempotent. Raises as the others."""
        with self._lock:
            component = self._living(name)
            if component.wait(timeout_s=0) is None:
                component.signal_group(signal.SIGCONT)
            if component.stopping:
                component.wait(timeout_s=_KILLED_S_MAX)
                self._spawn(name)
            self._touched.discard(name)

    def bring_all_back(self) -> None:
        """Bring back whatever was frozen or killed."""
        with self._lock:
            for name in sorted(self._touched):
                self.bring_back(name)

    def log(self, name: str) -> str:
        """What it has written, over all its lives."""
        return (self._logs / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def announce_stop(self) -> None:
        """Note that the end of every process is wanted from now on."""
        with self._lock:
            for component in self._running.values():
                component.announce_stop()

    def _living(self, name: str) -> Component:
        component = self._running[name]
        if component.died:
            raise ComponentDiedError(name, log_tail=component.status().log_tail or "")
        return component

    def _spawn(self, name: str) -> Component:
        command = self._commands[name]
        component = Component(
            name=name,
            argv=command.argv,
            env={**inherited(), RUN_ID_VARIABLE: self.run_id, **command.env},
            log=self._logs / f"{name}.log",
            cwd=command.folder,
        )
        self._running[name] = component
        return component


@dataclass(frozen=True, kw_only=True)
class SecondVenue:
    """The running stack.

    Attributes:
        deployment: As in the deployment file.
        secrets: The secret of each customer, by id.
        config: The venue's own configuration, which knows the coins.
        nodes: URL of the node of each network.
        senders: The address that pays on each network.
        tokens: Contract by asset, by network.
        processes: The venue's two processes; ``process_control`` serves their handles over HTTP.
        node_processes: The nodes, named as in a sandbox.
    """

    folder: Path
    policy: Policy
    deployment: Deployment
    config: venue_config.Config
    config_file: Path
    mapping_file: Path
    customers_file: Path
    kill_switch_file: Path
    api_url: str
    process_control: str
    secrets: Mapping[str, str]
    nodes: Mapping[str, str]
    senders: Mapping[str, str]
    tokens: Mapping[str, Mapping[str, str]]
    processes: Processes
    node_processes: Processes

    @property
    def deployment_file(self) -> Path:
        """The deployment file."""
        return self.deployment.path

    def held(self, network: str, asset: str, address: str) -> int:
        """What an address holds on the chain, in base units."""
        return _node(network, self.nodes[network]).balance(
            address, token=self.tokens[network].get(asset)
        )


@contextmanager
def second_venue(
    folder: Path,
    *,
    policy_file: Path = POLICY,
    vice: venue_config.Vice = "none",
    vice_every: int = 20,
    customers: int = CUSTOMERS,
    in_flight_max: int = 600,
    block_s: float | None = None,
) -> Iterator[SecondVenue]:
    """A running second venue whose files are in ``folder``; all its processes end with the block.

    They end with this process, too, however it ends. ``folder`` must not exist, or be without logs.
    ``block_s`` is for tests that are no drill: other than the policy's time between blocks.

    Raises the error tree.
    """
    policy = load_policy(policy_file)
    check_finality(policy, str(policy_file))
    run_id = f"{STACK}-{secrets.token_hex(8)}"
    logs = folder / "logs"
    logs.mkdir(mode=0o700, parents=True)
    ports = Ports()
    nodes = Processes(_node_commands(policy, ports, folder, block_s), run_id=run_id, logs=logs)
    groups = [nodes]
    watch = Watch(run_id, folder)
    try:
        nodes.start_all()
        urls = {name: ports.url(node_name(name)) for name in policy.networks}
        keys = {name: secrets.token_bytes(32) for name in policy.networks}
        senders = {name: address_of(secret) for name, secret in keys.items()}
        tokens = _fund_all(policy, urls, senders, customers)
        config = venue_config.Config(
            database=folder / "second.sqlite",
            api_port=ports.of(API_PROCESS),
            payer_port=ports.of(PAYER_PROCESS),
            networks={
                name: venue_config.Network(
                    chain_id=policy.networks[name].chain_id,
                    node=urls[name],
                    secret=keys[name].hex(),
                    in_flight_max=in_flight_max,
                )
                for name in policy.networks
            },
            coins=_coins(policy, tokens),
            customers=_customers(policy, customers),
            vice=vice,
            vice_every=vice_every,
        )
        config_file = folder / "second-venue.json"
        write_private(config_file, config.model_dump_json(indent=1))
        processes = Processes(_venue_commands(config_file, ports), run_id=run_id, logs=logs)
        groups.append(processes)
        processes.start_all()
        mapping_file = folder / "mapping.yaml"
        mapping_file.write_text(yaml.safe_dump(mapping(policy), sort_keys=False), encoding="utf-8")
        kill_switch_file = folder / "kill-switch"
        kill_switch_file.write_text(f"{KILL_SWITCH_ARMED}\n", encoding="utf-8")
        customers_file = folder / "customers.csv"
        write_private(customers_file, _customers_csv(policy, config))
        with process_control(processes) as control:
            deployment = Deployment(
                kind="staging",
                stack=STACK,
                data_dir=folder,
                policy=policy_file.resolve(),
                urls=Urls(api=ports.url(API_PROCESS)),
                venue=Venue(speaks=str(mapping_file)),
                customers=customers_file,
                networks={
                    name: Network(
                        chain_id=policy.networks[name].chain_id,
                        node=urls[name],
                        transfers=Transfers(
                            senders=(senders[name],),
                            tokens=tokens[name],
                            first_block=_height(name, urls[name]),
                        ),
                    )
                    for name in policy.networks
                },
                processes={
                    name: Process(address=ports.address(name))
                    for name in (API_PROCESS, PAYER_PROCESS)
                },
                process_control=control,
                kill_switch=KillSwitchFile(file=kill_switch_file),
            )
            deployment.write()
            yield SecondVenue(
                folder=folder,
                policy=policy,
                deployment=deployment,
                config=config,
                config_file=config_file,
                mapping_file=mapping_file,
                customers_file=customers_file,
                kill_switch_file=kill_switch_file,
                api_url=ports.url(API_PROCESS),
                process_control=control,
                secrets={name: each.secret for name, each in config.customers.items()},
                nodes=urls,
                senders=senders,
                tokens=tokens,
                processes=processes,
                node_processes=nodes,
            )
    finally:
        for group in groups:
            group.announce_stop()
        left = reaper.reap(run_id)
        watch.end()
        if left:
            message = f"processes that would not end: {sorted(pid for pid, _ in left)}"
            raise ServiceError(message)


def _node_commands(
    policy: Policy, ports: Ports, folder: Path, block_s: float | None
) -> dict[str, Command]:
    """One anvil for each network, as the sandbox starts them."""
    anvil = str(locate("anvil").path)
    commands = {}
    for name, network in policy.networks.items():
        home = folder / node_name(name)
        home.mkdir(mode=0o700)
        options = {
            "host": "127.0.0.1",
            "port": ports.of(node_name(name)),
            "chain-id": network.chain_id,
            "block-time": f"{block_s or network.block_time / 1000:g}",
            "slots-in-an-epoch": 1,
            "gas-limit": GAS_LIMIT,
            "accounts": 2,
            "balance": DEVELOPER_BALANCE_COINS,
        }
        words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
        commands[node_name(name)] = Command(
            argv=(anvil, *words, "--silent"),
            ready=http_answers(
                ports.url(node_name(name)),
                body={"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []},
            ),
            folder=home,
            env={"HOME": str(home), "FOUNDRY_DISABLE_NIGHTLY_WARNING": "1"},
        )
    return commands


def _venue_commands(config_file: Path, ports: Ports) -> dict[str, Command]:
    """The api first: it founds the books."""

    def command(role: str, ready: Ready) -> Command:
        module = "tests.testing.second_venue"
        return Command(
            argv=(sys.executable, "-m", module, role, "--config", str(config_file)),
            ready=ready,
            folder=repository_root(),
            env={"PYTHONUNBUFFERED": "1"},
        )

    return {
        API_PROCESS: command("api", http_answers(f"{ports.url(API_PROCESS)}/service")),
        PAYER_PROCESS: command("payer", log_line("^ready$")),
    }


def _node(network: str, url: str) -> RpcClient:
    return RpcClient(network=network, url=url, timeout_s=ANSWER_S_MAX)


def _height(network: str, url: str) -> int:
    return int(_node(network, url).call("eth_blockNumber"), 16)


def _fund_all(
    policy: Policy, urls: Mapping[str, str], senders: Mapping[str, str], customers: int
) -> dict[str, dict[str, str]]:
    """Deploy every token and fund the addresses that pay; contracts by asset, by network.

    Blocks come at their own times, because mining them at once would set the clock of the chain
    before that of the machine.
    """
    tokens: dict[str, dict[str, str]] = {}
    sent: list[tuple[RpcClient, str]] = []
    for network, declared in policy.networks.items():
        node = _node(network, urls[network])
        native = FUNDED_TIMES * customers * opening_units(policy, declared.native)
        node.call("anvil_setBalance", senders[network], hex(native + GAS_MONEY_WEI))
        developer = node.call("eth_accounts")[0]
        tokens[network] = {}
        for number, asset in enumerate(declared.tokens):
            nonce = 2 * number
            contract = _contract_address(developer, nonce)
            creation = token_creation(symbol=asset, decimals=policy.assets[asset].decimals)
            amount = FUNDED_TIMES * customers * opening_units(policy, asset)
            transactions = (
                {"data": "0x" + creation.hex(), "nonce": hex(nonce)},
                {
                    "to": contract,
                    "data": "0x" + mint(senders[network], amount).hex(),
                    "nonce": hex(nonce + 1),
                },
            )
            for each in transactions:
                asked = {**each, "from": developer, "gas": hex(_CREATION_GAS)}
                sent.append((node, node.call("eth_sendTransaction", asked)))
            tokens[network][asset] = contract
    deadline = time.monotonic() + READY_S_MAX
    for node, tx_hash in sent:
        while (receipt := node.call("eth_getTransactionReceipt", tx_hash)) is None:
            if time.monotonic() > deadline:
                message = f"{node.network} did not take {tx_hash}"
                raise ServiceError(message)
            time.sleep(0.05)
        if receipt["status"] != "0x1":
            message = f"{node.network} reverted {tx_hash}"
            raise ServiceError(message)
    return tokens


def _contract_address(sender: str, nonce: int) -> str:
    return "0x" + keccak256(rlp([bytes.fromhex(sender[2:]), nonce]))[-20:].hex()


def _coins(policy: Policy, tokens: Mapping[str, Mapping[str, str]]) -> dict[str, venue_config.Coin]:
    return {
        coin_name(network, asset): venue_config.Coin(
            network=network,
            decimals=policy.assets[asset].decimals,
            token=tokens[network].get(asset),
        )
        for network, assets in assets_of(policy).items()
        for asset in assets
    }


def _customers(policy: Policy, size: int) -> dict[str, venue_config.Customer]:
    holdings = {
        coin_name(network, asset): to_text(
            opening_units(policy, asset), decimals=policy.assets[asset].decimals
        )
        for network, assets in assets_of(policy).items()
        for asset in assets
    }
    return {
        f"customer-{number:04d}": venue_config.Customer(
            secret=f"pw-{secrets.token_hex(16)}", holdings=holdings
        )
        for number in range(1, size + 1)
    }


def _customers_csv(policy: Policy, config: venue_config.Config) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(
        (name, customer.secret, network, asset, opening_units(policy, asset))
        for name, customer in config.customers.items()
        for network, assets in assets_of(policy).items()
        for asset in assets
    )
    return text.getvalue()
