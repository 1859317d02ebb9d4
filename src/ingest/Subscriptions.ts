/** The changes that bring a subscription from what it has to what it should have. */
export interface SubscriptionPlan {
  readonly add: ReadonlyArray<ReadonlyArray<string>>
  readonly remove: ReadonlyArray<ReadonlyArray<string>>
  /** Wanted markets beyond the limit, left out. */
  readonly leftOut: number
}

const chunks = (tickers: ReadonlyArray<string>, size: number): ReadonlyArray<ReadonlyArray<string>> =>
  Array.from({ length: Math.ceil(tickers.length / size) }, (_, index) =>
    tickers.slice(index * size, (index + 1) * size)
  )

/**
 * Removals touch only markets that are no longer wanted, additions only new ones: a market that stays is never disturbed. The first
 * `limit` of `wanted` count.
 */
export const plan = (
  subscribed: ReadonlySet<string>,
  wanted: ReadonlyArray<string>,
  options: { readonly limit: number; readonly batchSize: number }
): SubscriptionPlan => {
  const kept = new Set(wanted.slice(0, options.limit))
  return {
    add: chunks(
      [...kept].filter((ticker) => !subscribed.has(ticker)),
      options.batchSize
    ),
    remove: chunks(
      [...subscribed].filter((ticker) => !kept.has(ticker)),
      options.batchSize
    ),
    leftOut: Math.max(0, wanted.length - options.limit)
  }
}
