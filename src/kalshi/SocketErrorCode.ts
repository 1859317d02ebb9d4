/** What an error code of the feed means. */
export interface SocketErrorCode {
  readonly code: number
  readonly meaning: string
  /** The subscription it names is over: subscribe again. */
  readonly terminal: boolean
  /** The same command may work later. */
  readonly retryable: boolean
}

const table: ReadonlyArray<readonly [code: number, meaning: string, flag?: "terminal" | "retryable"]> = [
  [1, "unable to process message"],
  [2, "params required"],
  [3, "channels required"],
  [4, "subscription ids required"],
  [5, "unknown command"],
  [6, "already subscribed"],
  [7, "unknown subscription id"],
  [8, "unknown channel name"],
  [9, "authentication required"],
  [10, "channel error", "terminal"],
  [11, "invalid parameter"],
  [12, "exactly one subscription id is required"],
  [13, "unsupported action"],
  [14, "market ticker required"],
  [15, "action required"],
  [16, "market not found"],
  [17, "internal error", "retryable"],
  [18, "command timeout", "retryable"],
  [19, "shard factor required"],
  [20, "shard factor invalid"],
  [21, "shard key required"],
  [22, "shard key invalid"],
  [23, "match ids required"],
  [24, "index ids required"],
  [25, "subscription buffer overflow", "terminal"],
  [26, "subscription market limit exceeded"],
  [27, "too many requests", "retryable"],
  [28, "underlying tickers required"]
]

const known: ReadonlyMap<number, SocketErrorCode> = new Map(
  table.map(([code, meaning, flag]) => [
    code,
    { code, meaning, terminal: flag === "terminal", retryable: flag !== undefined }
  ])
)

/** A code the table does not have means "unknown" and ends nothing. */
export const socketErrorCode = (code: number): SocketErrorCode =>
  known.get(code) ?? { code, meaning: "unknown", terminal: false, retryable: false }

export const isErrorCode = (code: number): boolean => known.has(code)
