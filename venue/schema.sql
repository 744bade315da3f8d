-- The schema of the venue's database. Rules that must never break are constraints and grants here;
-- no code has to remember them.
--
-- Evidence: rows whose commit time matters (postings, slot_events, lane_log, mode_log, flow) are
-- inserted once and never updated, so pg_xact_commit_timestamp(xmin) stays the time at which they
-- became true (track_commit_timestamp = on).
--
-- Signs: what the venue holds (hot, reserve, cold, at_primary, at_standby) is positive; what it owes (customer, reserved,
-- clearing, escrow) is negative. So is what it owes to itself: inventory, with which customers trade,
-- and own, with which they do not, and unidentified, which it owes to senders whom it does not know.
-- in_transit is what left for another network (positive) or came from one (negative): over all
-- networks it is what a carrier has of the venue's.
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
                                              'cold', 'inventory', 'own', 'unidentified',
                                              'at_primary', 'at_standby', 'escrow', 'in_transit')),
    customer_id bigint references customers,
    of_escrow   boolean not null default false,  -- of the bucket that owes what is in escrow
    check ((kind = 'customer') = (customer_id is not null)),
    -- No withdrawal is reserved in that bucket, paid over a rail or traded from it.
    check (not of_escrow or kind in ('escrow', 'own', 'hot', 'reserve', 'cold', 'unidentified')),
    check (kind <> 'escrow' or of_escrow),
    unique nulls not distinct (bucket, network, asset, kind, customer_id)
);
create index accounts_by_customer on accounts (customer_id) where customer_id is not null;
create index accounts_of_escrow on accounts (bucket) where of_escrow;
create function refuse_half_escrow() returns trigger language plpgsql as $$
begin
    if exists (
        select 1 from (select distinct bucket from added where not of_escrow) plain
        join accounts a on a.bucket = plain.bucket and a.of_escrow
    ) or exists (
        select 1 from (select distinct bucket from added where of_escrow) escrow
        join accounts a on a.bucket = escrow.bucket and not a.of_escrow
    ) then
        raise exception 'all accounts of a bucket are of escrow, or none is';
    end if;
    return null;
end $$;
create trigger accounts_of_escrow after insert on accounts
    referencing new table as added for each statement execute function refuse_half_escrow();

-- Wallets of the bucket that owes what is in escrow. None of them has a lane or a float, so no slot
-- pays out of it, and no withdrawal is in such a slot.
create table escrow_wallets (
    wallet text primary key
);
create function refuse_escrow_wallet() returns trigger language plpgsql as $$
begin
    if exists (select 1 from escrow_wallets e where e.wallet = new.wallet) then
        raise exception 'nothing is paid out of %: it stands against what is in escrow', new.wallet;
    end if;
    return new;
end $$;
-- Nor does an approval, a cold transfer or a rebalance bring money into it from another bucket, or
-- take any out to one (a top-up goes between lanes): the coins would be there, and no more could be
-- in escrow for them, or the other way round. What comes from outside is a surplus like any other;
-- once people have identified it as the bucket's own, there is room for as much more
-- (docs/runbooks/unidentified-money.md).
create function refuse_escrow_movement() returns trigger language plpgsql as $$
begin
    if (select count(*) from escrow_wallets e
        where e.wallet in (new.from_wallet, new.to_wallet)) = 1 then
        raise exception 'nothing moves from % to %: one of them stands against what is in escrow',
            new.from_wallet, new.to_wallet;
    end if;
    return new;
end $$;

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

-- What an approval allows: so much of what one bucket owes, or holds, becomes the other's.
create table approved_moves (
    approval_id uuid   not null references approvals,
    network     text   not null,
    asset       text   not null,
    from_bucket text   not null,
    to_bucket   text   not null check (to_bucket <> from_bucket),
    amount      numeric(78, 0) not null check (amount > 0),
    what        text   not null default 'owed' check (what in ('owed', 'held')),
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
    primary key (chain_id, address),
    unique (network, wallet),
    unique (network, wallet, address)
);

create trigger lanes_not_of_escrow before insert or update of wallet on lanes for each row
    execute function refuse_escrow_wallet();

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
    opened_at  timestamptz not null default clock_timestamp(),
    -- Two ledgers restored from the same moment count the same generation: this tells them apart.
    key        uuid   not null default gen_random_uuid()
);
insert into generations (generation, reason) values (0, 'The venue was founded.');
-- The last one, with the id that it uses up at the providers of rails (section "Rails").
create view generation_in_force as
    select generation, 'generation-' || generation || '-' || key as mark
    from generations order by generation desc limit 1;

-- The two providers of a rail over which withdrawals are paid: an exchange, or a processor (section
-- "Rails"). A rail stands where others have a network.
create table rail_providers (
    rail       text   not null,
    side       text   not null check (side in ('primary', 'standby')),
    name       text   not null unique,
    generation bigint not null default 0,  -- of the ledger that was last opened there
    primary key (rail, side)
);

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
                                                     'generation', 'approval', 'gas', 'sweep')),
    to_address    text   not null check (to_address ~ '^0x[0-9a-f]{40}$'),
    value         numeric(78, 0) not null check (value >= 0),
    data          bytea  not null,
    gas_limit     bigint not null check (gas_limit > 0),
    max_fee_wei   numeric(78, 0) not null,
    priority_fee_wei numeric(78, 0) not null,
    digest        bytea  not null check (length(digest) = 32),
    offered_epoch bigint,               -- of the lane when a signer was first to sign it
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

-- What a nonce is used for never changes once it was offered to a signer, which may have recorded it
-- in its own database (venue/sign_log.sql).
create function refuse_other_use() returns trigger language plpgsql as $$
begin
    if old.state <> 'open' or old.offered_epoch is not null then
        raise exception 'nonce % of % is signed, or may be, and keeps its use',
            old.nonce, old.address;
    end if;
    return new;
end $$;
create trigger slots_keep_their_use
    before update of purpose, data, digest, gas_limit, max_fee_wei, priority_fee_wei on slots
    for each row execute function refuse_other_use();

-- What a slot was for on record before a restore found that a transaction of a lost ledger had used
-- up its nonce: the slot and its replacements, which can never be in a block; insert only.
create table displaced (
    slot_id      bigint not null references slots,
    displaced_by text   not null,       -- hash of the transaction that the chain has
    slot         jsonb  not null,
    replacements jsonb  not null,
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
    destination    text   not null  -- as asked for: an address, or an account at a bank
                   check (destination ~ '^(0x[0-9a-f]{40}|[A-Z]{2}[0-9]{2}[A-Z0-9]{10,30})$'),
    paid_to        text   check (paid_to ~ '^0x[0-9a-f]{40}$'),  -- instead, as people decided
    state          text   not null check (state in ('reserved', 'slotted', 'instructed', 'posted',
                                                    'voided', 'unknown')),
    reason         text,                -- for the customer: why it is deferred, voided or unknown
    slot_id        bigint references slots,
    instruction_id bigint,              -- to a provider of its rail, in place of a slot
    held_because   text check (held_because in ('refused', 'disputed')),
    requested_at   timestamptz not null default clock_timestamp(),
    queued_at      timestamptz not null default clock_timestamp(),  -- again when it is paid anew
    check ((state in ('slotted', 'unknown')) <= (slot_id is not null)),
    check ((state = 'instructed') <= (instruction_id is not null)),
    check (state <> 'posted' or slot_id is not null or instruction_id is not null),
    check (slot_id is null or instruction_id is null),
    check ((state in ('voided', 'unknown')) <= (reason is not null)),
    check ((state = 'unknown') = (held_because is not null)),
    check (state <> 'reserved' or (slot_id is null and instruction_id is null))
);
create index withdrawals_claimable on withdrawals (network, asset, size, seq)
    where state = 'reserved';
create index withdrawals_instructed on withdrawals (network) where state = 'instructed';
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
-- anew, post. Over a rail: instruct, post, release, give back (section "Rails"). The api may only cancel what waits: what no slot was ever to pay is given back at
-- once, all else is held until its number is used up. Nobody leads out of `unknown` but by a
-- resolution whose number in the contract is known to be used up at finality.
create trigger withdrawal_transitions before update of state on withdrawals for each row
    when (old.state <> new.state and (
        (old.state, new.state) not in (('reserved', 'slotted'), ('slotted', 'posted'),
                                       ('slotted', 'unknown'), ('slotted', 'reserved'),
                                       ('reserved', 'voided'), ('reserved', 'unknown'),
                                       ('unknown', 'voided'), ('unknown', 'reserved'),
                                       ('unknown', 'posted'),
                                       ('reserved', 'instructed'), ('instructed', 'posted'),
                                       ('instructed', 'reserved'), ('instructed', 'voided'))
        or (current_user = 'seawall_api'
            and (old.state, new.state) not in (('reserved', 'voided'), ('reserved', 'unknown')))
        -- Whatever else follows from a statement is posted with it, by functions.
        or (current_user = 'seawall_rails'
            and (old.state, new.state) not in (('reserved', 'instructed'),
                                               ('instructed', 'reserved')))))
    execute function refuse_transition();
