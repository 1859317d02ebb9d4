import { useEffect, useState } from "preact/hooks"
import type { Basket, ModelGap } from "../SystemApi.ts"
import { Check, Choice, Segments } from "./controls.tsx"
import { oneOf } from "./filter.ts"
import { amount, cents, chance, money, nothing, percent, periodWord, signedCents, span } from "./format.ts"
import { eventHref, Link, marketHref, replaceQuery } from "./router.tsx"
import { Shell } from "./Shell.tsx"
import { Empty, Shown } from "./states.tsx"
import { Table } from "./Table.tsx"
import { TimeLeft } from "./times.tsx"
import { type Asked, useAsk } from "./useAsk.ts"
import { useRecording } from "./useRecording.ts"

const Baskets = ({ asked, all }: { readonly asked: Asked<ReadonlyArray<Basket>>; readonly all: boolean }) => (
  <Shown asked={asked}>
    {(baskets) =>
      baskets.length === 0 ? (
        <Empty>
          {all
            ? "The outcomes of no event add up to less than a dollar to buy, or more than a dollar to sell."
            : "No basket pays after fees now. Indicative ones show what comes close."}
        </Empty>
      ) : (
        <Table
          rows={baskets}
          keyOf={({ eventTicker, side }) => `${eventTicker} ${side}`}
          columns={[
            {
              name: "Event",
              heads: "title",
              cell: (basket) => (
                <>
                  <Link href={eventHref(basket.eventTicker)}>{basket.title ?? basket.eventTicker}</Link>
                  <span class="facts">
                    {periodWord(basket.strikePeriod)} · {basket.legs} outcomes
                    {basket.missing > 0 ? `, ${basket.missing} without a price` : ""}
                  </span>
                </>
              )
            },
            {
              name: "Basket",
              words: true,
              tone: ({ side }) => (side === "buy" ? "yes-ink" : "no-ink"),
              cell: ({ side }) => (side === "buy" ? "Buy yes of all" : "Sell yes of all")
            },
            { name: "Sum", show: "mid", cell: ({ sum }) => cents(sum) },
            { name: "Edge", cell: ({ edge }) => signedCents(edge) },
            { name: "Baskets", show: "mid", cell: ({ size }) => amount(size) },
            { name: "Fees", show: "mid", cell: ({ fee }) => (fee === null ? "not known" : money(fee)) },
            { name: "Profit", cell: ({ profit }) => <strong>{profit === null ? nothing : money(profit)}</strong> },
            {
              name: "Oldest quote",
              show: "wide",
              cell: ({ oldestQuoteSeconds }) => (oldestQuoteSeconds === null ? nothing : span(oldestQuoteSeconds))
            },
            { name: "Closes in", show: "wide", cell: ({ closeTime }) => <TimeLeft time={closeTime} /> },
            {
              name: "Quality",
              words: true,
              show: "mid",
              cell: ({ quality, why }) => (
                <>
                  <span class={`pill ${quality}`}>{quality}</span>
                  {why.length > 0 && <span class="facts">{why.join(", ")}</span>}
                </>
              )
            }
          ]}
        />
      )
    }
  </Shown>
)

const ModelGaps = ({ asked }: { readonly asked: Asked<ReadonlyArray<ModelGap>> }) => (
  <Shown asked={asked}>
    {(gaps) =>
      gaps.length === 0 ? (
        <Empty>No model disagrees with the market by that much, or none has forecast lately.</Empty>
      ) : (
        <Table
          rows={gaps}
          keyOf={({ ticker }) => ticker}
          columns={[
            {
              name: "Outcome",
              heads: "title",
              cell: (gap) => (
                <>
                  <Link href={marketHref(gap.ticker)}>{gap.name}</Link>
                  <span class="facts">{gap.title ?? gap.eventTicker}</span>
                </>
              )
            },
            { name: "Model", title: ({ forecast }) => percent(forecast), cell: ({ forecast }) => chance(forecast) },
            { name: "Market", cell: ({ impliedMid }) => chance(impliedMid) },
            {
              name: "Gap",
              tone: ({ gap }) => (gap.startsWith("-") ? "no-ink" : "yes-ink"),
              cell: ({ gap }) => points(gap)
            },
            { name: "Confidence", show: "mid", cell: ({ confidence }) => percent(confidence) },
            { name: "Yes bid", show: "mid", cell: ({ yesBid }) => cents(yesBid) },
            { name: "Yes ask", show: "mid", cell: ({ yesAsk }) => cents(yesAsk) },
            { name: "Forecast age", show: "wide", cell: ({ forecastAgeSeconds }) => span(forecastAgeSeconds) },
            { name: "Closes in", show: "wide", cell: ({ closeTime }) => <TimeLeft time={closeTime} /> }
          ]}
        />
      )
    }
  </Shown>
)

