import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type { Guard } from "../runtime/Guardrails.ts"
import * as Setting from "../runtime/Setting.ts"
import { SettingError } from "../runtime/SettingError.ts"
import { archiveSettings } from "../store/ArchiveSettings.ts"
import { maxPageSize } from "./ApiFields.ts"

export const settings = {
  host: Setting.textOr("WEB_PORTAL_HOST", "address the portal listens on; 127.0.0.1 for this machine only", "0.0.0.0"),
  port: Setting.portNumber("WEB_PORTAL_PORT", "port the portal listens on", 8000),
  password: Setting.required(
    Setting.secret("WEB_PORTAL_PASSWORD", "password of the portal, plain or as scrypt$N$r$p$salt$hash (base64)"),
    "set it to the password people shall sign in with"
  ),
  secretKey: Setting.required(
    Setting.secret("WEB_PORTAL_SECRET_KEY", "signs the sessions, at least 16 characters; the same on every portal"),
    "set it to at least 16 random characters, e.g. of `openssl rand -hex 32`"
  ),
  limit: Setting.int(
    "WEB_PORTAL_LIMIT",
    `rows of a table at a time; more than ${maxPageSize} count as ${maxPageSize}`,
    75,
    {
      min: 1,
      max: 2000
    }
  ),
  trustProxy: Setting.int("WEB_PORTAL_TRUST_PROXY", "reverse proxies in front, whose X-Forwarded-* is believed", 0, {
    min: 0,
    max: 10
  }),
  cookieName: Setting.textOr("WEB_PORTAL_COOKIE_NAME", "name of the session cookie", "kalshi_portal"),
  cookieSecure: Setting.boolean("WEB_PORTAL_COOKIE_SECURE", "send the cookie over HTTPS only", false),
  cookieHttpOnly: Setting.boolean("WEB_PORTAL_COOKIE_HTTPONLY", "hide the cookie from scripts", true),
  cookieSameSite: Setting.oneOf(
    "WEB_PORTAL_COOKIE_SAMESITE",
    "SameSite of the cookie",
    ["Lax", "Strict", "None"],
    "Lax"
  ),
  cookieDomain: Setting.text("WEB_PORTAL_COOKIE_DOMAIN", "domain of the cookie, unset for this host alone"),
  cookiePath: Setting.textOr("WEB_PORTAL_COOKIE_PATH", "path of the cookie", "/"),
  ratePerSecond: Setting.int(
    "WEB_PORTAL_RATE_PER_SEC",
    "requests a second that one session or token may make on average, four times as many at once; 0: no limit",
    30,
    { min: 0, max: 100_000 }
  ),
  snapshotAllowClosed: Setting.boolean(
    "WEB_PORTAL_SNAPSHOT_ALLOW_CLOSED",
    "let people read quotes of closed markets from the exchange too",
    false
  ),
  snapshotPreferTicksSeconds: Setting.number(
    "WEB_PORTAL_SNAPSHOT_PREFER_TICKS_SEC",
    "a market with a quote newer than this is not read from the exchange",
    60,
    { min: 0, max: 86_400 }
  ),
  autoSnapshotSeconds: Setting.int(
    "WEB_PORTAL_EVENT_AUTO_SNAPSHOT_SEC",
    "how often an event's page asks for a snapshot once a person has told it to; 0: that is not offered",
    120,
    { min: 0, max: 86_400 }
  ),
  backfillMode: Setting.oneOf(
    "WEB_PORTAL_BACKFILL_MODE",
    "queue: people may enter a job that backfills a market; disabled: they may not",
    ["disabled", "queue"],
    "disabled"
  ),
  eventUrl: Setting.textOr(
    "WEB_PORTAL_KALSHI_EVENT_URL_TEMPLATE",
    "address of an event at the exchange; {series_ticker} and {event_ticker} are put in, in lower case",
    "https://kalshi.com/markets/{series_ticker}"
  ),
  marketUrl: Setting.textOr(
    "WEB_PORTAL_KALSHI_MARKET_URL_TEMPLATE",
    "address of a market at the exchange; {series_ticker}, {event_ticker} and {market_ticker} are put in, in lower case",
    "https://kalshi.com/markets/{series_ticker}"
  ),
  opportunityMinGap: Setting.number(
    "WEB_PORTAL_OPPORTUNITY_MIN_GAP",
    "smallest difference between model and market that is an opportunity",
    0.1,
    { min: 0, max: 1 }
  ),
  opportunityMinConfidence: Setting.number(
    "WEB_PORTAL_OPPORTUNITY_MIN_CONF",
    "least confidence of a forecast that counts there",
    0.55,
    { min: 0, max: 1 }
  ),
  opportunityMaxAgeMinutes: Setting.number(
    "WEB_PORTAL_OPPORTUNITY_MAX_AGE_MINUTES",
    "oldest forecast that counts there",
    360,
    { min: 0, max: 100_000 }
  ),
  opportunityMaxTickAgeMinutes: Setting.number(
    "WEB_PORTAL_OPPORTUNITY_MAX_TICK_AGE_MINUTES",
    "oldest quote that counts there",
    60,
    { min: 0, max: 100_000 }
  ),
  downloadDirectory: Setting.text(
    "WEB_PORTAL_DOWNLOAD_DIR",
    "where files of downloads are while they are made and fetched; unset: the system's directory of temporary files"
  ),
  poolMax: Setting.intOption("WEB_DB_POOL_MAX", "most database connections of a portal; PG_POOL when unset", 8, {
    min: 1,
    max: 500
  }),
  poolMin: Setting.int("WEB_DB_POOL_MIN", "database connections that a portal keeps open", 2, { min: 0, max: 500 })
}

