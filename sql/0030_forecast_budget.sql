-- What models may cost a day (UTC, this server's clock), shared by all predictors. A call is entered before it is sent.
create table forecast_budget (
  day date primary key,
  calls bigint not null default 0,
  refused bigint not null default 0,
  cost_dollars numeric not null default 0
);
comment on column forecast_budget.calls is 'requests to models that were let through';
comment on column forecast_budget.cost_dollars is 'what they cost; of requests without an answer so far, the most they can cost';

create function budget_day() returns date language sql stable
  return (clock_timestamp() at time zone 'UTC')::date;

-- Enters one call that may cost `most_dollars`; null when the day's calls or dollars are used up, else the day it was entered in.
create function reserve_call(most_calls bigint, most_spent numeric, most_dollars numeric) returns date language plpgsql as $function$
declare
  today date := budget_day();
  let_through boolean;
begin
  insert into forecast_budget (day) values (today) on conflict do nothing;
  update forecast_budget set calls = calls + 1, cost_dollars = cost_dollars + most_dollars
  where day = today and calls < most_calls and (most_spent is null or cost_dollars + most_dollars <= most_spent)
  returning true into let_through;
  if let_through then
    return today;
  end if;
  update forecast_budget set refused = refused + 1 where day = today;
  return null;
end
$function$;
