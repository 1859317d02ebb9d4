import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import { type Readable, Transform, type Writable } from "node:stream"
import { pipeline } from "node:stream/promises"
import { createGunzip, createGzip } from "node:zlib"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { version } from "../runtime/Version.ts"

/** What keeps a backup from being made, read or restored, in one line. */
export class BackupError extends Schema.TaggedError<BackupError>()("BackupError", {
  problem: Schema.String,
  fix: Schema.String
}) {
  override get message(): string {
    return `${this.problem}; ${this.fix}`
  }
}

const Name = Schema.String.check(Schema.isPattern(/^[a-z_][a-z0-9_]{0,62}$/))
const Sum = Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/))

/** One table, or one partition of a table, and the file that holds its rows. */
export const BackupTable = Schema.Struct({
  name: Name,
  /** The partitioned table that it belongs to, and its bounds as the server writes them. */
  parent: Schema.NullOr(Name),
  bound: Schema.NullOr(
    Schema.String.check(Schema.isPattern(/^(DEFAULT|FOR VALUES FROM \('[^'\\]{1,40}'\) TO \('[^'\\]{1,40}'\))$/))
  ),
  columns: Schema.Array(Name),
  rows: Schema.Int,
  /** Sum of the hashes of its rows, whatever their order. */
  digest: Schema.String,
  /** Of the file. */
  bytes: Schema.Int,
  sha256: Sum
})
export type BackupTable = typeof BackupTable.Type

/** `manifest.json`: written last, so that a folder that has one is whole. */
export const Manifest = Schema.Struct({
  format: Schema.Literal(1),
  createdAt: Schema.String,
  codeVersion: Schema.String,
  serverVersion: Schema.Int,
  database: Schema.String,
  schema: Schema.Array(Schema.Struct({ version: Schema.Int, file: Schema.String, checksum: Schema.String })),
  tables: Schema.Array(BackupTable),
  sequences: Schema.Array(Schema.Struct({ name: Name, lastValue: Schema.String, isCalled: Schema.Boolean }))
})
export type Manifest = typeof Manifest.Type

const manifestFile = "manifest.json"
const unfinished = ".part"
const fromText = Schema.decodeUnknownOption(Schema.fromJsonString(Manifest))
const anyFromText = Schema.decodeUnknownOption(
  Schema.fromJsonString(Schema.Struct({ format: Schema.Int, codeVersion: Schema.String }))
)

const fileOf = (directory: string, table: string) => path.join(directory, "data", `${table}.copy.gz`)

const refused = (directory: string, fix: string) => (cause: unknown) =>
  new BackupError({ problem: `${directory}: ${cause instanceof Error ? cause.message : "it cannot be read"}`, fix })

const attempt = <A>(directory: string, fix: string, run: () => Promise<A>) =>
  Effect.tryPromise({ try: run, catch: refused(directory, fix) })

