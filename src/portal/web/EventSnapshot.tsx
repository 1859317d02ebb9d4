import { useEffect, useRef, useState } from "preact/hooks"
import type { EventDetail } from "../EventsApi.ts"
import { Check } from "./controls.tsx"
import { every, span } from "./format.ts"
import { useAction } from "./useAction.ts"

/** Counts down to the next snapshot while it is on and somebody looks: a page in the background asks for nothing. */
const useCountdown = (isOn: boolean, everySeconds: number, onZero: () => void) => {
  const [left, setLeft] = useState(everySeconds)
  const zero = useRef(onZero)
  zero.current = onZero
  useEffect(() => {
    setLeft(everySeconds)
    if (!isOn) return
    let remaining = everySeconds
    const timer = setInterval(() => {
      if (document.hidden) return
      remaining = remaining > 1 ? remaining - 1 : everySeconds
      setLeft(remaining)
      if (remaining === everySeconds) zero.current()
    }, 1000)
    return () => clearInterval(timer)
  }, [isOn, everySeconds])
  return left
}

/** Quotes of an event that the stream does not bring: read once, or again and again while the page is open. */
export const EventSnapshot = ({ event, onDone }: { readonly event: EventDetail; readonly onDone: () => void }) => {
  const { act, busy, said } = useAction(onDone)
  const [auto, setAuto] = useState(false)
  const isOver = event.status === "closed" || event.status === "settled"
  const seconds = event.autoSnapshotSeconds
  const take = () => {
    if (!busy && event.canSnapshot)
      void act((client) => client.eventActions.snapshot({ params: { eventTicker: event.eventTicker } }))
  }
  const isOn = auto && seconds > 0 && !isOver
  const left = useCountdown(isOn, seconds, take)
  return (
    <div class="actions">
      <button type="button" disabled={busy || !event.canSnapshot} onClick={take}>
        Snapshot
      </button>
      {seconds > 0 && !isOver && (
        <Check
          label={`every ${every(seconds)}`}
          checked={auto}
          onChange={(checked) => {
            setAuto(checked)
            if (checked) take()
          }}
        />
      )}
      {isOn && (
        <span class="quiet small" role="timer">
          next in {span(left)}
        </span>
      )}
      <span class="quiet small" role="status">
        {said === "" && !event.canSnapshot ? "A snapshot would not bring anything newer." : said}
      </span>
    </div>
  )
}
