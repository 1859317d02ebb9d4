import { createHash } from "node:crypto"
import { promisify } from "node:util"
import { gzip } from "node:zlib"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"

interface Asset {
  readonly body: Uint8Array
  readonly gzipped: Uint8Array | undefined
  readonly contentType: string
  readonly etag: string
  readonly cacheControl: string
}

const contentTypes: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".json": "application/json",
  ".woff2": "font/woff2",
  ".png": "image/png"
}
const hashedName = /^assets\/.+-[\w-]{8}\.\w+$/

const compress = promisify(gzip)

/** The built pages of the portal, in memory, compressed once. Names that hold a hash are cached for ever, others never unasked. */
export class WebAssets extends Context.Service<
  WebAssets,
  {
    /** The file of that name below `dist/web`, or 404. */
    readonly respond: (
      name: string,
      request: HttpServerRequest.HttpServerRequest
    ) => HttpServerResponse.HttpServerResponse
  }
>()("kalshi-ingestor/portal/WebAssets") {
  static readonly layerFrom = (root: URL) =>
    Layer.effect(
      WebAssets,
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* Path.Path
        const directory = yield* path.fromFileUrl(root)
        const names = (yield* fs.exists(directory)) ? yield* fs.readDirectory(directory, { recursive: true }) : []
        const assets = new Map<string, Asset>()
        for (const name of names) {
          const contentType = contentTypes[path.extname(name)]
          if (contentType === undefined || name.split(path.sep).some((part) => part.startsWith("."))) continue
          const body = yield* fs.readFile(path.join(directory, name))
          const smaller = yield* Effect.promise(() => compress(body, { level: 9 }))
          assets.set(name.split(path.sep).join("/"), {
            body,
            gzipped: smaller.length < body.length * 0.9 ? smaller : undefined,
            contentType,
            etag: `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`,
            cacheControl: hashedName.test(name) ? "public, max-age=31536000, immutable" : "no-cache"
          })
        }
        if (!assets.has("index.html"))
          yield* Effect.logWarning("the portal's pages are not built; only its API is served", { directory })

        const respond = (name: string, request: HttpServerRequest.HttpServerRequest) => {
          const asset = assets.get(name)
          if (asset === undefined) return HttpServerResponse.text("not found\n", { status: 404 })
          const headers = { etag: asset.etag, "cache-control": asset.cacheControl, vary: "accept-encoding" }
          if (request.headers["if-none-match"] === asset.etag) return HttpServerResponse.empty({ status: 304, headers })
          const accepted = /(^|[\s,])gzip(?!\s*;\s*q=0(\.0*)?\s*(,|$))/.test(request.headers["accept-encoding"] ?? "")
          return accepted && asset.gzipped !== undefined
            ? HttpServerResponse.uint8Array(asset.gzipped, {
                contentType: asset.contentType,
                headers: { ...headers, "content-encoding": "gzip" }
              })
            : HttpServerResponse.uint8Array(asset.body, { contentType: asset.contentType, headers })
        }
        return WebAssets.of({ respond })
      }).pipe(Effect.orDie)
    )

  static readonly layer = this.layerFrom(new URL("../web/", import.meta.url))
}
