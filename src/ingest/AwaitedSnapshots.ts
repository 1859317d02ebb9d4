/** A market that sends no snapshot within this time after it was asked for has none. */
const patienceMillis = 10_000

const key = '"market_ticker":"'

/**
 * The markets whose subscription asked for their current ticker: the first ticker frame of each is that snapshot. Costs nothing while
 * none is awaited. Belongs to one connection.
 */
export class AwaitedSnapshots {
  private readonly since = new Map<string, number>()

  expect(tickers: ReadonlyArray<string>, nowMillis: number): void {
    for (const ticker of tickers) this.since.set(ticker, nowMillis)
  }

  forgetBefore(nowMillis: number): void {
    for (const [ticker, asked] of this.since) {
      if (nowMillis - asked < patienceMillis) return
      this.since.delete(ticker)
    }
  }

  isSnapshot(raw: string): boolean {
    if (this.since.size === 0 || !raw.includes('"type":"ticker"')) return false
    const begin = raw.indexOf(key)
    return begin >= 0 && this.since.delete(raw.slice(begin + key.length, raw.indexOf('"', begin + key.length)))
  }
}
