// One UDP socket that asks several servers, so that what they see of it can be compared.
#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "base/error.hpp"
#include "base/fd_watch.hpp"
#include "base/ptr.hpp"
#include "doctor/binding.hpp"
#include "turn/transaction.hpp"

namespace p2p::doctor {

class BindingSocket {
 public:
  struct Reply {
    BindingAnswer binding;
    Address from;
    TimeUs took_us = 0;
  };
  // Nothing: no answer, or none that makes sense.
  using Done = std::function<void (const std::optional<Reply> &)>;
  // A request goes three times; what is not answered after two seconds will not be.
  static constexpr turn::TransactionTimes kTimes = {250 * kMillisecond, 250 * kMillisecond, 3, 5,
                                                    2 * kSecond};

  static Result<std::unique_ptr<BindingSocket>> open (GMainContext *context, Scheduler &scheduler,
                                                      turn::Family family);

  // `done` is called once, never from inside, unless the socket goes before.
  void ask (const Address &to, Change change, Done done);
  std::uint16_t port () const { return port_; }

 private:
  BindingSocket (GMainContext *context, Scheduler &scheduler, Ref<GSocket> socket,
                 std::uint16_t port);
  void receive ();

  Scheduler &scheduler_;
  const Ref<GSocket> socket_;
  const std::uint16_t port_;
  Address from_;  // of the answer that is handed out
  // Requests have destinations of their own: one of these for each, as many as were asked.
  std::vector<std::unique_ptr<turn::Transactions>> requests_;
  std::unique_ptr<FdWatch> watch_;
};

}  // namespace p2p::doctor
