import { Refusal } from "./Query.ts"
import { json, notFound, type Reply, tooManyRequests, unauthorized } from "./Reply.ts"
import { TokenBucket } from "./TokenBucket.ts"
import type { SignedHeaders, Verifier } from "./Verifier.ts"

export const restPrefix = "/trade-api/v2"
const cost = 10

export interface Request {
  readonly method: string
  /** Path and query as sent. */
  readonly target: string
  readonly headers: SignedHeaders
}

export interface Caller {
  readonly keyId: string | undefined
  readonly bucket: TokenBucket | undefined
}

export interface FrontOptions {
  readonly verifier: Verifier
  readonly wallMillis: () => number
  readonly tokens: { readonly refillRate: number; readonly capacity: number }
  readonly anonymousTokens: { readonly refillRate: number; readonly capacity: number } | undefined
  /** Code of a 401 body. */
  readonly unauthorizedCode: string
  /** Answers a request that was let in; the path is cut at its slashes. */
  readonly dispatch: (path: ReadonlyArray<string>, query: URLSearchParams, caller: Caller) => Reply | Promise<Reply>
}

/** The door of the REST side: signatures, tokens and the shape of a request, before any route. */
export class Front {
  requests = 0
  refusedRequests = 0
  readonly #options: FrontOptions
  readonly #buckets = new Map<string, TokenBucket>()
  readonly #anonymous: TokenBucket | undefined

  constructor(options: FrontOptions) {
    const { anonymousTokens, wallMillis } = options
    this.#options = options
    this.#anonymous =
      anonymousTokens === undefined
        ? undefined
        : new TokenBucket(anonymousTokens.refillRate, anonymousTokens.capacity, wallMillis())
  }

  /** Tokens left of the busiest key. */
  get tokens(): number {
    const now = this.#options.wallMillis()
    return Math.min(
      this.#options.tokens.capacity,
      ...[...this.#buckets.values()].map((bucket) => bucket.available(now))
    )
  }

  async handle(request: Request): Promise<Reply> {
    this.requests += 1
    const { unauthorizedCode, verifier, wallMillis } = this.#options
    const now = wallMillis()
    const url = new URL(request.target, "http://exchange")
    if (url.pathname.length > 1 && url.pathname.endsWith("/"))
      return { status: 301, headers: { location: url.pathname.replace(/\/+$/, "") + url.search }, body: "" }
    const verdict = verifier.verify(request.headers, request.method, url.pathname, now)
    if (verdict._tag === "Refused") return unauthorized(unauthorizedCode, verdict.details)
    const keyId = verdict._tag === "Signed" ? verdict.keyId : undefined
    const caller: Caller = { keyId, bucket: keyId === undefined ? this.#anonymous : this.#bucketOf(keyId, now) }
    if (caller.bucket?.take(cost, now) === false) {
      this.refusedRequests += 1
      return tooManyRequests
    }
    if (!url.pathname.startsWith(`${restPrefix}/`)) return notFound
    if (request.method !== "GET")
      return json({ error: { code: "method_not_allowed", message: "method not allowed" } }, 405)
    const path = url.pathname
      .slice(restPrefix.length + 1)
      .split("/")
      .map(decodeURIComponent)
    const reply = await this.#answer(path, url.searchParams, caller)
    return keyId === undefined && reply.status === 200
      ? { ...reply, headers: { "cache-control": "public, max-age=15", "x-kalshi-cache-hits": "0", ...reply.headers } }
      : reply
  }

  #bucketOf(keyId: string, now: number): TokenBucket {
    const known = this.#buckets.get(keyId)
    if (known !== undefined) return known
    const bucket = new TokenBucket(this.#options.tokens.refillRate, this.#options.tokens.capacity, now)
    this.#buckets.set(keyId, bucket)
    return bucket
  }

  async #answer(path: ReadonlyArray<string>, query: URLSearchParams, caller: Caller): Promise<Reply> {
    try {
      return await this.#options.dispatch(path, query, caller)
    } catch (error) {
      if (error instanceof Refusal) return error.reply
      throw error
    }
  }
}

/** An answer for those who signed, where a signature is needed. */
export const signedOnly = (caller: Caller, needed: boolean, unauthorizedCode: string, answer: () => Reply): Reply =>
  needed && caller.keyId === undefined ? unauthorized(unauthorizedCode, "signature required") : answer()
