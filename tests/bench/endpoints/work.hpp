// What a benchmark's program does with its connection.
#pragma once
#include <string>

#include "endpoint.hpp"

namespace bench {

struct Options {
  std::string work, exchange;
  Settings endpoint;
  double seconds = 3, mbit = 0;
  int count = 10000;
  bool blocking = false;
};

bool is_work (const std::string &name);

// Runs until the work is done; a sender, and who answers pings, until the process is ended.
//
// Events: "knows" when the other side's candidates are known, "open" when the connection is up,
// those of Meter; "pings" with percentiles in microseconds; "held" with the memory of the process.
void run (const Options &options);

}  // namespace bench
