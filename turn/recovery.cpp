#include "turn/recovery.hpp"

namespace p2p::turn {

P2pTurnReason
reason_of (const Reply &reply) {
  if (reply.kind == Reply::Kind::timeout) return P2P_TURN_REASON_TIMEOUT;
  switch (reply.code) {
    case 300:
      return P2P_TURN_REASON_TRY_ALTERNATE;
    case 400:
      return P2P_TURN_REASON_BAD_REQUEST;
    case 401:
      return P2P_TURN_REASON_UNAUTHORIZED;
    case 403:
      return P2P_TURN_REASON_FORBIDDEN;
    case 405:
      return P2P_TURN_REASON_MOBILITY_FORBIDDEN;
    case 420:
      return P2P_TURN_REASON_UNKNOWN_ATTRIBUTE;
    case 437:
      return P2P_TURN_REASON_ALLOCATION_MISMATCH;
    case 438:
      return P2P_TURN_REASON_STALE_NONCE;
    case 440:
      return P2P_TURN_REASON_ADDRESS_FAMILY;
    case 441:
      return P2P_TURN_REASON_WRONG_CREDENTIALS;
    case 442:
      return P2P_TURN_REASON_UNSUPPORTED_TRANSPORT;
    case 443:
      return P2P_TURN_REASON_PEER_ADDRESS_FAMILY;
    case 446:
      return P2P_TURN_REASON_CONNECTION_EXISTS;
    case 447:
      return P2P_TURN_REASON_CONNECTION_FAILED;
    case 486:
      return P2P_TURN_REASON_QUOTA;
    case 487:
      return P2P_TURN_REASON_ROLE_CONFLICT;
    case 500:
      return P2P_TURN_REASON_SERVER_ERROR;
    case 508:
      return P2P_TURN_REASON_CAPACITY;
    default:
      return P2P_TURN_REASON_PROTOCOL;
  }
}

const char *
reason_text (P2pTurnReason reason) {
  switch (reason) {
    case P2P_TURN_REASON_NONE:
      return "nothing";
    case P2P_TURN_REASON_TRY_ALTERNATE:
      return "the server names another one";
    case P2P_TURN_REASON_BAD_REQUEST:
      return "the server calls the request malformed";
    case P2P_TURN_REASON_UNAUTHORIZED:
      return "the server does not accept user and password";
    case P2P_TURN_REASON_FORBIDDEN:
      return "the server forbids it";
    case P2P_TURN_REASON_MOBILITY_FORBIDDEN:
      return "the server forbids mobility";
    case P2P_TURN_REASON_UNKNOWN_ATTRIBUTE:
      return "the server does not know what was asked for";
    case P2P_TURN_REASON_ALLOCATION_MISMATCH:
      return "the server has another idea of which allocations there are";
    case P2P_TURN_REASON_STALE_NONCE:
      return "the server calls every nonce stale";
    case P2P_TURN_REASON_ADDRESS_FAMILY:
      return "the server has no relay address of that family";
    case P2P_TURN_REASON_WRONG_CREDENTIALS:
      return "the allocation belongs to another user";
    case P2P_TURN_REASON_UNSUPPORTED_TRANSPORT:
      return "the server does not relay UDP";
    case P2P_TURN_REASON_PEER_ADDRESS_FAMILY:
      return "the relay has no address of the peer's family";
    case P2P_TURN_REASON_CONNECTION_EXISTS:
      return "the server has a connection to that peer already";
    case P2P_TURN_REASON_CONNECTION_FAILED:
      return "the server cannot reach that peer";
    case P2P_TURN_REASON_QUOTA:
      return "the user has as many allocations as the server grants";
    case P2P_TURN_REASON_ROLE_CONFLICT:
      return "what answers is an ICE agent and no TURN server";
    case P2P_TURN_REASON_SERVER_ERROR:
      return "the server has an internal error";
    case P2P_TURN_REASON_CAPACITY:
      return "the server has no room left";
    case P2P_TURN_REASON_TIMEOUT:
      return "the server does not answer";
    case P2P_TURN_REASON_DISCONNECTED:
      return "the connection to the server has ended";
    case P2P_TURN_REASON_PROTOCOL:
      return "the server's answer makes no sense";
    case P2P_TURN_REASON_REQUESTED:
      return "the application asked for it";
    case P2P_TURN_REASON_PEER_POLICY:
      return "an address of this kind is never asked for";
  }
  return "";
}

AllocateStep
allocate_step (const Reply &reply) {
  if (reply.kind == Reply::Kind::timeout) return AllocateStep::later;
  switch (reply.code) {
    case 300:
      return AllocateStep::follow;
    case 401:
      return AllocateStep::credentials;
    case 405:
    case 420:
    case 440:
      return AllocateStep::simplify;
    case 437:
    case 438:
    case 441:
      return AllocateStep::other_tuple;
    case 400:
    case 403:
    case 442:
    case 487:
      return AllocateStep::exclude;
    default:
      break;
  }
  // 443, 446 and 447 speak of peers, and there is none: as senseless as no code at all.
  if (reply.code == 0 || reply.code == 443 || reply.code == 446 || reply.code == 447)
    return AllocateStep::later;
  return reply.code == 486 || reply.code / 100 == 5 ? AllocateStep::later : AllocateStep::exclude;
}

RefreshStep
refresh_step (const Reply &reply) {
  if (reply.kind == Reply::Kind::timeout) return RefreshStep::other_tuple;
  switch (reply.code) {
    case 401:
      return RefreshStep::credentials;
    case 300:  // it drains: the Allocate that follows is told where to go
    case 400:
    case 437:
      return RefreshStep::lost;
    case 438:
    case 441:
      return RefreshStep::other_tuple;
    default:
      return RefreshStep::retry;
  }
}

PeerStep
peer_step (const Reply &reply) {
  if (reply.kind == Reply::Kind::timeout) return PeerStep::other_tuple;
  switch (reply.code) {
    case 401:
      return PeerStep::credentials;
    case 400:
      return PeerStep::verify;
    case 403:
    case 443:
    case 446:
    case 447:
      return PeerStep::refuse;
    case 437:
    case 300:
      return PeerStep::lost;
    case 438:
    case 441:
      return PeerStep::other_tuple;
    default:
      return PeerStep::retry;
  }
}

}  // namespace p2p::turn
