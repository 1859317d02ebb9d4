import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { SettingError } from "../runtime/SettingError.ts"
import { type Account, identity, PostgresBinaries } from "../store/PostgresBinaries.ts"
import * as Ports from "./Ports.ts"

const server = "/usr/lib/rabbitmq/bin/rabbitmq-server"

export const isInstalled = fs.existsSync(server) && fs.existsSync("/usr/bin/epmd")

export const missing = new SettingError({
  setting: "--rabbitmq",
  problem: "no RabbitMQ is installed here",
  fix: "install Debian's rabbitmq-server (its service need not run), or leave --rabbitmq out"
})

export interface RabbitBroker {
  readonly url: Redacted.Redacted<string>
  /** Ends the server at once, as a crash does; its queues stay on disk. */
  readonly stop: Effect.Effect<void>
  /** Starts it again, with the same address and queues. */
  readonly start: Effect.Effect<void>
}

/** RabbitMQ as a process of ours: on 127.0.0.1, on free ports, its files in `directory` (a temporary one), gone with the scope. */
export const make = Effect.gen(function* () {
  const { account } = yield* PostgresBinaries
  const home = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const made = fs.mkdtempSync(path.join(os.tmpdir(), "rabbitmq-"))
      if (account !== undefined) fs.chownSync(made, account.uid, account.gid)
      return made
    }),
    (made) => Effect.sync(() => fs.rmSync(made, { recursive: true, force: true }))
  )
  const [port, distPort, epmdPort] = [yield* Ports.free(), yield* Ports.free(), yield* Ports.free()]
  const node = path.basename(home).replace(/\W/g, "_")
  const env = {
    PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
    HOME: home,
    LANG: "C.UTF-8",
    ERL_EPMD_PORT: String(epmdPort),
    ERL_EPMD_ADDRESS: "127.0.0.1",
    RABBITMQ_NODENAME: `${node}@localhost`,
    RABBITMQ_NODE_IP_ADDRESS: "127.0.0.1",
    RABBITMQ_NODE_PORT: String(port),
    RABBITMQ_DIST_PORT: String(distPort),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2",
    RABBITMQ_MNESIA_BASE: path.join(home, "data"),
    RABBITMQ_LOG_BASE: path.join(home, "log"),
    RABBITMQ_CONF_ENV_FILE: path.join(home, "none"),
    RABBITMQ_CONFIG_FILE: path.join(home, "none"),
    RABBITMQ_ENABLED_PLUGINS_FILE: path.join(home, "plugins")
  }
  const running: { server: ChildProcess | undefined } = { server: undefined }
  const start = Effect.gen(function* () {
    running.server = spawnGroup(server, [], env, account)
    yield* accepts(port).pipe(
      Effect.retry(Schedule.spaced("100 millis")),
      Effect.orDie,
      Effect.timeoutOrElse({
        duration: "60 seconds",
        orElse: () =>
          Effect.die(new SettingError({ ...missing, problem: "RabbitMQ does not start", fix: `see ${home}/log` }))
      })
    )
  })
  const stop = Effect.suspend(() => {
    const child = running.server
    running.server = undefined
    return child === undefined ? Effect.void : ended(child)
  })
  yield* Effect.acquireRelease(
    Effect.sync(() => spawnGroup("/usr/bin/epmd", ["-port", String(epmdPort), "-address", "127.0.0.1"], env, account)),
    ended
  )
  yield* accepts(epmdPort).pipe(Effect.retry(Schedule.spaced("20 millis")), Effect.orDie)
  yield* Effect.addFinalizer(() => stop)
  yield* start
  const broker: RabbitBroker = { url: Redacted.make(`amqp://guest:guest@127.0.0.1:${port}/`), start, stop }
  return broker
}).pipe(Effect.provide(PostgresBinaries.layer))

class BrokerSilent extends Schema.TaggedError<BrokerSilent>()("BrokerSilent", { port: Schema.Int }) {}

/** A process group of its own: the server is a script that starts helpers. */
const spawnGroup = (
  file: string,
  args: ReadonlyArray<string>,
  env: Record<string, string>,
  account: Account | undefined
) => spawn(file, args, { ...identity(account), env, detached: true, stdio: "ignore", cwd: env["HOME"] })

const ended = (child: ChildProcess) =>
  Effect.callback<void>((resume) => {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return resume(Effect.void)
    child.once("close", () => resume(Effect.void))
    process.kill(-child.pid, "SIGKILL")
  })

const accepts = (port: number) =>
  Effect.callback<void, BrokerSilent>((resume) => {
    const socket = net.connect(port, "127.0.0.1")
    socket.once("connect", () => {
      socket.destroy()
      resume(Effect.void)
    })
    socket.once("error", () => resume(Effect.fail(new BrokerSilent({ port }))))
  })
