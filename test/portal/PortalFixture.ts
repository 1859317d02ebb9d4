import { request } from "node:http"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import { PortalConfig } from "../../src/portal/PortalConfig.ts"
import { PortalRoutes } from "../../src/portal/PortalServer.ts"
import { WebAssets } from "../../src/portal/WebAssets.ts"
import { ExchangeTime } from "../../src/runtime/ExchangeTime.ts"
import { Health } from "../../src/runtime/Health.ts"
import { Loops } from "../../src/runtime/Loops.ts"
import { TestDatabase } from "../support/Database.ts"

export const password = "open sesame"
export const secretKey = "0123456789abcdef0123"

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
  readonly body: string
  readonly bytes: Buffer
}

interface Asked {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly json?: unknown
}

/** A portal on a port of its own, over a database of its own, and a plain HTTP client that hides nothing. */
export class Portal extends Context.Service<
  Portal,
  {
    readonly origin: string
    readonly ask: (path: string, asked?: Asked) => Effect.Effect<Answer>
    /** Signs in and succeeds with the `Cookie` header of the session. */
    readonly signIn: Effect.Effect<{ readonly cookie: string }>
    /** Reads a stream until what came so far satisfies a condition. */
    readonly readUntil: (
      path: string,
      headers: Readonly<Record<string, string>>,
      options: { readonly enough: (text: string) => boolean; readonly onFirst?: () => void }
    ) => Effect.Effect<string>
  }
>()("kalshi-ingestor/test/Portal") {
  static readonly layerNoDeps = Layer.effect(
    Portal,
    Effect.gen(function* () {
      const { address } = yield* HttpServer.HttpServer
      const port = "port" in address ? Number(address.port) : 0

      const ask = (path: string, asked: Asked = {}) =>
        Effect.callback<Answer>((resume) => {
          const sent = request(
            {
              port,
              path,
              method: asked.method ?? "GET",
              headers: { ...(asked.json === undefined ? {} : { "content-type": "application/json" }), ...asked.headers }
            },
            (response) => {
              const parts: Array<Buffer> = []
              response.on("data", (part: Buffer) => parts.push(part))
              response.on("end", () =>
                resume(
                  Effect.succeed({
                    status: response.statusCode ?? 0,
                    headers: response.headers,
                    body: Buffer.concat(parts).toString(),
                    bytes: Buffer.concat(parts)
                  })
                )
              )
            }
          )
          sent.on("error", (error) => resume(Effect.die(error)))
          sent.end(asked.json === undefined ? undefined : JSON.stringify(asked.json))
        })

      const signIn = Effect.map(ask("/api/session", { method: "POST", json: { password } }), ({ headers }) => ({
        cookie: String(headers["set-cookie"]).split(";")[0]!
      }))

      const readUntil: Portal["Service"]["readUntil"] = (path, headers, { enough, onFirst }) =>
        Effect.callback<string>((resume) => {
          let text = ""
          const sent = request({ port, path, headers }, (response) => {
            response.on("data", (part: Buffer) => {
              if (text === "") onFirst?.()
              text += part.toString()
              if (!enough(text)) return
              resume(Effect.succeed(text))
              sent.destroy()
            })
          })
          sent.on("error", (error) => resume(Effect.die(error)))
          sent.end()
          return Effect.sync(() => sent.destroy())
        })

      return Portal.of({ origin: `http://127.0.0.1:${port}`, ask, signIn, readUntil })
    })
  )

  /** `pages`: where the built pages are; a stand-in by default. */
  static readonly layerWith = (
    environment: Readonly<Record<string, string>>,
    pages = new URL("./pages/", import.meta.url)
  ) => {
    const settings = ConfigProvider.layer(
      ConfigProvider.fromUnknown({
        WEB_PORTAL_PASSWORD: password,
        WEB_PORTAL_SECRET_KEY: secretKey,
        WEB_PORTAL_RATE_PER_SEC: "0",
        ...environment
      })
    )
    const served = HttpRouter.serve(PortalRoutes, { disableLogger: true, disableListenLog: true }).pipe(
      Layer.provide(WebAssets.layerFrom(pages)),
      Layer.provide([PortalConfig.layer, ExchangeTime.layerReal, Loops.layer, Health.layer]),
      Layer.provide(settings)
    )
    return Portal.layerNoDeps.pipe(
      Layer.provideMerge(served),
      Layer.provideMerge(NodeHttpServer.layerTest),
      TestDatabase.under("portal")
    )
  }
}

/** Two events; `openMarkets` hourly markets that trade and `closedMarkets` daily ones that are over. */
export const seed = Effect.fnUntraced(function* (openMarkets: number, closedMarkets: number) {
  const sql = yield* SqlClient.SqlClient
  yield* sql`insert into events (event_ticker, series_ticker, title, strike_period) values
    ('KXBTCD-1', 'KXBTCD', 'Bitcoin price', 'hour'), ('KXHIGHNY-1', 'KXHIGHNY', 'Highest temperature', 'day')`
  yield* sql`insert into markets (ticker, event_ticker, title, yes_sub_title, status, open_time, close_time)
    select 'KXBTCD-1-T' || i, 'KXBTCD-1', 'Bitcoin', 'above ' || i, 'active', now(),
      case when i = 1 then null else now() + (i / 3) * interval '1 minute' end
    from generate_series(1, ${openMarkets}::int) i`
  yield* sql`insert into active_markets (ticker, event_ticker, status, open_time, close_time)
    select ticker, event_ticker, status, open_time, close_time from markets`
  yield* sql`insert into markets
      (ticker, event_ticker, title, yes_sub_title, status, close_time, result, settlement_value_dollars)
    select 'KXHIGHNY-1-B' || i, 'KXHIGHNY-1', 'Temperature', i || ' degrees', 'finalized',
      now() - (i / 4) * interval '1 day', case when i % 2 = 0 then 'yes' else 'no' end, 1 - i % 2
    from generate_series(1, ${closedMarkets}::int) i`
})

/** Stores one tick as the newest of its market; an absent price is null. */
export const storeTick = Effect.fnUntraced(function* (
  ticker: string,
  tick: { readonly bid?: string; readonly ask?: string; readonly price?: string; readonly volume?: string }
) {
  const sql = yield* SqlClient.SqlClient
  yield* sql`insert into market_keys (ticker) values (${ticker}) on conflict do nothing`
  yield* sql`
    insert into ticks_latest (market_id, ts, received_at, yes_bid_dollars, yes_ask_dollars, price_dollars, volume)
    select market_id, now(), clock_timestamp(), ${tick.bid ?? null}::numeric, ${tick.ask ?? null}::numeric,
      ${tick.price ?? null}::numeric, ${tick.volume ?? null}::numeric
    from market_keys where ticker = ${ticker}
    on conflict (market_id) do update set ts = excluded.ts, received_at = excluded.received_at,
      yes_bid_dollars = excluded.yes_bid_dollars, yes_ask_dollars = excluded.yes_ask_dollars,
      price_dollars = excluded.price_dollars, volume = excluded.volume`
})

/** What the upkeep loop would have done a moment later. */
export const cardsAreUpToDate = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  let notes = 1
  while (notes > 0) {
    const rows = yield* sql<{ notes: number }>`select refresh_event_cards(1000) as notes`
    const left = yield* sql<{ n: number }>`select count(*)::int as n from event_cards_stale`
    notes = Math.max(rows[0]!.notes, left[0]!.n)
  }
  yield* sql`select refresh_event_quotes(array(select event_ticker from event_cards))`
})
