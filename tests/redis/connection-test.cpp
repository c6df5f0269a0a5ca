// A client against the real redis-server, and against servers that are none.
#include "redis/redis_connection.hpp"

#include <gio/gunixsocketaddress.h>

#include "redis_server.hpp"

using namespace p2p;

namespace {

class Client final : public RedisConnection::Observer {
 public:
  explicit Client (const std::string &uri, const RedisOptions &options = {})
      : scheduler_ (nullptr),
        connection_ (std::make_unique<RedisConnection> (nullptr, scheduler_, *parse_redis_uri (uri),
                                                        options)) {
    connection_->set_observer (this);
    connection_->start ();
  }
  RedisConnection *operator->() const { return connection_.get (); }
  void destroy () { connection_.reset (); }

  void redis_ready () override { ++readies; }
  void redis_lost (const Error &reason) override {
    losses.push_back (reason);
    if (on_lost) on_lost ();
  }
  void redis_message (const std::string &channel, const std::string &payload) override {
    messages.push_back (channel + "=" + payload);
    if (on_message) on_message ();
  }

  bool wait (const std::function<bool ()> &done) const {
    const gint64 until = g_get_monotonic_time () + kDeadlineUs;
    const UniqueSource tick (g_timeout_source_new (50));  // so that the limit is looked at
    g_source_set_callback (
        tick.get (), [] (gpointer) -> gboolean { return G_SOURCE_CONTINUE; }, nullptr, nullptr);
    g_source_attach (tick.get (), nullptr);
    while (!done ()) {
      if (g_get_monotonic_time () > until) return false;
      g_main_context_iteration (nullptr, TRUE);
    }
    return true;
  }
  bool wait_ready (int times = 1) const {
    return wait ([&] { return readies >= times && connection_->ready (); });
  }
  bool wait_lost (const std::string &part) const {
    return wait ([&] { return lost (part); });
  }
  bool lost (const std::string &part) const {
    for (const Error &one : losses)
      if (one.message.find (part) != std::string::npos) return true;
    return false;
  }
  std::string told () const {
    std::string all;
    for (const Error &one : losses) all += one.message + "\n";
    return all;
  }
  // The answer as text, or the error's message.
  std::string ask (const std::vector<std::string> &words) const {
    std::string text;
    bool answered = false;
    const auto refused = connection_->command (words, [&] (const Result<RedisReply> &answer) {
      answered = true;
      if (!answer)
        text = answer.error ().message;
      else if (answer.value ().kind == RedisReply::Kind::integer)
        text = std::to_string (answer.value ().number);
      else
        text = answer.value ().text;
    });
    if (refused) return refused->message;
    EXPECT_TRUE (wait ([&] { return answered; }));
    return text;
  }

  int readies = 0;
  std::vector<Error> losses;
  std::vector<std::string> messages;
  std::function<void ()> on_lost, on_message;

 private:
  LoopScheduler scheduler_;
  std::unique_ptr<RedisConnection> connection_;
};

RedisOptions
subscriber () {
  RedisOptions options;
  options.role = RedisOptions::Role::subscriber;
  return options;
}

RedisOptions
impatient () {
  RedisOptions options;
  options.answer_within_us = kSecond;
  options.quiet_us = kSecond;
  return options;
}

// Says the same to everybody who connects and says something.
class FakeServer {
 public:
  explicit FakeServer (std::string answer)
      : answer_ (std::move (answer)),
        service_ (Ref<GSocketService>::adopt (g_socket_service_new ())) {
    const auto address = Ref<GSocketAddress>::adopt (
        g_unix_socket_address_new ((directory_ / "fake.sock").c_str ()));
    EXPECT_TRUE (g_socket_listener_add_address (G_SOCKET_LISTENER (service_.get ()), address.get (),
                                                G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT,
                                                nullptr, nullptr, nullptr));
    using Incoming = gboolean (*) (GSocketService *, GSocketConnection *, GObject *, gpointer);
    const Incoming incoming = [] (GSocketService *, GSocketConnection *connection, GObject *,
                                  gpointer data) -> gboolean {
      auto *self = static_cast<FakeServer *> (data);
      self->connections_.push_back (Ref<GSocketConnection>::share (connection));
      send (g_socket_get_fd (g_socket_connection_get_socket (connection)), self->answer_.data (),
            self->answer_.size (), MSG_DONTWAIT | MSG_NOSIGNAL);
      return TRUE;
    };
    g_signal_connect (service_.get (), "incoming", G_CALLBACK (incoming), this);
  }
  ~FakeServer () { g_socket_service_stop (service_.get ()); }
  FakeServer (const FakeServer &) = delete;
  FakeServer &operator= (const FakeServer &) = delete;
  std::string uri (const std::string &password = {}) const {
    return "redis+unix://" + (password.empty () ? "" : ":" + password + "@") +
           (directory_ / "fake.sock");
  }

