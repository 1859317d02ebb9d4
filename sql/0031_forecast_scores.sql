-- A forecast beside what came of it. A market without a value (void, scalar without a price) is not scored.
create table prediction_scores (
  prediction_id bigint primary key references market_predictions (id) on delete cascade,
  outcome numeric not null check (outcome between 0 and 1),
  brier double precision not null,
  log_loss double precision not null,
  market_brier double precision,
  market_log_loss double precision,
  scored_at timestamptz not null default clock_timestamp()
);
comment on column prediction_scores.outcome is 'what YES was worth in dollars';
comment on column prediction_scores.log_loss is 'natural logarithm; probabilities nearer than 0.000001 to 0 or 1 count as that near';
comment on column prediction_scores.market_brier is 'the same of quote_mid_dollars; null when the market had none';

alter table market_predictions add column scored boolean not null default false;
create index market_predictions_unscored on market_predictions (market_ticker) where not scored;

-- The market's final value of YES in dollars; null while it is not final, and when it is final without a value.
create function settled_value(status text, result text, settlement_value numeric) returns numeric
  language sql immutable parallel safe
  return case
    when status not in ('finalized', 'settled') then null
    when settlement_value between 0 and 1 then settlement_value
    when result = 'yes' then 1
    when result = 'no' then 0
  end;

create function log_loss(probability numeric, outcome numeric) returns double precision
  language sql immutable strict parallel safe
  return (
    select -(outcome::float8 * ln(p) + (1 - outcome::float8) * ln(1 - p))
    from (select least(greatest(probability, 0.000001), 0.999999)::float8 as p) clipped
  );

create function brier(probability numeric, outcome numeric) returns double precision
  language sql immutable strict parallel safe
  return round((probability - outcome) * (probability - outcome), 24)::float8;

-- Scores up to `at_most` forecasts of markets that are final. With `again`, also those whose market's value was corrected since.
create function score_forecasts(at_most integer, again boolean) returns integer language plpgsql as $function$
declare
  scored_rows integer;
begin
  with due as (
    select p.id, p.yes_prob, p.quote_mid_dollars, v.value
    from market_predictions p
    join markets m on m.ticker = p.market_ticker
    cross join lateral settled_value(m.status, m.result, m.settlement_value_dollars) as v (value)
    where not p.scored and p.yes_prob is not null and v.value is not null
    limit at_most
    for update of p skip locked
  ), marked as (
    update market_predictions p set scored = true from due where p.id = due.id
  )
  insert into prediction_scores (prediction_id, outcome, brier, log_loss, market_brier, market_log_loss)
  select id, value, brier(yes_prob, value), log_loss(yes_prob, value), brier(quote_mid_dollars, value), log_loss(quote_mid_dollars, value)
  from due
  on conflict (prediction_id) do nothing;
  get diagnostics scored_rows = row_count;
  if again then
    update prediction_scores s set
      outcome = v.value, brier = brier(p.yes_prob, v.value), log_loss = log_loss(p.yes_prob, v.value),
      market_brier = brier(p.quote_mid_dollars, v.value), market_log_loss = log_loss(p.quote_mid_dollars, v.value),
      scored_at = clock_timestamp()
    from market_predictions p
    join markets m on m.ticker = p.market_ticker
    cross join lateral settled_value(m.status, m.result, m.settlement_value_dollars) as v (value)
    where p.id = s.prediction_id and v.value is not null and v.value <> s.outcome;
  end if;
  return scored_rows;
end
$function$;

-- How long before the close a forecast was made, in words that sort.
create function forecast_horizon(predicted_at timestamptz, close_time timestamptz) returns text
  language sql immutable parallel safe
  return case
    when close_time is null then 'unknown'
    when close_time - predicted_at < interval '15 minutes' then '<15m'
    when close_time - predicted_at < interval '1 hour' then '15m-1h'
    when close_time - predicted_at < interval '6 hours' then '1h-6h'
    when close_time - predicted_at < interval '24 hours' then '6h-24h'
    else '>=24h'
  end;

create view forecast_scores as
select
  p.id as prediction_id, p.run_id, p.event_ticker, p.market_ticker, e.series_ticker, e.strike_period,
  coalesce(p.handler, r.agent_name, 'unknown') as handler, coalesce(p.model_name, r.model_name) as model_name,
  coalesce(p.agent_name, r.agent_name) as agent_name,
  p.predicted_at, p.close_time, forecast_horizon(p.predicted_at, p.close_time) as horizon,
  p.yes_prob, p.confidence, p.quote_mid_dollars as market_prob, s.outcome,
  s.brier, s.log_loss, s.market_brier, s.market_log_loss, s.scored_at
from prediction_scores s
join market_predictions p on p.id = s.prediction_id
left join prediction_runs r on r.id = p.run_id
left join events e on e.event_ticker = p.event_ticker;

-- By handler, model and horizon. The comparison with the market is over the forecasts whose market had a price: `compared` of `scored`.
create view forecast_leaderboard as
select
  handler, model_name, horizon, count(*) as scored, count(market_brier) as compared,
  avg(brier) as brier, avg(log_loss) as log_loss,
  avg(brier) filter (where market_brier is not null) as compared_brier, avg(market_brier) as market_brier,
  avg(log_loss) filter (where market_log_loss is not null) as compared_log_loss, avg(market_log_loss) as market_log_loss,
  1 - avg(brier) filter (where market_brier is not null) / nullif(avg(market_brier), 0) as brier_skill
from forecast_scores
group by handler, model_name, horizon;
comment on view forecast_leaderboard is 'brier_skill: 1 is perfect, 0 is as good as the market, below 0 is worse';
