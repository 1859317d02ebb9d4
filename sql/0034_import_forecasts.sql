-- Forecasts of a database of the Python original keep the ids they had there: none is brought over twice, and each finds its run.
alter table prediction_runs
  add column imported_from integer references import_sources,
  add column imported_id bigint,
  add check ((imported_from is null) = (imported_id is null));
comment on column prediction_runs.imported_id is 'the id it had in the source imported_from';
create unique index prediction_runs_imported on prediction_runs (imported_from, imported_id) where imported_from is not null;

alter table market_predictions
  add column imported_from integer references import_sources,
  add column imported_id bigint,
  add column not_scored text check (not_scored in ('price_as_forecast', 'after_close')),
  add check ((imported_from is null) = (imported_id is null)),
  add check (not_scored is null or scored);
comment on column market_predictions.imported_id is 'the id it had in the source imported_from';
comment on column market_predictions.scored is 'nothing is left to score: its score is stored, or not_scored says why it gets none';
comment on column market_predictions.not_scored is
  'price_as_forecast: the market''s own price under the name of a model; after_close: made when the market had closed';
create unique index market_predictions_imported on market_predictions (imported_from, imported_id) where imported_from is not null;
