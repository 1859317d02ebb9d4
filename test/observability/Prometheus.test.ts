import * as fs from "node:fs"
import * as path from "node:path"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as Schedule from "effect/Schedule"
import * as MetricTable from "../docs/MetricTable.ts"
import * as Programs from "../support/Programs.ts"
import * as Prometheus from "./Prometheus.ts"

const root = path.resolve(import.meta.dirname, "../..")
const known = MetricTable.metrics()
const unsuffixed = (name: string) => name.replace(/_(bucket|sum|count)$/, "")
const namesIn = (text: string) => [...text.matchAll(/kalshi_ingestor_[a-z_]+/g)].map(([name]) => unsuffixed(name))

describe("alerts and dashboard", () => {
  it("ask only for metrics that there are", () => {
    const names = new Set(known.map(({ name }) => name))
    for (const { name, text } of Prometheus.alerts())
      for (const metric of namesIn(text)) assert.isTrue(names.has(metric), `${name}: ${metric}`)
    for (const { expr, title } of Prometheus.dashboardQueries())
      for (const metric of namesIn(expr)) assert.isTrue(names.has(metric), `${title}: ${metric}`)
    assert.isAbove(Prometheus.dashboardQueries().length, 40)
  })

  it("each alert has a summary, a description and a runbook entry with commands", () => {
    const operations = fs.readFileSync(path.join(root, "docs/operations.md"), "utf8")
    const entries = new Map(
      operations
        .split(/^### /m)
        .slice(1)
        .map((entry) => [`docs/operations.md#${entry.split("\n")[0]!.toLowerCase()}`, entry])
    )
    const alerts = Prometheus.alerts()
    assert.isAbove(alerts.length, 15)
    for (const { name, runbook, text } of alerts) {
      assert.match(text, /^ {10}summary: "\S.*"$/m, name)
      assert.match(text, /^ {10}description: "\S.*"$/m, name)
      assert.match(text, /^ {10}severity: (critical|warning|info)$/m, name)
      assert.match(entries.get(runbook ?? "") ?? "", /```sh\n\S/, name)
    }
    assert.strictEqual(entries.size, alerts.length)
  })
})

/** `rest http://127.0.0.1:1/metrics, ws …` as the demo says it. */
const targetsIn = (stdout: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    (/^metrics +(.+)$/m.exec(stdout)?.[1] ?? "").split(", ").map((one) => one.split(" ") as [string, string])
  )

describe.skipIf(!Prometheus.isInstalled)(
  `with Prometheus${Prometheus.isInstalled ? "" : " (install Debian's prometheus)"}`,
  () => {
    it.live("promtool accepts the rules and the configuration", () =>
      Effect.gen(function* () {
        const rules = yield* Prometheus.promtool(["check", "rules", Prometheus.alertsFile])
        assert.strictEqual(rules.code, 0, rules.said)
        const config = yield* Prometheus.promtool(["check", "config", Prometheus.configFile])
        assert.strictEqual(config.code, 0, config.said)
      })
    )

    it.live("alerts fire when they should, and not when a market is only quiet", () =>
      Effect.gen(function* () {
        const { code, said } = yield* Prometheus.promtool(["test", "rules", Prometheus.rulesTest])
        assert.strictEqual(code, 0, said)
      })
    )

    it.live(
      "every query of the dashboard gives series from the running demo, whose metrics are those of docs/metrics.md",
      () =>
        Effect.gen(function* () {
          const folder = yield* Programs.folder
          const http = yield* HttpClient.HttpClient
          const demo = yield* Programs.running(
            "demo",
            { DATA_DIR: path.join(folder, "demo"), COVERAGE_SECONDS: "10" },
            ["--port=0", "--workers=1"]
          )
          yield* Effect.addFinalizer(() => demo.end("SIGTERM"))
          const targets = yield* Effect.sync(demo.stdout).pipe(
            Effect.repeat({ schedule: Schedule.spaced("100 millis"), until: (text) => /^first tick/m.test(text) }),
            Effect.map(targetsIn),
            Effect.timeoutOrElse({
              duration: "60 seconds",
              orElse: () => Effect.die(new Error(`the demo records nothing\n${demo.stdout()}${demo.stderr()}`))
            })
          )
          assert.sameMembers(
            Object.keys(targets).map((label) => label.replace(/-\d+$/, "")),
            ["rest", "ws", "worker", "portal", "predictor"]
          )
          const prometheus = yield* Prometheus.start(folder, targets)
          let open = Prometheus.dashboardQueries()
          yield* Effect.suspend(() =>
            Effect.filter(open, ({ expr }) =>
              Effect.map(prometheus.query(expr.replaceAll("$__rate_interval", "30s")), (series) => series.length === 0)
            )
          ).pipe(
            Effect.tap((left) =>
              Effect.sync(() => {
                open = left
              })
            ),
            Effect.repeat({ schedule: Schedule.spaced("500 millis"), until: (left) => left.length === 0 }),
            Effect.timeoutOption("90 seconds")
          )
          assert.deepStrictEqual(open, [])

          for (const [program, url] of Object.entries(targets)) {
            const text = yield* Effect.flatMap(http.get(url), (response) => response.text)
            const checked = yield* Prometheus.promtool(["check", "metrics"], text)
            assert.strictEqual(checked.code, 0, `${program}: ${checked.said}`)
          }
          for (const series of yield* prometheus.query(`{__name__=~"kalshi_ingestor_.+"}`)) {
            const name = unsuffixed(series["__name__"] ?? "")
            const row = known.find((metric) => metric.name === name)
            const program = (series["program"] ?? "").replace(/-\d+$/, "")
            assert.include(row?.programs ?? [], program, name)
            const own = Object.keys(series).filter(
              (label) => !["__name__", "program", "instance", "job", "le"].includes(label)
            )
            for (const label of own) assert.include(row?.labels ?? [], label, name)
          }
        }).pipe(Effect.provide(NodeHttpClient.layerNodeHttp)),
      240_000
    )
  }
)
