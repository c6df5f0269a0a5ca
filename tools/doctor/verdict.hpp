// What follows from the findings: whether peers can be reached, what failed, what to do.
#pragma once
#include <string>
#include <vector>

#include "doctor/findings.hpp"

namespace p2p::doctor {

enum class Udp {
  unknown,  // no server that must answer over it was named
  works,
  blocked,  // no answer, while something answers over TCP
  silent,   // no answer, and nothing else answers either
};
enum class Reach {
  unknown,  // no server was named that could tell
  direct,   // and by a relay, if there is one
  relay,    // only so, as far as the peer's NAT is not a better one
  some,     // no relay, and a NAT that only some others' can be passed with
  none,
};

struct Verdict {
  Udp udp = Udp::unknown;
  Reach reach = Reach::unknown;
  std::vector<std::string> problems;  // what was asked for and failed; sentences
  std::vector<std::string> advice;

  int exit_code () const { return problems.empty () ? 0 : 1; }
};

Verdict judge (const Findings &findings);

const char *udp_name (Udp udp);
const char *reach_name (Reach reach);
// Whether IPv6 leads anywhere: "works", "has a route", "has no route", "has no address".
const char *ipv6_state (const Findings &findings);

}  // namespace p2p::doctor
