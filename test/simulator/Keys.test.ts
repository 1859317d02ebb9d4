import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import { Simulator } from "../../src/simulator/Simulator.ts"
import { signed, start } from "./Support.ts"

const path = "/trade-api/v2/account/limits"

layer(Layer.mergeAll(Simulator.layer({ speed: 0, startMs: start, seed: 3 }), NodeHttpClient.layerNodeHttp))(
  "keys",
  (it) => {
    it.effect("further ones are accepted until they are revoked, and the others stay", () =>
      Effect.gen(function* () {
        const { control, controlUrl, keyId, port, privateKeyPem, publicKeyPem } = yield* Simulator
        const http = yield* HttpClient.HttpClient
        const first = { keyId, privateKeyPem, publicKeyPem }
        const statusOf = (key: typeof first) =>
          Effect.map(
            http.get(`http://127.0.0.1:${port}${path}`, { headers: signed(key, "GET", path) }),
            ({ status }) => status
          )
        const issued = (yield* (yield* http.post(`${controlUrl}/keys`)).json) as Record<string, string>
        const second = { keyId: issued["key_id"]!, privateKeyPem: issued["private_key_pem"]!, publicKeyPem: "" }
        const third = yield* control.issueKey
        for (const key of [first, second, third]) assert.strictEqual(yield* statusOf(key), 200)

        assert.strictEqual((yield* http.post(`${controlUrl}/keys/${keyId}/revoke`)).status, 200)
        assert.strictEqual((yield* http.post(`${controlUrl}/keys/${keyId}/revoke`)).status, 404)
        assert.strictEqual((yield* http.post(`${controlUrl}/keys/${second.keyId}/nonsense`)).status, 404)
        assert.strictEqual((yield* Effect.flip(control.revokeKey("nobody"))).reason, "UnknownKey")
        yield* control.revokeKey(third.keyId)
        assert.deepStrictEqual(
          [yield* statusOf(first), yield* statusOf(second), yield* statusOf(third)],
          [401, 200, 401]
        )
      })
    )
  }
)
