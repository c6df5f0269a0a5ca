#include "ice/name_lookup.hpp"

#include <gio/gio.h>

#include <utility>

#include "base/ptr.hpp"

namespace p2p {

struct NameLookup::State {
  Answers answers;
  std::size_t open = 0;
  std::function<void (const Answers &)> done;
  std::unique_ptr<Scheduler::Timer> timer;
  Ref<GCancellable> cancellable = Ref<GCancellable>::adopt (g_cancellable_new ());

  void finish () {
    timer.reset ();
    g_cancellable_cancel (cancellable.get ());
    // Moved out first: the callback may destroy the look-up.
    if (const auto callback = std::exchange (done, nullptr)) callback (answers);
  }
};

namespace {

void
take_address (LookedUp &out, GInetAddress *address) {
  const bool ipv4 = g_inet_address_get_family (address) == G_SOCKET_FAMILY_IPV4;
  std::string &slot = ipv4 ? out.ipv4 : out.ipv6;
  const UniqueChars text (g_inet_address_to_string (address));
  if (slot.empty ()) slot = text.get ();
}

template <class State>
struct Pending {
  std::weak_ptr<State> state;
  std::string name;
};

template <class State>
void
on_looked_up (GObject *source, GAsyncResult *result, gpointer data) {
  const std::unique_ptr<Pending<State>> pending (static_cast<Pending<State> *> (data));
  GError *raw_error = nullptr;
  GList *addresses = g_resolver_lookup_by_name_finish (G_RESOLVER (source), result, &raw_error);
  const UniqueError error (raw_error);
  if (const auto state = pending->state.lock (); state && state->done) {
    LookedUp &out = state->answers[pending->name];
    out.problem = error ? error->message : "";
    for (GList *item = addresses; item; item = item->next)
      take_address (out, G_INET_ADDRESS (item->data));
    if (--state->open == 0) state->finish ();
  }
  g_resolver_free_addresses (addresses);
}

}  // namespace

NameLookup::NameLookup (const std::vector<std::string> &names, Scheduler &scheduler, TimeUs timeout,
                        std::function<void (const Answers &)> done)
    : state_ (std::make_shared<State> ()) {
  state_->done = std::move (done);
  const auto resolver = Ref<GResolver>::adopt (g_resolver_get_default ());
  for (const auto &name : names) {
    auto &answer = state_->answers[name];
    if (!answer.problem.empty () || !answer.ipv4.empty () || !answer.ipv6.empty ()) continue;
    if (const auto literal =
            Ref<GInetAddress>::adopt (g_inet_address_new_from_string (name.c_str ()))) {
      take_address (answer, literal.get ());
      continue;
    }
    answer.problem = "no answer in time";
    ++state_->open;
    g_resolver_lookup_by_name_async (resolver.get (), name.c_str (), state_->cancellable.get (),
                                     on_looked_up<State>, new Pending<State>{state_, name});
  }
  const std::weak_ptr<State> weak = state_;
  state_->timer = scheduler.make_timer ([weak] {
    if (const auto state = weak.lock ()) state->finish ();
  });
  state_->timer->arm (state_->open == 0 ? scheduler.now () : scheduler.now () + timeout);
}

NameLookup::~NameLookup () {
  state_->done = nullptr;
  state_->timer.reset ();
  g_cancellable_cancel (state_->cancellable.get ());
}

}  // namespace p2p
