import type { Gap, LifeStep, MarketDetail, Prediction, TradeRow } from "../MarketApi.ts"
import { When } from "./EventTable.tsx"
import { amount, cents, exactTime, money, nothing, percent, span } from "./format.ts"
import { Empty, Shown } from "./states.tsx"
import type { Asked } from "./useAsk.ts"

export const Trades = ({ asked }: { readonly asked: Asked<ReadonlyArray<TradeRow>> }) => (
  <Shown asked={asked}>
    {(trades) =>
      trades.length === 0 ? (
        <Empty>No trade of this market is recorded.</Empty>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
        <section class="scroll tall" tabIndex={0} aria-label="Trades, newest first">
          <table>
            <thead>
              <tr>
                <th scope="col" class="text">
                  Time
                </th>
                <th scope="col">Taker</th>
                <th scope="col">Yes price</th>
                <th scope="col">Contracts</th>
              </tr>
            </thead>
            <tbody>
              {trades.map((trade) => (
                <tr key={trade.tradeId}>
                  <td class="text">
                    <When time={trade.at}>{exactTime(trade.at)}</When>
                  </td>
                  <td class={trade.takerSide === "yes" ? "yes-ink" : "no-ink"}>{trade.takerSide ?? nothing}</td>
                  <td>{cents(trade.yesPrice)}</td>
                  <td>
                    {amount(trade.count)}
                    {trade.isBlock && <span class="tag">block</span>}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )
    }
  </Shown>
)

const Fact = (props: { readonly name: string; readonly value: string | null; readonly time?: boolean }) =>
  props.value === null ? null : (
    <div>
      <dt>{props.name}</dt>
      <dd>{props.time === true ? <When time={props.value} /> : props.value}</dd>
    </div>
  )

const completions: Readonly<Record<string, string>> = {
  settled: "complete",
  void: "complete, void",
  vanished: "the exchange does not know it any more",
  without_candles: "the exchange has no candles of it"
}

export const Facts = ({ market }: { readonly market: MarketDetail }) => (
  <dl class="facts-list narrow">
    <Fact name="Question" value={market.title} />
    <Fact
      name="Strike"
      value={
        [market.strikeType, market.floorStrike, market.capStrike].filter((part) => part !== null).join(" ") || null
      }
    />
    <Fact name="Opened" value={market.openTime} time />
    <Fact name="Closes" value={market.closeTime} time />
    <Fact name="Determined" value={market.determinedAt} time />
    <Fact name="Settled" value={market.settledAt} time />
    <Fact name="Result" value={market.result} />
    <Fact name="Paid for yes" value={market.settlementValue === null ? null : money(market.settlementValue)} />
    <Fact name="Value at expiry" value={market.expirationValue} />
    <Fact
      name="Fees"
      value={
        market.feeType === null
          ? null
          : `${market.feeType.replaceAll("_", " ")}${market.feeMultiplier === null ? "" : ` × ${amount(market.feeMultiplier)}`}`
      }
    />
    <Fact name="First seen" value={market.firstSeenAt} time />
    <Fact
      name="Record"
      value={market.completion === null ? "still growing" : (completions[market.completion] ?? market.completion)}
    />
  </dl>
)

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
        <div class="scroll">
          <table>
            <thead>
              <tr>
                <th scope="col" class="text">
                  Time
                </th>
                <th scope="col" class="text">
                  Model
                </th>
                <th scope="col">Yes</th>
                <th scope="col">Confidence</th>
                <th scope="col" class="text wide">
                  Why
                </th>
              </tr>
            </thead>
            <tbody>
              {predictions.map((prediction) => (
                <tr key={`${prediction.at} ${prediction.model} ${prediction.agent}`}>
                  <td class="text">
                    <When time={prediction.at}>{exactTime(prediction.at)}</When>
                  </td>
                  <td class="text">
                    {[prediction.agent, prediction.model].filter((part) => part !== null).join(" · ") || nothing}
                  </td>
                  <td>{percent(prediction.yesProbability)}</td>
                  <td>{percent(prediction.confidence)}</td>
                  <td class="text wide prose">{prediction.rationale}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
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

export const Downloads = ({ ticker }: { readonly ticker: string }) => (
  <ul class="downloads">
    {(["ticks", "candles", "trades"] as const).map((table) => (
      <li key={table}>
        <span>{table}</span>
        {(["csv", "ndjson"] as const).map((format) => (
          <a
            key={format}
            href={`/api/markets/${encodeURIComponent(ticker)}/download/${table}?format=${format}`}
            download
          >
            {format === "csv" ? "CSV" : "NDJSON"}
          </a>
        ))}
      </li>
    ))}
  </ul>
)
