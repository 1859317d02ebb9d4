import type { ComponentChildren } from "preact"
import { useContext, useEffect } from "preact/hooks"
import { useSignedOut } from "./access.ts"
import { call } from "./client.ts"
import { ExchangeContext } from "./exchange.ts"
import { Mark } from "./Mark.tsx"
import { Link, usePlace } from "./router.tsx"
import { Empty } from "./states.tsx"
import type { Link as LinkState } from "./useLive.ts"

const places = [
  ["/", "Markets"],
  ["/opportunities", "Opportunities"],
  ["/forecasts", "Forecasts"],
  ["/coverage", "Coverage"],
  ["/queue", "Queue"],
  ["/health", "Health"]
] as const

const linkText: Readonly<Record<LinkState, string>> = {
  connecting: "connecting",
  live: "live",
  lost: "disconnected, trying again",
  blind: "stale: the database connection is lost"
}

/** What surrounds every page. `link`: whether the page follows what happens; absent for pages that do not. */
export const Shell = (props: {
  readonly title: string
  readonly link?: LinkState
  readonly children: ComponentChildren
}) => {
  const { path } = usePlace()
  const { seen } = useContext(ExchangeContext)
  const onSignedOut = useSignedOut()
  useEffect(() => {
    document.title = props.title === "" ? "Kalshi recorder" : `${props.title} · Kalshi recorder`
  }, [props.title])
  const section = path.startsWith("/event") || path.startsWith("/market") || path === "/login" ? "/" : path
  const speed = seen?.overview.exchangeSpeed ?? 1
  const stale = props.link === "lost" || props.link === "blind"

  const logout = async () => {
    await call((client) => client.session.logout())
    onSignedOut()
  }

  return (
    <>
      <a class="skip" href="#content">
        Skip to content
      </a>
      <header>
        <div class="brand">
          <Link href="/" class="home">
            <Mark />
            <span>Kalshi recorder</span>
          </Link>
          {seen?.overview.simulated === true && (
            <span class="badge" title={`Its clock runs ${speed} times as fast as ours.`}>
              simulated{speed === 1 ? "" : ` · ${speed}×`}
            </span>
          )}
        </div>
        <nav aria-label="Pages" class="pages">
          {places.map(([href, name]) => (
            <Link key={href} href={href} current={section === href}>
              {name}
            </Link>
          ))}
        </nav>
        <div class="aside">
          {props.link !== undefined && (
            <span class={`link ${props.link}`} role="status">
              {linkText[props.link]}
            </span>
          )}
          <a href="/docs">API</a>
          <Link href="/access" current={section === "/access"}>
            Access
          </Link>
          <button type="button" class="plain" onClick={() => void logout()}>
            Sign out
          </button>
        </div>
      </header>
      <main id="content" class={stale ? "stale" : ""}>
        {props.children}
      </main>
      <footer>
        <span>Times are yours; hover for UTC.</span>
        <span>
          Charts by{" "}
          <a href="https://www.tradingview.com/lightweight-charts/" rel="noreferrer">
            TradingView Lightweight Charts
          </a>
        </span>
      </footer>
    </>
  )
}

export const NotFound = () => (
  <Shell title="Not found">
    <h1 class="hidden">Not found</h1>
    <Empty>There is no such page.</Empty>
  </Shell>
)
