import * as Layer from "effect/Layer"
import { Credentials } from "./Credentials.ts"
import { Drift } from "./Drift.ts"
import { KalshiConfig } from "./KalshiConfig.ts"
import { KalshiRest } from "./KalshiRest.ts"
import { KeyRotation } from "./KeyRotation.ts"
import { RateLimit } from "./RateLimit.ts"
import { Signer } from "./Signer.ts"

const access = (credentials: typeof Credentials.layer | typeof Credentials.layerRequired) =>
  Layer.merge(Signer.layer, KeyRotation.layer).pipe(
    Layer.provideMerge(credentials),
    Layer.provideMerge(KalshiConfig.layer),
    Layer.provideMerge(Drift.layer)
  )

/** REST, signed when credentials are set, within the account's shared budget; with the settings, the drift counters and the change of the key. */
export const layerRest = KalshiRest.layer.pipe(
  Layer.provide(RateLimit.layer),
  Layer.provideMerge(access(Credentials.layer))
)

/** What a WebSocket session needs: it must be signed. */
export const layerSocketAccess = access(Credentials.layerRequired)
