// One allocation at one server: what is asked for, what was granted, and how long it lasts
// (RFC 8656 sections 7 and 8). What follows from an error is for the client to decide.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "turn/requester.hpp"

namespace p2p::turn {

// What is asked for beyond the plain thing; a server that does not know it makes it less.
struct AllocationWishes {
  std::optional<Family> family;  // none: as the server likes, which is IPv4
  bool both_families = false;    // an IPv6 address as well (RFC 8656 section 7.1)
  bool dont_fragment = false;
  bool mobility = true;          // RFC 8016
  std::uint32_t lifetime_s = 0;  // 0: as the server likes
};

class Allocation {
 public:
  Allocation (Scheduler &scheduler, Requester &requester, const AllocationWishes &wishes)
      : scheduler_ (scheduler), requester_ (requester), full_wishes_ (wishes), wishes_ (wishes) {}

  // All answers: a success without what it must have comes as an error with code 0.
  void allocate (Requester::Done done);
  void refresh (Requester::Done done);
  // The allocation that there was, from another five-tuple, by its mobility ticket.
  void resume (Requester::Done done);
  void release (Requester::Done done);
  void release_untold ();  // sent once, without waiting

  // After a 420, 405 or 440: leaves out what the server does not want. False when nothing is left
  // to leave out.
  bool simplify (const Message &error);
  void restore_wishes () { wishes_ = full_wishes_; }  // for another server

  void forget ();  // it is gone; the ticket with it
  void forget_ticket () { ticket_.clear (); }
  bool granted () const { return granted_; }
  bool has_ticket () const { return !ticket_.empty (); }
  const AllocationWishes &wishes () const { return wishes_; }
  const std::vector<Address> &relayed () const { return relayed_; }
  const std::optional<Address> &mapped () const { return mapped_; }
  TimeUs lifetime () const { return lifetime_; }
  TimeUs left () const;  // of that
  TimeUs refresh_due () const { return refresh_due_; }
  void postpone_refresh (TimeUs by) { refresh_due_ = scheduler_.now () + by; }
  bool expired () const { return scheduler_.now () >= expires_; }

 private:
  Reply read_allocated (const Reply &reply);
  Reply read_refreshed (const Reply &reply);
  void set_lifetime (std::uint32_t seconds);
  void read_ticket (const Message &message);

  Scheduler &scheduler_;
  Requester &requester_;
  const AllocationWishes full_wishes_;
  AllocationWishes wishes_;
  bool granted_ = false;
  std::vector<Address> relayed_;
  std::optional<Address> mapped_;
  TimeUs lifetime_ = 0, refresh_due_ = kNever, expires_ = kNever;
  std::string ticket_;
};

}  // namespace p2p::turn
