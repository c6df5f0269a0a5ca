// The part of Link that gives up a stream which would outlive its session, when nobody comes to go
// on with it.
#include "link.hpp"

namespace p2p {
namespace {

// What cannot be mended by waiting.
bool
is_final (const Error &error) {
  switch (error.code) {
    case P2P_ERROR_NOT_AUTHORIZED:
    case P2P_ERROR_INVALID_ARGUMENT:
    case P2P_ERROR_IDENTITY:
    case P2P_ERROR_PROTOCOL:
    case P2P_ERROR_STORE:
    case P2P_ERROR_FENCED:
      return true;
    case P2P_ERROR_FAILED:
    case P2P_ERROR_NOT_CONNECTED:
    case P2P_ERROR_CLOSED:
    case P2P_ERROR_REFUSED:
    case P2P_ERROR_NOT_FOUND:
    case P2P_ERROR_TIMED_OUT:
    case P2P_ERROR_UNREACHABLE:
    case P2P_ERROR_WOULD_BLOCK:
    case P2P_ERROR_MESSAGE_TOO_LARGE:
    case P2P_ERROR_SIGNALING:
    case P2P_ERROR_ID_TAKEN:
    case P2P_ERROR_LIMIT:
    case P2P_ERROR_END_OF_STREAM:
      return false;
  }
  return false;
}

}  // namespace

// The connection is broken or gone. `error`: that removed it.
void
Link::peer_absent (const Status &error) {
  if (settings_.keep_listening || !settings_.resume || !agent_) return;
  if (error && is_final (*error)) {
    fail (*error);
    return;
  }
  if (error) absence_error_ = error;
  if (absence_) return;
  guint timeout_ms = 0;
  g_object_get (agent_->agent (), "peer-comeback-timeout", &timeout_ms, nullptr);
  if (timeout_ms == 0) return;
  absence_ = g_timeout_source_new (timeout_ms);
  g_source_set_callback (
      absence_,
      [] (gpointer data) -> gboolean {
        const auto link = static_cast<std::weak_ptr<Link> *> (data)->lock ();
        if (!link) return G_SOURCE_REMOVE;
        const Error why = link->absence_error_.value_or (
            Error{P2P_ERROR_TIMED_OUT, "The peer left, and did not come back in time."});
        link->peer_present ();
        link->fail (why);
        return G_SOURCE_REMOVE;
      },
      new std::weak_ptr<Link> (weak_from_this ()),
      [] (gpointer data) { delete static_cast<std::weak_ptr<Link> *> (data); });
  g_source_attach (absence_, p2p_get_event_context ());
}

void
Link::peer_present () {
  absence_error_.reset ();
  if (!absence_) return;
  g_source_destroy (absence_);
  g_source_unref (std::exchange (absence_, nullptr));
}

void
Link::complete () {
  const Lock lock (mutex_);
  complete_ = true;
}

}  // namespace p2p
