// Whom TLS and DTLS believe to be the server.
#pragma once
#include <gio/gio.h>

#include "base/ptr.hpp"

namespace p2p::turn {

// Before the handshake of a GTlsConnection or GDtlsConnection. No database: that of the system.
void trust_only (GObject *connection, Ref<GTlsDatabase> database, Ref<GSocketConnectable> identity);

}  // namespace p2p::turn
