#include "signaling/local_place.hpp"

#include <fcntl.h>
#include <gio/gunixsocketaddress.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

namespace p2p {

namespace {

constexpr int kBacklog = 128;

std::string
errno_text () {
  return g_strerror (errno);
}

// A directory of ours that nobody else may write to.
bool
is_private_directory (const std::string &path, mode_t forbidden) {
  struct stat info;
  return lstat (path.c_str (), &info) == 0 && S_ISDIR (info.st_mode) && info.st_uid == geteuid () &&
         (info.st_mode & forbidden) == 0 && access (path.c_str (), W_OK | X_OK) == 0;
}

Result<std::string>
private_directory (const std::string &path) {
  if (mkdir (path.c_str (), 0700) != 0 && errno != EEXIST)
    return Error{P2P_ERROR_SIGNALING, "The directory " + path +
                                          " cannot be made: " + errno_text () +
                                          ". Set XDG_RUNTIME_DIR to a directory of yours."};
  if (!is_private_directory (path, 0077))
    return Error{P2P_ERROR_SIGNALING, "The directory " + path +
                                          " must belong to you and have mode 0700; correct it, or "
                                          "set XDG_RUNTIME_DIR to a directory of yours."};
  return path;
}

Ref<GSocketAddress>
address_of (const std::string &path) {
  return Ref<GSocketAddress>::adopt (g_unix_socket_address_new (path.c_str ()));
}

Result<Ref<GSocket>>
new_socket () {
  GError *raw = nullptr;
  auto socket = Ref<GSocket>::adopt (
      g_socket_new (G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, &raw));
  const UniqueError error (raw);
  if (!socket)
    return Error{P2P_ERROR_SIGNALING,
                 std::string ("A local socket cannot be made: ") + error->message + "."};
  g_socket_set_blocking (socket.get (), FALSE);
  return socket;
}

}  // namespace

Result<std::string>
default_local_socket_path () {
  const char *runtime = g_getenv ("XDG_RUNTIME_DIR");
  const std::string uid = std::to_string (geteuid ());
  std::string base;
  // A process of the same user without the variable must end at the same place.
  for (const std::string &candidate : {std::string (runtime ? runtime : ""), "/run/user/" + uid})
    if (base.empty () && !candidate.empty () && is_private_directory (candidate, 0022))
      base = candidate + "/gst-p2p";
  if (base.empty ()) base = std::string (g_get_tmp_dir ()) + "/gst-p2p-" + uid;
  auto directory = private_directory (base);
  if (!directory) return directory.error ();
  return checked_local_socket_path (*directory + "/meet.sock");
}

Result<std::string>
checked_local_socket_path (const std::string &path) {
  const UniqueChars directory (g_path_get_dirname (path.c_str ()));
  const UniqueChars name (g_path_get_basename (path.c_str ()));
  const std::unique_ptr<char, decltype (&std::free)> real (realpath (directory.get (), nullptr),
                                                           &std::free);
  if (path.empty () || path.back () == '/' || !real)
    return Error{P2P_ERROR_INVALID_ARGUMENT,
                 "The local socket path \"" + path + "\" is not in a directory that exists."};
  const std::string full = std::string (real.get ()) + "/" + name.get ();
  if (full.size () >= sizeof (sockaddr_un::sun_path))
    return Error{P2P_ERROR_INVALID_ARGUMENT,
                 "The local socket path \"" + full + "\" is longer than " +
                     std::to_string (sizeof (sockaddr_un::sun_path) - 1) + " bytes; shorten it."};
  return full;
}

Result<std::unique_ptr<HostLock>>
HostLock::try_take (const std::string &socket_path) {
  // Never removed: a lock on a removed file would not keep others out.
  const std::string path = socket_path + ".lock";
  const int fd = open (path.c_str (), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  struct stat info;
  if (fd < 0 || fstat (fd, &info) != 0 || info.st_uid != geteuid ()) {
    const std::string reason = fd < 0 ? errno_text () : "it belongs to another user";
    if (fd >= 0) close (fd);
    return Error{P2P_ERROR_SIGNALING, "The lock file " + path + " cannot be used: " + reason + "."};
  }
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (fcntl (fd, F_SETLK, &lock) == 0) return std::unique_ptr<HostLock> (new HostLock (fd));
  const bool held = errno == EACCES || errno == EAGAIN;
  const std::string reason = errno_text ();
  close (fd);
  if (held) return std::unique_ptr<HostLock> ();
  return Error{P2P_ERROR_SIGNALING, "The file " + path + " cannot be locked: " + reason + "."};
}

HostLock::~HostLock () {
  close (fd_);
}

Result<Ref<GSocket>>
listen_at (const std::string &socket_path) {
  auto socket = new_socket ();
  if (!socket) return socket;
  unlink (socket_path.c_str ());
  // The mode of the socket becomes the mode of the file that bind() makes, at once and without
  // touching the umask of the whole process.
  fchmod (g_socket_get_fd (socket->get ()), 0600);
  GError *raw = nullptr;
  g_socket_set_listen_backlog (socket->get (), kBacklog);
  const bool listening =
      g_socket_bind (socket->get (), address_of (socket_path).get (), FALSE, &raw) &&
      g_socket_listen (socket->get (), &raw);
  const UniqueError error (raw);
  if (!listening)
    return Error{P2P_ERROR_SIGNALING,
                 "The meeting point " + socket_path + " cannot be opened: " + error->message + "."};
  return socket;
}

Result<Ref<GSocket>>
connect_to (const std::string &socket_path) {
  auto socket = new_socket ();
  if (!socket) return socket;
  GError *raw = nullptr;
  const bool connected =
      g_socket_connect (socket->get (), address_of (socket_path).get (), nullptr, &raw);
  const UniqueError error (raw);
  if (connected) return socket;
  for (const GIOErrorEnum code : {G_IO_ERROR_CONNECTION_REFUSED, G_IO_ERROR_NOT_FOUND,
                                  G_IO_ERROR_WOULD_BLOCK, G_IO_ERROR_PENDING})
    if (g_error_matches (error.get (), G_IO_ERROR, code)) return Ref<GSocket> ();
  return Error{P2P_ERROR_SIGNALING,
               "The meeting point " + socket_path + " cannot be reached: " + error->message + "."};
}

bool
same_user (GSocket *socket) {
  const auto credentials = Ref<GCredentials>::adopt (g_socket_get_credentials (socket, nullptr));
  if (!credentials) return false;
  const uid_t uid = g_credentials_get_unix_user (credentials.get (), nullptr);
  return uid == geteuid () || uid == 0;
}

}  // namespace p2p
