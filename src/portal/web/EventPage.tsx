import { useMemo, useState } from "preact/hooks"
import type { EventDetail, ForecastLine, Outcome } from "../EventsApi.ts"
import type { MarketQuote } from "../MarketListsApi.ts"
import { EventDownloads } from "./Downloads.tsx"
import { EventSnapshot } from "./EventSnapshot.tsx"
import { Chance, Known, StatusPill } from "./EventTable.tsx"
import { ExchangeFacts, Fact } from "./facts.tsx"
import { amount, cents, chance, count, nothing, percent, periodWord, utc } from "./format.ts"
import { lazily } from "./lazy.tsx"
import { Link, marketHref } from "./router.tsx"
import { Shell } from "./Shell.tsx"
import { Sparkline } from "./Sparkline.tsx"
import { Empty, Missing, Section, Shown } from "./states.tsx"
import { Table } from "./Table.tsx"
import { Freshness, WhenKnown } from "./times.tsx"
import { useAsk, useThrottled } from "./useAsk.ts"
import { useLive } from "./useLive.ts"

const ForecastChart = lazily(() => import("./ForecastChart.tsx"))

const outcomeResult = (outcome: Outcome) =>
  outcome.result === "yes" ? (
    <span class="result yes">✓ Yes</span>
  ) : outcome.result === "no" ? (
    <span class="result no">✕ No</span>
  ) : outcome.result === null ? null : (
    <span class="result">{outcome.result}</span>
  )

/** What is wrong with a quote, if anything. */
const trouble = ({ yesAsk, yesBid }: Outcome) => {
  if (yesBid === null || yesAsk === null) return undefined
  if (Number(yesBid) > Number(yesAsk)) return "crossed"
  return Number(yesBid) === 0 && Number(yesAsk) === 1 ? "no liquidity" : undefined
}

const Price = ({ dollars, side }: { readonly dollars: string | null; readonly side: "yes" | "no" }) => (
  <span key={dollars} class={`price ${side}-text`}>
    {cents(dollars)}
  </span>
)

const Outcomes = (props: {
  readonly event: EventDetail
  readonly lines: ReadonlyMap<string, ForecastLine>
  readonly range: readonly [number, number]
  readonly coloured: ReadonlyMap<string, number>
}) => {
  const over = isOver(props.event)
  return (
    <Table
      rows={props.event.outcomes}
      keyOf={({ ticker }) => ticker}
      columns={[
        {
          name: "Outcome",
          heads: "title",
          cell: (outcome) => {
            const colour = props.coloured.get(outcome.ticker)
            const problem = trouble(outcome)
            return (
              <>
                <Link href={marketHref(outcome.ticker)} title={outcome.ticker}>
                  {colour !== undefined && <i class={`swatch line-${colour + 1}`} />}
                  {outcome.name}
                </Link>
                {outcome.status === "inactive" && <span class="tag">paused</span>}
                {problem !== undefined && <span class="tag">{problem}</span>}
              </>
            )
          }
        },
        {
          name: "Course",
          show: "mid",
          cell: ({ ticker }) => <Sparkline line={props.lines.get(ticker)} from={props.range[0]} to={props.range[1]} />
        },
        {
          name: over ? "Result" : "Chance",
          cell: (outcome) => (over ? outcomeResult(outcome) : null) ?? <Chance mid={outcome.impliedMid} />
        },
        {
          name: "Model",
          show: "mid",
          title: ({ forecast, forecastAt }) =>
            forecastAt === null ? undefined : `${percent(forecast)}, ${utc(forecastAt)}`,
          cell: ({ confidence, forecast }) => (
            <>
              <Known text={forecast === null ? null : chance(forecast)} />
              {confidence !== null && <span class="facts">confidence {chance(confidence)}</span>}
            </>
          )
        },
        { name: "Yes bid", cell: ({ yesBid }) => <Price side="yes" dollars={yesBid} /> },
        { name: "Yes ask", cell: ({ yesAsk }) => <Price side="no" dollars={yesAsk} /> },
        { name: "Volume", show: "wide", cell: ({ volume }) => amount(volume) },
        { name: "Open interest", show: "wide", cell: ({ openInterest }) => amount(openInterest) },
        { name: "Quote", show: "mid", cell: (outcome) => <Freshness {...outcome} /> }
      ]}
    />
  )
}

const isOver = ({ status }: EventDetail) => status === "closed" || status === "settled"

