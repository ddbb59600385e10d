-- What may be thrown away: high-volume events, and the last known status of each instance.

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
    since integer not null,
    report text not null,
    primary key (machine, base)
) strict;
