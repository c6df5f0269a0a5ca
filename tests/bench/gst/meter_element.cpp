#include "meter_element.hpp"

#include "../endpoints/meter.hpp"

struct BenchMeter {
  GstBaseSink parent;
  double seconds;
  bench::Meter *meter;
};

struct BenchMeterClass {
  GstBaseSinkClass parent;
};

G_DEFINE_TYPE (BenchMeter, bench_meter, GST_TYPE_BASE_SINK)

static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE ("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);

static gboolean
bench_meter_start (GstBaseSink *base) {
  auto *self = reinterpret_cast<BenchMeter *> (base);
  self->meter = new bench::Meter (self->seconds);
  return TRUE;
}

static gboolean
bench_meter_stop (GstBaseSink *base) {
  auto *self = reinterpret_cast<BenchMeter *> (base);
  delete self->meter;
  self->meter = nullptr;
  return TRUE;
}

static GstFlowReturn
bench_meter_render (GstBaseSink *base, GstBuffer *buffer) {
  reinterpret_cast<BenchMeter *> (base)->meter->add (gst_buffer_get_size (buffer));
  return GST_FLOW_OK;
}

static void
bench_meter_set_property (GObject *object, guint, const GValue *value, GParamSpec *) {
  reinterpret_cast<BenchMeter *> (object)->seconds = g_value_get_double (value);
}

static void
bench_meter_class_init (BenchMeterClass *klass) {
  GObjectClass *object = G_OBJECT_CLASS (klass);
  object->set_property = bench_meter_set_property;
  g_object_class_install_property (
      object, 1,
      g_param_spec_double ("seconds", nullptr, "For how long it counts", 0.1, 3600, 3,
                           static_cast<GParamFlags> (G_PARAM_WRITABLE | G_PARAM_STATIC_STRINGS)));
  gst_element_class_add_static_pad_template (GST_ELEMENT_CLASS (klass), &sink_template);
  gst_element_class_set_static_metadata (GST_ELEMENT_CLASS (klass), "Benchmark sink", "Sink",
                                         "Counts what comes", "gst-p2p");
  GST_BASE_SINK_CLASS (klass)->start = bench_meter_start;
  GST_BASE_SINK_CLASS (klass)->stop = bench_meter_stop;
  GST_BASE_SINK_CLASS (klass)->render = bench_meter_render;
}

static void
bench_meter_init (BenchMeter *self) {
  self->seconds = 3;
  gst_base_sink_set_sync (GST_BASE_SINK (self), FALSE);
}
