-- Forecasts of models, with the columns of the original. Who makes them comes with the predictor; pages show them once there are some.
create table prediction_runs (
  id bigint generated always as identity primary key,
  agent_name text,
  model_name text,
  prompt text,
  metadata jsonb,
  run_ts timestamptz not null default clock_timestamp()
);

create table market_predictions (
  id bigint generated always as identity primary key,
  run_id bigint references prediction_runs (id) on delete set null,
  event_ticker text,
  market_ticker text not null,
  predicted_at timestamptz not null default clock_timestamp(),
  yes_prob numeric check (yes_prob between 0 and 1),
  confidence numeric check (confidence between 0 and 1),
  rationale text,
  raw jsonb
);
create index market_predictions_market on market_predictions (market_ticker, predicted_at desc, id desc);
