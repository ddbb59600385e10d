-- Operations with their steps and logs, every version of the configuration, hook programs, schedules.

create table operation (
    id text primary key,
    command text not null,
    -- as a JSON array
    targets text not null,
    actor text not null,
    -- running, cancelling, interrupted, ended
    state text not null,
    result text,
    message text not null default '',
    created_at integer not null,
    ended_at integer,
    retry_of text,
    -- what was asked for, how many steps it has, and how many services are how far, as JSON
    request text not null
) strict;

create index operation_unended on operation (state) where state <> 'ended';
create index operation_created on operation (created_at);

create table step (
    operation text not null references operation (id) on delete cascade,
    -- its place in the tree, as a person reads it
    number integer not null,
    parent integer,
    -- what it is, as JSON
    kind text not null,
    state text not null default 'planned',
    message text not null default '',
    -- the id of what was sent to the agent for it; on disk before it is sent
    order_id text,
    started_at integer,
    ended_at integer,
    primary key (operation, number)
) strict, without rowid;

-- the services of an operation
create index step_service on step (operation, kind ->> '$.service') where kind ->> '$.service' is not null;

create table operation_log (
    operation text not null references operation (id) on delete cascade,
    number integer not null,
    at integer not null,
    step integer not null,
    text text not null,
    primary key (operation, number)
) strict, without rowid;

create table config_version (
    version integer primary key,
    at integer not null,
    actor text not null,
    -- apply, restore, collection
    cause text not null,
    text text not null
) strict;

-- the file of a program is a blob, named by its hash
create table program (
    name text primary key,
    -- SHA-256 in hexadecimal
    hash text not null,
    size integer not null,
    added_at integer not null,
    added_by text not null
) strict;

create table schedule (
    name text primary key,
    -- up to when runs were looked after: what was due since, while the manager was away, is missed
    seen_at integer not null,
    last_at integer,
    last_operation text,
    missed integer not null default 0,
    last_missed_at integer,
    -- why
    last_missed text not null default ''
) strict;
