import type { ComponentChildren } from "preact"
import { useEffect, useRef, useState } from "preact/hooks"

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

/** Whether what is in the frame is wider than the frame. */
const useOverflow = () => {
  const frame = useRef<HTMLDivElement>(null)
  const [overflows, setOverflows] = useState(false)
  useEffect(() => {
    const { current } = frame
    if (current === null) return
    const watcher = new ResizeObserver(() => setOverflows(current.scrollWidth > current.clientWidth))
    watcher.observe(current)
    if (current.firstElementChild !== null) watcher.observe(current.firstElementChild)
    return () => watcher.disconnect()
  }, [])
  return { frame, overflows }
}

/** Rows of one kind, a column declared once for its heading and its cells. Where it scrolls sideways, the keyboard scrolls it too. */
export const Table = <Row,>(props: Props<Row>) => {
  const { frame, overflows } = useOverflow()
  const reachable = overflows
    ? ({ tabIndex: 0, role: "group", "aria-label": "Table that scrolls sideways" } as const)
    : {}
  return (
    <div class="scroll" ref={frame} {...reachable}>
      <Bare {...props} />
    </div>
  )
}

/** The same in a frame of its own height, which the keyboard scrolls too. */
export const TallTable = <Row,>({ label, ...props }: Props<Row> & { readonly label: string }) => (
  // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
  <section class="scroll tall" tabIndex={0} aria-label={label}>
    <Bare {...props} />
  </section>
)
