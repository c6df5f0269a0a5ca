// What several meeting points share, as one of them sees it: who holds which id, and messages
// between them. Whoever implements it makes sure that of two claims one wins for all.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/scheduler.hpp"

namespace p2p {

// One server's registration of an id. The first key that has an id owns it; of two registrations
// by the owner the newer one holds it.
struct Claim {
  std::string id;
  std::string owner;  // of the key; any bytes
  std::string token;  // of this registration alone; no white space
  TimeUs age_us = 0;  // of this registration
};

enum class Verdict {
  held,
  replaced,     // the owner has registered it elsewhere, later
  taken,        // by another owner
  unavailable,  // the backplane has gone
};

struct LeaseTimes {
  TimeUs lease_us = 15 * kSecond;  // then a claim that was not repeated is void
  TimeUs hold_us = 0;              // how long an id stays its owner's after that
};

class Backplane {
 public:
  class Observer {
   public:
    virtual ~Observer () = default;
    // From now on this server has a new name(), and hears what is sent to it.
    virtual void backplane_up () = 0;
    // It may have missed something, and nothing is taken until it is up again.
    virtual void backplane_down (const Error &reason) = 0;
    virtual void backplane_message (const std::string &text) = 0;
    // Another server has taken over what this one holds under this token.
    virtual void backplane_lost (const std::string &id, const std::string &token,
                                 Verdict verdict) = 0;
    // Nobody hears what is sent to that server.
    virtual void backplane_unreachable (const std::string &server) = 0;
  };
  // One for each claim. None of them, or no call at all, when the backplane has gone; as below.
  using Decided = std::function<void (const std::vector<Verdict> &)>;
  // The servers that hold them, in their order; empty: nobody.
  using Found = std::function<void (const std::vector<std::string> &)>;

  virtual ~Backplane () = default;
  // None of these calls the observer, or what is handed in, from inside. When it is not up, or too
  // much is under way, nothing is done and the answer is false.
  virtual void start (Observer *observer, const LeaseTimes &times) = 0;
  virtual void stop () = 0;                      // no call follows
  virtual const std::string &name () const = 0;  // of this server since it is up; no white space
  // Also renews: the same token again, also under another name.
  virtual bool claim (const std::vector<Claim> &claims, Decided decided) = 0;
  virtual bool release (const Claim &claim) = 0;
  // Ids that nobody holds now, and their owners; `age_us` is how long they have been gone.
  virtual bool keep (const std::vector<Claim> &claims, Decided done) = 0;
  virtual bool find (const std::vector<std::string> &ids, Found found) = 0;
  // To one server, or to all with an empty name, this one included. `data`: of a client, with less
  // room in the queue.
  virtual bool publish (const std::string &server, const std::string &text, bool data) = 0;
  // What was sent cannot be relied on: it goes down, and comes up anew.
  virtual void restart (const Error &reason) = 0;
};

}  // namespace p2p
