#include "source_element.hpp"

#include "../endpoints/meter.hpp"

struct BenchSource {
  GstPushSrc parent;
  double mbit;
  GBytes *bytes;
  bench::Pace *pace;
};

struct BenchSourceClass {
  GstPushSrcClass parent;
};

G_DEFINE_TYPE (BenchSource, bench_source, GST_TYPE_PUSH_SRC)

static GstStaticPadTemplate source_template =
    GST_STATIC_PAD_TEMPLATE ("src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);

static gboolean
bench_source_start (GstBaseSrc *base) {
  auto *self = reinterpret_cast<BenchSource *> (base);
  const gsize size = gst_base_src_get_blocksize (base);
  self->bytes = g_bytes_new_take (g_malloc0 (size), size);
  self->pace = new bench::Pace (self->mbit);
  return TRUE;
}

static gboolean
bench_source_stop (GstBaseSrc *base) {
  auto *self = reinterpret_cast<BenchSource *> (base);
  g_clear_pointer (&self->bytes, g_bytes_unref);
  delete self->pace;
  self->pace = nullptr;
  return TRUE;
}

static GstFlowReturn
bench_source_create (GstPushSrc *push, GstBuffer **buffer) {
  auto *self = reinterpret_cast<BenchSource *> (push);
  const gsize size = g_bytes_get_size (self->bytes);
  while (const gint64 wait_us = self->pace->wait_us (size))
    g_usleep (static_cast<gulong> (wait_us));
  // A GstMemory of its own for each: one that many buffers share looks through all of them at each.
  *buffer = gst_buffer_new_wrapped_bytes (self->bytes);
  return GST_FLOW_OK;
}

static void
bench_source_set_property (GObject *object, guint, const GValue *value, GParamSpec *) {
  reinterpret_cast<BenchSource *> (object)->mbit = g_value_get_double (value);
}

static void
bench_source_class_init (BenchSourceClass *klass) {
  GObjectClass *object = G_OBJECT_CLASS (klass);
  object->set_property = bench_source_set_property;
  g_object_class_install_property (
      object, 1,
      g_param_spec_double ("mbit", nullptr, "Mbit/s; 0 for no limit", 0, 1e6, 0,
                           static_cast<GParamFlags> (G_PARAM_WRITABLE | G_PARAM_STATIC_STRINGS)));
  gst_element_class_add_static_pad_template (GST_ELEMENT_CLASS (klass), &source_template);
  gst_element_class_set_static_metadata (GST_ELEMENT_CLASS (klass), "Benchmark source", "Source",
                                         "Buffers without end", "gst-p2p");
  GST_BASE_SRC_CLASS (klass)->start = bench_source_start;
  GST_BASE_SRC_CLASS (klass)->stop = bench_source_stop;
  GST_PUSH_SRC_CLASS (klass)->create = bench_source_create;
}

static void
bench_source_init (BenchSource *self) {
  gst_base_src_set_blocksize (GST_BASE_SRC (self), 65536);
}
