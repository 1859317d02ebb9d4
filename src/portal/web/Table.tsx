import type { ComponentChildren } from "preact"

export interface Column<Row> {
  readonly name: string
  readonly cell: (row: Row) => ComponentChildren
  /** Names the row; `title` is for long names. */
  readonly heads?: "name" | "title"
  /** Words rather than figures. */
  readonly words?: true
  /** `mid`: not on phones. `wide`: only where there is much room. */
  readonly show?: "mid" | "wide"
  readonly tone?: string | ((row: Row) => string)
  readonly title?: (row: Row) => string | undefined
}

const classOf = <Row,>({ heads, show, words }: Column<Row>, ...more: ReadonlyArray<string>) =>
  [heads !== undefined || words === true ? "text" : "", show ?? "", ...more].filter((word) => word !== "").join(" ")

const Cell = <Row,>({ column, row }: { readonly column: Column<Row>; readonly row: Row }) => {
  const tone = typeof column.tone === "function" ? column.tone(row) : column.tone
  const shown = {
    class: classOf(column, column.heads === "title" ? "name" : "", tone ?? ""),
    title: column.title?.(row)
  }
  return column.heads === undefined ? (
    <td {...shown}>{column.cell(row)}</td>
  ) : (
    <th scope="row" {...shown}>
      {column.cell(row)}
    </th>
  )
}

interface Props<Row> {
  readonly columns: ReadonlyArray<Column<Row>>
  readonly rows: ReadonlyArray<Row>
  readonly keyOf: (row: Row) => string
}

const Bare = <Row,>({ columns, keyOf, rows }: Props<Row>) => (
  <table>
    <thead>
      <tr>
        {columns.map((column) => (
          <th key={column.name} scope="col" class={classOf(column)}>
            {column.name}
          </th>
        ))}
      </tr>
    </thead>
    <tbody>
      {rows.map((row) => (
        <tr key={keyOf(row)}>
          {columns.map((column) => (
            <Cell key={column.name} column={column} row={row} />
          ))}
        </tr>
      ))}
    </tbody>
  </table>
)

/** Rows of one kind, a column declared once for its heading and its cells. */
export const Table = <Row,>(props: Props<Row>) => (
  <div class="scroll">
    <Bare {...props} />
  </div>
)

/** The same in a frame of its own height, which the keyboard scrolls too. */
export const TallTable = <Row,>({ label, ...props }: Props<Row> & { readonly label: string }) => (
  // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
  <section class="scroll tall" tabIndex={0} aria-label={label}>
    <Bare {...props} />
  </section>
)
