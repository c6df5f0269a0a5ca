// Redis as the backplane of rendezvous servers. Beside two keys with expiry for an id, its owner
// and its lease, nothing is kept there: what servers say to each other is published.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "base/scheduler.hpp"
#include "redis/redis_connection.hpp"
#include "signaling/backplane.hpp"

namespace p2p {

class RedisBackplane final : public Backplane {
 public:
  // `context`: that of the thread in use; null is the default one.
  RedisBackplane (GMainContext *context, Scheduler &scheduler, const RedisAddress &address);
  ~RedisBackplane () override;

  void start (Observer *observer, const LeaseTimes &times) override;
  void stop () override { observer_ = nullptr; }
  const std::string &name () const override { return name_; }
  bool claim (const std::vector<Claim> &claims, Decided decided) override;
  bool release (const Claim &claim) override;
  bool keep (const std::vector<Claim> &claims, Decided done) override;
  bool find (const std::vector<std::string> &ids, Found found) override;
  bool publish (const std::string &server, const std::string &text, bool data) override;
  void restart (const Error &reason) override;

 private:
  class Side;  // one of the two connections

  void connect ();
  void on_ready ();
  void on_lost (const Error &reason);
  void on_message (const std::string &payload);
  void go_down (const Error &reason);
  bool command (const std::vector<std::string> &words,
                std::function<void (const RedisReply *)> done);

  GMainContext *const context_;
  Scheduler &scheduler_;
  const RedisAddress address_;
  Observer *observer_ = nullptr;
  LeaseTimes times_;
  std::string name_;
  bool up_ = false;
  bool fresh_ = false;  // the connections have not failed since they were up
  std::unique_ptr<Side> commands_, subscriber_;
  Error restart_reason_;
  std::string last_reason_;
  std::unique_ptr<Scheduler::Timer> connect_timer_, restart_timer_;
};

}  // namespace p2p
