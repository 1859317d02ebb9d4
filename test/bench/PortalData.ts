import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"

export interface PortalData {
  readonly closedMarkets: number
  readonly activeMarkets: number
  readonly candles: number
  readonly ticks: number
}

const outcomesPerEvent = 10
const historyDays = 30

/**
 * A history as a recorder of months would have it: events of ten outcomes in twenty series, the closed ones spread over thirty days with
 * minute candles and ticks, the active ones of the last day with the greater part of the ticks.
 */
export const generate = Effect.fnUntraced(function* (data: PortalData) {
  const sql = yield* SqlClient.SqlClient
  const closedEvents = Math.ceil(data.closedMarkets / outcomesPerEvent)
  const activeEvents = Math.ceil(data.activeMarkets / outcomesPerEvent)
  const candlesPerMarket = Math.round(data.candles / data.closedMarkets)
  const closedTicks = Math.round((data.ticks * 0.4) / data.closedMarkets)
  const activeTicks = Math.round((data.ticks * 0.6) / data.activeMarkets)
  yield* sql`select ensure_tick_partition((now() at time zone 'UTC')::date - d) from generate_series(-1, ${historyDays + 2}::int) d`
  yield* sql`select ensure_candle_partition(((now() at time zone 'UTC')::date - d * 27)) from generate_series(-1, 2) d`
  yield* sql`
    insert into series (ticker, title, frequency, category, fee_type, fee_multiplier)
    select 'KXS' || i, 'Series ' || i, 'hourly', (array['Crypto', 'Financials', 'Climate and Weather', 'Economics'])[i % 4 + 1], 'quadratic', 1
    from generate_series(1, 20) i`
  yield* sql`
    insert into events (event_ticker, series_ticker, title, sub_title, category, strike_period, mutually_exclusive)
    select 'KXS' || (i % 20 + 1) || '-' || kind || i, 'KXS' || (i % 20 + 1),
      (array['Bitcoin price', 'Highest temperature', 'S&P 500 close', 'Ethereum price', 'Gasoline'])[i % 5 + 1] || ' no. ' || i, 'at the hour',
      (array['Crypto', 'Financials', 'Climate and Weather', 'Economics'])[(i % 20 + 1) % 4 + 1],
      case when i % 3 = 0 then 'day' else 'hour' end, i % 2 = 0
    from (select 'C' as kind, i from generate_series(1, ${closedEvents}::int) i
          union all select 'A', i from generate_series(1, ${activeEvents}::int) i) n`
  yield* sql`
    insert into markets (
      ticker, event_ticker, title, yes_sub_title, status, open_time, close_time, result, settlement_value_dollars, rules_primary, completion,
      rest_volume, rest_quote_at)
    select e.event_ticker || '-T' || o, e.event_ticker, e.title, 'above ' || o * 500,
      'finalized', c.closes - interval '2 hours', c.closes,
      case when o = n.i % ${outcomesPerEvent}::int then 'yes' else 'no' end, (o = n.i % ${outcomesPerEvent}::int)::int,
      'If the value is above the strike, the market resolves to Yes.', 'settled', o * 100, null
    from generate_series(1, ${closedEvents}::int) n(i)
    join events e on e.event_ticker = 'KXS' || (n.i % 20 + 1) || '-C' || n.i
    cross join lateral (
      select date_trunc('minute', now()) - interval '1 hour' - n.i * (${historyDays}::float8 * interval '1 day' / ${closedEvents}::float8) as closes) c
    cross join generate_series(0, ${outcomesPerEvent - 1}::int) o`
  yield* sql`
    insert into markets (ticker, event_ticker, title, yes_sub_title, status, open_time, close_time, rules_primary)
    select e.event_ticker || '-T' || o, e.event_ticker, e.title, 'above ' || o * 500, 'active',
      now() - interval '20 hours', now() + interval '1 hour' + (n.i % 24) * interval '15 minutes',
      'If the value is above the strike, the market resolves to Yes.'
    from generate_series(1, ${activeEvents}::int) n(i)
    join events e on e.event_ticker = 'KXS' || (n.i % 20 + 1) || '-A' || n.i
    cross join generate_series(0, ${outcomesPerEvent - 1}::int) o`
  yield* sql`
    insert into active_markets (ticker, event_ticker, status, open_time, close_time)
    select ticker, event_ticker, status, open_time, close_time from markets where status = 'active'`
  yield* sql`insert into market_keys (ticker) select ticker from markets order by ticker`
  yield* sql`alter table market_candles disable trigger all`
  yield* sql`
    insert into market_candles (
      market_ticker, period_interval_minutes, end_period_ts, start_period_ts, open, high, low, close, mean,
      yes_bid_open, yes_bid_high, yes_bid_low, yes_bid_close, yes_ask_open, yes_ask_high, yes_ask_low, yes_ask_close, volume, open_interest)
    select m.ticker, 1, m.close_time - i * interval '1 minute', m.close_time - (i + 1) * interval '1 minute',
      p, p + 0.02, p - 0.02, p, p, p - 0.01, p, p - 0.02, p - 0.01, p + 0.01, p + 0.02, p, p + 0.01, 10 + i % 7, 500
    from markets m, generate_series(0, ${candlesPerMarket - 1}::int) i
    cross join lateral (select (0.40 + (i % 20) * 0.01)::numeric as p) price
    where m.status = 'finalized'`
  yield* sql`alter table market_candles enable trigger all`
  yield* sql`
    insert into ticks (ts, received_ms, market_id, price_dollars, yes_bid_dollars, yes_ask_dollars, yes_bid_size, yes_ask_size, volume, open_interest)
    select t.ts, 40, k.market_id, p, p - 0.01, p + 0.01, 120, 80, t.i, 300
    from markets m join market_keys k using (ticker)
    cross join lateral (
      select i, m.open_time + i * (least(m.close_time, now()) - m.open_time) / n.n as ts
      from (select case when m.status = 'active' then ${activeTicks}::int else ${closedTicks}::int end as n) n,
        generate_series(0, n.n - 1) i) t
    cross join lateral (select (0.40 + (t.i % 20) * 0.01)::numeric as p) price
    order by m.ticker, t.i`
  yield* sql`
    insert into ticks_latest (
      market_id, ts, received_at, price_dollars, yes_bid_dollars, yes_ask_dollars, yes_bid_size, yes_ask_size, volume, open_interest)
    select k.market_id, least(m.close_time, now()), least(m.close_time, now()), 0.5, 0.49, 0.51, 120, 80, 1000, 300
    from markets m join market_keys k using (ticker)`
  yield* sql`
    insert into market_coverage (market_id, hour, state, open_ms, live_ms, healed_ms, candles)
    select k.market_id, h, (array['live', 'live', 'live', 'repaired', 'candles_only', 'degraded'])[k.market_id % 6 + 1], 3600000, 3000000, 0, 60
    from markets m join market_keys k using (ticker)
    cross join generate_series(date_trunc('hour', m.open_time), least(m.close_time, now() - interval '1 hour'), interval '1 hour') h`
  yield* sql`
    insert into capture_gaps (feed, shard, slots, from_ts, to_ts, cause)
    select 'all', 'event/12', '{0,1,2,3}', now() - d * interval '1 day', now() - d * interval '1 day' + interval '4 minutes', 'disconnect'
    from generate_series(0, 29) d`
  yield* sql`truncate coverage_stale`
  for (const table of ["ticks", "market_candles", "markets", "events", "ticks_latest", "market_keys", "active_markets"])
    yield* sql`vacuum analyze ${sql(table)}`
})

/** Works off everything that changed, as the portal would have done while the history grew. */
export const settle = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  let notes = 1
  while (notes > 0) notes = (yield* sql<{ n: number }>`select refresh_event_cards(5000) as n`)[0]!.n
  let busy = true
  while (busy) busy = (yield* sql<{ done: boolean }>`select refresh_coverage_day() as done`)[0]!.done
  for (const table of ["event_cards", "event_quotes", "market_coverage", "coverage_days"])
    yield* sql`vacuum analyze ${sql(table)}`
})