/** A difference of chances in points of a per cent. */
const points = (gap: string) => `${gap.startsWith("-") ? "−" : "+"}${chance(gap.replace("-", "")).replace("%", "")}`

const sides = [
  ["", "Both"],
  ["buy", "Buy"],
  ["sell", "Sell"]
] as const
/** Shares of a dollar; empty: what the portal is set to. */
const gaps = ["", "0.02", "0.05", "0.1", "0.2", "0.3"] as const
const confidences = ["", "0", "0.55", "0.7", "0.8", "0.9"] as const
const ages = ["", "15", "60", "360", "1440"] as const

interface View {
  readonly view: "arbitrage" | "model"
  readonly all: boolean
  readonly side: (typeof sides)[number][0]
  readonly gap: (typeof gaps)[number]
  readonly confidence: (typeof confidences)[number]
  readonly age: (typeof ages)[number]
}

const readView = (): View => {
  const query = new URLSearchParams(location.search)
  return {
    view: query.get("view") === "model" ? "model" : "arbitrage",
    all: query.get("quality") === "all",
    side: oneOf(["buy", "sell"], query.get("side")),
    gap: oneOf(gaps, query.get("gap")),
    confidence: oneOf(confidences, query.get("confidence")),
    age: oneOf(ages, query.get("age"))
  }
}

const writeView = ({ age, all, confidence, gap, side, view }: View) => {
  const query = new URLSearchParams()
  if (view === "model") query.set("view", "model")
  if (all) query.set("quality", "all")
  for (const [name, value] of Object.entries({ side, gap, confidence, age })) if (value !== "") query.set(name, value)
  return query
}

export const OpportunitiesPage = () => {
  const [shown, setShown] = useState(readView)
  const change = (part: Partial<View>) => setShown((before) => ({ ...before, ...part }))
  const { age, all, confidence, gap, side, view } = shown
  useEffect(() => replaceQuery(writeView(shown)), [shown])
  const baskets = useAsk(
    `baskets ${all} ${side}`,
    (client) =>
      client.system.baskets({ query: { quality: all ? "all" : "confirmed", ...(side === "" ? {} : { side }) } }),
    3
  )
  const model = useAsk(
    `model ${gap} ${confidence} ${age}`,
    (client) =>
      client.system.modelGaps({
        query: {
          ...(gap === "" ? {} : { minGap: Number(gap) }),
          ...(confidence === "" ? {} : { minConfidence: Number(confidence) }),
          ...(age === "" ? {} : { maxAgeMinutes: Number(age) })
        }
      }),
    10
  )
  const link = useRecording(view === "arbitrage" ? baskets.reload : model.reload)
  return (
    <Shell title="Opportunities" link={link}>
      <div class="title">
        <h1>Opportunities</h1>
        <p class="quiet prose">
          {view === "arbitrage"
            ? "Events of which at most one outcome comes true. Buying pays the asks of every outcome and one of them pays a dollar, if one comes true; selling takes the bids and at most one costs a dollar. Sizes and the taker's fees of the series are counted."
            : "Markets whose newest forecast differs from the midpoint of a two-sided quote."}
        </p>
      </div>
      <div class="filters">
        <Segments
          label="View"
          value={view}
          options={[
            ["arbitrage", "Baskets"],
            ["model", "Model against market"]
          ]}
          onChange={(view) => change({ view })}
        />
        {view === "arbitrage" ? (
          <>
            <Choice label="Direction" value={side} options={sides} onChange={(side) => change({ side })} />
            <Check label="Show indicative ones too" checked={all} onChange={(all) => change({ all })} />
          </>
        ) : (
          <>
            <Choice
              label="Gap of at least"
              value={gap}
              options={gaps.map((least) => [least, least === "" ? "as set" : `${Number(least) * 100} points`] as const)}
              onChange={(gap) => change({ gap })}
            />
            <Choice
              label="Confidence of at least"
              value={confidence}
              options={confidences.map((least) => [least, least === "" ? "as set" : percent(least)] as const)}
              onChange={(confidence) => change({ confidence })}
            />
            <Choice
              label="Forecast within"
              value={age}
              options={ages.map((most) => [most, most === "" ? "as set" : span(Number(most) * 60)] as const)}
              onChange={(age) => change({ age })}
            />
          </>
        )}
      </div>
      <section aria-label={view === "arbitrage" ? "Baskets" : "Model against market"} class="gap-above">
        {view === "arbitrage" ? <Baskets asked={baskets} all={all} /> : <ModelGaps asked={model} />}
      </section>
    </Shell>
  )
}
