import { useState } from "preact/hooks"
import type { Book } from "../MarketApi.ts"
import { Instant, instantOf } from "./controls.tsx"
import { amount, cents, exactTime, utc } from "./format.ts"
import { Empty, Shown } from "./states.tsx"
import type { Asked } from "./useAsk.ts"

const levelsShown = 10

interface Level {
  readonly price: string
  readonly size: string
}

/** A bid for no at p is an ask for yes at 1 − p; exact. */
const complement = (price: string) => {
  const [units = "0", fraction = ""] = price.split(".")
  const scale = 10n ** BigInt(fraction.length)
  const left = scale - (BigInt(units) * scale + BigInt(fraction === "" ? "0" : fraction))
  return fraction === "" ? String(left) : `${left / scale}.${String(left % scale).padStart(fraction.length, "0")}`
}

const Side = (props: {
  readonly name: "ask" | "bid"
  readonly levels: ReadonlyArray<Level>
  readonly most: number
}) => (
  <tbody class={`side ${props.name}`}>
    {props.levels.map(({ price, size }) => (
      <tr key={price}>
        <th scope="row" class={props.name === "bid" ? "yes-ink" : "no-ink"}>
          {cents(price)}
        </th>
        <td>{amount(size)}</td>
        <td class="depth">
          <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
            <rect width={props.most === 0 ? 0 : (Number(size) / props.most) * 100} height="10" />
          </svg>
        </td>
      </tr>
    ))}
  </tbody>
)

const quality: Readonly<Record<string, string>> = {
  exact: "exact",
  uncertain: "uncertain: a gap lies between the last whole book and this instant",
  absent: "no book was received"
}

const BookTable = ({ book }: { readonly book: Book }) => {
  if (book.levels.length === 0)
    return (
      <Empty>{book.quality === "absent" ? "No order book was recorded by then." : "Nobody rests an order here."}</Empty>
    )
  const bids = book.levels
    .filter(({ side }) => side === "yes")
    .toReversed()
    .slice(0, levelsShown)
  const asks = book.levels
    .filter(({ side }) => side === "no")
    .toReversed()
    .slice(0, levelsShown)
    .map(({ price, size }) => ({ price: complement(price), size }))
    .toReversed()
  const most = Math.max(...[...bids, ...asks].map(({ size }) => Number(size)))
  return (
    <div class="scroll ladder">
      <table>
        <thead>
          <tr>
            <th scope="col">Yes price</th>
            <th scope="col">Contracts</th>
            <th scope="col">
              <span class="hidden">Share of the deepest level</span>
            </th>
          </tr>
        </thead>
        <Side name="ask" levels={asks} most={most} />
        <Side name="bid" levels={bids} most={most} />
      </table>
    </div>
  )
}

/** The order book, now or at a chosen instant; says what it rests on. */
export const Ladder = (props: {
  readonly asked: Asked<Book>
  readonly at: string | undefined
  readonly earliest: string | null
  readonly onAt: (at: string | undefined) => void
}) => {
  const [typed, setTyped] = useState("")
  const submit = (event: Event) => {
    event.preventDefault()
    props.onAt(instantOf(typed))
  }
  return (
    <>
      <form class="at" onSubmit={submit}>
        <Instant label="At" value={typed} onChange={setTyped} />
        <button type="submit">Show</button>
        {props.at !== undefined && (
          <button
            type="button"
            class="plain"
            onClick={() => {
              setTyped("")
              props.onAt(undefined)
            }}
          >
            Back to now
          </button>
        )}
      </form>
      <Shown asked={props.asked}>
        {(book) => (
          <>
            <BookTable book={book} />
            <p class="quiet small" title={utc(book.at)}>
              {props.at === undefined ? "Now" : exactTime(book.at)}: {quality[book.quality] ?? book.quality}
              {book.snapshotAt === null
                ? ""
                : `, whole book of ${exactTime(book.snapshotAt)} and ${book.changes} changes`}
            </p>
          </>
        )}
      </Shown>
    </>
  )
}
