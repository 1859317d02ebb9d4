import { randomBytes } from "node:crypto"
import { readFileSync, readlinkSync } from "node:fs"
import * as fs from "node:fs/promises"
import { connect, createServer, type Server } from "node:net"
import * as path from "node:path"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { SettingError } from "../runtime/SettingError.ts"
import { thisHost } from "./OwnerLock.ts"

/** A run of a batch job: the same id runs again after a requeue, with a higher restart count. */
export class BatchJob extends Schema.Class<BatchJob>("BatchJob")({
  cluster: Schema.String,
  id: Schema.String,
  restart: Schema.Int
}) {}

export class LeaseHolder extends Schema.Class<LeaseHolder>("LeaseHolder")({
  /** Unlike any other holder's. */
  id: Schema.String,
  host: Schema.String,
  /** Which start of that machine's kernel, and which of its networks: there the holder listens on a socket that ends with it. */
  kernel: Schema.String,
  network: Schema.String,
  pid: Schema.Int,
  job: Schema.optionalKey(BatchJob),
  /** Instants as ISO 8601, the holder's clock. */
  started: Schema.String,
  heartbeat: Schema.String,
  /** Counts the heartbeats: nobody compares clocks. */
  beat: Schema.Int,
  released: Schema.Boolean
}) {}

/** Somebody else has the folder, or may have it, or it could not be renewed in time. */
export class LeaseLost extends Schema.TaggedError<LeaseLost>()("LeaseLost", { problem: Schema.String }) {
  override get message(): string {
    return this.problem
  }
}

export interface LeaseTiming {
  readonly beatMillis: number
  /** Not renewed for this long: the holder gives up what it holds. */
  readonly fenceMillis: number
  /** Silent for this long, and known to have ended: another one may take it. Longer than the fence. */
  readonly takeMillis: number
}

export interface LeaseOptions {
  readonly directory: string
  readonly timing: LeaseTiming
  readonly job?: BatchJob | undefined
  /** Ids of the batch jobs of this user that have not ended, as the batch system says; undefined when it does not say. */
  readonly liveJobs?: ReadonlySet<string> | undefined
  /** The id of a holder that a person knows to be gone for good. */
  readonly gone?: string | undefined
}

const HolderText = Schema.fromJsonString(LeaseHolder)
const decodeHolder = Schema.decodeUnknownOption(HolderText)
const encodeHolder = Schema.encodeSync(HolderText)

const fileName = (generation: number) => `lease.${generation}`

const readLink = (file: string) =>
  Result.getOrElse(
    Result.try(() => readlinkSync(file)),
    () => ""
  )
const kernel = () =>
  Result.getOrElse(
    Result.try(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()),
    () => ""
  )

const socketName = (id: string) => `\0kalshi-ingestor-lease-${id}`

/** Ends with this process, however it ends: whoever can connect knows that the holder lives. */
const listen = (id: string) =>
  Effect.acquireRelease(
    Effect.callback<Server | undefined>((resume) => {
      const server = createServer((socket) => socket.end())
      server.once("error", () => resume(Effect.undefined))
      server.listen({ path: socketName(id) }, () => resume(Effect.succeed(server)))
      server.unref()
    }),
    (server) => Effect.sync(() => server?.close())
  )

const answers = (id: string): Effect.Effect<boolean> =>
  Effect.callback<boolean>((resume) => {
    const socket = connect({ path: socketName(id) })
    socket.once("connect", () => {
      socket.destroy()
      resume(Effect.succeed(true))
    })
    socket.once("error", (error: NodeJS.ErrnoException) => resume(Effect.succeed(error.code !== "ECONNREFUSED")))
  })

const monotonicMillis = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos / 1_000_000n))

class FileFailed extends Schema.TaggedError<FileFailed>()("FileFailed", {
  code: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return this.reason
  }
}

const attempt = <A>(work: () => Promise<A>): Effect.Effect<A, FileFailed> =>
  Effect.tryPromise({
    try: work,
    catch: (error) => {
      const { code = "", message } = error as NodeJS.ErrnoException
      return new FileFailed({ code, reason: message })
    }
  })

/** The newest lease of a folder, and who has or had it; nothing where there was never one. */
export const current = Effect.fnUntraced(function* (directory: string) {
  const names = yield* attempt(() => fs.readdir(directory)).pipe(Effect.orElseSucceed((): ReadonlyArray<string> => []))
  const generation = Math.max(0, ...names.flatMap((name) => /^lease\.(\d+)$/.exec(name)?.[1] ?? []).map(Number))
  if (generation === 0) return undefined
  const text = yield* attempt(() => fs.readFile(path.join(directory, fileName(generation)), "utf8")).pipe(
    Effect.orElseSucceed(() => "")
  )
  return { generation, holder: Option.getOrUndefined(decodeHolder(text)) }
})

