import { execFile, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Ports from "../../src/local/Ports.ts"

const root = path.resolve(import.meta.dirname, "../..")
export const alertsFile = path.join(root, "configs/prometheus/alerts.yml")
export const configFile = path.join(root, "configs/prometheus/prometheus.yml")
export const rulesTest = path.join(import.meta.dirname, "alerts.test.yml")
const dashboardFile = path.join(root, "configs/grafana/dashboard.json")

const directories = ["/usr/bin", "/usr/local/bin"]
const binary = (name: string) =>
  directories.map((folder) => path.join(folder, name)).find((file) => fs.existsSync(file))
export const isInstalled = binary("prometheus") !== undefined && binary("promtool") !== undefined

/** Runs promtool; gives its exit code and all that it said. */
export const promtool = (args: ReadonlyArray<string>, input?: string) =>
  Effect.callback<{ readonly code: number; readonly said: string }>((resume) => {
    const child = execFile(binary("promtool") ?? "promtool", [...args], (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : 1
      resume(Effect.succeed({ code, said: stdout + stderr }))
    })
    if (input !== undefined) child.stdin?.end(input)
  })

const Answer = Schema.Struct({
  status: Schema.Literal("success"),
  data: Schema.Struct({ result: Schema.Array(Schema.Struct({ metric: Schema.Record(Schema.String, Schema.String) })) })
})

/** A Prometheus that scrapes the given programs each second; ends with the scope. */
export const start = Effect.fnUntraced(function* (folder: string, targets: Readonly<Record<string, string>>) {
  const http = yield* HttpClient.HttpClient
  const port = yield* Ports.free()
  const config = path.join(folder, "prometheus.yml")
  fs.writeFileSync(
    config,
    JSON.stringify({
      global: { scrape_interval: "1s", evaluation_interval: "1s" },
      rule_files: [alertsFile],
      scrape_configs: [
        {
          job_name: "kalshi-ingestor",
          static_configs: Object.entries(targets).map(([program, url]) => ({
            targets: [new URL(url).host],
            labels: { program }
          }))
        }
      ]
    })
  )
  const said: Array<string> = []
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(
        binary("prometheus") ?? "prometheus",
        [
          `--config.file=${config}`,
          `--storage.tsdb.path=${path.join(folder, "prometheus")}`,
          `--web.listen-address=127.0.0.1:${port}`
        ],
        { stdio: ["ignore", "ignore", "pipe"] }
      )
      child.stderr.on("data", (chunk) => said.push(String(chunk)))
      return child
    }),
    (child) =>
      Effect.callback<void>((resume) => {
        child.once("close", () => resume(Effect.void))
        child.kill("SIGKILL")
      })
  )
  const base = `http://127.0.0.1:${port}`
  yield* http.get(`${base}/-/ready`).pipe(
    Effect.filterOrFail((response) => response.status === 200),
    Effect.retry(Schedule.spaced("100 millis")),
    Effect.timeoutOrElse({
      duration: "20 seconds",
      orElse: () => Effect.die(new Error(`Prometheus does not start\n${said.join("")}`))
    })
  )
  return {
    /** The series that a query gives now. */
    query: (query: string) =>
      http.get(`${base}/api/v1/query`, { urlParams: { query } }).pipe(
        Effect.flatMap((response) => response.json),
        Effect.flatMap(Schema.decodeUnknownEffect(Answer)),
        Effect.map(({ data }) => data.result.map(({ metric }) => metric)),
        Effect.mapError((error) => new Error(`${query}: ${String(error)}`)),
        Effect.orDie
      )
  }
})

interface Panel {
  readonly title: string
  readonly type: string
  readonly targets?: ReadonlyArray<{ readonly expr: string }>
}

export const dashboard = (): { readonly panels: ReadonlyArray<Panel> } =>
  JSON.parse(fs.readFileSync(dashboardFile, "utf8"))

/** Every query of the dashboard with its panel's title. */
export const dashboardQueries = (): ReadonlyArray<{ readonly title: string; readonly expr: string }> =>
  dashboard().panels.flatMap(({ targets = [], title }) => targets.map(({ expr }) => ({ title, expr })))

export interface Alert {
  readonly name: string
  readonly text: string
  readonly runbook: string | undefined
}

/** The rules by name, as they stand in the file. */
export const alerts = (): ReadonlyArray<Alert> =>
  fs
    .readFileSync(alertsFile, "utf8")
    .split(/^ {6}- alert: /m)
    .slice(1)
    .map((text) => ({ name: text.split("\n")[0]!, text, runbook: /^ {10}runbook: (.+)$/m.exec(text)?.[1] }))
