// What a benchmark program says while it runs: one JSON object per line on standard output.
#pragma once
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <ctime>

namespace bench {

// The same clock in all processes of a machine.
inline std::int64_t
now_us () {
  timespec ts{};
  clock_gettime (CLOCK_MONOTONIC, &ts);
  return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

// `fields` is a format for the fields after event and at_us, each with a comma before it, or "".
[[gnu::format (printf, 2, 3)]] inline void
say (const char *event, const char *fields, ...) {
  char text[512];
  va_list arguments;
  va_start (arguments, fields);
  std::vsnprintf (text, sizeof text, fields, arguments);
  va_end (arguments);
  // One call, so that lines of two threads do not mix.
  std::printf ("{\"event\":\"%s\",\"at_us\":%lld%s}\n", event, static_cast<long long> (now_us ()),
               text);
  std::fflush (stdout);
}

}  // namespace bench
