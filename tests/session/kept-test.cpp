// Sessions whose process dies and comes back from what was kept of it.
#include <random>

#include "session/session_memory.hpp"
#include "support/session_pair.hpp"

namespace p2p::test {

namespace {

// A store that makes changes durable some time after they are taken, as a disk does.
class Disk final : public SessionKeeper {
 public:
  Disk (VirtualScheduler &scheduler, TimeUs delay) : scheduler_ (scheduler), delay_ (delay) {
    timer_ = scheduler_.make_timer ([this] { turn (); });
  }
  void serve (Session *session) {
    session_ = session;
    pending_.clear ();
    busy_ = wanted_ = false;
    timer_->disarm ();
    if (session_) session_->set_keeper (this);
  }
  void session_has_changes (bool) override {
    wanted_ = true;
    if (!busy_) timer_->arm (scheduler_.now ());
  }
  std::vector<MemoryItem> items () const {
    std::vector<MemoryItem> list;
    for (const auto &[key, value] : items_) list.push_back ({key, value});
    return list;
  }
  std::map<std::string, Ref<GBytes>> items_;

 private:
  void turn () {
    if (busy_) {
      for (const MemoryChange &change : pending_) {
        if (change.value)
          items_[change.key] = change.value;
        else if (change.end.empty ())
          items_.erase (change.key);
        else
          items_.erase (items_.lower_bound (change.key), items_.lower_bound (change.end));
      }
      pending_.clear ();
      busy_ = false;
      session_->changes_kept ();
    }
    if (busy_ || !std::exchange (wanted_, false)) return;
    pending_ = session_->take_changes ();
    busy_ = true;
    timer_->arm (scheduler_.now () + delay_);
  }

  VirtualScheduler &scheduler_;
  const TimeUs delay_;
  Session *session_ = nullptr;
  std::vector<MemoryChange> pending_;
  bool busy_ = false, wanted_ = false;
  std::unique_ptr<Scheduler::Timer> timer_;
};

class Kept : public SessionPair {
 protected:
  Kept () { alice_config.kept = bob_config.kept = true; }

  void start_kept () {
    alice = Session::create (alice_config, alice_app);
    bob = Session::create (bob_config, bob_app);
    alice_disk.serve (alice.get ());
    bob_disk.serve (bob.get ());
    attach ();
    ASSERT_TRUE (run ([this] { return alice->established () && bob->established (); }));
  }
  // The process dies; another one comes back from its disk, with a higher epoch.
  void restart (std::unique_ptr<Session> &session, SessionConfig &config, Application &app,
                Disk &disk) {
    disk.serve (nullptr);
    session->detach ();
    session.reset ();
    app = Application ();
    config.memory_epoch = 1;
    ++config.epoch;
    auto restored = Session::restore (config, app, disk.items ());
    ASSERT_TRUE (restored.ok ()) << restored.error ().message;
    session = std::move (*restored);
    disk.serve (session.get ());
  }
  void restart_alice () { restart (alice, alice_config, alice_app, alice_disk); }
  void restart_bob () { restart (bob, bob_config, bob_app, bob_disk); }
  void meet_again () {
    attach ();
    ASSERT_TRUE (run ([this] { return alice->established () && bob->established (); }));
  }
  static ChannelOptions durable () {
    ChannelOptions options;
    options.durable = true;
    return options;
  }

