// The sources of the pollable streams: GLib's GPollableSource, for streams without a descriptor.
#pragma once
#include <gio/gio.h>

#include <memory>

#include "source_alarm.hpp"

namespace p2p {

// Takes a GPollableSourceFunc, and calls it whenever `ready` says so or the cancellable is
// cancelled. `ready` is asked again when the alarm has rung, by whoever iterates the context.
GSource *pollable_source_new (GObject *stream, std::shared_ptr<SourceAlarm> alarm,
                              bool (*ready) (GObject *stream), GCancellable *cancellable);

}  // namespace p2p
