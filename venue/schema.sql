-- The schema of the venue's database. Rules that must never break are constraints and grants here;
-- no code has to remember them.
--
-- Evidence: rows whose commit time matters (postings, slot_events, lane_log, mode_log, flow) are
-- inserted once and never updated, so pg_xact_commit_timestamp(xmin) stays the time at which they
-- became true (track_commit_timestamp = on).
--
-- Signs: what the venue holds (hot, reserve, cold) is positive; what it owes (customer, reserved,
-- clearing) is negative. So is what it owes to itself: inventory, with which customers trade, and
-- own, with which they do not, and unidentified, which it owes to senders whom it does not know.
-- Every posting sums to zero per asset and network.
--
-- The states of a withdrawal and of a slot are drawn in docs/withdrawal-states.md.

create table customers (
    id             bigint primary key,
    api_key_sha256 bytea  not null unique,
    created_at     timestamptz not null default clock_timestamp()
);

create table accounts (
    id          bigint generated always as identity primary key,
    bucket      text not null,
    network     text not null,
    asset       text not null,
    kind        text not null check (kind in ('customer', 'reserved', 'clearing', 'hot', 'reserve',
                                              'cold', 'inventory', 'own', 'unidentified')),
    customer_id bigint references customers,
    check ((kind = 'customer') = (customer_id is not null)),
    unique nulls not distinct (bucket, network, asset, kind, customer_id)
);
create index accounts_by_customer on accounts (customer_id) where customer_id is not null;

-- What a customer, or the house's inventory, may still spend. It is kept beside the entries so that
-- a constraint refuses an overdraft.
create table balances (
    account_id bigint primary key references accounts,
    available  numeric(78, 0) not null check (available >= 0)
);

-- An approval must exist before money moves from one bucket to another. It names what may move, and
-- is good for one posting that moves exactly that: a foreign key, an index and a trigger demand it.
create table approvals (
    id          uuid primary key,
    actor       text not null,
    justification text not null check (length(justification) > 0),
    created_at  timestamptz not null default clock_timestamp()
);

-- What an approval allows: so much of what one bucket owes or holds becomes the other's.
create table approved_moves (
    approval_id uuid   not null references approvals,
    network     text   not null,
    asset       text   not null,
    from_bucket text   not null,
    to_bucket   text   not null check (to_bucket <> from_bucket),
    amount      numeric(78, 0) not null check (amount > 0),
    primary key (approval_id, network, asset, from_bucket, to_bucket)
);

-- A lane is (chain, signer address). It has one holder, fenced by an epoch: who has an older epoch
-- can neither claim nor sign.
create table lanes (
    chain_id      bigint not null,
    address       text   not null check (address ~ '^0x[0-9a-f]{40}$'),
    network       text   not null,
    wallet        text   not null unique,
    holder        text,
    epoch         bigint not null default 1,
    signer_region text   not null,
    next_nonce    bigint not null default 0 check (next_nonce >= 0),
    generation    bigint not null default 0,  -- that its contract paid when that was last final
    primary key (chain_id, address)
);

-- Who settles a network, and when it last said so. The others wait; the lanes' epochs fence.
create table settler_leases (
    network    text primary key,
    holder     text not null,
    renewed_at timestamptz not null default clock_timestamp()
);

-- Every change of a lane's holder or signing region; insert only.
create table lane_log (
    chain_id      bigint not null,
    address       text   not null,
    epoch         bigint not null,
    holder        text   not null,
    signer_region text   not null,
    reason        text   not null,
    detected_at   timestamptz,          -- for a failover: when the breaker opened
    at            timestamptz not null default clock_timestamp(),
    primary key (chain_id, address, epoch),
    foreign key (chain_id, address) references lanes
);

-- Generations of this ledger; insert only, and the last one is in force. A number in a contract is a
-- generation and a number within it, packed (venue/contracts/calls.py), and contracts pay numbers of
-- the generation in force alone. Whoever restores the ledger opens a later one, so that a number
-- that the lost one gave out is never given out again.
create table generations (
    generation bigint primary key check (generation between 0 and (1 << 22) - 1),
    reason     text   not null check (length(reason) > 0),
    opened_at  timestamptz not null default clock_timestamp()
);
insert into generations (generation, reason) values (0, 'The venue was founded.');

