#include "agent_fixture.hpp"

#include <glib/gstdio.h>

#include <chrono>

namespace p2p::test {

class MeetingPlace::Client final : public Signaling {
 public:
  explicit Client (MeetingPlace &place) : place_ (place) {}
  ~Client () override {
    place_.clients_.erase (id_);
    place_.meet ();
  }
  void set_observer (Observer *observer) override { observer_ = observer; }
  void start (const std::string &id) override {
    id_ = id;
    if (place_.clients_.count (id) > 0) {
      state_ = State::refused;
      tell ([] (Observer &o) {
        const Error taken{P2P_ERROR_ID_TAKEN, "The id is taken."};
        o.signaling_state (State::refused, &taken);
      });
      id_.clear ();
      return;
    }
    place_.clients_[id] = this;
    state_ = State::registered;
    tell ([] (Observer &o) { o.signaling_state (State::registered, nullptr); });
    place_.meet ();
  }
  void ask (const std::string &peer) override {
    asked_.insert (peer);
    place_.meet ();
  }
  void unask (const std::string &peer) override {
    asked_.erase (peer);
    place_.meet ();
  }
  Status send (const std::string &peer, const std::string &message) override {
    if (place_.met_.count ({id_, peer}) == 0)
      return Error{P2P_ERROR_NOT_CONNECTED, "The peer is not there."};
    std::string text = message;
    if (place_.filter && !place_.filter (id_, peer, text)) return {};
    place_.clients_.at (peer)->tell (
        [from = id_, text] (Observer &o) { o.signaling_message (from, text); });
    return {};
  }
  State state () const override { return state_; }
  std::string stun_server () const override { return {}; }

  void tell (std::function<void (Observer &)> what) {
    core_loop ().post ([this, alive = std::weak_ptr<int> (alive_), what = std::move (what)] {
      if (alive.lock () && observer_) what (*observer_);
    });
  }
  bool wants (const std::string &peer) const { return asked_.count (peer) > 0; }
  bool wants_any () const { return asked_.count (kAnyPeer) > 0; }

 private:
  MeetingPlace &place_;
  Observer *observer_ = nullptr;
  std::string id_;
  std::set<std::string> asked_;
  State state_ = State::idle;
  std::shared_ptr<int> alive_ = std::make_shared<int> (0);
};

std::unique_ptr<Signaling>
MeetingPlace::make_client () {
  return std::make_unique<Client> (*this);
}

void
MeetingPlace::meet () {
  std::set<std::pair<std::string, std::string>> now;
  for (const auto &[a, one] : clients_)
    for (const auto &[b, other] : clients_)
      if (a != b && (one->wants (b) || (one->wants_any () && other->wants (a))) &&
          (other->wants (a) || (other->wants_any () && one->wants (b))))
        now.insert ({a, b});
  const auto before = std::exchange (met_, now);
  auto tell = [&] (const auto &pair, bool present) {
    const auto found = clients_.find (pair.first);
    if (found != clients_.end ())
      found->second->tell ([peer = pair.second, present] (Signaling::Observer &o) {
        o.signaling_peer (peer, present);
      });
  };
  for (const auto &pair : before)
    if (now.count (pair) == 0) tell (pair, false);
  for (const auto &pair : now)
    if (before.count (pair) == 0) tell (pair, true);
}

namespace {

// Keeps the link alive as long as either end is used.
class HeldPath final : public Path {
 public:
  HeldPath (std::shared_ptr<MemoryLink> link, Path &path)
      : link_ (std::move (link)), path_ (path) {}
  ~HeldPath () override { path_.set_receiver (nullptr); }
  void set_receiver (Receiver *receiver) override { path_.set_receiver (receiver); }
  Sent send (ByteView burst, std::size_t segment) override { return path_.send (burst, segment); }
  std::size_t max_datagram_bytes () const override { return path_.max_datagram_bytes (); }
  std::size_t max_burst_bytes () const override { return path_.max_burst_bytes (); }
  PathInfo info () const override { return path_.info (); }
  Scheduler &scheduler () override { return path_.scheduler (); }

 private:
  std::shared_ptr<MemoryLink> link_;
  Path &path_;
};

void
hand_over (const PathSource::Opened &opened, std::unique_ptr<Path> path) {
  auto held = std::make_shared<std::unique_ptr<Path>> (std::move (path));
  core_loop ().post ([opened, held] { opened (std::move (*held)); });
}

}  // namespace

class MemorySource::Opening final : public PathSource::Attempt {
 public:
  Opening (MemorySource &source, Opened opened) : source_ (source), opened_ (std::move (opened)) {}
  void receive_message (ByteView message) override {
    const auto &link = source_.links_.at (std::stoul (message.to_string ()));
    hand_over (opened_, std::make_unique<HeldPath> (link, link->b ()));
  }

