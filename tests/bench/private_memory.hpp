// What a process alone has in memory.
#pragma once
#include <glib.h>

#include <cstdlib>
#include <optional>
#include <string>

#include "base/ptr.hpp"

namespace bench {

// In KiB, of a process id or "self"; none when it has ended.
inline std::optional<long>
private_kib (const std::string &process) {
  char *raw = nullptr;
  if (!g_file_get_contents (("/proc/" + process + "/smaps_rollup").c_str (), &raw, nullptr,
                            nullptr))
    return std::nullopt;
  const p2p::UniqueChars text (raw);
  long sum = 0;
  for (const char *field : {"Private_Clean:", "Private_Dirty:"}) {
    const char *at = g_strstr_len (text.get (), -1, field);
    if (at) sum += std::strtol (at + std::char_traits<char>::length (field), nullptr, 10);
  }
  return sum;
}

}  // namespace bench
