// Sessions on a real redis-server: taken over, killed, stopped, emptied, full.
#include "store/redis_store.hpp"

#include <gtest/gtest.h>

#include <atomic>

#include "support/redis_server.hpp"
#include "support/store_driver.hpp"

namespace p2p {
namespace {

using test::store_bytes;
using test::StoreDriver;
using Items = StoreDriver::Items;

class RedisStoreTest : public testing::Test {
 protected:
  std::unique_ptr<StoreDriver> driver (const std::string &uri, RedisStore::Options options = {}) {
    return std::make_unique<StoreDriver> ([&] {
      return std::make_unique<RedisStore> (core_loop ().context (), core_loop ().scheduler (),
                                           *parse_redis_uri (uri), options);
    });
  }
  std::unique_ptr<StoreDriver> driver () { return driver (server_.uri ()); }
  // What an operator would type.
  std::string ask (const std::vector<std::string> &words) {
    struct Ready : RedisConnection::Observer {
      void redis_ready () override { ready.set_value (); }
      void redis_lost (const Error &) override {}
      std::promise<void> ready;
    } observer;
    std::unique_ptr<RedisConnection> connection;
    std::promise<std::string> answer;
    core_loop ().run_sync ([&] {
      connection = std::make_unique<RedisConnection> (
          core_loop ().context (), core_loop ().scheduler (), *parse_redis_uri (server_.uri ()));
      connection->set_observer (&observer);
      connection->start ();
    });
    observer.ready.get_future ().wait ();
    core_loop ().run_sync ([&] {
      const auto refused = connection->command (words, [&] (const Result<RedisReply> &reply) {
        answer.set_value (reply ? reply.value ().text : reply.error ().message);
      });
      if (refused) answer.set_value (refused->message);
    });
    const std::string text = answer.get_future ().get ();
    core_loop ().run_sync ([&] { connection.reset (); });
    return text;
  }
  static bool holds (const std::string &text, const char *part) {
    return text.find (part) != std::string::npos;
  }

