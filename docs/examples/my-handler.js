// @ts-check

/**
 * A forecast of one event: the market's price, drawn a little towards one half for markets that hardly trade.
 *
 *   PREDICTION_ENABLE=1 PREDICTION_HANDLER=./docs/examples/my-handler.js#predictEvent node dist/predictor.js
 *
 * @type {import("./handler-types.d.ts").PredictEvent}
 */
export const predictEvent = (_event, markets, context) =>
  markets.flatMap((market) => {
    if (market.implied_yes_mid === null) return []
    const mid = Number(market.implied_yes_mid)
    const trust = Math.min(1, 0.8 + Number(market.volume ?? 0) / 5000)
    return [
      {
        market_ticker: market.ticker,
        yes_prob: 0.5 + trust * (mid - 0.5),
        confidence: trust,
        rationale: `the price, trusted ${trust.toFixed(2)}; ${context.documents.length} documents at hand`
      }
    ]
  })
