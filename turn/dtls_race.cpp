#include "turn/dtls_race.hpp"

#include <utility>

#include "turn/lossy_socket.hpp"
#include "turn/tls_trust.hpp"
#include "turn/udp_socket.hpp"

namespace p2p::turn {

struct DtlsRace::State : std::enable_shared_from_this<State> {
  Ref<GMainContext> context;
  Scheduler *scheduler = nullptr;
  Config config;
  Done done;
  std::unique_ptr<Scheduler::Timer> timer;
  Ref<GCancellable> cancellable = Ref<GCancellable>::adopt (g_cancellable_new ());
  std::size_t begun = 0;    // of the addresses
  std::size_t running = 0;  // handshakes
  Error why{P2P_ERROR_NOT_FOUND, "it has no address"};

  void next ();
  Status begin (const Address &to);
  void failed (Error error);
  void finish (Result<std::shared_ptr<Connection>> result);
};

namespace {

// On its way through a GAsyncReadyCallback.
template <class T>
struct Runner {
  std::weak_ptr<T> state;
  Ref<GSocket> udp;
  std::shared_ptr<Losses> losses;
};

}  // namespace

void
DtlsRace::State::next () {
  while (begun < config.addresses.size ()) {
    Status wrong = begin (config.addresses[begun++]);
    if (!wrong) {
      if (begun < config.addresses.size ()) timer->arm (scheduler->now () + config.delay);
      return;
    }
    why = std::move (*wrong);
  }
  if (running == 0) finish (why);
}

Status
DtlsRace::State::begin (const Address &to) {
  std::string problem;
  auto udp = open_udp_socket (to, config.local, &problem);
  if (!udp) return Error{P2P_ERROR_UNREACHABLE, problem};
  const auto losses = std::make_shared<Losses> ();
  const auto below = make_lossy_socket (udp, losses);
  GError *raw = nullptr;
  const auto dtls = Ref<GDatagramBased>::adopt (
      g_dtls_client_connection_new (below.get (), config.identity.get (), &raw));
  const UniqueError error (raw);
  if (!dtls)
    return Error{P2P_ERROR_FAILED,
                 std::string (error->message) + "; is glib-networking installed?"};
  trust_only (G_OBJECT (dtls.get ()), config.database, config.identity);
  ++running;
  const GAsyncReadyCallback callback = [] (GObject *source, GAsyncResult *result, gpointer data) {
    const std::unique_ptr<Runner<State>> runner (static_cast<Runner<State> *> (data));
    GError *handshake_raw = nullptr;
    const bool good =
        g_dtls_connection_handshake_finish (G_DTLS_CONNECTION (source), result, &handshake_raw);
    const UniqueError handshake_error (handshake_raw);
    const auto state = runner->state.lock ();
    if (!state || !state->done) return;
    --state->running;
    if (!good) {
      const bool tls = handshake_error->domain == G_TLS_ERROR;
      state->failed ({tls ? P2P_ERROR_IDENTITY : P2P_ERROR_UNREACHABLE, handshake_error->message});
      return;
    }
    runner->losses->forgiven = true;
    state->finish (std::shared_ptr<Connection> (make_dtls_connection (
        state->context.get (), *state->scheduler,
        {runner->udp, Ref<GDatagramBased>::share (G_DATAGRAM_BASED (source)), runner->losses})));
  };
  g_dtls_connection_handshake_async (G_DTLS_CONNECTION (dtls.get ()), G_PRIORITY_DEFAULT,
                                     cancellable.get (), callback,
                                     new Runner<State>{shared_from_this (), udp, losses});
  return {};
}

// The next one need not wait.
void
DtlsRace::State::failed (Error error) {
  why = std::move (error);
  next ();
}

void
DtlsRace::State::finish (Result<std::shared_ptr<Connection>> result) {
  timer->disarm ();
  g_cancellable_cancel (cancellable.get ());
  // Moved out first: the callback may destroy the race.
  if (const auto callback = std::exchange (done, nullptr)) callback (std::move (result));
}

DtlsRace::DtlsRace (GMainContext *context, Scheduler &scheduler, Config config, Done done)
    : state_ (std::make_shared<State> ()) {
  state_->context = Ref<GMainContext>::share (context);
  state_->scheduler = &scheduler;
  state_->config = std::move (config);
  state_->done = std::move (done);
  state_->timer = scheduler.make_timer ([weak = std::weak_ptr<State> (state_)] {
    if (const auto state = weak.lock ()) state->next ();
  });
  state_->timer->arm (scheduler.now ());
}

DtlsRace::~DtlsRace () {
  state_->done = nullptr;
  state_->timer.reset ();
  g_cancellable_cancel (state_->cancellable.get ());
}

}  // namespace p2p::turn
