-- Events are looked for by what they are about.

create index event_service on event (body ->> '$.service', seq) where body ->> '$.service' is not null;
create index event_machine on event (body ->> '$.machine', seq) where body ->> '$.machine' is not null;
create index event_kind on event (body ->> '$.kind', seq);
