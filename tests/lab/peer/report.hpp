// What the program says: one JSON object a line on standard output, each with the time.
#pragma once
#include <gio/gio.h>
#include <json-glib/json-glib.h>

#include <string>

namespace lab {

// CLOCK_MONOTONIC, which all processes of a machine share.
double now_ms ();

// {"t": milliseconds, "event": NAME, …}; written when it goes.
class Line {
 public:
  explicit Line (const char *event);
  ~Line ();
  Line (const Line &) = delete;
  Line &operator= (const Line &) = delete;

  Line &text (const char *key, const char *value);  // null: nothing is added
  Line &count (const char *key, guint64 value);
  Line &ms (const char *key, double value);
  Line &flag (const char *key, bool value);
  Line &variant (const char *key, GVariant *value);
  // An array of what a signal came with, whatever the types are.
  Line &values (const char *key, const GValue *values, guint size);

 private:
  JsonBuilder *builder_;
};

// The name that bindings know the value of an enumeration by.
std::string nick (GType type, int value);

}  // namespace lab
