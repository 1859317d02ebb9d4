import { constants, createHash, sign } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import { WebSocket } from "ws"

/** One client of a replay: `node replay-client.mjs URL KEYS`. Sums what it hears and tells its parent at the end. */
const [url = "", keys = ""] = process.argv.slice(2)
const timestamp = String(Date.now())
const signature = sign("sha256", Buffer.from(`${timestamp}GET${new URL(url).pathname}`), {
  key: fs.readFileSync(path.join(keys, "kalshi-key.pem"), "utf8"),
  padding: constants.RSA_PKCS1_PSS_PADDING,
  saltLength: 32
}).toString("base64")
const socket = new WebSocket(url, {
  perMessageDeflate: false,
  skipUTF8Validation: true,
  headers: {
    "KALSHI-ACCESS-KEY": fs.readFileSync(path.join(keys, "kalshi-key-id"), "utf8").trim(),
    "KALSHI-ACCESS-TIMESTAMP": timestamp,
    "KALSHI-ACCESS-SIGNATURE": signature
  }
})

const sum = createHash("sha256")
const message = /^\{"type":"(ticker|trade)","sid":\d+,(?:"seq":(\d+),)?"msg":/
let messages = 0
let sequenceErrors = 0
let lastSeq = 0
let firstAt = 0
let lines = []

const add = () => {
  sum.update(lines.join(""))
  lines = []
}

socket.on("open", () =>
  socket.send(JSON.stringify({ id: 1, cmd: "subscribe", params: { channels: ["ticker", "trade"] } }))
)
socket.on("message", (data) => {
  const text = data.toString("latin1")
  const found = message.exec(text)
  if (found === null) {
    if (!text.startsWith('{"type":"replay_end"')) return
    const seconds = (performance.now() - firstAt) / 1000
    add()
    const { system, user } = process.cpuUsage()
    process.send({ cpuSeconds: (system + user) / 1e6, checksum: sum.digest("hex"), messages, sequenceErrors, seconds })
    socket.close()
    process.disconnect()
    return
  }
  if (messages === 0) firstAt = performance.now()
  messages += 1
  if (found[2] !== undefined) {
    const seq = Number(found[2])
    if (seq !== lastSeq + 1) sequenceErrors += 1
    lastSeq = seq
  }
  lines.push(`${found[1]}${text.slice(found[0].length, -1)}\n`)
  if (lines.length === 512) add()
})
socket.on("error", (error) => {
  console.error(error.message)
  process.exit(1)
})