-- A slot is one nonce with one intent. Its transaction may be replaced by others with higher fees.
create table slots (
    id            bigint generated always as identity primary key,
    chain_id      bigint not null,
    address       text   not null,
    nonce         bigint not null check (nonce >= 0),
    epoch         bigint not null,      -- of the lane when the nonce was allocated
    mode_epoch    bigint not null,      -- of the mode when the slot was claimed
    admitted_epoch bigint not null,     -- of the mode that last allowed what the slot does
    purpose       text   not null check (purpose in ('payout', 'topup', 'cancel',
                                                     'generation')),
    to_address    text   not null check (to_address ~ '^0x[0-9a-f]{40}$'),
    value         numeric(78, 0) not null check (value >= 0),
    data          bytea  not null,
    gas_limit     bigint not null check (gas_limit > 0),
    max_fee_wei   numeric(78, 0) not null,
    priority_fee_wei numeric(78, 0) not null,
    digest        bytea  not null check (length(digest) = 32),
    state         text   not null check (state in ('open', 'signed', 'broadcast', 'included',
                                                   'final')),
    signer_region text,
    tx_hash       text unique,         -- of its first transaction
    raw           bytea,
    mined_hash    text unique,         -- of the one that a block contains: that, or a replacement
    block_number  bigint,
    block_hash    text,
    unique (chain_id, address, nonce),
    foreign key (chain_id, address) references lanes,
    check ((state = 'open') = (raw is null)),
    check ((raw is null) = (tx_hash is null) and (raw is null) = (signer_region is null)),
    check ((state in ('included', 'final')) = (block_hash is not null)),
    check ((block_hash is null) = (block_number is null)),
    check (mined_hash is null or block_hash is not null)
);
create index slots_in_flight on slots (chain_id, address, nonce) where state <> 'final';

-- What a nonce is used for never changes once a signer has recorded it, or may have.
create function refuse_other_use() returns trigger language plpgsql as $$
begin
    if old.state <> 'open' or exists (
        select 1 from sign_log l
        where (l.chain_id, l.address, l.nonce) = (old.chain_id, old.address, old.nonce)
    ) then
        raise exception 'nonce % of % is signed, or may be, and keeps its use',
            old.nonce, old.address;
    end if;
    return new;
end $$;
create trigger slots_keep_their_use
    before update of purpose, data, digest, gas_limit, max_fee_wei, priority_fee_wei on slots
    for each row execute function refuse_other_use();

-- What a slot was for on record before a restore found that a transaction of a lost ledger had used
-- up its nonce: the slot, and what was signed for it, which can never be in a block; insert only.
create table displaced (
    slot_id      bigint not null references slots,
    displaced_by text   not null,       -- hash of the transaction that the chain has
    slot         jsonb  not null,
    replacements jsonb  not null,
    sign_log     jsonb,
    sign_log_replacements jsonb not null,
    at           timestamptz not null default clock_timestamp(),
    primary key (slot_id, displaced_by)
);

-- Transactions with higher fees that replace the first one of a slot: the same nonce, the same
-- intent, one of them at most is ever in a block. A row is committed before a signer is asked, its
-- bytes before a node is.
create table replacements (
    slot_id       bigint not null references slots,
    n             int    not null check (n > 0),
    max_fee_wei   numeric(78, 0) not null,
    priority_fee_wei numeric(78, 0) not null,
    tx_hash       text unique,
    raw           bytea,
    signer_region text,
    requested_at  timestamptz not null default clock_timestamp(),
    primary key (slot_id, n),
    unique (slot_id, max_fee_wei),
    check ((raw is null) = (tx_hash is null) and (raw is null) = (signer_region is null))
);
create unique index replacements_one_at_a_time on replacements (slot_id) where raw is null;
create function refuse_replacement() returns trigger language plpgsql as $$
declare
    dearest numeric;
begin
    select greatest(s.max_fee_wei, (select max(r.max_fee_wei) from replacements r
                                    where r.slot_id = s.id))
    into dearest from slots s
    where s.id = new.slot_id and s.state not in ('open', 'final') for no key update;
    if dearest is null or new.max_fee_wei <= dearest then
        raise exception 'nothing replaces the transaction of slot % by fees of % wei',
            new.slot_id, new.max_fee_wei;
    end if;
    return new;
end $$;
create trigger replacements_of_what_waits before insert on replacements for each row
    execute function refuse_replacement();

-- When a slot reached each of its states; insert only.
create table slot_events (
    slot_id bigint not null references slots,
    state   text   not null check (state in ('open', 'signed', 'broadcast', 'included', 'final')),
    signer_region text,
    at      timestamptz not null default clock_timestamp(),
    primary key (slot_id, state)
);

-- The signer's own record: a second digest for a nonce is refused.
create table sign_log (
    chain_id  bigint not null,
    address   text   not null,
    nonce     bigint not null,
    digest    bytea  not null check (length(digest) = 32),
    epoch     bigint not null,
    region    text   not null,          -- whose signer recorded the digest
    raw       bytea,                    -- the signed bytes; they are returned for ever
    tx_hash   text,
    signed_by text,                     -- region whose signature was kept
    max_fee_wei      numeric(78, 0) not null,
    priority_fee_wei numeric(78, 0) not null,
    requested_at timestamptz not null default clock_timestamp(),
    signed_at timestamptz,
    primary key (chain_id, address, nonce),
    check ((raw is null) = (tx_hash is null) and (raw is null) = (signed_by is null)
           and (raw is null) = (signed_at is null))
);
create index sign_log_by_time on sign_log (chain_id, address, requested_at);

