import { useContext } from "preact/hooks"
import { ExchangeContext } from "./exchange.ts"
import { type Link, useLive } from "./useLive.ts"

/** Follows the state of the recording, for pages that ask for the rest themselves; says whether what they show can be trusted. */
export const useRecording = (reload: () => void): Link => {
  const { note } = useContext(ExchangeContext)
  return useLive("page=health", {
    onEvent: (event) => {
      if (event._tag === "Overview") note(event.overview)
    },
    onGap: reload,
    onRefused: reload
  })
}