-- Whether a ledger that was lost may have signed a payment of a number that this one never tried to
-- pay: until the generation in force is open in every contract of the network, that could be paid;
-- over a rail, until it was opened at both providers.
create function may_yet_be_paid(of_seq bigint, of_network text) returns boolean
language sql stable as $$
    select of_seq >> 40 < g.generation
       and (exists (select 1 from lanes where network = of_network and generation < g.generation)
            or exists (select 1 from rail_providers
                       where rail = of_network and generation < g.generation))
    from (select max(generation) as generation from generations) g
$$;
create function refuse_refund() returns trigger language plpgsql as $$
begin
    if old.state = 'reserved' and new.state = 'voided'
       and may_yet_be_paid(old.seq, old.network) then
        raise exception 'withdrawal % may yet be paid by a ledger that was lost', old.id;
    end if;
    if new.state = 'voided' and exists (select 1 from attempts where withdrawal_id = old.id) then
        raise exception 'withdrawal % was tried: its number must be used up first', old.id;
    end if;
    if new.state = 'voided' and exists (
        select 1 from rail_unexplained where withdrawal_id = old.id
    ) then
        raise exception 'a provider may have paid withdrawal %: nothing explains what it says',
            old.id;
    end if;
    if new.state = 'unknown' and not exists (
        select 1 from attempts a where (a.slot_id, a.withdrawal_id) = (new.slot_id, old.id)
    ) then
        raise exception 'withdrawal % was never tried: there is nothing to hold', old.id;
    end if;
    return new;
end $$;
create trigger withdrawal_refunds before update of state on withdrawals for each row
    when (old.state in ('reserved', 'instructed') and new.state in ('voided', 'unknown'))
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

-- What moves between a hot wallet and its reserve. Into the hot wallet it is a top-up; out of it, a
-- sweep: what the wallet holds beyond what the policy lets it hold.
create table topups (
    id           uuid primary key,
    n            bigint generated always as identity unique,  -- a sweep's number in its contract
    network      text not null,
    asset        text not null,
    from_wallet  text not null,
    to_wallet    text not null,
    amount       numeric(78, 0) not null check (amount > 0),
    -- taken_back: no window of the signer's caps would take it any more; another is asked for
    state        text not null check (state in ('requested', 'slotted', 'posted', 'taken_back')),
    justification text not null check (length(justification) > 0),
    slot_id      bigint unique references slots,
    seq          bigint,                -- of its bit in the contract that pays it
    restored     boolean not null default false,  -- found on the chain, where several may be
    requested_at timestamptz not null default clock_timestamp(),
    -- Both ends have a lane: one pays it, and the other's money it becomes. Escrow has none.
    foreign key (network, from_wallet) references lanes (network, wallet),
    foreign key (network, to_wallet) references lanes (network, wallet),
    check ((state in ('requested', 'taken_back')) = (slot_id is null)),
    check ((seq is null) = (slot_id is null))
);
create unique index topups_one_at_a_time on topups (to_wallet, asset)
    where state in ('requested', 'slotted') and not restored;

-- Keys of lanes whose gas money is to be refilled: the contract that pays for gas says by how much,
-- and it is in no account. The lane of another key does it, so that a key which has nothing left is
-- refilled as well. What came of it the key's balance says; a later look asks again.
create table gas_refills (
    id           uuid primary key,
    network      text not null,
    wallet       text not null,         -- whose key
    address      text not null check (address ~ '^0x[0-9a-f]{40}$'),
    state        text not null check (state in ('requested', 'slotted', 'done')),
    justification text not null check (length(justification) > 0),
    slot_id      bigint unique references slots,
    requested_at timestamptz not null default clock_timestamp(),
    check ((state = 'requested') = (slot_id is null)),
    foreign key (network, wallet, address) references lanes (network, wallet, address)
);
create unique index gas_refills_one_at_a_time on gas_refills (wallet)
    where state in ('requested', 'slotted');

-- What a wallet may still pay out: its balance on chain less what its slots will pay. Written by
-- the settler that holds its lane, and raised by the treasury by what it books as a surplus. A
-- restore may leave less than nothing: more has left than the ledger says came in, until it posts
-- the top-ups that the lost one had made. So may a payment that was given back and was made after
-- all, if somebody else has been promised the money meanwhile: what a slot then fails to pay raises it
-- again. Nobody else takes what is not there.
create table floats (
    wallet    text not null,
    network   text not null,
    asset     text not null,
    available numeric(78, 0) not null,
    primary key (wallet, asset)
);
create trigger floats_not_of_escrow before insert or update of wallet on floats for each row
    execute function refuse_escrow_wallet();
create function refuse_overdraft() returns trigger language plpgsql as $$
begin
    if new.available < least(old.available, 0)
       and not pg_has_role(current_user, (select relowner from pg_class where oid = tg_relid),
                           'member') then
        raise exception '% may not pay % %', new.wallet, old.available - new.available, new.asset;
    end if;
    return new;
end $$;
create trigger floats_are_not_overdrawn before update of available on floats for each row
    execute function refuse_overdraft();
-- As the owner: a float that stopped at zero would be too high for good.
create function lower_float(of_wallet text, of_asset text, paid numeric) returns void
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
    update floats set available = available - paid
    where (wallet, asset) = (of_wallet, of_asset) and paid > 0
$$;
revoke execute on function lower_float from public;

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
                                                'swap', 'surplus', 'identify', 'transfer',
                                                'sweep', 'cold', 'bid', 'settle', 'refund',
                                                'rebalance')),
    withdrawal_id uuid references withdrawals,
    topup_id      uuid references topups,
    swap_id       uuid references swaps,
    surplus_id    bigint references surpluses,
    approval_id   uuid references approvals,
    request_id    uuid,                 -- of a transfer, which is posted under its approval
    cold_id       uuid,                 -- of a cold transfer, which is posted under its approval
    bid_id        uuid,                 -- of a bid, whose money it takes into escrow or out of it
    rebalance_id  uuid,                 -- of what came from another network
    at            timestamptz not null default clock_timestamp(),
    check ((kind in ('reserve', 'post', 'void')) = (withdrawal_id is not null)),
    check ((kind in ('topup', 'sweep')) = (topup_id is not null)),
    check ((kind = 'swap') = (swap_id is not null)),
    check ((kind in ('surplus', 'identify')) = (surplus_id is not null)),
    check ((kind = 'transfer') = (request_id is not null)),
    check ((kind = 'cold') = (cold_id is not null)),
    check ((kind in ('bid', 'settle', 'refund')) = (bid_id is not null)),
    check ((kind = 'rebalance') = (rebalance_id is not null)),
    check (bid_id is null or approval_id is not null),
    -- What a withdrawal does stays in its bucket, whoever would approve of anything else.
    check (withdrawal_id is null or approval_id is null),
    check (request_id is null or request_id = approval_id),
    check (cold_id is null or cold_id = approval_id)
);
create unique index postings_reserve_once on postings (withdrawal_id) where kind = 'reserve';
create unique index postings_resolve_once on postings (withdrawal_id)
    where kind in ('post', 'void');
create unique index postings_topup_once on postings (topup_id) where topup_id is not null;
create unique index postings_swap_once on postings (swap_id) where kind = 'swap';
create unique index postings_approval_once on postings (approval_id)
    where approval_id is not null;
create unique index postings_transfer_once on postings (request_id)
    where request_id is not null;
create unique index postings_cold_once on postings (cold_id) where cold_id is not null;
create unique index postings_bid_once on postings (bid_id, (kind = 'bid'))
    where bid_id is not null;   -- taken once, and settled or refunded once
create unique index postings_rebalance_once on postings (rebalance_id)
    where rebalance_id is not null;
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
declare
    crossing boolean;
    taking boolean;
begin
    if exists (
        select 1 from added join accounts a on a.id = added.account_id
        group by added.posting_id, a.network, a.asset having sum(added.amount) <> 0
    ) then
        raise exception 'a posting does not sum to zero per network and asset';
    end if;
    -- What is in escrow, and what stands against it, moves by bids alone: no withdrawal touches the
    -- bucket, whatever it is of.
    select bool_or(p.approval_id is null and p.buckets > 1),
           bool_or(p.bid_id is null and (p.escrow or p.of_escrow and p.withdrawal_id is not null))
    into crossing, taking
    from (
        select p.approval_id, p.bid_id, p.withdrawal_id, count(distinct a.bucket) as buckets,
               bool_or(a.of_escrow) as of_escrow, bool_or(a.kind = 'escrow') as escrow
        from added
        join accounts a on a.id = added.account_id
        join postings p on p.id = added.posting_id
        group by p.id
    ) p;
    if taking then
        raise exception 'a posting takes from escrow, or pays a withdrawal out of its bucket';
    end if;
    if crossing then
        raise exception 'a posting crosses buckets without an approval';
    end if;
    -- Entries are positive where the venue owes less, or holds more: a bucket that gives away what
    -- it owes has a positive sum, and one that gives away what it holds a negative one.
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
            cross join lateral (values
                (m.from_bucket, case m.what when 'owed' then -m.amount else m.amount end),
                (m.to_bucket, case m.what when 'owed' then m.amount else -m.amount end)
            ) as side (bucket, amount)
        ) moved
        group by posting_id, network, asset, bucket having sum(amount) <> 0
    ) then
        raise exception 'a posting moves something else between buckets than its approval names';
    end if;
    return null;
end $$;
create trigger entries_balance after insert on entries
    referencing new table as added for each statement execute function entries_balance();

