import { stripVTControlCharacters } from "node:util"

type Cell = string | number | null | undefined

const widthOf = (text: string) => stripVTControlCharacters(text).length
const longest = 60

/** One line of text that does not steer the terminal, whoever wrote it. */
export const plain = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what steers it
  text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]+/g, " ")

const textOf = (cell: Cell): string => {
  if (cell === null || cell === undefined) return ""
  const text = plain(String(cell))
  return text.length > longest ? `${text.slice(0, longest - 1)}…` : text
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
