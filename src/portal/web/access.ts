import { createContext } from "preact"
import { useContext } from "preact/hooks"

/** Called when the server says that the session is over. */
export const SignedOut = createContext<() => void>(() => {})
export const useSignedOut = () => useContext(SignedOut)