-- All entries of a posting are inserted by one statement. A later one, of whatever transaction and
-- role, could only move something else under what was judged, and what no constraint judges again.
-- By the index alone: after a founding the planner believes that there are a dozen postings, and
-- would read all entries ever made for each batch, until the next ANALYZE.
create function refuse_more_entries() returns trigger language plpgsql
set enable_seqscan = off as $$
begin
    if (select count(*) from entries e
        where e.posting_id = any(array(select distinct posting_id from added)))
       <> (select count(*) from added) then
        raise exception 'a posting has entries already, and gets no more';
    end if;
    return null;
end $$;
create trigger entries_once after insert on entries
    referencing new table as added for each statement execute function refuse_more_entries();

-- It is the statement that inserts the posting. One that was committed without entries could get its
-- first ones by two sessions at once, neither of which sees the other's.
create function refuse_empty_posting() returns trigger language plpgsql
set enable_seqscan = off as $$
begin
    if exists (
        select 1 from added p where not exists (select 1 from entries e where e.posting_id = p.id)
    ) then
        raise exception 'a posting has no entries: one statement inserts both';
    end if;
    return null;
end $$;
create trigger postings_entered after insert on postings
    referencing new table as added for each statement execute function refuse_empty_posting();

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
        may <> '{}' and may <@ array['see', 'decide', 'halt', 'tier', 'override', 'request',
                                     'approve']),
    key          text unique check (key ~ '^0x[0-9a-f]{40}$'),  -- address of what they sign with
    enrolled_at  timestamptz not null default clock_timestamp(),
    revoked_at   timestamptz,
    check (key is not null or not may @> array['approve'])
);

-- What operators ask a reserve's contract for (venue/contracts/reserve.vy), as approvers sign it.
-- A transfer moves amount of an asset into another wallet; a recipient is whom the reserve refills
-- from then on. What is to go to another network goes to its carrier (in_transit): the treasury asks
-- for that, and to_wallet is where it is to come out. Addresses and times are those of the message;
-- insert only.
create table approval_requests (
    id           uuid primary key,         -- the approval's, good for once
    kind         text   not null check (kind in ('transfer', 'recipient', 'fast_transfer')),
    network      text   not null,
    from_wallet  text   not null,          -- the reserve
    to_wallet    text   not null,
    from_bucket  text   not null,
    to_bucket    text   not null,
    to_class     text   not null check (to_class in ('hot', 'reserve', 'cold', 'in_transit')),
    to_address   text   not null check (to_address ~ '^0x[0-9a-f]{40}$'),
    asset        text,
    token        text   not null check (token ~ '^0x[0-9a-f]{40}$'),
    amount       numeric(78, 0) not null check (amount >= 0),
    use          text   not null check (length(use) > 0),
    not_before   bigint not null,          -- Unix seconds
    expires      bigint not null check (expires > not_before),
    operator     text   references operators,  -- null: the treasury
    requester    text   not null check (requester ~ '^0x[0-9a-f]{40}$'),  -- zero: has no key
    needed       int    not null check (needed > 1),
    needed_for_review int not null check (needed_for_review > 1),
    digest       bytea  not null check (length(digest) = 32),
    at           timestamptz not null default clock_timestamp(),
    check ((kind = 'recipient') = (asset is null) and (kind = 'recipient') = (amount = 0)),
    check ((to_class = 'in_transit') = (operator is null)),
    check (to_class <> 'in_transit' or kind = 'transfer' and from_bucket = to_bucket)
);

-- What approvers have signed: that it may be made, that it must not, or what a review has found;
-- insert only. The contract checks the signatures; here they are kept for it.
create table approval_signatures (
    request_id uuid  not null references approval_requests,
    act        text  not null check (act in ('approve', 'veto', 'review')),
    address    text  not null check (address ~ '^0x[0-9a-f]{40}$'),
    operator   text  not null references operators,
    signature  bytea not null check (length(signature) = 65),
    finding    text  check (length(finding) > 0),
    at         timestamptz not null default clock_timestamp(),
    primary key (request_id, act, address),
    check ((act = 'review') = (finding is not null))
);
alter table postings add foreign key (request_id) references approval_requests;
create function refuse_own_approval() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
    asked approval_requests;
begin
    -- Locked, so that of two findings at the same time one sees the other.
    select r.* into asked from approval_requests r where r.id = new.request_id for no key update;
    if new.act <> 'veto' and (new.operator = asked.operator or new.address = asked.requester) then
        raise exception '% has asked for approval % and cannot % it',
            new.operator, asked.id, new.act;
    end if;
    if new.act = 'review' and exists (
        select 1 from approval_signatures s
        where (s.request_id, s.act) = (new.request_id, 'review') and s.finding <> new.finding
    ) then
        raise exception 'a review of % with another finding is under way', asked.id;
    end if;
    return new;
end $$;
create trigger approvals_of_others before insert on approval_signatures for each row
    execute function refuse_own_approval();

-- Every slot that was to hand an approval, a veto or a review to a reserve's contract. A settler
-- makes one call of a request at a time; a restore may find several that are not posted yet.
create table approval_calls (
    slot_id    bigint primary key references slots,
    request_id uuid   not null references approval_requests,
    call       text   not null check (call in ('propose', 'execute', 'veto', 'review')),
    outcome    text   check (outcome in ('done', 'reverted', 'vetoed')),  -- at finality; vetoed:
                                                                          -- it reverted, for good
    ready_at   bigint,                     -- from when on the contract executes it, Unix seconds
    claimed_at timestamptz not null default clock_timestamp(),
    ended_at   timestamptz,
    check ((outcome is null) = (ended_at is null)),
    check ((ready_at is not null) = (call = 'propose' and outcome is not distinct from 'done'))
);
create index approval_calls_of_request on approval_calls (request_id);
create unique index approval_calls_once on approval_calls (request_id, call)
    where outcome = 'done';

-- How far each request has come, by what is on record. Times are those of the claim, so that a
-- deadline that is counted from them ends no later than the contract's.
create view approval_standing as
    select r.id as request_id, signed.approvals, signed.vetoes, signed.reviews,
           exists (select 1 from approvals a where a.id = r.id) as approved,
           coalesce(called.in_flight, false) as in_flight,
           coalesce(called.proposed, false) as proposed,
           coalesce(called.executed, false) as executed,
           coalesce(called.vetoed, false) as vetoed,
           coalesce(called.reviewed, false) as reviewed,
           called.ready_at, called.executed_at, called.reverted_at
    from approval_requests r
    cross join lateral (
        select count(*) filter (where s.act = 'approve') as approvals,
               count(*) filter (where s.act = 'veto') as vetoes,
               count(*) filter (where s.act = 'review') as reviews
        from approval_signatures s where s.request_id = r.id
    ) signed
    cross join lateral (
        select bool_or(c.outcome is null) as in_flight,
               bool_or(c.call = 'propose' and c.outcome = 'done') as proposed,
               bool_or(c.call = 'execute' and c.outcome = 'done') as executed,
               bool_or(c.outcome = 'vetoed' or c.call = 'veto' and c.outcome = 'done') as vetoed,
               bool_or(c.call = 'review' and c.outcome = 'done') as reviewed,
               max(c.ready_at) as ready_at,
               max(c.claimed_at) filter (where c.call = 'execute' and c.outcome = 'done')
                   as executed_at,
               max(c.ended_at) filter (where c.outcome = 'reverted') as reverted_at
        from approval_calls c where c.request_id = r.id
    ) called;

-- Cold transfers ----------------------------------------------------------------------------------
--
-- What is to come from a cold wallet, whose key a custodian has, to its reserve (decision 0053).
-- The id is the custodian's client id, the id in the contract's event, and that of the approval.
--
--   requested -> approved -> sent -> arrived       verified in a final block, and posted with it
--       |           |          |\--> refused       the custodian will never do it
--       +-----------+----------+---> expired       nor after the moment that approvers have signed
--       \-----------+----------\---> held -> resolved   by people: what moved is not what was asked
--
-- From `sent` on the custodian may have it, so nothing leads back, and it ends by what is known of
-- the custodian and the chain alone. One that was not sent is held when it has moved all the same:
-- a ledger that was restored may have forgotten that it was sent.
create table cold_transfers (
    id            uuid primary key,
    network       text not null,
    asset         text not null,
    from_wallet   text not null,
    to_wallet     text not null,
    destination   text not null check (destination ~ '^0x[0-9a-f]{40}$'),
    amount        numeric(78, 0) not null check (amount > 0),
    state         text not null default 'requested'
                  check (state in ('requested', 'approved', 'sent', 'arrived', 'refused', 'expired',
                                   'held', 'resolved')),
    needed        int    not null check (needed > 1),
    since_block   bigint not null check (since_block >= 0),  -- nothing of it is in it, or before
    justification text not null check (length(justification) > 0),
    reason        text,                 -- why it was refused, has expired, or is held
    tx_hash       text check (tx_hash ~ '^0x[0-9a-f]{64}$'),
    block_number  bigint,
    requested_at  timestamptz not null default clock_timestamp(),
    expires_at    timestamptz not null,
    ended_at      timestamptz,          -- also of one that is held: nothing follows by itself
    check ((state in ('refused', 'expired', 'held', 'resolved')) = (reason is not null)),
    check ((state in ('requested', 'approved', 'sent')) = (ended_at is null)),
    check ((tx_hash is null) = (block_number is null)),
    check (state <> 'arrived' or tx_hash is not null),
    check (state in ('arrived', 'held', 'resolved') or tx_hash is null)
);
create unique index cold_transfers_one_at_a_time on cold_transfers (network, asset)
    where state in ('requested', 'approved', 'sent', 'held');
