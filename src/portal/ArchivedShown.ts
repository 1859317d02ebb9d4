import { fromMillis } from "../market/Timestamp.ts"
import type { ArchivedDay as Stored } from "../store/ArchivedDays.ts"
import { type ArchivedDay, ArchivedOnly } from "./ArchiveFields.ts"

export const shownDay = (day: Stored): ArchivedDay => ({
  dataset: day.dataset,
  datasetId: day.datasetId,
  table: day.table,
  from: fromMillis(day.fromMillis),
  to: fromMillis(day.toMillis),
  since: fromMillis(Math.floor(day.detachedAtMillis)),
  files: day.files.map(({ path }) => path)
})

/** Says which days are missing, where they are and since when. */
export const archivedOnly = ({
  days,
  problem
}: {
  readonly days: ReadonlyArray<Stored>
  readonly problem: string
}): ArchivedOnly => {
  const oldest = Math.min(...days.map(({ fromMillis }) => fromMillis))
  const newest = Math.max(...days.map(({ toMillis }) => toMillis))
  return new ArchivedOnly({
    problem: `from ${fromMillis(oldest)} to ${fromMillis(newest)} what is asked for is in the archive only: ${problem}`,
    days: days.map(shownDay)
  })
}
