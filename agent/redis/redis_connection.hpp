// A client of one Redis server that stays connected: AUTH and SELECT, commands in a pipeline or
// subscriptions, back-off when it is away, a limit for one that does not answer. On one thread.
#pragma once
#include <glib.h>

#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/scheduler.hpp"
#include "redis/redis_address.hpp"
#include "redis/redis_link.hpp"
#include "redis/redis_reply.hpp"

namespace p2p {

struct RedisOptions {
  // A connection with subscriptions takes no other commands (RESP2): who needs both makes two.
  enum class Role { commands, subscriber };
  Role role = Role::commands;
  std::size_t max_queue_bytes = 8 * 1024 * 1024;  // commands that are not answered yet
  std::size_t max_reply_bytes = 16 * 1024 * 1024;
  TimeUs answer_within_us = 5 * kSecond;  // connecting, and from one answer to the next
  TimeUs quiet_us = 10 * kSecond;         // then a PING shows whether somebody is there
  TimeUs first_retry_us = 100 * kMillisecond;
  TimeUs longest_retry_us = 5 * kSecond;
};

struct RedisStats {
  std::uint64_t commands = 0;    // sent
  std::uint64_t refused = 0;     // by us: not connected, or too many under way
  std::uint64_t unanswered = 0;  // under way when the connection was lost
  std::uint64_t connections = 0, losses = 0;
};

class RedisConnection final : private RedisLink::Observer {
 public:
  // Any of them may destroy the connection. None is called from inside of a call to it.
  class Observer {
   public:
    virtual ~Observer () = default;
    // Commands are taken; or all subscriptions stand. What was published before is lost.
    virtual void redis_ready () = 0;
    // It was lost or could not be made, and is tried again. While that goes on it is told anew
    // only with another reason. Commands under way have had their errors.
    virtual void redis_lost (const Error &reason) = 0;
    virtual void redis_message (const std::string &channel, const std::string &payload) {
      (void)channel;
      (void)payload;
    }
  };
  // Called once: with the answer, with the server's refusal, or with the loss of the connection.
  // Then the server may or may not have carried out the command. Not called after the end of the
  // RedisConnection.
  using Done = std::function<void (Result<RedisReply>)>;

  // `context` belongs to the thread that all of this is used on; null is the default one.
  RedisConnection (GMainContext *context, Scheduler &scheduler, const RedisAddress &address,
                   const RedisOptions &options = {});
  ~RedisConnection () override;

  void set_observer (Observer *observer) { observer_ = observer; }
  void start ();
  bool ready () const { return ready_; }

  // Sends nothing, and says why, while there is no connection or too much is under way. `done` may
  // be empty, `words` not. Not for commands that wait or that change what the connection is for.
  Status command (const std::vector<std::string> &words, Done done);

  std::size_t queued_bytes () const { return pending_bytes_; }  // not answered yet

  // For a subscriber, at any time; kept over reconnections.
  void subscribe (const std::string &channel);
  void unsubscribe (const std::string &channel);

  const RedisAddress &address () const { return address_; }
  const RedisStats &stats () const { return stats_; }

 private:
  struct Pending {
    std::string name;  // of the command
    std::size_t bytes;
    Done done;
    bool greeting;  // ours; it hears of answers alone
  };

  void link_open () override;
  void link_reply (RedisReply reply) override;
  void link_closed (P2pError code, const std::string &why) override;

  void connect ();
  void greet ();
  void send (const std::vector<std::string> &words, Done done, bool greeting = false);
  void send_greeting (const std::vector<std::string> &words, P2pError code, const char *wrong);
  void send_subscribe (const char *command, const std::string &channel);
  void on_greeted (P2pError code, const char *wrong, const Result<RedisReply> &answer);
  void become_ready ();
  void on_deadline ();
  void on_quiet ();
  void watch_pending ();
  void lose (const Error &reason);
  std::string where () const { return "Redis at " + address_.text; }
  std::string quoted (const std::string &text) const;

  Scheduler &scheduler_;
  const RedisAddress address_;
  const RedisOptions options_;
  RedisLink link_;
  Observer *observer_ = nullptr;
  bool open_ = false, ready_ = false;
  std::deque<Pending> pending_;
  std::size_t pending_bytes_ = 0;
  std::set<std::string> channels_;
  unsigned failures_ = 0;
  std::string last_reason_;
  bool last_chance_ = false;
  RedisStats stats_;
  std::minstd_rand random_;
  std::unique_ptr<Scheduler::Timer> retry_, deadline_, quiet_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool> (true);
};

}  // namespace p2p
