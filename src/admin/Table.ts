import { stripVTControlCharacters } from "node:util"

type Cell = string | number | null | undefined

const widthOf = (text: string) => stripVTControlCharacters(text).length
const longest = 60

const textOf = (cell: Cell): string => {
  if (cell === null || cell === undefined) return ""
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what others wrote must not steer the terminal
  const plain = String(cell).replace(/[\x00-\x1f\x7f-\x9f]+/g, " ")
  return plain.length > longest ? `${plain.slice(0, longest - 1)}…` : plain
}

/** Lines of a table; numbers stand to the right. */
export const table = (
  columns: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<Cell>>
): ReadonlyArray<string> => {
  const texts = rows.map((row) => row.map(textOf))
  const widths = columns.map((name, at) => Math.max(widthOf(name), ...texts.map((row) => widthOf(row[at] ?? ""))))
  const isNumber = columns.map((_, at) => rows.length > 0 && rows.every((row) => typeof row[at] === "number"))
  const line = (cells: ReadonlyArray<string>) =>
    cells
      .map((cell, at) => (isNumber[at] ? cell.padStart(widths[at]!) : cell.padEnd(widths[at]!)))
      .join("  ")
      .trimEnd()
  return [line(columns), ...texts.map(line)]
}

export const bytes = (count: number): string => {
  const units = ["B", "kB", "MB", "GB", "TB"]
  const at = count < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(count) / 3))
  return `${(count / 1000 ** at).toFixed(at === 0 ? 0 : 1)} ${units[at]}`
}

export const seconds = (count: number): string => {
  if (count < 120) return `${Math.round(count)} s`
  if (count < 7200) return `${Math.round(count / 60)} min`
  return count < 172_800 ? `${(count / 3600).toFixed(1)} h` : `${(count / 86_400).toFixed(1)} d`
}
