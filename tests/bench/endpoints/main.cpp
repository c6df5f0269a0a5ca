// A benchmark's program: one end of one or more connections of one library, and what it does there.
#include <getopt.h>
#include <glib.h>

#include <cstdlib>
#include <cstring>

#include "event.hpp"
#include "work.hpp"

using namespace bench;

namespace {

constexpr char kUsage[] =
    "Usage: %s send|receive|ping|pong|hold --exchange PATH [OPTION...]\n"
    "\n"
    "  --exchange PATH   socket over which both sides tell each other their candidates\n"
    "  --offer           this side listens there, and offers\n"
    "  --bytes N         size of a message (65536)\n"
    "  --seconds S       receive: for how long after the first byte (3)\n"
    "  --mbit N          send: no faster than that (no limit)\n"
    "  --count N         ping: how many; hold: how many connections (10000)\n"
    "  --blocking        by calls that wait, without a pace\n";

Options
parse (int argc, char **argv) {
  static const option known[] = {
      {"exchange", required_argument, nullptr, 'x'}, {"offer", no_argument, nullptr, 'o'},
      {"bytes", required_argument, nullptr, 'b'},    {"seconds", required_argument, nullptr, 's'},
      {"mbit", required_argument, nullptr, 'm'},     {"count", required_argument, nullptr, 'c'},
      {"blocking", no_argument, nullptr, 'B'},       {nullptr, 0, nullptr, 0}};
  Options options;
  int found = 0;
  while ((found = getopt_long (argc, argv, "", known, nullptr)) != -1) {
    switch (found) {
      case 'x':
        options.exchange = optarg;
        break;
      case 'o':
        options.endpoint.offering = true;
        break;
      case 'b':
        options.endpoint.message_bytes = std::strtoull (optarg, nullptr, 10);
        break;
      case 's':
        options.seconds = std::strtod (optarg, nullptr);
        break;
      case 'm':
        options.mbit = std::strtod (optarg, nullptr);
        break;
      case 'c':
        options.count = std::atoi (optarg);
        break;
      case 'B':
        options.blocking = true;
        break;
      default:
        std::exit (2);
    }
  }
  if (optind + 1 == argc) options.work = argv[optind];
  if (options.exchange.empty () || options.endpoint.message_bytes == 0 || options.count <= 0 ||
      !is_work (options.work)) {
    std::fprintf (stderr, kUsage, argv[0]);
    std::exit (2);
  }
  return options;
}

}  // namespace

int
main (int argc, char **argv) {
  const Options options = parse (argc, argv);
  say ("start", "%s", "");
  run (options);
  return 0;
}
