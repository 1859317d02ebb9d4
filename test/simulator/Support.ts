import { constants, sign } from "node:crypto"
import { type IncomingMessage, request } from "node:http"
import * as Effect from "effect/Effect"
import { WebSocket } from "ws"
import type { SigningKey } from "../../src/simulator/SigningKey.ts"

export const start = Date.parse("2026-08-24T15:50:00Z")

export interface Frame {
  readonly type: string
  readonly id?: number
  readonly sid?: number
  readonly seq?: number
  // biome-ignore lint/suspicious/noExplicitAny: frames are checked by what they hold
  readonly msg: any
}

export const signed = (key: SigningKey, method: string, path: string): Record<string, string> => {
  // @effect-diagnostics-next-line globalDate:off the exchange checks signatures against the machine's clock
  const timestamp = String(Date.now())
  const signature = sign("sha256", Buffer.from(timestamp + method + path), {
    key: key.privateKeyPem,
    padding: constants.RSA_PKCS1_PSS_PADDING,
    saltLength: 32
  }).toString("base64")
  return { "KALSHI-ACCESS-KEY": key.keyId, "KALSHI-ACCESS-TIMESTAMP": timestamp, "KALSHI-ACCESS-SIGNATURE": signature }
}

const parse = (text: string): Frame => {
  try {
    return JSON.parse(text)
  } catch {
    return { type: "unreadable", msg: undefined }
  }
}

export class Client {
  readonly frames: Array<Frame> = []
  readonly texts: Array<string> = []
  readonly pings: Array<string> = []
  closeCode: number | undefined
  readonly socket: WebSocket
  readonly #waiting: Array<() => void> = []

  constructor(url: string, key: SigningKey) {
    this.socket = new WebSocket(url, { headers: signed(key, "GET", new URL(url).pathname) })
    this.socket.on("message", (data) => {
      this.texts.push(data.toString())
      this.frames.push(parse(data.toString()))
      this.#wake()
    })
    this.socket.on("ping", (data) => {
      this.pings.push(data.toString())
      this.#wake()
    })
    this.socket.on("close", (code) => {
      this.closeCode = code
      this.#wake()
    })
    this.socket.on("error", () => {})
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake()
  }

  until<A>(read: () => A | undefined | false): Effect.Effect<A> {
    return Effect.promise(async () => {
      for (;;) {
        const value = read()
        if (value !== undefined && value !== false) return value
        await new Promise<void>((resolve) => this.#waiting.push(resolve))
      }
    })
  }

  send(command: unknown): void {
    this.socket.send(typeof command === "string" ? command : JSON.stringify(command))
  }

  ask(command: { readonly id: number }): Effect.Effect<Frame> {
    return Effect.suspend(() => {
      this.send(command)
      return this.until(() => this.frames.find((frame) => frame.id === command.id))
    })
  }
}

export const connect = (url: string, key: SigningKey) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const client = new Client(url, key)
      await new Promise<void>((resolve, reject) => {
        client.socket.once("open", resolve)
        client.socket.once("error", reject)
      })
      return client
    }),
    (client) => Effect.sync(() => client.socket.terminate())
  )

const readAll = async (response: IncomingMessage): Promise<string> => {
  let text = ""
  for await (const chunk of response) text += String(chunk)
  return text
}

// biome-ignore lint/suspicious/noExplicitAny: bodies are checked by what they hold
export const fetchJson = (url: string): Promise<any> =>
  new Promise((resolve, reject) => {
    request(url, (response) => readAll(response).then((text) => resolve(JSON.parse(text)), reject))
      .on("error", reject)
      .end()
  })
