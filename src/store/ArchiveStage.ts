import * as fs from "node:fs"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { ArchiveError } from "./ArchiveError.ts"
import type { ArchivedMarket } from "./ArchiveSource.ts"
import { type ArchiveColumn, type ArchiveTable, type Fingerprint, plain, type Widths } from "./ArchiveTables.ts"
import { type DuckDb, type DuckValues, open, quoted } from "./DuckDb.ts"

/** Text that waits on disk before it is taken in. */
const segmentBytes = 16_000_000

export interface StagedUnit {
  readonly series: string
  /** `2026-11-20`, UTC. */
  readonly date: string
  readonly rows: number
}

export interface StageOptions {
  readonly directory: string
  readonly memoryMegabytes: number
  /** Given: beside its directory, only these files can be read. */
  readonly readable?: ReadonlyArray<string>
}

/** Rows of files: `f` is the row, `$1` the first of the values. */
export interface RowsOfFiles {
  readonly where: string
  readonly values: DuckValues
}

/** Columns of a file for people, in place of the table's own: a name, and an expression over the row `s` as it is staged. */
export type ShownColumns = ReadonlyArray<readonly [name: string, expression: string]>

export type FileFormat = "parquet" | "csv" | "ndjson"

// Where values hardly repeat, differences take fewer bytes than a dictionary.
const parquet = "format parquet, compression zstd, compression_level 9, parquet_version v2, dictionary_size_limit 5000"
const formats: Readonly<Record<FileFormat, string>> = {
  parquet,
  csv: "format csv, header true",
  ndjson: "format json, array false"
}

/** Rows of one table on their way into files, in a DuckDB file of their own: memory stays the same, whatever their number. */
export interface ArchiveStage {
  readonly markets: (markets: ReadonlyArray<ArchivedMarket>) => Effect.Effect<void, ArchiveError>
  /** Takes in lines of `ArchiveSource.lines`. Succeeds with how many. */
  readonly append: <E, E2 = never>(
    lines: Stream.Stream<string, E>,
    told?: (rows: number) => Effect.Effect<void, E2>
  ) => Effect.Effect<number, E | E2 | ArchiveError>
  /** Takes in rows of Parquet files that were written from here. */
  readonly appendFiles: (files: ReadonlyArray<string>, rows: RowsOfFiles) => Effect.Effect<number, ArchiveError>
  readonly units: Effect.Effect<ReadonlyArray<StagedUnit>, ArchiveError>
  readonly writeUnit: (unit: StagedUnit, file: string) => Effect.Effect<void, ArchiveError>
  /** All rows, for people: market by market, with names of provenance. */
  readonly writeAll: (file: string, format: FileFormat, columns?: ShownColumns) => Effect.Effect<void, ArchiveError>
  readonly fingerprint: (files: ReadonlyArray<string>) => Effect.Effect<Fingerprint, ArchiveError>
  /** A file of lines of JSON, as Parquet. */
  readonly convert: (
    lines: string,
    columns: Readonly<Record<string, string>>,
    file: string
  ) => Effect.Effect<void, ArchiveError>
}

