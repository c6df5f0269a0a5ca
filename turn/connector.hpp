// From a target to a connection: names looked up, addresses tried side by side (RFC 8305), proxies
// passed, certificates checked.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/error.hpp"
#include "turn/connection.hpp"
#include "turn/server.hpp"

namespace p2p::turn {

struct ConnectorOptions {
  Ref<GTlsDatabase> tls_database;      // none: that of the system
  Ref<GProxyResolver> proxy_resolver;  // none: that of the system
  std::optional<Address> local;        // to send from; its port may be 0
};

class Connector {
 public:
  using Done = std::function<void (Result<std::shared_ptr<Connection>>)>;
  static constexpr TimeUs kLimit = 10 * kSecond;
  static constexpr TimeUs kAttemptDelay = 250 * kMillisecond;  // RFC 8305 section 5
  static constexpr TimeUs kProbeLimit = 2 * kSecond;

  // On the context's thread, where it is the thread's default; `done` is called once, never from
  // inside. Destroying it ends all.
  Connector (GMainContext *context, Scheduler &scheduler, const Target &target,
             const ConnectorOptions &options, Done done);
  ~Connector ();
  Connector (const Connector &) = delete;
  Connector &operator= (const Connector &) = delete;

 private:
  struct State;
  const std::shared_ptr<State> state_;
};

// Families in turn, beginning with that of the first (RFC 8305 section 4).
std::vector<Address> interleaved (const std::vector<Address> &addresses);

}  // namespace p2p::turn
