// What each answer of a server means for the client: the table of docs/turn.md as code.
#pragma once
#include "p2p/p2p-types.h"
#include "turn/requester.hpp"

namespace p2p::turn {

P2pTurnReason reason_of (const Reply &reply);
const char *reason_text (P2pTurnReason reason);

// After an Allocate that failed.
enum class AllocateStep {
  follow,       // ask the server that it names
  credentials,  // ask the application for others
  simplify,     // ask for less
  other_tuple,  // from another local port
  later,        // this server may do it later; another one may do it now
  exclude,      // this server will not do it
};
AllocateStep allocate_step (const Reply &reply);

// After a Refresh that failed.
enum class RefreshStep {
  credentials,
  lost,         // a new allocation, on the same five-tuple
  other_tuple,  // a new allocation, on another five-tuple
  retry,
};
RefreshStep refresh_step (const Reply &reply);

// After a CreatePermission or a ChannelBind that failed.
enum class PeerStep {
  credentials,
  refuse,  // this peer, and no other
  verify,  // is the allocation still there? Old servers do not say it clearly
  lost,
  other_tuple,
  retry,
};
PeerStep peer_step (const Reply &reply);

}  // namespace p2p::turn
