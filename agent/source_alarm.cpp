#include "source_alarm.hpp"

#include <algorithm>
#include <utility>

namespace p2p {

struct SourceAlarm::Life {
  bool ended = false;  // the source was destroyed; guarded by the alarm's mutex
};

struct SourceAlarm::Source {
  struct Content {
    std::shared_ptr<SourceAlarm> alarm;
    std::shared_ptr<Life> life;
    bool listed = false;  // only the thread that iterates the context looks at it
  };
  // What GLib lets go of when the source is destroyed, or else after it was finalized.
  struct Watch {
    std::shared_ptr<SourceAlarm> alarm;
    std::shared_ptr<Life> life;
    GSource *source;
  };
  GSource parent;
  Content *content;

  static gboolean prepare (GSource *source, gint *timeout_ms) {
    *timeout_ms = -1;
    Content &content = *reinterpret_cast<Source *> (source)->content;
    // In time for the parent's first look: GLib asks children before their parents.
    if (!std::exchange (content.listed, true)) content.alarm->add (source, *content.life);
    return FALSE;
  }
  static gboolean dispatch (GSource *source, GSourceFunc, gpointer) {
    // What changes from now on rings again; what changed before is seen by the parent's next look.
    g_source_set_ready_time (source, -1);
    return G_SOURCE_CONTINUE;
  }
  static void finalize (GSource *source) { delete reinterpret_cast<Source *> (source)->content; }
  static gboolean callback (gpointer) { return G_SOURCE_CONTINUE; }
  static void destroyed (gpointer data) {
    const std::unique_ptr<Watch> watch (static_cast<Watch *> (data));
    watch->alarm->end (watch->source, *watch->life);
  }
};

GSource *
SourceAlarm::source_new (std::shared_ptr<SourceAlarm> alarm) {
  static GSourceFuncs funcs = {Source::prepare,  nullptr, Source::dispatch,
                               Source::finalize, nullptr, nullptr};
  GSource *source = g_source_new (&funcs, sizeof (Source));
  g_source_set_static_name (source, "p2p alarm");
  const auto life = std::make_shared<Life> ();
  // GLib tells of a source's destruction only by letting go of its callback's data.
  g_source_set_callback (source, Source::callback, new Source::Watch{alarm, life, source},
                         Source::destroyed);
  reinterpret_cast<Source *> (source)->content = new Source::Content{std::move (alarm), life};
  return source;
}

void
SourceAlarm::add (GSource *source, const Life &life) {
  const std::lock_guard lock (mutex_);
  if (!life.ended) sources_.push_back (g_source_ref (source));
}

void
SourceAlarm::end (GSource *source, Life &life) {
  {
    const std::lock_guard lock (mutex_);
    life.ended = true;
    const auto found = std::find (sources_.begin (), sources_.end (), source);
    if (found == sources_.end ()) return;
    sources_.erase (found);
  }
  g_source_unref (source);
}

void
SourceAlarm::ring () {
  // GLib is called under the lock, so that no context goes before its sources have gone from here:
  // one that is freed waits in end(). GLib has no context locked when it calls our functions.
  const std::lock_guard lock (mutex_);
  for (GSource *source : sources_) g_source_set_ready_time (source, 0);
}

}  // namespace p2p