/** Written whole or not at all, and on disk. */
const write = async (file: string, text: string, publish: (draft: string) => Promise<void>) => {
  const draft = `${file}.${thisHost}.${process.pid}.${randomBytes(4).toString("hex")}`
  try {
    const handle = await fs.open(draft, "wx", 0o600)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await publish(draft)
  } finally {
    await fs.rm(draft, { force: true })
  }
}

/** True when this call made the file. On NFS the answer of `link` can be lost: the count of links tells. */
const create = async (file: string, text: string): Promise<boolean> => {
  let isMade = false
  await write(file, text, async (draft) => {
    try {
      await fs.link(draft, file)
      isMade = true
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error
      isMade = (await fs.stat(draft)).nlink === 2
    }
  })
  return isMade
}

/** The holder in words, for a line of text. */
export const describe = (holder: LeaseHolder) =>
  `${holder.job === undefined ? "" : `job ${holder.job.id}, `}process ${holder.pid} on host ${holder.host}, since ${holder.started}, last heartbeat ${holder.heartbeat}`

const wrong = (problem: string, fix: string) => new SettingError({ setting: "PGDATA_HOST", problem, fix })

/** How one run of a batch job stands to the job of a holder. */
const jobIsOver = ({ job, liveJobs }: LeaseOptions, holder: LeaseHolder): boolean => {
  if (holder.job === undefined) return false
  const isSameJob = job !== undefined && job.cluster === holder.job.cluster && job.id === holder.job.id
  if (isSameJob) return job.restart > holder.job.restart
  return liveJobs !== undefined && job?.cluster === holder.job.cluster && !liveJobs.has(holder.job.id)
}

/** Succeeds when the lease found may be taken: its holder released it, or has provably ended. */
const judge = Effect.fnUntraced(function* (
  options: LeaseOptions,
  directory: string,
  found: { readonly generation: number; readonly holder: LeaseHolder | undefined }
) {
  const { generation, holder } = found
  if (holder === undefined)
    return yield* wrong(
      `${path.join(directory, fileName(generation))}, which says who uses that folder, cannot be read`,
      "remove that file if you are sure that no job uses the folder"
    )
  if (holder.released || holder.id === options.gone) return
  const inUse = wrong(`${directory} is in use by ${describe(holder)}`, "stop that one, or name another folder")
  const isSameKernel = holder.kernel !== "" && holder.kernel === kernel()
  if (isSameKernel && holder.network === readLink("/proc/self/ns/net"))
    return yield* (yield* answers(holder.id)) ? Effect.fail(inUse) : Effect.void
  const isRebooted = holder.host === thisHost && holder.kernel !== "" && kernel() !== "" && !isSameKernel
  if (!isRebooted && !jobIsOver(options, holder)) {
    if (holder.job !== undefined && options.liveJobs?.has(holder.job.id) === true) return yield* inUse
    return yield* wrong(
      `${directory} is in use by ${describe(holder)}, and nothing proves from here that it has ended`,
      `stop that one; if its machine is gone for good, set LEASE_GONE=${holder.id} for one start`
    )
  }
  yield* Effect.logWarning("the last user of the database's folder did not release it; waiting until it is silent", {
    holder: describe(holder),
    seconds: options.timing.takeMillis / 1000
  })
  const began = yield* monotonicMillis
  while ((yield* monotonicMillis) - began < options.timing.takeMillis) {
    yield* Effect.sleep(Math.min(options.timing.beatMillis, options.timing.takeMillis))
    const now = yield* current(directory)
    if (now?.generation !== generation || now.holder === undefined) return yield* inUse
    if (now.holder.released) return
    if (now.holder.beat !== holder.beat) return yield* inUse
  }
})

/**
 * One holder at a time of a folder that several machines can write, without trust in clocks, `flock` or signals: the file `lease.N` of the
 * highest N says who. Number N + 1 is made with `link`, which only one can do, and only when holder N released its lease or has provably
 * ended. A holder that cannot renew its lease in time, or finds a higher number, has lost it and stops what it runs on the folder.
 */
export class DataLease extends Context.Service<
  DataLease,
  {
    readonly holder: LeaseHolder
    readonly generation: number
    /** The holder before us, when it ended without releasing the lease. */
    readonly over: LeaseHolder | undefined
    /** Leaves the lease unreleased at the end: what it protects is still in use. */
    readonly keep: Effect.Effect<void>
    /** Fails once the lease is no longer ours; never succeeds. */
    readonly lost: Effect.Effect<never, LeaseLost>
  }
