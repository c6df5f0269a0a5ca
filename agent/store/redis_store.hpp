// Sessions on a Redis server, where another machine can take them over: who opens an owner fences
// off whoever held it. How much outlives the death of the server itself is the server's setting
// (appendonly, appendfsync, replicas); what it lost of what it had confirmed is found and refused.
#pragma once
#include <deque>

#include "base/scheduler.hpp"
#include "redis/redis_connection.hpp"
#include "store/session_store.hpp"

namespace p2p {

class RedisStore final : public SessionStore, private RedisConnection::Observer {
 public:
  struct Options {
    TimeUs open_within_us = 10 * kSecond;  // a server that is away is waited for so long
    TimeUs look_after_us = kSecond;        // an idle holder learns that it was fenced
    TimeUs retry_us = 500 * kMillisecond;  // of what a server cannot take just now
    std::uint64_t in_flight_bytes = 4 * 1024 * 1024;
  };
  RedisStore (GMainContext *context, Scheduler &scheduler, const RedisAddress &address,
              const Options &options);
  RedisStore (GMainContext *context, Scheduler &scheduler, const RedisAddress &address)
      : RedisStore (context, scheduler, address, Options{}) {}
  ~RedisStore () override;

  void set_observer (SessionStore::Observer *observer) override { observer_ = observer; }
  void open (const std::string &owner, OpenDone done) override;
  void commit (StoreBatch batch, Done done) override;
  std::uint64_t waiting_bytes () const override { return waiting_bytes_; }
  void close (Done done) override;

 private:
  struct Batch {
    std::vector<std::string> words;  // the whole command; empty for a close
    std::uint64_t bytes = 0;
    Done done;
  };

  void redis_ready () override;
  void redis_lost (const Error &reason) override;

  using Then = std::function<void (RedisStore &, RedisReply &)>;

  bool send (const std::vector<std::string> &words, Then then);
  void refused (const Error &error);
  void go_on ();

  void take_term ();
  void read_items (const std::vector<RedisReply> &keys);
  void read_item (const std::string &item, std::size_t all);
  void opened (Result<Opened> result);

  void pump ();
  void answered (const std::string &answer);
  void look ();
  void check_term (const RedisReply &answer);
  void lose_to_another ();
  void lose_what_was_confirmed ();
  void lose (Error error);
  void finish ();
  std::string key (const char *what) const { return "p2p:{" + owner_ + "}:" + what; }
  std::string where () const { return "Redis at " + connection_.address ().text; }

  Scheduler &scheduler_;
  const Options options_;
  RedisConnection connection_;
  SessionStore::Observer *observer_ = nullptr;
  std::string owner_;
  OpenDone open_done_;  // as long as it is being opened
  Opened opened_;
  std::string last_reason_;
  std::int64_t term_ = 0;  // 0: not open
  std::uint64_t next_number_ = 1;
  std::deque<Batch> waiting_;
  std::size_t sent_ = 0;  // of those that wait, from the first on
  std::uint64_t sent_bytes_ = 0;
  std::uint64_t waiting_bytes_ = 0;
  // Commands of an earlier round are sent again: their answers count no longer.
  std::uint64_t round_ = 0;
  bool pausing_ = false;  // until retry_
  Status lost_;
  std::unique_ptr<Scheduler::Timer> open_limit_, look_, retry_, finish_;
  const std::shared_ptr<RedisStore *> self_;
};

}  // namespace p2p