export const make = Effect.fn("ArchiveStage.make")(function* (
  table: ArchiveTable,
  widths: Widths,
  { directory, memoryMegabytes, readable }: StageOptions
) {
  const duck = yield* open({
    file: path.join(directory, "stage.duckdb"),
    temporaryDirectory: path.join(directory, "spill"),
    memoryMegabytes,
    ...(readable === undefined ? {} : { reach: { files: readable, directories: [directory] } })
  })
  const marketType = table.market === "market_id" ? "integer" : "varchar"
  yield* duck.run(`create table markets (market ${marketType}, ticker varchar, series varchar)`)
  yield* duck.run(
    `create table staged (market ${marketType}, day date, ${table.columns
      .map((column) => `"${column.name}" ${stagedType(column, widths)}`)
      .join(", ")})`
  )

  const instant = (column: ArchiveColumn) =>
    column.kind === "instant"
      ? `make_timestamp(s."${column.name}")::timestamptz as "${column.name}"`
      : `s."${column.name}"`
  const order = ["m.ticker", ...table.order.map((name) => `s."${name}"`)].join(", ")
  const selected = `m.ticker, ${table.columns.map(instant).join(", ")}`
  const joined = "staged s join markets m using (market)"
  const count = Effect.map(duck.rows("select count(*)::varchar as n from staged"), (rows) => Number(rows[0]?.["n"]))

  const takeIn = (file: string) => {
    const fields = [
      `'market': '${table.market === "market_id" ? "INTEGER" : "VARCHAR"}'`,
      ...table.columns.map((column) => `'${column.name}': '${lineType(column, widths)}'`)
    ]
    const market = table.market === "market_id" ? "market" : unhexed("market")
    return duck.run(`
      insert into staged
      select ${market}, make_timestamp("${table.time}")::date, ${table.columns.map(({ kind, name }) => (kind === "text" ? unhexed(`"${name}"`) : `"${name}"`)).join(", ")}
      from read_csv(${quoted(file)}, header = false, auto_detect = false, delim = ';', quote = '', escape = '', nullstr = '',
        columns = {${fields.join(", ")}})`)
  }

  const append = Effect.fn("ArchiveStage.append")(function* <E, E2 = never>(
    lines: Stream.Stream<string, E>,
    told: (rows: number) => Effect.Effect<void, E2> = () => Effect.void
  ) {
    const file = path.join(directory, "rows.csv")
    let descriptor = fs.openSync(file, "w")
    let waiting = 0
    let rows = 0
    const flush = Effect.gen(function* () {
      fs.closeSync(descriptor)
      if (waiting > 0) yield* takeIn(file)
      descriptor = fs.openSync(file, "w")
      waiting = 0
      yield* told(rows)
    })
    yield* lines.pipe(
      Stream.runForEachArray((some) => {
        const text = `${some.join("\n")}\n`
        fs.writeSync(descriptor, text)
        waiting += text.length
        rows += some.length
        return waiting < segmentBytes ? Effect.void : flush
      })
    )
    yield* flush
    fs.closeSync(descriptor)
    fs.rmSync(file)
    return rows
  }, duringWriting)

  const appendFiles = Effect.fn("ArchiveStage.appendFiles")(function* (
    files: ReadonlyArray<string>,
    { values, where }: RowsOfFiles
  ) {
    if (files.length === 0) return 0
    const before = yield* count
    const ticker =
      table.market === "market_id" ? "(select max(m.market) from markets m where m.ticker = f.ticker)" : "f.ticker"
    const list = listOf(files)
    // Numbers of markets that only the files know are given out here: below 0, where the database has none.
    if (table.market === "market_id")
      yield* duck.run(
        `
        insert into markets
        select (select least(coalesce(min(market), 0), 0) from markets) - row_number() over ()::integer, ticker, series
        from (
          select distinct f.ticker, f.series from read_parquet(${list}, union_by_name = true, hive_partitioning = true, hive_types_autocast = false) f
          where ${where} and not exists (select 1 from markets m where m.ticker = f.ticker))`,
        values
      )
    else
      yield* duck.run(
        `
        insert into markets
        select distinct f.ticker, f.ticker, f.series
        from read_parquet(${list}, union_by_name = true, hive_partitioning = true, hive_types_autocast = false) f
        where ${where} and not exists (select 1 from markets m where m.ticker = f.ticker)`,
        values
      )
    yield* duck.run(
      `
      insert into staged
      select ${table.market === "market_id" ? "k.market" : ticker}, f."${table.time}"::timestamp::date,
        ${table.columns.map(({ kind, name }) => (kind === "instant" ? `epoch_us(f."${name}")` : `f."${name}"`)).join(", ")}
      from read_parquet(${list}, union_by_name = true, hive_partitioning = true, hive_types_autocast = false) f
      join markets k on k.ticker = f.ticker
      where ${where}`,
      values
    )
    return (yield* count) - before
  })

  return {
    append,
    appendFiles,
    markets: Effect.fnUntraced(function* (markets) {
      for (let at = 0; at < markets.length; at += 2000)
        yield* duck.run(
          `insert into markets values ${markets
            .slice(at, at + 2000)
            .map(
              ({ market, series, ticker }) =>
                `(${typeof market === "number" ? market : quoted(market)}, ${quoted(ticker)}, ${quoted(series)})`
            )
            .join(", ")}`
        )
    }),
    units: duck
      .rows(
        `select m.series, strftime(s.day, '%Y-%m-%d') as date, count(*)::double as rows from ${joined} group by 1, 2 order by 1, 2`
      )
      .pipe(Effect.map((rows) => rows as unknown as ReadonlyArray<StagedUnit>)),
    writeUnit: ({ date, series }, file) =>
      duck.run(`
        copy (select ${selected} from ${joined} where m.series = ${quoted(series)} and s.day = ${quoted(date)} order by ${order})
        to ${quoted(file)} (${parquet})`),
    writeAll: (file, format, columns) =>
      duck.run(`
        copy (select ${
          columns === undefined
            ? table.columns.map(shown(format)).reduce((all, one) => `${all}, ${one}`, "m.series, m.ticker")
            : columns.map(([name, expression]) => `${expression} as "${name}"`).join(", ")
        }
          from ${joined} order by m.series, ${order})
        to ${quoted(file)} (${formats[format]})`),
    fingerprint: (files) => fingerprint(duck, table, widths, files),
    convert: (lines, columns, file) =>
      duck.run(`
        copy (select * from read_json(${quoted(lines)}, format = 'newline_delimited', columns = {${Object.entries(
          columns
        )
          .map(([name, type]) => `${name}: ${quoted(type)}`)
          .join(", ")}})) to ${quoted(file)} (${parquet})`)
  } satisfies ArchiveStage
})

