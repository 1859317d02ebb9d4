import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Decimal } from "../market/Decimal.ts"

/** A market that trades, as it is quoted, with its event's rules. */
export interface QuotedLeg {
  readonly ticker: string
  readonly name: string
  readonly eventTicker: string
  readonly eventTitle: string | null
  readonly strikePeriod: string | null
  readonly closeMillis: number | null
  readonly mutuallyExclusive: boolean | null
  /** How many markets of the event trade, and how many neither trade nor are resolved no: with such ones no basket is complete. */
  readonly siblings: number
  readonly others: number
  readonly feeType: string | null
  readonly feeMultiplier: Decimal | null
  readonly yesBid: Decimal | null
  readonly yesBidSize: Decimal | null
  readonly yesAsk: Decimal | null
  readonly yesAskSize: Decimal | null
  readonly quotedMillis: number | null
  readonly source: string | null
  readonly forecast: Decimal | null
  readonly confidence: Decimal | null
  readonly forecastMillis: number | null
  /** Whether the outcomes of its event, all of which are here then, cost less or bring more than a dollar. */
  readonly isBasket: boolean
}

/**
 * What trades now and may be an opportunity: markets that were forecast, and the outcomes of events that can be bought for less, or sold for
 * more, than a dollar. Bounded by the active markets.
 */
export class OpportunityReads extends Context.Service<
  OpportunityReads,
  { readonly legs: Effect.Effect<ReadonlyArray<QuotedLeg>, SqlError> }
>()("kalshi-ingestor/store/OpportunityReads") {
  static readonly layer = Layer.effect(
    OpportunityReads,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const legs = sql<QuotedLeg>`
        with trading as (select distinct event_ticker from active_markets where event_ticker is not null),
        whole as (
          select m.event_ticker, count(*) filter (where m.status = 'active')::int as siblings,
            count(*) filter (where m.status <> 'active' and coalesce(m.result, '') <> 'no')::int as others
          from trading join markets m using (event_ticker) group by m.event_ticker
        )
        select q.*, coalesce(q."mutuallyExclusive" and (q.asks < 1 or q.bids > 1), false) as "isBasket" from (
        select a.ticker, q.name, a.event_ticker as "eventTicker", e.title as "eventTitle", e.strike_period as "strikePeriod",
          (extract(epoch from a.close_time) * 1000)::float8 as "closeMillis", e.mutually_exclusive as "mutuallyExclusive",
          w.siblings, w.others, coalesce(e.fee_type_override, s.fee_type) as "feeType",
          coalesce(e.fee_multiplier_override, s.fee_multiplier)::text as "feeMultiplier",
          q.yes_bid_dollars::text as "yesBid", q.yes_bid_size::text as "yesBidSize", q.yes_ask_dollars::text as "yesAsk",
          q.yes_ask_size::text as "yesAskSize", (extract(epoch from q.quoted_at) * 1000)::float8 as "quotedMillis", q.source,
          trim_scale(round(p.yes_prob, 6))::text as forecast, trim_scale(round(p.confidence, 6))::text as confidence,
          (extract(epoch from p.predicted_at) * 1000)::float8 as "forecastMillis",
          sum(q.yes_ask_dollars) filter (where q.yes_ask_dollars > 0 and q.yes_ask_dollars < 1) over event as asks,
          sum(q.yes_bid_dollars) filter (where q.yes_bid_dollars > 0) over event as bids
        from active_markets a
        join market_quotes q on q.ticker = a.ticker
        join whole w on w.event_ticker = a.event_ticker
        left join events e on e.event_ticker = a.event_ticker
        left join series s on s.ticker = e.series_ticker
        left join lateral (
          select p.yes_prob, p.confidence, p.predicted_at from market_predictions p where p.market_ticker = a.ticker and p.not_scored is null
          order by p.predicted_at desc, p.id desc limit 1) p on true
        where a.status = 'active'
        window event as (partition by a.event_ticker)
        ) q
        where q.forecast is not null or q."mutuallyExclusive" and (q.asks < 1 or q.bids > 1)
        order by q."eventTicker", q.ticker`.pipe(Effect.withSpan("OpportunityReads.legs"))
      return OpportunityReads.of({ legs })
    })
  )
}