alter table postings add foreign key (cold_id) references cold_transfers;

-- Approvers' signatures of what the custodian is asked for (seawall/formats/custody.py); insert
-- only.
create table cold_signatures (
    transfer_id uuid  not null references cold_transfers,
    address     text  not null check (address ~ '^0x[0-9a-f]{40}$'),
    role        text  not null,
    operator    text  not null references operators,
    signature   bytea not null check (length(signature) = 65),
    at          timestamptz not null default clock_timestamp(),
    primary key (transfer_id, address)
);

-- An approval of something else is none of a cold transfer, so none begins under the id of one.
create function refuse_cold_id() returns trigger language plpgsql as $$
begin
    if exists (select 1 from approvals a where a.id = new.id) then
        raise exception 'cold transfer % has the id of an approval', new.id;
    end if;
    return new;
end $$;
create trigger cold_transfers_not_of_escrow before insert on cold_transfers for each row
    execute function refuse_escrow_movement();
create trigger cold_transfer_ids before insert on cold_transfers for each row
    execute function refuse_cold_id();

-- Whoever asks for a step: `approved` needs an approval and enough signatures on record, and the
-- function that makes the one of the others (approve_cold_transfer) is the owner's. Out of `held`
-- lead people alone.
create function refuse_cold_step() returns trigger language plpgsql as $$
declare
    owner oid;
begin
    if (old.state, new.state) not in (('requested', 'approved'), ('requested', 'expired'),
                                      ('approved', 'expired'), ('approved', 'sent'),
                                      ('requested', 'held'), ('approved', 'held'),
                                      ('sent', 'arrived'), ('sent', 'refused'), ('sent', 'expired'),
                                      ('sent', 'held'),
                                      ('held', 'resolved')) then
        raise exception 'cold transfer % may not go from % to %', old.id, old.state, new.state;
    end if;
    select relowner into owner from pg_class where oid = tg_relid;
    if new.state = 'approved' and (
        not exists (select 1 from approvals a where a.id = old.id)
        or old.needed > (select count(*) from cold_signatures s where s.transfer_id = old.id)
        or not pg_has_role(current_user, owner, 'member')
    ) then
        raise exception 'cold transfer % has no approval', old.id;
    end if;
    if old.state = 'held' and not pg_has_role(session_user, owner, 'member') then
        raise exception 'cold transfer % is held until people have looked', old.id;
    end if;
    return new;
end $$;
create trigger cold_transfer_steps before update of state on cold_transfers for each row
    when (old.state <> new.state) execute function refuse_cold_step();

-- A posting of one moves what it names, from its cold wallet's account to its reserve's, once it
-- has arrived. Deferred: row and posting are written by one statement.
create function refuse_cold_posting() returns trigger language plpgsql as $$
declare
    done cold_transfers;
    right_sides bigint;
begin
    select c.* into done from cold_transfers c where c.id = new.cold_id;
    select count(*) into right_sides from (
        select a.kind, sum(e.amount) as amount
        from entries e join accounts a on a.id = e.account_id
        where e.posting_id = new.id and (a.network, a.asset) = (done.network, done.asset)
        group by a.kind
    ) moved
    where (kind, amount) in (('cold', -done.amount), ('reserve', done.amount));
    if done.state <> 'arrived' or right_sides <> 2 then
        raise exception 'posting % is not what cold transfer % moved', new.id, new.cold_id;
    end if;
    return null;
end $$;
create constraint trigger cold_postings_as_arrived after insert on postings
    deferrable initially deferred for each row when (new.kind = 'cold')
    execute function refuse_cold_posting();
-- ---------------------------------------------------------------------------------- Cold transfers

-- Rebalances --------------------------------------------------------------------------------------
--
-- What goes from the reserve of one network to that of another, through a carrier that takes it on
-- the first and pays it on the second (decision 0058). The id is the approval's, by which the first
-- reserve pays the carrier; the carrier's client id; and the one in the event of what it pays.
--
--   requested -> released -> arrived       verified in a final block, and posted with it
--       |           |  \-> held -> resolved  by people: what came is not what went
--       +-----------+--> refused, expired     nothing has left
--
-- Where it is in between, the approval says: proposed, and executed once it has left, which a settler
-- posts at finality. It leaves while go_until has not passed: the treasury says so anew every few
-- seconds as long as all its checks are green, so that one that is dead stops it as well. From then
-- on nothing leads back to `requested`.
create table rebalances (
    id            uuid primary key references approval_requests,
    bucket        text not null,
    asset         text not null,
    from_network  text not null,
    from_wallet   text not null,
    to_network    text not null check (to_network <> from_network),
    to_wallet     text not null,
    destination   text not null check (destination ~ '^0x[0-9a-f]{40}$'),  -- of the second reserve
    amount        numeric(78, 0) not null check (amount > 0),
    state         text not null default 'requested'
                  check (state in ('requested', 'released', 'arrived', 'refused', 'expired', 'held',
                                   'resolved')),
    since_block   bigint not null check (since_block >= 0),  -- of to_network: nothing of it is in it
    justification text not null check (length(justification) > 0),
    go_until      timestamptz,
    reason        text,                 -- why it was refused, has expired, or is held
    tx_hash       text check (tx_hash ~ '^0x[0-9a-f]{64}$'),  -- on to_network
    block_number  bigint,
    requested_at  timestamptz not null default clock_timestamp(),
    ended_at      timestamptz,
    check ((state in ('refused', 'expired', 'held', 'resolved')) = (reason is not null)),
    check ((state in ('requested', 'released')) = (ended_at is null)),
    check (state <> 'requested' or go_until is null),
    check ((tx_hash is null) = (block_number is null)),
    check (state <> 'arrived' or tx_hash is not null),
    check (state in ('arrived', 'held', 'resolved') or tx_hash is null)
);
create unique index rebalances_one_at_a_time on rebalances (asset)
    where state in ('requested', 'released', 'held');
alter table postings add foreign key (rebalance_id) references rebalances;

-- The treasury asks approvers for nothing else, and nobody else asks for that.
create function refuse_other_asker() returns trigger language plpgsql as $$
begin
    if (session_user = 'seawall_treasury') <> (new.to_class = 'in_transit')
       and not pg_has_role(session_user, (select relowner from pg_class where oid = tg_relid),
                           'member') then
        raise exception '% does not ask for that', session_user;
    end if;
    return new;
end $$;
create trigger approvals_not_of_escrow before insert on approval_requests for each row
    execute function refuse_escrow_movement();
create trigger approvals_of_their_askers before insert on approval_requests for each row
    execute function refuse_other_asker();

-- It is what approvers are asked to sign: the same money, out of the same reserve.
create function refuse_other_rebalance() returns trigger language plpgsql as $$
begin
    if not exists (
        select 1 from approval_requests r
        where (r.id, r.to_class, r.from_bucket, r.network, r.from_wallet, r.to_wallet, r.asset,
               r.amount)
            = (new.id, 'in_transit', new.bucket, new.from_network, new.from_wallet, new.to_wallet,
               new.asset, new.amount)
    ) then
        raise exception 'rebalance % is not what approvers are asked to sign', new.id;
    end if;
    return new;
end $$;
create trigger rebalances_not_of_escrow before insert on rebalances for each row
    execute function refuse_escrow_movement();
create trigger rebalances_as_asked before insert on rebalances for each row
    execute function refuse_other_rebalance();

create function has_left(of_rebalance uuid) returns boolean language sql stable as $$
    select exists (select 1 from postings p
                   where p.request_id = of_rebalance and p.kind = 'transfer')
$$;
-- One that has left ends by what comes of it alone; one that has not, or may be leaving, does not end
-- as if it had come. Out of `held` lead people alone.
create function refuse_rebalance_step() returns trigger language plpgsql as $$
begin
    if (old.state, new.state) not in (('requested', 'released'), ('requested', 'refused'),
                                      ('requested', 'expired'), ('requested', 'held'),
                                      ('released', 'arrived'), ('released', 'refused'),
                                      ('released', 'expired'), ('released', 'held'),
                                      ('held', 'resolved')) then
        raise exception 'rebalance % may not go from % to %', old.id, old.state, new.state;
    end if;
    if new.state in ('refused', 'expired') and (has_left(old.id) or exists (
        select 1 from approval_calls c
        where c.request_id = old.id and c.call = 'execute' and coalesce(c.outcome, 'done') = 'done'
    )) then
        raise exception 'rebalance % has left, or may be leaving', old.id;
    end if;
    if new.state = 'arrived' and not has_left(old.id) then
        raise exception 'rebalance % has not left', old.id;
    end if;
    if old.state = 'held' and not pg_has_role(
        session_user, (select relowner from pg_class where oid = tg_relid), 'member'
    ) then
        raise exception 'rebalance % is held until people have looked', old.id;
    end if;
    return new;
end $$;
create trigger rebalance_steps before update of state on rebalances for each row
    when (old.state <> new.state) execute function refuse_rebalance_step();

