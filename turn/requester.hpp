// Requests with everything that proves who asks: a 401 or 438 is answered here, within bounds, so
// that whoever asked sees the outcome alone.
#pragma once
#include <functional>
#include <string>

#include "turn/credentials.hpp"
#include "turn/transaction.hpp"

namespace p2p::turn {

struct Reply {
  enum class Kind { success, error, timeout };
  Kind kind = Kind::timeout;
  int code = 0;                      // of an error; 0 for an answer that makes no sense
  std::string text;                  // for people: what the server said, or what is wrong with it
  const Message *message = nullptr;  // valid inside of the call; null for a time-out

  bool ok () const { return kind == Kind::success; }
};

class Requester {
 public:
  using Fill = std::function<void (MessageWriter *)>;
  using Done = std::function<void (const Reply &)>;

  // A server whose nonces are always stale is one that does not work.
  static constexpr int kMaxStaleNonces = 5;

  Requester (Scheduler &scheduler, const TransactionTimes &times, Credentials credentials,
             std::string software, Transactions::Send send);

  void reset (bool reliable);  // another five-tuple
  // `fill` adds the attributes of the method, also for a repetition. `done` is called once, never
  // from inside.
  void request (Method method, Fill fill, Done done);
  // Sent once, and nobody waits for what is answered.
  void tell (Method method, const Fill &fill);
  // False where it is no answer to a request under way.
  bool receive (const Message &message);
  void forget_all () { transactions_.forget_all (); }

  Authenticator &authenticator () { return authenticator_; }
  const Authenticator &authenticator () const { return authenticator_; }
  const Transactions &transactions () const { return transactions_; }
  std::uint64_t rejected () const { return rejected_; }  // answers with a wrong integrity

 private:
  struct Asked {
    Method method;
    Fill fill;
    Done done;
    int stale_nonces = 0;
    bool was_signed = false;
    Credentials with;  // as they were when it was sent
  };
  std::vector<std::uint8_t> build (Asked *asked, TransactionId *id);
  void send (Asked asked);
  void answered (Asked asked, const Message *message);

  Authenticator authenticator_;
  const std::string software_;
  const Transactions::Send send_;
  Transactions transactions_;
  std::uint64_t rejected_ = 0;
};

}  // namespace p2p::turn
