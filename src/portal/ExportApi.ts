import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import { SignedIn } from "./ApiErrors.ts"
import { DayOrInstant, described, FileProgress, fileFormats, Ticker } from "./ApiFields.ts"
import { downloadErrors } from "./MarketApi.ts"

export const exportTables = ["ticks", "candles", "trades", "book_events", "book_snapshots"] as const
export type ExportTable = (typeof exportTables)[number]

export const seriesDaysAtMost = 31

const asked = {
  params: { table: Schema.Literals(exportTables) },
  query: {
    market: Schema.optionalKey(Ticker),
    event: Schema.optionalKey(Ticker),
    series: Schema.optionalKey(Ticker).annotate(described("one of market, event and series must be given")),
    from: Schema.optionalKey(DayOrInstant).annotate(described("inclusive; must be given with a series")),
    to: Schema.optionalKey(DayOrInstant).annotate(
      described(`excluded; must be given with a series, at most ${seriesDaysAtMost} days from \`from\``)
    ),
    format: Schema.optionalKey(Schema.Literals(fileFormats)).annotate(described("parquet by default"))
  }
}

export class Exports extends HttpApiGroup.make("exports")
  .add(
    HttpApiEndpoint.get("file", "/:table", {
      ...asked,
      success: HttpApiSchema.StreamUint8Array({ contentType: "application/vnd.apache.parquet" }),
      error: downloadErrors
    }).annotate(
      OpenApi.Summary,
      "Rows of a market, an event or a series and a span as one file, sorted by series, ticker and time, of database and archive; it comes when it is made"
    ),
    HttpApiEndpoint.get("progress", "/:table/progress", {
      ...asked,
      success: FileProgress,
      error: downloadErrors
    }).annotate(OpenApi.Summary, "Begins with such a file, and says how far it is; ask again each second")
  )
  .prefix("/api/exports")
  .middleware(SignedIn) {}
