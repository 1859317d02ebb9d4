import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { fromMillis } from "../market/Timestamp.ts"

type Text = string | null

export interface SeriesRow {
  readonly ticker: string
  readonly title: Text
  readonly frequency: Text
  readonly category: Text
  readonly tags: ReadonlyArray<string> | null
  readonly fee_type: Text
  readonly fee_multiplier: Text
  readonly contract_url: Text
  readonly last_updated: Text
}

export interface EventRow {
  readonly event_ticker: string
  readonly series_ticker: Text
  readonly title: Text
  readonly sub_title: Text
  readonly category: Text
  readonly collateral_return_type: Text
  readonly mutually_exclusive: boolean | null
  readonly strike_date: Text
  readonly strike_period: Text
  readonly cadence: Text
  readonly fee_type_override: Text
  readonly fee_multiplier_override: Text
  readonly exchange_index: number | null
  readonly last_updated: Text
}

/** `status`, and what only a later status has, as of the instant that was asked about. */
export interface MarketRow {
  readonly ticker: string
  readonly event_ticker: Text
  readonly market_type: Text
  readonly title: Text
  readonly yes_sub_title: Text
  readonly no_sub_title: Text
  readonly status: string
  readonly created_time: Text
  readonly updated_time: Text
  readonly open_time: Text
  readonly close_time: Text
  readonly expected_expiration_time: Text
  readonly latest_expiration_time: Text
  readonly settlement_ts: Text
  readonly settlement_timer_seconds: number | null
  readonly settlement_value_dollars: Text
  readonly result: Text
  readonly expiration_value: Text
  readonly can_close_early: boolean | null
  readonly strike_type: Text
  readonly floor_strike: Text
  readonly cap_strike: Text
  readonly functional_strike: Text
  readonly custom_strike: unknown
  readonly rules_primary: Text
  readonly rules_secondary: Text
  readonly price_level_structure: Text
  readonly price_ranges: unknown
  readonly is_provisional: boolean | null
  readonly exchange_index: number | null
}

export interface CandleRow {
  readonly market_ticker: string
  /** Epoch seconds. */
  readonly end_period_ts: number
  readonly open: Text
  readonly high: Text
  readonly low: Text
  readonly close: Text
  readonly mean: Text
  readonly previous: Text
  readonly yes_bid_open: Text
  readonly yes_bid_high: Text
  readonly yes_bid_low: Text
  readonly yes_bid_close: Text
  readonly yes_ask_open: Text
  readonly yes_ask_high: Text
  readonly yes_ask_low: Text
  readonly yes_ask_close: Text
  readonly volume: Text
  readonly open_interest: Text
}

export interface TradeRow {
  readonly trade_id: string
  readonly ticker: string
  /** Epoch milliseconds. */
  readonly ts: number
  readonly created_time: string
  readonly count: string
  readonly yes_price: string
  readonly no_price: string
  readonly taker_side: Text
  readonly is_block_trade: boolean
}

/** Filters of the exchange's lists; what is undefined filters nothing. Seconds since 1970. */
export interface MarketFilter {
  readonly statuses: ReadonlyArray<string> | undefined
  readonly tickers: ReadonlyArray<string> | undefined
  readonly events: ReadonlyArray<string> | undefined
  readonly series: string | undefined
  readonly minCloseSeconds: number | undefined
  readonly maxCloseSeconds: number | undefined
  readonly minUpdatedSeconds: number | undefined
  readonly after: string | undefined
  readonly limit: number
}

export interface EventFilter {
  readonly statuses: ReadonlyArray<string> | undefined
  readonly tickers: ReadonlyArray<string> | undefined
  readonly series: string | undefined
  readonly minCloseSeconds: number | undefined
  readonly minUpdatedSeconds: number | undefined
  readonly after: string | undefined
  readonly limit: number
}

