// A P2pPathFactory of the application as a source of paths for the core. Calls go to the agent's
// main context; what the application says comes back to the core thread.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "core/path_source.hpp"
#include "facade.hpp"
#include "p2p/p2p-path.h"

namespace p2p {

// Where the messages of a factory find their attempt; belongs to the GObject. Thread-safe.
class PathFactoryHub {
 public:
  static std::shared_ptr<PathFactoryHub> of (P2pPathFactory *factory);
  using Send = std::function<void (Ref<GBytes>)>;

  // The latest attempt from `id` to `peer` gets the messages.
  void add (const std::string &id, const std::string &peer, std::shared_ptr<Send> send);
  void remove (const std::string &id, const std::string &peer, const std::shared_ptr<Send> &send);
  void emit (const std::string &id, const std::string &peer, GBytes *message);

 private:
  std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, std::shared_ptr<Send>> sends_;  // guarded by mutex_
};

std::shared_ptr<PathSource> make_object_path_source (P2pPathFactory *factory,
                                                     Ref<GMainContext> context);

}  // namespace p2p
