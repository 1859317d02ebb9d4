import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Stream from "effect/Stream"
import type { fileFormats } from "./ApiFields.ts"

const contentTypes: Readonly<Record<(typeof fileFormats)[number], string>> = {
  csv: "text/csv; charset=utf-8",
  ndjson: "application/x-ndjson",
  parquet: "application/vnd.apache.parquet"
}

/** A file that a browser keeps. `bytes`: how long it is, where that is known. */
export const fileResponse = <E>(
  name: string,
  format: (typeof fileFormats)[number],
  body: Stream.Stream<Uint8Array, E>,
  bytes?: number
) =>
  HttpServerResponse.stream(body, {
    contentType: contentTypes[format],
    ...(bytes === undefined ? {} : { contentLength: bytes }),
    headers: {
      "content-disposition": `attachment; filename="${name.replace(/[^\w.-]/g, "_")}.${format}"`,
      "cache-control": "no-store"
    }
  })
