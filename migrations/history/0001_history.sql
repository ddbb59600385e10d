-- What may be thrown away: high-volume events, and what is last known of each agent's link and each instance.

create table meta (
    key text primary key,
    value integer not null
) strict;

create table event (
    seq integer primary key,
    at integer not null,
    body text not null
) strict;

create table last_status (
    machine text not null,
    base text not null,
    -- when it was reported; the ages in the report are of that moment
    at integer not null,
    since integer not null,
    report text not null,
    primary key (machine, base)
) strict;

create table last_link (
    machine text primary key,
    -- as JSON
    link text not null
) strict;