-- What each recorded digest moves, by token (zero: the native coin); insert only. The signer's
-- velocity caps count these within a window.
create table signed_amounts (
    chain_id bigint not null,
    address  text   not null,
    nonce    bigint not null,
    token    text   not null check (token ~ '^0x[0-9a-f]{40}$'),
    amount   numeric(78, 0) not null check (amount >= 0),
    primary key (chain_id, address, nonce, token),
    foreign key (chain_id, address, nonce) references sign_log
);

-- What the signer signed beside the first transaction of a nonce: the same digest, other fees.
create table sign_log_replacements (
    chain_id  bigint not null,
    address   text   not null,
    nonce     bigint not null,
    max_fee_wei      numeric(78, 0) not null,
    priority_fee_wei numeric(78, 0) not null,
    region    text   not null,
    raw       bytea,
    tx_hash   text,
    signed_by text,
    requested_at timestamptz not null default clock_timestamp(),
    signed_at timestamptz,
    primary key (chain_id, address, nonce, max_fee_wei, priority_fee_wei),
    foreign key (chain_id, address, nonce) references sign_log,
    check ((raw is null) = (tx_hash is null) and (raw is null) = (signed_by is null)
           and (raw is null) = (signed_at is null))
);

-- Proofs of key control: texts that a key was asked to sign. None of them is a transaction.
create table proof_log (
    id       bigint generated always as identity primary key,
    wallet   text not null,
    address  text not null,
    region   text not null,
    text     text not null,
    asked_at timestamptz not null default clock_timestamp()
);

-- The signatures of these texts; a row of proof_log without one was not answered.
create table proof_signatures (
    proof_id  bigint primary key references proof_log,
    signature bytea not null check (length(signature) = 65),
    given_at  timestamptz not null default clock_timestamp()
);

create table withdrawals (
    id             uuid primary key,    -- chosen by the client: a replay returns the first outcome
    seq            bigint generated always as identity unique,  -- of its bit in the contract: with
                                                                -- its generation
    customer_id    bigint not null references customers,
    bucket         text   not null,
    source_network text   not null,     -- whose balance pays; not network in a cross-rail transfer
    network        text   not null,
    asset          text   not null,
    amount         numeric(78, 0) not null check (amount > 0),
    value_micro    bigint not null check (value_micro >= 0),
    size           text   not null check (size in ('small', 'large')),
    destination    text   not null check (destination ~ '^0x[0-9a-f]{40}$'),  -- as asked for
    paid_to        text   check (paid_to ~ '^0x[0-9a-f]{40}$'),  -- instead, as people decided
    state          text   not null check (state in ('reserved', 'slotted', 'posted', 'voided',
                                                    'unknown')),
    reason         text,                -- for the customer: why it is deferred, voided or unknown
    slot_id        bigint references slots,
    held_because   text check (held_because in ('refused', 'disputed')),
    requested_at   timestamptz not null default clock_timestamp(),
    queued_at      timestamptz not null default clock_timestamp(),  -- again when it is paid anew
    check ((state in ('slotted', 'posted', 'unknown')) <= (slot_id is not null)),
    check ((state in ('voided', 'unknown')) <= (reason is not null)),
    check ((state = 'unknown') = (held_because is not null)),
    check (state <> 'reserved' or slot_id is null)
);
create index withdrawals_claimable on withdrawals (network, asset, size, seq)
    where state = 'reserved';
create index withdrawals_held on withdrawals (id) where state = 'unknown';
-- What a customer has asked for lately: intake reads it for the limits of each customer.
create index withdrawals_of_customer on withdrawals (customer_id, requested_at);
create index withdrawals_of_slot on withdrawals (slot_id) where slot_id is not null;
create index withdrawals_open on withdrawals (queued_at)
    where state in ('reserved', 'slotted');

-- Every slot that was to pay a withdrawal, or to cancel its number; insert only.
create table attempts (
    slot_id       bigint not null references slots,
    withdrawal_id uuid   not null references withdrawals,
    seq           bigint not null,
    primary key (slot_id, withdrawal_id)
);
create index attempts_of_withdrawal on attempts (withdrawal_id, seq);

