-- What must not be lost: who belongs to the grid, who may do what, and what was done.
-- Times are milliseconds since the Unix epoch. Secrets are kept as SHA-256 only.

create table meta (
    key text primary key,
    value text not null
) strict;

create table machine (
    id text primary key,
    name text not null unique,
    -- SHA-256 of the public key (SubjectPublicKeyInfo, DER) that the agent holds
    key_hash blob not null unique,
    joined_at integer not null,
    revoked_at integer,
    agent_version text not null default '',
    facts text not null default '{}',
    -- the link secret that the agent holds, and the one it was offered last
    secret_hash blob,
    next_secret_hash blob
) strict;

create table service (
    machine text not null references machine (id) on delete cascade,
    base text not null,
    name text not null unique,
    -- whether the machine's own file gave the name
    declared integer not null,
    primary key (machine, base)
) strict;

create table join_token (
    id text primary key,
    hash blob not null unique,
    created_at integer not null,
    created_by text not null,
    expires_at integer not null,
    max_uses integer not null,
    uses integer not null default 0,
    -- the only machine it serves, if it was made for one
    machine text,
    revoked_at integer
) strict;

create table join_use (
    token text not null references join_token (id) on delete cascade,
    key_hash blob not null,
    machine text not null references machine (id) on delete cascade,
    used_at integer not null,
    primary key (token, key_hash)
) strict;

create table api_token (
    id text primary key,
    hash blob not null unique,
    role text not null,
    created_at integer not null,
    created_by text not null,
    expires_at integer not null,
    revoked_at integer
) strict;

create table user (
    name text primary key,
    password_hash text not null,
    role text not null,
    created_at integer not null
) strict;

create table session (
    hash blob primary key,
    user text not null references user (name) on delete cascade,
    created_at integer not null,
    expires_at integer not null
) strict;

create table event (
    seq integer primary key,
    at integer not null,
    body text not null
) strict;