-- A reserve pays a carrier while the treasury says so. The row is locked, so that it does not end
-- meanwhile. A restore writes what the chain has already.
create function refuse_departure() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
    if not exists (select 1 from approval_requests r
                   where r.id = new.request_id and r.to_class = 'in_transit')
       or pg_has_role(session_user, (select relowner from pg_class where oid = tg_relid), 'member')
    then
        return new;
    end if;
    perform 1 from rebalances b
    where b.id = new.request_id and b.state = 'released' and b.go_until > clock_timestamp()
    for share;
    if not found then
        raise exception 'rebalance % may not leave now', new.request_id;
    end if;
    return new;
end $$;
create trigger rebalances_leave_when_released before insert on approval_calls for each row
    when (new.call = 'execute') execute function refuse_departure();

-- A posting of one moves what it names, out of what is in transit into its second reserve, once it
-- has arrived. Deferred: row and posting are written by one statement.
create function refuse_rebalance_posting() returns trigger language plpgsql as $$
declare
    done rebalances;
    right_sides bigint;
begin
    select b.* into done from rebalances b where b.id = new.rebalance_id;
    select count(*) into right_sides from (
        select a.kind, sum(e.amount) as amount
        from entries e join accounts a on a.id = e.account_id
        where e.posting_id = new.id
          and (a.bucket, a.network, a.asset) = (done.bucket, done.to_network, done.asset)
        group by a.kind
    ) moved
    where (kind, amount) in (('in_transit', -done.amount), ('reserve', done.amount));
    if done.state <> 'arrived' or right_sides <> 2 then
        raise exception 'posting % is not what rebalance % brought', new.id, new.rebalance_id;
    end if;
    return null;
end $$;
create constraint trigger rebalance_postings_as_arrived after insert on postings
    deferrable initially deferred for each row when (new.kind = 'rebalance')
    execute function refuse_rebalance_posting();
-- -------------------------------------------------------------------------------------- Rebalances

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

-- Rails -------------------------------------------------------------------------------------------
--
-- A withdrawal over a rail has the rail's name for its network, and a balance on a network pays for
-- it. Instead of a slot it gets an instruction, to one of the rail's two providers at a time. An
-- instruction may have been sent from the moment it is recorded. What became of it is what its
-- provider's statement says, and nothing else: a statement's lines are kept as they came.

-- Lines of providers' statements; insert only. Those whose id is none of ours have no withdrawal_id.
create table rail_lines (
    rail        text   not null,
    side        text   not null,
    n           bigint not null check (n > 0),
    client_id   text   not null,
    withdrawal_id uuid,
    attempt     int,
    state       text   not null check (state in ('accepted', 'settled', 'returned', 'cancelled')),
    asset       text,
    amount      numeric(78, 0),
    destination text,
    reason      text,
    unexplained boolean not null,          -- nothing on record explains it: for people
    said_at     timestamptz not null,      -- by the provider's clock
    read_at     timestamptz not null default clock_timestamp(),
    primary key (rail, side, n),
    foreign key (rail, side) references rail_providers,
    check ((withdrawal_id is null) = (attempt is null)),
    check ((state = 'cancelled') = (asset is null)),
    check ((asset is null) = (amount is null) and (asset is null) = (destination is null))
);
create index rail_lines_of_withdrawal on rail_lines (withdrawal_id) where withdrawal_id is not null;
create index rail_lines_of_id on rail_lines (client_id);
create index rail_lines_unexplained on rail_lines (rail, side) where unexplained;

create table rail_instructions (
    id            bigint generated always as identity primary key,
    withdrawal_id uuid   not null references withdrawals,
    attempt       int    not null check (attempt > 0),
    client_id     text   not null unique
                  generated always as (withdrawal_id::text || '-' || attempt::text) stored,
    rail          text   not null,
    side          text   not null,
    asset         text   not null,
    amount        numeric(78, 0) not null check (amount > 0),
    destination   text   not null,
    mode_epoch    bigint not null,      -- of the mode when it was claimed
    -- disputed: its provider's statement says something else of it than it was; for people
    state         text   not null check (state in ('recorded', 'accepted', 'settled', 'returned',
                                                   'cancelled', 'disputed')),
    refusal       text,                 -- why its provider will never take it, for the customer
    recorded_at   timestamptz not null default clock_timestamp(),
    foreign key (rail, side) references rail_providers
);
-- Paid at most once over both providers: whatever was not given up with proof stands in the way of
-- another one, for ever.
create unique index rail_instructions_one_alive on rail_instructions (withdrawal_id)
    where state not in ('returned', 'cancelled');
create index rail_instructions_recorded on rail_instructions (rail, side, id)
    where state = 'recorded';
create index rail_instructions_disputed on rail_instructions (rail, side)
    where state = 'disputed';
create index rail_instructions_accepted on rail_instructions (rail, side, id)
    where state = 'accepted';
alter table withdrawals add foreign key (instruction_id) references rail_instructions;

-- What people have decided about what a provider says of an id and nothing on record explains. No
-- machine can prove it, so it takes two of them: a decision, and another row that confirms it; insert
-- only. Noted: it is explained, and nothing moves. The others say what became of the withdrawal: its
-- provider has paid it, or it has not and never will, so that it is given back, or paid anew.
create table rail_decisions (
    id            bigint generated always as identity primary key,
    rail          text   not null,
    side          text   not null,
    client_id     text   not null,
    decision      text   not null check (decision in ('noted', 'paid', 'void', 'pay')),
    operator      text   not null references operators,
    justification text   not null check (length(justification) > 0),
    confirms      bigint unique references rail_decisions,
    at            timestamptz not null default clock_timestamp(),
    foreign key (rail, side) references rail_providers
);
create index rail_decisions_of_id on rail_decisions (client_id);
-- The decisions that another operator may still confirm. Who has decided must know what is on record
-- now: a later line about the id, or what was decided about it since, asks for a new decision. And
-- must still be one who may decide.
create view rail_decisions_open as
    select d.* from rail_decisions d join operators o on o.name = d.operator
    where d.confirms is null and o.revoked_at is null and o.may @> array['decide']
      and not exists (
          select 1 from rail_lines l
          where (l.rail, l.side, l.client_id) = (d.rail, d.side, d.client_id) and l.read_at >= d.at)
      and not exists (
          select 1 from rail_decisions c
          where (c.rail, c.side, c.client_id) = (d.rail, d.side, d.client_id)
            and c.confirms is not null and c.id > d.id);
create function refuse_own_confirmation() returns trigger language plpgsql as $$
begin
    if not exists (select 1 from operators o where o.name = new.operator and o.revoked_at is null
                   and o.may @> array['decide']) then
        raise exception '% may not decide', new.operator;
    end if;
    if new.confirms is not null and not exists (
        select 1 from rail_decisions_open d
        where d.id = new.confirms and d.operator <> new.operator
          and (d.rail, d.side, d.client_id, d.decision)
            = (new.rail, new.side, new.client_id, new.decision)
    ) then
        raise exception '% cannot confirm decision %', new.operator, new.confirms;
    end if;
    return new;
end $$;
create trigger rail_decisions_of_two before insert on rail_decisions for each row
    execute function refuse_own_confirmation();
-- The lines that nobody has explained since they were read.
create view rail_unexplained as
    select l.* from rail_lines l
    where l.unexplained and not exists (
        select 1 from rail_decisions d
        where (d.rail, d.side, d.client_id) = (l.rail, l.side, l.client_id)
          and d.confirms is not null and d.at > l.read_at
    );

-- Which of its providers a rail's withdrawals were instructed to from when on; insert only.
create table rail_log (
    id     bigint generated always as identity primary key,
    rail   text not null,
    side   text not null,
    reason text not null check (length(reason) > 0),
    at     timestamptz not null default clock_timestamp(),
    foreign key (rail, side) references rail_providers
);

-- What may still be instructed to a provider. Written by claims and by what is given up.
create table rail_funds (
    rail      text not null,
    side      text not null,
    asset     text not null,
    available numeric(78, 0) not null,
    primary key (rail, side, asset),
    foreign key (rail, side) references rail_providers
);

-- A provider knows no generation of this ledger, only ids that are used up. So a ledger that was
-- restored opens its generation at both providers of a rail, before anything is paid there:
--
-- 1. It uses up an id that is called like the generation (its mark) at each of them. Whoever goes on
--    by an earlier ledger reads that in the statement, and stops.
-- 2. It reads both statements to the mark. What a lost ledger had instructed is known then, but for
--    what is still on its way.
-- 3. It uses up each id that may be on its way, at each of them. An id follows another one that its
--    provider's statement says was given up, so what comes after the mark is of no use to anybody
--    else: there is one next id of each withdrawal.
--
-- These are the ids of step 3 that the provider of a side does not list yet, from its mark on.
create function ids_to_use_up(of_rail text, of_side text) returns setof text
language sql stable as $$
    with told as (
        select l.withdrawal_id, l.attempt
        from rail_lines l cross join generation_in_force g
        left join rail_lines m on (m.rail, m.side, m.client_id) = (l.rail, l.side, g.mark)
        where l.rail = of_rail and l.withdrawal_id is not null and (m.n is null or l.n < m.n)
    ), waiting as (
        select w.id, w.instruction_id from withdrawals w cross join generation_in_force g
        where w.network = of_rail and (w.state = 'reserved' or w.state = 'instructed')
          and w.seq >> 40 < g.generation
    ), possible as (
        select id, instruction_id, 1 as attempt from waiting
        union
        select w.id, w.instruction_id, t.attempt + 1 from waiting w
        join told t on t.withdrawal_id = w.id
        union
        select w.id, w.instruction_id, i.attempt + 1 from waiting w
        join rail_instructions i on i.withdrawal_id = w.id
    )
    select p.id || '-' || p.attempt from possible p
    where not exists (select 1 from rail_lines l
                      where (l.rail, l.side, l.client_id)
                          = (of_rail, of_side, p.id || '-' || p.attempt))
      and not exists (select 1 from rail_instructions i
                      where (i.id, i.attempt, i.side) = (p.instruction_id, p.attempt, of_side))
