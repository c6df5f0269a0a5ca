// Agents of one process, joined by a signaling and by memory links that the test owns.
#pragma once
#include <gtest/gtest.h>

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "base/loop_thread.hpp"
#include "core/agent_core.hpp"
#include "path/memory_path.hpp"

namespace p2p::test {

// A meeting point without a network. Core thread only.
class MeetingPlace {
 public:
  std::unique_ptr<Signaling> make_client ();
  // Called for each message; returning false drops it.
  std::function<bool (const std::string &from, const std::string &to, std::string &text)> filter;

 private:
  class Client;
  void meet ();
  std::map<std::string, Client *> clients_;
  std::set<std::pair<std::string, std::string>> met_;
};

// Joins the two agents that open it by a new link each time; the initiator tells its number.
class MemorySource final : public PathSource {
 public:
  explicit MemorySource (std::string name);
  const std::string &name () const override { return name_; }
  std::unique_ptr<Attempt> open (const std::string &id, const std::string &peer, bool initiator,
                                 SendMessage send, Opened opened) override;
  void set_all (const LinkOptions &now) {
    for (const auto &link : links_) link->set_options (now);
  }
  LinkOptions options;  // of the links to come
  bool broken = false;  // every path fails to open

 private:
  const std::string name_;
  class Opening;
  std::vector<std::shared_ptr<MemoryLink>> links_;
};

// What was told of an agent and its connections, for a test thread that waits.
class Watcher : public AgentCore::Observer,
                public ConnectionCore::Observer,
                public std::enable_shared_from_this<Watcher> {
 public:
  // False when `ready` did not hold within the time; a bound for failing tests, not a delay.
  bool wait (const std::function<bool ()> &ready, int timeout_ms = 10000);
  bool wait_state (P2pConnectionState state);
  void watch (const std::shared_ptr<ConnectionCore> &connection);

  std::vector<ConnectionSnapshot> history;
  std::vector<std::shared_ptr<ConnectionCore>> incoming;
  std::vector<std::shared_ptr<ChannelPort>> channels;
  std::vector<Error> rejected, warnings;
  std::vector<std::pair<Signaling::State, Status>> signaling;

 private:
  void agent_signaling_state (Signaling::State state, const Status &reason) override;
  void agent_incoming (std::shared_ptr<ConnectionCore> connection) override;
  void agent_connection_removed (std::shared_ptr<ConnectionCore>) override;
  void agent_rejected (const std::string &peer, const Error &reason) override;
  void agent_warning (const Error &warning) override;
  void agent_network_available (bool) override {}
  void connection_changed (const ConnectionSnapshot &now) override;
  void connection_channel_opened (std::shared_ptr<ChannelPort> port) override;
  void connection_channel_closed (const std::string &name) override;
  void connection_warning (const Error &warning) override;
  void note (const std::function<void ()> &change);

  std::mutex mutex_;
  std::condition_variable changed_;
};

struct TestAgent {
  std::shared_ptr<AgentCore> core;
  std::shared_ptr<Watcher> watcher;
};

class AgentTest : public testing::Test {
 protected:
  void SetUp () override;
  void TearDown () override;
  AgentSettings settings_of (const std::string &id) const;
  TestAgent make_agent (const AgentSettings &settings, bool start = true);

  std::string directory;
  std::shared_ptr<MeetingPlace> place;
  std::shared_ptr<MemorySource> source;
  std::vector<TestAgent> agents;
};

Message message_of (const std::string &text);
std::string text_of (const Message &message);
// Waits for one message; empty text when the channel ended or failed.
std::string receive_text (ChannelPort &port);

}  // namespace p2p::test
