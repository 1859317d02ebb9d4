import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Ports from "../../src/local/Ports.ts"
import { EmbeddedPostgres } from "../../src/store/EmbeddedPostgres.ts"
import * as Programs from "../support/Programs.ts"

export const password = "open sesame"

const announcement = (line: string): { rest: string; ws: string; control: string; clock: string } => JSON.parse(line)

/**
 * What `npm run demo` starts, piece by piece: the simulated exchange, and migrator, rest, ws, worker, predictor and portal of dist/ that record it. `ws` may be
 * ended and started again, so that there is a hole to show.
 */
export const recording = Effect.fnUntraced(function* (options: { readonly speed: number; readonly rate: number }) {
  const home = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const made = fs.mkdtempSync(path.join(os.tmpdir(), "recording-"))
      fs.chmodSync(made, 0o755)
      return made
    }),
    (made) => Effect.sync(() => fs.rmSync(made, { recursive: true, force: true }))
  )
  const { url } = yield* EmbeddedPostgres
  const keys = path.join(home, "keys")
  const exchange = yield* Programs.running("exchange", {}, [
    "--port=0",
    `--speed=${options.speed}`,
    `--rate=${options.rate}`,
    "--no-ledger",
    `--keys-dir=${keys}`
  ])
  const announced = announcement(yield* exchange.firstLine)
  const env = {
    DATABASE_URL: Redacted.value(url),
    DATA_DIR: home,
    JOURNAL_DIR: path.join(home, "journal"),
    KALSHI_API_KEY_ID: fs.readFileSync(path.join(keys, "kalshi-key-id"), "utf8").trim(),
    KALSHI_PRIVATE_KEY_PEM_PATH: path.join(keys, "kalshi-key.pem"),
    KALSHI_REST_URL: announced.rest,
    KALSHI_WS_URL: announced.ws,
    EXCHANGE_CLOCK: announced.clock,
    DISCOVERY_SECONDS: "10",
    KALSHI_WS_CHANNELS: "ticker,market_lifecycle_v2,trade,orderbook_delta"
  }
  const migrated = yield* Programs.run("migrator", env)
  if (migrated.code !== 0) return yield* Effect.die(new Error(migrated.stderr))
  const logins = yield* Programs.logins(url, { DATA_DIR: home })
  yield* Programs.running("rest", { ...env, ...logins, WORK_QUEUE_ENABLE: "1" })
  yield* Programs.running("worker", { ...env, ...logins })
  yield* Programs.running("predictor", {
    ...env,
    ...logins,
    PREDICTION_ENABLE: "1",
    PREDICTION_HANDLER: "baseline:market_mid,statistical:diffusion",
    PREDICTION_POLL_SECONDS: "5"
  })
  const port = yield* Ports.free()
  yield* Programs.running("portal", {
    ...env,
    ...logins,
    WEB_PORTAL_HOST: "127.0.0.1",
    WEB_PORTAL_PORT: String(port),
    WEB_PORTAL_PASSWORD: password,
    WEB_PORTAL_SECRET_KEY: "only for a recording of a simulation",
    WEB_PORTAL_BACKFILL_MODE: "queue"
  })
  return {
    origin: `http://127.0.0.1:${port}`,
    startWs: Programs.running("ws", { ...env, ...logins }),
    databaseUrl: url
  }
})

export const database = (home: string) => EmbeddedPostgres.layer({ dataDir: home })
