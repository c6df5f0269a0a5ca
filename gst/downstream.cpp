#include "downstream.hpp"

#include <gio/gio.h>

#include "gst-ptr.hpp"

namespace p2p {
namespace {

constexpr int kMaxElements = 32;  // a loop of pads is no pipeline, but must not hang here

// The pad that really has the bytes next; null: there is none.
Ref<GstPad>
next_sink_pad (GstPad *source_pad) {
  auto pad = Ref<GstPad>::adopt (gst_pad_get_peer (source_pad));
  while (pad && GST_IS_GHOST_PAD (pad.get ()))
    pad = Ref<GstPad>::adopt (gst_ghost_pad_get_target (GST_GHOST_PAD (pad.get ())));
  return pad;
}

bool
leaves_bytes_alone (GstElement *element) {
  const char *klass = gst_element_get_metadata (element, GST_ELEMENT_METADATA_KLASS);
  // As queue, identity, tee and capsfilter are, and nothing that makes another stream of this one.
  return klass && g_str_equal (klass, "Generic");
}

// The pad of the element that ends the stream, when its bytes reach it as they are.
Ref<GstPad>
end_of (GstPad *source_pad) {
  auto pad = Ref<GstPad>::share (source_pad);
  for (int i = 0; i < kMaxElements; i++) {
    auto sink_pad = next_sink_pad (pad.get ());
    if (!sink_pad) return {};
    const auto element = Ref<GstElement>::adopt (gst_pad_get_parent_element (sink_pad.get ()));
    if (!element) return {};
    if (GST_OBJECT_FLAG_IS_SET (element.get (), GST_ELEMENT_FLAG_SINK)) return sink_pad;
    if (!leaves_bytes_alone (element.get ())) return {};
    pad = Ref<GstPad>::adopt (gst_element_get_static_pad (element.get (), "src"));
    if (!pad) return {};
  }
  return {};
}

// filesink answers a query for its position with 0 when it appends, until it has written.
std::optional<std::uint64_t>
file_size (GstPad *sink) {
  GstQuery *query = gst_query_new_uri ();
  char *raw = nullptr;
  if (gst_pad_query (sink, query)) gst_query_parse_uri (query, &raw);
  gst_query_unref (query);
  const UniqueChars uri (raw);
  if (!uri || !g_str_has_prefix (uri.get (), "file:")) return {};
  const auto file = Ref<GFile>::adopt (g_file_new_for_uri (uri.get ()));
  const auto info = Ref<GFileInfo>::adopt (g_file_query_info (
      file.get (), G_FILE_ATTRIBUTE_STANDARD_SIZE "," G_FILE_ATTRIBUTE_STANDARD_TYPE,
      G_FILE_QUERY_INFO_NONE, nullptr, nullptr));
  if (!info || g_file_info_get_file_type (info.get ()) != G_FILE_TYPE_REGULAR) return {};
  return static_cast<std::uint64_t> (g_file_info_get_size (info.get ()));
}

}  // namespace

DownstreamBytes
downstream_bytes (GstPad *source_pad) {
  DownstreamBytes bytes;
  const auto sink = end_of (source_pad);
  if (!sink) return bytes;
  bytes.in_file = file_size (sink.get ());
  gint64 position = 0;
  if (gst_pad_query_position (sink.get (), GST_FORMAT_BYTES, &position) && position > 0)
    bytes.position = static_cast<std::uint64_t> (position);
  return bytes;
}

}  // namespace p2p
