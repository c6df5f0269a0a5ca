// benchsink: says what it got within `seconds` after the first buffer, as endpoints/meter.hpp does.
#pragma once
#include <gst/base/base.h>

GType bench_meter_get_type ();
