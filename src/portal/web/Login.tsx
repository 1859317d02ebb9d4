import * as Result from "effect/Result"
import type { TargetedSubmitEvent } from "preact"
import { useEffect, useRef, useState } from "preact/hooks"
import { call } from "./client.ts"
import { Mark } from "./Mark.tsx"

export const Login = ({ onEnter }: { readonly onEnter: () => void }) => {
  const [message, setMessage] = useState("")
  const [busy, setBusy] = useState(false)
  const field = useRef<HTMLInputElement>(null)

  useEffect(() => field.current?.focus(), [])

  const submit = async (event: Event) => {
    event.preventDefault()
    setBusy(true)
    const password = field.current?.value ?? ""
    const session = await call((client) => client.session.login({ payload: { password } }))
    setBusy(false)
    if (Result.isSuccess(session)) return onEnter()
    const error = session.failure
    setMessage(
      error?._tag === "WrongPassword"
        ? "That is not the password."
        : error?._tag === "TooManyAttempts"
          ? `Too many attempts. Wait ${error.retryAfterSeconds} s, then try again.`
          : "The portal does not answer. Try again in a moment."
    )
    field.current?.select()
  }

  return (
    <main class="cover">
      <form class="login" onSubmit={(event: TargetedSubmitEvent<HTMLFormElement>) => void submit(event)}>
        <Mark />
        <h1>Kalshi recorder</h1>
        <label for="password">Password</label>
        <input
          id="password"
          ref={field}
          type="password"
          autocomplete="current-password"
          required
          aria-describedby="login-message"
          aria-invalid={message !== ""}
        />
        <p id="login-message" role="alert">
          {message}
        </p>
        <button type="submit" class="primary" disabled={busy}>
          {busy ? "Signing in…" : "Sign in"}
        </button>
      </form>
    </main>
  )
}
