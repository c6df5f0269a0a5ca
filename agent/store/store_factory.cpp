#include "store/store_factory.hpp"

#include "base/loop_thread.hpp"
#include "store/memory_store.hpp"

namespace p2p {

Result<std::unique_ptr<SessionStore>>
make_session_store (const std::string &uri, const std::string &) {
  const auto colon = uri.find (':');
  const std::string scheme = uri.substr (0, colon);
  if (scheme == "memory" && colon != std::string::npos)
    return std::unique_ptr<SessionStore> (std::make_unique<MemoryStore> (
        core_loop ().scheduler (), named_memory_disk (uri.substr (colon + 1))));
  return Error{P2P_ERROR_INVALID_ARGUMENT,
               "The session store's URI must begin with sqlite: or redis://."};
}

}  // namespace p2p
