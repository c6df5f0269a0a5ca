// Waits for a descriptor without a place in GLib's poll array: all watches of one main context
// share one epoll descriptor there, so that a quiet one costs a loop nothing, however many there
// are. Several may watch the same descriptor.
#pragma once
#include <glib.h>

#include <functional>
#include <memory>

namespace p2p {

class EpollSet;

class FdWatch {
 public:
  // Null is the default main context. `ready` is called on the context's thread with what is there,
  // for as long as it is there; errors and hang-ups count as every one of `events`. On that thread
  // as well: made, changed and destroyed, also from inside of `ready`. The descriptor should stay
  // open for as long as this lives.
  FdWatch (GMainContext *context, int fd, GIOCondition events,
           std::function<void (GIOCondition)> ready);
  ~FdWatch ();
  FdWatch (const FdWatch &) = delete;
  FdWatch &operator= (const FdWatch &) = delete;

  void set_events (GIOCondition events);  // none, 0, sleeps
  // Tells the kernel anew what is wanted: the descriptor may have been closed and its number given
  // to another one.
  void renew ();

 private:
  friend class EpollSet;
  const std::shared_ptr<EpollSet> set_;
  const int fd_;
  GIOCondition events_;
  // A copy is kept during a call, which may end the watch.
  const std::shared_ptr<std::function<void (GIOCondition)>> ready_;
};

}  // namespace p2p
