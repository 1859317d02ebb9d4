import { useEffect, useState } from "preact/hooks"
import type { Basket, ModelGap } from "../SystemApi.ts"
import { useNow } from "./exchange.ts"
import { amount, cents, money, nothing, percent, periodWord, signedCents, span } from "./format.ts"
import { eventHref, Link, marketHref, replaceQuery } from "./router.tsx"
import { Shell } from "./Shell.tsx"
import { Empty, Shown } from "./states.tsx"
import { type Asked, useAsk } from "./useAsk.ts"

const timeLeft = (closeTime: string | null, now: number, speed: number) =>
  closeTime === null
    ? nothing
    : Date.parse(closeTime) > now
      ? span((Date.parse(closeTime) - now) / 1000 / speed)
      : "closing"

const Baskets = ({ asked, all }: { readonly asked: Asked<ReadonlyArray<Basket>>; readonly all: boolean }) => {
  const { exchange, speed } = useNow()
  return (
    <Shown asked={asked}>
      {(baskets) =>
        baskets.length === 0 ? (
          <Empty>
            {all
              ? "The outcomes of no event add up to less than a dollar to buy, or more than a dollar to sell."
              : "No basket pays after fees now. Indicative ones show what comes close."}
          </Empty>
        ) : (
          <div class="scroll">
            <table>
              <thead>
                <tr>
                  <th scope="col" class="text">
                    Event
                  </th>
                  <th scope="col" class="text">
                    Basket
                  </th>
                  <th scope="col">Sum</th>
                  <th scope="col">Edge</th>
                  <th scope="col" class="mid">
                    Baskets
                  </th>
                  <th scope="col" class="mid">
                    Fees
                  </th>
                  <th scope="col">Profit</th>
                  <th scope="col" class="wide">
                    Oldest quote
                  </th>
                  <th scope="col" class="wide">
                    Closes in
                  </th>
                  <th scope="col" class="text mid">
                    Quality
                  </th>
                </tr>
              </thead>
              <tbody>
                {baskets.map((basket) => (
                  <tr key={`${basket.eventTicker} ${basket.side}`}>
                    <th scope="row" class="name">
                      <Link href={eventHref(basket.eventTicker)}>{basket.title ?? basket.eventTicker}</Link>
                      <span class="facts">
                        {periodWord(basket.strikePeriod)} · {basket.legs} outcomes
                        {basket.missing > 0 ? `, ${basket.missing} without a price` : ""}
                      </span>
                    </th>
                    <td class={`text ${basket.side === "buy" ? "yes-ink" : "no-ink"}`}>
                      {basket.side === "buy" ? "Buy yes of all" : "Sell yes of all"}
                    </td>
                    <td>{cents(basket.sum)}</td>
                    <td>{signedCents(basket.edge)}</td>
                    <td class="mid">{amount(basket.size)}</td>
                    <td class="mid">{basket.fee === null ? "not known" : money(basket.fee)}</td>
                    <td>
                      <strong>{basket.profit === null ? nothing : money(basket.profit)}</strong>
                    </td>
                    <td class="wide">
                      {basket.oldestQuoteSeconds === null ? nothing : span(basket.oldestQuoteSeconds)}
                    </td>
                    <td class="wide">{timeLeft(basket.closeTime, exchange, speed)}</td>
                    <td class="text mid">
                      <span class={`pill ${basket.quality}`}>{basket.quality}</span>
                      {basket.why.length > 0 && <span class="facts">{basket.why.join(", ")}</span>}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )
      }
    </Shown>
  )
}

const ModelGaps = ({ asked }: { readonly asked: Asked<ReadonlyArray<ModelGap>> }) => {
  const { exchange, speed } = useNow()
  return (
    <Shown asked={asked}>
      {(gaps) =>
        gaps.length === 0 ? (
          <Empty>No model disagrees with the market by that much, or none has forecast lately.</Empty>
        ) : (
          <div class="scroll">
            <table>
              <thead>
                <tr>
                  <th scope="col" class="text">
                    Market
                  </th>
                  <th scope="col">Model</th>
                  <th scope="col">Market</th>
                  <th scope="col">Gap</th>
                  <th scope="col" class="mid">
                    Confidence
                  </th>
                  <th scope="col" class="mid">
                    Yes bid
                  </th>
                  <th scope="col" class="mid">
                    Yes ask
                  </th>
                  <th scope="col" class="wide">
                    Forecast age
                  </th>
                  <th scope="col" class="wide">
                    Closes in
                  </th>
                </tr>
              </thead>
              <tbody>
                {gaps.map((gap) => (
                  <tr key={gap.ticker}>
                    <th scope="row" class="name">
                      <Link href={marketHref(gap.ticker)}>{gap.name}</Link>
                      <span class="facts">{gap.title ?? gap.eventTicker}</span>
                    </th>
                    <td>{percent(gap.forecast)}</td>
                    <td>{percent(gap.impliedMid)}</td>
                    <td class={gap.gap.startsWith("-") ? "no-ink" : "yes-ink"}>{signedCents(gap.gap)}</td>
                    <td class="mid">{percent(gap.confidence)}</td>
                    <td class="mid">{cents(gap.yesBid)}</td>
                    <td class="mid">{cents(gap.yesAsk)}</td>
                    <td class="wide">{span(gap.forecastAgeSeconds)}</td>
                    <td class="wide">{timeLeft(gap.closeTime, exchange, speed)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )
      }
    </Shown>
  )
}

interface View {
  readonly view: "arbitrage" | "model"
  readonly all: boolean
}

const readView = (): View => {
  const query = new URLSearchParams(location.search)
  return { view: query.get("view") === "model" ? "model" : "arbitrage", all: query.get("quality") === "all" }
}

export const OpportunitiesPage = () => {
  const [{ all, view }, setView] = useState(readView)
  useEffect(() => {
    const query = new URLSearchParams()
    if (view === "model") query.set("view", "model")
    if (all) query.set("quality", "all")
    replaceQuery(query)
  }, [view, all])
  const baskets = useAsk(
    `baskets ${all}`,
    (client) => client.system.baskets({ query: { quality: all ? "all" : "confirmed" } }),
    3
  )
  const model = useAsk("model", (client) => client.system.modelGaps({ query: {} }), 10)
  return (
    <Shell title="Opportunities">
      <div class="title">
        <h1>Opportunities</h1>
        <p class="quiet prose">
          {view === "arbitrage"
            ? "Events of which at most one outcome comes true. Buying pays the asks of every outcome and one of them pays a dollar, if one comes true; selling takes the bids and at most one costs a dollar. Sizes and the taker's fees of the series are counted."
            : "Markets whose newest forecast differs from the midpoint of a two-sided quote."}
        </p>
      </div>
      <div class="filters">
        <fieldset class="segments">
          <legend class="hidden">View</legend>
          {(["arbitrage", "model"] as const).map((name) => (
            <label key={name}>
              <input type="radio" name="view" checked={view === name} onChange={() => setView({ view: name, all })} />
              <span>{name === "arbitrage" ? "Baskets" : "Model against market"}</span>
            </label>
          ))}
        </fieldset>
        {view === "arbitrage" && (
          <label class="check">
            <input type="checkbox" checked={all} onChange={() => setView({ view, all: !all })} />
            <span>Show indicative ones too</span>
          </label>
        )}
      </div>
      <section aria-label={view === "arbitrage" ? "Baskets" : "Model against market"} class="gap-above">
        {view === "arbitrage" ? <Baskets asked={baskets} all={all} /> : <ModelGaps asked={model} />}
      </section>
    </Shell>
  )
}