  RedisServer server_{{"--appendonly", "yes", "--appendfsync", "always"}};
};

TEST_F (RedisStoreTest, WhoOpensFencesOffWhoHeldIt) {
  server_.start ();
  auto active = driver (), standby = driver ();
  active->must_open ();
  EXPECT_FALSE (active->put ("k", "v"));
  EXPECT_EQ (standby->must_open (), (Items{{"k", "v"}}));
  EXPECT_EQ (standby->term, active->term + 1);
  const Status status = active->put ("k", "old");
  ASSERT_TRUE (status);
  EXPECT_EQ (status->code, P2P_ERROR_FENCED);
  EXPECT_FALSE (standby->put ("k", "new"));
  EXPECT_EQ (active->losses (), 1);
  EXPECT_EQ (driver ()->must_open (), (Items{{"k", "new"}}));
}

TEST_F (RedisStoreTest, AnIdleHolderLearnsThatItWasFencedOff) {
  server_.start ();
  struct Lost : SessionStore::Observer {
    void store_lost (const Error &error) override { promise.set_value (error.code); }
    std::promise<P2pError> promise;
  } lost;
  auto active = driver (), standby = driver ();
  active->must_open ();
  active->with ([&] (SessionStore &s) { s.set_observer (&lost); });
  standby->must_open ();
  auto code = lost.promise.get_future ();
  ASSERT_EQ (code.wait_for (std::chrono::seconds (20)), std::future_status::ready);
  EXPECT_EQ (code.get (), P2P_ERROR_FENCED);
}

TEST_F (RedisStoreTest, AServerThatIsAwayIsWaitedForAndThenNamed) {
  RedisStore::Options options;
  options.open_within_us = 300 * kMillisecond;
  auto store = driver (server_.uri (), options);
  auto opened = store->open ();
  ASSERT_FALSE (opened.ok ());
  EXPECT_EQ (opened.error ().code, P2P_ERROR_STORE);
  EXPECT_TRUE (holds (opened.error ().message, server_.socket_path ().c_str ()))
      << opened.error ().message;
}

TEST_F (RedisStoreTest, AWrongPasswordIsToldAtOnceAndNeverQuoted) {
  RedisServer locked ({"--requirepass", "opensesame"});
  locked.start ();
  const auto uri = [&] (const std::string &password) {
    return "redis+unix://:" + password + "@" + locked.socket_path ();
  };
  EXPECT_EQ (driver (uri ("opensesame"))->must_open (), Items ());
  auto opened = driver (uri ("wr0ngw0rd"))->open ();
  ASSERT_FALSE (opened.ok ());
  EXPECT_TRUE (holds (opened.error ().message, "password")) << opened.error ().message;
  EXPECT_FALSE (holds (opened.error ().message, "wr0ngw0rd"));
  auto without = driver (locked.uri ())->open ();
  ASSERT_FALSE (without.ok ());
  EXPECT_TRUE (holds (without.error ().message, "password")) << without.error ().message;
}

TEST_F (RedisStoreTest, WhatIsGivenWhileTheServerIsAwayIsWrittenOnceItIsBack) {
  server_.start ();
  auto store = driver ();
  store->must_open ();
  EXPECT_FALSE (store->put ("a", "1"));
  server_.end ();
  std::promise<void> written;
  store->with ([&] (SessionStore &s) {
    s.commit ({StoreChange::put ("a", store_bytes ("2"))},
              [] (const Status &status) { EXPECT_FALSE (status); });
    s.commit ({StoreChange::put ("b", store_bytes ("3"))}, [&] (const Status &status) {
      EXPECT_FALSE (status);
      written.set_value ();
    });
    EXPECT_EQ (s.waiting_bytes (), 4u);
  });
  server_.start ();
  written.get_future ().wait ();
  EXPECT_EQ (store->losses (), 0);
  EXPECT_EQ (driver ()->must_open (), (Items{{"a", "2"}, {"b", "3"}}));
}

TEST_F (RedisStoreTest, AServerThatForgotWhatItConfirmedEndsTheStore) {
  RedisServer forgetful;
  forgetful.start ();
  auto store = driver (forgetful.uri ());
  store->must_open ();
  EXPECT_FALSE (store->put ("a", "1"));
  forgetful.end ();
  forgetful.start ();
  const Status status = store->put ("a", "2");
  ASSERT_TRUE (status);
  EXPECT_EQ (status->code, P2P_ERROR_STORE);
  EXPECT_TRUE (holds (status->message, "appendonly")) << status->message;
  EXPECT_EQ (store->losses (), 1);
  EXPECT_EQ (driver (forgetful.uri ())->must_open (), Items ());
}

TEST_F (RedisStoreTest, KilledInTheMidstOfWritesTheServerLosesNothingThatWasConfirmed) {
  server_.start ();
  auto store = driver ();
  store->must_open ();
  constexpr int kBatches = 2000;
  std::atomic<int> confirmed{0};
  std::promise<void> all;
  store->with ([&] (SessionStore &s) {
    for (int i = 1; i <= kBatches; ++i)
      s.commit ({StoreChange::put ("first", store_bytes (std::to_string (i))),
                 StoreChange::put ("last", store_bytes (std::to_string (i)))},
                [&, i] (const Status &status) {
                  EXPECT_FALSE (status) << status->message;
                  EXPECT_EQ (confirmed + 1, i);
                  confirmed = i;
                  if (i == kBatches) all.set_value ();
                });
  });
  for (int kills = 0; kills < 5; ++kills) {
    server_.end ();
    server_.start ();
    ask ({"PING"});  // it has loaded
  }
  all.get_future ().wait ();
  const std::string last = std::to_string (kBatches);
  EXPECT_EQ (driver ()->must_open (), (Items{{"first", last}, {"last", last}}));
}

TEST_F (RedisStoreTest, AServerWithoutRoomIsAskedAgain) {
  server_.start ();
  auto store = driver ();
  store->must_open ();
  ask ({"CONFIG", "SET", "maxmemory", "1"});
  std::atomic<int> answers{0};
  std::promise<void> written;
  store->with ([&] (SessionStore &s) {
    for (int i = 1; i <= 3; ++i)
      s.commit ({StoreChange::put ("k", store_bytes (std::to_string (i)))},
                [&, i] (const Status &status) {
                  EXPECT_FALSE (status);
                  EXPECT_EQ (++answers, i);
                  if (i == 3) written.set_value ();
                });
  });
  ask ({"CONFIG", "SET", "maxmemory", "0"});
  written.get_future ().wait ();
  EXPECT_EQ (driver ()->must_open (), (Items{{"k", "3"}}));
}

TEST_F (RedisStoreTest, AnAnswerThatNoWaitingMendsEndsTheStore) {
  server_.start ();
  auto store = driver ();
  store->must_open ();
  ask ({"SET", "p2p:{alice}:items", "of somebody else"});
  const Status status = store->put ("k", "v");
  ASSERT_TRUE (status);
  EXPECT_EQ (status->code, P2P_ERROR_STORE);
  EXPECT_TRUE (holds (status->message, "WRONGTYPE")) << status->message;
  EXPECT_EQ (store->losses (), 1);
}

TEST_F (RedisStoreTest, AServerThatStandsStillIsWaitedFor) {
  server_.start ();
  auto store = driver ();
  store->must_open ();
  server_.send (SIGSTOP);
  std::promise<void> written;
  store->with ([&] (SessionStore &s) {
    s.commit ({StoreChange::put ("k", store_bytes ("v"))}, [&] (const Status &status) {
      EXPECT_FALSE (status);
      written.set_value ();
    });
  });
  server_.send (SIGCONT);
  written.get_future ().wait ();
  EXPECT_EQ (store->losses (), 0);
}

TEST_F (RedisStoreTest, AMissingValueIsToldAndNotPassedOver) {
  server_.start ();
  auto store = driver ();
  store->must_open ();
  EXPECT_FALSE (store->put ("k", "v"));
  store->close ();
  ask ({"HDEL", "p2p:{alice}:items", "k"});
  auto opened = driver ()->open ();
  ASSERT_FALSE (opened.ok ());
  EXPECT_TRUE (holds (opened.error ().message, "damaged")) << opened.error ().message;
}

}  // namespace
}  // namespace p2p
