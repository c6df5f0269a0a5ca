#include "signaling_host.hpp"

#include "builtin_signaling.hpp"
#include "object_signaling.hpp"
#include "signaling/factory.hpp"

namespace p2p {

namespace {

// An identity as what a meeting point knows its owner of an id by.
class IdentityKey final : public SigningKey {
 public:
  explicit IdentityKey (std::shared_ptr<Identity> identity) : identity_ (std::move (identity)) {}
  std::string public_key_der () const override { return identity_->public_key_der (); }
  Result<std::string> sign (ByteView bytes) const override { return identity_->sign (bytes); }

 private:
  const std::shared_ptr<Identity> identity_;
};

}  // namespace

Result<std::unique_ptr<Signaling>>
make_signaling_client (const SignalingSpec &spec, std::shared_ptr<Identity> identity) {
  const auto uri = parse_signaling_uri (spec.uri);
  if (!uri.ok ()) return uri.error ();
  std::shared_ptr<const SigningKey> key;
  if (uri.value ().kind == SignalingUri::Kind::rendezvous) {
    if (!spec.identity_path.empty () || !identity) {
      auto loaded = Identity::load_or_create (
          spec.identity_path.empty () ? Identity::default_path () : spec.identity_path);
      if (!loaded.ok ()) return loaded.error ();
      identity = loaded.value ();
    }
    key = std::make_shared<IdentityKey> (std::move (identity));
  }
  return make_signaling (spec.uri, std::move (key), {spec.tls_ca_file});
}

std::optional<SignalingSpec>
signaling_spec (P2pSignaling *object) {
  if (P2P_IS_LOCAL_SIGNALING (object)) return local_signaling_spec (P2P_LOCAL_SIGNALING (object));
  if (P2P_IS_RENDEZVOUS_SIGNALING (object))
    return rendezvous_signaling_spec (P2P_RENDEZVOUS_SIGNALING (object));
  return std::nullopt;
}

void
SignalingHost::post (std::function<void (P2pSignaling *)> work) {
  post_event (context_.get (), [object = object_, work = std::move (work)] {
    if (const Ref<P2pSignaling> alive = object.lock ()) work (alive.get ());
  });
}

void
SignalingHost::start (const SignalingSpec &spec, const std::string &id) {
  core_loop ().post ([self = shared_from_this (), spec, id, context = thread_default_context ()] {
    if (self->client_) return;
    self->context_ = context;
    auto client = make_signaling_client (spec, nullptr);
    if (!client.ok ()) {
      self->signaling_state (Signaling::State::refused, &client.error ());
      return;
    }
    self->client_ = std::move (client.value ());
    self->client_->set_observer (self.get ());
    self->client_->start (id);
    self->network_ = NetworkMonitor::shared ();
    self->network_->add (self.get ());
  });
}

void
SignalingHost::stop () {
  core_loop ().post ([self = shared_from_this ()] {
    if (!self->client_) return;
    self->client_.reset ();
    self->network_->remove (self.get ());
    self->network_.reset ();
    self->signaling_state (Signaling::State::idle, nullptr);
  });
}

void
SignalingHost::ask (const std::string &peer) {
  core_loop ().post ([self = shared_from_this (), peer] {
    if (self->client_) self->client_->ask (peer);
  });
}

void
SignalingHost::unask (const std::string &peer) {
  core_loop ().post ([self = shared_from_this (), peer] {
    if (self->client_) self->client_->unask (peer);
  });
}

Status
SignalingHost::send (const std::string &peer, const std::string &message) {
  Status status = Error{P2P_ERROR_NOT_CONNECTED, "The signaling was not started."};
  core_loop ().run_sync ([&] {
    if (client_) status = client_->send (peer, message);
  });
  return status;
}

void
SignalingHost::network_changed (const NetworkSnapshot &now, const NetworkChange &) {
  client_->network_changed (now.usable ());
}

void
SignalingHost::network_woke () {
  client_->network_changed (true);
}

void
SignalingHost::signaling_state (Signaling::State state, const Error *reason) {
  Status error;
  if (reason) error = *reason;
  post ([state, error] (P2pSignaling *object) {
    const UniqueError gerror (error ? error->to_gerror () : nullptr);
    p2p_signaling_emit_state (object, to_public (state), gerror.get ());
  });
}

void
SignalingHost::signaling_peer (const std::string &peer, bool present) {
  post ([peer, present] (P2pSignaling *object) {
    p2p_signaling_emit_peer (object, peer.c_str (), present);
  });
}

void
SignalingHost::signaling_message (const std::string &from, const std::string &message) {
  post ([from, message] (P2pSignaling *object) {
    const auto bytes = Ref<GBytes>::adopt (g_bytes_new (message.data (), message.size ()));
    p2p_signaling_emit_message (object, from.c_str (), bytes.get ());
  });
}

}  // namespace p2p
