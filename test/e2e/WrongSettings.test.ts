import { generateKeyPairSync } from "node:crypto"
import * as fs from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { assert, layer } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { roleNames } from "../../src/runtime/Access.ts"
import { isForeign } from "../../src/runtime/Environment.ts"
import { TestDatabase } from "../support/Database.ts"
import * as Programs from "../support/Programs.ts"

class Workbench extends Context.Service<
  Workbench,
  {
    /** Everything set and right. */
    readonly good: Readonly<Record<string, string>>
    readonly file: (name: string, text: string, mode: number) => string
    readonly busyPort: string
    /** Answers 401 to everything. */
    readonly refusing: string
  }
>()("kalshi-ingestor/test/Workbench") {
  static readonly layer = Layer.effect(
    Workbench,
    Effect.gen(function* () {
      const { url } = yield* TestDatabase
      const directory = yield* Effect.acquireRelease(
        Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "wrong-settings-"))),
        (made) => Effect.sync(() => fs.rmSync(made, { recursive: true }))
      )
      const server = createServer((_, response) => response.writeHead(401).end('{"error":{"code":"unauthorized"}}'))
      yield* Effect.acquireRelease(
        Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
        () => Effect.sync(() => server.close())
      )
      const port = String((server.address() as AddressInfo).port)
      const file = (name: string, text: string, mode: number) => {
        const target = path.join(directory, name)
        fs.writeFileSync(target, text)
        fs.chmodSync(target, mode)
        return target
      }
      const { privateKey } = generateKeyPairSync("rsa", {
        modulusLength: 2048,
        privateKeyEncoding: { type: "pkcs8", format: "pem" },
        publicKeyEncoding: { type: "spki", format: "pem" }
      })
      return {
        file,
        busyPort: port,
        refusing: `http://127.0.0.1:${port}/trade-api/v2`,
        good: {
          DATABASE_URL: Redacted.value(url),
          DATA_DIR: path.join(directory, "data"),
          KALSHI_API_KEY_ID: "6a1f4a52-5a3c-4b8e-9a73-111122223333",
          KALSHI_PRIVATE_KEY_PEM_PATH: file("good.pem", privateKey, 0o600),
          KALSHI_REST_URL: "http://127.0.0.1:9/trade-api/v2",
          KALSHI_WS_URL: "ws://127.0.0.1:9/trade-api/ws/v2",
          WEB_PORTAL_PASSWORD: "correct horse",
          WEB_PORTAL_SECRET_KEY: "0123456789abcdef0123456789abcdef",
          WEB_PORTAL_PORT: "0"
        }
      }
    })
  )
}

interface Mistake {
  readonly program: string
  readonly args?: ReadonlyArray<string>
  readonly wrong: (bench: Workbench["Service"]) => Readonly<Record<string, string>>
  /** What the one line must say. */
  readonly says: ReadonlyArray<string>
  /** What it must not say. */
  readonly hides?: string
}

const withDatabase = (change: (url: URL) => void) => (bench: Workbench["Service"]) => {
  const url = new URL(bench.good["DATABASE_URL"]!)
  change(url)
  return { DATABASE_URL: url.toString() }
}

