import * as Schema from "effect/Schema"
import { Timestamp } from "../market/Timestamp.ts"
import { described } from "./ApiFields.ts"

/** A dataset of the archive whose rows left the database; `from` and `to` are its whole span, `to` excluded. */
export const ArchivedDay = Schema.Struct({
  dataset: Schema.String.annotate(described("its name in the archive: datasets/NAME/manifest.json")),
  datasetId: Schema.String.annotate(described("what to cite it by")),
  table: Schema.String,
  from: Timestamp,
  to: Timestamp,
  since: Timestamp.annotate(described("when its rows left the database")),
  files: Schema.Array(Schema.String).annotate(
    described("those that may hold what was asked for, from the archive's directory")
  )
})
export type ArchivedDay = typeof ArchivedDay.Type

/** A part of what was asked for is in the archive only, and cannot be read here. */
export class ArchivedOnly extends Schema.TaggedError<ArchivedOnly>()(
  "ArchivedOnly",
  { problem: Schema.String, days: Schema.Array(ArchivedDay) },
  {
    httpApiStatus: 409,
    description:
      "rows that belong to the answer left the database, and this portal cannot read the archive; `days` says which"
  }
) {}
