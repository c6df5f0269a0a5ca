#include "base/private_file.hpp"

#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/ptr.hpp"

namespace p2p {

namespace {

constexpr off_t kMaxFileBytes = 64 * 1024;  // a key with a certificate has about 1 KiB

class Fd {
 public:
  explicit Fd (int fd) : fd_ (fd) {}
  Fd (const Fd &) = delete;
  Fd &operator= (const Fd &) = delete;
  ~Fd () {
    if (fd_ >= 0) close (fd_);
  }
  int get () const { return fd_; }

 private:
  int fd_;
};

// `what` is the rest of the sentence.
Error
file_error (const FileRole &role, const std::string &path, const std::string &what) {
  return {role.code, std::string ("The ") + role.name + " " + path + " " + what};
}

Error
system_error (const FileRole &role, const std::string &path, const char *undone, int number) {
  return file_error (role, path,
                     std::string ("cannot be ") + undone + ": " + g_strerror (number) + ".");
}

bool
write_all (int fd, const std::string &content) {
  std::size_t done = 0;
  while (done < content.size ()) {
    const ssize_t n = write (fd, content.data () + done, content.size () - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    done += static_cast<std::size_t> (n);
  }
  return fsync (fd) == 0;
}

}  // namespace

Result<std::optional<std::string>>
read_private_file (const FileRole &role, const std::string &path) {
  // O_NONBLOCK: a FIFO of that name must not hang us.
  const Fd fd (open (path.c_str (), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.get () < 0) {
    if (errno == ENOENT) return std::optional<std::string> ();
    return system_error (role, path, "opened", errno);
  }
  struct stat info;
  if (fstat (fd.get (), &info) != 0) return system_error (role, path, "read", errno);
  if (!S_ISREG (info.st_mode)) {
    return file_error (role, path, "is not a regular file. Name another one.");
  }
  if ((info.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return file_error (role, path,
                       "can be used by others than its owner. Run: chmod 600 '" + path + "'.");
  }
  if (info.st_size > kMaxFileBytes) {
    return file_error (role, path, "is longer than 64 KiB, so it is not one. Name another.");
  }
  std::string content (static_cast<std::size_t> (info.st_size), '\0');
  std::size_t done = 0;
  while (done < content.size ()) {
    const ssize_t n = read (fd.get (), content.data () + done, content.size () - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error (role, path, "read", errno);
    if (n == 0) break;
    done += static_cast<std::size_t> (n);
  }
  content.resize (done);
  return std::optional<std::string> (std::move (content));
}

Status
create_private_file (const FileRole &role, const std::string &path, const std::string &content) {
  const UniqueChars folder (g_path_get_dirname (path.c_str ()));
  if (g_mkdir_with_parents (folder.get (), 0700) != 0)
    return system_error (role, path, "made", errno);
  std::string temporary = path + ".XXXXXX";
  const Fd fd (g_mkstemp_full (temporary.data (), O_RDWR | O_CLOEXEC, 0600));
  if (fd.get () < 0) return system_error (role, path, "made", errno);
  Status status;
  // link() and not rename(): it refuses to replace, so that the first of two processes wins.
  if (!write_all (fd.get (), content) ||
      (link (temporary.c_str (), path.c_str ()) != 0 && errno != EEXIST)) {
    status = system_error (role, path, "made", errno);
  }
  unlink (temporary.c_str ());
  if (!status) {
    const Fd directory (open (folder.get (), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (directory.get () >= 0) (void)fsync (directory.get ());
  }
  return status;
}

}  // namespace p2p
