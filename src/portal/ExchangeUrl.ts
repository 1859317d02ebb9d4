interface Tickers {
  readonly seriesTicker: string | null
  readonly eventTicker: string | null
  readonly ticker?: string
}

/** The address that a template of the settings makes for an event or market; the ticker that is nearest stands for one that is not known. */
export const exchangeUrl = (template: string, { eventTicker, seriesTicker, ticker }: Tickers) => {
  const event = eventTicker ?? ticker ?? ""
  const put = (text: string) => encodeURIComponent(text.toLowerCase())
  return template
    .replaceAll("{series_ticker}", put(seriesTicker ?? event))
    .replaceAll("{event_ticker}", put(event))
    .replaceAll("{market_ticker}", put(ticker ?? event))
}
