import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type * as Statement from "effect/sql/Statement"
import type { Decimal } from "../market/Decimal.ts"
import { fromMillis, type Timestamp } from "../market/Timestamp.ts"

/** A market's facts and quote. A null is not known. */
export interface MarketFacts {
  readonly ticker: string
  readonly eventTicker: string | null
  readonly seriesTicker: string | null
  readonly eventTitle: string | null
  readonly strikePeriod: string | null
  readonly title: string | null
  readonly yesSubTitle: string | null
  readonly noSubTitle: string | null
  readonly status: string | null
  readonly openTime: Timestamp | null
  readonly closeTime: Timestamp | null
  readonly determinedAt: Timestamp | null
  readonly settledAt: Timestamp | null
  readonly result: string | null
  readonly settlementValue: Decimal | null
  readonly expirationValue: string | null
  readonly completion: string | null
  readonly strikeType: string | null
  readonly floorStrike: Decimal | null
  readonly capStrike: Decimal | null
  readonly rulesPrimary: string | null
  readonly rulesSecondary: string | null
  readonly feeType: string | null
  readonly feeMultiplier: Decimal | null
  readonly yesBid: Decimal | null
  readonly yesAsk: Decimal | null
  readonly yesBidSize: Decimal | null
  readonly yesAskSize: Decimal | null
  readonly lastPrice: Decimal | null
  readonly volume: Decimal | null
  readonly openInterest: Decimal | null
  readonly quotedAt: Timestamp | null
  readonly source: string | null
  readonly firstSeenAt: Timestamp
}

export interface Span {
  readonly fromMillis: number
  readonly toMillis: number
}

/** `seconds`: inclusive end of the period, epoch. A null price: nothing traded. `source`: what it was made of. */
export interface ChartCandle {
  readonly seconds: number
  readonly open: Decimal | null
  readonly high: Decimal | null
  readonly low: Decimal | null
  readonly close: Decimal | null
  readonly volume: Decimal | null
  readonly openInterest: Decimal | null
  readonly yesBid: Decimal | null
  readonly yesAsk: Decimal | null
  readonly source: "candle" | "ticks"
}

export interface TickRow {
  readonly at: Timestamp
  readonly receivedAt: Timestamp
  readonly lastPrice: Decimal | null
  readonly yesBid: Decimal | null
  readonly yesAsk: Decimal | null
  readonly yesBidSize: Decimal | null
  readonly yesAskSize: Decimal | null
  readonly volume: Decimal | null
  readonly openInterest: Decimal | null
  readonly provenance: string | null
}

export interface TradeRow {
  readonly tradeId: string
  readonly at: Timestamp
  readonly count: Decimal
  readonly yesPrice: Decimal
  readonly takerSide: string | null
  readonly isBlock: boolean
  readonly provenance: string | null
}

export interface GapRow {
  readonly id: string
  readonly feed: string
  readonly from: Timestamp
  readonly to: Timestamp | null
  readonly cause: string
  readonly repairedBy: string | null
}

export interface BookRow {
  readonly side: "yes" | "no"
  readonly price: Decimal
  readonly size: Decimal
}

export interface BookQuality {
  readonly quality: string
  readonly snapshotAt: Timestamp | null
  readonly changes: number
}

/** One step of a market's life: what the exchange announced, or what the catalog learned. */
export interface LifeStep {
  readonly at: Timestamp
  readonly source: "lifecycle" | "catalog"
  readonly what: string
  readonly detail: string | null
}

export interface PredictionRow {
  readonly at: Timestamp
  readonly agent: string | null
  readonly model: string | null
  readonly yesProbability: Decimal | null
  readonly confidence: Decimal | null
  readonly rationale: string | null
}

/** Where no candle was read yet, ticks are binned, in at most this much of the span's end. */
const tickSpanMillis = { 1: 6 * 3_600_000, 60: 24 * 3_600_000, 1440: 48 * 3_600_000 } as const
const candlesAtMost = 5_000
const gapsAtMost = 500

