// A process that writes to a store until it is killed, or kills itself in the midst of a write.
//
// store-writer URI BATCHES [STEP before|half|after]
//
// Batch N puts "first" and "last" = N and "log/N" = 3 KiB of N, and erases log/(N - 4). "acked N"
// on the standard output says that it is durable. With STEP, the process ends itself with SIGKILL
// at its STEP-th write or truncation of a file: before it, after half of the bytes, or after all.
// Prints "steps M" at the end if it comes so far.
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "store/store_factory.hpp"
#include "support/store_driver.hpp"

namespace {

int step = 0, kill_at = 0;
enum class When { before, half, after } when = When::before;

// Of SQLite's own file, with ours in front: as SQLite's documentation of shims has it.
struct ShimFile {
  sqlite3_file base;
  sqlite3_file *real () { return reinterpret_cast<sqlite3_file *> (this + 1); }
};

sqlite3_vfs shim;
sqlite3_vfs *real_vfs;
sqlite3_io_methods methods;

sqlite3_file *
real_of (sqlite3_file *file) {
  return reinterpret_cast<ShimFile *> (file)->real ();
}

void
die () {
  kill (getpid (), SIGKILL);
}

int
shim_write (sqlite3_file *file, const void *data, int size, sqlite3_int64 offset) {
  sqlite3_file *real = real_of (file);
  const bool now = ++step == kill_at;
  if (now && when == When::before) die ();
  if (now && when == When::half) {
    real->pMethods->xWrite (real, data, size / 2, offset);
    die ();
  }
  const int result = real->pMethods->xWrite (real, data, size, offset);
  if (now) die ();
  return result;
}

int
shim_truncate (sqlite3_file *file, sqlite3_int64 size) {
  sqlite3_file *real = real_of (file);
  const bool now = ++step == kill_at;
  if (now && when != When::after) die ();
  const int result = real->pMethods->xTruncate (real, size);
  if (now) die ();
  return result;
}

// All else goes to the real file as it is.
void
fill_methods () {
  methods.iVersion = 3;
#define PASS(name)                                       \
  methods.name = [] (sqlite3_file *file, auto... rest) { \
    sqlite3_file *real = real_of (file);                 \
    return real->pMethods->name (real, rest...);         \
  }
  PASS (xClose);
  PASS (xRead);
  PASS (xSync);
  PASS (xFileSize);
  PASS (xLock);
  PASS (xUnlock);
  PASS (xCheckReservedLock);
  PASS (xFileControl);
  PASS (xSectorSize);
  PASS (xDeviceCharacteristics);
  PASS (xShmMap);
  PASS (xShmLock);
  PASS (xShmBarrier);
  PASS (xShmUnmap);
  PASS (xFetch);
  PASS (xUnfetch);
#undef PASS
  methods.xWrite = shim_write;
  methods.xTruncate = shim_truncate;
}

void
install_shim () {
  real_vfs = sqlite3_vfs_find (nullptr);
  shim = *real_vfs;
  shim.zName = "killing";
  shim.szOsFile = static_cast<int> (sizeof (ShimFile)) + real_vfs->szOsFile;
  shim.xOpen = [] (sqlite3_vfs *, const char *name, sqlite3_file *file, int flags, int *out) {
    sqlite3_file *real = real_of (file);
    const int result = real_vfs->xOpen (real_vfs, name, real, flags, out);
    file->pMethods = real->pMethods ? &methods : nullptr;
    return result;
  };
  fill_methods ();
  sqlite3_vfs_register (&shim, 1);
}

void
say (const std::string &line) {
  const std::string text = line + "\n";
  if (write (STDOUT_FILENO, text.data (), text.size ()) < 0) _exit (3);
}

}  // namespace

int
main (int argc, char **argv) {
  using p2p::StoreChange;
  using p2p::test::store_bytes;
  if (argc < 3) return 2;
  const int batches = atoi (argv[2]);
  if (argc == 5) {
    kill_at = atoi (argv[3]);
    when = !strcmp (argv[4], "before") ? When::before
           : !strcmp (argv[4], "half") ? When::half
                                       : When::after;
  }
  install_shim ();
  p2p::test::StoreDriver store ([&] { return std::move (*p2p::make_session_store (argv[1], "")); });
  const auto items = store.must_open ();
  int from = 0;
  for (const auto &[key, value] : items)
    if (key == "first") from = atoi (value.c_str ());
  say ("open");
  std::promise<void> all;
  for (int n = from + 1; n <= from + batches; ++n) {
    const std::string text = std::to_string (n);
    p2p::StoreBatch batch = {
        StoreChange::put ("first", store_bytes (text)),
        StoreChange::put ("log/" + text, store_bytes (std::string (3072, static_cast<char> (n)))),
        StoreChange::erase ("log/" + std::to_string (n - 4)),
        StoreChange::put ("last", store_bytes (text))};
    store.with ([&] (p2p::SessionStore &s) {
      s.commit (std::move (batch), [&all, n, last = from + batches] (const p2p::Status &status) {
        if (status) {
          say ("error " + status->message);
          _exit (1);
        }
        say ("acked " + std::to_string (n));
        if (n == last) all.set_value ();
      });
    });
  }
  if (batches > 0) all.get_future ().wait ();
  store.close ();
  say ("steps " + std::to_string (step));
  return 0;
}
