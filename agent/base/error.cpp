#include "p2p/p2p-error.h"

/**
 * P2pError:
 * @P2P_ERROR_FAILED: something failed that no other code names; the message says what
 * @P2P_ERROR_INVALID_ARGUMENT: a URI, JSON text, option or file is malformed; the message names the
 *   field. Correct it and call again
 * @P2P_ERROR_NOT_AUTHORIZED: the peer does not hold the secret or the certificate that was asked
 *   for. Trying again does not help
 * @P2P_ERROR_NOT_FOUND: there is nothing of that name
 * @P2P_ERROR_NOT_CONNECTED: the connection is not up (yet)
 * @P2P_ERROR_CLOSED: the connection or channel was closed, by us or by the peer
 * @P2P_ERROR_REFUSED: the peer does not want the connection
 * @P2P_ERROR_TIMED_OUT: the peer did not answer in time
 * @P2P_ERROR_UNREACHABLE: no path to the peer works; a TURN server may help
 * @P2P_ERROR_MESSAGE_TOO_LARGE: the message is longer than the limit that the error names; use the
 *   channel's stream for it
 * @P2P_ERROR_WOULD_BLOCK: not now; try again when there is room or data
 * @P2P_ERROR_PROTOCOL: the peer or a server sent something malformed
 * @P2P_ERROR_ID_TAKEN: another key holds this id at the meeting point; choose another id
 * @P2P_ERROR_SIGNALING: the rendezvous server cannot be reached or has gone; it is tried again
 * @P2P_ERROR_IDENTITY: the identity file cannot be read, made or used
 * @P2P_ERROR_LIMIT: a limit of ours, of the peer or of the server is reached
 * @P2P_ERROR_END_OF_STREAM: the peer has ended its direction of the channel; nothing more will come
 * @P2P_ERROR_STORE: the session store cannot be opened, read or written; the message says why. What
 *   was not confirmed as written is lost
 * @P2P_ERROR_FENCED: another process has the sessions of this id, or took them over. This one may
 *   not go on with them
 *
 * The codes of the one error domain of this library, %P2P_ERROR. Beside it only
 * %G_IO_ERROR_CANCELLED occurs, when a #GCancellable was cancelled.
 *
 * Since: 1.0
 */

/**
 * p2p_error_quark:
 *
 * The error domain of this library.
 *
 * Returns: the quark
 *
 * Since: 1.0
 */
// clang-format off
G_DEFINE_QUARK (p2p-error-quark, p2p_error)
// clang-format on
