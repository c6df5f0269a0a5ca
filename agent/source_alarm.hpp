// Wakes main contexts from another thread, for sources that wait for something without a
// descriptor.
//
// GLib has no weak reference to a GSource: between the moment its count falls to zero and its
// dispose function, it may neither be used nor referenced. So the list holds a real reference to
// each source, from its first turn in a context until it is destroyed. Nothing else is needed,
// since a source that was attached does not go before it is destroyed.
#pragma once
#include <gio/gio.h>

#include <memory>
#include <mutex>
#include <vector>

namespace p2p {

class SourceAlarm {
 public:
  // Every source of source_new() that waits in a context becomes ready once. Thread-safe.
  void ring ();

  // A source for g_source_add_child_source(): it has nothing to say but that the alarm has rung.
  // Its parent decides in prepare() and dispatch() whether there is anything to do.
  static GSource *source_new (std::shared_ptr<SourceAlarm> alarm);

 private:
  struct Source;
  struct Life;

  void add (GSource *source, const Life &life);
  void end (GSource *source, Life &life);

  std::mutex mutex_;
  std::vector<GSource *> sources_;  // with a reference to each; guarded by mutex_
};

}  // namespace p2p
