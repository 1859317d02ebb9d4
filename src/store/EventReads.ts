import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Decimal } from "../market/Decimal.ts"
import { fromMillis, type Timestamp } from "../market/Timestamp.ts"

/** An event's facts. A null is not known. */
export interface EventFacts {
  readonly eventTicker: string
  readonly seriesTicker: string | null
  readonly seriesTitle: string | null
  readonly title: string | null
  readonly subTitle: string | null
  readonly category: string | null
  readonly strikePeriod: string | null
  readonly strikeDate: Timestamp | null
  readonly mutuallyExclusive: boolean | null
  readonly feeType: string | null
  readonly feeMultiplier: Decimal | null
  readonly contractUrl: string | null
  readonly status: string | null
  readonly outcome: string | null
  readonly openTime: Timestamp | null
  readonly closeTime: Timestamp | null
  readonly complete: boolean | null
}

/** One outcome of an event: its quote, and the newest forecast of a model. */
export interface OutcomeRow {
  readonly ticker: string
  readonly name: string
  readonly status: string | null
  readonly result: string | null
  readonly settlementValue: Decimal | null
  readonly yesBid: Decimal | null
  readonly yesAsk: Decimal | null
  readonly yesBidSize: Decimal | null
  readonly yesAskSize: Decimal | null
  readonly lastPrice: Decimal | null
  readonly volume: Decimal | null
  readonly openInterest: Decimal | null
  readonly quotedAt: Timestamp | null
  readonly source: string | null
  readonly forecast: Decimal | null
  readonly confidence: Decimal | null
  readonly forecastAt: Timestamp | null
}

/** The implied probability of one outcome at `seconds` (epoch), ascending. */
export interface ForecastPoint {
  readonly ticker: string
  readonly seconds: number
  readonly value: number
}

export interface ForecastQuery {
  readonly eventTicker: string
  readonly fromMillis: number
  readonly toMillis: number
  /** How many points a line has at most. */
  readonly points: number
  /** How many outcomes: those with the most volume. */
  readonly lines: number
}

const outcomesAtMost = 1_000

/** Everything about one event. */
export class EventReads extends Context.Service<
  EventReads,
  {
    readonly facts: (eventTicker: string) => Effect.Effect<Option.Option<EventFacts>, SqlError>
    /** In the order of their strikes; at most 1,000. */
    readonly outcomes: (eventTicker: string) => Effect.Effect<ReadonlyArray<OutcomeRow>, SqlError>
    /** From candles, and from ticks where no candle is stored yet. */
    readonly forecast: (query: ForecastQuery) => Effect.Effect<ReadonlyArray<ForecastPoint>, SqlError>
  }