/** Everything about one market. Every query is bounded by a limit or by a span of the market's own rows. */
export class MarketReads extends Context.Service<
  MarketReads,
  {
    readonly facts: (ticker: string) => Effect.Effect<Option.Option<MarketFacts>, SqlError>
    /** Ascending, the newest 5,000 of the span; from ticks where no candle is stored yet. */
    readonly candles: (
      ticker: string,
      span: Span,
      minutes: 1 | 60 | 1440
    ) => Effect.Effect<ReadonlyArray<ChartCandle>, SqlError>
    /** Newest first. */
    readonly ticks: (ticker: string, span: Span, limit: number) => Effect.Effect<ReadonlyArray<TickRow>, SqlError>
    /** Newest first. */
    readonly trades: (ticker: string, span: Span, limit: number) => Effect.Effect<ReadonlyArray<TradeRow>, SqlError>
    /** Spans in which a feed of this market was not received, oldest first; at most 500. */
    readonly gaps: (ticker: string, span: Span) => Effect.Effect<ReadonlyArray<GapRow>, SqlError>
    readonly book: (
      ticker: string,
      atMillis: number
    ) => Effect.Effect<{ readonly levels: ReadonlyArray<BookRow>; readonly quality: BookQuality }, SqlError>
    /** Newest first, at most 200. */
    readonly life: (ticker: string) => Effect.Effect<ReadonlyArray<LifeStep>, SqlError>
    /** Newest first. */
    readonly predictions: (ticker: string, limit: number) => Effect.Effect<ReadonlyArray<PredictionRow>, SqlError>
  }
