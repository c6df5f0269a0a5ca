// What this machine has by itself: addresses, routes, and what its kernel offers for UDP.
#pragma once
#include <glib.h>

#include "doctor/findings.hpp"

namespace p2p::doctor {

MachineFound look_at_machine (GMainContext *context);

}  // namespace p2p::doctor
