"""The process that pays: plain transfers from one address of each network, each exactly once.

What makes it once: a payout gets its nonce, its signed bytes and their hash in one transaction of
the books, before anything is sent. From then on only these bytes are ever sent, as often as it
takes, and the chain takes one transaction for a nonce. A payer that is killed anywhere finds either
a payout without a nonce, or the bytes to send again.
"""

from __future__ import annotations

import json
import secrets
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.testing.second_venue.chain import (
    Heads,
    Node,
    NodeAwayError,
    Signed,
    address_of,
    sign_transfer,
)
from tests.testing.second_venue.config import Config
from tests.testing.second_venue.store import change_holding, connect, writing

POLL_S = 0.2
AGAIN_S = 5.0
"""How long bytes may be unmined before they are sent again; a node that restarted forgot them."""
AWAY_S = 0.5
ASKED_AT_ONCE = 100
TAKEN_AT_ONCE = 50
_REFUSED = "the network refused the transfer; the amount is in the wallet again"

Queued = tuple[int, str, str, str]
"""Number, coin, amount and address of a payout that waits."""
Open = tuple[int, str, int, int]
"""Nonce, hash, payout and copy of a send that is not final."""


class WrongChainError(Exception):
    """The node serves another chain than the configuration says."""


class NetworkPayer:
    """The payer of one network, in one thread; :meth:`run` lasts until ``stop`` is set."""

    def __init__(self, config: Config, name: str) -> None:
        self._config = config
        self._name = name
        self._network = config.networks[name]
        self._secret = bytes.fromhex(self._network.secret.removeprefix("0x"))
        self._address = address_of(self._secret)
        self._books = connect(config)
        self._node = Node(self._network.node)
        self._checked = False
        self._settled_to = -1
        self._sent_at: dict[int, float] = {}

    def run(self, stop: threading.Event) -> None:
        """Pay; a node that is away or books that are busy only make it wait."""
        try:
            while not stop.is_set():
                try:
                    self.step()
                    stop.wait(POLL_S)
                except (NodeAwayError, sqlite3.OperationalError) as error:
                    print(f"{self._name}: {error}", flush=True)
                    stop.wait(AWAY_S)
        finally:
            stop.set()  # one network that cannot be paid ends the process, for all to see
            self._node.close()
            self._books.close()

    def step(self) -> None:
        """Book what is final, send again what is not mined, and take up what waits."""
        if not self._checked:
            served = self._node.chain_id()
            if served != self._network.chain_id:
                raise WrongChainError(f"{self._name} is served by a node of chain {served}")
            self._checked = True
        heads = self._node.heads(self._address)
        self._settle(heads)
        self._send_again(heads)
        self._take_up(heads)

    # --- what is final

    def _settle(self, heads: Heads) -> None:
        depth = self._network.confirmations
        final = heads.finalized if depth is None else heads.latest - depth
        if final <= self._settled_to:
            return
        sends: list[Open] = self._books.execute(
            "select nonce, tx_hash, payout, copy from sends where network = ? and state = 'open'"
            " order by nonce",
            (self._name,),
        ).fetchall()
        for start in range(0, len(sends), ASKED_AT_ONCE):
            group = sends[start : start + ASKED_AT_ONCE]
            receipts = self._node.receipts([tx_hash for _, tx_hash, _, _ in group])
            ended = [
                (send, receipt[1])
                for send, receipt in zip(group, receipts, strict=True)
                if receipt is not None and receipt[0] <= final
            ]
            if ended:
                self._book(ended)
            if len(ended) < len(group):
                break  # nonces are mined in order
        self._settled_to = final

    def _book(self, ended: Sequence[tuple[Open, bool]]) -> None:
        done = [send for send, succeeded in ended if succeeded]
        failed = [send for send, succeeded in ended if not succeeded]
        with writing(self._books):
            for state, sends in (("done", done), ("failed", failed)):
                self._books.execute(
                    "update sends set state = ? where network = ?"
                    " and nonce in (select value from json_each(?))",
                    (state, self._name, json.dumps([nonce for nonce, _, _, _ in sends])),
                )
            self._books.execute(
                "update payouts set status = 'paid'"
                " where number in (select value from json_each(?))",
                (json.dumps([payout for _, _, payout, copy in done if copy == 0]),),
            )
            for _, _, payout, copy in failed:
                if copy == 0:
                    self._give_back(payout)
        for (nonce, _, _, _), _ in ended:
            self._sent_at.pop(nonce, None)

    def _give_back(self, payout: int) -> None:
        customer, coin, amount = self._books.execute(
            "select customer, coin, amount from payouts where number = ?", (payout,)
        ).fetchone()
        change_holding(self._books, customer, coin, int(amount))
        self._books.execute(
            "update payouts set status = 'refused', note = ? where number = ?", (_REFUSED, payout)
        )

    # --- what is signed

    def _send_again(self, heads: Heads) -> None:
        """Send what no block has: all of it after a start, because the last payer may have died."""
        before = time.monotonic() - AGAIN_S
        sends: list[tuple[int, int, bytes]] = self._books.execute(
            "select nonce, payout, raw from sends where network = ? and state = 'open'"
            " and nonce >= ? order by nonce",
            (self._name, heads.mined),
        ).fetchall()
        self._send([each for each in sends if self._sent_at.get(each[0], before) <= before])

    def _send(self, sends: Sequence[tuple[int, int, bytes]]) -> None:
        for start in range(0, len(sends), TAKEN_AT_ONCE):
            group = sends[start : start + TAKEN_AT_ONCE]
            reasons = self._node.broadcast([raw for _, _, raw in group])
            self._sent_at |= dict.fromkeys((nonce for nonce, _, _ in group), time.monotonic())
            for (nonce, _, _), reason in zip(group, reasons, strict=True):
                if reason is not None:  # tried again later: the nonce is given away
                    print(f"{self._name}: nonce {nonce} was refused: {reason}", flush=True)
            taken = [
                payout
                for (_, payout, _), reason in zip(group, reasons, strict=True)
                if reason is None
            ]
            with writing(self._books):
                self._books.execute(
                    "update payouts set status = 'sent' where status = 'queued'"
                    " and number in (select value from json_each(?))",
                    (json.dumps(taken),),
                )

    # --- what waits

    def _take_up(self, heads: Heads) -> None:
        """Give waiting payouts a nonce and a signature, then send them."""
        (in_flight,) = self._books.execute(
            "select count(*) from sends where network = ? and state = 'open'", (self._name,)
        ).fetchone()
        room = min(self._network.in_flight_max - in_flight, ASKED_AT_ONCE)
        payouts = self._waiting(room) if room > 0 else []
        if not payouts:
            return
        # Signed before the transaction, so that it is short: customers wait for the same lock.
        # Should another payer be at work, the nonces are taken, and nothing is sent.
        nonce = self._next_nonce(heads)
        signed: list[tuple[Queued, int, Signed]] = []
        lies: list[Queued] = []
        for payout in payouts:
            if self._config.strikes("lies", payout[0]):
                lies.append(payout)
                continue
            for copy in range(2 if self._config.strikes("pays-twice", payout[0]) else 1):
                signed.append((payout, copy, self._sign(payout, nonce + len(signed), heads)))
        with writing(self._books):
            self._books.executemany(
                "insert into sends (network, nonce, payout, copy, raw, tx_hash)"
                " values (?, ?, ?, ?, ?, ?)",
                (
                    (self._name, nonce + index, payout[0], copy, each.raw, each.tx_hash)
                    for index, (payout, copy, each) in enumerate(signed)
                ),
            )
            self._books.executemany(
                "update payouts set chain_tx = ? where number = ?",
                ((each.tx_hash, payout[0]) for payout, copy, each in signed if copy == 0),
            )
            self._books.executemany(
                "update payouts set status = 'paid', chain_tx = ? where number = ?",
                ((f"0x{secrets.token_hex(32)}", payout[0]) for payout in lies),
            )
        self._send(
            [(nonce + index, payout[0], each.raw) for index, (payout, _, each) in enumerate(signed)]
        )

    def _waiting(self, at_most: int) -> list[Queued]:
        """The oldest payouts without a nonce; none that the api is about to lose."""
        loses = self._config.vice_every if self._config.vice == "loses" else 0
        return self._books.execute(
            "select number, coin, amount, address from payouts"
            " where network = ? and status = 'queued' and (? = 0 or number % ? <> 0)"
            " and not exists (select 1 from sends where payout = number)"
            " order by number limit ?",
            (self._name, loses, max(loses, 1), at_most),
        ).fetchall()

    def _next_nonce(self, heads: Heads) -> int:
        (last,) = self._books.execute(
            "select max(nonce) from sends where network = ?", (self._name,)
        ).fetchone()
        return heads.mined if last is None else int(last) + 1

    def _sign(self, payout: Queued, nonce: int, heads: Heads) -> Signed:
        _, coin, amount, address = payout
        return sign_transfer(
            self._secret,
            chain_id=self._network.chain_id,
            nonce=nonce,
            token=self._config.coins[coin].token,
            address=address,
            amount=int(amount),
            base_fee_wei=heads.base_fee_wei,
        )


class _Awake(BaseHTTPRequestHandler):
    """Answers anything, so that an observer can tell whether the payer stands still."""

    def do_GET(self) -> None:
        body = b'{"state": "paying"}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def serve(config: Config) -> None:
    """Pay until SIGTERM.

    Raises what a network's payer could not live with; then none goes on.
    """
    # A thread that holds the books' lock must not wait long for the interpreter's.
    sys.setswitchinterval(0.0005)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with ThreadingHTTPServer(("127.0.0.1", config.payer_port), _Awake) as awake:
        threading.Thread(target=awake.serve_forever, name="awake", daemon=True).start()
        with ThreadPoolExecutor(max_workers=len(config.networks)) as pool:
            running = [
                pool.submit(NetworkPayer(config, each).run, stop) for each in config.networks
            ]
            print("ready", flush=True)
            wait(running, return_when=FIRST_EXCEPTION)
            awake.shutdown()
        for each in running:
            each.result()
