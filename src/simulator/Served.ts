import type { Duplex } from "node:stream"
import type { Request } from "./Front.ts"
import type { Outbox } from "./Outbox.ts"
import type { Reply } from "./Reply.ts"
import type { Session } from "./Session.ts"
import type { Verifier } from "./Verifier.ts"

/** The way to the other end of a connection. */
export interface Link {
  /** 1006 cuts without a close frame. */
  readonly close: (code: number) => void
  readonly ping: () => void
  /** Reads nothing more, as if the other end had gone. */
  readonly deafen: () => void
}

export interface Connection {
  readonly session: Session
  readonly outbox: Outbox
  readonly link: Link
  halfOpenSince: number | undefined
}

/** Routes beside those of the exchange, for whoever runs it: all that begin with the prefix. */
export interface Control {
  readonly prefix: string
  readonly handle: (method: string, target: string, body: string) => Promise<Reply>
}

/** An exchange without its sockets: what `startServer` puts on a port. */
export interface Served {
  readonly verifier: Verifier
  readonly connections: ReadonlySet<Connection>
  /** The status that every upgrade is refused with; nothing while they are welcome. */
  readonly upgradeStatus: number | undefined
  /** Wants another beat at once. */
  readonly lagging: boolean
  answer(request: Request): Promise<Reply>
  connect(socket: Duplex, link: Link): Connection
  disconnect(connection: Connection): void
  dropConnections(code: number): number
  /** One beat: what is due goes to the sockets. */
  tick(): void
  /** A socket takes more again. */
  drained(connection: Connection): void
  close(): void
}
