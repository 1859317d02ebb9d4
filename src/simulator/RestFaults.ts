import { setTimeout } from "node:timers/promises"
import type { Chances } from "./Chances.ts"
import type { Faults, RestRule } from "./Faults.ts"
import { restPrefix } from "./Front.ts"
import { json, notFound, type Reply, tooManyRequests } from "./Reply.ts"
import type { World } from "./World.ts"

const matches = (pattern: string, path: string): boolean => {
  const parts = pattern.split("*")
  if (parts.length === 1) return pattern === path
  const head = parts[0] ?? ""
  const tail = parts.at(-1) ?? ""
  if (!path.startsWith(head) || !path.endsWith(tail) || path.length < head.length + tail.length) return false
  let at = head.length
  for (const part of parts.slice(1, -1)) {
    const found = path.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return at <= path.length - tail.length
}

const withCursor = (body: string, cursor: string): string => {
  const value: unknown = JSON.parse(body)
  return typeof value === "object" && value !== null ? JSON.stringify({ ...value, cursor }) : body
}

/** What a rule makes of a good reply. */
const spoiled = (rule: RestRule, reply: Reply, cursor: string): Reply => {
  switch (rule.kind) {
    case "malformed":
      return { ...reply, body: `${reply.body.slice(0, Math.ceil(reply.body.length / 2))}</html>` }
    case "truncated":
      return { ...reply, truncated: true }
    case "repeated-cursor":
      return { ...reply, body: withCursor(reply.body, cursor) }
    default:
      return reply
  }
}

/** Whether the thing asked for by name was made too recently to be found. */
const hidden = (world: World, path: string, forMs: number): boolean => {
  const [, root, name, more] = path.split("/")
  if (forMs <= 0 || name === undefined || more !== undefined) return false
  const ticker = decodeURIComponent(name)
  const created =
    root === "markets"
      ? world.market(ticker)?.createdMs
      : root === "events"
        ? world.catalog.event(ticker)?.createdMs
        : undefined
  return created !== undefined && world.now - created < forMs
}

/** A request through the faults of the REST side. */
export const throughFaults = async (
  faults: Faults,
  stormy: boolean,
  chances: Chances,
  world: World,
  target: string,
  answer: () => Promise<Reply>
): Promise<Reply> => {
  const url = new URL(target, "http://exchange")
  if (!url.pathname.startsWith(`${restPrefix}/`)) return answer()
  if (stormy) return tooManyRequests
  const path = url.pathname.slice(restPrefix.length)
  if (hidden(world, path, faults.hiddenAfterCreatedMs)) return notFound
  const cursor = url.searchParams.get("cursor") ?? ""
  let struck: RestRule | undefined
  for (const [at, rule] of faults.rest.entries()) {
    if (struck !== undefined && rule.kind !== "delay") continue
    if ((rule.following || rule.kind === "repeated-cursor") && cursor === "") continue
    if (!matches(rule.path, path) || !chances.strikes(rule, `rest.${at}`)) continue
    if (rule.kind === "delay") await setTimeout(rule.delayMs)
    else struck = rule
  }
  if (struck === undefined) return answer()
  if (struck.kind === "too-many") return tooManyRequests
  if (struck.kind === "status")
    return json({ error: { code: "service_error", message: "service error" } }, struck.status)
  const reply = await answer()
  return reply.status === 200 ? spoiled(struck, reply, cursor) : reply
}
