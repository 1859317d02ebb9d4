import * as Effect from "effect/Effect"
import type { Engine } from "./Engine.ts"
import * as Interventions from "./Interventions.ts"
import { json, notFound, type Reply } from "./Reply.ts"
import { makeSigningKey } from "./SigningKey.ts"

export const controlPrefix = "/sim"

const fieldsOf = (body: string): Record<string, unknown> => {
  try {
    const value: unknown = JSON.parse(body === "" ? "{}" : body)
    return typeof value === "object" && value !== null ? { ...value } : {}
  } catch {
    return {}
  }
}

/** Epoch milliseconds from RFC 3339 text or epoch seconds. */
const instant = (value: unknown): number =>
  typeof value === "string" ? Date.parse(value) : typeof value === "number" ? value * 1000 : Number.NaN

const bad = (error: string): Reply => json({ error }, 400)
const done = json({ ok: true })

const outcome = (problem: string | undefined): Reply => (problem === undefined ? done : bad(problem))

const market = (engine: Engine, ticker: string, verb: string, fields: Record<string, unknown>): Reply => {
  const found = engine.world.market(ticker)
  if (found === undefined) return notFound
  const status = engine.world.status(found)
  if (verb === "deactivate") {
    if (status !== "active") return bad(`market is ${status}`)
    engine.feed.deactivate(found)
    return done
  }
  if (verb === "activate") {
    if (status !== "inactive") return bad(`market is ${status}`)
    engine.feed.activate(found)
    return done
  }
  if (verb === "dispute") return outcome(Interventions.dispute(engine, found))
  if (verb === "amend") return outcome(Interventions.amend(engine, found))
  if (verb === "price-levels") return outcome(Interventions.changePriceLevels(engine, found))
  if (verb === "metadata") {
    const { yes_sub_title } = fields
    if (typeof yes_sub_title !== "string") return bad("yes_sub_title required")
    engine.feed.rename(found, yes_sub_title)
    return done
  }
  if (verb !== "close-date") return notFound
  const closeMs = instant(fields["close_ts"] ?? fields["close_time"])
  if (Number.isNaN(closeMs)) return bad("close_ts (epoch seconds) or close_time (RFC 3339) required")
  return outcome(Interventions.moveClose(engine, found, closeMs))
}

const event = (engine: Engine, ticker: string, verb: string, fields: Record<string, unknown>): Reply => {
  const found = engine.world.catalog.event(ticker)
  if (found === undefined || verb !== "fees") return notFound
  const { fee_multiplier_override: multiplier, fee_type_override: type } = fields
  engine.feed.changeFees(found, {
    type: typeof type === "string" ? type : undefined,
    multiplier: typeof multiplier === "number" ? multiplier : undefined
  })
  return done
}

const burst = (engine: Engine, fields: Record<string, unknown>): Reply => {
  const { leadSeconds = 5, markets = 250, withinSeconds = 60 } = fields
  if (typeof markets !== "number" || !Number.isInteger(markets) || markets < 1)
    return bad("markets is a positive integer")
  if (typeof withinSeconds !== "number" || withinSeconds < 0) return bad("withinSeconds is not negative")
  if (typeof leadSeconds !== "number" || leadSeconds < 0) return bad("leadSeconds is not negative")
  engine.burst(markets, withinSeconds, leadSeconds)
  return done
}

const text = (body: string): Reply => ({
  status: 200,
  headers: { "content-type": "text/plain; charset=utf-8" },
  body
})

/** A new key, with its private half; or the end of one: connections that are open stay. */
const keys = async (engine: Engine, keyId: string, verb: string): Promise<Reply> => {
  if (keyId === "") {
    const key = await Effect.runPromise(makeSigningKey)
    engine.verifier.accept(key)
    return json({ key_id: key.keyId, private_key_pem: key.privateKeyPem })
  }
  return verb === "revoke" && engine.verifier.revoke(keyId) ? done : notFound
}

const read = (engine: Engine, verb: string, query: URLSearchParams): Reply => {
  const channel = query.get("channel") ?? "ticker"
  const timed = query.get("timed") === "1"
  switch (verb) {
    case "stats":
      return json(engine.stats())
    case "sent":
      return text(engine.sent(channel, timed))
    case "dropped":
      return text(engine.dropped(channel, timed))
    case "poisoned":
      return text(engine.poisoned())
    case "faults":
      return json(engine.faults.faults)
    case "burst":
      return json(engine.burstStamps)
    default:
      return notFound
  }
}

const faults = (engine: Engine, body: string): Reply => {
  let change: unknown
  try {
    change = JSON.parse(body)
  } catch {
    return bad("faults are a JSON object, or null for none")
  }
  const now = engine.setFaults(change)
  return typeof now === "string" ? bad(now) : json(now)
}

/** The routes under /sim, for whoever runs the experiment. */
export const handleControl = async (engine: Engine, method: string, target: string, body: string): Promise<Reply> => {
  const url = new URL(target, "http://exchange")
  const [verb = "", ticker = "", action = ""] = url.pathname
    .slice(controlPrefix.length + 1)
    .split("/")
    .map(decodeURIComponent)
  if (method === "GET") return read(engine, verb, url.searchParams)
  if (method !== "POST") return notFound
  const fields = fieldsOf(body)
  switch (verb) {
    case "pause":
      await engine.pause()
      return done
    case "resume":
      engine.resume()
      return done
    case "advance": {
      const seconds = Number(fields["seconds"])
      if (!(seconds >= 0)) return bad("seconds required")
      engine.advance(seconds * 1000)
      return done
    }
    case "drop-connections": {
      const code = fields["code"]
      return json({ dropped: engine.dropConnections(typeof code === "number" ? code : 1006) })
    }
    case "half-open":
      return json({ left: engine.halfOpen() })
    case "faults":
      return faults(engine, body)
    case "burst":
      return burst(engine, fields)
    case "events":
      return event(engine, ticker, action, fields)
    case "cutoff": {
      const settledMs = instant(fields["market_settled_ts"])
      const tradesMs = instant(fields["trades_created_ts"] ?? fields["market_settled_ts"])
      if (Number.isNaN(settledMs) || Number.isNaN(tradesMs)) return bad("market_settled_ts required")
      engine.world.marketCutoffMs = settledMs
      engine.world.tradeCutoffMs = tradesMs
      return done
    }
    case "error": {
      const { channel, code } = fields
      if (typeof code !== "number") return bad("code required")
      for (const { session } of engine.connections)
        session.fail(code, typeof channel === "string" ? channel : undefined)
      return done
    }
    case "keys":
      return keys(engine, ticker, action)
    case "markets":
      return market(engine, ticker, action, fields)
    default:
      return notFound
  }
}