-- The way out of `unknown`: its number in the contract is cancelled on the chain, and when that is
-- final the money goes back to its customer, or is paid anew under a new number.
create table resolutions (
    id            bigint generated always as identity primary key,
    withdrawal_id uuid   not null references withdrawals,
    seq           bigint not null,      -- the number to be cancelled
    decision      text   not null check (decision in ('void', 'pay')),
    destination   text   check (destination ~ '^0x[0-9a-f]{40}$'),  -- null: the same one
    actor         text   not null check (length(actor) > 0),
    justification text   not null check (length(justification) > 0),
    state         text   not null default 'requested'
                  check (state in ('requested', 'slotted', 'cancelled', 'paid', 'disputed')),
    slot_id       bigint references slots,
    found         text,                 -- what the chain said, if it was not cancelled
    requested_at  timestamptz not null default clock_timestamp(),
    check (decision = 'pay' or destination is null),
    check (state not in ('slotted', 'cancelled', 'paid') or slot_id is not null),
    check ((state in ('paid', 'disputed')) <= (found is not null))
);
-- The row is locked: who resolves a withdrawal holds it, and must not be overtaken.
create function refuse_resolution() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
    perform 1 from withdrawals w
    where (w.id, w.seq, w.state) = (new.withdrawal_id, new.seq, 'unknown') for share;
    if not found then
        raise exception 'withdrawal % is not held under number %', new.withdrawal_id, new.seq;
    end if;
    if new.state <> 'requested' then
        raise exception 'a decision is first requested';
    end if;
    if session_user = 'seawall_api' and (new.decision, new.actor) <> ('void', 'customer') then
        raise exception 'a customer may only have back what is held';
    end if;
    return new;
end $$;
create trigger resolutions_of_held before insert on resolutions for each row
    execute function refuse_resolution();
create unique index resolutions_one_at_a_time on resolutions (withdrawal_id)
    where state in ('requested', 'slotted');
create unique index resolutions_once on resolutions (withdrawal_id, seq)
    where state in ('cancelled', 'paid');
create index resolutions_of_slot on resolutions (slot_id) where slot_id is not null;

-- An asset that does not move out of its wallet, for example because its issuer has paused it, is
-- left alone until it does.
create table asset_pauses (
    network  text not null,
    asset    text not null,
    since    timestamptz not null default clock_timestamp(),
    primary key (network, asset)
);

create function refuse_transition() returns trigger language plpgsql as $$
begin
    raise exception 'a withdrawal may not go from % to % as role %',
        old.state, new.state, current_user;
end $$;
-- The transitions are: claim, post, hold, release, cancel, and out of `unknown`: give back, pay
-- anew, post. The api may only cancel what waits: what no slot was ever to pay is given back at
-- once, all else is held until its number is used up. Nobody leads out of `unknown` but by a
-- resolution whose number in the contract is known to be used up at finality.
create trigger withdrawal_transitions before update of state on withdrawals for each row
    when (old.state <> new.state and (
        (old.state, new.state) not in (('reserved', 'slotted'), ('slotted', 'posted'),
                                       ('slotted', 'unknown'), ('slotted', 'reserved'),
                                       ('reserved', 'voided'), ('reserved', 'unknown'),
                                       ('unknown', 'voided'), ('unknown', 'reserved'),
                                       ('unknown', 'posted'))
        or (current_user = 'seawall_api'
            and (old.state, new.state) not in (('reserved', 'voided'), ('reserved', 'unknown')))))
    execute function refuse_transition();
-- Whether a ledger that was lost may have signed a payment of a number that this one never tried to
-- pay: until the generation in force is open in every contract of the network, that could be paid.
create function may_yet_be_paid(of_seq bigint, of_network text) returns boolean
language sql stable as $$
    select of_seq >> 40 < g.generation
       and exists (select 1 from lanes where network = of_network and generation < g.generation)
    from (select max(generation) as generation from generations) g
$$;
create function refuse_refund() returns trigger language plpgsql as $$
begin
    if new.state = 'voided' and may_yet_be_paid(old.seq, old.network) then
        raise exception 'withdrawal % may yet be paid by a ledger that was lost', old.id;
    end if;
    if new.state = 'voided' and exists (select 1 from attempts where withdrawal_id = old.id) then
        raise exception 'withdrawal % was tried: its number must be used up first', old.id;
    end if;
    if new.state = 'unknown' and not exists (
        select 1 from attempts a where (a.slot_id, a.withdrawal_id) = (new.slot_id, old.id)
    ) then
        raise exception 'withdrawal % was never tried: there is nothing to hold', old.id;
    end if;
    return new;
end $$;
create trigger withdrawal_refunds before update of state on withdrawals for each row
    when (old.state = 'reserved' and new.state in ('voided', 'unknown'))
    execute function refuse_refund();
create function refuse_unresolved() returns trigger language plpgsql as $$
begin
    if not exists (
        select 1 from resolutions r
        where (r.withdrawal_id, r.seq) = (old.id, old.seq)
          and ((new.state = 'posted' and r.state = 'paid')
            or (new.state = 'voided' and r.state = 'cancelled' and r.decision = 'void')
            or (new.state = 'reserved' and r.state = 'cancelled' and r.decision = 'pay'
                and new.seq <> old.seq))
    ) then
        raise exception 'withdrawal % is held: nothing on record leads from unknown to %',
            old.id, new.state;
    end if;
    return new;
end $$;
create trigger withdrawal_resolutions before update of state on withdrawals for each row
    when (old.state = 'unknown' and new.state <> 'unknown')
    execute function refuse_unresolved();

