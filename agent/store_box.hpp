// Changes of a store as the C API has them, and stores as objects of the C API.
#pragma once
#include <atomic>
#include <memory>

#include "facade.hpp"
#include "p2p/p2p-session-store.h"
#include "store/session_store.hpp"

struct _P2pStoreChange {
  std::atomic<int> references;
  p2p::StoreChange content;
};

namespace p2p {

// (transfer full)
P2pStoreChange *store_change_box_new (StoreChange change);

// The store that the object stands for: one of the library's own, or the application's behind an
// adapter that calls it in `context`. Core thread only.
Result<std::unique_ptr<SessionStore>> session_store_of (P2pSessionStore *object,
                                                        Ref<GMainContext> context);

// What p2p_session_store_new_for_uri() was given.
struct StoreSpec {
  std::string uri, key_file;
};
StoreSpec uri_session_store_spec (P2pUriSessionStore *self);
// The object for a spec that was checked.
P2pSessionStore *uri_session_store_new (const StoreSpec &spec);

}  // namespace p2p