>()("kalshi-ingestor/store/MarketReads") {
  static readonly layer = Layer.effect(
    MarketReads,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const idOf = (ticker: string) => sql`(select k.market_id from market_keys k where k.ticker = ${ticker})`
      const within = (span: Span) =>
        sql`t.ts >= ${fromMillis(span.fromMillis)}::timestamptz and t.ts <= ${fromMillis(span.toMillis)}::timestamptz`

      const facts = Effect.fn("MarketReads.facts")((ticker: string) =>
        sql<MarketFacts>`
          select m.ticker, m.event_ticker as "eventTicker", e.series_ticker as "seriesTicker", e.title as "eventTitle",
            e.strike_period as "strikePeriod", m.title, m.yes_sub_title as "yesSubTitle", m.no_sub_title as "noSubTitle", m.status,
            rfc3339(m.open_time) as "openTime", rfc3339(m.close_time) as "closeTime", rfc3339(m.determination_ts) as "determinedAt",
            rfc3339(m.settlement_ts) as "settledAt", nullif(m.result, '') as result,
            m.settlement_value_dollars::text as "settlementValue", nullif(m.expiration_value, '') as "expirationValue", m.completion,
            m.strike_type as "strikeType", m.floor_strike::text as "floorStrike", m.cap_strike::text as "capStrike",
            m.rules_primary as "rulesPrimary", nullif(m.rules_secondary, '') as "rulesSecondary",
            coalesce(e.fee_type_override, s.fee_type) as "feeType",
            coalesce(e.fee_multiplier_override, s.fee_multiplier)::text as "feeMultiplier",
            q.yes_bid_dollars::text as "yesBid", q.yes_ask_dollars::text as "yesAsk", q.yes_bid_size::text as "yesBidSize",
            q.yes_ask_size::text as "yesAskSize", q.price_dollars::text as "lastPrice", q.volume::text as volume,
            q.open_interest::text as "openInterest", rfc3339(q.quoted_at) as "quotedAt", q.source,
            rfc3339(m.first_seen_at) as "firstSeenAt"
          from markets m
          join market_quotes q on q.ticker = m.ticker
          left join events e on e.event_ticker = m.event_ticker
          left join series s on s.ticker = e.series_ticker
          where m.ticker = ${ticker}`.pipe(Effect.map((rows) => Option.fromNullishOr(rows[0])))
      )

      const stored = (ticker: string, span: Span, minutes: number) => sql<ChartCandle>`
        select extract(epoch from c.end_period_ts)::float8 as seconds, c.open::text as open, c.high::text as high, c.low::text as low,
          c.close::text as close, c.volume::text as volume, c.open_interest::text as "openInterest",
          c.yes_bid_close::text as "yesBid", c.yes_ask_close::text as "yesAsk", 'candle' as source
        from market_candles c
        where c.market_ticker = ${ticker} and c.period_interval_minutes = ${minutes}
          and c.end_period_ts > ${fromMillis(span.fromMillis)}::timestamptz and c.end_period_ts <= ${fromMillis(span.toMillis)}::timestamptz
        order by c.end_period_ts desc limit ${candlesAtMost}`

      /** `rows`: at, open, high, low, close, volume, interest, bid and ask of ticks, or of minutes of them. */
      const made = (minutes: number, rows: Statement.Fragment) => sql<ChartCandle>`
        select extract(epoch from b.starts + ${`${minutes} minutes`}::interval)::float8 as seconds,
          b.open::text as open, b.high::text as high, b.low::text as low, b.close::text as close,
          case when b.volume > 0 then b.volume end::text as volume, b.interest::text as "openInterest",
          b.bid::text as "yesBid", b.ask::text as "yesAsk", 'ticks' as source
        from (
          select date_bin(${`${minutes} minutes`}::interval, t.at, timestamptz '2000-01-01 00:00:00Z') as starts,
            (array_agg(t.open order by t.at) filter (where t.open > 0))[1] as open,
            max(t.high) filter (where t.high > 0) as high, min(t.low) filter (where t.low > 0) as low,
            (array_agg(t.close order by t.at desc) filter (where t.close > 0))[1] as close, max(t.volume) - min(t.volume) as volume,
            (array_agg(t.interest order by t.at desc))[1] as interest,
            (array_agg(t.bid order by t.at desc))[1] as bid, (array_agg(t.ask order by t.at desc))[1] as ask
          from (${rows}) t (at, open, high, low, close, volume, interest, bid, ask)
          group by 1) b
        order by b.starts`

      const ofTicks = (ticker: string, span: Span, minutes: number) =>
        made(
          minutes,
          sql`select t.ts, t.price_dollars, t.price_dollars, t.price_dollars, t.price_dollars, t.volume, t.open_interest,
              t.yes_bid_dollars, t.yes_ask_dollars
            from ticks t where t.market_id = ${idOf(ticker)} and ${within(span)}`
        )

      /** Of what is kept of ticks that left the database. */
      const ofMinutes = (ticker: string, span: Span, minutes: number) =>
        made(
          minutes,
          sql`select t.minute, t.open, t.high, t.low, t.close, t.volume, t.open_interest, t.yes_bid_dollars, t.yes_ask_dollars
            from tick_minutes t where t.market_id = ${idOf(ticker)}
              and t.minute >= ${fromMillis(span.fromMillis)}::timestamptz and t.minute <= ${fromMillis(span.toMillis)}::timestamptz`
        )

      /** From the first to the last instant of a span whose candles were not read from the exchange; nothing when all were. */
      const unread = (ticker: string, span: Span, minutes: number) => sql<{
        readonly fromMillis: number | null
        readonly toMillis: number | null
      }>`
        select (extract(epoch from lower(r.rest)) * 1000)::float8 as "fromMillis", (extract(epoch from upper(r.rest)) * 1000)::float8 as "toMillis"
        from (
          select range_merge(tstzmultirange(coverage_span(${fromMillis(span.fromMillis)}::timestamptz, ${fromMillis(span.toMillis)}::timestamptz))
            - coalesce((select c.checked from candle_ranges c
              where c.market_ticker = ${ticker} and c.period_interval_minutes = ${minutes}), '{}')) as rest) r`

      const candles = Effect.fn("MarketReads.candles")(function* (ticker: string, span: Span, minutes: 1 | 60 | 1440) {
        const [found, [rest]] = yield* Effect.all([stored(ticker, span, minutes), unread(ticker, span, minutes)], {
          concurrency: 2
        })
        const candles = found.toReversed()
        if (rest === undefined || rest.fromMillis === null || rest.toMillis === null) return candles
        const period = minutes * 60_000
        const earliest = Math.ceil((span.toMillis - tickSpanMillis[minutes]) / period) * period
        const unreadSpan = { fromMillis: Math.max(rest.fromMillis, earliest), toMillis: rest.toMillis }
        const ticks = yield* ofTicks(ticker, unreadSpan, minutes)
        const kept = yield* ofMinutes(ticker, unreadSpan, minutes)
        const of = (some: ReadonlyArray<ChartCandle>) => some.map((candle) => [candle.seconds, candle] as const)
        return [...new Map([...of(kept), ...of(ticks), ...of(candles)]).values()].toSorted(
          (a, b) => a.seconds - b.seconds
        )
      })

      const ticks = Effect.fn("MarketReads.ticks")(
        (ticker: string, span: Span, limit: number) => sql<TickRow>`
        select rfc3339(t.ts) as at, rfc3339(received_at(t.ts, t.received_ms)) as "receivedAt", t.price_dollars::text as "lastPrice",
          t.yes_bid_dollars::text as "yesBid", t.yes_ask_dollars::text as "yesAsk", t.yes_bid_size::text as "yesBidSize",
          t.yes_ask_size::text as "yesAskSize", t.volume::text as volume, t.open_interest::text as "openInterest",
          provenance_name(t.provenance) as provenance
        from ticks t where t.market_id = ${idOf(ticker)} and ${within(span)} order by t.ts desc limit ${limit}`
      )

      const trades = Effect.fn("MarketReads.trades")(
        (ticker: string, span: Span, limit: number) => sql<TradeRow>`
        select t.trade_id::text as "tradeId", rfc3339(t.ts + coalesce(t.micros, 0) * interval '1 microsecond') as at,
          t.count::text as count, t.yes_price_dollars::text as "yesPrice",
          case t.taker_yes when true then 'yes' when false then 'no' end as "takerSide", t.is_block_trade as "isBlock",
          provenance_name(t.provenance) as provenance
        from trades t where t.market_id = ${idOf(ticker)} and ${within(span)} order by t.ts desc, t.micros desc limit ${limit}`
      )

      const gaps = Effect.fn("MarketReads.gaps")(
        (ticker: string, span: Span) => sql<GapRow>`
        select g.id::text as id, g.feed, rfc3339(g.from_ts) as "from", rfc3339(g.to_ts) as "to", g.cause, g.repaired_by as "repairedBy"
        from capture_gaps g
        where coverage_span(g.from_ts, coalesce(g.to_ts, 'infinity'))
            && coverage_span(${fromMillis(span.fromMillis)}::timestamptz, ${fromMillis(span.toMillis)}::timestamptz)
          and gap_concerns(g.shard, g.slots, g.market_ticker, ${ticker})
        order by g.from_ts limit ${gapsAtMost}`
      )

      const book = Effect.fn("MarketReads.book")(function* (ticker: string, atMillis: number) {
        const at = fromMillis(atMillis)
        const levels = yield* sql<BookRow>`
          select side, price_dollars::text as price, size::text as size from book_at(${ticker}, ${at}::timestamptz)`
        const [quality] = yield* sql<BookQuality>`
          select quality, rfc3339(snapshot_ts) as "snapshotAt", changes::float8 as changes
          from book_quality_at(${ticker}, ${at}::timestamptz)`
        return { levels, quality: quality! }
      })

      const life = Effect.fn("MarketReads.life")(
        (ticker: string) => sql<LifeStep>`
        select rfc3339(at) as at, source, what, detail from (
          (select l.received_at as at, 'lifecycle' as source, l.event_type as what,
            nullif(concat_ws(', ', nullif(l.result, ''), '$' || l.settlement_value_dollars), '') as detail
          from lifecycle_events l where l.market_ticker = ${ticker} order by l.received_at desc limit 100)
          union all
          (select c.changed_at, 'catalog', a.key, concat(coalesce(c.before ->> a.key, '–'), ' → ', coalesce(a.value, '–'))
          from metadata_changes c, jsonb_each_text(c.after) a
          where c.kind = 'market' and c.key = ${ticker}
            and a.key in ('status', 'result', 'open_time', 'close_time', 'settlement_value_dollars', 'expiration_value')
          order by c.changed_at desc limit 100)
        ) steps order by at desc limit 200`
      )

      const predictions = Effect.fn("MarketReads.predictions")(
        (ticker: string, limit: number) => sql<PredictionRow>`
        select rfc3339(p.predicted_at) as at, coalesce(p.agent_name, r.agent_name) as agent, coalesce(p.model_name, r.model_name) as model, trim_scale(round(p.yes_prob, 6))::text as "yesProbability",
          trim_scale(round(p.confidence, 6))::text as confidence, p.rationale
        from market_predictions p left join prediction_runs r on r.id = p.run_id
        where p.market_ticker = ${ticker} order by p.predicted_at desc, p.id desc limit ${limit}`
      )

      return MarketReads.of({ facts, candles, ticks, trades, gaps, book, life, predictions })
    })
  )
}
