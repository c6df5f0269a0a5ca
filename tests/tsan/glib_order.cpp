// GLib is not instrumented, so ThreadSanitizer does not see that it hands work and objects from one
// thread to another in order. These stand before GLib's own functions in each test program of a
// build with -Db_sanitize=thread, and tell it.
#include <dlfcn.h>
#include <gio/gio.h>

extern "C" {
void __tsan_acquire (void *address);
void __tsan_release (void *address);
}

namespace {

template <class Function>
Function
original (const char *name) {
  return reinterpret_cast<Function> (dlsym (RTLD_NEXT, name));
}

// What was done before any earlier drop of a reference has been done for whoever drops the last.
void
dropped (void *object) {
  if (!object) return;
  __tsan_release (object);
  __tsan_acquire (object);
}

// The callback of an idle or timeout source, and where it was set.
struct Task {
  GSourceFunc function;
  gpointer data;
  GDestroyNotify notify;
};

gboolean
run_task (gpointer data) {
  __tsan_acquire (data);
  auto *task = static_cast<Task *> (data);
  const gboolean again = task->function (task->data);
  __tsan_release (data);
  return again;
}

void
end_task (gpointer data) {
  __tsan_acquire (data);
  auto *task = static_cast<Task *> (data);
  if (task->notify) task->notify (task->data);
  delete task;
}

}  // namespace

extern "C" {

void (g_source_set_callback) (GSource *source, GSourceFunc function, gpointer data,
                              GDestroyNotify notify) {
  using Set = void (*) (GSource *, GSourceFunc, gpointer, GDestroyNotify);
  static const auto set = original<Set> ("g_source_set_callback");
  // Sources of other kinds call functions of other types.
  if (!function ||
      (source->source_funcs != &g_idle_funcs && source->source_funcs != &g_timeout_funcs)) {
    set (source, function, data, notify);
    return;
  }
  auto *task = new Task{function, data, notify};
  __tsan_release (task);
  set (source, run_task, task, end_task);
}

void (g_object_unref) (gpointer object) {
  static const auto unref = original<void (*) (gpointer)> ("g_object_unref");
  dropped (object);
  unref (object);
}

void (g_bytes_unref) (GBytes *bytes) {
  static const auto unref = original<void (*) (GBytes *)> ("g_bytes_unref");
  dropped (bytes);
  unref (bytes);
}

}  // extern "C"
