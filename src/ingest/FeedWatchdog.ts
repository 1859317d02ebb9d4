/** How fast the expectation follows the feed. */
const memoryMillis = 300_000

/** A silence is a suspicion when this many frames were expected in it: by chance it happens once in 500 million times. */
const overdueFrames = 20

const updateMillis = 1_000

/**
 * Finds the half-dead feed: the link lives, its server pings, and no data comes although data is due. What is due is learnt from the
 * frames themselves, for each subscribed market, so a quiet market is never suspected and markets that close take their frames
 * with them. A ping is no data. A suspicion is no proof: the feed may have become quiet.
 */
export class FeedWatchdog {
  readonly #silenceMillis: number
  #framesPerMarketMilli = 0
  #markets = 0
  #fresh = 0
  #since: number
  #lastAt: number

  /** Shorter silences than `silenceMillis` are never suspected. */
  constructor(silenceMillis: number, nowMillis: number) {
    this.#silenceMillis = silenceMillis
    this.#since = nowMillis
    this.#lastAt = nowMillis
  }

  /** A new connection: what was learnt from the others stays. */
  connected(nowMillis: number): void {
    this.#markets = 0
    this.#fresh = 0
    this.#since = nowMillis
    this.#lastAt = nowMillis
  }

  subscribed(markets: number, nowMillis: number): void {
    this.#learn(nowMillis)
    this.#markets = markets
  }

  /** Frames that the feed sent by itself. */
  data(frames: number, nowMillis: number): void {
    this.#lastAt = nowMillis
    this.#fresh += frames
    if (nowMillis - this.#since >= updateMillis) this.#learn(nowMillis)
  }

  /** Frames that were asked for: the feed lives, they say nothing about its rate. */
  answered(nowMillis: number): void {
    this.#lastAt = nowMillis
  }

  isSuspect(nowMillis: number): boolean {
    const silence = nowMillis - this.#lastAt
    return silence >= this.#silenceMillis && this.#framesPerMarketMilli * this.#markets * silence >= overdueFrames
  }

  /** The silence was real: expect nothing until frames come again. */
  forget(nowMillis: number): void {
    this.#framesPerMarketMilli = 0
    this.#fresh = 0
    this.#since = nowMillis
    this.#lastAt = nowMillis
  }

  #learn(nowMillis: number): void {
    const span = nowMillis - this.#since
    if (span <= 0) return
    if (this.#markets > 0) {
      const weight = 1 - Math.exp(-span / memoryMillis)
      this.#framesPerMarketMilli += weight * (this.#fresh / (span * this.#markets) - this.#framesPerMarketMilli)
    }
    this.#fresh = 0
    this.#since = nowMillis
  }
}
