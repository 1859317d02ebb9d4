import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"

/** An event that is forecast. Instants are RFC 3339 in UTC. */
export interface ForecastEvent {
  readonly eventTicker: string
  readonly seriesTicker: string | null
  readonly title: string | null
  readonly subTitle: string | null
  readonly category: string | null
  readonly strikePeriod: string | null
  readonly mutuallyExclusive: boolean
  readonly strikeDate: string | null
}

/** The newest quote of a market; dollars as exact text. `mid` is absent when a side of its book is empty. */
export interface Quote {
  readonly source: "tick" | "rest"
  readonly ts: string
  readonly receivedAt: string
  readonly yesBid: string | null
  readonly yesAsk: string | null
  readonly price: string | null
  readonly mid: string | null
}

/** A market of such an event that trades. */
export interface ForecastMarket {
  readonly ticker: string
  readonly title: string | null
  readonly yesSubTitle: string | null
  readonly rules: string | null
  readonly openTime: string | null
  readonly closeTime: string
  readonly strikeType: string | null
  readonly floorStrike: string | null
  readonly capStrike: string | null
  readonly volume: string | null
  readonly openInterest: string | null
  readonly quote: Quote | undefined
}

/** What a market's mid was at an instant, epoch milliseconds. */
export interface Sample {
  readonly ticker: string
  readonly at: number
  readonly mid: number
}

/** What a forecast is made from, as the record knows it at an instant of the exchange's clock, epoch milliseconds. */
export class ForecastInputs extends Context.Service<
  ForecastInputs,
  {
    event(ticker: string): Effect.Effect<ForecastEvent | undefined, SqlError>
    /** Markets that trade at `now`, nearest to one half first, at most `limit`; `quote`: the newest, not younger than `now`. */
    markets(eventTicker: string, now: number, limit: number): Effect.Effect<ReadonlyArray<ForecastMarket>, SqlError>
    /** Mids of the markets at `count` instants, evenly from `from` to `to`: ticks, or candles where there are none. */
    history(
      tickers: ReadonlyArray<string>,
      from: number,
      to: number,
      count: number
    ): Effect.Effect<ReadonlyArray<Sample>, SqlError>
  }
>()("kalshi-ingestor/store/ForecastInputs") {
  static readonly layer = Layer.effect(
    ForecastInputs,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient

      const event = Effect.fn("ForecastInputs.event")((ticker: string) =>
        sql<ForecastEvent>`
          select
            event_ticker as "eventTicker", series_ticker as "seriesTicker", title, sub_title as "subTitle", category,
            strike_period as "strikePeriod", coalesce(mutually_exclusive, false) as "mutuallyExclusive",
            rfc3339(strike_date) as "strikeDate"
          from events where event_ticker = ${ticker}`.pipe(Effect.map((rows) => rows[0]))
      )

      // A tick that is younger than the instant (the feed runs ahead of a slow reader) is passed over for the one before it.
      const markets = Effect.fn("ForecastInputs.markets")((eventTicker: string, now: number, limit: number) =>
        sql<MarketRow>`
          with at as (select to_timestamp(${now}::float8 / 1000) as instant), quoted as (
            select
              m.*, q.*, implied_yes_mid(q.bid, q.ask) as mid
            from at
            join markets m on m.event_ticker = ${eventTicker} and m.status = 'active' and m.close_time > at.instant
              and coalesce(m.open_time, '-infinity') <= at.instant
            left join market_keys k using (ticker)
            left join lateral (
              select t.ts, t.received_ms, t.yes_bid_dollars, t.yes_ask_dollars, t.price_dollars, t.volume, t.open_interest
              from ticks t where t.market_id = k.market_id and t.ts <= at.instant order by t.ts desc limit 1
            ) t on true
            cross join lateral (
              select
                case when t.ts is not null then 'tick' when m.rest_quote_at <= at.instant then 'rest' end as source,
                coalesce(t.ts, m.rest_quote_at) as quote_ts,
                case when t.ts is null then m.rest_quote_at else received_at(t.ts, t.received_ms) end as quote_received_at,
                case when t.ts is null then m.rest_yes_bid_dollars else t.yes_bid_dollars end as bid,
                case when t.ts is null then m.rest_yes_ask_dollars else t.yes_ask_dollars end as ask,
                case when t.ts is null then m.rest_price_dollars else t.price_dollars end as last_price,
                case when t.ts is null then m.rest_volume else t.volume end as volume_now,
                case when t.ts is null then m.rest_open_interest else t.open_interest end as interest_now
            ) q
          )
          select
            ticker, title, yes_sub_title as "yesSubTitle", rules_primary as rules, rfc3339(open_time) as "openTime",
            rfc3339(close_time) as "closeTime", strike_type as "strikeType", floor_strike::text as "floorStrike",
            cap_strike::text as "capStrike", volume_now::text as volume, interest_now::text as "openInterest",
            source, rfc3339(quote_ts) as ts, rfc3339(quote_received_at) as "receivedAt", bid::text as "yesBid", ask::text as "yesAsk",
            last_price::text as price, mid::text as mid
          from quoted
          order by abs(mid - 0.5) nulls last, abs(coalesce(last_price, bid, ask) - 0.5) nulls last, ticker
          limit ${limit}`.pipe(Effect.map((rows) => rows.map(toMarket)))
      )

      const history = Effect.fn("ForecastInputs.history")(
        (tickers: ReadonlyArray<string>, from: number, to: number, count: number) =>
          sql<{ ticker: string; at: number; mid: number }>`
            with instants as (
              select ${from}::float8 + (${to}::float8 - ${from}::float8) * i / greatest(${count}::int - 1, 1) as at
              from generate_series(0, ${count}::int - 1) as i
            )
            select w.ticker, i.at, coalesce(t.mid, c.mid)::float8 as mid
            from unnest(${tickers}::text[]) as w (ticker)
            cross join instants i
            left join market_keys k on k.ticker = w.ticker
            left join lateral (
              select implied_yes_mid(t.yes_bid_dollars, t.yes_ask_dollars) as mid
              from ticks t
              where t.market_id = k.market_id and t.ts <= to_timestamp(i.at / 1000)
                and t.ts > to_timestamp(${from}::float8 / 1000) - interval '1 hour'
              order by t.ts desc limit 1
            ) t on true
            left join lateral (
              select implied_yes_mid(c.yes_bid_close, c.yes_ask_close) as mid
              from market_candles c
              where t.mid is null and c.market_ticker = w.ticker and c.period_interval_minutes = 1
                and c.end_period_ts <= to_timestamp(i.at / 1000) and c.end_period_ts > to_timestamp(${from}::float8 / 1000) - interval '1 hour'
              order by c.end_period_ts desc limit 1
            ) c on true
            where coalesce(t.mid, c.mid) is not null
            order by w.ticker, i.at`
      )
      return ForecastInputs.of({ event, markets, history })
    })
  )
}

interface MarketRow extends Omit<ForecastMarket, "quote">, Omit<Quote, "source" | "ts" | "receivedAt"> {
  readonly source: Quote["source"] | null
  readonly ts: string
  readonly receivedAt: string
}

const toMarket = ({ mid, price, receivedAt, source, ts, yesAsk, yesBid, ...market }: MarketRow): ForecastMarket => ({
  ...market,
  quote: source === null ? undefined : { source, ts, receivedAt, yesBid, yesAsk, price, mid }
})
