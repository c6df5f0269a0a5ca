// The source where there is no rtnetlink: GNetworkMonitor says when, getifaddrs() says what. As
// GNetworkMonitor is silent when a carrier comes back and late with links that go up, addresses are
// also looked at once a second. Not seen are default routes, whose list stays empty; and an address
// that still looks for its double counts.
#pragma once
#include <glib.h>

#include <memory>

#include "base/scheduler.hpp"
#include "net/network_source.hpp"

namespace p2p {

// `context` and `scheduler` are of the calling thread, which `spoke` is called on.
std::unique_ptr<NetworkSource> make_portable_source (GMainContext *context, Scheduler &scheduler);

}  // namespace p2p
