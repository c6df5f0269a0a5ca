// libnice's reliable stream: pseudo-TCP over the selected pair, not encrypted.
#include <nice/agent.h>

#include <vector>

#include "endpoint.hpp"
#include "exchange.hpp"

namespace bench {

namespace {

class NiceEndpoint : public Endpoint {
 public:
  explicit NiceEndpoint (const Settings &settings)
      : agent_ (nice_agent_new_full (nullptr, NICE_COMPATIBILITY_RFC5245,
                                     static_cast<NiceAgentOption> (NICE_AGENT_OPTION_RELIABLE))),
        zeros_ (settings.message_bytes) {
    g_object_set (agent_, "upnp", FALSE, "ice-tcp", FALSE, "controlling-mode", settings.offering,
                  nullptr);
    g_signal_connect (agent_, "candidate-gathering-done", G_CALLBACK (on_gathered), this);
    g_signal_connect (agent_, "component-state-changed", G_CALLBACK (on_state), this);
    g_signal_connect (agent_, "reliable-transport-writable", G_CALLBACK (on_room), this);
    stream_ = nice_agent_add_stream (agent_, 1);
    nice_agent_set_stream_name (agent_, stream_, "application");
    nice_agent_attach_recv (agent_, stream_, kComponent, nullptr, on_received, this);
  }
  ~NiceEndpoint () override { g_object_unref (agent_); }

  std::string describe (const std::string &) override {
    if (!nice_agent_gather_candidates (agent_, stream_)) fail ("libnice gathers no candidates");
    while (!gathered_) g_main_context_iteration (nullptr, TRUE);
    char *sdp = nice_agent_generate_local_sdp (agent_);
    const std::string text = sdp;
    g_free (sdp);
    return text;
  }

  void accept (const std::string &description) override {
    if (nice_agent_parse_remote_sdp (agent_, description.c_str ()) < 0)
      fail ("libnice does not understand its own candidates");
  }

  bool send () override {
    // What has no room of a message goes with the next: a byte stream has no messages.
    return nice_agent_send (agent_, stream_, kComponent, static_cast<guint> (zeros_.size ()),
                            zeros_.data ()) == static_cast<gint> (zeros_.size ());
  }

 private:
  static constexpr guint kComponent = 1;

  static void on_gathered (NiceAgent *, guint, gpointer endpoint) {
    static_cast<NiceEndpoint *> (endpoint)->gathered_ = true;
  }

  static void on_state (NiceAgent *, guint, guint, guint state, gpointer) {
    if (state == NICE_COMPONENT_STATE_FAILED) fail ("libnice found no way to the other side");
  }

  // The first time, when pseudo-TCP is up: it begins only after ICE.
  static void on_room (NiceAgent *, guint, guint, gpointer endpoint) {
    auto *self = static_cast<NiceEndpoint *> (endpoint);
    if (self->open_) {
      self->on_writable ();
      return;
    }
    self->open_ = true;
    self->on_open ();
  }

  static void on_received (NiceAgent *, guint, guint, guint size, gchar *, gpointer endpoint) {
    static_cast<NiceEndpoint *> (endpoint)->on_message (size);
  }

  NiceAgent *agent_;
  guint stream_ = 0;
  bool gathered_ = false, open_ = false;
  std::vector<char> zeros_;
};

}  // namespace

std::unique_ptr<Endpoint>
make_endpoint (const Settings &settings) {
  return std::make_unique<NiceEndpoint> (settings);
}

}  // namespace bench