  Disk alice_disk{scheduler, 3 * kMillisecond}, bob_disk{scheduler, 2 * kMillisecond};
};

TEST_F (Kept, MessagesOfADurableChannelAreSentAfterTheSenderHasDied) {
  start_kept ();
  cut ();
  Channel &channel = open (*alice, "log", durable ());
  for (int i = 0; i < 5; ++i) ASSERT_TRUE (*channel.send (message_of (std::to_string (i))));
  settle ();
  EXPECT_EQ (channel.unkept_messages (), 0U);
  restart_alice ();
  ASSERT_NE (find (*alice, "log"), nullptr);
  EXPECT_EQ (find (*alice, "log")->resume_seq (), 5U);
  meet_again ();
  settle ();
  EXPECT_EQ (bob_app.texts ("log"), (std::vector<std::string>{"0", "1", "2", "3", "4"}));
}

TEST_F (Kept, AMessageLeavesOnlyOnceItIsDurable) {
  start_kept ();
  Channel &channel = open (*alice, "log", durable ());
  settle ();
  ASSERT_TRUE (*channel.send (message_of ("x")));
  scheduler.run_for (kMillisecond);
  EXPECT_EQ (channel.unkept_messages (), 1U);
  EXPECT_TRUE (bob_app.texts ("log").empty ());
  settle ();
  EXPECT_EQ (bob_app.texts ("log"), (std::vector<std::string>{"x"}));
}

TEST_F (Kept, WhatTheReceiverHasTakenDoesNotComeAgainAfterItHasDied) {
  start_kept ();
  Channel &channel = open (*alice, "log");
  for (int i = 0; i < 5; ++i) ASSERT_TRUE (*channel.send (message_of (std::to_string (i))));
  settle ();
  ASSERT_EQ (bob_app.texts ("log").size (), 5U);
  cut ();
  restart_bob ();
  meet_again ();
  ASSERT_TRUE (*find (*alice, "log")->send (message_of ("5")));
  settle ();
  EXPECT_EQ (bob_app.texts ("log"), (std::vector<std::string>{"5"}));
}

TEST_F (Kept, WhatTheReceiverHasNotTakenComesAgainAfterItHasDied) {
  start_kept ();
  bob_app.takes = false;
  Channel &channel = open (*alice, "log");
  for (int i = 0; i < 3; ++i) ASSERT_TRUE (*channel.send (message_of (std::to_string (i))));
  settle ();
  ASSERT_EQ (bob_app.texts ("log").size (), 3U);
  bob_app.seen["log"].untaken.resize (1);
  bob_app.take_all (*find (*bob, "log"));
  settle ();
  cut ();
  restart_bob ();
  meet_again ();
  settle ();
  EXPECT_EQ (bob_app.texts ("log"), (std::vector<std::string>{"1", "2"}));
}

TEST_F (Kept, NothingIsConfirmedBeforeItIsDurable) {
  start_kept ();
  Channel &channel = open (*alice, "log");
  bob_app.on_message = [&] (Channel &, const Message &) {};
  ASSERT_TRUE (*channel.send (message_of ("x")));
  ASSERT_TRUE (run ([&] { return !bob_app.texts ("log").empty (); }));
  bob_disk.serve (nullptr);  // it never gets there
  bob->set_keeper (nullptr);
  settle ();
  EXPECT_FALSE (channel.flushed ());
}

TEST_F (Kept, ASenderThatIsNotDurableLearnsHowFarThePeerGot) {
  start_kept ();
  Channel &channel = open (*alice, "log");
  for (int i = 0; i < 4; ++i) ASSERT_TRUE (*channel.send (message_of (std::to_string (i))));
  settle ();
  cut ();
  restart_alice ();
  Channel *again = find (*alice, "log");
  ASSERT_NE (again, nullptr);
  EXPECT_FALSE (again->resume_seq ());
  EXPECT_FALSE (*again->send (message_of ("?")));  // it does not know its number yet
  meet_again ();
  ASSERT_EQ (again->resume_seq (), 4U);
  ASSERT_TRUE (*again->send (message_of ("4")));
  settle ();
  EXPECT_EQ (bob_app.texts ("log"), (std::vector<std::string>{"0", "1", "2", "3", "4"}));
}

TEST_F (Kept, APeerThatHasNotTakenAllYetHasForgottenNothing) {
  start_kept ();
  bob_app.takes = false;
  Channel &channel = open (*alice, "log");
  for (int i = 0; i < 4; ++i) ASSERT_TRUE (*channel.send (message_of (std::to_string (i))));
  settle ();
  for (int i = 0; i < 2; ++i) {
    cut ();
    restart_alice ();
    meet_again ();
    ASSERT_EQ (find (*alice, "log")->resume_seq (), 4U);
  }
  // Also over another transport.
  cut ();
  meet_again ();
  bob_app.take_all (*find (*bob, "log"));
  ASSERT_TRUE (*find (*alice, "log")->send (message_of ("4")));
  settle ();
  EXPECT_EQ (bob_app.texts ("log"), (std::vector<std::string>{"0", "1", "2", "3", "4"}));
}

// The sender goes on after what had arrived, which dies with the receiver: nobody has it any more.
TEST_F (Kept, WhatNobodyHasAnyMoreEndsTheChannelAndNotTheSession) {
  for (const bool ordered : {true, false}) {
    SCOPED_TRACE (ordered);
    const std::string name = ordered ? "log" : "set";
    if (!alice) start_kept ();
    ChannelOptions options;
    options.ordered = ordered;
    bob_app.takes = false;
    Channel &channel = open (*alice, name, options);
    for (int i = 0; i < 4; ++i) ASSERT_TRUE (*channel.send (message_of (std::to_string (i))));
    settle ();
    cut ();
    restart_alice ();
    meet_again ();
    ASSERT_EQ (find (*alice, name)->resume_seq (), 4U);
    ASSERT_TRUE (*find (*alice, name)->send (message_of ("4")));
    settle ();
    cut ();
    restart_bob ();
    meet_again ();
    settle ();
    EXPECT_TRUE (alice->established () && bob->established ());
    EXPECT_EQ (find (*alice, name), nullptr);
    EXPECT_EQ (find (*bob, name), nullptr);
    bob_app = Application ();
    ASSERT_TRUE (*open (*alice, name, options).send (message_of ("anew")));
    settle ();
    EXPECT_EQ (bob_app.texts (name), std::vector<std::string>{"anew"});
  }
}

TEST_F (Kept, BothSidesMayDieTogether) {
  start_kept ();
  Channel &there = open (*alice, "there", durable ());
  Channel &back = open (*bob, "back", durable ());
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE (*there.send (message_of (std::to_string (i))));
    ASSERT_TRUE (*back.send (message_of (std::to_string (i))));
  }
  settle ();
  cut ();
  restart_alice ();
  restart_bob ();
  meet_again ();
  ASSERT_TRUE (*find (*alice, "there")->send (message_of ("3")));
  ASSERT_TRUE (*find (*bob, "back")->send (message_of ("3")));
  settle ();
  EXPECT_EQ (bob_app.texts ("there"), (std::vector<std::string>{"3"}));
  EXPECT_EQ (alice_app.texts ("back"), (std::vector<std::string>{"3"}));
}

TEST_F (Kept, TheEndOfADirectionSurvives) {
  start_kept ();
  cut ();
  Channel &channel = open (*alice, "log", durable ());
  ASSERT_TRUE (*channel.send (message_of ("x")));
  channel.finish ();
  settle ();
  restart_alice ();
  meet_again ();
  settle ();
  EXPECT_EQ (bob_app.texts ("log"), (std::vector<std::string>{"x"}));
  EXPECT_TRUE (bob_app.seen["log"].ended);
  EXPECT_TRUE (find (*alice, "log")->flushed ());
}

TEST_F (Kept, AnOlderInstanceIsFencedOff) {
  start_kept ();
  const auto old_items = alice_disk.items ();
  const SessionConfig old_config = alice_config;
  cut ();
  restart_alice ();
  meet_again ();
  cut ();
  // The one that was thought dead comes back.
  Application old_app;
  auto old = Session::restore (old_config, old_app, old_items);
  ASSERT_TRUE (old.ok ());
  alice->detach ();
  alice.swap (*old);
  const int detached = bob_app.detached;
  attach ();
  settle ();
  EXPECT_EQ (old_app.established, 0);
  EXPECT_EQ (old_app.detached, 1);
  EXPECT_EQ (bob_app.detached, detached + 1);
  alice.reset ();
}

TEST_F (Kept, AReceiverWhoseStoreWasSetBackIsRefused) {
  start_kept ();
  Channel &channel = open (*alice, "log");
  ASSERT_TRUE (*channel.send (message_of ("0")));
  settle ();
  const auto old_items = bob_disk.items_;
  ASSERT_TRUE (*channel.send (message_of ("1")));
  settle ();
  cut ();
  bob_disk.items_ = old_items;
  restart_bob ();
  attach ();
  settle ();
  EXPECT_EQ (alice_app.detached, 2);
  EXPECT_NE (alice_app.detach_error.message.find ("older copy"), std::string::npos)
      << alice_app.detach_error.message;
}

TEST_F (Kept, ASenderWhoseStoreWasSetBackIsRefused) {
  start_kept ();
  Channel &channel = open (*alice, "log", durable ());
  ASSERT_TRUE (*channel.send (message_of ("0")));
  settle ();
  const auto old_items = alice_disk.items_;
  ASSERT_TRUE (*channel.send (message_of ("1")));
  settle ();
  cut ();
  alice_disk.items_ = old_items;
  restart_alice ();
  attach ();
  settle ();
  EXPECT_NE (alice_app.detach_error.message.find ("older copy"), std::string::npos)
      << alice_app.detach_error.message;
}

TEST_F (Kept, DamagedItemsAreRefused) {
  start_kept ();
  Channel &channel = open (*alice, "log", durable ());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE (*channel.send (message_of (std::to_string (i))));
  scheduler.run_for (5 * kMillisecond);
  const auto items = alice_disk.items ();
  ASSERT_GE (items.size (), 3U);
  std::mt19937 random (7);
  for (std::size_t i = 0; i < items.size (); ++i) {
    // Cut short: never taken for something else, and never a crash.
    auto damaged = items;
    const std::string text = text_of (items[i].value);
    damaged[i].value = bytes_from (text.substr (0, text.size () - 1));
    Application app;
    EXPECT_FALSE (Session::restore (alice_config, app, damaged).ok ()) << items[i].key;
    for (int round = 0; round < 200; ++round) {
      std::string mutated = text;
      mutated[random () % mutated.size ()] = static_cast<char> (random ());
      damaged[i].value = bytes_from (mutated);
      (void)Session::restore (alice_config, app, damaged);
    }
    // Of a later version.
    std::string later = text;
    later[0] = 2;
    damaged[i].value = bytes_from (later);
    auto refused = Session::restore (alice_config, app, damaged);
    ASSERT_FALSE (refused.ok ());
    EXPECT_NE (refused.error ().message.find ("another version"), std::string::npos);
  }
}

// Both ways, over durable channels whose applications keep the number of what they have done with
// its effect: each message has its effect once, whoever dies and whenever.
class Kills : public Kept, public ::testing::WithParamInterface<bool> {
 protected:
  struct Side {
    // Durable, as the application's own store is; by sequence number.
    std::map<std::uint64_t, std::string> effects;
    std::uint64_t sent = 0;  // the next that it has to send
  };
  static constexpr std::uint64_t kMessages = 60;