create table topups (
    id           uuid primary key,
    network      text not null,
    asset        text not null,
    from_wallet  text not null,
    to_wallet    text not null,
    amount       numeric(78, 0) not null check (amount > 0),
    state        text not null check (state in ('requested', 'slotted', 'posted')),
    justification text not null check (length(justification) > 0),
    slot_id      bigint unique references slots,
    seq          bigint,                -- of its bit in the reserve's contract
    requested_at timestamptz not null default clock_timestamp(),
    check ((state = 'requested') = (slot_id is null)),
    check ((seq is null) = (slot_id is null))
);
create unique index topups_one_at_a_time on topups (to_wallet, asset) where state <> 'posted';

-- What a wallet may still pay out: its balance on chain less what its slots will pay. Written by
-- the settler that holds its lane, and raised by the treasury by what it books as a surplus. A
-- restore may leave less than nothing: more has left than the ledger says came in, until it posts
-- the top-ups that the lost one had made. Nobody else takes what is not there.
create table floats (
    wallet    text not null,
    network   text not null,
    asset     text not null,
    available numeric(78, 0) not null,
    primary key (wallet, asset)
);
create function refuse_overdraft() returns trigger language plpgsql as $$
begin
    if new.available < least(old.available, 0)
       and not pg_has_role(session_user, (select relowner from pg_class where oid = tg_relid),
                           'member') then
        raise exception '% may not pay % %', new.wallet, old.available - new.available, new.asset;
    end if;
    return new;
end $$;
create trigger floats_are_not_overdrawn before update of available on floats for each row
    execute function refuse_overdraft();

create table swaps (
    id          uuid primary key,
    customer_id bigint not null references customers,
    network     text not null,
    sell_asset  text not null,
    sell_amount numeric(78, 0) not null check (sell_amount > 0),
    buy_asset   text not null check (buy_asset <> sell_asset),
    buy_amount  numeric(78, 0) not null check (buy_amount > 0),
    mode_epoch  bigint not null,
    at          timestamptz not null default clock_timestamp()
);

-- Money on a chain that no posting explains, found at a finalized block; insert only.
create table surpluses (
    id           bigint generated always as identity primary key,
    bucket       text   not null,
    network      text   not null,
    wallet       text   not null,
    asset        text   not null,
    amount       numeric(78, 0) not null check (amount > 0),
    block_number bigint not null check (block_number >= 0),
    unique (wallet, asset, block_number)
);

-- One event of the ledger; insert only. People post identify: whose a surplus was.
create table postings (
    id            bigint generated always as identity primary key,
    kind          text not null check (kind in ('fund', 'reserve', 'post', 'void', 'topup',
                                                'swap', 'surplus', 'identify')),
    withdrawal_id uuid references withdrawals,
    topup_id      uuid references topups,
    swap_id       uuid references swaps,
    surplus_id    bigint references surpluses,
    approval_id   uuid references approvals,
    at            timestamptz not null default clock_timestamp(),
    check ((kind in ('reserve', 'post', 'void')) = (withdrawal_id is not null)),
    check ((kind = 'topup') = (topup_id is not null)),
    check ((kind = 'swap') = (swap_id is not null)),
    check ((kind in ('surplus', 'identify')) = (surplus_id is not null))
);
create unique index postings_reserve_once on postings (withdrawal_id) where kind = 'reserve';
create unique index postings_resolve_once on postings (withdrawal_id)
    where kind in ('post', 'void');
create unique index postings_topup_once on postings (topup_id) where kind = 'topup';
create unique index postings_swap_once on postings (swap_id) where kind = 'swap';
create unique index postings_approval_once on postings (approval_id)
    where approval_id is not null;
create unique index postings_surplus_once on postings (surplus_id, kind)
    where kind in ('surplus', 'identify');

-- The amounts of a posting by account; insert only.
create table entries (
    id         bigint generated always as identity primary key,
    posting_id bigint not null references postings,
    account_id bigint not null references accounts,
    amount     numeric(78, 0) not null check (amount <> 0)
);
create index entries_by_posting on entries (posting_id);
create index entries_by_account on entries (account_id);

create function entries_balance() returns trigger language plpgsql as $$
begin
    if exists (
        select 1 from added join accounts a on a.id = added.account_id
        group by added.posting_id, a.network, a.asset having sum(added.amount) <> 0
    ) then
        raise exception 'a posting does not sum to zero per network and asset';
    end if;
    if exists (
        select 1 from added
        join accounts a on a.id = added.account_id
        join postings p on p.id = added.posting_id
        where p.approval_id is null
        group by added.posting_id having count(distinct a.bucket) > 1
    ) then
        raise exception 'a posting crosses buckets without an approval';
    end if;
    -- Entries are positive where the venue owes less, so a bucket that gives has a positive sum.
    if exists (
        select 1 from (
            select e.posting_id, a.network, a.asset, a.bucket, e.amount
            from (select distinct posting_id from added) used
            join postings p on p.id = used.posting_id and p.approval_id is not null
            join entries e on e.posting_id = p.id
            join accounts a on a.id = e.account_id
            union all
            select p.id, m.network, m.asset, side.bucket, side.amount
            from (select distinct posting_id from added) used
            join postings p on p.id = used.posting_id
            join approved_moves m on m.approval_id = p.approval_id
            cross join lateral (values (m.from_bucket, -m.amount), (m.to_bucket, m.amount))
                as side (bucket, amount)
        ) moved
        group by posting_id, network, asset, bucket having sum(amount) <> 0
    ) then
        raise exception 'a posting moves something else between buckets than its approval names';
    end if;
    return null;