/** The catalog as it was at an instant: nothing that happened later shows. Lists are in the order of their tickers. */
export class ReplayCatalog extends Context.Service<
  ReplayCatalog,
  {
    readonly series: (ticker: string | undefined) => Effect.Effect<ReadonlyArray<SeriesRow>, SqlError>
    events(atMillis: number, filter: EventFilter): Effect.Effect<ReadonlyArray<EventRow>, SqlError>
    markets(atMillis: number, filter: MarketFilter): Effect.Effect<ReadonlyArray<MarketRow>, SqlError>
    /** Candles that ended within the bounds (epoch seconds, both included) and until the instant. */
    candles(
      atMillis: number,
      tickers: ReadonlyArray<string>,
      minutes: number,
      fromSeconds: number,
      toSeconds: number
    ): Effect.Effect<ReadonlyArray<CandleRow>, SqlError>
    /** The newest first, after a trade. */
    trades(
      atMillis: number,
      filter: {
        readonly tickers: ReadonlyArray<string> | undefined
        readonly fromMillis: number
        readonly toMillis: number
        readonly after: { readonly ts: number; readonly id: string } | undefined
        readonly limit: number
      }
    ): Effect.Effect<ReadonlyArray<TradeRow>, SqlError>
    /** Every market of these series, of these events, or so named; and their events. */
    chosen(
      series: ReadonlyArray<string>,
      events: ReadonlyArray<string>,
      markets: ReadonlyArray<string>
    ): Effect.Effect<ReadonlyArray<{ readonly ticker: string; readonly event_ticker: Text }>, SqlError>
  }
