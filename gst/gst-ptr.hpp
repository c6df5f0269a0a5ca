// Owning pointers for the types of GStreamer and of the P2p API: see base/ptr.hpp.
#pragma once
#include <gst/gst.h>
#include <p2p/p2p.h>

#include "base/ptr.hpp"

namespace p2p {

template <>
struct RefTraits<GstBuffer> {
  static GstBuffer *ref (GstBuffer *p) { return gst_buffer_ref (p); }
  static void unref (GstBuffer *p) { gst_buffer_unref (p); }
};
template <>
struct RefTraits<GstCaps> {
  static GstCaps *ref (GstCaps *p) { return gst_caps_ref (p); }
  static void unref (GstCaps *p) { gst_caps_unref (p); }
};
template <>
struct RefTraits<P2pNetworkConfig> {
  static P2pNetworkConfig *ref (P2pNetworkConfig *p) { return p2p_network_config_ref (p); }
  static void unref (P2pNetworkConfig *p) { p2p_network_config_unref (p); }
};
template <>
struct RefTraits<P2pMessage> {
  static P2pMessage *ref (P2pMessage *p) { return p2p_message_ref (p); }
  static void unref (P2pMessage *p) { p2p_message_unref (p); }
};

struct StructureFree {
  void operator() (GstStructure *structure) const { gst_structure_free (structure); }
};
using UniqueStructure = std::unique_ptr<GstStructure, StructureFree>;

}  // namespace p2p
