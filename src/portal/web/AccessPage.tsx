import * as Result from "effect/Result"
import { useState } from "preact/hooks"
import { useSignedOut } from "./access.ts"
import { call } from "./client.ts"
import { Shell } from "./Shell.tsx"
import { Empty, Section, Shown } from "./states.tsx"
import { Table } from "./Table.tsx"
import { When, WhenKnown } from "./times.tsx"
import { useAsk } from "./useAsk.ts"

export const AccessPage = () => {
  const onSignedOut = useSignedOut()
  const tokens = useAsk("tokens", (client) => client.access.tokens())
  const [name, setName] = useState("")
  const [days, setDays] = useState("90")
  const [made, setMade] = useState<string>()
  const [said, setSaid] = useState("")

  const create = async (event: Event) => {
    event.preventDefault()
    const payload = days === "" ? { name } : { name, days: Number(days) }
    const answer = await call((client) => client.access.createToken({ payload }))
    if (Result.isFailure(answer)) return setSaid("Not done: give it a name and a whole number of days, or none.")
    setSaid("")
    setMade(answer.success.token)
    setName("")
    tokens.reload()
  }
  const revoke = async (id: string) => {
    await call((client) => client.access.revokeToken({ params: { id } }))
    tokens.reload()
  }
  const everywhere = async () => {
    const answer = await call((client) => client.access.logoutEverywhere())
    if (Result.isSuccess(answer)) onSignedOut()
    else setSaid("Not done: try again later.")
  }

  return (
    <Shell title="Access">
      <div class="title">
        <h1>Access</h1>
        <p class="quiet prose">
          Programs read the <a href="/docs">API</a> with a token: <code>Authorization: Bearer …</code>. A token can read
          everything and change nothing.
        </p>
        <p role="status" class="alarm-text">
          {said}
        </p>
      </div>
      <Section id="new" title="New token">
        <form class="at" onSubmit={(event) => void create(event)}>
          <label>
            <span>Name</span>
            <input
              type="text"
              required
              maxLength={100}
              value={name}
              placeholder="notebook"
              onInput={(event) => setName(event.currentTarget.value)}
            />
          </label>
          <label>
            <span>Days</span>
            <input
              type="number"
              min={1}
              max={3650}
              value={days}
              onInput={(event) => setDays(event.currentTarget.value)}
            />
          </label>
          <button type="submit" class="primary">
            Create
          </button>
        </form>
        {made !== undefined && (
          <div class="notice made" role="status">
            <p>Copy it now; it is not shown again.</p>
            <code>{made}</code>
          </div>
        )}
      </Section>
      <Section id="tokens" title="Tokens">
        <Shown asked={tokens} rows={3}>
          {(rows) =>
            rows.length === 0 ? (
              <Empty>No program has access.</Empty>
            ) : (
              <Table
                rows={rows}
                keyOf={({ id }) => id}
                columns={[
                  { name: "Name", heads: "name", cell: ({ name }) => name },
                  { name: "Created", cell: ({ createdAt }) => <When time={createdAt} /> },
                  {
                    name: "Expires",
                    show: "mid",
                    cell: ({ expiresAt }) => (expiresAt === null ? "never" : <When time={expiresAt} />)
                  },
                  { name: "Last used", show: "mid", cell: ({ lastUsedAt }) => <WhenKnown time={lastUsedAt} /> },
                  {
                    name: "Revoke",
                    cell: ({ id }) => (
                      <button type="button" onClick={() => void revoke(id)}>
                        Revoke
                      </button>
                    )
                  }
                ]}
              />
            )
          }
        </Shown>
      </Section>
      <Section id="sessions" title="Sessions">
        <p class="prose">Signs out every browser, this one too. Tokens stay.</p>
        <button type="button" class="danger" onClick={() => void everywhere()}>
          Sign out everywhere
        </button>
      </Section>
    </Shell>
  )
}
