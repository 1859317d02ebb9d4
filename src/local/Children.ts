import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import type { PlatformError } from "effect/PlatformError"
import * as ChildProcess from "effect/process/ChildProcess"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

/** A program that would not start, with the last thing it said. */
export class ChildFailed extends Schema.TaggedError<ChildFailed>()("ChildFailed", {
  program: Schema.String,
  code: Schema.Int,
  said: Schema.String
}) {
  override get message(): string {
    return `${this.program} ended with code ${this.code}: ${this.said}`
  }
}

export interface ChildSpec {
  /** The program's name in `dist/`. */
  readonly program: string
  /** Names its log and its exit code; the program's name when absent. */
  readonly label?: string | undefined
  readonly args?: ReadonlyArray<string>
  /** All of its environment. */
  readonly env: Readonly<Record<string, string>>
}

const dist = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..")

const backoff = Schedule.min([Schedule.exponential("500 millis"), Schedule.spaced("15 seconds")]).pipe(
  Schedule.jittered
)

/**
 * The programs of `dist/` as child processes of this one, each with a log file of its own. They end with this service (SIGTERM, time to
 * drain, then SIGKILL) and also when this process is killed: their standard input ends then.
 */
export class Children extends Context.Service<
  Children,
  {
    /** Runs a program to its end. */
    run(spec: ChildSpec): Effect.Effect<void, ChildFailed | PlatformError>
    /** Starts a program and keeps it running: one that dies is started again. Gives its first line of output. */
    supervise(spec: ChildSpec): Effect.Effect<{ readonly firstLine: Effect.Effect<string> }>
    /** Stops the supervised programs and tells their exit codes. */
    readonly stop: Effect.Effect<ReadonlyMap<string, number>>
  }
>()("kalshi-ingestor/local/Children") {
  static readonly layer = (options: { readonly logDirectory: string }) =>
    Layer.effect(
      Children,
      Effect.gen(function* () {
        const spawner = yield* ChildProcessSpawner
        const scope = yield* Scope.make()
        const codes = new Map<string, number>()
        const supervisors = yield* FiberSet.make<unknown, unknown>().pipe(Scope.provide(scope))
        yield* Effect.addFinalizer((exit) => Scope.close(scope, exit))
        fs.mkdirSync(options.logDirectory, { recursive: true })

        const spawn = Effect.fnUntraced(function* (spec: ChildSpec, firstLine: Deferred.Deferred<string>) {
          const said = { last: "" }
          const handle = yield* Effect.acquireRelease(
            spawner.spawn(
              ChildProcess.make(process.execPath, [path.join(dist, `${spec.program}.js`), ...(spec.args ?? [])], {
                env: { ...spec.env, EXIT_WITH_STDIN: "1" },
                extendEnv: false,
                detached: true
              })
            ),
            (child) =>
              child.kill({ killSignal: "SIGTERM", forceKillAfter: "12 seconds" }).pipe(
                Effect.andThen(child.exitCode),
                Effect.tap((code) => Effect.sync(() => codes.set(spec.label ?? spec.program, code))),
                Effect.ignore
              )
          )
          const log = yield* Effect.acquireRelease(
            Effect.sync(() =>
              fs.createWriteStream(path.join(options.logDirectory, `${spec.label ?? spec.program}.log`), { flags: "a" })
            ),
            (stream) => Effect.sync(() => stream.end())
          )
          const keep = (
            output: Stream.Stream<Uint8Array, PlatformError>,
            onLine: (line: string) => Effect.Effect<unknown>
          ) =>
            output.pipe(
              Stream.decodeText(),
              Stream.splitLines,
              Stream.runForEach((line) => {
                log.write(`${line}\n`)
                return onLine(line)
              }),
              Effect.ignore,
              Effect.forkScoped
            )
          yield* keep(handle.stdout, (line) => Deferred.succeed(firstLine, line))
          yield* keep(handle.stderr, (line) =>
            Effect.sync(() => {
              said.last = line
            })
          )
          return { handle, said }
        })

        const run = Effect.fn("Children.run")(function* (spec: ChildSpec) {
          const { handle, said } = yield* spawn(spec, yield* Deferred.make<string>())
          const code = yield* handle.exitCode
          if (code !== 0) return yield* new ChildFailed({ program: spec.program, code, said: said.last })
        }, Effect.scoped)

        const supervise = Effect.fn("Children.supervise")(function* (spec: ChildSpec) {
          const firstLine = yield* Deferred.make<string>()
          const session = Effect.gen(function* () {
            const { handle, said } = yield* spawn(spec, firstLine)
            const code = yield* handle.exitCode
            yield* Effect.logError(`${spec.program} ended, starting it again`, { code, said: said.last })
            return yield* new ChildFailed({ program: spec.program, code, said: said.last })
          }).pipe(Effect.scoped)
          yield* session.pipe(Effect.retry(backoff), FiberSet.run(supervisors))
          return { firstLine: Deferred.await(firstLine) }
        })

        const stop = Effect.andThen(
          FiberSet.clear(supervisors),
          Effect.sync(() => codes)
        )
        return Children.of({ run, supervise, stop })
      })
    )
}