end $$;
-- All entries of a posting are inserted by one statement: a later statement could only unbalance
-- it.
create trigger entries_balance after insert on entries
    referencing new table as added for each statement execute function entries_balance();

-- Counters that api and settlers commit with their batches; the mode controller reads them. Insert
-- only.
create table flow (
    id          bigint generated always as identity primary key,
    kind        text   not null check (kind in ('reserved', 'posted', 'voided', 'signing_failed')),
    network     text   not null,
    asset       text,
    size        text,
    count       int    not null check (count > 0),
    value_micro bigint not null check (value_micro >= 0),
    reserved_at timestamptz check (reserved_at is null or kind = 'voided'),  -- commit of what it
                                                                             -- takes back
    at          timestamptz not null default clock_timestamp()
);

-- The mode: the one row that every claim and every reservation reads.
create table mode (
    only_row boolean primary key default true check (only_row),
    epoch    bigint not null,
    tier     text   not null check (tier in ('normal', 'stressed', 'protected')),
    reason   text   not null,
    since    timestamptz not null default clock_timestamp()
);

-- Every change of the mode, with the sample that it was decided on; insert only.
create table mode_log (
    epoch          bigint primary key,
    previous       text   not null,
    tier           text   not null,
    reason         text   not null check (length(reason) > 0),
    trigger_name   text,                -- null on the way back to a calmer tier
    indicators     jsonb  not null,
    sample_flow_id bigint not null,     -- newest flow row that the sample contained
    sampled_at     timestamptz not null,
    at             timestamptz not null default clock_timestamp()
);

-- The heartbeat of the mode controller. Without a recent one no slot is claimed. Who does not hold
-- it decides nothing: another mode controller waits until the holder has been silent for a while.
-- Taking the lease is no heartbeat: only who has decided renews it.
create table mode_controller_lease (
    only_row boolean primary key default true check (only_row),
    holder   text not null,
    renewed_at  timestamptz not null,
    taken_at    timestamptz not null default clock_timestamp()
);

-- Decisions with their justification; append only, hash-chained per writer, one process per writer.
create table journal (
    writer        text   not null,
    n             bigint not null,
    kind          text   not null,
    justification text   not null check (length(justification) > 0),
    body          jsonb  not null,
    previous_hash bytea  not null,
    hash          bytea  not null,
    at            timestamptz not null default clock_timestamp(),
    primary key (writer, n)
);

-- Each role writes under its own name, so that none can forge what another has decided, nor take
-- the next number from it. session_user is who connected; a role cannot change it.
create function refuse_other_writer() returns trigger language plpgsql as $$
begin
    if (session_user, new.writer) not in (('seawall_mode_controller', 'mode-controller'),
                                          ('seawall_treasury', 'treasury'),
                                          ('seawall_operator', 'venue-operator'))
       and not pg_has_role(session_user, (select relowner from pg_class where oid = tg_relid),
                           'member') then
        raise exception '% does not write the journal of %', session_user, new.writer;
    end if;
    return new;
end $$;
create trigger journal_of_its_writer before insert on journal for each row
    execute function refuse_other_writer();

-- People who may act on the venue; of a token only the digest is kept. The owner enrolls them.
create table operators (
    name         text primary key check (length(name) > 0),
    token_sha256 bytea not null unique check (length(token_sha256) = 32),
    may          text[] not null check (
        may <> '{}' and may <@ array['see', 'decide', 'halt', 'tier', 'override']),
    enrolled_at  timestamptz not null default clock_timestamp(),
    revoked_at   timestamptz
);

-- What people order: that nothing is claimed (halt), or that the tier is at least, or exactly, this
-- one. Each ends by itself; insert only.
create table orders (
    id            bigint generated always as identity primary key,
    kind          text not null check (kind in ('halt', 'at_least', 'exactly')),
    network       text check (network is null or kind = 'halt'),  -- null: all
    tier          text check (tier in ('normal', 'stressed', 'protected')),
    operator      text not null references operators,
    justification text not null check (length(justification) > 0),
    ends_at       timestamptz not null,
    at            timestamptz not null default clock_timestamp(),
    check ((kind = 'halt') = (tier is null)),
    check (ends_at > at)
);

-- An order that was ended before its time; insert only.
create table order_endings (
    order_id      bigint primary key references orders,
    operator      text not null references operators,
    justification text not null check (length(justification) > 0),
    at            timestamptz not null default clock_timestamp()
);

