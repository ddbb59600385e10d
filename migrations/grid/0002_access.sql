-- Who may do what in more detail, tags, and the record of what was done.

alter table user add column created_by text not null default '';
alter table user add column password_changed_at integer;
alter table user add column last_login_at integer;

-- whom it serves: without one it serves the grid itself
alter table api_token add column owner text references user (name) on delete cascade;
-- the only targets it is for, as a JSON array; without it everything
alter table api_token add column targets text;
alter table api_token add column description text not null default '';
alter table api_token add column last_used_at integer;
alter table api_token add column last_used_from text;

create index session_user on session (user);
create index api_token_owner on api_token (owner);

create table machine_tag (
    machine text not null references machine (id) on delete cascade,
    tag text not null,
    primary key (machine, tag)
) strict;

create table service_tag (
    machine text not null,
    base text not null,
    tag text not null,
    primary key (machine, base, tag),
    foreign key (machine, base) references service (machine, base) on delete cascade
) strict;

-- Every action and every refused one. Each hash is over the one before and the record, so that none can be changed, left
-- out or put in between unnoticed.
create table audit (
    seq integer primary key,
    at integer not null,
    actor text not null,
    -- by what the actor was recognised: socket, token, session; empty for an agent or nobody
    credential text not null,
    -- from where
    origin text not null,
    action text not null,
    subject text not null,
    outcome text not null,
    detail text not null,
    hash blob not null
) strict;

create trigger audit_is_never_changed before update on audit begin
    select raise(abort, 'the audit is append-only');
end;

create trigger audit_is_never_deleted before delete on audit begin
    select raise(abort, 'the audit is append-only');
end;

create index event_service on event (body ->> '$.service', seq) where body ->> '$.service' is not null;
create index event_machine on event (body ->> '$.machine', seq) where body ->> '$.machine' is not null;
create index event_kind on event (body ->> '$.kind', seq);
