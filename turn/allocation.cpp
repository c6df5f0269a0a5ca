#include "turn/allocation.hpp"

#include <algorithm>

namespace p2p::turn {

namespace {

constexpr std::uint32_t kUdp = 17U << 24;           // RFC 8656 section 18.8
constexpr std::uint32_t kDefaultLifetimeS = 600;    // RFC 8656 section 3.2
constexpr std::uint32_t kLongestLifetimeS = 86400;  // no server means more
constexpr std::uint32_t kShortLifetimeS = 120;
constexpr TimeUs kRefreshEarly = 60 * kSecond;

std::uint32_t
family_value (Family family) {
  return static_cast<std::uint32_t> (family) << 24;
}

Reply
senseless (const Reply &reply, const char *text) {
  return {Reply::Kind::error, 0, text, reply.message};
}

}  // namespace

void
Allocation::allocate (Requester::Done done) {
  const auto fill = [this] (MessageWriter *request) {
    request->add_u32 (kRequestedTransport, kUdp);
    if (wishes_.lifetime_s > 0) request->add_u32 (kLifetime, wishes_.lifetime_s);
    if (wishes_.both_families)
      for (const std::uint16_t number : {kAdditionalAddressFamily, kDraftAdditionalAddressFamily})
        request->add_u32 (number, family_value (Family::ipv6));
    else if (wishes_.family)
      request->add_u32 (kRequestedAddressFamily, family_value (*wishes_.family));
    if (wishes_.dont_fragment) request->add (kDontFragment, {});
    if (wishes_.mobility) request->add (kMobilityTicket, {});
  };
  requester_.request (Method::allocate, fill, [this, done = std::move (done)] (const Reply &reply) {
    done (reply.ok () ? read_allocated (reply) : reply);
  });
}

void
Allocation::refresh (Requester::Done done) {
  const auto fill = [this] (MessageWriter *request) {
    if (wishes_.lifetime_s > 0) request->add_u32 (kLifetime, wishes_.lifetime_s);
  };
  requester_.request (Method::refresh, fill, [this, done = std::move (done)] (const Reply &reply) {
    done (reply.ok () ? read_refreshed (reply) : reply);
  });
}

void
Allocation::resume (Requester::Done done) {
  const auto fill = [ticket = ticket_] (MessageWriter *request) {
    request->add_text (kMobilityTicket, ticket);
  };
  requester_.request (Method::refresh, fill, [this, done = std::move (done)] (const Reply &reply) {
    done (reply.ok () ? read_refreshed (reply) : reply);
  });
}

void
Allocation::release (Requester::Done done) {
  requester_.request (
      Method::refresh, [] (MessageWriter *request) { request->add_u32 (kLifetime, 0); },
      std::move (done));
}

void
Allocation::release_untold () {
  requester_.tell (Method::refresh,
                   [] (MessageWriter *request) { request->add_u32 (kLifetime, 0); });
}

bool
Allocation::simplify (const Message &error) {
  const int code = error.error_code ().value_or (0);
  const AllocationWishes before = wishes_;
  if (code == 405) {
    wishes_.mobility = false;
  } else if (code == 440) {
    wishes_.both_families = false;
    // Somebody who wants the other family has no use for this one.
    if (wishes_.family == Family::ipv4) wishes_.family.reset ();
  } else {
    for (const std::uint16_t unknown : error.unknown_attributes ()) {
      if (unknown == kDontFragment) wishes_.dont_fragment = false;
      if (unknown == kMobilityTicket) wishes_.mobility = false;
      if (unknown == kLifetime) wishes_.lifetime_s = 0;
      if (unknown == kAdditionalAddressFamily) wishes_.both_families = false;
      // Who has never heard of families has IPv4.
      if (unknown == kRequestedAddressFamily && wishes_.family == Family::ipv4)
        wishes_.family.reset ();
    }
  }
  return before.mobility != wishes_.mobility || before.both_families != wishes_.both_families ||
         before.family != wishes_.family || before.dont_fragment != wishes_.dont_fragment ||
         before.lifetime_s != wishes_.lifetime_s;
}

void
Allocation::forget () {
  granted_ = false;
  relayed_.clear ();
  ticket_.clear ();
  refresh_due_ = expires_ = kNever;
}

TimeUs
Allocation::left () const {
  return granted_ ? std::max<TimeUs> (0, expires_ - scheduler_.now ()) : 0;
}

void
Allocation::set_lifetime (std::uint32_t seconds) {
  lifetime_ = std::min (seconds, kLongestLifetimeS) * kSecond;
  const TimeUs now = scheduler_.now ();
  expires_ = now + lifetime_;
  refresh_due_ = now + (seconds <= kShortLifetimeS ? lifetime_ / 2 : lifetime_ - kRefreshEarly);
}

void
Allocation::read_ticket (const Message &message) {
  ticket_ = message.find_text (kMobilityTicket).value_or ("");
}

Reply
Allocation::read_allocated (const Reply &reply) {
  auto relayed = reply.message->find_xor_addresses (kXorRelayedAddress);
  relayed.erase (std::remove_if (relayed.begin (), relayed.end (),
                                 [] (const Address &address) { return address.port == 0; }),
                 relayed.end ());
  if (relayed.empty ()) return senseless (reply, "the server granted no relayed address");
  if (wishes_.family && !wishes_.both_families && relayed.front ().family != *wishes_.family)
    return senseless (reply, "the server granted an address of another family");
  const std::uint32_t lifetime_s = reply.message->find_u32 (kLifetime).value_or (kDefaultLifetimeS);
  if (lifetime_s == 0) return senseless (reply, "the server granted a lifetime of 0");
  // One of each family is all that can be asked for.
  if (relayed.size () > 2) relayed.resize (2);
  relayed_ = std::move (relayed);
  mapped_ = reply.message->find_xor_address (kXorMappedAddress);
  set_lifetime (lifetime_s);
  read_ticket (*reply.message);
  granted_ = true;
  return reply;
}

Reply
Allocation::read_refreshed (const Reply &reply) {
  const std::uint32_t lifetime_s = reply.message->find_u32 (kLifetime).value_or (kDefaultLifetimeS);
  // What nobody asked for; the allocation is gone all the same.
  if (lifetime_s == 0) return {Reply::Kind::error, 437, "the server ended it", reply.message};
  set_lifetime (lifetime_s);
  if (reply.message->has (kMobilityTicket)) read_ticket (*reply.message);
  return reply;
}

}  // namespace p2p::turn