const mistakes: Readonly<Record<string, Mistake>> = {
  "no database": { program: "rest", wrong: () => ({ DATABASE_URL: "" }), says: ["DATABASE_URL", "postgres://"] },
  "a database address that is none": {
    program: "rest",
    wrong: () => ({ DATABASE_URL: "mysql://me:hunter2@db/x" }),
    says: ["DATABASE_URL", "postgres://"],
    hides: "hunter2"
  },
  "a database that refuses": {
    program: "ws",
    wrong: withDatabase((url) => {
      url.port = "9"
    }),
    says: ["DATABASE_URL", "refused"]
  },
  "a wrong database password": {
    program: "rest",
    wrong: withDatabase((url) => {
      url.password = "hunter2"
    }),
    says: ["DATABASE_URL", "password"],
    hides: "hunter2"
  },
  "a database that does not exist": {
    program: "portal",
    wrong: withDatabase((url) => {
      url.pathname = "/nowhere"
    }),
    says: ["DATABASE_URL", "nowhere", "does not exist"]
  },
  "a database without tables": {
    program: "rest",
    wrong: withDatabase((url) => {
      url.pathname = "/postgres"
    }),
    says: ["DATABASE_URL", "node dist/migrator.js"]
  },
  "a broker address that is none": {
    program: "worker",
    wrong: () => ({ RABBITMQ_URL: "http://me:hunter2@broker/" }),
    says: ["RABBITMQ_URL", "amqp://"],
    hides: "hunter2"
  },
  "a type of jobs that does not exist": {
    program: "worker",
    wrong: () => ({ WORK_QUEUE_JOB_TYPES: "backfill_markets" }),
    says: ["WORK_QUEUE_JOB_TYPES", "backfill_markets", "backfill_market,"]
  },
  "a lease that is too long": {
    program: "worker",
    wrong: () => ({ WORK_QUEUE_LEASE_SECONDS: "900" }),
    says: ["WORK_QUEUE_LEASE_SECONDS", "1 to 20"]
  },
  "no API key": { program: "ws", wrong: () => ({ KALSHI_API_KEY_ID: "" }), says: ["KALSHI_API_KEY_ID", "not set"] },
  "a key file that is not there": {
    program: "ws",
    wrong: () => ({ KALSHI_PRIVATE_KEY_PEM_PATH: "/nowhere/key.pem" }),
    says: ["KALSHI_PRIVATE_KEY_PEM_PATH", "/nowhere/key.pem"]
  },
  "a key file that others can read": {
    program: "ws",
    wrong: ({ file, good }) => ({
      KALSHI_PRIVATE_KEY_PEM_PATH: file(
        "open.pem",
        fs.readFileSync(good["KALSHI_PRIVATE_KEY_PEM_PATH"]!, "utf8"),
        0o644
      )
    }),
    says: ["KALSHI_PRIVATE_KEY_PEM_PATH", "chmod 600"]
  },
  "a key file that holds no key": {
    program: "rest",
    wrong: ({ file }) => ({ KALSHI_PRIVATE_KEY_PEM_PATH: file("notes.pem", "my secret is hunter2", 0o600) }),
    says: ["KALSHI_PRIVATE_KEY_PEM_PATH"],
    hides: "hunter2"
  },
  "a key that the exchange refuses": {
    program: "rest",
    wrong: ({ refusing }) => ({ KALSHI_REST_URL: refusing }),
    says: ["KALSHI_API_KEY_ID", "401"]
  },
  "a key that the feed refuses": {
    program: "ws",
    wrong: ({ busyPort }) => ({ KALSHI_WS_URL: `ws://127.0.0.1:${busyPort}/trade-api/ws/v2` }),
    says: ["KALSHI_API_KEY_ID", "401"]
  },
  "a number that is none": {
    program: "rest",
    wrong: () => ({ DISCOVERY_SECONDS: "soon" }),
    says: ["DISCOVERY_SECONDS", "soon", "DISCOVERY_SECONDS=1800"]
  },
  "minutes that no candle has": {
    program: "rest",
    wrong: () => ({ CANDLE_MINUTES_FOR_HOUR: "5" }),
    says: ["CANDLE_MINUTES_FOR_HOUR", '"5"', "1, 60, 1440"]
  },
  "a status that events do not have": {
    program: "rest",
    wrong: () => ({ BACKFILL_EVENT_STATUSES: "open,done" }),
    says: ["BACKFILL_EVENT_STATUSES", "done", "open, closed, settled"]
  },
  "a number out of bounds": { program: "ws", wrong: () => ({ WS_BATCH_SIZE: "0" }), says: ["WS_BATCH_SIZE", "1 to"] },
  "a channel that does not exist": {
    program: "ws",
    wrong: () => ({ KALSHI_WS_CHANNELS: "ticker,tickers" }),
    says: ["KALSHI_WS_CHANNELS", "tickers", "market_lifecycle_v2"]
  },
  "an address with another scheme": {
    program: "ws",
    wrong: () => ({ KALSHI_WS_URL: "https://example.org" }),
    says: ["KALSHI_WS_URL", "wss://"]
  },
  "a log level that does not exist": {
    program: "rest",
    wrong: () => ({ LOG_LEVEL: "loud" }),
    says: ["LOG_LEVEL", "loud"]
  },
  "a health port in use": {
    program: "rest",
    wrong: ({ busyPort }) => ({ SERVICE_HEALTH_PORT: busyPort }),
    says: ["SERVICE_HEALTH_PORT", "in use"]
  },
  "a portal port in use": {
    program: "portal",
    wrong: ({ busyPort }) => ({ WEB_PORTAL_PORT: busyPort, WEB_PORTAL_HOST: "127.0.0.1" }),
    says: ["WEB_PORTAL_PORT", "in use"]
  },
  "a portal without a session key": {
    program: "portal",
    wrong: () => ({ WEB_PORTAL_SECRET_KEY: "" }),
    says: ["WEB_PORTAL_SECRET_KEY"]
  },
  "a journal that cannot be written": {
    program: "ws",
    wrong: () => ({ JOURNAL_DIR: "/dev/null/journal" }),
    says: ["JOURNAL_DIR", "/dev/null/journal"]
  },
  "an environment file that is not there": {
    program: "migrator",
    wrong: () => ({ ENV_FILE: "/nowhere/.env" }),
    says: ["ENV_FILE", "/nowhere/.env"]
  },
  "a span without its beginning": { program: "reprocess", wrong: () => ({}), says: ["--from", "--help"] },
  "an instant without its zone": {
    program: "reprocess",
    args: ["--from", "2026-11-24T14:00:00"],
    wrong: () => ({}),
    says: ["--from", "2026-11-24T14:00:00Z"]
  },
  "a span that ends before it begins": {
    program: "reprocess",
    args: ["--from", "2026-11-24T14:00:00Z", "--to", "2026-11-24T13:00:00Z"],
    wrong: () => ({}),
    says: ["--to", "--from"]
  },
  "forecasts that are not turned on": { program: "predictor", wrong: () => ({}), says: ["PREDICTION_ENABLE=1"] },
  "a handler that does not exist": {
    program: "predictor",
    wrong: () => ({ PREDICTION_ENABLE: "1", PREDICTION_HANDLER: "oracle" }),
    says: ["PREDICTION_HANDLER", "oracle", "statistical:diffusion"]
  },
  "a handler's file that is not there": {
    program: "predictor",
    wrong: () => ({ PREDICTION_ENABLE: "1", PREDICTION_HANDLER: "./nowhere.js#predictEvent" }),
    says: ["PREDICTION_HANDLER", "nowhere.js"]
  },
  "a language model without a name": {
    program: "predictor",
    wrong: () => ({ PREDICTION_ENABLE: "1", PREDICTION_HANDLER: "llm", PREDICTION_LLM_API_KEY: "sk-hunter2" }),
    says: ["PREDICTION_MODEL_NAME"],
    hides: "hunter2"
  },
  "a limit of dollars without prices": {
    program: "predictor",
    wrong: () => ({ PREDICTION_ENABLE: "1", PREDICTION_DAILY_DOLLARS: "5" }),
    says: ["PREDICTION_DAILY_DOLLARS", "PREDICTION_PRICE_INPUT"]
  },
  "a prompt that cannot be read": {
    program: "predictor",
    wrong: () => ({ PREDICTION_ENABLE: "1", PREDICTION_PROMPT_PATH: "/nowhere/prompt.txt" }),
    says: ["PREDICTION_PROMPT_PATH", "/nowhere/prompt.txt"]
  },
  "documents that are not there": {
    program: "predictor",
    args: ["ingest", "/nowhere/notes.md"],
    wrong: () => ({}),
    says: ["/nowhere/notes.md", "cannot be read"]
  },
  "no documents at all": { program: "predictor", args: ["ingest"], wrong: () => ({}), says: ["files", "--help"] },
  "scores since no instant": {
    program: "predictor",
    args: ["scores", "--since", "yesterday"],
    wrong: () => ({}),
    says: ["--since", "2026-11-24T14:00:00Z"]
  },
  "the role of another program": {
    program: "ws",
    wrong: () => ({ SERVICE_ROLE: "rest" }),
    says: ["SERVICE_ROLE", "this program is ws", "SERVICE_ROLE=ws"]
  },
  "a role that is none": { program: "rest", wrong: () => ({ SERVICE_ROLE: "king" }), says: ["SERVICE_ROLE", "king"] },
  "the exchange's key given to the portal": {
    program: "portal",
    wrong: ({ good }) => ({
      KALSHI_API_KEY_ID: good["KALSHI_API_KEY_ID"]!,
      OPENAI_API_KEY: "sk-hunter2",
      SERVICE_ENV_GUARDRAILS: "enforce"
    }),
    says: ["KALSHI_API_KEY_ID", "OPENAI_API_KEY", "portal has no use for", "SERVICE_ENV_ALLOW_KEYS"],
    hides: "hunter2"
  },
  "a model's key given to ws in its file": {
    program: "ws",
    wrong: ({ file }) => ({
      ENV_FILE: file("leaky.env", "OPENAI_API_KEY=sk-hunter2\n", 0o600),
      SERVICE_ENV_GUARDRAILS: "enforce"
    }),
    says: ["OPENAI_API_KEY", "ws has no use for credentials of models"],
    hides: "hunter2"
  },
  "the Python original's schema as the oldest": {
    program: "rest",
    wrong: () => ({ SCHEMA_COMPAT_MIN: "3" }),
    says: ["SCHEMA_COMPAT_MIN", "3 is the schema of the Python original", "unset"]
  },
  "the Python original's schema as the newest": {
    program: "portal",
    wrong: () => ({ SCHEMA_COMPAT_MAX: "3" }),
    says: ["SCHEMA_COMPAT_MAX", "Python original"]
  },
  "a newest schema older than the programs": {
    program: "worker",
    wrong: () => ({ SCHEMA_COMPAT_MAX: "20" }),
    says: ["SCHEMA_COMPAT_MAX", "20 leaves out"]
  },
  "a login whose user is the owner": {
    program: "migrator",
    args: ["roles"],
    wrong: ({ good }) => ({ DATABASE_URL: good["DATABASE_URL"]!, DATABASE_URL_REST: good["DATABASE_URL"]! }),
    says: ["DATABASE_URL_REST", "the owner", "kalshi_rest_login"]
  },
  "one login for two programs": {
    program: "migrator",
    args: ["roles"],
    wrong: (bench) => ({
      DATABASE_URL_WS: withDatabase((url) => {
        url.username = "shared"
        url.password = "hunter2"
      })(bench).DATABASE_URL,
      DATABASE_URL_REST: withDatabase((url) => {
        url.username = "shared"
        url.password = "hunter2"
      })(bench).DATABASE_URL
    }),
    says: ["DATABASE_URL_WS", "shared", "DATABASE_URL_REST"],
    hides: "hunter2"
  },
  "a login to another database": {
    program: "migrator",
    args: ["roles"],
    wrong: (bench) => ({
      DATABASE_URL_WS: withDatabase((url) => {
        url.username = "another"
        url.pathname = "/elsewhere"
      })(bench).DATABASE_URL
    }),
    says: ["DATABASE_URL_WS", "elsewhere"]
  },
  "a simulated clock that is none": {
    program: "rest",
    wrong: () => ({ EXCHANGE_CLOCK: "fast" }),
    says: ["EXCHANGE_CLOCK", "simulator"]
  }
}

