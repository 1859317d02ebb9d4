import type * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { useEffect, useRef, useState } from "preact/hooks"
import type { FileProgress } from "../ApiFields.ts"
import { useSignedOut } from "./access.ts"
import { type Client, call, problemOf, saidOf } from "./client.ts"
import { count } from "./format.ts"

const everyMillis = 1000

export interface FileAsked {
  /** Shown with the file's state. */
  readonly name: string
  readonly href: string
}

const whyNot = (error: unknown) => {
  switch (problemOf(error)) {
    case "TooManyRequests":
      return "as many files as may be are being made or fetched; try again in a moment"
    case "Unreachable":
      return "the portal does not answer; try again"
    default:
      return saidOf(error) ?? "try again later"
  }
}

const save = (href: string) => {
  const link = document.createElement("a")
  link.href = href
  link.download = ""
  document.body.append(link)
  link.click()
  link.remove()
}

/** Has a file made, says how far it is, and lets the browser fetch it once it is there. Who leaves the page gives it up. */
export const useFile = () => {
  const onSignedOut = useSignedOut()
  const [said, setSaid] = useState("")
  const [making, setMaking] = useState<string>()
  const turn = useRef(0)
  useEffect(
    () => () => {
      turn.current = -1
    },
    []
  )
  const ask = async <E>({ href, name }: FileAsked, progress: (client: Client) => Effect.Effect<FileProgress, E>) => {
    turn.current += 1
    const mine = turn.current
    setMaking(href)
    setSaid(`Preparing ${name}…`)
    for (;;) {
      const answer = await call(progress)
      if (mine !== turn.current) return
      if (Result.isFailure(answer)) {
        if (problemOf(answer.failure) === "SignInRequired") return onSignedOut()
        setMaking(undefined)
        return setSaid(`${name} could not be made: ${whyNot(answer.failure)}.`)
      }
      const { bytes, rows, state } = answer.success
      if (state === "ready") {
        setMaking(undefined)
        setSaid(bytes === null ? "" : `${name}: ${count(rows)} rows.`)
        return save(href)
      }
      setSaid(
        state === "waiting"
          ? `Preparing ${name}: others come first…`
          : `Preparing ${name}${rows === 0 ? "" : `: ${count(rows)} rows read`}…`
      )
      await new Promise((resolve) => setTimeout(resolve, everyMillis))
      if (mine !== turn.current) return
    }
  }
  return { ask, making, said }
}