$$;
create function refuse_unopened() returns trigger language plpgsql as $$
begin
    if new.generation <> (select generation from generation_in_force)
       or exists (select 1 from rail_providers p cross join generation_in_force g
                  where p.rail = new.rail and not exists (
                      select 1 from rail_lines l
                      where (l.rail, l.side, l.client_id) = (p.rail, p.side, g.mark)))
       or exists (select 1 from ids_to_use_up(new.rail, new.side))
    then
        raise exception 'generation % is not open at the % provider of %',
            new.generation, new.side, new.rail;
    end if;
    return new;
end $$;
create trigger rail_providers_opened before update of generation on rail_providers
    for each row when (old.generation <> new.generation) execute function refuse_unopened();

-- Whether this ledger may have anything paid over a rail: its generation is open at both providers,
-- and no other ledger has opened one since.
create function rail_is_open(of_rail text) returns boolean language sql stable as $$
    select not exists (
        select 1 from rail_providers p cross join generation_in_force g
        where p.rail = of_rail and p.generation < g.generation
    ) and not exists (
        select 1 from rail_lines l cross join generation_in_force g
        left join rail_lines m on (m.rail, m.side, m.client_id) = (l.rail, l.side, g.mark)
        where l.rail = of_rail and l.unexplained and l.state = 'cancelled'
          and l.client_id like 'generation-%' and l.n > coalesce(m.n, 0)
    )
$$;
create function refuse_instruction() returns trigger language plpgsql as $$
begin
    if new.state = 'disputed' and pg_has_role(
        current_user, (select relowner from pg_class where oid = tg_relid), 'member'
    ) then
        return new;  -- as people have decided
    end if;
    if new.state <> 'recorded' or not exists (
        select 1 from withdrawals w
        where (w.id, w.network, w.asset, w.amount, w.destination, w.state)
            = (new.withdrawal_id, new.rail, new.asset, new.amount, new.destination, 'reserved')
    ) then
        raise exception 'withdrawal % does not wait for this instruction', new.withdrawal_id;
    end if;
    -- What a lost ledger had instructed is recorded when its provider says that it has it.
    if not rail_is_open(new.rail) and not exists (
        select 1 from rail_lines l
        where (l.rail, l.side, l.client_id, l.state, l.asset, l.amount, l.destination)
            = (new.rail, new.side, new.withdrawal_id || '-' || new.attempt, 'accepted', new.asset,
               new.amount, new.destination)
    ) then
        raise exception 'nothing is instructed over %: this ledger is not open at its providers',
            new.rail;
    end if;
    return new;
end $$;
create trigger rail_instructions_while_open before insert on rail_instructions for each row
    execute function refuse_instruction();

create function refuse_without_line() returns trigger language plpgsql as $$
begin
    if old.state = 'disputed' and new.state in ('settled', 'returned', 'cancelled')
       and pg_has_role(current_user, (select relowner from pg_class where oid = tg_relid),
                       'member') then
        return new;  -- as people have decided
    end if;
    if (old.state, new.state) not in (
        ('recorded', 'accepted'), ('recorded', 'cancelled'), ('accepted', 'settled'),
        ('accepted', 'returned'), ('recorded', 'disputed'), ('accepted', 'disputed')
    ) then
        raise exception 'instruction % may not go from % to %',
            old.client_id, old.state, new.state;
    end if;
    if new.state <> 'disputed' and not exists (
        select 1 from rail_lines l
        where (l.rail, l.side, l.client_id, l.state)
            = (old.rail, old.side, old.client_id, new.state)
          and (new.state = 'cancelled' or (l.asset, l.amount, l.destination)
                                        = (old.asset, old.amount, old.destination))
    ) then
        raise exception 'no statement says that % is %', old.client_id, new.state;
    end if;
    return new;
end $$;
create trigger rail_instructions_as_stated before update of state on rail_instructions
    for each row when (old.state <> new.state) execute function refuse_without_line();

create function refuse_over_rail() returns trigger language plpgsql as $$
declare
    told rail_instructions;
begin
    select i.* into told from rail_instructions i
    where i.id = coalesce(new.instruction_id, old.instruction_id) and i.withdrawal_id = old.id
      and i.rail = old.network;
    if not coalesce(case new.state
        when 'instructed' then told.state in ('recorded', 'disputed')
        when 'posted' then told.state = 'settled'
        when 'reserved' then told.state = 'cancelled' and told.refusal is null
        when 'voided' then told.state = 'returned'
                        or (told.state = 'cancelled' and told.refusal is not null)
        end, false)
    then
        raise exception 'withdrawal % may not go from % to %: its instruction is %',
            old.id, old.state, new.state, told.state;
    end if;
    return new;
end $$;
create trigger withdrawals_over_rails before update of state on withdrawals for each row
    when (old.state <> new.state and (old.state = 'instructed' or new.state = 'instructed'))
    execute function refuse_over_rail();
-- ------------------------------------------------------------------------------------------- Rails

-- Marketplace -------------------------------------------------------------------------------------
--
-- Customers list items and bid for them. What is bid leaves the bidder's balance for escrow at once,
-- and stays there until the seller settles the bid or it is given back: nothing else moves it.
--
--   open -> settled      the seller takes it: the money is the seller's
--      \---> refunded    its bidder wants it back, or the seller does not want it
--
-- A posting of a bid moves the same amount through four accounts, so that each bucket holds what it
-- owes before and after it: the customer's and the bucket's own where customers are paid, and escrow
-- and the bucket's own where the bids lie. That own money is what limits how much is in escrow; its
-- balance is kept beside the entries as a customer's is.
create table listings (
    id         uuid   primary key,      -- chosen by the client: a replay returns the first outcome
    n          bigint generated always as identity unique,  -- newest last
    seller_id  bigint not null references customers,
    network    text   not null,
    asset      text   not null,
    price      numeric(78, 0) not null check (price > 0),   -- the least that may be bid
    title      text   not null check (length(title) between 1 and 120),
    mode_epoch bigint not null,
    at         timestamptz not null default clock_timestamp(),
    unique (id, seller_id, network, asset)
);

create table bids (
    id            uuid   primary key,   -- chosen by the client, as above
    listing_id    uuid   not null,
    seller_id     bigint not null,
    bidder_id     bigint not null references customers check (bidder_id <> seller_id),
    network       text   not null,
    asset         text   not null,
    amount        numeric(78, 0) not null check (amount > 0),
    state         text   not null default 'open' check (state in ('open', 'settled', 'refunded')),
    mode_epoch    bigint not null,      -- of the mode under which it was made
    settled_epoch bigint,               -- and settled
    at            timestamptz not null default clock_timestamp(),
    ended_at      timestamptz,
    foreign key (listing_id, seller_id, network, asset)
        references listings (id, seller_id, network, asset),
    check ((state = 'open') = (ended_at is null)),
    check ((state = 'settled') = (settled_epoch is not null))
);
-- One bid at a time has a listing, and one that is settled has it for good.
create unique index bids_one_alive on bids (listing_id) where state in ('open', 'settled');
create index bids_open on bids (bidder_id, network, asset) where state = 'open';
-- With whom a customer has settled what: it says who is trusted. All of it is read from the index,
-- for that is done while the mode lock is held.
create index bids_settled_by_seller on bids (seller_id, bidder_id)
    include (asset, amount, ended_at, settled_epoch) where state = 'settled';
create index bids_settled_by_bidder on bids (bidder_id, seller_id)
    include (asset, amount, ended_at, settled_epoch) where state = 'settled';

create function refuse_bid() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        if new.state <> 'open' then
            raise exception 'a bid is open at first';
        end if;
        if new.amount < (select price from listings where id = new.listing_id) then
            raise exception 'bid % is below the price', new.id;
        end if;
    elsif old.state <> 'open' then
        raise exception 'bid % is %, and stays so', old.id, old.state;
    end if;
    return new;
end $$;
create trigger bids_end_once before insert or update on bids for each row
    execute function refuse_bid();

-- At the end of each transaction: what the state of a bid says is posted.
create function refuse_unposted_bid() returns trigger language plpgsql as $$
begin
    if not exists (select 1 from postings p where (p.bid_id, p.kind) = (new.id, 'bid'))
       or (new.state <> 'open' and not exists (
            select 1 from postings p
            where (p.bid_id, p.kind)
                = (new.id, case new.state when 'settled' then 'settle' else 'refund' end)))
    then
        raise exception 'bid % is %, and that is not posted', new.id, new.state;
    end if;
    return null;
