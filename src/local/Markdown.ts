const row = (cells: ReadonlyArray<string>) => `| ${cells.join(" | ")} |`

export const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string =>
  [row(head), row(head.map(() => "---")), ...rows.map(row)].join("\n")

export const code = (names: ReadonlyArray<string>): string => names.map((name) => `\`${name}\``).join(", ")

/** Text as one cell of a table. */
export const cell = (text: string): string => text.replaceAll("|", "\\|").replace(/\s+/g, " ")
