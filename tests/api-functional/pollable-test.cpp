// Sources of a channel's pollable stream come and go on one thread while the library's thread wakes
// them.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "peers.hpp"

namespace {

// Main contexts of their own: their sources are destroyed in all the ways that there are.
class Context {
 public:
  Context () : context_ (g_main_context_new ()) {}
  ~Context () {
    if (context_) g_main_context_unref (context_);
  }
  Context (const Context &) = delete;
  Context &operator= (const Context &) = delete;
  GMainContext *get () const { return context_; }
  void drop () { g_main_context_unref (std::exchange (context_, nullptr)); }

 private:
  GMainContext *context_;
};

class Pollable : public testing::Test {
 protected:
  void SetUp () override {
    ASSERT_TRUE (peers.connect ());
    ASSERT_TRUE (peers.open_channel ("ticks"));
    input = G_POLLABLE_INPUT_STREAM (
        g_io_stream_get_input_stream (p2p_channel_get_io_stream (peers.bobs.get ())));
  }
  void TearDown () override { EXPECT_TRUE (peers.close ()); }

  GSource *make_source (GCancellable *cancellable = nullptr) {
    GSource *source = g_pollable_input_stream_create_source (input, cancellable);
    const GPollableSourceFunc count = [] (GObject *, gpointer data) -> gboolean {
      ++*static_cast<int *> (data);
      return G_SOURCE_CONTINUE;
    };
    g_source_set_callback (source, G_SOURCE_FUNC (count), &calls, nullptr);
    return source;
  }

  Peers peers{p2p_memory_network_new (1)};
  GPollableInputStream *input = nullptr;
  int calls = 0;
};

void
destroy (GSource *source) {
  g_source_destroy (source);
  g_source_unref (source);
}

}  // namespace

TEST_F (Pollable, SourcesComeAndGoWhileTheChannelIsBusy) {
  std::atomic<bool> over{false};
  // Bytes that nobody takes at first, then confirmations: both are activity of bob's channel.
  std::thread ticks ([&] {
    while (!over) {
      send_text (peers.alices.get (), "tick");
      send_text (peers.bobs.get (), "tack");
      while (P2pMessage *taken = p2p_channel_try_receive (peers.alices.get (), nullptr))
        p2p_message_unref (taken);
    }
  });
  char buffer[256];
  for (int round = 0; round < 4000; ++round) {
    Context context;
    std::vector<GSource *> sources;
    for (int i = 0; i < 8; ++i) {
      sources.push_back (make_source ());
      g_source_attach (sources.back (), context.get ());
    }
    g_main_context_iteration (context.get (), FALSE);
    if (round % 2 == 0) {
      for (GSource *source : sources) destroy (source);
    } else {
      // The context goes first, and takes its sources along.
      context.drop ();
      for (GSource *source : sources) g_source_unref (source);
    }
    // What waits is taken, so that the next sources have to wait.
    while (g_pollable_input_stream_read_nonblocking (input, buffer, sizeof buffer, nullptr,
                                                     nullptr) > 0) {
    }
  }
  over = true;
  // The writers wait for room that nobody makes any more.
  p2p_channel_close (peers.alices.get ());
  p2p_channel_close (peers.bobs.get ());
  ticks.join ();
}

TEST_F (Pollable, SourceThatWasNeverAttachedIsFreed) {
  GSource *source = make_source ();
  g_source_unref (source);
  EXPECT_EQ (calls, 0);
}

TEST_F (Pollable, CallbackComesOnlyWhenThereIsSomethingToRead) {
  GSource *source = make_source ();
  g_source_attach (source, nullptr);
  // A confirmation of what bob sends is activity, and nothing to read.
  ASSERT_TRUE (send_text (peers.bobs.get (), "hello"));
  ASSERT_EQ (receive_text (peers.alices.get ()), "hello");
  Outcome flushed;
  p2p_channel_flush_async (peers.bobs.get (), nullptr, Outcome::ready, &flushed);
  ASSERT_TRUE (flushed.wait ());
  EXPECT_EQ (calls, 0);
  ASSERT_TRUE (send_text (peers.alices.get (), "x"));
  EXPECT_TRUE (wait_until ([this] { return calls > 0; }));
  destroy (source);
}

TEST_F (Pollable, CancellationWakesTheSource) {
  const Object<GCancellable> cancellable (g_cancellable_new ());
  GSource *source = make_source (cancellable.get ());
  g_source_attach (source, nullptr);
  g_cancellable_cancel (cancellable.get ());
  EXPECT_TRUE (wait_until ([this] { return calls > 0; }));
  destroy (source);
}

TEST_F (Pollable, ClosureIsCalledWithTheStream) {
  GSource *source = g_pollable_input_stream_create_source (input, nullptr);
  static GObject *told;
  told = nullptr;
  const auto note = [] (GObject *stream, gpointer) -> gboolean {
    told = stream;
    return G_SOURCE_REMOVE;
  };
  gboolean (*const function) (GObject *, gpointer) = note;
  GClosure *closure = g_cclosure_new (G_CALLBACK (function), nullptr, nullptr);
  g_source_set_closure (source, closure);
  g_source_attach (source, nullptr);
  ASSERT_TRUE (send_text (peers.alices.get (), "x"));
  EXPECT_TRUE (wait_until ([] { return told != nullptr; }));
  EXPECT_EQ (told, G_OBJECT (input));
  EXPECT_TRUE (g_source_is_destroyed (source));
  g_source_unref (source);
}
