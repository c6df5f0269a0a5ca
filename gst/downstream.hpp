// How much of a byte stream what is downstream has already, also from an earlier process.
#pragma once
#include <gst/gst.h>

#include <cstdint>
#include <optional>

namespace p2p {

struct DownstreamBytes {
  // The size of the file that the stream is written to, as it is now: what would be left of it if
  // this process died. Nothing: it is not written to a file as it is.
  std::optional<std::uint64_t> in_file;
  // What is downstream says that it stands here; nothing when it does not, or only begins.
  std::optional<std::uint64_t> position;

  std::optional<std::uint64_t> known () const { return in_file ? in_file : position; }
};

DownstreamBytes downstream_bytes (GstPad *source_pad);

}  // namespace p2p
