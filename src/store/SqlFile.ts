/** A file of several statements as one, as the protocol wants: it runs in the caller's transaction, so it has no BEGIN or COMMIT of its own. */
export const asOneStatement = (text: string): string => `do $migrate$ begin execute $file$${text}$file$; end $migrate$`
