/** A response before it meets a socket. */
export interface Reply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: string
  /** Only half of the body is sent before the connection is cut. */
  readonly truncated?: boolean
}

export const json = (value: unknown, status = 200): Reply => ({ status, body: JSON.stringify(value) })

const problem = (status: number, code: string, message: string, details?: string): Reply =>
  json({ error: { code, ...(details === undefined ? {} : { details }), message } }, status)

export const badRequest = (details: string): Reply => problem(400, "bad_request", "bad request", details)
export const notFound: Reply = problem(404, "not_found", "not found")
export const historicalNotFound: Reply = problem(
  404,
  "failed_to_get_market_by_ticker:_not_found",
  "failed to get market by ticker: not found"
)
export const unauthorized = (code: string, details: string): Reply => problem(401, code, code, details)
/** A string where every other error is an object, as the exchange has it. */
export const tooManyRequests: Reply = { status: 429, body: '{"error": "too many requests"}' }
