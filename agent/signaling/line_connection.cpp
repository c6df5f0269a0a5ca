#include "signaling/line_connection.hpp"

namespace p2p {

namespace {

constexpr std::size_t kReadBytes = 64 * 1024;
// After so many reads the other sources of the loop have their turn.
constexpr int kReadsPerTurn = 4;

constexpr auto kReadAndWrite = static_cast<GIOCondition> (G_IO_IN | G_IO_OUT);

}  // namespace

LineConnection::LineConnection (Ref<GSocket> socket, std::size_t max_line_bytes,
                                std::size_t max_queued_bytes, Observer &observer)
    : socket_ (std::move (socket)),
      max_line_bytes_ (max_line_bytes),
      max_queued_bytes_ (max_queued_bytes),
      observer_ (observer) {
  g_socket_set_blocking (socket_.get (), FALSE);
  // The watch is a member: it does not call once the connection is gone.
  watch_ = std::make_unique<FdWatch> (
      g_main_context_get_thread_default (), g_socket_get_fd (socket_.get ()), G_IO_IN,
      [this, alive = std::weak_ptr<bool> (alive_)] (GIOCondition there) {
        // What came is read before a write can fail: it may be a last word.
        if (there & G_IO_IN) on_readable ();
        if (!alive.expired () && watch_ && (there & G_IO_OUT) && !output_.empty ()) on_writable ();
      });
}

LineConnection::~LineConnection () {
  watch_.reset ();
  g_socket_close (socket_.get (), nullptr);
}

bool
LineConnection::send_line (const std::string &line) {
  if (output_.size () + line.size () + 1 > max_queued_bytes_) return false;
  output_ += line;
  output_ += '\n';
  // Written when the loop comes round, so that no error reaches the observer from in here.
  if (watch_) watch_->set_events (kReadAndWrite);
  return true;
}

void
LineConnection::flush () {
  if (!output_.empty ())
    g_socket_send (socket_.get (), output_.data (), output_.size (), nullptr, nullptr);
  output_.clear ();
  if (watch_) watch_->set_events (G_IO_IN);
}

void
LineConnection::on_writable () {
  GError *raw = nullptr;
  const gssize written =
      g_socket_send (socket_.get (), output_.data (), output_.size (), nullptr, &raw);
  const UniqueError error (raw);
  if (written < 0) {
    if (!g_error_matches (error.get (), G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK)) fail (error->message);
    return;
  }
  output_.erase (0, static_cast<std::size_t> (written));
  if (!output_.empty ()) return;
  output_.shrink_to_fit ();  // most of its life a connection has nothing to say
  watch_->set_events (G_IO_IN);
}

void
LineConnection::on_readable () {
  char chunk[kReadBytes];
  for (int turn = 0; turn < kReadsPerTurn; ++turn) {
    GError *raw = nullptr;
    const gssize count = g_socket_receive (socket_.get (), chunk, sizeof chunk, nullptr, &raw);
    const UniqueError error (raw);
    if (count < 0) {
      if (!g_error_matches (error.get (), G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
        fail (error->message);
      return;
    }
    if (count == 0) {
      fail ("the other end closed the connection");
      return;
    }
    input_.append (chunk, static_cast<std::size_t> (count));
    if (!take_lines ()) return;
  }
}

// False when the connection is gone.
bool
LineConnection::take_lines () {
  const std::weak_ptr<bool> alive = alive_;
  std::size_t start = 0;
  for (;;) {
    const std::size_t end = input_.find ('\n', start);
    if (end == std::string::npos) break;
    const bool skipped = std::exchange (skipping_, false);
    if (!skipped && end - start > max_line_bytes_)
      observer_.line_too_long (*this);
    else if (!skipped)
      observer_.line_received (*this, {input_.data () + start, end - start});
    if (alive.expired ()) return false;
    start = end + 1;
  }
  input_.erase (0, start);
  if (input_.empty ()) input_.shrink_to_fit ();
  if (input_.size () <= max_line_bytes_) return true;
  input_.clear ();
  if (std::exchange (skipping_, true)) return true;
  observer_.line_too_long (*this);
  return !alive.expired ();
}

void
LineConnection::fail (const std::string &reason) {
  watch_.reset ();
  observer_.line_closed (*this, reason);
}

}  // namespace p2p
