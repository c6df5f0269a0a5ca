#include "store/sqlite_file.hpp"

#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/ptr.hpp"

namespace p2p {

namespace {

Error
file_error (const std::string &path, const std::string &what, int number) {
  return {P2P_ERROR_STORE, "The session store " + path + " cannot be " + what + ": " +
                               g_strerror (number) +
                               ". Name a file in a folder that this user may write."};
}

// Under another name first: whoever closes a descriptor of a file gives up all locks that SQLite
// has on it in this process, so none may be open once the file is known by its name.
Status
create (const std::string &path) {
  const UniqueChars folder (g_path_get_dirname (path.c_str ()));
  if (g_mkdir_with_parents (folder.get (), 0700) != 0) return file_error (path, "made", errno);
  std::string temporary = path + ".XXXXXX";
  const int fd = g_mkstemp_full (temporary.data (), O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0) return file_error (path, "made", errno);
  close (fd);
  Status status;
  if (link (temporary.c_str (), path.c_str ()) != 0 && errno != EEXIST)
    status = file_error (path, "made", errno);
  unlink (temporary.c_str ());
  return status;
}

// Owners are bytes of the lock file, far beyond its end; 62 bits of a hash do not meet by chance.
off_t
lock_offset (const std::string &owner) {
  guint8 digest[32];
  gsize size = sizeof digest;
  GChecksum *sum = g_checksum_new (G_CHECKSUM_SHA256);
  g_checksum_update (sum, reinterpret_cast<const guchar *> (owner.data ()),
                     static_cast<gssize> (owner.size ()));
  g_checksum_get_digest (sum, digest, &size);
  g_checksum_free (sum);
  std::uint64_t offset = 0;
  for (int i = 0; i < 8; ++i) offset = offset << 8 | digest[i];
  return static_cast<off_t> (offset >> 2);
}

}  // namespace

Status
prepare_store_file (const std::string &path) {
  struct stat info;
  if (stat (path.c_str (), &info) != 0) {
    if (errno != ENOENT) return file_error (path, "opened", errno);
    if (Status status = create (path)) return status;
    if (stat (path.c_str (), &info) != 0) return file_error (path, "opened", errno);
  }
  if (!S_ISREG (info.st_mode))
    return Error{P2P_ERROR_STORE,
                 "The session store " + path + " is not a regular file. Name another one."};
  if ((info.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    return Error{P2P_ERROR_STORE, "The session store " + path +
                                      " can be used by others than its owner. Run: chmod 600 '" +
                                      path + "'."};
  return {};
}

Result<std::unique_ptr<OwnerLock>>
OwnerLock::take (const std::string &path, const std::string &owner) {
  const std::string lock_path = path + "-lock";
  const int fd = open (lock_path.c_str (), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return file_error (lock_path, "opened", errno);
  std::unique_ptr<OwnerLock> lock (new OwnerLock (fd));
  struct flock range = {};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  range.l_start = lock_offset (owner);
  range.l_len = 1;
  // Of the open file, not of the process: two stores in one process keep each other out as well.
  if (fcntl (fd, F_OFD_SETLK, &range) == 0) return {std::move (lock)};
  if (errno == EAGAIN || errno == EACCES)
    return Error{P2P_ERROR_FENCED, "The sessions of \"" + owner + "\" in " + path +
                                       " are in use by another agent. Close it first, or use "
                                       "another id or another session store."};
  return Error{P2P_ERROR_STORE, "The lock " + lock_path +
                                    " cannot be taken: " + g_strerror (errno) +
                                    ". Put the session store on a disk of this machine."};
}

OwnerLock::~OwnerLock () {
  close (fd_);
}

}  // namespace p2p
