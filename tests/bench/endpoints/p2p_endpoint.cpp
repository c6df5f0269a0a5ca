// This project's own library, by its C API: one agent, one connection and one channel.
#include <p2p/p2p.h>

#include "endpoint.hpp"
#include "exchange.hpp"

namespace bench {

namespace {

// The offering side holds all its connections in one agent, as a server does.
P2pAgent *
offering_agent () {
  static P2pAgent *agent = p2p_agent_new ("alice");
  return P2P_AGENT (g_object_ref (agent));
}

class P2pEndpoint : public Endpoint {
 public:
  explicit P2pEndpoint (const Settings &settings) {
    const std::string answering = "bob" + std::to_string (settings.index);
    peer_ = settings.offering ? answering : "alice";
    agent_ = settings.offering ? offering_agent () : p2p_agent_new (answering.c_str ());
    GBytes *zeros = g_bytes_new_take (g_malloc0 (settings.message_bytes), settings.message_bytes);
    message_ = p2p_message_new (zeros, nullptr);
    g_bytes_unref (zeros);
  }
  ~P2pEndpoint () override {
    g_clear_object (&channel_);
    g_clear_object (&connection_);
    p2p_message_unref (message_);
    g_object_unref (agent_);
  }

  std::string describe (const std::string &) override {
    std::string text;
    p2p_agent_create_network_config_async (agent_, peer_.c_str (), nullptr, on_config, &text);
    while (text.empty ()) g_main_context_iteration (nullptr, TRUE);
    return text;
  }

  void accept (const std::string &description) override {
    GError *error = nullptr;
    P2pNetworkConfig *remote = p2p_network_config_new_from_string (description.c_str (), &error);
    if (remote) connection_ = p2p_agent_open_connection (agent_, peer_.c_str (), remote, &error);
    if (connection_) channel_ = p2p_connection_open_channel (connection_, "bench", nullptr, &error);
    if (!channel_) fail (error->message);
    p2p_network_config_unref (remote);
    g_signal_connect (connection_, "notify::state", G_CALLBACK (on_state), this);
    on_state (connection_, nullptr, this);
  }

  bool send () override {
    GError *error = nullptr;
    if (p2p_channel_try_send_message (channel_, message_, &error)) return true;
    if (!g_error_matches (error, P2P_ERROR, P2P_ERROR_WOULD_BLOCK)) fail (error->message);
    g_clear_error (&error);
    p2p_channel_send_message_async (channel_, message_, nullptr, on_sent, this);
    return false;
  }

  bool send_waiting () override {
    GError *error = nullptr;
    if (!p2p_channel_send_message (channel_, message_, nullptr, &error)) fail (error->message);
    return true;
  }

  bool receive_waiting (std::size_t &size) override {
    GError *error = nullptr;
    P2pMessage *message = p2p_channel_receive (channel_, nullptr, &error);
    if (!message) fail (error->message);
    size = g_bytes_get_size (p2p_message_get_payload (message));
    p2p_message_unref (message);
    return true;
  }

 private:
  static void on_config (GObject *agent, GAsyncResult *result, gpointer text) {
    GError *error = nullptr;
    P2pNetworkConfig *config =
        p2p_agent_create_network_config_finish (P2P_AGENT (agent), result, &error);
    if (!config) fail (error->message);
    char *made = p2p_network_config_to_string (config);
    *static_cast<std::string *> (text) = made;
    g_free (made);
    p2p_network_config_unref (config);
  }

  static void on_state (P2pConnection *connection, GParamSpec *, gpointer endpoint) {
    auto *self = static_cast<P2pEndpoint *> (endpoint);
    if (p2p_connection_get_state (connection) != P2P_CONNECTION_STATE_CONNECTED || self->open_)
      return;
    self->open_ = true;
    self->on_open ();
    if (!self->blocking) self->drain ();
  }

  static void on_sent (GObject *channel, GAsyncResult *result, gpointer endpoint) {
    GError *error = nullptr;
    if (!p2p_channel_send_message_finish (P2P_CHANNEL (channel), result, &error))
      fail (error->message);
    static_cast<P2pEndpoint *> (endpoint)->on_writable ();
  }

  static void on_received (GObject *channel, GAsyncResult *result, gpointer endpoint) {
    auto *self = static_cast<P2pEndpoint *> (endpoint);
    GError *error = nullptr;
    P2pMessage *message = p2p_channel_receive_finish (P2P_CHANNEL (channel), result, &error);
    if (!message) fail (error->message);
    self->take (message);
    self->drain ();
  }

  // Takes what is there, then asks to be called.
  void drain () {
    GError *error = nullptr;
    while (P2pMessage *message = p2p_channel_try_receive (channel_, &error)) take (message);
    if (!g_error_matches (error, P2P_ERROR, P2P_ERROR_WOULD_BLOCK)) fail (error->message);
    g_clear_error (&error);
    p2p_channel_receive_async (channel_, nullptr, on_received, this);
  }

  void take (P2pMessage *message) {
    const std::size_t size = g_bytes_get_size (p2p_message_get_payload (message));
    p2p_message_unref (message);
    on_message (size);
  }

  std::string peer_;
  P2pAgent *agent_ = nullptr;
  P2pConnection *connection_ = nullptr;
  P2pChannel *channel_ = nullptr;
  P2pMessage *message_ = nullptr;
  bool open_ = false;
};

}  // namespace

std::unique_ptr<Endpoint>
make_endpoint (const Settings &settings) {
  return std::make_unique<P2pEndpoint> (settings);
}

}  // namespace bench