end $$;
create constraint trigger bids_posted after insert or update on bids
    deferrable initially deferred for each row execute function refuse_unposted_bid();

-- And the other way round: the money of a bid comes from its bidder, and goes back there, or to its
-- seller if it is settled.
create function refuse_bid_posting() returns trigger language plpgsql as $$
declare
    of_bid bids;
    whose bigint;
    taken numeric;
    right_ones bigint;
    entered bigint;
    buckets bigint;
begin
    select b.* into of_bid from bids b where b.id = new.bid_id;
    whose := case new.kind when 'settle' then of_bid.seller_id else of_bid.bidder_id end;
    taken := case new.kind when 'bid' then of_bid.amount else -of_bid.amount end;
    select count(distinct (a.kind, a.of_escrow)) filter (
               where (a.network, a.asset) = (of_bid.network, of_bid.asset)
                 and ((a.kind = 'customer' and a.customer_id = whose and e.amount = taken)
                   or (a.kind = 'own' and not a.of_escrow and e.amount = -taken)
                   or (a.kind = 'escrow' and e.amount = -taken)
                   or (a.kind = 'own' and a.of_escrow and e.amount = taken))),
           count(*), count(distinct a.bucket)
    into right_ones, entered, buckets
    from entries e join accounts a on a.id = e.account_id where e.posting_id = new.id;
    if of_bid.id is null or (right_ones, entered, buckets) <> (4, 4, 2)
       or (new.kind, of_bid.state) in (('settle', 'open'), ('settle', 'refunded'),
                                       ('refund', 'open'), ('refund', 'settled'))
    then
        raise exception 'posting % does not move the money of bid %', new.id, new.bid_id;
    end if;
    return null;
end $$;
create constraint trigger bid_postings after insert on postings
    deferrable initially deferred for each row when (new.bid_id is not null)
    execute function refuse_bid_posting();
-- ------------------------------------------------------------------------------------- Marketplace

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
                             'operator_denials', 'displaced',
                             'approval_requests', 'approval_signatures', 'rail_lines',
                             'rail_log', 'rail_decisions', 'cold_signatures', 'listings',
                             'escrow_wallets'] loop
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

-- Grants. Roles belong to the cluster and are created by genesis; no role but the owner has more
-- rights than these.
-- A function reads a table of the session's temporary schema before one of the same name here: with
-- one, anybody could give a trigger the rows that it wants to see.
do $$
begin
    execute format('revoke temporary, create on database %I from public', current_database());
end $$;
revoke create on schema public from public;
grant select on all tables in schema public
    to seawall_api, seawall_settler, seawall_mode_controller, seawall_treasury, seawall_auditor,
       seawall_operator, seawall_rails;
grant insert on withdrawals, postings, entries, flow, tickets, swaps, approvals, approved_moves
    to seawall_api;
grant insert on listings to seawall_api;
grant insert (id, listing_id, seller_id, bidder_id, network, asset, amount, mode_epoch) on bids
    to seawall_api;
grant update (state, settled_epoch, ended_at) on bids to seawall_api;
grant update (available) on balances to seawall_api;
grant update (state, reason, slot_id, held_because) on withdrawals to seawall_api;
-- A customer may have back what is held; anything else is for an operator to decide.
grant insert (withdrawal_id, seq, decision, actor, justification) on resolutions to seawall_api;
grant insert (withdrawal_id, seq, decision, destination, actor, justification) on resolutions
    to seawall_operator;
grant insert on orders, order_endings, operator_denials, journal to seawall_operator;
grant insert on approval_requests, approval_signatures to seawall_operator;
-- The operator api makes an approval of a request through a function alone: without enough
-- signatures on record there is none, whoever asks.
create function approve_request(of_id uuid) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
declare
    asked approval_requests;
begin
    select r.* into asked from approval_requests r where r.id = of_id for no key update;
    if asked.id is null or exists (select 1 from approvals where id = of_id) or asked.needed > (
        select count(*) from approval_signatures s
        where (s.request_id, s.act) = (of_id, 'approve')
    ) then
        return false;
    end if;
    insert into approvals (id, actor, justification)
    values (of_id, coalesce(asked.operator, 'treasury'), asked.use);
    insert into approved_moves (approval_id, network, asset, from_bucket, to_bucket, amount, what)
    select of_id, asked.network, asked.asset, asked.from_bucket, asked.to_bucket, asked.amount,
           'held'
    where asked.kind <> 'recipient' and asked.from_bucket <> asked.to_bucket;
    return true;
end $$;
revoke execute on function approve_request from public;
grant execute on function approve_request to seawall_operator;
-- Nor does the treasury approve what it asks for.
create function approve_cold_transfer(of_id uuid) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
declare
    asked cold_transfers;
begin
    select c.* into asked from cold_transfers c where c.id = of_id for no key update;
    if asked.id is null or asked.state <> 'requested' or asked.expires_at <= clock_timestamp()
       or asked.needed > (select count(*) from cold_signatures s where s.transfer_id = of_id) then
        return false;
    end if;
    insert into approvals (id, actor, justification)
    values (of_id, 'treasury', asked.justification);
    update cold_transfers set state = 'approved' where id = of_id;
    return true;
end $$;
revoke execute on function approve_cold_transfer from public;
grant execute on function approve_cold_transfer to seawall_operator;
grant insert (transfer_id, address, role, operator, signature) on cold_signatures
    to seawall_operator;
grant insert on slots, slot_events, postings, entries, flow, lane_log to seawall_settler;
grant update (state, signer_region, tx_hash, raw, mined_hash, block_number, block_hash,
              admitted_epoch, purpose, data, digest, gas_limit, max_fee_wei, priority_fee_wei)
    on slots to seawall_settler;
grant insert (slot_id, n, max_fee_wei, priority_fee_wei) on replacements to seawall_settler;
grant update (raw, tx_hash, signer_region) on replacements to seawall_settler;
grant update (holder, epoch, signer_region, next_nonce, generation) on lanes to seawall_settler;
grant update (available) on floats to seawall_settler;
grant execute on function lower_float to seawall_settler;
grant update (state, slot_id, seq) on topups to seawall_settler;
grant update (state, slot_id) on gas_refills to seawall_settler;
grant update (state, reason, slot_id, held_because, seq, paid_to, queued_at) on withdrawals
    to seawall_settler;