/** How wide the decimals of files are that were written from here. */
export const widthsOf = Effect.fn("ArchiveStage.widthsOf")(function* (
  files: ReadonlyArray<string>,
  memoryMegabytes: number
) {
  if (files.length === 0) return {}
  const duck = yield* open({ memoryMegabytes, reach: { files, directories: [] } })
  const rows = yield* duck.rows(`
    select case when name = 'element' then 'list' else name end as name, max(precision)::int as digits
    from parquet_schema(${listOf(files)}) where precision is not null group by 1`)
  return Object.fromEntries(
    rows.map(({ digits, name }) => [String(name), Number(digits) > 18 ? ("wide" as const) : ("narrow" as const)])
  )
}, Effect.scoped)

/** A full disk and the like are failures, not defects. */
const duringWriting = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.catchDefect(effect, (defect) =>
    defect instanceof Error && "code" in defect
      ? Effect.fail(new ArchiveError({ problem: `files cannot be written (${defect.message})` }))
      : Effect.die(defect)
  )

const shown = (format: FileFormat) => (column: ArchiveColumn) => {
  const value = `s."${column.name}"`
  if (column.name === "provenance") return `${provenanceName(value)} as provenance`
  if (column.kind === "instant")
    return format === "parquet"
      ? `make_timestamp(${value})::timestamptz as "${column.name}"`
      : `${instantText(value)} as "${column.name}"`
  // In JSON numbers are read as binary floats: exact ones are text, as the portal writes them.
  if (format === "ndjson" && column.kind === "decimal") return `${canonical(value)} as "${column.name}"`
  if (format === "ndjson" && column.kind === "decimals")
    return `list_transform(${value}, lambda v: ${canonical("v")}) as "${column.name}"`
  return value
}

export const listOf = (files: ReadonlyArray<string>) => `[${files.map(quoted).join(", ")}]`

const decimalType = ({ name, places }: ArchiveColumn, widths: Widths) =>
  widths[name] === "wide" ? "DECIMAL(38,12)" : `DECIMAL(18,${places})`
const unhexed = (value: string) => `decode(unhex(substr(${value}, 2)))`

const stagedType = (column: ArchiveColumn, widths: Widths): string => {
  switch (column.kind) {
    case "instant":
    case "bigint":
      return "BIGINT"
    case "decimal":
      return decimalType(column, widths)
    case "decimals":
      return `${decimalType(column, widths)}[]`
    case "integer":
      return "INTEGER"
    case "boolean":
      return "BOOLEAN"
    case "text":
      return "VARCHAR"
    case "uuid":
      return "UUID"
  }
}
const lineType = stagedType

/** Microseconds as RFC 3339. */
export const instantText = (micros: string): string => `strftime(make_timestamp(${micros}), '%Y-%m-%dT%H:%M:%S.%fZ')`