layer(Workbench.layer.pipe(Layer.provideMerge(TestDatabase.layer)), {
  timeout: "60 seconds",
  excludeTestServices: true
})("a user's mistake is one line that names the setting, and exit code 1", (it) => {
  for (const [name, { args, hides, program, says, wrong }] of Object.entries(mistakes)) {
    it.effect(`${program}: ${name}`, () =>
      Effect.gen(function* () {
        const bench = yield* Workbench
        const good = Programs.asItself(program, { ...bench.good, ...(yield* TestDatabase.environment) })
        const role = roleNames.find((one) => one === program)
        const { code, stderr, stdout } = yield* Programs.run(
          program,
          {
            ...Object.fromEntries(Object.entries(good).filter(([key]) => role === undefined || !isForeign(role, key))),
            ...wrong(bench)
          },
          args
        )
        const said = stderr.split("\n").filter((line) => line !== "")
        assert.strictEqual(code, 1, stderr)
        assert.strictEqual(stdout, "")
        assert.strictEqual(said.length, 1, stderr)
        for (const word of says) assert.include(said[0]!, word)
        assert.notInclude(stderr, "    at ")
        assert.notInclude(stderr, fs.readFileSync(bench.good["KALSHI_PRIVATE_KEY_PEM_PATH"]!, "utf8").split("\n")[1]!)
        if (hides !== undefined) assert.notInclude(stderr, hides)
      })
    )
  }
})
