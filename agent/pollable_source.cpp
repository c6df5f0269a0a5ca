#include "pollable_source.hpp"

#include "base/ptr.hpp"

namespace p2p {

namespace {

struct Source {
  struct Content {
    Ref<GObject> stream;
    bool (*ready) (GObject *stream);
    Ref<GCancellable> cancellable;

    bool has_work () const {
      return g_cancellable_is_cancelled (cancellable.get ()) || ready (stream.get ());
    }
  };
  GSource parent;
  Content *content;

  static const Content &of (GSource *source) {
    return *reinterpret_cast<Source *> (source)->content;
  }
  static gboolean prepare (GSource *source, gint *timeout_ms) {
    *timeout_ms = -1;
    return of (source).has_work ();
  }
  static gboolean check (GSource *source) { return of (source).has_work (); }
  static gboolean dispatch (GSource *source, GSourceFunc callback, gpointer user_data) {
    const Content &content = of (source);
    // The alarm has rung for something else.
    if (!content.has_work ()) return G_SOURCE_CONTINUE;
    void (*const function) () = reinterpret_cast<void (*) ()> (callback);
    return reinterpret_cast<GPollableSourceFunc> (function) (content.stream.get (), user_data);
  }
  static void finalize (GSource *source) { delete reinterpret_cast<Source *> (source)->content; }

  // For g_source_set_closure(), which bindings use.
  static gboolean closure_callback (GObject *stream, gpointer data) {
    GValue result = G_VALUE_INIT, parameter = G_VALUE_INIT;
    g_value_init (&result, G_TYPE_BOOLEAN);
    g_value_init (&parameter, G_TYPE_OBJECT);
    g_value_set_object (&parameter, stream);
    g_closure_invoke (static_cast<GClosure *> (data), &result, 1, &parameter, nullptr);
    const gboolean keep = g_value_get_boolean (&result);
    g_value_unset (&parameter);
    g_value_unset (&result);
    return keep;
  }
};

void
add_child (GSource *source, GSource *child) {
  g_source_add_child_source (source, child);
  g_source_unref (child);
}

}  // namespace

GSource *
pollable_source_new (GObject *stream, std::shared_ptr<SourceAlarm> alarm,
                     bool (*ready) (GObject *stream), GCancellable *cancellable) {
  static gboolean (*const closure_callback) (GObject *, gpointer) = Source::closure_callback;
  static GSourceFuncs funcs = {
      Source::prepare,
      Source::check,
      Source::dispatch,
      Source::finalize,
      reinterpret_cast<GSourceFunc> (reinterpret_cast<void (*) ()> (closure_callback)),
      reinterpret_cast<GSourceDummyMarshal> (
          reinterpret_cast<void (*) ()> (g_cclosure_marshal_generic))};
  GSource *source = g_source_new (&funcs, sizeof (Source));
  g_source_set_static_name (source, "p2p channel");
  reinterpret_cast<Source *> (source)->content = new Source::Content{
      Ref<GObject>::share (stream), ready, Ref<GCancellable>::share (cancellable)};
  add_child (source, SourceAlarm::source_new (std::move (alarm)));
  if (cancellable) {
    GSource *cancelled = g_cancellable_source_new (cancellable);
    g_source_set_dummy_callback (cancelled);
    add_child (source, cancelled);
  }
  return source;
}

}  // namespace p2p
