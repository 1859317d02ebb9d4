import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import { type BrowserContextOptions, chromium, type Page } from "playwright-core"

const executablePath = "/usr/bin/chromium"

/** Debian's chromium: `apt-get install --no-install-recommends chromium`. */
export const isInstalled = fs.existsSync(executablePath)

const quiet = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync"
]

/** A browser with an empty profile of its own, gone when the scope closes. */
export const browser = (options: BrowserContextOptions = {}) =>
  Effect.gen(function* () {
    const profile = yield* Effect.acquireRelease(
      Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "portal-browser-"))),
      (made) => Effect.sync(() => fs.rmSync(made, { recursive: true, force: true, maxRetries: 5 }))
    )
    return yield* Effect.acquireRelease(
      Effect.promise(() =>
        chromium.launchPersistentContext(profile, { executablePath, headless: true, args: quiet, ...options })
      ),
      (context) => Effect.promise(() => context.close())
    )
  })

/** Signs in on the page that is shown. */
export const signIn = async (page: Page, origin: string, password: string, next = "/") => {
  await page.goto(`${origin}/login?next=${encodeURIComponent(next)}`)
  await page.getByLabel("Password").fill(password)
  await page.getByRole("button", { name: "Sign in" }).click()
  await page.getByRole("navigation", { name: "Pages" }).waitFor()
}