const Facts = ({ event }: { readonly event: EventDetail }) => (
  <dl class="facts-list">
    <Fact name="Event">
      <span class="ticker">{event.eventTicker}</span>
    </Fact>
    <Fact name="Series">{event.seriesTitle ?? event.seriesTicker ?? nothing}</Fact>
    <Fact name="Opened">
      <WhenKnown time={event.openTime} />
    </Fact>
    <Fact name={isOver(event) ? "Closed" : "Closes"}>
      <WhenKnown time={event.closeTime} />
    </Fact>
    <Fact name="Outcome">{event.outcome ?? "not determined"}</Fact>
    <Fact name="Outcomes">
      {count(event.outcomes.length)}
      {event.mutuallyExclusive === true
        ? ", at most one comes true"
        : event.mutuallyExclusive === false
          ? ", several may"
          : ""}
    </Fact>
    <ExchangeFacts {...event} ticker={event.seriesTicker ?? event.eventTicker} />
    <Fact name="Record">
      {event.complete === true ? "complete" : event.complete === false ? "still growing" : nothing}
    </Fact>
  </dl>
)

const applied = (event: EventDetail, quotes: ReadonlyMap<string, MarketQuote>): EventDetail =>
  quotes.size === 0
    ? event
    : {
        ...event,
        outcomes: event.outcomes.map((outcome) => {
          const quote = quotes.get(outcome.ticker)
          if (quote === undefined || (outcome.quotedAt ?? "") > (quote.lastTickAt ?? "")) return outcome
          return { ...outcome, ...quote, quotedAt: quote.lastTickAt, source: "live" }
        })
      }

export const EventPage = ({ ticker }: { readonly ticker: string }) => {
  const params = { eventTicker: ticker }
  const event = useAsk(`event ${ticker}`, (client) => client.events.get({ params }), 30)
  const chart = useAsk(
    `chart ${ticker}`,
    (client) => client.events.forecast({ params, query: { lines: 8, points: 200 } }),
    30
  )
  const sparks = useAsk(
    `sparks ${ticker}`,
    (client) => client.events.forecast({ params, query: { lines: 100, points: 24 } }),
    60
  )
  const [quotes, setQuotes] = useState<ReadonlyMap<string, MarketQuote>>(new Map())
  const reloadSoon = useThrottled(event.reload, 2000)
  // What a portal answers may be a second old.
  const onActed = () => {
    event.reload()
    reloadSoon()
  }
  const link = useLive(`event=${encodeURIComponent(ticker)}`, {
    onEvent: (message) => {
      if (message._tag === "Quotes")
        setQuotes((before) => new Map([...before, ...message.quotes.map((quote) => [quote.ticker, quote] as const)]))
      if (message._tag === "CardsChanged") reloadSoon()
    },
    onGap: reloadSoon,
    onRefused: event.reload
  })
  const lines = useMemo(() => new Map((sparks.value?.lines ?? []).map((line) => [line.ticker, line])), [sparks.value])
  const coloured = useMemo(
    () => new Map((chart.value?.lines ?? []).map((line, index) => [line.ticker, index])),
    [chart.value]
  )
  const range = useMemo((): readonly [number, number] => {
    const times = (sparks.value?.lines ?? []).flatMap(({ points }) => [points[0]?.[0] ?? 0, points.at(-1)?.[0] ?? 0])
    return times.length === 0 ? [0, 1] : [Math.min(...times), Math.max(...times)]
  }, [sparks.value])
  const shown = event.value === undefined ? undefined : applied(event.value, quotes)
  const title = shown?.title ?? ticker

  return (
    <Shell title={title} link={link}>
      {event.state === "unknown" ? (
        <Missing what="event" ticker={ticker} />
      ) : (
        <>
          <div class="title">
            <p class="crumbs">
              <Link href="/">Markets</Link>
              {shown?.category != null && <span>{shown.category}</span>}
              {shown?.strikePeriod != null && <span>{periodWord(shown.strikePeriod)}</span>}
            </p>
            <h1>{title}</h1>
            <p class="quiet">
              {shown?.subTitle} {shown !== undefined && <StatusPill status={shown.status} />}
            </p>
          </div>
          <Shown asked={event} rows={3}>
            {() => (
              <>
                <Facts event={shown!} />
                <EventSnapshot event={shown!} onDone={onActed} />
              </>
            )}
          </Shown>
          <Section id="forecast" title="Chance over time" note="outcomes with the most volume">
            <Shown asked={chart} rows={4}>
              {({ lines }) =>
                lines.length === 0 ? (
                  <Empty>No quote of this event is recorded yet.</Empty>
                ) : (
                  <ForecastChart lines={lines} label={`Chance of the outcomes of ${title} over time`} />
                )
              }
            </Shown>
          </Section>
          <Section id="outcomes" title="Outcomes" note={shown === undefined ? "" : count(shown.outcomes.length)}>
            <Shown asked={event}>
              {() => <Outcomes event={shown!} lines={lines} coloured={coloured} range={range} />}
            </Shown>
          </Section>
          <Section id="download" title="Download">
            <EventDownloads event={ticker} series={shown?.seriesTicker ?? null} />
          </Section>
        </>
      )}
    </Shell>
  )
}
