import type { Engine } from "./Engine.ts"
import { json, notFound, type Reply } from "./Reply.ts"

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
  if (verb !== "close-date") return notFound
  const closeMs = instant(fields["close_ts"] ?? fields["close_time"])
  if (Number.isNaN(closeMs)) return bad("close_ts (epoch seconds) or close_time (RFC 3339) required")
  if (status !== "active" && status !== "inactive" && status !== "initialized") return bad(`market is ${status}`)
  engine.feed.moveClose(found, closeMs)
  return done
}

/** The routes under /sim, for whoever runs the experiment. */
export const handleControl = async (engine: Engine, method: string, target: string, body: string): Promise<Reply> => {
  const url = new URL(target, "http://exchange")
  const [verb = "", ticker = "", action = ""] = url.pathname
    .slice(controlPrefix.length + 1)
    .split("/")
    .map(decodeURIComponent)
  if (method === "GET" && verb === "stats") return json(engine.stats())
  if (method === "GET" && verb === "sent")
    return {
      status: 200,
      headers: { "content-type": "text/plain; charset=utf-8" },
      body: engine.sent(url.searchParams.get("channel") ?? "ticker")
    }
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
    case "markets":
      return market(engine, ticker, action, fields)
    default:
      return notFound
  }
}
