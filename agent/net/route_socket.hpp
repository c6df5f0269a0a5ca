// The kernel as a source: rtnetlink. A notification only says that something has changed; what,
// is asked anew. So nothing is missed that the kernel does not tell, such as the IPv4 routes that
// go with a link, nor what it could not tell because our queue was full (ENOBUFS).
#pragma once
#include <glib.h>

#include <memory>
#include <vector>

#include "base/error.hpp"
#include "base/fd_watch.hpp"
#include "net/network_source.hpp"
#include "net/route_table.hpp"

namespace p2p {

struct RouteSocketStats {
  std::uint64_t notifications = 0;  // datagrams
  std::uint64_t overruns = 0;       // times that the kernel dropped some
  std::uint64_t malformed = 0;      // messages, and datagrams that were cut short
};

class RouteSocket final : public NetworkSource {
 public:
  // Fails where there is no rtnetlink, or it may not be used. Of the thread of `context`.
  static Result<std::unique_ptr<RouteSocket>> create (GMainContext *context);
  ~RouteSocket () override;

  void start (std::function<void ()> spoke) override;
  // Links, addresses and the default routes of the main table, without waiting.
  std::optional<NetworkSnapshot> read () override;
  const RouteSocketStats &stats () const { return stats_; }

 private:
  RouteSocket (GMainContext *context, int fd);
  void on_readable ();

  GMainContext *const context_;
  const int fd_;
  std::vector<std::uint8_t> buffer_;
  RouteTable table_;  // as last read, then as told
  RouteSocketStats stats_;
  std::function<void ()> spoke_;
  std::unique_ptr<FdWatch> watch_;
};

}  // namespace p2p
