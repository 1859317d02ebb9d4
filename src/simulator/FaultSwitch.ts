import * as Result from "effect/Result"
import { toEastern } from "./Calendar.ts"
import { Chances, SpellClock } from "./Chances.ts"
import { type DisconnectKind, type Faults, noFaults, type PartialFaults, withFaults } from "./Faults.ts"
import { FrameFaults, touchesFrames } from "./FrameFaults.ts"
import type { Tamper } from "./Hub.ts"
import type { Entry } from "./Outbox.ts"

/** What the switch acts upon. */
export interface FaultEffects {
  readonly setTamper: (tamper: Tamper | undefined) => void
  readonly setSkew: (millis: number) => void
  readonly dropped: (entry: Entry) => void
  readonly disconnect: (kind: DisconnectKind) => void
}

interface Expiry {
  readonly wallMs: number
  readonly names: ReadonlyArray<string>
}

const isFields = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const thursdayPause = (exchangeMs: number): boolean => {
  const { hour, weekday } = toEastern(exchangeMs)
  return weekday === 4 && hour >= 3 && hour < 5
}

/** The faults that are on, and what follows from them at this moment. */
export class FaultSwitch {
  readonly chances: Chances
  maintenance = false
  /** Every REST request is refused. */
  storm = false
  /** Upgrades are refused with this. */
  upgradeStatus: 401 | 503 | undefined
  readonly #effects: FaultEffects
  readonly #clocks: Readonly<Record<"silent" | "upgrades" | "storm" | "maintenance" | "clock", SpellClock>>
  #faults: Faults
  #expiries: Array<Expiry> = []
  #silent = false
  /** False when no beat can change anything. */
  #timed = true
  #disconnectMs = Number.POSITIVE_INFINITY

  constructor(seed: number, faults: PartialFaults, wallMs: number, effects: FaultEffects) {
    this.chances = new Chances(seed)
    const clock = (name: string) => new SpellClock(this.chances.of(`spell.${name}`))
    this.#effects = effects
    this.#clocks = {
      silent: clock("silent"),
      upgrades: clock("upgrades"),
      storm: clock("storm"),
      maintenance: clock("maintenance"),
      clock: clock("clock")
    }
    this.#faults = Result.getOrElse(withFaults({}, faults), () => noFaults)
    this.#settle(wallMs)
  }

  get faults(): Faults {
    return this.#faults
  }

  /** Lays a part over what is on, with `forSeconds` for so long only; tells what is wrong with it. */
  change(change: unknown, wallMs: number): string | undefined {
    const { forSeconds, ...part } = isFields(change) ? change : {}
    if (forSeconds !== undefined && !(typeof forSeconds === "number" && forSeconds > 0))
      return "forSeconds is a positive number"
    const result = withFaults(this.#faults, isFields(change) ? part : change)
    if (Result.isFailure(result)) return result.failure
    this.#faults = result.success
    if (change === null) this.#expiries = []
    if (typeof forSeconds === "number")
      this.#expiries.push({ wallMs: wallMs + forSeconds * 1000, names: Object.keys(part) })
    if (change === null || "disconnect" in part) this.#disconnectMs = Number.POSITIVE_INFINITY
    this.#settle(wallMs)
    return undefined
  }

  /** What time does to the faults. */
  beat(wallMs: number, exchangeMs: number): void {
    if (!this.#timed) return
    this.#expire(wallMs)
    const { clock, disconnect, maintenance, silent, storm, upgrades } = this.#faults
    this.storm = this.#clocks.storm.active(storm, wallMs)
    this.#effects.setSkew(this.#clocks.clock.active(clock, wallMs) ? clock.jumpMs : 0)
    const quiet = this.#clocks.silent.active(silent, wallMs)
    if (quiet !== this.#silent) {
      this.#silent = quiet
      this.#setTamper()
    }
    const closed =
      this.#clocks.maintenance.active(maintenance, wallMs) || (maintenance.thursday && thursdayPause(exchangeMs))
    const refused = this.#clocks.upgrades.active(upgrades, wallMs)
    this.upgradeStatus = closed ? 503 : refused ? upgrades.status : undefined
    if (closed && !this.maintenance) this.#effects.disconnect("1001")
    this.maintenance = closed
    if (wallMs >= this.#disconnectMs) {
      const { kinds } = disconnect
      this.#effects.disconnect(kinds[this.chances.of("disconnect.kind").int(kinds.length)] ?? "cut")
      this.#planDisconnect(wallMs)
    }
    this.#timed = this.#changesWithTime()
  }

  #expire(wallMs: number): void {
    const over = this.#expiries.filter((expiry) => expiry.wallMs <= wallMs)
    if (over.length === 0) return
    this.#expiries = this.#expiries.filter((expiry) => expiry.wallMs > wallMs)
    const names = over.flatMap((expiry) => expiry.names)
    const back = withFaults(this.#faults, Object.fromEntries(names.map((name) => [name, null])))
    this.#faults = Result.getOrElse(back, () => noFaults)
    if (names.includes("disconnect")) this.#disconnectMs = Number.POSITIVE_INFINITY
    this.#settle(wallMs)
  }

  #settle(wallMs: number): void {
    if (this.#faults.disconnect.everySeconds === 0) this.#disconnectMs = Number.POSITIVE_INFINITY
    else if (this.#disconnectMs === Number.POSITIVE_INFINITY) this.#planDisconnect(wallMs)
    this.#timed = true
    this.#setTamper()
  }

  #setTamper(): void {
    const faults = this.#faults
    this.#effects.setTamper(
      touchesFrames(faults, this.#silent)
        ? new FrameFaults(faults, this.#silent, this.chances, this.#effects.dropped)
        : undefined
    )
  }

  #planDisconnect(wallMs: number): void {
    const { everySeconds, jitter } = this.#faults.disconnect
    this.#disconnectMs = wallMs + everySeconds * 1000 * (1 + jitter * (this.chances.of("disconnect").next() * 2 - 1))
  }

  #changesWithTime(): boolean {
    const { clock, maintenance, silent, storm, upgrades } = this.#faults
    return (
      this.#expiries.length > 0 ||
      this.#disconnectMs < Number.POSITIVE_INFINITY ||
      maintenance.thursday ||
      [clock, maintenance, silent, storm, upgrades].some((spell) => spell.everySeconds > 0)
    )
  }
}
