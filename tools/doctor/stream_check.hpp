// Whether a server answers STUN over TCP: where UDP is blocked, that is what is left.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "turn/connector.hpp"

namespace p2p::doctor {

class StreamCheck final : private turn::Connection::Observer {
 public:
  // Nothing: no answer. Called once, never from inside.
  using Done = std::function<void (std::optional<TimeUs> took_us)>;

  StreamCheck (GMainContext *context, Scheduler &scheduler, const turn::Target &target, Done done);
  ~StreamCheck () override;

 private:
  void connected (std::shared_ptr<turn::Connection> connection);
  void finish (std::optional<TimeUs> took_us);
  void connection_received (ByteView packet) override;
  void connection_doubtful () override {}
  void connection_ended (const std::string &) override { finish (std::nullopt); }

  Scheduler &scheduler_;
  const TimeUs begun_;
  Done done_;
  std::optional<TimeUs> took_us_;
  std::unique_ptr<Scheduler::Timer> end_;
  std::shared_ptr<turn::Connection> connection_;
  std::unique_ptr<turn::Connector> connector_;
};

}  // namespace p2p::doctor
