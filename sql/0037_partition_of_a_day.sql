-- The one way in which a service makes a partition of a table that has one a day: it names the table and the day, nothing else.
create function ensure_day_partition(of_table text, day date) returns boolean language plpgsql as $function$
begin
  if of_table not in ('ticks', 'tick_frames', 'trades', 'book_events', 'book_snapshots') then
    raise exception '% has no partition a day', of_table using errcode = 'invalid_parameter_value';
  end if;
  return ensure_partition(
    of_table, of_table || '_' || to_char(day, 'YYYYMMDD'),
    day::timestamp at time zone 'UTC', (day + 1)::timestamp at time zone 'UTC', 'ts'
  );
end
$function$;
