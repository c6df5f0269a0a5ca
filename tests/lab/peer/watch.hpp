// Tells what becomes of a connection: its states, its signals, its path, and the program's own
// stalls.
#pragma once
#include <p2p/p2p.h>

#include <functional>
#include <string>

#include "ptr.hpp"
#include "report.hpp"

namespace lab {

class Watch {
 public:
  // `changed` is called for each state, after it was told.
  Watch (P2pConnection *connection, std::function<void (P2pConnectionState)> changed);
  ~Watch ();
  Watch (const Watch &) = delete;
  Watch &operator= (const Watch &) = delete;

  UniqueVariant stats () const { return UniqueVariant (p2p_connection_get_stats (connection_)); }
  // How late the main loop was: what is measured here may be late by as much.
  void tell (Line &line) const;

 private:
  static void on_state (P2pConnection *connection, P2pConnectionState state, const char *reason,
                        gpointer self);
  void connect_by_name (const char *signal);
  void tick ();
  void look_at_path ();

  P2pConnection *const connection_;
  const std::function<void (P2pConnectionState)> changed_;
  guint timer_ = 0;
  std::string path_;
  bool was_connected_ = false;
  double last_tick_ms_, max_stall_ms_ = 0, max_stall_from_ms_ = 0;
};

}  // namespace lab
