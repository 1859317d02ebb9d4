import { fromMillis } from "../market/Timestamp.ts"
import type { ForecastEvent, ForecastMarket } from "../store/ForecastInputs.ts"
import type { Piece } from "../store/RagDocuments.ts"
import type { ForecastRequest } from "./Handler.ts"

/** What a user's function is given, named as the tables' columns are; `docs/examples/handler-types.d.ts` says what each field is. */
export const eventOf = (event: ForecastEvent) => ({
  event_ticker: event.eventTicker,
  series_ticker: event.seriesTicker,
  title: event.title,
  sub_title: event.subTitle,
  category: event.category,
  strike_period: event.strikePeriod,
  strike_date: event.strikeDate,
  mutually_exclusive: event.mutuallyExclusive
})

export const marketOf = (market: ForecastMarket) => ({
  ticker: market.ticker,
  title: market.title,
  yes_sub_title: market.yesSubTitle,
  rules_primary: market.rules,
  open_time: market.openTime,
  close_time: market.closeTime,
  strike_type: market.strikeType,
  floor_strike: market.floorStrike,
  cap_strike: market.capStrike,
  volume: market.volume,
  open_interest: market.openInterest,
  quote_ts: market.quote?.ts ?? null,
  yes_bid_dollars: market.quote?.yesBid ?? null,
  yes_ask_dollars: market.quote?.yesAsk ?? null,
  price_dollars: market.quote?.price ?? null,
  implied_yes_mid: market.quote?.mid ?? null
})

export const contextOf = ({ at }: ForecastRequest, documents: ReadonlyArray<Piece>) => ({
  now: fromMillis(at),
  documents: documents.map((piece) => ({
    id: piece.id,
    source: piece.source,
    title: piece.title,
    published_at: piece.publishedAt,
    content: piece.content,
    score: piece.score
  }))
})
