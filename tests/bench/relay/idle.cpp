#include <sys/resource.h>
#include <unistd.h>

#include "../endpoints/event.hpp"
#include "../private_memory.hpp"
#include "end.hpp"

// Many allocations of one process, none of which carries anything.
namespace bench {

// COUNT SECONDS
void
run_idle (const Through &through, char **arguments) {
  const auto count = static_cast<std::size_t> (std::atoi (arguments[0]));
  const double seconds = std::atof (arguments[1]);
  rlimit limit{};
  getrlimit (RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit (RLIMIT_NOFILE, &limit);

  // The first ones fill caches and the buffers that all share.
  Ends first = make_ends (through, count / 10);
  await_allocations (first);
  const long before_kib = private_kib ("self").value_or (0);
  const std::int64_t began_us = now_us ();
  const Ends ends = make_ends (through, count - first.size ());
  await_allocations (ends);
  const auto took_us = static_cast<double> (now_us () - began_us);
  const auto made = static_cast<double> (ends.size ());
  // Every allocation was quiet for a quarter of a minute and asks, some of them twice.
  say ("begin", ",\"kib\":%.3f,\"per_s\":%.1f",
       static_cast<double> (private_kib ("self").value_or (0) - before_kib) / made,
       made / took_us * 1e6);
  run_for (static_cast<TimeUs> (seconds * p2p::kSecond));
  say ("end", "%s", "");
  for (const Ends *some : {static_cast<const Ends *> (&first), &ends})
    for (const auto &end : *some)
      if (!end->allocated ()) die ("an allocation was lost");
}

}  // namespace bench