/** A decimal as the database writes it: with the places that the exchange gives, or those that it needs where the column is wide. */
export const decimalText = (value: string) =>
  `case when ends_with(typeof(${value}), ',12)') then ${canonical(value)} else ${value}::varchar end`
export const provenanceName = (value: string) => `['live', 'snapshot', 'backfill', 'repaired', 'replay'][${value} + 1]`

const canonical = (value: string) => `rtrim(rtrim(${value}::varchar, '0'), '.')`

const fingerprint = Effect.fn("ArchiveStage.fingerprint")(function* (
  duck: DuckDb,
  table: ArchiveTable,
  widths: Widths,
  files: ReadonlyArray<string>
) {
  const columns: ReadonlyArray<ArchiveColumn> = [...table.columns, { name: "ticker", kind: "text", places: 0 }]
  const textOf = ({ kind, name }: ArchiveColumn): string => {
    const value = `f."${name}"`
    switch (kind) {
      case "instant":
        return `epoch_us(${value})::varchar`
      case "decimal":
        return canonical(value)
      case "decimals":
        return `array_to_string(list_transform(${value}, lambda v: ${canonical("v")}), ',')`
      case "text":
        return `strlen(${value})::varchar || ':' || ${value}`
      default:
        return `${value}::varchar`
    }
  }
  const sumsOf = ({ kind, name }: ArchiveColumn): readonly [whole: string, part: string] => {
    const value = `f."${name}"`
    switch (kind) {
      case "instant":
        return [`sum(epoch_us(${value})::hugeint)`, "0"]
      case "decimal":
        return widths[name] === "wide"
          ? [`sum(trunc(${value})::hugeint)`, `sum((${value} - trunc(${value}))::decimal(38,12))`]
          : [`sum(${value})`, "0"]
      case "decimals":
        return [`sum(len(${value}))`, "0"]
      case "boolean":
        return [`count(*) filter (where ${value})`, "0"]
      case "text":
        return [`sum(strlen(${value}))`, "0"]
      case "uuid":
        return [`sum(('0x' || left(${value}::varchar, 8))::bigint)`, "0"]
      default:
        return [`sum(${value}::hugeint)`, "0"]
    }
  }
  // By name, so that a file of other types is compared as it is, not as the first file's types would have it.
  const row = `concat_ws('|', ${columns.map((column) => `coalesce(${textOf(column)}, '~')`).join(", ")})`
  const [found] =
    files.length === 0
      ? [undefined]
      : yield* duck.rows(`
          select count(*)::varchar as rows, coalesce(sum(('0x' || left(md5(${row}), 15))::bigint), 0)::varchar as row_sum,
            ${columns
              .flatMap((column, index) => {
                const [whole, part] = sumsOf(column)
                return [
                  `count(f."${column.name}")::varchar as c${index}`,
                  `coalesce(${whole}, 0)::varchar as w${index}`,
                  `coalesce(${part}, 0)::varchar as p${index}`
                ]
              })
              .join(", ")}
          from read_parquet(${listOf(files)}, hive_partitioning = false, union_by_name = true) f`)
  const value = (name: string) => String(found?.[name] ?? "0")
  return {
    rows: value("rows"),
    rowSum: value("row_sum"),
    columns: Object.fromEntries(
      columns.map(({ name }, index) => [
        name,
        { count: value(`c${index}`), sum: together(value(`w${index}`), value(`p${index}`)) }
      ])
    )
  } satisfies Fingerprint
})

const places = 12
const scaled = (number: string): bigint => {
  const [whole = "0", part = ""] = number.replace("-", "").split(".")
  const magnitude = BigInt(whole + part.padEnd(places, "0"))
  return number.startsWith("-") ? -magnitude : magnitude
}

/** Whole and part of a sum, exact: DuckDB's own sum of wide decimals would overflow. */
const together = (whole: string, part: string): string => {
  if (part === "0") return plain(whole)
  const sum = scaled(whole) + scaled(part)
  const digits = (sum < 0n ? -sum : sum).toString().padStart(places + 1, "0")
  return plain(`${sum < 0n ? "-" : ""}${digits.slice(0, -places)}.${digits.slice(-places)}`)
}
