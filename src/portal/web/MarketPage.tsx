import * as Result from "effect/Result"
import { useCallback, useEffect, useRef, useState } from "preact/hooks"
import type { ChartCandle, Gap, MarketDetail } from "../MarketApi.ts"
import type { MarketQuote } from "../MarketListsApi.ts"
import { call } from "./client.ts"
import { Segments } from "./controls.tsx"
import { Downloads } from "./Downloads.tsx"
import { Chance, StatusPill } from "./EventTable.tsx"
import { useNow } from "./exchange.ts"
import { amount, cents, periodWord, span, utc } from "./format.ts"
import { Ladder } from "./Ladder.tsx"
import { lazily } from "./lazy.tsx"
import { Facts, Gaps, Life, Predictions, Rules, Trades } from "./MarketParts.tsx"
import { eventHref, Link } from "./router.tsx"
import { Shell } from "./Shell.tsx"
import { Empty, Figure, Missing, Section, Shown } from "./states.tsx"
import { When } from "./times.tsx"
import { useAction } from "./useAction.ts"
import { type Asked, useAsk, useThrottled } from "./useAsk.ts"
import { useLive } from "./useLive.ts"

const PriceChart = lazily(() => import("./PriceChart.tsx"))

const intervals = [
  ["1", "1 min"],
  ["60", "1 h"],
  ["1440", "1 d"]
] as const
type Interval = (typeof intervals)[number][0]

const newestMinutes: Readonly<Record<Interval, number>> = { "1": 15, "60": 180, "1440": 2880 }

/** Candles of the market; what is newest is read again when asked to, the rest stays. */
const useCandles = (ticker: string, interval: Interval) => {
  const asked = useAsk(`candles ${ticker} ${interval}`, (client) =>
    client.market.candles({ params: { ticker }, query: { interval } })
  )
  const [candles, setCandles] = useState<ReadonlyArray<ChartCandle>>([])
  const newest = useRef<number | undefined>(undefined)
  newest.current = candles.at(-1)?.seconds
  useEffect(() => setCandles(asked.value ?? []), [asked.value])
  const follow = useCallback(async () => {
    if (newest.current === undefined) return asked.reload()
    const from = new Date((newest.current - newestMinutes[interval] * 60) * 1000).toISOString()
    const answer = await call((client) => client.market.candles({ params: { ticker }, query: { interval, from } }))
    if (Result.isFailure(answer)) return
    const [first] = answer.success
    if (first === undefined) return
    setCandles((before) => [...before.filter(({ seconds }) => seconds < first.seconds), ...answer.success])
  }, [ticker, interval])
  return { asked, candles, follow: () => void follow() }
}

const Actions = ({ market, onDone }: { readonly market: MarketDetail; readonly onDone: () => void }) => {
  const { act, busy, said } = useAction(onDone)
  const params = { ticker: market.ticker }
  return (
    <div class="actions">
      <button
        type="button"
        disabled={busy || !market.canSnapshot}
        onClick={() => void act((client) => client.actions.snapshot({ params }))}
      >
        Snapshot
      </button>
      {market.canBackfill && (
        <button type="button" disabled={busy} onClick={() => void act((client) => client.actions.backfill({ params }))}>
          Backfill
        </button>
      )}
      <span class="quiet small" role="status">
        {said === "" && !market.canSnapshot ? "A snapshot would not bring anything newer." : said}
      </span>
    </div>
  )
}

const Quote = ({ market }: { readonly market: MarketDetail }) => {
  const { exchange, speed } = useNow()
  return (
    <dl class="figures">
      <Figure
        label={market.result === null ? "Chance" : "Result"}
        value={
          market.result === "yes" ? (
            <span class="yes-ink">✓ Yes</span>
          ) : market.result === "no" ? (
            <span class="no-ink">✕ No</span>
          ) : (
            (market.result ?? <Chance mid={market.impliedMid} />)
          )
        }
      />
      <Figure
        label="Yes bid"
        value={<span class="yes-ink">{cents(market.yesBid)}</span>}
        title={`${amount(market.yesBidSize)} contracts`}
      />
      <Figure
        label="Yes ask"
        value={<span class="no-ink">{cents(market.yesAsk)}</span>}
        title={`${amount(market.yesAskSize)} contracts`}
      />
      <Figure label="Last" value={cents(market.lastPrice)} />
      <Figure label="Volume" value={amount(market.volume)} />
      <Figure label="Open interest" value={amount(market.openInterest)} />
      <Figure
        label={market.source === "snapshot" ? "Snapshot" : "Quote"}
        value={
          market.quotedAt === null ? "none" : `${span((exchange - Date.parse(market.quotedAt)) / 1000 / speed)} ago`
        }
        title={market.quotedAt === null ? undefined : utc(market.quotedAt)}
      />
    </dl>
  )
}

