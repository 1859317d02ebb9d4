-- What a run and a forecast need to be audited later. Instants are the exchange's clock, except recorded_at. Rows that were
-- imported have none of this.
alter table prediction_runs
  add column event_ticker text,
  add column handler text,
  add column outcome text check (outcome in ('succeeded', 'empty', 'failed')),
  add column failure text,
  add column prompt_hash text,
  add column prompt_documents bigint[],
  add column parameters jsonb,
  add column markets integer,
  add column forecasts integer,
  add column model_calls integer,
  add column input_tokens bigint,
  add column output_tokens bigint,
  add column cost_dollars numeric,
  add column duration_ms integer,
  add column predictor text,
  add column fence bigint,
  add column recorded_at timestamptz not null default clock_timestamp(),
  add check ((outcome = 'failed') = (failure is not null));
comment on column prediction_runs.outcome is 'empty: the handler had nothing to say about any market; failed: no forecast was stored';
comment on column prediction_runs.prompt is
  'what was asked; [[document N]] stands for the text of rag_documents row N, put in, the text is what prompt_hash was made of';
comment on column prediction_runs.prompt_hash is 'SHA-256 of the whole text that was asked, hexadecimal';
comment on column prediction_runs.run_ts is 'the instant the run is about: its quotes and documents are not younger';
comment on column prediction_runs.model_calls is 'requests that were sent to a model, those that failed included';
comment on column prediction_runs.cost_dollars is 'null when the price of the model is not known';
create index prediction_runs_recorded on prediction_runs (recorded_at);
create index prediction_runs_event on prediction_runs (event_ticker, run_ts desc);

alter table market_predictions
  add column handler text,
  add column model_name text,
  add column agent_name text,
  add column close_time timestamptz,
  add column quote_ts timestamptz,
  add column quote_received_at timestamptz,
  add column quote_source text check (quote_source in ('tick', 'rest')),
  add column quote_yes_bid_dollars numeric,
  add column quote_yes_ask_dollars numeric,
  add column quote_price_dollars numeric,
  add column quote_mid_dollars numeric;
comment on column market_predictions.yes_prob is 'of forecasts made here: to 12 decimals';
comment on column market_predictions.quote_ts is 'with quote_source tick: the ts of the row of market_ticks that the forecast saw';
comment on column market_predictions.quote_mid_dollars is 'the market''s own probability at predicted_at; null when a side of its book was empty';
comment on column market_predictions.close_time is 'as it was known at predicted_at';
create index market_predictions_run on market_predictions (run_id);

-- When each event is due for each agent, and which predictor works on it. Due instants are the exchange's clock, leases the database's.
create table forecast_schedule (
  agent text not null,
  event_ticker text not null,
  due_at timestamptz not null,
  interval_seconds double precision not null,
  attempts integer not null default 0,
  fence bigint not null default 0,
  holder text,
  lease_until timestamptz,
  primary key (agent, event_ticker)
);
comment on column forecast_schedule.fence is 'grows with every claim; a run is stored only by the holder of the newest';
comment on column forecast_schedule.attempts is 'failed runs since the last that did not fail';

-- Events with a market that trades at `now_ts`, of a wanted strike period, with the seconds between their forecasts.
create function forecast_eligible(periods text[], seconds double precision[], now_ts timestamptz)
returns table (event_ticker text, since timestamptz, interval_seconds double precision) language sql stable as $function$
  select e.event_ticker, coalesce(min(m.open_time), now_ts), w.seconds
  from events e
  join unnest(periods, seconds) as w (period, seconds) on w.period = e.strike_period
  join markets m on m.event_ticker = e.event_ticker
  where m.status = 'active' and m.close_time > now_ts and coalesce(m.open_time, '-infinity') <= now_ts
  group by e.event_ticker, w.seconds
$function$;

-- Claims up to `at_most` due events for one predictor. Who would be late first goes first: an event's deadline is one interval after it
-- became due, and never moves while it waits, so that none starves. Only eligible events are looked at, before any limit.
create function claim_forecasts(
  of_agent text, of_holder text, periods text[], seconds double precision[], now_ts timestamptz, lease interval, at_most integer
) returns table (event_ticker text, fence bigint, due_at timestamptz, interval_seconds double precision, attempts integer)
language plpgsql as $function$
#variable_conflict use_column
begin
  insert into forecast_schedule as s (agent, event_ticker, due_at, interval_seconds)
  select of_agent, e.event_ticker, e.since, e.interval_seconds
  from forecast_eligible(periods, seconds, now_ts) e
  where not exists (select from forecast_schedule k where k.agent = of_agent and k.event_ticker = e.event_ticker)
  order by e.event_ticker
  on conflict do nothing;

  return query
  with due as (
    select s.event_ticker, e.interval_seconds
    from forecast_schedule s
    join forecast_eligible(periods, seconds, now_ts) e on e.event_ticker = s.event_ticker
    where s.agent = of_agent and s.due_at <= now_ts and (s.lease_until is null or s.lease_until < clock_timestamp())
    order by s.due_at + e.interval_seconds * interval '1 second', s.event_ticker
    limit at_most
    for update of s skip locked
  )
  update forecast_schedule s set
    fence = s.fence + 1, holder = of_holder, lease_until = clock_timestamp() + lease, interval_seconds = due.interval_seconds
  from due
  where s.agent = of_agent and s.event_ticker = due.event_ticker
  returning s.event_ticker, s.fence, s.due_at, s.interval_seconds, s.attempts;
end
$function$;

-- Ends a claim; false when it was lost meanwhile. A failed event is due again sooner than one that went well.
create function finish_forecast(
  of_agent text, of_event text, of_fence bigint, next_due timestamptz, failed boolean
) returns boolean language sql as $function$
  with done as (
    update forecast_schedule s set
      due_at = next_due, holder = null, lease_until = null, attempts = case when failed then s.attempts + 1 else 0 end
    where s.agent = of_agent and s.event_ticker = of_event and s.fence = of_fence and s.lease_until is not null
    returning 1
  )
  select exists (select from done)
$function$;