const synced = async (file: string) => {
  const handle = await fs.promises.open(file, "r")
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

const counting = () => {
  const sum = createHash("sha256")
  let bytes = 0
  const through = new Transform({
    transform: (chunk: Buffer, _, done) => {
      sum.update(chunk)
      bytes += chunk.length
      done(null, chunk)
    }
  })
  return { through, result: () => ({ bytes, sha256: sum.digest("hex") }) }
}

/** A folder for a new backup, under another name until it is whole; removed when the scope closes before `publish`. */
export const draft = Effect.fnUntraced(function* (target: string) {
  const fix = "name a folder that does not exist, where we can write"
  if (fs.existsSync(target)) return yield* new BackupError({ problem: `${target} exists already`, fix })
  const directory = `${target}${unfinished}`
  yield* Effect.acquireRelease(
    attempt(directory, fix, async () => {
      await fs.promises.rm(directory, { recursive: true, force: true })
      await fs.promises.mkdir(path.join(directory, "data"), { recursive: true, mode: 0o700 })
    }),
    () => Effect.promise(() => fs.promises.rm(directory, { recursive: true, force: true }))
  )
  return {
    /** Writes the rows of a table; succeeds with the size and the sum of its file. */
    write: (table: string, rows: Readable) =>
      attempt(directory, "make room there, or choose another folder", async () => {
        const { result, through } = counting()
        const file = fileOf(directory, table)
        await pipeline(rows, createGzip({ level: 3 }), through, fs.createWriteStream(file, { mode: 0o600 }))
        await synced(file)
        return result()
      }),
    describe: (manifest: Manifest) =>
      attempt(directory, "make room there, or choose another folder", async () => {
        const file = path.join(directory, manifestFile)
        await fs.promises.writeFile(file, `${JSON.stringify(manifest, undefined, 1)}\n`, { mode: 0o600 })
        await synced(file)
        await synced(path.join(directory, "data"))
        await synced(directory)
      }),
    /** Gives it its name: it is a backup from then on. */
    publish: attempt(directory, fix, async () => {
      await fs.promises.rename(directory, target)
      await synced(path.dirname(path.resolve(target)))
    })
  }
})

export const readManifest = Effect.fnUntraced(function* (directory: string) {
  const fix = "name the folder of a backup, which holds manifest.json"
  const text = yield* attempt(directory, fix, () => fs.promises.readFile(path.join(directory, manifestFile), "utf8"))
  const manifest = fromText(text)
  if (Option.isSome(manifest)) return manifest.value
  const other = Option.getOrUndefined(anyFromText(text))
  return yield* other !== undefined && other.format !== 1
    ? new BackupError({
        problem: `${directory} is a backup of format ${other.format}, made by version ${other.codeVersion}, which this version (${version}) cannot read`,
        fix: "restore it with that version or a newer one"
      })
    : new BackupError({ problem: `${directory}: its manifest.json is damaged`, fix: "use another backup" })
})

const damaged = (table: string, problem: string) =>
  new BackupError({ problem: `the file of ${table} is damaged: ${problem}`, fix: "use another backup" })

const reasonOf = (cause: unknown) => (cause instanceof Error ? cause.message : "it cannot be read")

/** Sends the rows of a table on; fails when the file is not the one that was written, or the server does not take them. */
export const readTable = Effect.fnUntraced(function* (directory: string, table: BackupTable, into: Writable) {
  const file = fileOf(directory, table.name)
  const passedOn = counting()
  yield* Effect.tryPromise(() => pipeline(fs.createReadStream(file), passedOn.through, createGunzip(), into)).pipe(
    Effect.catch(({ cause }) =>
      Effect.gen(function* () {
        if (!fs.existsSync(file)) return yield* damaged(table.name, "it is missing")
        // What is damaged may well be what the server complains of.
        const whole = counting()
        yield* Effect.tryPromise({
          try: () =>
            pipeline(fs.createReadStream(file), whole.through, async (chunks) => {
              for await (const _ of chunks);
            }),
          catch: (problem) => damaged(table.name, reasonOf(problem))
        })
        return yield* whole.result().sha256 === table.sha256
          ? new BackupError({
              problem: `${table.name} cannot be stored: ${reasonOf(cause)}`,
              fix: "mend that and try again"
            })
          : damaged(table.name, reasonOf(cause))
      })
    )
  )
  if (passedOn.result().sha256 !== table.sha256) return yield* damaged(table.name, "its checksum is another one")
})

/** What was interrupted in a folder, or is being written. */
export const listUnfinished = (directory: string) =>
  Effect.map(
    attempt(directory, "name a folder of backups", () => fs.promises.readdir(directory)),
    (names) => names.filter((name) => name.endsWith(unfinished)).map((name) => path.join(directory, name))
  )

/** The backups in a folder, the newest last. */
export const listBackups = Effect.fnUntraced(function* (directory: string) {
  const names = yield* attempt(directory, "name a folder of backups", () => fs.promises.readdir(directory))
  const found: Array<{ readonly directory: string; readonly manifest: Manifest }> = []
  for (const name of names.sort()) {
    const one = path.join(directory, name)
    if (name.endsWith(unfinished) || !fs.existsSync(path.join(one, manifestFile))) continue
    found.push({ directory: one, manifest: yield* readManifest(one) })
  }
  return found.sort((a, b) => (a.manifest.createdAt < b.manifest.createdAt ? -1 : 1))
})