>()("kalshi-ingestor/store/EventReads") {
  static readonly layer = Layer.effect(
    EventReads,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient

      const facts = Effect.fn("EventReads.facts")((eventTicker: string) =>
        sql<EventFacts>`
          select k.event_ticker as "eventTicker", e.series_ticker as "seriesTicker", s.title as "seriesTitle",
            coalesce(e.title, c.title) as title, e.sub_title as "subTitle", coalesce(e.category, s.category) as category,
            e.strike_period as "strikePeriod", rfc3339(e.strike_date) as "strikeDate", e.mutually_exclusive as "mutuallyExclusive",
            coalesce(e.fee_type_override, s.fee_type) as "feeType",
            coalesce(e.fee_multiplier_override, s.fee_multiplier)::text as "feeMultiplier", s.contract_url as "contractUrl",
            c.status, c.outcome, rfc3339(c.open_time) as "openTime", rfc3339(c.close_time) as "closeTime", c.is_complete as complete
          from (select ${eventTicker}::text as event_ticker) k
          left join events e using (event_ticker)
          left join event_cards c using (event_ticker)
          left join series s on s.ticker = e.series_ticker
          where e.event_ticker is not null or c.event_ticker is not null`.pipe(
          Effect.map((rows) => Option.fromNullishOr(rows[0]))
        )
      )

      const outcomes = Effect.fn("EventReads.outcomes")(
        (eventTicker: string) =>
          sql<OutcomeRow>`
          select m.ticker, q.name, m.status, nullif(m.result, '') as result, m.settlement_value_dollars::text as "settlementValue",
            q.yes_bid_dollars::text as "yesBid", q.yes_ask_dollars::text as "yesAsk", q.yes_bid_size::text as "yesBidSize",
            q.yes_ask_size::text as "yesAskSize", q.price_dollars::text as "lastPrice", q.volume::text as volume,
            q.open_interest::text as "openInterest", rfc3339(q.quoted_at) as "quotedAt", q.source,
            trim_scale(round(p.yes_prob, 6))::text as forecast, trim_scale(round(p.confidence, 6))::text as confidence, rfc3339(p.predicted_at) as "forecastAt"
          from markets m
          join market_quotes q on q.ticker = m.ticker
          left join lateral (
            select p.yes_prob, p.confidence, p.predicted_at from market_predictions p where p.market_ticker = m.ticker and p.not_scored is null
            order by p.predicted_at desc, p.id desc limit 1) p on true
          where m.event_ticker = ${eventTicker}
          order by coalesce(m.floor_strike, m.cap_strike), m.cap_strike, m.ticker
          limit ${outcomesAtMost}`
      )

      const forecast = Effect.fn("EventReads.forecast")((query: ForecastQuery) => {
        const from = fromMillis(query.fromMillis)
        const to = fromMillis(query.toMillis)
        const stepSeconds = Math.max(60, Math.ceil((query.toMillis - query.fromMillis) / 1000 / query.points / 60) * 60)
        const step = `${stepSeconds} seconds`
        const candleMinutes = stepSeconds >= 7200 ? 60 : 1
        return sql<ForecastPoint>`
          with chosen as materialized (
            select q.ticker, k.market_id from market_quotes q join market_keys k using (ticker)
            where q.event_ticker = ${query.eventTicker}
            order by q.volume desc nulls last, q.ticker limit ${query.lines}
          ), points as (
            select c.ticker, p.at, p.value from chosen c
            cross join lateral (
              select date_bin(${step}::interval, n.end_period_ts - interval '1 second', timestamptz '2000-01-01 00:00:00Z') as at,
                (array_agg(coalesce(implied_yes_mid(n.yes_bid_close, n.yes_ask_close), n.close, n.previous)
                  order by n.end_period_ts desc))[1] as value
              from market_candles n
              where n.market_ticker = c.ticker and n.period_interval_minutes = ${candleMinutes}
                and n.end_period_ts > ${from}::timestamptz and n.end_period_ts <= ${to}::timestamptz
              group by 1) p
            union all
            select c.ticker, p.at, p.value from chosen c
            cross join lateral (
              select max(n.end_period_ts) as until from market_candles n
              where n.market_ticker = c.ticker and n.period_interval_minutes = ${candleMinutes}
                and n.end_period_ts > ${from}::timestamptz and n.end_period_ts <= ${to}::timestamptz) seen
            cross join lateral (
              select slot.at, coalesce(implied_yes_mid(t.yes_bid_dollars, t.yes_ask_dollars), t.price_dollars) as value
              from generate_series(
                date_bin(${step}::interval, coalesce(seen.until, ${from}::timestamptz), timestamptz '2000-01-01 00:00:00Z'),
                ${to}::timestamptz, ${step}::interval) as slot (at)
              cross join lateral (
                select t.yes_bid_dollars, t.yes_ask_dollars, t.price_dollars from ticks t
                where t.market_id = c.market_id and t.ts >= greatest(slot.at, seen.until, ${from}::timestamptz)
                  and t.ts < least(slot.at + ${step}::interval, ${to}::timestamptz)
                order by t.ts desc limit 1) t) p
          )
          select distinct on (ticker, at) ticker, extract(epoch from at)::float8 as seconds, value::float8 as value
          from points where value is not null order by ticker, at`
      })

      return EventReads.of({ facts, outcomes, forecast })
    })
  )
}
