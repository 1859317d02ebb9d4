create view event_outcomes_latest as
select
  e.event_ticker, e.series_ticker, e.title as event_title, e.category, e.strike_period,
  coalesce(e.strike_date, m.close_time) as strike_date,
  m.ticker as market_ticker, m.title as market_title, m.yes_sub_title, m.status, m.result, m.settlement_value_dollars,
  m.floor_strike, m.cap_strike, m.open_time, m.close_time,
  t.ts, t.price_dollars, t.yes_bid_dollars, t.yes_ask_dollars, t.volume, t.open_interest,
  implied_yes_mid(t.yes_bid_dollars, t.yes_ask_dollars) as implied_yes_mid
from events e
join markets m using (event_ticker)
left join market_keys k on k.ticker = m.ticker
left join ticks_latest t on t.market_id = k.market_id;

create view event_leader_latest as
select distinct on (event_ticker) *
from event_outcomes_latest
where implied_yes_mid is not null
order by event_ticker, implied_yes_mid desc, market_ticker;