>()("kalshi-ingestor/store/ReplayCatalog") {
  static readonly layer = Layer.effect(
    ReplayCatalog,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const at = (millis: number) => sql`${fromMillis(millis)}::timestamptz`
      const given = (value: unknown, condition: () => ReturnType<typeof at>) =>
        value === undefined ? sql.literal("true") : condition()
      const seconds = (value: number) => sql`to_timestamp(${value}::float8)`

      /** What is known of a market's stages at an instant. */
      const stages = (millis: number) => sql`
        select m.*,
          case
            when m.open_time > ${at(millis)} then 'initialized'
            when coalesce(m.settlement_ts, case when market_stage(m.status) = 'settled' then greatest(m.close_time, m.expected_expiration_time) end)
              <= ${at(millis)} then 'finalized'
            when m.determination_ts <= ${at(millis)} then 'determined'
            when m.close_time <= ${at(millis)} then 'closed'
            when (
              select l.event_type from lifecycle_events l
              where l.market_ticker = m.ticker and l.received_at <= ${at(millis)} and l.event_type in ('activated', 'deactivated')
              order by l.received_at desc, l.id desc limit 1) = 'deactivated' then 'inactive'
            else 'active' end as stage
        from markets m
        where coalesce(m.created_time, m.open_time, '-infinity') <= ${at(millis)}`

      const series = (ticker: string | undefined) => sql<SeriesRow>`
        select ticker, title, frequency, category, tags, fee_type, fee_multiplier::text as fee_multiplier, contract_url,
          rfc3339(last_updated) as last_updated
        from series s where ${given(ticker, () => sql`s.ticker = ${ticker}`)}
        order by ticker collate "C"`

      const events = (millis: number, f: EventFilter) => sql<EventRow>`
        select e.event_ticker, e.series_ticker, e.title, e.sub_title, e.category, e.collateral_return_type, e.mutually_exclusive,
          rfc3339(e.strike_date) as strike_date, coalesce(e.strike_period_exchange, '') as strike_period, e.cadence,
          e.fee_type_override, e.fee_multiplier_override::text as fee_multiplier_override, e.exchange_index,
          rfc3339(least(e.last_updated, ${at(millis)})) as last_updated
        from events e
        where ${given(f.after, () => sql`e.event_ticker collate "C" > ${f.after}`)}
          and ${given(f.tickers, () => sql`e.event_ticker = any (${f.tickers}::text[])`)}
          and ${given(f.series, () => sql`e.series_ticker = ${f.series}`)}
          and ${given(f.minUpdatedSeconds, () => sql`e.last_updated > ${seconds(f.minUpdatedSeconds!)} and e.last_updated <= ${at(millis)}`)}
          and exists (
            select from (${stages(millis)} and m.event_ticker = e.event_ticker) m
            where ${given(f.statuses, () => sql`m.stage = any (${f.statuses}::text[])`)}
              and ${given(f.minCloseSeconds, () => sql`m.close_time > ${seconds(f.minCloseSeconds!)}`)})
        order by e.event_ticker collate "C" limit ${f.limit}`

      const known = (condition: string, column: string) =>
        sql.literal(`case when ${condition} then ${column} end as ${column.split("::")[0]}`)
      const isDetermined = "m.stage in ('determined', 'finalized')"

      const markets = (millis: number, f: MarketFilter) => sql<MarketRow>`
        select m.ticker, m.event_ticker, m.market_type, m.title, m.yes_sub_title, m.no_sub_title, m.stage as status,
          rfc3339(m.created_time) as created_time, rfc3339(least(m.updated_time, ${at(millis)})) as updated_time,
          rfc3339(m.open_time) as open_time, rfc3339(m.close_time) as close_time,
          rfc3339(m.expected_expiration_time) as expected_expiration_time,
          rfc3339(m.latest_expiration_time) as latest_expiration_time,
          case when m.stage = 'finalized' then rfc3339(m.settlement_ts) end as settlement_ts, m.settlement_timer_seconds,
          ${known(isDetermined, "settlement_value_dollars::text")}, ${known(isDetermined, "result")},
          ${known(isDetermined, "expiration_value")}, m.can_close_early, m.strike_type, m.floor_strike::text as floor_strike,
          m.cap_strike::text as cap_strike, m.functional_strike, m.custom_strike, m.rules_primary, m.rules_secondary,
          m.price_level_structure, m.price_ranges, m.is_provisional, m.exchange_index
        from (${stages(millis)}) m left join events e on e.event_ticker = m.event_ticker
        where ${given(f.after, () => sql`m.ticker collate "C" > ${f.after}`)}
          and ${given(f.tickers, () => sql`m.ticker = any (${f.tickers}::text[])`)}
          and ${given(f.events, () => sql`m.event_ticker = any (${f.events}::text[])`)}
          and ${given(f.series, () => sql`e.series_ticker = ${f.series}`)}
          and ${given(f.statuses, () => sql`m.stage = any (${f.statuses}::text[])`)}
          and ${given(f.minCloseSeconds, () => sql`m.close_time >= ${seconds(f.minCloseSeconds!)}`)}
          and ${given(f.maxCloseSeconds, () => sql`m.close_time < ${seconds(f.maxCloseSeconds! + 1)}`)}
          and ${given(f.minUpdatedSeconds, () => sql`m.updated_time > ${seconds(f.minUpdatedSeconds!)} and m.updated_time <= ${at(millis)}`)}
        order by m.ticker collate "C" limit ${f.limit}`

      return ReplayCatalog.of({
        series,
        events,
        markets,
        candles: (millis, tickers, minutes, from, to) => sql<CandleRow>`
          select c.market_ticker, extract(epoch from c.end_period_ts)::float8 as end_period_ts, ${sql.literal(candleColumns)}
          from market_candles c
          where c.market_ticker = any (${tickers}::text[]) and c.period_interval_minutes = ${minutes}
            and c.end_period_ts >= ${seconds(from)} and c.end_period_ts <= ${seconds(to)} and c.end_period_ts <= ${at(millis)}
          order by c.market_ticker collate "C", c.end_period_ts`,
        trades: (millis, { after, fromMillis: from, limit, tickers, toMillis: to }) => sql<TradeRow>`
          select t.trade_id::text as trade_id, k.ticker, (extract(epoch from t.ts) * 1000)::float8 as ts,
            rfc3339(t.ts + coalesce(t.micros, 0) * interval '1 microsecond') as created_time, t.count::text as count,
            t.yes_price_dollars::text as yes_price, coalesce(t.no_price_dollars, 1 - t.yes_price_dollars)::text as no_price,
            case t.taker_yes when true then 'yes' when false then 'no' end as taker_side, t.is_block_trade
          from trades t join market_keys k using (market_id)
          where t.ts >= ${at(from)} and t.ts < ${at(to)} and t.ts <= ${at(millis)}
            and ${given(tickers, () => sql`k.ticker = any (${tickers}::text[])`)}
            and ${given(after, () => sql`(t.ts, t.trade_id) < (${at(after!.ts)}, ${after!.id}::uuid)`)}
          order by t.ts desc, t.trade_id desc limit ${limit}`,
        chosen: (ofSeries, ofEvents, ofMarkets) => sql<{ ticker: string; event_ticker: Text }>`
          select m.ticker, m.event_ticker from markets m left join events e using (event_ticker)
          where e.series_ticker = any (${ofSeries}::text[]) or m.event_ticker = any (${ofEvents}::text[])
            or m.ticker = any (${ofMarkets}::text[])
          order by m.ticker`
      })
    })
  )
}

const candleColumns = [
  "open",
  "high",
  "low",
  "close",
  "mean",
  "previous",
  ...["bid", "ask"].flatMap((side) => ["open", "high", "low", "close"].map((name) => `yes_${side}_${name}`)),
  "volume",
  "open_interest"
]
  .map((name) => `c.${name}::text as ${name}`)
  .join(", ")
