#include <gst/gst.h>

#include "gstp2psink.h"
#include "gstp2psrc.h"

static gboolean
plugin_init (GstPlugin *plugin) {
  const gboolean src = GST_ELEMENT_REGISTER (p2psrc, plugin);
  const gboolean sink = GST_ELEMENT_REGISTER (p2psink, plugin);
  return src && sink;
}

GST_PLUGIN_DEFINE (GST_VERSION_MAJOR, GST_VERSION_MINOR, p2p,
                   "Buffers between peers, through NATs (ICE and QUIC)", plugin_init,
                   PACKAGE_VERSION, "LGPL", PACKAGE, "gst-p2p")