create view orders_in_force as
    select o.* from orders o
    where o.ends_at > clock_timestamp()
      and not exists (select 1 from order_endings e where e.order_id = o.id);

-- What operators, or callers whom nobody knows, were not allowed to do; insert only.
create table operator_denials (
    id       bigint generated always as identity primary key,
    operator text references operators,
    action   text not null,
    reason   text not null,
    request  text not null,              -- as it came, which jsonb might refuse
    at       timestamptz not null default clock_timestamp()
);
create index operator_denials_unknown on operator_denials (id) where operator is null;
create index operator_denials_known on operator_denials (operator, at) where operator is not null;

create table tickets (
    id          bigint generated always as identity primary key,
    customer_id bigint not null references customers,
    kind        text not null,
    text        text not null,
    at          timestamptz not null default clock_timestamp()
);

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append only', tg_table_name;
end $$;
do $$
declare t text;
begin
    foreach t in array array['postings', 'entries', 'surpluses', 'flow', 'mode_log', 'lane_log',
                             'slot_events', 'journal', 'approvals', 'approved_moves',
                             'attempts', 'generations', 'orders', 'order_endings',
                             'operator_denials', 'signed_amounts', 'displaced'] loop
        execute format('create trigger append_only before update or delete or truncate on %I '
                       'for each statement execute function refuse_change()', t);
    end loop;
end $$;

create function refuse_other_bytes() returns trigger language plpgsql as $$
begin
    raise exception '% keeps the bytes that were signed first', tg_table_name;
end $$;
create trigger signed_once before update of raw, tx_hash on slots for each row
    when (old.raw is not null
          and (old.raw, old.tx_hash) is distinct from (new.raw, new.tx_hash))
    execute function refuse_other_bytes();
create trigger signed_once before update of raw, tx_hash on replacements for each row
    when (old.raw is not null
          and (old.raw, old.tx_hash) is distinct from (new.raw, new.tx_hash))
    execute function refuse_other_bytes();
create trigger signed_once before update of raw, tx_hash on sign_log for each row
    when (old.raw is not null
          and (old.raw, old.tx_hash) is distinct from (new.raw, new.tx_hash))
    execute function refuse_other_bytes();
create trigger signed_once before update of raw, tx_hash on sign_log_replacements for each row
    when (old.raw is not null
          and (old.raw, old.tx_hash) is distinct from (new.raw, new.tx_hash))
    execute function refuse_other_bytes();

-- Grants. Roles belong to the cluster and are created by genesis; no role but the owner has more
-- rights than these.
grant select on all tables in schema public
    to seawall_api, seawall_settler, seawall_mode_controller, seawall_treasury, seawall_auditor,
       seawall_operator;
grant insert on withdrawals, postings, entries, flow, tickets, swaps, approvals, approved_moves
    to seawall_api;
grant update (available) on balances to seawall_api;
grant update (state, reason, slot_id, held_because) on withdrawals to seawall_api;
-- A customer may have back what is held; anything else is for an operator to decide.
grant insert (withdrawal_id, seq, decision, actor, justification) on resolutions to seawall_api;
grant insert (withdrawal_id, seq, decision, destination, actor, justification) on resolutions
    to seawall_operator;
grant insert on orders, order_endings, operator_denials, journal to seawall_operator;
grant insert on slots, slot_events, postings, entries, flow, lane_log to seawall_settler;
grant update (state, signer_region, tx_hash, raw, mined_hash, block_number, block_hash,
              admitted_epoch, purpose, data, digest, gas_limit, max_fee_wei, priority_fee_wei)
    on slots to seawall_settler;
grant insert (slot_id, n, max_fee_wei, priority_fee_wei) on replacements to seawall_settler;
grant update (raw, tx_hash, signer_region) on replacements to seawall_settler;
grant update (holder, epoch, signer_region, next_nonce, generation) on lanes to seawall_settler;
grant update (available) on floats to seawall_settler;
grant update (state, slot_id, seq) on topups to seawall_settler;
grant update (state, reason, slot_id, held_because, seq, paid_to, queued_at) on withdrawals
    to seawall_settler;
grant insert on attempts to seawall_settler;
grant update (state, slot_id, found) on resolutions to seawall_settler;
grant insert, update, delete on asset_pauses, settler_leases to seawall_settler;
-- The settler gives money back to a customer through a function alone, which the constraints above
-- restrict to what is held and cancelled on the chain; it must not have the right to raise balances.
create function give_back_held(of_withdrawals uuid[], why text[]) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
declare
    given bigint;
