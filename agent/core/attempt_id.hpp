// Names of attempts. Those of one agent are in an order, so that its peer knows a signal that was
// overtaken by a later one: 16 digits for the agent as it was started, 8 that count up, 8 at
// random. docs/wire-format.md describes them.
#pragma once
#include <cstdint>
#include <string>

namespace p2p {

std::string make_instance_id ();
std::string make_attempt_id (const std::string &instance, std::uint32_t number);
// Both are of the same agent, and `one` was begun before `other`. Of other agents, and of one that
// was started again, nothing can be said.
bool attempt_is_older (const std::string &one, const std::string &other);

}  // namespace p2p