const cookieName = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}$/
const cookieDomain = /^\.?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$/
const cookiePath = /^\/[!-:<-~]*$/

/** Where the portal reads what left the database, and how much memory making a file takes. */
export const archive = archiveSettings

/** What the portal's settings keep it from doing to the work queue, and what lets it. */
export const withheld = Effect.map(Setting.read({ mode: settings.backfillMode }), ({ mode }): Guard["withheld"] =>
  mode === "queue" ? {} : { enqueue: "it may with WEB_PORTAL_BACKFILL_MODE=queue" }
)

const wrong = (setting: string, problem: string, fix: string) => new SettingError({ setting, problem, fix })

const read = Effect.gen(function* () {
  const values = yield* Setting.read({
    ...settings,
    archiveDirectory: archive.directory,
    archiveMemory: archive.memoryMegabytes
  })
  if (Redacted.value(values.secretKey).length < 16)
    return yield* wrong("WEB_PORTAL_SECRET_KEY", "has fewer than 16 characters", settings.secretKey.doc)
  if (!cookieName.test(values.cookieName))
    return yield* wrong("WEB_PORTAL_COOKIE_NAME", "is no cookie name", "use letters, digits, - and _")
  if (values.cookieDomain !== undefined && !cookieDomain.test(values.cookieDomain))
    return yield* wrong("WEB_PORTAL_COOKIE_DOMAIN", "is no domain", "set it like WEB_PORTAL_COOKIE_DOMAIN=example.org")
  if (!cookiePath.test(values.cookiePath))
    return yield* wrong("WEB_PORTAL_COOKIE_PATH", "is no path", "set it like WEB_PORTAL_COOKIE_PATH=/")
  for (const [setting, template] of [
    ["WEB_PORTAL_KALSHI_EVENT_URL_TEMPLATE", values.eventUrl],
    ["WEB_PORTAL_KALSHI_MARKET_URL_TEMPLATE", values.marketUrl]
  ] as const)
    if (!/^https?:\/\/[^\s"'<>]+$/.test(template))
      return yield* wrong(setting, "is no http address", "set it like https://example.org/{event_ticker}")
  if (values.cookieSameSite === "None" && !values.cookieSecure)
    return yield* wrong(
      "WEB_PORTAL_COOKIE_SAMESITE",
      "None needs a secure cookie",
      "set WEB_PORTAL_COOKIE_SECURE=1 too"
    )
  return { ...values, limit: Math.min(values.limit, maxPageSize) }
})

/** The portal's settings, checked. */
export class PortalConfig extends Context.Service<PortalConfig, Effect.Success<typeof read>>()(
  "kalshi-ingestor/portal/PortalConfig"
) {
  static readonly layer = Layer.effect(PortalConfig, read)
}