const Chart = (props: {
  readonly ticker: string
  readonly name: string
  readonly interval: Interval
  readonly candles: ReturnType<typeof useCandles>
  readonly gaps: Asked<ReadonlyArray<Gap>>
  readonly onInterval: (interval: Interval) => void
}) => (
  <Section
    id="price"
    title="Price"
    note={
      <Segments
        inline
        label="Length of a candle"
        value={props.interval}
        options={intervals}
        onChange={props.onInterval}
      />
    }
  >
    <Shown asked={props.candles.asked} rows={5}>
      {() =>
        props.candles.candles.length === 0 ? (
          <Empty>Nothing of this market is recorded in candles of this length.</Empty>
        ) : (
          <PriceChart
            candles={props.candles.candles}
            gaps={props.gaps.value ?? []}
            minutes={Number(props.interval)}
            label={`Price, volume, bid and ask of ${props.name}; ${props.gaps.value?.length ?? 0} gaps are shaded`}
          />
        )
      }
    </Shown>
    <Gaps gaps={props.gaps} />
  </Section>
)

export const MarketPage = ({ ticker }: { readonly ticker: string }) => {
  const params = { ticker }
  const market = useAsk(`market ${ticker}`, (client) => client.market.get({ params }), 30)
  const [interval, setInterval] = useState<Interval>("1")
  const [at, setAt] = useState<string>()
  const candles = useCandles(ticker, interval)
  const gaps = useAsk(`gaps ${ticker}`, (client) => client.market.gaps({ params, query: {} }), 30)
  const trades = useAsk(`trades ${ticker}`, (client) => client.market.trades({ params, query: { limit: 50 } }))
  const book = useAsk(`book ${ticker} ${at ?? "now"}`, (client) =>
    client.market.book({ params, query: at === undefined ? {} : { at } })
  )
  const life = useAsk(`life ${ticker}`, (client) => client.market.lifecycle({ params }))
  const predictions = useAsk(`predictions ${ticker}`, (client) =>
    client.market.predictions({ params, query: { limit: 10 } })
  )
  const [quote, setQuote] = useState<MarketQuote>()
  const followSoon = useThrottled(() => {
    candles.follow()
    trades.reload()
    if (at === undefined) book.reload()
  }, 2000)
  const reloadSoon = useThrottled(() => {
    market.reload()
    life.reload()
    gaps.reload()
  }, 2000)
  // What a portal answers may be a second old.
  const onActed = () => {
    market.reload()
    reloadSoon()
  }
  const link = useLive(`market=${encodeURIComponent(ticker)}`, {
    onEvent: (message) => {
      if (message._tag === "Quotes") {
        setQuote(message.quotes.at(-1))
        followSoon()
      }
      if (message._tag === "CardsChanged") reloadSoon()
    },
    onGap: () => {
      reloadSoon()
      followSoon()
    },
    onRefused: market.reload
  })
  const shown: MarketDetail | undefined =
    market.value === undefined || quote === undefined || (market.value.quotedAt ?? "") > (quote.lastTickAt ?? "")
      ? market.value
      : { ...market.value, ...quote, quotedAt: quote.lastTickAt, source: "live" }
  const name = shown === undefined ? ticker : (shown.yesSubTitle ?? shown.title ?? ticker)

  return (
    <Shell title={name} link={link}>
      {market.state === "unknown" ? (
        <Missing what="market" ticker={ticker} />
      ) : (
        <>
          <div class="title">
            <p class="crumbs">
              <Link href="/">Markets</Link>
              {shown?.eventTicker != null && (
                <Link href={eventHref(shown.eventTicker)}>{shown.eventTitle ?? shown.eventTicker}</Link>
              )}
              {shown?.strikePeriod != null && <span>{periodWord(shown.strikePeriod)}</span>}
            </p>
            <h1>{name}</h1>
            <p class="quiet">
              <span class="ticker">{ticker}</span> {shown !== undefined && <StatusPill status={shown.status} />}{" "}
              {shown?.closeTime != null && (
                <>
                  {shown.status === "active" || shown.status === "inactive"
                    ? "closes"
                    : shown.status === "initialized"
                      ? "will close"
                      : "closed"}{" "}
                  <When time={shown.closeTime} />
                </>
              )}
            </p>
          </div>
          <Shown asked={market} rows={2}>
            {() => (
              <>
                <Quote market={shown!} />
                <Actions market={shown!} onDone={onActed} />
              </>
            )}
          </Shown>
          <Chart
            ticker={ticker}
            name={name}
            interval={interval}
            candles={candles}
            gaps={gaps}
            onInterval={setInterval}
          />
          <div class="columns">
            <Section id="book" title="Order book">
              <Ladder asked={book} at={at} earliest={shown?.openTime ?? null} onAt={setAt} />
            </Section>
            <Section id="trades" title="Trades" note="newest 50">
              <Trades asked={trades} />
            </Section>
          </div>
          <div class="columns">
            <Section id="facts" title="Facts and settlement">
              <Shown asked={market}>{() => <Facts market={shown!} />}</Shown>
            </Section>
            <Section id="life" title="Life">
              <Life asked={life} />
            </Section>
          </div>
          <Section id="predictions" title="Forecasts of models">
            <Predictions asked={predictions} />
          </Section>
          <Section id="rules" title="Rules">
            <Shown asked={market} rows={3}>
              {() => <Rules market={shown!} />}
            </Shown>
          </Section>
          <Section id="download" title="Download">
            <Downloads ticker={ticker} />
          </Section>
        </>
      )}
    </Shell>
  )
}