begin
    -- In the order in which intake locks them.
    perform 1 from balances b where b.account_id in (
        select e.account_id from postings r join entries e on e.posting_id = r.id
        where r.kind = 'reserve' and r.withdrawal_id = any(of_withdrawals)
    ) order by b.account_id for update;
    with voided as (
        update withdrawals w set state = 'voided', reason = d.why, held_because = null
        from unnest(of_withdrawals, why) as d (id, why)
        where w.id = d.id and w.state = 'unknown'
        returning w.id, w.network, w.asset, w.size, w.value_micro
    ), posted as (
        insert into postings (kind, withdrawal_id)
        select 'void', id from voided returning id, withdrawal_id
    ), entered as (
        insert into entries (posting_id, account_id, amount)
        select p.id, e.account_id, -e.amount
        from posted p
        join postings r on r.withdrawal_id = p.withdrawal_id and r.kind = 'reserve'
        join entries e on e.posting_id = r.id
        returning account_id, amount
    ), due as (
        select account_id, sum(amount) as amount, count(*) as entries from entered
        group by account_id
    ), given_back as (
        update balances b set available = b.available - d.amount
        from due d where b.account_id = d.account_id returning d.entries
    ), counted as (
        insert into flow (kind, network, asset, size, count, value_micro, reserved_at)
        select 'voided', v.network, v.asset, v.size, 1, v.value_micro,
               pg_xact_commit_timestamp(r.xmin)
        from voided v join postings r on r.withdrawal_id = v.id and r.kind = 'reserve'
        returning 1
    )
    select coalesce(sum(entries), 0) into given from given_back;
    return given;
end $$;
revoke execute on function give_back_held from public;
grant execute on function give_back_held to seawall_settler;
grant insert, update on mode, mode_controller_lease to seawall_mode_controller;
grant insert on mode_log, journal to seawall_mode_controller;
grant insert on topups, journal, surpluses, postings, entries to seawall_treasury;
grant update (available) on floats to seawall_treasury;
-- The mode controller may end sessions that keep a flip waiting: within a transaction, their client
-- has done nothing for a while, so it is frozen or cut off, and everybody waits behind it. They hold
-- the mode lock (seawall/conventions/database.py), or something that a holder of it waits for. No
-- other session. On a managed server the owner needs pg_signal_backend and pg_read_all_stats, which
-- its first user has.
create function end_idle_holders() returns table (pid integer, client text)
language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
    -- Materialized: else the planner may end sessions before it has looked what they hold.
    with recursive holders (pid) as (
        select l.pid from pg_locks l
        where l.locktype = 'advisory' and l.granted and l.objsubid = 1
          and l.database = (select oid from pg_database where datname = current_database())
          and (l.classid::bigint << 32 | l.objid::bigint) = x'5EA0001'::bigint
        union
        select unnest(pg_blocking_pids(holders.pid)) from holders
    ), idle as materialized (
        select a.pid, a.application_name
        from holders join pg_stat_activity a on a.pid = holders.pid
        where a.state like 'idle in transaction%'
          and clock_timestamp() - a.state_change >= interval '250 ms'
    )
    select idle.pid, idle.application_name from idle where pg_terminate_backend(idle.pid)
$$;
revoke execute on function end_idle_holders from public;
grant execute on function end_idle_holders to seawall_mode_controller;
-- The signer reads lanes, to check the epoch, and writes its own logs. The settler cannot write the
-- sign log, and the signer cannot move money. While the signer writes, it locks the lane through a
-- function, because a row lock needs the right to update, which the signer must not have.
create function hold_lane(of_chain_id bigint, of_address text) returns bigint
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
    select epoch from lanes where chain_id = of_chain_id and address = of_address for share
$$;
revoke execute on function hold_lane from public;
grant execute on function hold_lane to seawall_signer;
-- What a nonce is for, by the venue's records; the signer cannot read what else is there. What
-- opens a nonce must be allowed by the mode; what replaces its transaction pays nothing more.
create function slot_to_sign(of_chain_id bigint, of_address text, of_nonce bigint)
returns table (digest bytea, gas_limit bigint, max_fee_wei numeric, priority_fee_wei numeric,
               opens boolean, admitted_epoch bigint, mode_epoch bigint)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
    select s.digest, s.gas_limit, s.max_fee_wei, s.priority_fee_wei, true, s.admitted_epoch,
           m.epoch
    from slots s cross join mode m
    where (s.chain_id, s.address, s.nonce) = (of_chain_id, of_address, of_nonce)
      and s.state = 'open'
    union all
    select s.digest, s.gas_limit, r.max_fee_wei, r.priority_fee_wei, false, s.admitted_epoch,
           m.epoch
    from slots s join replacements r on r.slot_id = s.id cross join mode m
    where (s.chain_id, s.address, s.nonce) = (of_chain_id, of_address, of_nonce)
      and s.state not in ('open', 'final') and r.raw is null
$$;
revoke execute on function slot_to_sign from public;
grant execute on function slot_to_sign to seawall_signer;
grant select on lanes to seawall_signer;
grant select, insert on sign_log, signed_amounts, sign_log_replacements to seawall_signer;
grant update (raw, tx_hash, signed_by, signed_at) on sign_log_replacements to seawall_signer;
grant select, insert on proof_log, proof_signatures to seawall_signer;
grant update (raw, tx_hash, signed_by, signed_at) on sign_log to seawall_signer;
