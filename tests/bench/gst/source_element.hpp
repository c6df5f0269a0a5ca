// benchsrc: buffers of `blocksize` bytes that share one memory, so that making them costs nothing;
// `mbit` sets a rate.
#pragma once
#include <gst/base/base.h>

GType bench_source_get_type ();
