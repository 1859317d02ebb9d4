import * as Result from "effect/Result"
import type { ComponentChildren } from "preact"
import { useCallback, useEffect, useState } from "preact/hooks"
import { AccessPage } from "./AccessPage.tsx"
import { SignedOut } from "./access.ts"
import { CoveragePage } from "./CoveragePage.tsx"
import { call } from "./client.ts"
import { EventPage } from "./EventPage.tsx"
import { ExchangeContext, useOverview } from "./exchange.ts"
import { ForecastsPage } from "./ForecastsPage.tsx"
import { HealthPage } from "./HealthPage.tsx"
import { IndexPage } from "./IndexPage.tsx"
import { Login } from "./Login.tsx"
import { MarketPage } from "./MarketPage.tsx"
import { OpportunitiesPage } from "./OpportunitiesPage.tsx"
import { QueuePage } from "./QueuePage.tsx"
import { navigate, usePlace } from "./router.tsx"
import { NotFound } from "./Shell.tsx"

type Access = "asking" | "in" | "out" | "unreachable"

/** A path of this site, whatever the address bar says. */
const nextPath = () => {
  const wanted = new URLSearchParams(location.search).get("next")
  if (wanted === null || !wanted.startsWith("/")) return undefined
  const url = new URL(wanted, location.origin)
  return url.origin === location.origin && url.pathname !== "/login" ? url.pathname + url.search : undefined
}

const decoded = (text: string) => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const Page = () => {
  const { path } = usePlace()
  const [, name = "", ...rest] = path.split("/")
  const argument = decoded(rest.join("/"))
  switch (name) {
    case "":
    case "login":
      return <IndexPage />
    case "event":
      return <EventPage key={argument} ticker={argument} />
    case "market":
      return <MarketPage key={argument} ticker={argument} />
    case "opportunities":
      return <OpportunitiesPage />
    case "forecasts":
      return <ForecastsPage />
    case "coverage":
      return <CoveragePage />
    case "queue":
      return <QueuePage />
    case "health":
      return <HealthPage />
    case "access":
      return <AccessPage />
    default:
      return <NotFound />
  }
}

const Inside = ({ children }: { readonly children: ComponentChildren }) => {
  const exchange = useOverview()
  return <ExchangeContext.Provider value={exchange}>{children}</ExchangeContext.Provider>
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
    if (next?.startsWith("/docs") === true) return location.assign(next)
    if (location.pathname === "/login") navigate(next ?? "/")
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
      return (
        <SignedOut.Provider value={() => setAccess("out")}>
          <Inside>
            <Page />
          </Inside>
        </SignedOut.Provider>
      )
  }
}
