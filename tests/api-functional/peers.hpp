// What tests of the C API share: references, waiting with a bound, and two agents that can reach
// each other in memory.
#pragma once
#include <p2p/p2p.h>

#include <functional>
#include <memory>
#include <string>

template <class T>
struct Unref {
  void operator() (T *object) const { g_object_unref (object); }
};
template <class T>
using Object = std::unique_ptr<T, Unref<T>>;

template <class T>
Object<T>
share (T *object) {
  return Object<T> (static_cast<T *> (g_object_ref (object)));
}

// An error to pass as GError**, cleared at the end.
class Failure {
 public:
  Failure () = default;
  ~Failure () { g_clear_error (&error_); }
  Failure (const Failure &) = delete;
  Failure &operator= (const Failure &) = delete;
  GError **operator& () {
    g_clear_error (&error_);
    return &error_;
  }
  const GError *operator->() const { return error_; }
  explicit operator bool () const { return error_ != nullptr; }
  bool is (P2pError code) const { return g_error_matches (error_, P2P_ERROR, code); }
  bool cancelled () const { return g_error_matches (error_, G_IO_ERROR, G_IO_ERROR_CANCELLED); }
  std::string message () const { return error_ ? error_->message : "no error"; }

 private:
  GError *error_ = nullptr;
};

// Iterates the default main context until the condition holds; false after 60 s.
bool wait_until (const std::function<bool ()> &condition);

// The outcome of one asynchronous call.
class Outcome {
 public:
  static void ready (GObject *, GAsyncResult *result, gpointer outcome);
  // Iterates the default main context; null when the call does not end in time.
  GAsyncResult *wait ();
  bool done () const { return result_ != nullptr; }

 private:
  Object<GAsyncResult> result_;
};

// A folder for identities and sockets, removed with all that is in it.
class Folder {
 public:
  Folder ();
  ~Folder ();
  Folder (const Folder &) = delete;
  Folder &operator= (const Folder &) = delete;
  std::string file (const std::string &name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

GBytes *bytes_of (const std::string &text);  // (transfer full)
std::string text_of (GBytes *bytes);
bool send_text (P2pChannel *channel, const std::string &text);
// Waits for a message, while the default main context is iterated; "<error>" when none comes.
std::string receive_text (P2pChannel *channel);
guint64 count_of (GVariant *stats, const char *key);       // takes the stats
std::string string_of (GVariant *stats, const char *key);  // takes the stats

// An agent with an identity of its own and no signaling yet.
Object<P2pAgent> make_agent (const Folder &folder, const std::string &id);
// Signaling that hands messages over inside of the process.
void join_by_app_signaling (P2pAgent *alice, P2pAgent *bob);
void use_only (P2pAgent *agent, P2pPathFactory *factory, const char *name);

// Two agents, "alice" and "bob", over signaling of the application and one kind of path.
struct Peers {
  // Without a network, paths have to be added by the test.
  explicit Peers (P2pMemoryNetwork *the_network = nullptr);
  // Opens the connection on both sides and waits for it.
  bool connect ();
  // The channel of that name at alice, and at bob as soon as the peer knows it.
  bool open_channel (const char *name);
  // Both agents, orderly.
  bool close ();

  const Folder folder;
  Object<P2pMemoryNetwork> network;
  Object<P2pAgent> alice, bob;
  Object<P2pConnection> at_alice, at_bob;
  Object<P2pChannel> alices, bobs;
};

bool close_agent (P2pAgent *agent);
