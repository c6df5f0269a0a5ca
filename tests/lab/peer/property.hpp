// Properties by their names, whether or not the object has them.
#pragma once
#include <glib-object.h>

#include <string>

namespace lab {

// From the nick of an enumeration, a string, "true", or a number. False when it has no such
// property, or the text is no value of it.
bool set_property_text (GObject *object, const std::string &name, const std::string &text);
// The nick of an enumeration, or a string; empty when it has no such property.
std::string property_text (GObject *object, const char *name);

}  // namespace lab
