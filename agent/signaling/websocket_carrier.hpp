// Carries frames to a rendezvous server over a WebSocket (RFC 6455). Core thread only.
#pragma once
#include <libsoup/soup.h>

#include <memory>
#include <string>

#include "base/ptr.hpp"
#include "signaling/client.hpp"
#include "signaling/factory.hpp"

namespace p2p {

class WebSocketCarrier final : public SignalingCarrier {
 public:
  // Fails when the file of authorities cannot be read.
  static Result<std::unique_ptr<WebSocketCarrier>> create (const SignalingUri &uri,
                                                           const std::string &tls_ca_file);
  ~WebSocketCarrier () override;

  void set_observer (SignalingCarrier::Observer *observer) override { observer_ = observer; }
  void open () override;
  void send (const std::string &frame) override;
  void close () override;
  bool address_gone () const override;
  std::string describe () const override { return "the rendezvous server " + uri_.text; }
  std::string stun_host () const override { return uri_.host; }
  // The certificate leads to one of the authorities and is for the host of the URI.
  bool trusts (GTlsCertificate *certificate) const;

 private:
  WebSocketCarrier (SignalingUri uri, Ref<GTlsDatabase> authorities);
  void on_connected (SoupWebsocketConnection *connection, const GError *error);
  void on_message (SoupWebsocketDataType type, GBytes *message);
  void on_closed ();
  void end (const Error &reason);

  SignalingUri uri_;
  SignalingCarrier::Observer *observer_ = nullptr;
  Ref<GTlsDatabase> authorities_;  // null for ws
  Ref<SoupSession> session_;
  Ref<SoupMessage> message_;  // of the last attempt
  gulong certificate_handler_ = 0;
  Ref<GCancellable> cancellable_;  // of the attempt under way
  Ref<SoupWebsocketConnection> connection_;
  Ref<GSocketAddress> local_;  // of the connection; null behind a stream that does not tell
  gulong handlers_[2] = {};
  std::shared_ptr<bool> alive_ = std::make_shared<bool> (true);
};

}  // namespace p2p
