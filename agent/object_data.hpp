// C++ state that belongs to a GObject of the application, made by whoever asks for it first.
#pragma once
#include <gio/gio.h>

#include <memory>

namespace p2p {

// Thread-safe. The same for each call with the same object and key; it goes with the object.
template <class T>
std::shared_ptr<T>
object_data (GObject *object, const char *key) {
  using Shared = std::shared_ptr<T>;
  const GQuark quark = g_quark_from_static_string (key);
  const auto copy = [] (gpointer data, gpointer) -> gpointer {
    return data ? new Shared (*static_cast<Shared *> (data)) : nullptr;
  };
  const auto destroy = [] (gpointer data) { delete static_cast<Shared *> (data); };
  const auto get = [&] () -> std::unique_ptr<Shared> {
    return std::unique_ptr<Shared> (
        static_cast<Shared *> (g_object_dup_qdata (object, quark, copy, nullptr)));
  };
  if (const auto found = get ()) return *found;
  auto made = std::make_unique<Shared> (std::make_shared<T> ());
  if (g_object_replace_qdata (object, quark, nullptr, made.get (), destroy, nullptr))
    return *made.release ();
  // Another thread was faster.
  return *get ();
}

}  // namespace p2p
