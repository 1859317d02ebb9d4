import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Setting from "./Setting.ts"
import { SettingError } from "./SettingError.ts"

/**
 * The exchange's clock in epoch milliseconds. It is our own clock, unless we record a simulated exchange whose time
 * runs at another pace.
 */
export class ExchangeTime extends Context.Service<
  ExchangeTime,
  {
    readonly now: Effect.Effect<number>
    readonly fromWall: (wallMillis: number) => number
    /** How long, on our clock, a span of exchange time takes. */
    readonly toWallSpan: (exchangeMillis: number) => number
    readonly simulated: boolean
  }
>()("kalshi-ingestor/runtime/ExchangeTime") {
  static readonly settings = {
    clock: Setting.text(
      "EXCHANGE_CLOCK",
      "only with a simulated exchange: `wallMillis:exchangeMillis:speed`, as the simulator prints it"
    )
  }

  static readonly layerLinear = (clock: {
    readonly wallMillis: number
    readonly exchangeMillis: number
    readonly speed: number
    readonly simulated: boolean
  }) => {
    const fromWall = (wallMillis: number) =>
      Math.floor(clock.exchangeMillis + (wallMillis - clock.wallMillis) * clock.speed)
    return Layer.succeed(
      ExchangeTime,
      ExchangeTime.of({
        now: Effect.map(Clock.currentTimeMillis, fromWall),
        fromWall,
        toWallSpan: (exchangeMillis) => exchangeMillis / clock.speed,
        simulated: clock.simulated
      })
    )
  }

  static readonly layerReal = this.layerLinear({ wallMillis: 0, exchangeMillis: 0, speed: 1, simulated: false })

  static readonly layer = Layer.unwrap(
    Effect.gen(function* () {
      const { clock } = yield* Setting.read(ExchangeTime.settings)
      if (clock === undefined) return ExchangeTime.layerReal
      const [wallMillis = Number.NaN, exchangeMillis = Number.NaN, speed = Number.NaN] = clock.split(":").map(Number)
      return Number.isFinite(wallMillis) && Number.isFinite(exchangeMillis) && speed > 0
        ? ExchangeTime.layerLinear({ wallMillis, exchangeMillis, speed, simulated: true })
        : yield* new SettingError({
            setting: "EXCHANGE_CLOCK",
            problem: "it is not wallMillis:exchangeMillis:speed",
            fix: "copy it from the simulator's first line, or unset it for the real exchange"
          })
    })
  )
}