  void use (Session &session, Application &app, Side &side, const std::string &in) {
    app.keeps = false;
    app.takes = false;
    app.on_message = [ordered = GetParam (), &side, in] (Channel &channel, const Message &message) {
      if (channel.name () != in) return;
      // What it has already comes again where it was not believed yet.
      if (side.effects.count (message.seq) == 0) {
        ASSERT_TRUE (!ordered || message.seq == side.effects.size ());
        side.effects[message.seq] = text_of (message.payload);
      }
      channel.consumed (message);
    };
    if (Channel *channel = find (session, in))
      for (const auto &[seq, text] : side.effects) channel->confirm (seq);
  }
  void feed (Session &session, Side &side, const std::string &out) {
    ChannelOptions options = durable ();
    options.ordered = GetParam ();
    Channel &channel = open (session, out, options);
    side.sent = std::max (side.sent, channel.resume_seq ().value_or (0));
    for (int burst = 0; burst < 3 && side.sent < kMessages; ++burst) {
      Result<bool> sent = channel.send (message_of (out + std::to_string (side.sent)));
      if (!sent.ok () || !*sent) return;
      ++side.sent;
    }
  }
};

TEST_P (Kills, EachMessageHasItsEffectOnceWhoeverDies) {
  std::mt19937_64 random (GetParam () ? 11 : 12);
  for (int run_number = 0; run_number < 100; ++run_number) {
    SCOPED_TRACE (run_number);
    Side a, b;
    alice_config.epoch = bob_config.epoch = 1;
    alice_config.memory_epoch = bob_config.memory_epoch = 1;
    alice_app = Application ();
    bob_app = Application ();
    alice_disk.serve (nullptr);
    bob_disk.serve (nullptr);
    alice_disk.items_.clear ();
    bob_disk.items_.clear ();
    start_kept ();
    use (*alice, alice_app, a, "back");
    use (*bob, bob_app, b, "there");
    int kills = 8;
    for (int step = 0; step < 4000; ++step) {
      if (a.effects.size () == kMessages && b.effects.size () == kMessages) break;
      feed (*alice, a, "there");
      feed (*bob, b, "back");
      scheduler.run_for (static_cast<TimeUs> (random () % 8) * kMillisecond);
      if (kills == 0 || random () % 8 != 0) continue;
      --kills;
      const unsigned who = random () % 4;  // neither, one, the other, both
      cut ();
      scheduler.run_for (static_cast<TimeUs> (random () % 5) * kMillisecond);
      if (who & 1U) {
        restart_alice ();
        a.sent = 0;
        use (*alice, alice_app, a, "back");
      }
      if (who & 2U) {
        restart_bob ();
        b.sent = 0;
        use (*bob, bob_app, b, "there");
      }
      attach ();
      ASSERT_TRUE (run ([this] { return alice->established () && bob->established (); }))
          << alice_app.detach_error.message << bob_app.detach_error.message;
    }
    ASSERT_EQ (a.effects.size (), kMessages);
    ASSERT_EQ (b.effects.size (), kMessages);
    for (std::uint64_t i = 0; i < kMessages; ++i) {
      ASSERT_EQ (a.effects[i], "back" + std::to_string (i));
      ASSERT_EQ (b.effects[i], "there" + std::to_string (i));
    }
    cut ();
  }
}

INSTANTIATE_TEST_SUITE_P (Order, Kills, ::testing::Bool (), [] (const auto &order) {
  return std::string (order.param ? "Ordered" : "Unordered");
});

}  // namespace

}  // namespace p2p::test
