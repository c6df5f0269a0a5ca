// The commands of the wire: options at the start, datagrams while it runs.
#pragma once
#include <string>

#include "direction.hpp"

namespace delaywire {

// "delay 80" sets both directions, "delay-ab 10" one of them; "stats" answers with counters. The
// answer is "ok\n", the counters, or a sentence that begins with "unknown".
std::string run_command (Direction &ab, Direction &ba, std::string line);

int open_control (const std::string &path);
// Reads one command from the socket, runs it, answers.
void serve_control (int fd, Direction &ab, Direction &ba);
// The other side: `delaywire --send PATH COMMAND`. Returns the exit code.
int send_command (const std::string &path, const std::string &command);

}  // namespace delaywire