 private:
  const std::string answer_;
  const TemporaryDirectory directory_;
  const Ref<GSocketService> service_;
  std::vector<Ref<GSocketConnection>> connections_;
};

TEST (RedisConnection, CommandsAreAnsweredInTheirOrderWithAnyBytes) {
  RedisServer server;
  server.start ();
  const Client client (server.uri () + "?db=3");
  ASSERT_TRUE (client.wait_ready ()) << client.told ();
  const std::string value ("\0\r\n$-1\r\n\xff", 9);
  std::vector<std::string> order;
  for (const char *name : {"one", "two", "three"})
    EXPECT_FALSE (client->command ({"ECHO", name}, [&] (const Result<RedisReply> &answer) {
      order.push_back (answer.value ().text);
    }));
  EXPECT_EQ (client.ask ({"SET", "key", value}), "OK");
  EXPECT_EQ (order, (std::vector<std::string>{"one", "two", "three"}));
  EXPECT_EQ (client.ask ({"GET", "key"}), value);
  EXPECT_EQ (client->stats ().refused, 0u);
}

TEST (RedisConnection, LongValuesArriveWhole) {
  RedisServer server;
  server.start ();
  const Client client (server.uri ());
  ASSERT_TRUE (client.wait_ready ()) << client.told ();
  const std::string value (5 * 1024 * 1024, 'v');
  EXPECT_EQ (client.ask ({"SET", "key", value}), "OK");
  EXPECT_EQ (client.ask ({"GET", "key"}), value);
}

TEST (RedisConnection, WaitsForAServerThatIsAwayAtTheStart) {
  RedisServer server;
  const Client client (server.uri ());
  ASSERT_TRUE (client.wait ([&] { return !client.losses.empty (); }));
  EXPECT_EQ (client.losses[0].code, P2P_ERROR_UNREACHABLE);
  EXPECT_TRUE (client.lost ("cannot be reached: ")) << client.told ();
  const auto refused = client->command ({"PING"}, {});
  ASSERT_TRUE (refused);
  EXPECT_EQ (refused->code, P2P_ERROR_NOT_CONNECTED);
  EXPECT_EQ (client->stats ().refused, 1u);
  server.start ();
  EXPECT_TRUE (client.wait_ready ()) << client.told ();
}

TEST (RedisConnection, OverTcpWithNameAndPort) {
  const std::string port = std::to_string (free_port ());
  RedisServer server ({"--port", port, "--bind", "127.0.0.1"});
  server.start ();
  const Client client ("redis://localhost:" + port);
  ASSERT_TRUE (client.wait_ready ()) << client.told ();
  EXPECT_EQ (client.ask ({"ECHO", "hello"}), "hello");
}

TEST (RedisConnection, ComesBackToAServerThatIsKilledAndSaysWhatIsUnknown) {
  RedisServer server;
  server.start ();
  const Client client (server.uri ());
  ASSERT_TRUE (client.wait_ready ()) << client.told ();
  std::string told;
  server.send (SIGSTOP);
  EXPECT_FALSE (client->command ({"SET", "key", "value"}, [&] (const Result<RedisReply> &answer) {
    told = answer ? "answered" : answer.error ().message;
  }));
  server.end (SIGKILL);
  EXPECT_TRUE (client.wait ([&] { return !told.empty (); }));
  EXPECT_NE (told.find ("Whether SET was carried out is not known."), std::string::npos) << told;
  EXPECT_FALSE (client->ready ());
  EXPECT_EQ (client->stats ().unanswered, 1u);
  server.start ();
  EXPECT_TRUE (client.wait_ready (2)) << client.told ();
  EXPECT_EQ (client.ask ({"ECHO", "again"}), "again");
  EXPECT_EQ (client->stats ().losses, 1u);
}

TEST (RedisConnection, GivesUpAServerThatDoesNotAnswer) {
  RedisServer server;
  server.start ();
  const Client client (server.uri (), impatient ());
  ASSERT_TRUE (client.wait_ready ()) << client.told ();
  server.send (SIGSTOP);
  bool failed = false;
  EXPECT_FALSE (client->command ({"PING"}, [&] (const Result<RedisReply> &answer) {
    failed = !answer && answer.error ().code == P2P_ERROR_TIMED_OUT;
  }));
  EXPECT_TRUE (client.wait ([&] { return failed; }));
  EXPECT_TRUE (client.lost ("has not answered within 1000 ms")) << client.told ();
  server.send (SIGCONT);
  EXPECT_TRUE (client.wait_ready (2)) << client.told ();
}

TEST (RedisConnection, NoticesWhileItIsQuietThatNobodyIsThere) {
  RedisServer server;
  server.start ();
  RedisOptions options = impatient ();
  options.role = RedisOptions::Role::subscriber;
  Client client (server.uri (), options);
  client->subscribe ("news");
  ASSERT_TRUE (client.wait_ready ()) << client.told ();
  server.send (SIGSTOP);
  EXPECT_TRUE (client.wait_lost ("has not answered within 1000 ms")) << client.told ();
  server.send (SIGCONT);
  EXPECT_TRUE (client.wait_ready (2)) << client.told ();
}

TEST (RedisConnection, RefusesMoreThanItsQueueHolds) {
  RedisServer server;
  server.start ();
  RedisOptions options;
  options.max_queue_bytes = 256 * 1024;
  const Client client (server.uri (), options);
  ASSERT_TRUE (client.wait_ready ()) << client.told ();
  server.send (SIGSTOP);
  const std::string value (100 * 1024, 'v');
  int answers = 0;
  const auto done = [&] (const Result<RedisReply> &answer) { answers += answer ? 1 : 0; };
  EXPECT_FALSE (client->command ({"SET", "a", value}, done));
  EXPECT_FALSE (client->command ({"SET", "b", value}, done));
  const auto refused = client->command ({"SET", "c", value}, done);
  ASSERT_TRUE (refused);
  EXPECT_EQ (refused->code, P2P_ERROR_WOULD_BLOCK);
  EXPECT_EQ (client->stats ().refused, 1u);
  server.send (SIGCONT);
  EXPECT_TRUE (client.wait ([&] { return answers == 2; })) << client.told ();
  EXPECT_FALSE (client->command ({"SET", "c", value}, done));
  EXPECT_TRUE (client.wait ([&] { return answers == 3; })) << client.told ();
}

TEST (RedisConnection, SaysWhichPasswordIsWrongAndNeverThePassword) {
  RedisServer server ({"--requirepass", "rightpass"});
  server.start ();
  const std::string at = server.uri ().substr (13);
  const Client none (server.uri ());
  EXPECT_TRUE (none.wait_lost ("wants a password; put it into the URI")) << none.told ();
  const Client wrong ("redis+unix://:wrongpass@" + at);
  EXPECT_TRUE (wrong.wait_lost ("does not take the user or password of its URI: \"WRONGPASS"))
      << wrong.told ();
  EXPECT_EQ (wrong.losses.back ().code, P2P_ERROR_NOT_AUTHORIZED);
  EXPECT_FALSE (wrong.lost ("wrongpass"));
  const Client right ("redis+unix://:rightpass@" + at);
  ASSERT_TRUE (right.wait_ready ()) << right.told ();
  EXPECT_EQ (right.ask ({"ECHO", "in"}), "in");
  EXPECT_EQ (right.ask ({"ACL", "SETUSER", "joe", "on", ">joespass", "+@all", "~*", "&*"}), "OK");
  const Client user ("redis+unix://joe:joespass@" + at);
  EXPECT_TRUE (user.wait_ready ()) << user.told ();
}

TEST (RedisConnection, SaysThatTheDatabaseIsNotThere) {
  RedisServer server ({"--databases", "2"});
  server.start ();
  const Client client (server.uri () + "?db=2");
  EXPECT_TRUE (client.wait_lost ("does not give the database of its URI: \"ERR")) << client.told ();
}

TEST (RedisConnection, ARefusalIsASentenceAndBreaksNothing) {
  RedisServer server;
  server.start ();
  const Client client (server.uri ());
  ASSERT_TRUE (client.wait_ready ()) << client.told ();
  EXPECT_EQ (client.ask ({"LPUSH", "list", "x"}), "1");
  const std::string wrong = client.ask ({"GET", "list"});
  EXPECT_NE (wrong.find (" refuses GET: \"WRONGTYPE "), std::string::npos) << wrong;
  const std::string unknown = client.ask ({"NOSUCH", "secret"});
  EXPECT_NE (unknown.find ("unknown command"), std::string::npos) << unknown;
  EXPECT_EQ (unknown.find ("secret"), std::string::npos) << unknown;
  EXPECT_EQ (client.ask ({"ECHO", "fine"}), "fine");
  EXPECT_EQ (client->stats ().losses, 0u) << client.told ();
}

TEST (RedisConnection, SubscriptionsStandAgainAfterARestart) {
  RedisServer server;
  server.start ();
  Client listener (server.uri (), subscriber ());
  listener->subscribe ("news");
  listener->subscribe ("other");
  const Client speaker (server.uri ());
  ASSERT_TRUE (listener.wait_ready () && speaker.wait_ready ()) << listener.told ();
  EXPECT_EQ (speaker.ask ({"PUBLISH", "news", "first"}), "1");
  EXPECT_TRUE (listener.wait ([&] { return listener.messages.size () == 1; }));
  server.end (SIGKILL);
  server.start ();
  ASSERT_TRUE (listener.wait_ready (2) && speaker.wait_ready (2)) << listener.told ();
  listener->unsubscribe ("other");
  listener->subscribe ("third");
  EXPECT_TRUE (listener.wait ([&] { return speaker.ask ({"PUBLISH", "third", "3"}) == "1"; }));
  EXPECT_EQ (speaker.ask ({"PUBLISH", "other", "2"}), "0");
  EXPECT_EQ (speaker.ask ({"PUBLISH", "news", "last"}), "1");
  EXPECT_TRUE (listener.wait ([&] { return listener.messages.size () == 3; }));
  EXPECT_EQ (listener.messages, (std::vector<std::string>{"news=first", "third=3", "news=last"}));
}

TEST (RedisConnection, WhatIsNoRedisIsNamedAndTriedAgain) {
  const struct {
    std::string answer;
    const char *told;
  } cases[] = {
      {"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak as Redis does"},
      {"+OK\r\n+PONG\r\n+surprise\r\n", "has answered what nobody asked"},
      {"+OK\r\n+PONG\r\n*3\r\n$7\r\nmessage\r\n:1\r\n*0\r\n", "has answered what nobody asked"},
      {"*2000000000\r\n", "too many parts"},
      {"-LOADING Redis is loading the dataset in memory\r\n", "still loads its data"},
      {"-hunter2 is \33[31mhunter2\r\n", "\"* is  [31m*\""},
      {std::string ("\0\0\0\0", 4), "does not speak as Redis does"},
  };
  for (const auto &one : cases) {
    const FakeServer fake (one.answer);
    for (const auto role : {RedisOptions::Role::commands, RedisOptions::Role::subscriber}) {
      RedisOptions options;
      options.role = role;
      Client client (fake.uri ("hunter2"), options);
      if (role == RedisOptions::Role::subscriber &&
          one.answer.find ("message") != std::string::npos)
        continue;
      EXPECT_TRUE (client.wait_lost (one.told)) << one.answer << ": " << client.told ();
      EXPECT_FALSE (client.lost ("hunter2")) << client.told ();
    }
  }
}

TEST (RedisConnection, AStrangeMessageForASubscriberIsPassedOver) {
  const FakeServer fake (
      "+PONG\r\n*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n"
      "*3\r\n$7\r\nmessage\r\n:1\r\n*0\r\n*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$1\r\nx\r\n");
  Client client (fake.uri (), subscriber ());
  client->subscribe ("news");
  EXPECT_TRUE (client.wait ([&] { return !client.messages.empty (); })) << client.told ();
  EXPECT_EQ (client.messages, (std::vector<std::string>{"news=x"}));
}

TEST (RedisConnection, MayEndInsideOfAnyCall) {
  RedisServer server;
  server.start ();
  for (int which = 0; which < 4; ++which) {
    Client client (server.uri (), which == 2 ? subscriber () : RedisOptions ());
    client->subscribe ("news");
    ASSERT_TRUE (client.wait_ready ()) << client.told ();
    bool ended = false;
    const auto end = [&] {
      client.destroy ();
      ended = true;
    };
    if (which == 0) {  // with more under way
      for (int i = 0; i < 3; ++i)
        EXPECT_FALSE (client->command ({"PING"}, [&] (const Result<RedisReply> &) { end (); }));
    } else if (which == 1) {
      server.send (SIGSTOP);
      EXPECT_FALSE (client->command ({"PING"}, [&] (const Result<RedisReply> &) { end (); }));
      EXPECT_FALSE (client->command ({"PING"}, [&] (const Result<RedisReply> &) { end (); }));
      server.end (SIGKILL);
      server.start ();
    } else if (which == 2) {
      client.on_message = end;
      const Client speaker (server.uri ());
      ASSERT_TRUE (speaker.wait_ready ());
      EXPECT_EQ (speaker.ask ({"PUBLISH", "news", "x"}), "1");
    } else {
      client.on_lost = end;
      server.end (SIGKILL);
    }
    EXPECT_TRUE (client.wait ([&] { return ended; })) << which;
  }
}

}  // namespace
