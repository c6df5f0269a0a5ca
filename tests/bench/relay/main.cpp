// Measures the TURN client through a server; what, is the first argument.
//   bench-relay goodput SERVER CA CLIENTS MESSAGE-BYTES BURST SECONDS
//   bench-relay recovery SERVER CA RTT-MS COUNT
//   bench-relay idle SERVER CA COUNT SECONDS
// SERVER is a URI with user and password; CA the file of whom TLS believes, or "-".
#include <cstring>

#include "end.hpp"
#include "turn/server_uri.hpp"

int
main (int argc, char **argv) {
  const struct {
    const char *name;
    int arguments;
    void (*run) (const bench::Through &, char **);
  } kinds[] = {{"goodput", 4, bench::run_goodput},
               {"recovery", 2, bench::run_recovery},
               {"idle", 2, bench::run_idle}};
  for (const auto &kind : kinds) {
    if (argc != 4 + kind.arguments || std::strcmp (argv[1], kind.name) != 0) continue;
    const auto server = p2p::turn::parse_server_uri (argv[2]);
    if (!server.ok ()) bench::die (server.error ().message);
    kind.run ({server.value (), bench::trusted (argv[3])}, argv + 4);
    return 0;
  }
  bench::die ("the arguments are wrong; they are at the top of tests/bench/relay/main.cpp");
}
