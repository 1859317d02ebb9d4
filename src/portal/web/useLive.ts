import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { useEffect, useRef, useState } from "preact/hooks"
import { LiveEvent } from "../LiveApi.ts"

export type Link = "connecting" | "live" | "lost" | "blind"

const decode = Schema.decodeUnknownResult(Schema.fromJsonString(LiveEvent))
const silentMillis = 12_000

export interface LiveHandlers {
  readonly onEvent: (event: LiveEvent) => void
  /** Messages were missed: read everything again. */
  readonly onGap: () => void
  /** The server refused the stream. */
  readonly onRefused: () => void
}

/** Follows the portal's stream while the page is open; says whether it can be trusted now. */
export const useLive = (watched: string, handlers: LiveHandlers): Link => {
  const [link, setLink] = useState<Link>("connecting")
  const current = useRef(handlers)
  current.current = handlers

  useEffect(() => {
    let lastId = -1
    let heard = performance.now()
    let retry: ReturnType<typeof setTimeout> | undefined
    let source: EventSource

    const open = () => {
      lastId = -1
      source = new EventSource(`/api/stream?${watched}`)
      source.onmessage = (message) => {
        heard = performance.now()
        const id = Number(message.lastEventId)
        if (lastId >= 0 && id !== lastId + 1 && id !== lastId) current.current.onGap()
        lastId = id
        const event = decode(message.data)
        if (Result.isFailure(event)) return
        setLink(event.success._tag === "Heartbeat" && !event.success.listening ? "blind" : "live")
        current.current.onEvent(event.success)
      }
      source.onerror = () => {
        setLink("lost")
        if (source.readyState !== EventSource.CLOSED) return
        current.current.onRefused()
        retry = setTimeout(open, 5000)
      }
      source.onopen = () => {
        if (lastId >= 0) current.current.onGap()
        lastId = -1
      }
    }
    open()
    const watch = setInterval(() => {
      if (performance.now() - heard > silentMillis) setLink("lost")
    }, 1000)
    return () => {
      clearTimeout(retry)
      clearInterval(watch)
      source.close()
    }
  }, [watched])

  return link
}
