import * as Result from "effect/Result"
import { useCallback, useEffect, useState } from "preact/hooks"
import { call } from "./client.ts"
import { Dashboard } from "./Dashboard.tsx"
import { Login } from "./Login.tsx"

type Access = "asking" | "in" | "out" | "unreachable"

/** A path of this site, whatever the address bar says. */
const nextPath = () => {
  const wanted = new URLSearchParams(location.search).get("next")
  if (wanted === null || !wanted.startsWith("/")) return undefined
  const url = new URL(wanted, location.origin)
  return url.origin === location.origin && url.pathname !== "/login" ? url.pathname + url.search : undefined
}

export const App = () => {
  const [access, setAccess] = useState<Access>("asking")

  const ask = useCallback(async () => {
    const session = await call((client) => client.session.get())
    setAccess(Result.isFailure(session) ? "unreachable" : session.success.signedIn ? "in" : "out")
  }, [])

  useEffect(() => {
    void ask()
  }, [ask])

  const enter = () => {
    const next = nextPath()
    if (next !== undefined) return location.assign(next)
    if (location.pathname === "/login") history.replaceState(null, "", "/")
    setAccess("in")
  }

  switch (access) {
    case "asking":
      return <div class="cover" aria-busy="true" />
    case "unreachable":
      return (
        <main class="cover">
          <div class="notice" role="alert">
            <h1>The portal does not answer</h1>
            <p>It may be restarting. Nothing recorded is lost by this.</p>
            <button type="button" onClick={() => void ask()}>
              Try again
            </button>
          </div>
        </main>
      )
    case "out":
      return <Login onEnter={enter} />
    case "in":
      return <Dashboard onSignedOut={() => setAccess("out")} />
  }
}
