import { createServer, type IncomingHttpHeaders } from "node:http"
import type { AddressInfo } from "node:net"
import * as Effect from "effect/Effect"

export interface Asked {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  // biome-ignore lint/suspicious/noExplicitAny: whatever a client sends
  readonly body: any
}

export interface Answer {
  readonly status?: number
  readonly headers?: Record<string, string>
  readonly body?: unknown
  /** Sent as it is, in place of `body`. */
  readonly text?: string
  /** The connection is kept open without a word. */
  readonly silent?: boolean
}

/** A chat completion that says `content`. */
export const says = (content: unknown, more: object = {}): Answer => ({
  body: {
    id: "chatcmpl-1",
    object: "chat.completion",
    model: "fake-1",
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: typeof content === "string" ? content : JSON.stringify(content),
          ...more
        },
        finish_reason: "stop"
      }
    ],
    usage: { prompt_tokens: 1000, completion_tokens: 200, total_tokens: 1200 }
  }
})

/** The tickers that a request is about, as its schema lists them. */
export const tickersOf = ({ body }: Asked): ReadonlyArray<string> => {
  const { items } = body.response_format.json_schema.schema.properties.forecasts
  return items.properties.market_ticker.enum
}

export const forecasts = (asked: Asked, yes_prob: number) =>
  says({
    forecasts: tickersOf(asked).map((market_ticker) => ({
      market_ticker,
      yes_prob,
      confidence: 0.5,
      rationale: "it seems so"
    }))
  })

/** An API of the form of OpenAI's that answers what the test wants, on a port of its own. */
export const fakeModel = Effect.fnUntraced(function* (answer: (asked: Asked, nth: number) => Answer) {
  const asked: Array<Asked> = []
  const server = createServer((request, response) => {
    let text = ""
    request.on("data", (chunk) => {
      text += chunk
    })
    request.on("end", () => {
      const mine = { path: request.url ?? "", headers: request.headers, body: JSON.parse(text) }
      asked.push(mine)
      const { body, headers, silent, status, text: raw } = answer(mine, asked.length)
      if (silent === true) return
      response.writeHead(status ?? 200, { "content-type": "application/json", ...headers })
      response.end(raw ?? JSON.stringify(body ?? {}))
    })
  })
  yield* Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
    () =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      })
  )
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { url, asked }
})
