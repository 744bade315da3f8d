-- The schema of the signers' own database, a PostgreSQL instance of its own (docs/decisions/0042).
--
-- It is never restored together with the venue's database: what was signed stays known, whatever
-- the venue forgets. Signers write it through two functions alone, each of which is one
-- transaction; auditors read it.

-- What each nonce was recorded for: a second digest for a nonce is refused.
create table sign_log (
    chain_id  bigint not null,
    address   text   not null,
    nonce     bigint not null,
    digest    bytea  not null check (length(digest) = 32),
    epoch     bigint not null,          -- of the lane when the digest was recorded
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

-- What was signed beside the first transaction of a nonce: the same digest, other fees.
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

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append only', tg_table_name;
end $$;
create trigger append_only before update or delete or truncate on signed_amounts
    for each statement execute function refuse_change();
create trigger append_only before delete or truncate on sign_log
    for each statement execute function refuse_change();
create trigger append_only before delete or truncate on sign_log_replacements
    for each statement execute function refuse_change();

create function refuse_other_bytes() returns trigger language plpgsql as $$
begin
    raise exception '% keeps the bytes that were signed first', tg_table_name;
end $$;
create trigger signed_once before update of raw, tx_hash on sign_log for each row
    when (old.raw is not null
          and (old.raw, old.tx_hash) is distinct from (new.raw, new.tx_hash))
    execute function refuse_other_bytes();
create trigger signed_once before update of raw, tx_hash on sign_log_replacements for each row
    when (old.raw is not null
          and (old.raw, old.tx_hash) is distinct from (new.raw, new.tx_hash))
    execute function refuse_other_bytes();

-- Records a digest for a nonce that has none, and counts what it moves; or finds what was recorded,
-- with the signature if there is one. What is not recorded yet must be `wanted` by the venue, and
-- fit into the caps: by token, `moved` is what it moves and `allowed` what may move in a window.
-- `outcome` is recorded, not_wanted, digest_conflict, too_many (transactions in the window) or
-- too_much (of `over_token`: `over_amount` would be in the window); but for the first, nothing was
-- changed.
create function record_digest(
    of_chain_id bigint, of_address text, of_nonce bigint, of_digest bytea, of_epoch bigint,
    of_region text, of_max_fee_wei numeric, of_priority_fee_wei numeric, wanted boolean,
    window_ms bigint, transactions_max bigint, tokens text[], moved numeric[], allowed numeric[],
    out outcome text, out over_token text, out over_amount numeric,
    out kept_raw bytea, out kept_tx_hash text, out kept_by text)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
declare
    known    sign_log;
    replaced sign_log_replacements;
    since    timestamptz;
begin
    -- The lock of the key, in a statement of its own: the next one sees what its last holder, of
    -- either region, has committed.
    perform pg_advisory_xact_lock(hashtextextended('sign log ' || of_chain_id || ' ' || of_address,
                                                   0));
    select * into known from sign_log l
    where (l.chain_id, l.address, l.nonce) = (of_chain_id, of_address, of_nonce);
    if not found then
        if not wanted then
            outcome := 'not_wanted';
            return;
        end if;
        since := clock_timestamp() - window_ms * interval '1 ms';
        if (select count(*) from sign_log l
            where (l.chain_id, l.address) = (of_chain_id, of_address)
              and l.requested_at > since) >= transactions_max then
            outcome := 'too_many';
            return;
        end if;
        select m.token, m.amount + counted.amount into over_token, over_amount
        from unnest(tokens, moved, allowed) as m (token, amount, cap)
        cross join lateral (
            select coalesce(sum(a.amount), 0) as amount
            from sign_log l join signed_amounts a using (chain_id, address, nonce)
            where (l.chain_id, l.address) = (of_chain_id, of_address)
              and l.requested_at > since and a.token = m.token
        ) as counted
        where m.amount + counted.amount > m.cap
        order by m.token limit 1;
        if found then
            outcome := 'too_much';
            return;
        end if;
        insert into sign_log (chain_id, address, nonce, digest, epoch, region, max_fee_wei,
                              priority_fee_wei)
        values (of_chain_id, of_address, of_nonce, of_digest, of_epoch, of_region, of_max_fee_wei,
                of_priority_fee_wei);
        insert into signed_amounts (chain_id, address, nonce, token, amount)
        select of_chain_id, of_address, of_nonce, m.* from unnest(tokens, moved) as m;
        outcome := 'recorded';
        return;
    end if;
    if known.digest <> of_digest then
        outcome := 'digest_conflict';
        return;
    end if;
    outcome := 'recorded';
    if (known.max_fee_wei, known.priority_fee_wei) = (of_max_fee_wei, of_priority_fee_wei) then
        kept_raw := known.raw;
        kept_tx_hash := known.tx_hash;
        kept_by := known.signed_by;
        return;
    end if;
    select * into replaced from sign_log_replacements r
    where (r.chain_id, r.address, r.nonce, r.max_fee_wei, r.priority_fee_wei)
        = (of_chain_id, of_address, of_nonce, of_max_fee_wei, of_priority_fee_wei);
    if found then
        kept_raw := replaced.raw;
        kept_tx_hash := replaced.tx_hash;
        kept_by := replaced.signed_by;
    elsif wanted then
        insert into sign_log_replacements (chain_id, address, nonce, max_fee_wei, priority_fee_wei,
                                           region)
        values (of_chain_id, of_address, of_nonce, of_max_fee_wei, of_priority_fee_wei, of_region);
    else
        outcome := 'not_wanted';
    end if;
end $$;
revoke execute on function record_digest from public;

-- Keeps the signature of what was recorded, unless one is kept already; the kept one. Null if
-- nothing was recorded: such a signature must never leave the signer.
create function keep_signature(
    of_chain_id bigint, of_address text, of_nonce bigint, of_digest bytea,
    of_max_fee_wei numeric, of_priority_fee_wei numeric,
    new_raw bytea, new_tx_hash text, new_signed_by text,
    out kept_raw bytea, out kept_tx_hash text, out kept_by text)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
begin
    update sign_log l
    set raw = new_raw, tx_hash = new_tx_hash, signed_by = new_signed_by,
        signed_at = clock_timestamp()
    where (l.chain_id, l.address, l.nonce, l.digest) = (of_chain_id, of_address, of_nonce, of_digest)
      and (l.max_fee_wei, l.priority_fee_wei) = (of_max_fee_wei, of_priority_fee_wei)
      and l.raw is null;
    if not found then
        update sign_log_replacements r
        set raw = new_raw, tx_hash = new_tx_hash, signed_by = new_signed_by,
            signed_at = clock_timestamp()
        from sign_log l
        where (l.chain_id, l.address, l.nonce) = (r.chain_id, r.address, r.nonce)
          and (r.chain_id, r.address, r.nonce, l.digest)
            = (of_chain_id, of_address, of_nonce, of_digest)
          and (r.max_fee_wei, r.priority_fee_wei) = (of_max_fee_wei, of_priority_fee_wei)
          and r.raw is null;
    end if;
    select each.raw, each.tx_hash, each.signed_by into kept_raw, kept_tx_hash, kept_by
    from (
        select l.raw, l.tx_hash, l.signed_by, l.max_fee_wei, l.priority_fee_wei from sign_log l
        where (l.chain_id, l.address, l.nonce, l.digest)
            = (of_chain_id, of_address, of_nonce, of_digest)
        union all
        select r.raw, r.tx_hash, r.signed_by, r.max_fee_wei, r.priority_fee_wei
        from sign_log l join sign_log_replacements r using (chain_id, address, nonce)
        where (l.chain_id, l.address, l.nonce, l.digest)
            = (of_chain_id, of_address, of_nonce, of_digest)
    ) as each
    where (each.max_fee_wei, each.priority_fee_wei) = (of_max_fee_wei, of_priority_fee_wei);
end $$;
revoke execute on function keep_signature from public;

-- As in schema.sql: no tables of a session's own beside these.
do $$
begin
    execute format('revoke temporary, create on database %I from public', current_database());
end $$;
revoke create on schema public from public;

-- Grants. Roles belong to the cluster and are created with the schema.
grant execute on function record_digest, keep_signature to seawall_signer;
grant select on all tables in schema public to seawall_auditor;
