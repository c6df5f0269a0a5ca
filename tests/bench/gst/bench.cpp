// A GStreamer plugin of two elements: benchsrc has bytes without end, benchsink counts what comes.
#include "meter_element.hpp"
#include "source_element.hpp"

static gboolean
plugin_init (GstPlugin *plugin) {
  return gst_element_register (plugin, "benchsrc", GST_RANK_NONE, bench_source_get_type ()) &&
         gst_element_register (plugin, "benchsink", GST_RANK_NONE, bench_meter_get_type ());
}

GST_PLUGIN_DEFINE (GST_VERSION_MAJOR, GST_VERSION_MINOR, bench, "Source and sink of benchmarks",
                   plugin_init, PACKAGE_VERSION, "LGPL", PACKAGE, "gst-p2p")
