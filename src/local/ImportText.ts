import type { ImportReport } from "../ingest/Importer.ts"

const number = (value: number) => value.toLocaleString("en-US")

const aligned = (rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join("  ")
      .trimEnd()
  )
}

const columns = ["source", "imported", "already", "refused"] as const

/** An import for people: counts of each table, then its known faults by kind. */
export const text = (report: ImportReport): string => {
  const tables = Object.entries(report.tables)
  const counts = aligned([
    ["table", ...columns],
    ...tables.map(([name, one]) => [name, ...columns.map((column) => number(one[column]))])
  ])
  const faults = tables.flatMap(([name, one]) =>
    Object.entries(one.faults).map(([kind, rows]) => [`${name} ${kind}`, number(rows), number(one.repaired[kind] ?? 0)])
  )
  return [
    `from ${report.from}${report.resumed ? ", went on where an earlier import stopped" : ""}`,
    "",
    ...counts,
    "",
    ...(faults.length === 0
      ? ["no known fault"]
      : aligned([["known faults (import_faults)", "rows", "repaired"], ...faults])),
    "",
    ...report.absent.map((table) => `${table}: not in the source`),
    ...Object.entries(report.left).map(([table, why]) => `${table}: left (${why})`),
    ...(report.completedMarkets === 0
      ? []
      : [`${number(report.completedMarkets)} markets learned result or settlement from lifecycle messages`]),
    report.reconciled ? "every row of the source is accounted for" : "THE COUNTS DO NOT RECONCILE"
  ].join("\n")
}
