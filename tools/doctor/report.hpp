// The findings in words: a table for people, JSON for programs.
#pragma once
#include <string>

#include "doctor/findings.hpp"
#include "doctor/verdict.hpp"

namespace p2p::doctor {

std::string report_table (const Findings &findings, const Verdict &verdict);
std::string report_json (const Findings &findings, const Verdict &verdict);

const char *kind_name (ServerFound::Kind kind);  // "stun", "turn", "rendezvous"
const char *family_name (turn::Family family);   // "IPv4", "IPv6"

}  // namespace p2p::doctor
