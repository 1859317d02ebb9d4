import type { ComponentType } from "preact"
import { useEffect, useState } from "preact/hooks"

/** A component whose code is fetched when it is first shown. */
export const lazily = <P extends object>(load: () => Promise<{ readonly default: ComponentType<P> }>) => {
  let known: ComponentType<P> | undefined
  return (props: P) => {
    const [Loaded, setLoaded] = useState<{ readonly it: ComponentType<P> } | undefined>(
      known === undefined ? undefined : { it: known }
    )
    useEffect(() => {
      if (known !== undefined) return
      void load().then((module) => {
        known = module.default
        setLoaded({ it: module.default })
      })
    }, [])
    return Loaded === undefined ? <div class="chart" aria-busy="true" /> : <Loaded.it {...props} />
  }
}
