// Sources are woken by one thread while another creates and destroys them.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "source_alarm.hpp"

namespace {

using p2p::SourceAlarm;

// As a pollable stream's: a parent that looks for itself, and the alarm below it.
GSource *
make_source (const std::shared_ptr<SourceAlarm> &alarm) {
  static GSourceFuncs funcs = {nullptr, nullptr, nullptr, nullptr, nullptr, nullptr};
  funcs.dispatch = [] (GSource *, GSourceFunc callback, gpointer data) { return callback (data); };
  GSource *source = g_source_new (&funcs, sizeof (GSource));
  GSource *child = SourceAlarm::source_new (alarm);
  g_source_add_child_source (source, child);
  g_source_unref (child);
  return source;
}

void
count_calls (GSource *source, int *calls) {
  g_source_set_callback (
      source,
      [] (gpointer data) -> gboolean {
        ++*static_cast<int *> (data);
        return G_SOURCE_CONTINUE;
      },
      calls, nullptr);
}

class Ringing {
 public:
  explicit Ringing (std::shared_ptr<SourceAlarm> alarm)
      : thread_ ([this, alarm = std::move (alarm)] {
          while (!over_) {
            alarm->ring ();
            ++times_;
          }
        }) {
    while (times_ == 0) std::this_thread::yield ();
  }
  ~Ringing () {
    over_ = true;
    thread_.join ();
  }
  Ringing (const Ringing &) = delete;
  Ringing &operator= (const Ringing &) = delete;

 private:
  std::atomic<bool> over_{false};
  std::atomic<unsigned> times_{0};
  std::thread thread_;
};

}  // namespace

TEST (Alarm, SourcesAreDestroyedWhileItRings) {
  const auto alarm = std::make_shared<SourceAlarm> ();
  const Ringing ringing (alarm);
  int calls = 0;
  for (int round = 0; round < 20000; ++round) {
    GMainContext *context = g_main_context_new ();
    std::vector<GSource *> sources;
    for (int i = 0; i < 8; ++i) {
      sources.push_back (make_source (alarm));
      count_calls (sources.back (), &calls);
      g_source_attach (sources.back (), context);
    }
    g_main_context_iteration (context, FALSE);
    const bool context_first = round % 2 != 0;
    if (context_first) g_main_context_unref (context);
    for (GSource *source : sources) {
      g_source_destroy (source);
      g_source_unref (source);
    }
    if (!context_first) g_main_context_unref (context);
  }
  EXPECT_EQ (alarm.use_count (), 2);  // ours and the thread's: no source is left behind
}

TEST (Alarm, SourceIsDestroyedByAnotherThreadThanIteratesItsContext) {
  const auto alarm = std::make_shared<SourceAlarm> ();
  GMainContext *context = g_main_context_new ();
  std::atomic<bool> over{false};
  std::thread iterating ([&] {
    while (!over) g_main_context_iteration (context, FALSE);
  });
  {
    const Ringing ringing (alarm);
    int calls = 0;
    for (int round = 0; round < 20000; ++round) {
      GSource *source = make_source (alarm);
      count_calls (source, &calls);
      g_source_attach (source, context);
      g_source_destroy (source);
      g_source_unref (source);
    }
  }
  over = true;
  iterating.join ();
  g_main_context_unref (context);
  EXPECT_EQ (alarm.use_count (), 1);
}

TEST (Alarm, RingsOnceForEachSource) {
  const auto alarm = std::make_shared<SourceAlarm> ();
  GSource *source = make_source (alarm);
  int calls = 0;
  count_calls (source, &calls);
  g_source_attach (source, nullptr);
  while (g_main_context_iteration (nullptr, FALSE)) {
  }
  EXPECT_EQ (calls, 0);
  alarm->ring ();
  alarm->ring ();
  while (g_main_context_iteration (nullptr, FALSE)) {
  }
  EXPECT_EQ (calls, 1);
  g_source_destroy (source);
  g_source_unref (source);
  EXPECT_EQ (alarm.use_count (), 1);
}

TEST (Alarm, SourceThatWasNeverAttachedIsFreed) {
  const auto alarm = std::make_shared<SourceAlarm> ();
  g_source_unref (make_source (alarm));
  EXPECT_EQ (alarm.use_count (), 1);
}
