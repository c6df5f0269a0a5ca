// A mutex that clang's thread-safety analysis understands: it refuses a guarded member that is
// touched without its lock. std::mutex says nothing to it with libstdc++.
#pragma once
#include <mutex>

#if defined(__clang__)
#define P2P_THREAD_ANNOTATION(x) __attribute__ ((x))
#else
#define P2P_THREAD_ANNOTATION(x)
#endif
#define P2P_GUARDED_BY(mutex) P2P_THREAD_ANNOTATION (guarded_by (mutex))
#define P2P_REQUIRES(mutex) P2P_THREAD_ANNOTATION (requires_capability (mutex))

namespace p2p {

class P2P_THREAD_ANNOTATION (capability ("mutex")) Mutex {
 public:
  void lock () P2P_THREAD_ANNOTATION (acquire_capability ()) { mutex_.lock (); }
  void unlock () P2P_THREAD_ANNOTATION (release_capability ()) { mutex_.unlock (); }

 private:
  std::mutex mutex_;
};

class P2P_THREAD_ANNOTATION (scoped_lockable) MutexLock {
 public:
  explicit MutexLock (Mutex &mutex) P2P_THREAD_ANNOTATION (acquire_capability (mutex))
      : mutex_ (mutex) {
    mutex_.lock ();
  }
  ~MutexLock () P2P_THREAD_ANNOTATION (release_capability ()) { mutex_.unlock (); }
  MutexLock (const MutexLock &) = delete;
  MutexLock &operator= (const MutexLock &) = delete;

 private:
  Mutex &mutex_;
};

}  // namespace p2p
