// Caps as bytes, and back: one media type with fields of plain values. Read field by field and
// checked before GStreamer sees any of it, whose own parser of caps is made for trusted text.
//
//   structure  name length: 1 byte, name, field count: 2 bytes, fields
//   field      name length: 1 byte, name, value
//   value      type: 1 byte, then as long as its type says
//
// Integers are in network byte order.
#pragma once
#include <string>

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "gst-ptr.hpp"

namespace p2p {

// P2P_ERROR_INVALID_ARGUMENT names the field that cannot travel. The caps must be fixed.
Result<std::string> encode_caps (const GstCaps *caps);

// P2P_ERROR_PROTOCOL names the field that is malformed.
Result<Ref<GstCaps>> decode_caps (ByteView bytes);

}  // namespace p2p