grant insert on attempts to seawall_settler;
grant insert (slot_id, request_id, call) on approval_calls to seawall_settler;
grant update (outcome, ready_at, ended_at) on approval_calls to seawall_settler;
grant update (state, slot_id, found) on resolutions to seawall_settler;
grant insert, update, delete on asset_pauses, settler_leases to seawall_settler;
-- The settler gives money back to a customer through a function alone, which the constraints above
-- restrict to what is held and cancelled on the chain; it must not have the right to raise balances.
-- So does who pays over rails, what its provider has returned or will never take.
-- Everybody locks withdrawals before balances, and either in order of their ids: intake, which locks
-- balances of many customers and makes withdrawals, a cancellation, and this.
create function hold_for_giving_back(of_withdrawals uuid[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
begin
    perform 1 from withdrawals w where w.id = any(of_withdrawals) order by w.id
    for no key update;
    perform 1 from balances b where b.account_id in (
        select e.account_id from postings r join entries e on e.posting_id = r.id
        where r.kind = 'reserve' and r.withdrawal_id = any(of_withdrawals)
    ) order by b.account_id for update;
end $$;
revoke execute on function hold_for_giving_back from public;
grant execute on function hold_for_giving_back to seawall_rails;
create function give_back_held(of_withdrawals uuid[], why text[]) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
declare
    given bigint;
begin
    perform hold_for_giving_back(of_withdrawals);
    with voided as (
        update withdrawals w set state = 'voided', reason = d.why, held_because = null
        from unnest(of_withdrawals, why) as d (id, why)
        where w.id = d.id and w.state in ('unknown', 'instructed')
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
-- Who pays over rails posts through a function alone, what its provider's statement says is settled:
-- the triggers above want the line. It can make no other posting.
create function post_over_rail(of_withdrawal uuid) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
declare
    entered bigint;
begin
    with posted as (
        update withdrawals w set state = 'posted'
        from rail_instructions i
        where w.id = of_withdrawal and w.state = 'instructed' and i.id = w.instruction_id
        returning w.id, w.bucket, w.network, w.asset, w.amount, w.size, w.value_micro, i.side
    ), counted as (
        insert into flow (kind, network, asset, size, count, value_micro)
        select 'posted', network, asset, size, 1, value_micro from posted
    ), posting as (
        insert into postings (kind, withdrawal_id) select 'post', id from posted
        returning id as posting_id
    ), entries as (
        insert into entries (posting_id, account_id, amount)
        select g.posting_id, a.id, case a.kind when 'reserved' then p.amount else -p.amount end
        from posted p cross join posting g
        join accounts a on (a.bucket, a.network, a.asset) = (p.bucket, p.network, p.asset)
                       and a.kind in ('reserved', 'at_' || p.side)
        returning 1
    )
    select count(*) into entered from entries;
    return entered = 2;
end $$;
revoke execute on function post_over_rail from public;
grant execute on function post_over_rail to seawall_rails;
grant insert on rail_lines, rail_log to seawall_rails;
grant insert (withdrawal_id, attempt, rail, side, asset, amount, destination, mode_epoch, state)
    on rail_instructions to seawall_rails;
grant update (state, refusal) on rail_instructions to seawall_rails;
grant update (generation) on rail_providers to seawall_rails;
grant update (available) on rail_funds to seawall_rails;
grant update (state, reason, instruction_id) on withdrawals to seawall_rails;
grant execute on function give_back_held to seawall_rails;
-- The operator api decides through a function alone, which carries out what a second one confirms.
-- Who says so is whose token was shown: of two names the operator api could make up both.
-- Answers the number of the row, and whether it has been carried out.
create function decide_over_rail(of_rail text, of_side text, of_id text, what text, shown text,
                                 why text, out number bigint, out done boolean)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
declare
    who text;
    waiting bigint;
    held withdrawals;
    told rail_instructions;
begin
    select o.name into who from operators o
    where o.token_sha256 = sha256(convert_to(shown, 'UTF8'));
    if who is null then
        raise exception 'nobody has this token';
    end if;
    -- As who reads the statement does, so that no line comes in between.
    perform 1 from rail_providers p where (p.rail, p.side) = (of_rail, of_side)
    for no key update;
    if not exists (select 1 from rail_unexplained l
                   where (l.rail, l.side, l.client_id) = (of_rail, of_side, of_id))
       and not exists (select 1 from rail_instructions i
                       where (i.rail, i.side, i.client_id, i.state)
                           = (of_rail, of_side, of_id, 'disputed'))
    then
        raise exception 'nothing of % is in dispute there', of_id;
    end if;
    select d.id into waiting from rail_decisions_open d
    where (d.rail, d.side, d.client_id, d.decision) = (of_rail, of_side, of_id, what)
      and d.operator <> who
    order by d.id desc limit 1;
    done := waiting is not null;
    insert into rail_decisions (rail, side, client_id, decision, operator, justification, confirms)
    values (of_rail, of_side, of_id, what, who, why, waiting) returning id into number;
    if not done or what = 'noted' then
        return;
    end if;
    select w.* into held from withdrawals w
    where w.network = of_rail and w.id in (
        select l.withdrawal_id from rail_lines l where l.client_id = of_id
        union all select i.withdrawal_id from rail_instructions i where i.client_id = of_id
    ) for no key update;
    -- What a lost ledger has on its way may yet be paid, whatever people know of this id; and what
    -- another line says may have been.
    if may_yet_be_paid(held.seq, of_rail) then
        raise exception 'withdrawal % may yet be paid by a ledger that was lost', held.id;
    end if;
    if what in ('void', 'pay') and exists (
        select 1 from rail_unexplained l where l.withdrawal_id = held.id
    ) then
        raise exception 'a provider may have paid withdrawal %: decide about its other lines first',
            held.id;
    end if;
    -- Its next id follows this one, which must be used up, and known to be from a statement: what
    -- opens the generation of a restored ledger relies on it.
    if what = 'pay' and not exists (
        select 1 from rail_lines l where (l.rail, l.side, l.client_id) = (of_rail, of_side, of_id)
    ) then
        raise exception 'the statement does not list % yet: nothing may be paid after it', of_id;
    end if;
    if what = 'pay' and held.state = 'reserved' then
        return;  -- nothing more stands in the way of its next id
    end if;
    if held.state = 'reserved' then  -- an instruction stands for what was not of this ledger
        insert into rail_instructions (withdrawal_id, attempt, rail, side, asset, amount,
                                       destination, mode_epoch, state)
        select held.id,
               1 + greatest(0, (select max(attempt) from rail_instructions
                                where withdrawal_id = held.id),
                            (select max(attempt) from rail_lines where withdrawal_id = held.id)),
               of_rail, of_side, held.asset, held.amount, held.destination, m.epoch, 'disputed'
        from mode m returning * into told;
        update withdrawals set state = 'instructed', instruction_id = told.id, reason = null
        where id = held.id;
        update rail_funds set available = available - held.amount
        where (rail, side, asset) = (of_rail, of_side, held.asset);
    else
        -- Of this id and no other: a later one, with the other provider, has a fate of its own.
        select i.* into told from rail_instructions i
        where (i.id, i.state, i.side, i.client_id)
            = (held.instruction_id, 'disputed', of_side, of_id);
    end if;
    if told.id is null or held.state not in ('reserved', 'instructed') then
        raise exception 'what became of the withdrawal of % is known: it can only be noted', of_id;
    end if;
    update rail_instructions
    set state = case what when 'paid' then 'settled' when 'void' then 'returned'
                          else 'cancelled' end,
        refusal = null
    where id = told.id;
    if what = 'paid' then
        if not post_over_rail(held.id) then
            raise exception 'the payment of % cannot be posted', held.id;
        end if;
        return;
    end if;
    if what = 'void' then  -- balances before funds, as who reads a statement locks them
        perform hold_for_giving_back(array[held.id]);
    end if;
    update rail_funds set available = available + told.amount
    where (rail, side, asset) = (of_rail, of_side, told.asset);
    if what = 'void' then
        if give_back_held(array[held.id], array['It could not be paid; the amount is back in the '
                                                'balance.']) <> 1 then
            raise exception 'withdrawal % cannot be given back', held.id;
        end if;
    else
        update withdrawals set state = 'reserved', instruction_id = null where id = held.id;
    end if;
end $$;
revoke execute on function decide_over_rail from public;
grant execute on function decide_over_rail to seawall_operator;
grant insert, update on mode, mode_controller_lease to seawall_mode_controller;
grant insert on mode_log, journal to seawall_mode_controller;
grant insert on topups, gas_refills, journal, surpluses, postings, entries to seawall_treasury;
grant update (available) on floats to seawall_treasury;
grant insert (id, network, asset, from_wallet, to_wallet, destination, amount, needed, since_block,
              justification, expires_at) on cold_transfers to seawall_treasury;
grant update (state, reason, tx_hash, block_number, ended_at) on cold_transfers
    to seawall_treasury;
grant insert on approval_requests to seawall_treasury;
grant insert (id, bucket, asset, from_network, from_wallet, to_network, to_wallet, destination,
              amount, since_block, justification) on rebalances to seawall_treasury;
grant update (state, go_until, reason, tx_hash, block_number, ended_at) on rebalances
    to seawall_treasury;
-- The treasury takes a top-up or a sweep back through a function alone: it must not say what was moved.
create function take_back_topup(topup uuid) returns boolean
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
    update topups set state = 'taken_back' where id = topup and state = 'requested' returning true
$$;
revoke execute on function take_back_topup from public;
grant execute on function take_back_topup to seawall_treasury;
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
-- The signer writes the proof log; its own log is in another database (venue/sign_log.sql). What else
-- is here it neither reads nor writes, but through this function.
--
-- Whether the venue wants a transaction signed. It must be asked for under the lane's epoch, and be
-- what the nonce is for by the venue's records. What opens a nonce must be allowed by the mode; what
-- replaces its transaction pays nothing more. The mode is read without its lock: signing must not
-- wait for a flip, which may itself wait for a frozen client, and what a flip overtakes by less than
-- this transaction was claimed before it.
--
-- A slot that may be signed is marked, and keeps its use from then on, unless the signer says that it
-- `may_mark` none: it would not sign this, and the slot should change its use. The lane is locked, so
-- that neither its epoch nor the slot's use changes meanwhile. A marked slot is wanted in any mode:
-- its use can change no more, and a signer may have recorded it.
create function offer_slot(
    of_chain_id bigint, of_address text, of_nonce bigint, of_epoch bigint, of_digest bytea,
    of_gas_limit bigint, of_max_fee_wei numeric, of_priority_fee_wei numeric, may_mark boolean,
    out lane_epoch bigint, out wanted boolean, out admitted_epoch bigint, out mode_epoch bigint)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
declare
    slot slots;
begin
    wanted := false;
    select l.epoch into lane_epoch from lanes l
    where (l.chain_id, l.address) = (of_chain_id, of_address) for share;
    if lane_epoch is distinct from of_epoch then
        return;
    end if;
    select * into slot from slots s
    where (s.chain_id, s.address, s.nonce) = (of_chain_id, of_address, of_nonce)
      and (s.digest, s.gas_limit) = (of_digest, of_gas_limit) and s.state <> 'final';
    if not found then
        return;
    end if;
    if slot.state <> 'open' then
        wanted := exists (
            select 1 from replacements r
            where (r.slot_id, r.max_fee_wei, r.priority_fee_wei)
                = (slot.id, of_max_fee_wei, of_priority_fee_wei) and r.raw is null);
        return;
    end if;
    if (slot.max_fee_wei, slot.priority_fee_wei) <> (of_max_fee_wei, of_priority_fee_wei) then
        return;
    end if;
    if slot.offered_epoch is null and not may_mark then
        return;
    end if;
    if slot.offered_epoch is null then
        select m.epoch into mode_epoch from mode m;
        admitted_epoch := slot.admitted_epoch;
        if admitted_epoch <> mode_epoch then
            return;
        end if;
        update slots s set offered_epoch = lane_epoch
        where s.id = slot.id and s.offered_epoch is null;
    end if;
    wanted := true;
end $$;
revoke execute on function offer_slot from public;
grant execute on function offer_slot to seawall_signer;
grant select, insert on proof_log, proof_signatures to seawall_signer;
