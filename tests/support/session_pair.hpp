// Two sessions, their applications, and what joins them. The tests of the session see only this;
// make_link() decides over which transport they run.
#pragma once
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "session/session.hpp"
#include "support/fake_transport.hpp"

namespace p2p::test {

inline Ref<GBytes>
bytes_from (const std::string &text) {
  return Ref<GBytes>::adopt (g_bytes_new (text.data (), text.size ()));
}
inline std::string
text_of (const Ref<GBytes> &bytes) {
  gsize size = 0;
  if (!bytes) return {};
  const auto *data = static_cast<const char *> (g_bytes_get_data (bytes.get (), &size));
  return {data, size};
}
inline Message
message_of (const std::string &payload) {
  Message message;
  message.payload = bytes_from (payload);
  return message;
}

// An application: records what it is told, and takes messages at once unless told to wait.
class Application final : public Session::Observer {
 public:
  struct Seen {
    std::vector<Message> messages;
    std::vector<Message> untaken;
    bool opened_by_peer = false, ended = false, closed = false;
    Status close_reason;
    int released = 0;
  };
  bool takes = true;
  bool keeps = true;  // received messages are recorded
  int established = 0, detached = 0;
  Error detach_error;
  bool detached_by_peer = false;
  std::uint64_t detach_code = 0;
  std::vector<std::string> signals;
  std::map<std::string, Seen> seen;
  std::function<void (Channel &)> on_opened, on_end, on_released, on_closed;
  std::function<void (Channel &, const Message &)> on_message;
  std::function<void ()> on_established, on_detached;

  void take_all (Channel &channel) {
    auto untaken = std::move (seen[channel.name ()].untaken);
    seen[channel.name ()].untaken.clear ();
    for (const Message &message : untaken) channel.consumed (message);
  }
  std::vector<std::string> texts (const std::string &name) {
    std::vector<std::string> list;
    for (const Message &message : seen[name].messages) list.push_back (text_of (message.payload));
    return list;
  }

  void session_established () override {
    ++established;
    if (on_established) on_established ();
  }
  void session_channel_opened (Channel &channel) override {
    seen[channel.name ()].opened_by_peer = true;
    if (on_opened) on_opened (channel);
  }
  void session_message (Channel &channel, Message message) override {
    Seen &record = seen[channel.name ()];
    EXPECT_FALSE (record.ended) << "a message after the end";
    if (on_message) on_message (channel, message);
    if (keeps) record.messages.push_back (message);
    if (takes)
      channel.consumed (message);
    else
      record.untaken.push_back (message);
  }
  void session_end_of_stream (Channel &channel) override {
    EXPECT_FALSE (seen[channel.name ()].ended) << "a second end";
    seen[channel.name ()].ended = true;
    if (on_end) on_end (channel);
  }
  void session_released (Channel &channel) override {
    ++seen[channel.name ()].released;
    if (on_released) on_released (channel);
  }
  void session_channel_closed (Channel &channel, const Status &reason) override {
    seen[channel.name ()].closed = true;
    seen[channel.name ()].close_reason = reason;
    if (on_closed) on_closed (channel);
  }
  void session_signal (const std::string &text) override { signals.push_back (text); }
  void session_detached (const Error &error, bool by_peer, std::uint64_t code) override {
    ++detached;
    detach_error = error;
    detached_by_peer = by_peer;
    detach_code = code;
    if (on_detached) on_detached ();
  }
};

class SessionPair : public ::testing::Test {
 protected:
  SessionPair () {
    for (std::size_t i = 0; i < alice_config.id.size (); ++i)
      alice_config.id[i] = bob_config.id[i] = static_cast<std::uint8_t> (i);
  }

  void start () {
    if (!alice) alice = Session::create (alice_config, alice_app);
    if (!bob) bob = Session::create (bob_config, bob_app);
    attach ();
    ASSERT_TRUE (run ([this] { return alice->established () && bob->established (); }));
  }
  void attach () {
    links.push_back (std::make_unique<FakeLink> (scheduler, network));
    alice->attach (*link ().client);
    bob->attach (*link ().server);
    link ().connect ();
  }
  void cut () { link ().cut (); }
  void cut_and_attach () {
    cut ();
    attach ();
    ASSERT_TRUE (run ([this] { return alice->established () && bob->established (); }));
  }
  FakeLink &link () { return *links.back (); }
  bool run (const std::function<bool ()> &done, TimeUs limit = 60 * kSecond) {
    return scheduler.run_until_true (done, limit);
  }
  void settle () { scheduler.run_for (2 * kSecond); }
  Channel &open (Session &session, const std::string &name, const ChannelOptions &options = {}) {
    Result<Channel *> channel = session.open_channel (name, options);
    EXPECT_TRUE (channel.ok ());
    return **channel;
  }
  Channel *find (Session &session, const std::string &name) {
    for (Channel *channel : session.channels ())
      if (channel->name () == name) return channel;
    return nullptr;
  }
  // Sends as a patient application does: again when there is room.
  void must_send (Channel &channel, const Message &message) {
    for (int tries = 0; tries < 100000; ++tries) {
      Result<bool> sent = channel.send (message);
      ASSERT_TRUE (sent.ok ()) << sent.error ().message;
      if (*sent) return;
      ASSERT_TRUE (scheduler.run_next ());
    }
    FAIL () << "no room came";
  }

  VirtualScheduler scheduler;
  FakeNetwork network;
  SessionConfig alice_config, bob_config;
  Application alice_app, bob_app;
  std::vector<std::unique_ptr<FakeLink>> links;
  std::unique_ptr<Session> alice, bob;
};

}  // namespace p2p::test
