// Measures the TURN client through a server; what, is the first argument.
//   bench-relay goodput HOST PORT CLIENTS MESSAGE-BYTES BURST SECONDS
//   bench-relay recovery HOST PORT RTT-MS COUNT
//   bench-relay idle HOST PORT COUNT SECONDS
#include <cstring>

#include "end.hpp"

int
main (int argc, char **argv) {
  const struct {
    const char *name;
    int arguments;
    void (*run) (const p2p::turn::Server &, char **);
  } kinds[] = {{"goodput", 4, bench::run_goodput},
               {"recovery", 2, bench::run_recovery},
               {"idle", 2, bench::run_idle}};
  for (const auto &kind : kinds) {
    if (argc != 4 + kind.arguments || std::strcmp (argv[1], kind.name) != 0) continue;
    kind.run ({argv[2],
               static_cast<std::uint16_t> (std::atoi (argv[3])),
               p2p::turn::Protocol::udp,
               {"bench", "bench"}},
              argv + 4);
    return 0;
  }
  bench::die ("the arguments are wrong; they are at the top of tests/bench/relay/main.cpp");
}
