import { request } from "node:http"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Ports from "../../src/local/Ports.ts"
import { TestDatabase } from "../support/Database.ts"
import * as Programs from "../support/Programs.ts"
import { password, secretKey } from "./PortalFixture.ts"

/** The status; 0 when nobody listens, -1 when nobody answers. */
const statusAt = (port: number) =>
  Effect.callback<number>((resume) => {
    const sent = request({ port, path: "/healthz", agent: false, timeout: 5_000 }, (response) => {
      response.resume()
      resume(Effect.succeed(response.statusCode ?? 0))
    })
    sent.on("timeout", () => {
      resume(Effect.succeed(-1))
      sent.destroy()
    })
    sent.on("error", () => resume(Effect.succeed(0)))
    sent.end()
  })

describe("node dist/portal.js", () => {
  it.live("answers whoever asks while it starts", () =>
    Effect.gen(function* () {
      const port = yield* Ports.free()
      const home = yield* Programs.folder
      yield* Programs.running("portal", {
        DATABASE_URL: Redacted.value(yield* TestDatabase.urlAs("portal")),
        DATA_DIR: home,
        WEB_PORTAL_HOST: "127.0.0.1",
        WEB_PORTAL_PORT: String(port),
        WEB_PORTAL_PASSWORD: password,
        WEB_PORTAL_SECRET_KEY: secretKey,
        SERVICE_HEALTH_PORT: String(yield* Ports.free())
      })
      const seen: Array<number> = []
      yield* statusAt(port).pipe(
        Effect.tap((status) => Effect.sync(() => seen.push(status))),
        Effect.repeat({ schedule: Schedule.spaced("1 millis"), until: (status) => status === 200 || status === -1 })
      )
      assert.notInclude(seen, -1)
      assert.includeMembers([0, 200, 503], seen)
    }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer))
  )
})
