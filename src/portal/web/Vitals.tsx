import type { Overview } from "../SystemApi.ts"
import { count, periodWord } from "./format.ts"
import { Link } from "./router.tsx"

/** Whether what records is well, what the queue has to do, and what is recorded at all; one quiet line. */
export const Vitals = (props: { readonly overview: Overview | undefined; readonly periods: ReadonlyArray<string> }) => {
  const { overview } = props
  if (overview === undefined) return <p class="vitals" />
  const { programs, queue } = overview
  return (
    <div class="vitals">
      <ul aria-label="Programs">
        {programs.length === 0 && <li class="alarm-text">no program gives a sign of life</li>}
        {programs.map(({ running, service, well }) => (
          <li key={service}>
            <Link href="/health" title={`${well} of ${running} running are well`}>
              <i class={`dot ${well === running ? "on" : "off"}`} /> {service}
              {well === running ? (running === 1 ? "" : ` × ${running}`) : ` ${well} of ${running} well`}
              <span class="hidden">{well === running ? " is well" : " is not well"}</span>
            </Link>
          </li>
        ))}
        <li>
          <Link href="/queue">
            <i class={`dot ${queue.failed > 0 ? "off" : queue.workers > 0 ? "on" : "idle"}`} /> queue{" "}
            {count(queue.waiting)} waiting, {count(queue.running)} running
            {queue.failed > 0 && <span class="alarm-text">, {count(queue.failed)} failed</span>}
          </Link>
        </li>
      </ul>
      {props.periods.length > 0 && (
        <p>Recorded here: {props.periods.toSorted().toReversed().map(periodWord).join(" and ").toLowerCase()} events</p>
      )}
    </div>
  )
}
