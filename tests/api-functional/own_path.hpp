// A P2pPathFactory as an application would write it, over a queue in the process.
#pragma once
#include <p2p/p2p.h>

#include "peers.hpp"

// Where the two ends meet: both agents' factories share one.
struct OwnPathSettings {
  guint drop_every = 0;  // each nth datagram is refused by send(); 0: none
  guint max_datagram = 1400;
  bool fail_open = false;
  bool send_hello = false;  // each factory says hello to its counterpart before it opens
};

Object<P2pPathFactory> own_factory_new (const OwnPathSettings &settings = {});
// The factory that meets this one: what is opened on one is joined to what is opened on the other.
Object<P2pPathFactory> own_factory_new_for (P2pPathFactory *other);
guint own_factory_opened (P2pPathFactory *factory);
guint own_factory_closed (P2pPathFactory *factory);
guint own_factory_messages (P2pPathFactory *factory);  // that came from the counterpart
// Breaks the paths that are open.
void own_factory_fail (P2pPathFactory *factory, const char *why);
// Puts datagrams in from outside, all at once, before the library can take any.
void own_factory_flood (P2pPathFactory *factory, guint count, gsize bytes);