 private:
  MemorySource &source_;
  Opened opened_;
};

MemorySource::MemorySource (std::string name) : name_ (std::move (name)) {}

std::unique_ptr<PathSource::Attempt>
MemorySource::open (const std::string &, const std::string &, bool initiator, SendMessage send,
                    Opened opened) {
  if (broken) {
    core_loop ().post ([opened] {
      opened (Error{P2P_ERROR_UNREACHABLE, "This path is broken on purpose."});
    });
  } else if (initiator) {
    links_.push_back (MemoryLink::create (core_loop ().scheduler (), links_.size () + 1));
    const auto &link = links_.back ();
    link->set_options (options);
    const std::string number = std::to_string (links_.size () - 1);
    core_loop ().post ([send, number] { send (ByteView (std::string_view (number))); });
    hand_over (opened, std::make_unique<HeldPath> (link, link->a ()));
  }
  return std::make_unique<Opening> (*this, std::move (opened));
}

bool
Watcher::wait (const std::function<bool ()> &ready, int timeout_ms) {
  std::unique_lock lock (mutex_);
  return changed_.wait_for (lock, std::chrono::milliseconds (timeout_ms), ready);
}

bool
Watcher::wait_state (P2pConnectionState state) {
  return wait ([&] { return !history.empty () && history.back ().state == state; });
}

void
Watcher::watch (const std::shared_ptr<ConnectionCore> &connection) {
  connection->set_observer (
      std::static_pointer_cast<ConnectionCore::Observer> (shared_from_this ()));
}

void
Watcher::note (const std::function<void ()> &change) {
  const std::lock_guard lock (mutex_);
  change ();
  changed_.notify_all ();
}

void
Watcher::agent_signaling_state (Signaling::State state, const Status &reason) {
  note ([&] { signaling.emplace_back (state, reason); });
}

void
Watcher::agent_incoming (std::shared_ptr<ConnectionCore> connection) {
  watch (connection);
  note ([&] { incoming.push_back (std::move (connection)); });
}

void
Watcher::agent_connection_removed (std::shared_ptr<ConnectionCore>) {
  note ([] {});
}

void
Watcher::agent_rejected (const std::string &, const Error &reason) {
  note ([&] { rejected.push_back (reason); });
}

void
Watcher::agent_warning (const Error &warning) {
  note ([&] { warnings.push_back (warning); });
}

void
Watcher::connection_changed (const ConnectionSnapshot &now) {
  note ([&] { history.push_back (now); });
}

void
Watcher::connection_channel_opened (std::shared_ptr<ChannelPort> port) {
  note ([&] { channels.push_back (std::move (port)); });
}

void
Watcher::connection_channel_closed (const std::string &) {}

void
Watcher::connection_warning (const Error &warning) {
  note ([&] { warnings.push_back (warning); });
}

void
AgentTest::SetUp () {
  const UniqueChars made (g_dir_make_tmp ("p2p-test-XXXXXX", nullptr));
  directory = made.get ();
  place = std::make_shared<MeetingPlace> ();
  source = std::make_shared<MemorySource> ("memory");
}

void
AgentTest::TearDown () {
  for (TestAgent &agent : agents) agent.core->close (nullptr);
  std::vector<std::weak_ptr<AgentCore>> weak;
  for (TestAgent &agent : agents) weak.push_back (agent.core);
  agents.clear ();
  // Everything that was posted to end them has run after this.
  for (int i = 0; i < 4; ++i) core_loop ().run_sync ([] {});
  for (const auto &agent : weak) EXPECT_TRUE (agent.expired ()) << "an agent leaks";
  core_loop ().run_sync ([&] {
    place.reset ();
    source.reset ();
  });
  GDir *opened = g_dir_open (directory.c_str (), 0, nullptr);
  while (const char *name = g_dir_read_name (opened)) g_unlink ((directory + "/" + name).c_str ());
  g_dir_close (opened);
  g_rmdir (directory.c_str ());
}

AgentSettings
AgentTest::settings_of (const std::string &id) const {
  AgentSettings settings;
  settings.id = id;
  settings.identity_path = directory + "/" + id + ".pem";
  settings.path_order = {"memory"};
  return settings;
}

TestAgent
AgentTest::make_agent (const AgentSettings &settings, bool start) {
  TestAgent agent{AgentCore::create (settings), std::make_shared<Watcher> ()};
  agent.core->set_observer (std::static_pointer_cast<AgentCore::Observer> (agent.watcher));
  agent.core->add_path_source (source);
  if (start)
    agent.core->start (
        [place = place] (Identity &) -> Result<std::unique_ptr<Signaling>> {
          return place->make_client ();
        },
        [] (const Status &) {});
  agents.push_back (agent);
  return agent;
}

Message
message_of (const std::string &text) {
  return {Ref<GBytes>::adopt (g_bytes_new (text.data (), text.size ())), {}, 0, false};
}

std::string
text_of (const Message &message) {
  gsize size = 0;
  const auto *data = static_cast<const char *> (g_bytes_get_data (message.payload.get (), &size));
  return {data, size};
}

std::string
receive_text (ChannelPort &port) {
  bool cancelled = false;
  auto message = port.receive (nullptr, &cancelled);
  return message ? text_of (*message) : std::string ();
}

}  // namespace p2p::test
