import { createHash } from "node:crypto"
import * as os from "node:os"
import * as path from "node:path"
import * as Setting from "../runtime/Setting.ts"

/** Where programs listen for admin calls. */
export const settings = {
  socket: Setting.boolean(
    "SERVICE_ADMIN_SOCKET",
    "listen for admin calls on a Unix socket in DATA_DIR/run, which only this user can open",
    true
  ),
  port: Setting.portOption(
    "SERVICE_ADMIN_PORT",
    "listens for admin calls on this port too; needs SERVICE_ADMIN_TOKEN",
    9201
  ),
  host: Setting.textOr("SERVICE_ADMIN_HOST", "address the admin port listens on", "127.0.0.1"),
  token: Setting.secret("SERVICE_ADMIN_TOKEN", "who has it may make admin calls on the port; 16 characters or more")
}

/** A Unix socket's path must be shorter than this. */
const longestPath = 104
/** `predictor-0123456789.sock` */
const longestName = 32

/** The directory of the sockets of programs whose DATA_DIR this is; in the system's own where DATA_DIR is too long for a socket. */
export const socketDirectory = (dataDir: string): string => {
  const usual = path.resolve(dataDir, "run")
  if (usual.length + 1 + longestName < longestPath) return usual
  const digest = createHash("sha256").update(usual).digest("hex").slice(0, 16)
  return path.join(os.tmpdir(), `kalshi-ingestor-${os.userInfo().uid}-${digest}`)
}

export const shortestToken = 16
export const rpcPath = "/rpc"
