// Errors as values. No code of this project throws; a function that can fail returns a Result.
#pragma once
#include <gio/gio.h>

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "p2p/p2p-error.h"

namespace p2p {

// `message` is a whole sentence for a user: what happened, to what, and what to do.
struct Error {
  P2pError code = P2P_ERROR_FAILED;
  std::string message;

  GError *to_gerror () const { return g_error_new_literal (P2P_ERROR, code, message.c_str ()); }
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result (T value) : content_ (std::in_place_index<0>, std::move (value)) {}
  Result (Error error) : content_ (std::in_place_index<1>, std::move (error)) {}

  bool ok () const { return content_.index () == 0; }
  explicit operator bool () const { return ok (); }
  T &value () { return std::get<0> (content_); }
  const T &value () const { return std::get<0> (content_); }
  T &operator* () { return value (); }
  T *operator->() { return &value (); }
  const Error &error () const { return std::get<1> (content_); }

 private:
  std::variant<T, Error> content_;
};

// The outcome of something that has no value: empty means that it worked.
using Status = std::optional<Error>;

}  // namespace p2p
