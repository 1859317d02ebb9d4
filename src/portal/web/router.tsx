import type { ComponentChildren } from "preact"
import { useEffect, useState } from "preact/hooks"

const changed = "portal:navigate"

/** Goes to a page of this site without loading it anew. */
export const navigate = (href: string) => {
  history.pushState(null, "", href)
  dispatchEvent(new Event(changed))
  scrollTo(0, 0)
}

/** Changes the query of the page that is shown, without a step in the history. */
export const replaceQuery = (query: URLSearchParams) => {
  const text = query.toString()
  history.replaceState(null, "", text === "" ? location.pathname : `?${text}`)
}

export interface Place {
  readonly path: string
  readonly query: string
}

const here = (): Place => ({ path: location.pathname, query: location.search })

export const usePlace = (): Place => {
  const [place, setPlace] = useState(here)
  useEffect(() => {
    const onChange = () => setPlace(here())
    addEventListener("popstate", onChange)
    addEventListener(changed, onChange)
    return () => {
      removeEventListener("popstate", onChange)
      removeEventListener(changed, onChange)
    }
  }, [])
  return place
}

export const Link = (props: {
  readonly href: string
  readonly class?: string
  readonly title?: string
  readonly current?: boolean
  readonly children: ComponentChildren
}) => (
  <a
    href={props.href}
    class={props.class}
    title={props.title}
    aria-current={props.current === true ? "page" : undefined}
    onClick={(event) => {
      if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return
      event.preventDefault()
      navigate(props.href)
    }}
  >
    {props.children}
  </a>
)

export const eventHref = (ticker: string) => `/event/${encodeURIComponent(ticker)}`
export const marketHref = (ticker: string) => `/market/${encodeURIComponent(ticker)}`