>()("kalshi-ingestor/store/DataLease") {
  static readonly layer = (options: LeaseOptions) => Layer.effect(DataLease, hold(options))
}

const hold = Effect.fnUntraced(function* (options: LeaseOptions) {
  const directory = yield* attempt(async () => {
    await fs.mkdir(options.directory, { recursive: true, mode: 0o700 })
    return fs.realpath(options.directory)
  }).pipe(
    Effect.mapError(({ message }) =>
      wrong(`${options.directory} cannot be made or read (${message})`, "name a folder that you can write")
    )
  )
  const now = Effect.map(DateTime.now, DateTime.formatIso)
  const started = yield* now
  const holder = new LeaseHolder({
    id: randomBytes(8).toString("hex"),
    host: thisHost,
    kernel: kernel(),
    network: readLink("/proc/self/ns/net"),
    pid: process.pid,
    ...(options.job === undefined ? {} : { job: options.job }),
    started,
    heartbeat: started,
    beat: 0,
    released: false
  })
  yield* listen(holder.id)
  const found = yield* current(directory)
  if (found !== undefined) yield* judge(options, directory, found)
  const generation = (found?.generation ?? 0) + 1
  const file = path.join(directory, fileName(generation))
  const isMade = yield* attempt(() => create(file, encodeHolder(holder))).pipe(
    Effect.mapError(({ message }) =>
      wrong(`no lease can be written in ${directory} (${message})`, "name a folder that you can write")
    )
  )
  const newest = yield* current(directory)
  if (!isMade || newest?.generation !== generation || newest.holder?.id !== holder.id) {
    if (isMade) yield* attempt(() => fs.rm(file, { force: true })).pipe(Effect.ignore)
    return yield* wrong(
      `${directory} was taken at this moment${newest?.holder === undefined ? "" : ` by ${describe(newest.holder)}`}`,
      "stop that one, or name another folder"
    )
  }
  const lost = yield* Deferred.make<never, LeaseLost>()
  const lose = (problem: string) => Deferred.fail(lost, new LeaseLost({ problem: `${directory}: ${problem}` }))
  /** A higher number is somebody else's: it is looked for by its name, which a shared file system answers more surely than a listing. */
  const isTaken = attempt(() => fs.stat(path.join(directory, fileName(generation + 1)))).pipe(
    Effect.as(true),
    Effect.catch((error) => (error.code === "ENOENT" ? Effect.succeed(false) : Effect.fail(error)))
  )
  const beating = { beat: 0, renewedMillis: yield* monotonicMillis, written: Promise.resolve(), isKept: false }
  const put = (released: boolean) =>
    Effect.flatMap(now, (heartbeat) =>
      attempt(() => {
        const text = encodeHolder(new LeaseHolder({ ...holder, heartbeat, beat: ++beating.beat, released }))
        const written = beating.written.then(() => write(file, text, (draft) => fs.rename(draft, file)))
        beating.written = written.catch(() => undefined)
        return written
      })
    )
  yield* Effect.addFinalizer(() =>
    Effect.gen(function* () {
      if (!beating.isKept && !(yield* Deferred.isDone(lost)) && !(yield* isTaken)) yield* put(true)
    }).pipe(
      Effect.timeout("5 seconds"),
      Effect.catch((error) => Effect.logWarning("the lease could not be released", { reason: error.message }))
    )
  )
  const renew = Effect.gen(function* () {
    const begun = yield* monotonicMillis
    if (yield* isTaken) return yield* lose("another job has taken the lease")
    yield* put(false)
    beating.renewedMillis = begun
  }).pipe(
    Effect.catch((error) =>
      Effect.logWarning("the lease of the database's folder cannot be renewed", { reason: error.message })
    )
  )
  // Renewing can hang with the file system: the watch must not wait for it.
  yield* renew.pipe(Effect.andThen(Effect.sleep(options.timing.beatMillis)), Effect.forever, Effect.forkScoped)
  yield* Effect.gen(function* () {
    const silentMillis = (yield* monotonicMillis) - beating.renewedMillis
    if (silentMillis > options.timing.fenceMillis)
      yield* lose(`the lease could not be renewed for ${Math.round(silentMillis / 1000)} s`)
    yield* Effect.sleep(Math.min(1000, options.timing.beatMillis))
  }).pipe(Effect.forever, Effect.forkScoped)
  if (generation > 2)
    yield* attempt(() => fs.rm(path.join(directory, fileName(generation - 2)), { force: true })).pipe(Effect.ignore)
  return {
    keep: Effect.sync(() => {
      beating.isKept = true
    }),
    lost: Deferred.await(lost),
    holder,
    generation,
    over: found?.holder?.released === false ? found.holder : undefined
  }
})
