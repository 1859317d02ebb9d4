import type { Gap, LifeStep, MarketDetail, Prediction, TradeRow } from "../MarketApi.ts"
import { ExchangeFacts, Fact, TimeFact } from "./facts.tsx"
import { amount, cents, chance, exactTime, money, nothing, percent, span } from "./format.ts"
import { Empty, Shown } from "./states.tsx"
import { Table, TallTable } from "./Table.tsx"
import { When } from "./times.tsx"
import type { Asked } from "./useAsk.ts"

export const Trades = ({ asked }: { readonly asked: Asked<ReadonlyArray<TradeRow>> }) => (
  <Shown asked={asked}>
    {(trades) =>
      trades.length === 0 ? (
        <Empty>No trade of this market is recorded.</Empty>
      ) : (
        <TallTable
          label="Trades, newest first"
          rows={trades}
          keyOf={({ tradeId }) => tradeId}
          columns={[
            { name: "Time", words: true, cell: ({ at }) => <When time={at}>{exactTime(at)}</When> },
            {
              name: "Taker",
              tone: ({ takerSide }) => (takerSide === "yes" ? "yes-ink" : "no-ink"),
              cell: ({ takerSide }) => takerSide ?? nothing
            },
            { name: "Yes price", cell: ({ yesPrice }) => cents(yesPrice) },
            {
              name: "Contracts",
              cell: (trade) => (
                <>
                  {amount(trade.count)}
                  {trade.isBlock && <span class="tag">block</span>}
                </>
              )
            }
          ]}
        />
      )
    }
  </Shown>
)

const completions: Readonly<Record<string, string>> = {
  settled: "complete",
  void: "complete, void",
  vanished: "the exchange does not know it any more",
  without_candles: "the exchange has no candles of it"
}

export const Facts = ({ market }: { readonly market: MarketDetail }) => {
  const strike = [market.strikeType, market.floorStrike, market.capStrike].filter((part) => part !== null).join(" ")
  return (
    <dl class="facts-list narrow">
      {market.title !== null && <Fact name="Question">{market.title}</Fact>}
      {strike !== "" && <Fact name="Strike">{strike}</Fact>}
      <TimeFact name="Opened" time={market.openTime} />
      <TimeFact name="Closes" time={market.closeTime} />
      <TimeFact name="Determined" time={market.determinedAt} />
      <TimeFact name="Settled" time={market.settledAt} />
      {market.result !== null && <Fact name="Result">{market.result}</Fact>}
      {market.settlementValue !== null && <Fact name="Paid for yes">{money(market.settlementValue)}</Fact>}
      {market.expirationValue !== null && <Fact name="Value at expiry">{market.expirationValue}</Fact>}
      <ExchangeFacts {...market} ticker={market.seriesTicker ?? market.ticker} />
      <TimeFact name="First seen" time={market.firstSeenAt} />
      <Fact name="Record">
        {market.completion === null ? "still growing" : (completions[market.completion] ?? market.completion)}
      </Fact>
    </dl>
  )
}

export const Rules = ({ market }: { readonly market: MarketDetail }) =>
  market.rulesPrimary === null ? (
    <Empty>The exchange gave no rules.</Empty>
  ) : (
    <div class="prose">
      <p>{market.rulesPrimary}</p>
      {market.rulesSecondary !== null && <p>{market.rulesSecondary}</p>}
    </div>
  )

export const Life = ({ asked }: { readonly asked: Asked<ReadonlyArray<LifeStep>> }) => (
  <Shown asked={asked}>
    {(steps) =>
      steps.length === 0 ? (
        <Empty>Nothing happened to this market since it is recorded.</Empty>
      ) : (
        <ol class="life">
          {steps.map((step) => (
            <li key={`${step.at} ${step.what} ${step.detail}`} class={step.source}>
              <When time={step.at}>{exactTime(step.at)}</When>
              <span>
                <strong>{step.what.replaceAll("_", " ")}</strong> {step.detail}
                <span class="quiet"> {step.source === "catalog" ? "(learned)" : "(announced)"}</span>
              </span>
            </li>
          ))}
        </ol>
      )
    }
  </Shown>
)

export const Predictions = ({ asked }: { readonly asked: Asked<ReadonlyArray<Prediction>> }) => (
  <Shown asked={asked} rows={2}>
    {(predictions) =>
      predictions.length === 0 ? (
        <Empty>No model has forecast this market.</Empty>
      ) : (
        <Table
          rows={predictions}
          keyOf={({ agent, at, model }) => `${at} ${model} ${agent}`}
          columns={[
            { name: "Time", words: true, cell: ({ at }) => <When time={at}>{exactTime(at)}</When> },
            {
              name: "Model",
              words: true,
              cell: ({ agent, model }) => [agent, model].filter((part) => part !== null).join(" · ") || nothing
            },
            {
              name: "Yes",
              title: ({ yesProbability }) => percent(yesProbability),
              cell: ({ yesProbability }) => (yesProbability === null ? nothing : chance(yesProbability))
            },
            { name: "Confidence", cell: ({ confidence }) => (confidence === null ? nothing : chance(confidence)) },
            { name: "Why", words: true, show: "wide", tone: "prose", cell: ({ rationale }) => rationale }
          ]}
        />
      )
    }
  </Shown>
)

const causes: Readonly<Record<string, string>> = {
  disconnect: "the connection was lost",
  silence: "the link was silent",
  overflow: "the exchange dropped messages",
  exchange_maintenance: "the exchange paused",
  process_down: "the recorder was down",
  shutdown: "the recorder was stopped",
  handover: "another recorder took over",
  sequence: "messages were missing",
  left_out: "there was no room to subscribe"
}

export const Gaps = ({ gaps }: { readonly gaps: Asked<ReadonlyArray<Gap>> }) =>
  gaps.value === undefined || gaps.value.length === 0 ? (
    <p class="quiet small">{gaps.value === undefined ? "" : "No gap of the record concerns this market."}</p>
  ) : (
    <details class="gaps">
      <summary>
        <i class="swatch gap" /> {gaps.value.length === 1 ? "1 gap" : `${gaps.value.length} gaps`} of the record, shaded
        in the chart
      </summary>
      <ul>
        {gaps.value.map((gap) => (
          <li key={gap.id}>
            <When time={gap.from}>{exactTime(gap.from)}</When>,{" "}
            {gap.to === null ? "not over" : span((Date.parse(gap.to) - Date.parse(gap.from)) / 1000)}:{" "}
            {causes[gap.cause] ?? gap.cause} ({gap.feed === "all" ? "every channel" : gap.feed})
            {gap.repairedBy !== null && <span class="quiet"> · healed from {gap.repairedBy}</span>}
          </li>
        ))}
      </ul>
    </details>
  )
